package llm

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The table finds exactly the names in the list of attributes.
func TestNames(t *testing.T) {
	x, all := newNames(newSpeech()), map[string]name{}
	var texts []string
	list := attributeNames()
	newSpeech().names(&list)
	for a, list := range list {
		for rank, text := range list {
			if _, twice := all[text]; twice {
				t.Errorf("%q occurs twice", text)
			}
			all[text] = name{text, attribute(a), uint8(rank)}
			texts = append(texts, text)
		}
	}
	if len(x.list) != len(all) {
		t.Fatalf("got %d of %d names", len(x.list), len(all))
	}
	check := func(t rapid.TB, text string) {
		t.Helper()
		want, known := all[text]
		if got, ok := x.find(text); ok != known || ok && *got != want {
			t.Fatalf("find(%q): got %v, %v, want %v, %v", text, got, ok, want, known)
		}
	}
	for _, text := range texts {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(texts).Draw(t, "name")
		n := rapid.IntRange(0, len(text)).Draw(t, "prefix")
		check(t, text[:n]+rapid.StringN(0, 2, -1).Draw(t, "changed")+text[min(len(text), n+rapid.IntRange(0, 2).Draw(t, "without")):])
		check(t, text[n:])
		check(t, text[:n])
		check(t, rapid.String().Draw(t, "any"))
	})
}

// attributeText draws the JSON of an element in a list of attributes. Most elements are attributes; now and then a part
// is something that no producer writes.
func attributeText(t *rapid.T) string {
	scalar := rapid.SampledFrom([]string{`"a"`, `""`, `"\u0061"`, `1`, `true`, `null`, `{}`, `[]`, `[1]`, `{"values":[]}`, `{"stringValue":"x"}`})
	part := func(usual []string, others ...string) string {
		if rapid.IntRange(0, 5).Draw(t, "usual") > 0 {
			return rapid.SampledFrom(usual).Draw(t, "part")
		}
		return rapid.SampledFrom(append(others, usual...)).Draw(t, "part")
	}
	name := part([]string{`"session.id"`, `"gen_ai.system"`, `"llm.system"`, `"gen_ai.prompt.0.role"`},
		`"session.\u0069d"`, `"other"`, scalar.Draw(t, "name"))
	kind := func() string {
		return part([]string{`"stringValue"`, `"intValue"`, `"arrayValue"`},
			`"boolValue"`, `"doubleValue"`, `"kvlistValue"`, `"bytesValue"`, `"stringV\u0061lue"`, `"x"`)
	}
	inner := kind() + `:` + scalar.Draw(t, "inner")
	value := part([]string{`{` + inner + `}`},
		`{}`, `[]`, `[1]`, `{`+inner+`,`+kind()+`:`+scalar.Draw(t, "second")+`}`, scalar.Draw(t, "value"))
	key, outer := part([]string{`"key"`}, `"Key"`, `"k\u0065y"`, `"value"`), part([]string{`"value"`}, `"v\u0061lue"`, `"x"`, `"key"`)
	third := kind() + `:` + scalar.Draw(t, "third")
	return part([]string{`{` + key + `:` + name + `,` + outer + `:` + value + `}`}, `{`+outer+`:`+value+`,`+key+`:`+name+`}`,
		`{`+key+`:`+name+`,`+outer+`:`+value+`,`+third+`}`, `{`+key+`:`+name+`}`, `{`+outer+`:`+value+`}`, `[`+name+`,`+value+`]`, name, `[{}]`)
}

// checkRead compares reading a list of attributes from the index, with its fast path, to reading it from its text.
func checkRead(t rapid.TB, known *names, src string) {
	t.Helper()
	read := func(noted bool) (log string) {
		a := newAttributes(known, nil)
		el := formats.NewElement(formats.Setup{}, new(formats.Paths))
		el.BeginRecord(schema.Position{}, 0, nil, func(_, name string) { log += "fault " + name + "\n" })
		v, err := scan.Valid(src)
		if noted {
			v, err = el.Index.Valid(src)
		}
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		a.read(el, formats.Node{Src: src, Span: v})
		for i, s := range a.values {
			if s.present() {
				log += fmt.Sprintln(i, s.rank, s.nested, s.value.Kind, s.value.Start, s.value.End)
			}
		}
		for _, e := range a.lists.entries {
			log += fmt.Sprintln(e.list, e.message, e.sub, e.part, e.value.Kind, e.value.Raw())
		}
		return log
	}
	got := read(true)
	if want := read(false); got != want {
		t.Fatalf("%s: got\n%swant\n%s", src, got, want)
	}
}

func TestReadAttributes(t *testing.T) {
	known := newNames(newSpeech())
	for _, attribute := range []string{
		`{"key":"session.id","value":{"stringValue":"a"}}`,
		`{"key":"session.id","value":{},"stringValue":"a"}`,
		`{"key":"session.id","x":{"stringValue":"a"}}`,
		`{"x":"session.id","value":{"stringValue":"a"}}`,
		`{"key":1,"value":{"stringValue":"a"}}`,
		`{"key":"session.\u0069d","value":{"stringValue":"a"}}`,
		`{"key":"session.id","value":["a"]}`,
		`{"key":"session.id","value":{"arrayValue":{}}}`,
		`{"key":"session.id","value":{"stringValue":null}}`,
		`{"key":"gen_ai.prompt.0.role","value":{"stringValue":null}}`,
		`["session.id",{"stringValue":"a"}]`,
	} {
		checkRead(t, known, `[`+attribute+`]`)
		checkRead(t, known, `[`+attribute+`,`+attribute+`]`)
		checkRead(t, known, attribute)
	}
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(attributeText), 0, 6)
		checkRead(t, known, `[`+strings.Join(list.Draw(t, "attributes"), ",")+`]`)
	})
}
