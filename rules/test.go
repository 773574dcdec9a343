package rules

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// tests reads the tests in the file. What they mean is run elsewhere; here is only what can be wrong with them.
func (r *reader) tests(n *doc.Node) {
	items := n.Items()
	if len(items) > MaxTests {
		n.Fail("%d tests are more than %d", len(items), MaxTests)
		return
	}
	names := map[string]bool{}
	for _, item := range items {
		f := item.Fields()
		name := f.Need("name")
		t := Test{Name: name.Filled(), Line: item.Line}
		if names[t.Name] && t.Name != "" {
			name.Fail("two tests have this name: choose another")
		}
		names[t.Name] = true
		t.Events = r.testEvents(f.Need("events"))
		t.Findings = r.testFindings(f.Need("findings"))
		f.Done()
		r.rule.Tests = append(r.rule.Tests, t)
	}
}

func (r *reader) testEvents(n *doc.Node) []TestEvents {
	var out []TestEvents
	total := 0
	for _, item := range n.Items() {
		f := item.Fields()
		e := TestEvents{Line: item.Line, Repeat: 1}
		if at := f.Get("at"); at != nil {
			e.At, e.HasAt = at.Duration(0, MaxSpan), true
		}
		if repeat := f.Get("repeat"); repeat != nil {
			e.Repeat = int(repeat.Int(1, MaxTestEvents))
		}
		if every := f.Get("every"); every != nil {
			e.Every = every.Duration(0, MaxSpan)
		}
		set, raw, format := f.Get("set"), f.Get("raw"), f.Get("format")
		f.Done()
		if (set == nil) == (raw == nil) && item.Kind == doc.Map {
			item.Fail("needs exactly one of set (fields) and raw (a record)")
		}
		e.Set = r.testSet(set)
		e.Raw = rawRecord(raw)
		e.Format = "auto"
		if format != nil {
			e.Format = format.Filled()
			if raw == nil {
				format.Fail("belongs to raw: leave it out")
			}
		}
		if total += e.Repeat; total > MaxTestEvents {
			item.Fail("makes more than %d events in one test", MaxTestEvents)
			return out
		}
		out = append(out, e)
	}
	if n != nil && n.Kind == doc.List && len(out) == 0 {
		n.Fail("is empty: a test without an event shows nothing")
	}
	return out
}

// rawRecord takes a record as text, or written out in YAML.
func rawRecord(n *doc.Node) string {
	if n == nil {
		return ""
	}
	if n.Kind == doc.Text {
		return n.Filled()
	}
	if n.Kind != doc.Map && n.Kind != doc.List {
		n.Fail("is %s, not a record: write it as JSON text, or as a mapping", n.Kind)
		return ""
	}
	return jsonOf(n)
}

// jsonOf writes a value as producers do: keys sorted, and < as it is.
func jsonOf(n *doc.Node) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(n.Any()); err != nil {
		n.Fail("cannot be written as JSON: %v", err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (r *reader) testSet(n *doc.Node) map[schema.Field]schema.Value {
	if n == nil {
		return nil
	}
	out := map[schema.Field]schema.Value{}
	n.Each(func(name, value *doc.Node) {
		if f, ok := r.field(name); ok {
			out[f] = testValue(f, value)
		}
	})
	return out
}

// testValue reads a value as the field's type wants it.
func testValue(f schema.Field, n *doc.Node) schema.Value {
	switch f.Info().Type {
	case schema.TypeString:
		return schema.StringValue(n.String())
	case schema.TypeInt:
		return schema.IntValue(n.Int(-1<<63, 1<<63-1))
	case schema.TypeDouble:
		return schema.DoubleValue(n.Float())
	case schema.TypeBool:
		return schema.BoolValue(n.Bool())
	case schema.TypeTimestamp:
		t, err := time.Parse(time.RFC3339Nano, n.String())
		if err != nil {
			n.Fail("%q is no time: write it as 2026-01-01T00:00:00Z", doc.Short(n.String()))
		}
		return schema.TimestampValue(t.UnixNano())
	case schema.TypeList:
		n.Strings() // for its problems
		return schema.ListValue(jsonOf(n))
	}
	if n.Kind == doc.Text { // TypeDyn: text, or any JSON
		return schema.StringValue(n.String())
	}
	return schema.JSONValue(jsonOf(n))
}

// testFindings reads what a test expects. The keys are a finding's JSON names; `by` stands for `key`.
func (r *reader) testFindings(n *doc.Node) []map[string]any {
	var out []map[string]any
	known := findingKeys()
	for _, item := range n.Items() {
		want := map[string]any{}
		item.Each(func(name, value *doc.Node) {
			key := name.String()
			if !slices.Contains(known, key) {
				hint := ""
				if near := doc.Nearest(key, known); near != "" {
					hint = fmt.Sprintf(": did you mean %s?", near)
				}
				name.Fail("a finding has no %q%s", doc.Short(key), hint)
			}
			want[key] = value.Any()
		})
		if by, ok := want["by"]; ok {
			if _, isMap := by.(map[string]any); !isMap {
				item.Fail("by is a mapping of fields and values, as in by: {ai_agent.uid: a1}")
			}
		}
		out = append(out, want)
	}
	return out
}

// findingKeys are the names that a test can expect something of.
func findingKeys() []string {
	keys := []string{"by"}
	t := reflect.TypeFor[schema.Finding]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "revision" && name != "detected_at" { // these tell of arrival, not of events
			keys = append(keys, name)
		}
	}
	return keys
}
