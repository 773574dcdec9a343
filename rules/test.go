package rules

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// tests reads the tests in the file. Package engine/cases runs them.
func (r *reader) tests(n *doc.Node) {
	items := n.Items()
	if len(items) > MaxTests {
		n.Fail("has %d tests, the limit is %d: remove some", len(items), MaxTests)
		return
	}
	names := map[string]bool{}
	for _, item := range items {
		f := item.Fields()
		name := f.Need("name")
		t := Test{Name: name.Filled(), Line: item.Line}
		if names[t.Name] && t.Name != "" {
			name.Fail("another test has this name: choose another name")
		}
		names[t.Name] = true
		if agents, owners := f.Get("agents"), f.Get("owners"); agents != nil || owners != nil {
			t.Agents = site.AgentsOf(agents, owners)
		}
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
			item.Fail("has both or none of set and raw: write one of them, set for fields or raw for a record")
		}
		e.Set, e.SetRaw = r.testSet(set)
		e.Raw = rawRecord(raw)
		e.Format = "auto"
		if format != nil {
			e.Format = format.Filled()
			if raw == nil {
				format.Fail("is the format of raw, and there is no raw: leave it out")
			}
		}
		if total += e.Repeat; total > MaxTestEvents {
			item.Fail("makes the test longer than %d events: use fewer repeats", MaxTestEvents)
			return out
		}
		out = append(out, e)
	}
	if n != nil && n.Kind == doc.List && len(out) == 0 {
		n.Fail("is empty: write at least one event")
	}
	return out
}

// rawRecord reads a record that is given as text, or as a YAML mapping or list, which it converts to JSON.
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

// jsonOf returns a value as JSON, with sorted keys and without escaping < for HTML.
func jsonOf(n *doc.Node) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(n.Any()); err != nil {
		n.Fail("cannot be written as JSON: %v", err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// testSet reads the fields and the raw paths of an event.
func (r *reader) testSet(n *doc.Node) (fields map[schema.Field]schema.Value, raws []RawValue) {
	if n == nil {
		return nil, nil
	}
	fields = map[schema.Field]schema.Value{}
	n.Each(func(name, value *doc.Node) {
		if text := name.String(); strings.HasPrefix(text, "raw.") || strings.HasPrefix(text, "raw[") {
			if path := r.testPath(name); path != nil {
				raws = append(raws, RawValue{path, value.Any()})
			}
			return
		}
		if f, ok := r.field(name); ok {
			fields[f] = testValue(f, value)
		}
	})
	return fields, raws
}

// testPath reads a raw path that a test sets. The record of a test has the fields by their names, so a path must not begin
// with one.
func (r *reader) testPath(name *doc.Node) []string {
	o, ok := r.rawPath(name, name.String())
	if !ok {
		return nil
	}
	path := r.compiler.env.RawPaths()[o.Raw]
	if _, isField := schema.FieldByName(path[0]); isField {
		name.Fail("%s is the name of a field in the record that the test makes: set %s, or give the record in raw", path[0], path[0])
		return nil
	}
	return path
}

// testValue reads a value of the field's type.
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
			n.Fail("%q is not a time: write it as 2026-01-01T00:00:00Z", doc.Short(n.String()))
		}
		return schema.TimestampValue(t.UnixNano())
	case schema.TypeList:
		n.Strings() // only for the problems that it records
		return schema.ListValue(jsonOf(n))
	}
	if n.Kind == doc.Text { // TypeDyn: text, or any JSON
		return schema.StringValue(n.String())
	}
	return schema.JSONValue(jsonOf(n))
}

// testFindings reads the findings that a test expects. Their keys are the JSON names of a finding, with `by` for `key`.
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
				item.Fail("by must be a mapping of fields to values, as in by: {ai_agent.uid: a1}")
			}
		}
		out = append(out, want)
	}
	return out
}

// findingKeys returns the names that may occur in an expected finding.
func findingKeys() []string {
	keys := []string{"by"}
	t := reflect.TypeFor[schema.Finding]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "revision" && name != "detected_at" { // these two depend on the order of arrival
			keys = append(keys, name)
		}
	}
	return keys
}
