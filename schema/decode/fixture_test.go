package decode

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// everything returns the fields that `aidr decode` wants.
func everything() schema.Wanted { return schema.Wanted{Fields: schema.AllFields()} }

// result is the result of decoding one record, as it is printed.
type result struct {
	lines  []string
	events []map[string]any
	dead   []Dead
	faults []string
	// skipped lists what was passed over, as dataset and reason.
	skipped []string
}

// decodeAll decodes one record.
func decodeAll(t testing.TB, o Options, raw string, m Meta) result {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d.all(t, raw, m)
}

func (d *Decoder) all(t testing.TB, raw string, m Meta) (res result) {
	t.Helper()
	d.Decode(raw, m, &Handler{
		Event: func(e *schema.Event) {
			line := formats.AppendEvent(nil, e, false)
			var flat map[string]any
			if err := json.Unmarshal(line, &flat); err != nil {
				t.Fatalf("printed event is not JSON: %v: %s", err, line)
			}
			res.lines = append(res.lines, string(line))
			res.events = append(res.events, flat)
		},
		Dead:       func(dead Dead) { dead.Body = strings.Clone(dead.Body); res.dead = append(res.dead, dead) },
		Skipped:    func(dataset, reason string) { res.skipped = append(res.skipped, dataset+" "+reason) },
		FieldError: func(dataset, name string) { res.faults = append(res.faults, dataset+" "+name) },
	})
	return res
}

// fixture is one line of testdata/fixtures, the form of the hand-made samples of many log formats: a record, and the
// events that it must give, each with the fields to compare.
type fixture struct {
	Name     string           `json:"name"`
	Raw      json.RawMessage  `json:"raw"`
	Expected []map[string]any `json:"expected"`
}

func readFixtures(t testing.TB, file string) (list []fixture) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var f fixture
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v: %s", file, err, line)
		}
		list = append(list, f)
	}
	return list
}

// record returns the fixture's record. If it is a JSON string, the string's text is the record.
func (f *fixture) record(t testing.TB) string {
	var text string
	if err := json.Unmarshal(f.Raw, &text); err == nil {
		return text
	}
	return string(f.Raw)
}

// flatten joins the keys of nested objects with dots. Arguments and results stay objects.
func flatten(in map[string]any, prefix string, out map[string]any) map[string]any {
	for k, v := range in {
		name := prefix + k
		nested, ok := v.(map[string]any)
		if ok && !strings.HasSuffix(name, "arguments") && !strings.HasSuffix(name, "result") {
			flatten(nested, name+".", out)
			continue
		}
		out[name] = v
	}
	return out
}

// same compares one field: null means absent, times may be written differently, numbers may differ by 1e-9.
func same(name string, want, got any) bool {
	if want == nil {
		return got == nil
	}
	if name == "time" {
		w, err := time.Parse(time.RFC3339Nano, want.(string))
		g, err2 := time.Parse(time.RFC3339Nano, got.(string))
		return err == nil && err2 == nil && w.Equal(g)
	}
	if w, ok := want.(float64); ok {
		g, ok := got.(float64)
		return ok && math.Abs(w-g) < 1e-9
	}
	return reflect.DeepEqual(want, got)
}

func compareFixture(t *testing.T, f *fixture, got []map[string]any) {
	t.Helper()
	if len(got) != len(f.Expected) {
		t.Fatalf("got %d events, want %d: %v", len(got), len(f.Expected), got)
	}
	for i, want := range f.Expected {
		for name, w := range flatten(want, "", map[string]any{}) {
			if !same(name, w, got[i][name]) {
				t.Errorf("event %d: %s: got %v, want %v", i, name, got[i][name], w)
			}
		}
	}
}

func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("../../testdata/fixtures/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		for _, f := range readFixtures(t, file) {
			t.Run(filepath.Base(file)+"/"+f.Name, func(t *testing.T) {
				res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, f.record(t), Meta{})
				compareFixture(t, &f, res.events)
				if len(res.faults) > 0 {
					t.Errorf("field errors: %v", res.faults)
				}
				if wantDead := len(f.Expected) == 0; wantDead != (len(res.dead) == 1) {
					t.Errorf("got dead letters %v, want one: %v", res.dead, wantDead)
				}
			})
		}
	}
}
