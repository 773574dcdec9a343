package llm

import (
	"testing"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Neither unknown keys nor the order of keys decide the kind of a value.
func TestPlainKind(t *testing.T) {
	for src, want := range map[string]string{
		`{"arrayValue":{"values":[]}}`:                              "arrayValue",
		`{"arrayValue":{"values":[]},"zz":1}`:                       "arrayValue",
		`{"zz":1,"arrayValue":{"values":[]}}`:                       "arrayValue",
		`{"stringValue":null,"kvlistValue":{"values":[]}}`:          "kvlistValue",
		`{"intValue":"1","stringValue":"a"}`:                        "stringValue",
		`{"stringValue":"a","intValue":"1"}`:                        "stringValue",
		`{"stringValue":"a","stringValue":"b","bytesValue":"AA=="}`: "stringValue",
		`{"zz":1}`: "",
		`{}`:       "",
		`[]`:       "",
	} {
		v, err := scan.Valid(src)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := plainKind(new(formats.Element), formats.Node{Src: src, Span: v}); got != want {
			t.Errorf("%s: got %q, want %q", src, got, want)
		}
	}
}
