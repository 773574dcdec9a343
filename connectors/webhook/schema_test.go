package webhook

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compileSchema returns the JSON Schema of a format, nil for a template.
func compileSchema(t *testing.T, f Format) *jsonschema.Schema {
	t.Helper()
	if f == FormatTemplate {
		if _, ok := Schema(f); ok {
			t.Error("a template has no schema of ours")
		}
		return nil
	}
	b, ok := Schema(f)
	if !ok {
		t.Fatalf("%s has no schema", f)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(string(f), doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(string(f))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
