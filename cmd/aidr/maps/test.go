package maps

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// tests reads the tests of a map.
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
		t.Record = record(f.Need("record"))
		for _, event := range f.Get("events").Items() {
			t.Events = append(t.Events, r.expected(event))
		}
		t.Dead, t.Faults = f.Get("dead").Strings(), f.Get("faults").Strings()
		f.Done()
		if len(t.Events)+len(t.Dead) == 0 && item.Kind == doc.Map {
			item.Fail("expects nothing: give the events that the record yields, or the reasons of its dead letters as dead")
		}
		r.file.Tests = append(r.file.Tests, t)
	}
}

// record returns a record, which is given as text or as a YAML mapping or list.
func record(n *doc.Node) string {
	if n == nil || n.Kind == doc.Text {
		return n.Filled()
	}
	if n.Kind != doc.Map && n.Kind != doc.List {
		n.Fail("is %s, not a record: write it as JSON text, or as a mapping", n.Kind)
		return ""
	}
	text, err := json.Marshal(n.Any())
	if err != nil {
		n.Fail("cannot be written as JSON: %v", err)
	}
	return string(text)
}

// expected reads the fields that an event must have. null means that it must not have the field.
func (r *reader) expected(n *doc.Node) map[string]any {
	want := map[string]any{}
	n.Each(func(name, value *doc.Node) {
		if _, ok := schema.FieldByName(name.String()); !ok {
			name.Fail("there is no such field: schema/FIELDS.md lists them")
		}
		want[name.String()] = normal(value.Any())
	})
	return want
}

// normal converts a value to the types that decoding the printed event yields, so that the two can be compared.
func normal(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return v
	}
	return out
}

// Result is the outcome of one test.
type Result struct {
	File *File
	Test *Test
	Diff string // the differences, "" if the test passes
}

// Run runs the tests of the files for which include returns true, or of all files if include is nil, and calls report with
// each result in order. All maps of the set and all built-in formats take part in recognising a record, so a test also
// shows that no other format claims the record.
func (s *Set) Run(include func(*File) bool, report func(Result)) error {
	d, err := decode.New(decode.Options{Format: decode.Auto, Maps: s.Maps(), Wanted: schema.Wanted{Fields: schema.AllFields()}})
	if err != nil {
		return fmt.Errorf("make a decoder of the field maps: %w", err)
	}
	for _, f := range s.Files {
		if include != nil && !include(f) {
			continue
		}
		for i := range f.Tests {
			report(Result{File: f, Test: &f.Tests[i], Diff: f.Tests[i].run(d)})
		}
	}
	return nil
}

// run decodes the record and returns the differences from the expected events, dead letters and faults.
func (t *Test) run(d *decode.Decoder) string {
	var diff strings.Builder
	var dead, faults []string
	events := 0
	d.Decode(t.Record, decode.Meta{}, &decode.Handler{
		Event: func(e *schema.Event) {
			if events++; events > len(t.Events) {
				fmt.Fprintf(&diff, "unexpected event: %s\n", formats.AppendEvent(nil, e, false))
				return
			}
			compare(&diff, events, t.Events[events-1], formats.AppendEvent(nil, e, false))
		},
		Dead:       func(x decode.Dead) { dead = append(dead, x.Reason) },
		FieldError: func(_, name string) { faults = append(faults, name) },
	})
	for i := events; i < len(t.Events); i++ {
		fmt.Fprintf(&diff, "missing event %d\n", i+1)
	}
	if !slices.Equal(dead, t.Dead) {
		fmt.Fprintf(&diff, "dead letters: got %q, want %q\n", dead, t.Dead)
	}
	if !slices.Equal(faults, t.Faults) {
		fmt.Fprintf(&diff, "faults: got %q, want %q\n", faults, t.Faults)
	}
	return diff.String()
}

// compare writes the fields in which the printed event differs from the expected one.
func compare(diff *strings.Builder, number int, want map[string]any, line []byte) {
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		fmt.Fprintf(diff, "event %d is not JSON: %v\n", number, err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !same(name, want[name], got[name]) {
			fmt.Fprintf(diff, "event %d: %s: got %s, want %s\n", number, name, text(got[name]), text(want[name]))
		}
	}
}

// same reports whether two values of a field are equal: times as instants, numbers up to a relative error of 1e-9.
func same(name string, want, got any) bool {
	if w, ok := want.(string); ok && name == schema.Time.String() {
		g, ok := got.(string)
		a, err := time.Parse(time.RFC3339Nano, w)
		b, err2 := time.Parse(time.RFC3339Nano, g)
		return ok && err == nil && err2 == nil && a.Equal(b)
	}
	if w, ok := want.(float64); ok {
		g, ok := got.(float64)
		return ok && math.Abs(w-g) <= 1e-9*max(1, math.Abs(w))
	}
	return reflect.DeepEqual(want, got)
}

func text(v any) string {
	if v == nil {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
