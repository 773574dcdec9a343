package formats

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// drawEvent draws an event with random fields; its texts may contain any bytes.
func drawEvent(t *rapid.T) *schema.Event {
	e := new(schema.Event)
	e.SetTime(schema.Time, rapid.Int64Range(-1<<60, 1<<60).Draw(t, "time"))
	e.SetText(schema.EventDataset, rapid.StringN(1, 5, -1).Draw(t, "dataset"))
	e.SetText(schema.EventClass, "tool")
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	for _, n := range rapid.SliceOfN(rapid.IntRange(0, schema.NumFields-1), 0, 20).Draw(t, "fields") {
		f := schema.Field(n)
		if f == schema.Time || f == schema.EventDataset || f == schema.EventClass || f.OfTrigger() {
			continue
		}
		switch f.Info().Type {
		case schema.TypeString:
			e.SetText(f, text.Draw(t, "text"))
		case schema.TypeInt:
			e.SetInt(f, rapid.Int64().Draw(t, "int"))
		case schema.TypeDouble:
			e.Set(f, schema.DoubleValue(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "double")))
		case schema.TypeBool:
			e.Set(f, schema.BoolValue(rapid.Bool().Draw(t, "bool")))
		case schema.TypeTimestamp:
			e.SetTime(f, rapid.Int64Range(-1<<60, 1<<60).Draw(t, "timestamp"))
		case schema.TypeDyn:
			e.Set(f, rapid.SampledFrom([]schema.Value{
				schema.StringValue(`{"a":1}`), schema.StringValue("x"), schema.JSONValue("{ \"a\" : [ 1 ,\n\"b \\\" c\" ] }"),
				schema.JSONValue("5"), schema.JSONValue("[]"), schema.JSONValue("true"),
			}).Draw(t, "dyn"))
		case schema.TypeList:
			e.Set(f, schema.ListValue(`["a","b \u0001"]`))
		}
	}
	return e
}

// AppendEvent writes any event as one line of valid JSON with all fields of the event.
func TestAppendEventIsValidJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		line := AppendEvent(nil, e, rapid.Bool().Draw(t, "identity"))
		if strings.ContainsAny(string(line), "\n\r") {
			t.Fatalf("more than one line: %q", line)
		}
		if _, err := scan.Valid(string(line)); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		for f := range e.Present().All {
			v, ok := got[f.String()]
			if !ok {
				t.Fatalf("%s is missing: %q", f, line)
			}
			if f.Info().Type == schema.TypeString && v != strings.ToValidUTF8(e.Text(f), "\ufffd") && !strings.ContainsRune(v.(string), 0xfffd) {
				t.Fatalf("%s: got %q, want %q", f, v, e.Text(f))
			}
		}
	})
}

// The format aidr reads a line of AppendEvent into an event for which AppendEvent writes the same line.
func TestAidrReadsBackWhatIsWritten(t *testing.T) {
	p := new(Paths)
	reader := Aidr().NewReader(p)
	el := NewElement(Setup{Wanted: schema.Wanted{Fields: schema.AllFields()}}, p)
	values := make([]scan.Span, p.Trie().Len())
	rapid.Check(t, func(t *rapid.T) {
		line := string(AppendEvent(nil, drawEvent(t), true))
		var got string
		emit := func(e *schema.Event) { got = string(AppendEvent(nil, e, true)) }
		el.BeginRecord(schema.Position{}, 0, emit, func(_, name string) { t.Errorf("field error %s", name) })
		if _, err := p.Trie().Select(line, values); err != nil {
			t.Fatal(err)
		}
		el.Reset(0, line, line, values)
		reader.Read(el)
		if got != line {
			t.Fatalf("got %s, want %s", got, line)
		}
	})
}

func TestAppendEventIsInTheOrderOfTheTable(t *testing.T) {
	e := new(schema.Event)
	e.Set(schema.GenAIUsageCost, schema.DoubleValue(0.0000001))
	e.SetText(schema.EventDataset, "d\"\\\n\x7f\u2028\xff")
	e.SetTime(schema.Time, 1767261600100000000)
	e.SetInt(schema.EventDuration, -1)
	e.Given = schema.ID{0xab}
	const want = `{"_identity":"ab000000-0000-0000-0000-000000000000","time":"2026-01-01T10:00:00.1Z","event.duration":-1,` +
		`"event.dataset":"d\"\\\n\u007f\u2028` + "\ufffd" + `","gen_ai.usage.cost":1e-07}`
	if got := string(AppendEvent(nil, e, true)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = AppendEvent(buf[:0], e, false) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
