package decode_test

import (
	"encoding/json"
	stdmaps "maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/schema"
	. "github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/scan"
)

// shippedMaps returns the field maps that ship.
func shippedMaps(t testing.TB) *maps.Set {
	t.Helper()
	set, problems := maps.Load()
	if set == nil {
		t.Fatalf("load the shipped maps: %v", problems)
	}
	return set
}

// records holds records of every format, recognised by their keys, in a fixed order.
type records struct {
	detector *Detector
	of       map[string][]string // by format
	texts    []string            // everything that was added, including envelopes
}

// allRecords collects the records in the repository: fixtures, cases, plain records, and the tests of maps.
func allRecords(t testing.TB) *records {
	t.Helper()
	set := shippedMaps(t)
	r := &records{detector: NewDetector(t, set.Maps()), of: map[string][]string{}}
	plain := Plain(t)
	for _, name := range slices.Sorted(stdmaps.Keys(plain)) {
		r.add(plain[name])
	}
	for _, file := range append(glob(t, "../../testdata/fixtures/*.jsonl"), glob(t, "../../testdata/fixtures/maps/*.jsonl")...) {
		for _, f := range ReadFixtures(t, file) {
			r.add(f.Record(t))
		}
	}
	for _, file := range glob(t, "../../testdata/cases/decode/*.txtar") {
		names, cases := ReadCases(t, file)
		for _, name := range names {
			r.add(cases[name].Record())
		}
	}
	for _, f := range set.Files {
		for _, test := range f.Tests {
			r.add(test.Record)
		}
	}
	return r
}

// fewRecords is the minimum number of records of a format: plain, absent, null, wrong type, text for numbers, hostile.
const fewRecords = 6

// The tests over all formats prove something about a format only if it has records, so a new format needs some.
func TestEveryFormatHasRecords(t *testing.T) {
	r := allRecords(t)
	for _, name := range r.detector.Names {
		if n := len(r.of[name]); n < fewRecords {
			t.Errorf("format %s has %d records, want %d: add some to testdata/cases/decode", name, n, fewRecords)
		}
	}
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files: %v", pattern, err)
	}
	return files
}

// maxRecordText is the length in bytes of the longest record used. These tests put records into records.
const maxRecordText = 64 << 10

// add adds a record or, if it is an envelope, the records in it.
func (r *records) add(text string) {
	text = strings.TrimSpace(text)
	if len(text) > maxRecordText || text == "" {
		return
	}
	r.texts = append(r.texts, text)
	if r.element(text) {
		return
	}
	var inner []string
	r.detector.Decode(text, Meta{Time: 1}, &Handler{Event: func(e *schema.Event) {
		if element := strings.Clone(e.Record); !slices.Contains(inner, element) {
			inner = append(inner, element)
		}
	}})
	for _, element := range inner {
		r.element(element)
	}
}

// element adds a record of a format if it gives events. It returns false if the text has no format.
func (r *records) element(text string) bool {
	name := r.detector.Of(text)
	if name == "" {
		return false
	}
	events := 0
	r.detector.Decode(text, Meta{Time: 1}, &Handler{Event: func(*schema.Event) { events++ }})
	if events > 0 && !slices.Contains(r.of[name], text) {
		r.of[name] = append(r.of[name], text)
	}
	return true
}

// longest returns the n longest records of a format, which fill the most fields.
func (r *records) longest(format string, n int) []string {
	list := slices.Clone(r.of[format])
	slices.SortStableFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list[:min(n, len(list))]
}

// bodies returns the paths at which any record of a format has a text that is JSON. A text at such a path is a body in all
// records of the format, even if it is empty.
func (r *records) bodies(format string) map[string]bool {
	paths := map[string]bool{}
	for _, record := range r.of[format] {
		values, _ := walk(record)
		for i := range values {
			if values[i].body {
				paths[values[i].path] = true
			}
		}
	}
	return paths
}

// position is a place in a record's text where something can be inserted.
type position struct {
	path   string
	before string // the text around it
	after  string
	body   bool      // the text at the place is itself JSON
	outer  *position // the string that before and after are inside of, or nil for the record itself
}

// with returns the record with text at the position.
func (p *position) with(text string) string {
	text = p.before + text + p.after
	if p.outer == nil {
		return text
	}
	return p.outer.with(quoted(text))
}

// walk returns the positions of all string values and of the beginnings of all objects, including those in JSON inside
// strings.
func walk(src string) (values, members []position) {
	w := &walker{}
	if v, err := scan.Valid(src); err == nil {
		w.value(src, v, "", nil, 0)
	}
	return w.values, w.members
}

type walker struct {
	values, members []position
	arena           scan.Arena
}

// maxStrings is the number of nested strings around JSON that walk looks into.
const maxStrings = 2

func (w *walker) value(src string, v scan.Span, path string, outer *position, level int) {
	switch v.Kind {
	case scan.Object:
		w.members = append(w.members, position{path: path, before: src[:v.Start+1], after: src[v.Start+1:], outer: outer})
		scan.Members(src, v, &w.arena, func(key string, member scan.Span) bool {
			w.value(src, member, path+"."+key, outer, level)
			return true
		})
	case scan.Array:
		scan.Each(src, v, func(elem scan.Span) bool {
			w.value(src, elem, path+"[]", outer, level)
			return true
		})
	case scan.String:
		at := position{path: path, before: src[:v.Start], after: src[v.End:], outer: outer}
		text := scan.Text(src, v, &w.arena)
		inner, err := scan.Valid(text)
		at.body = err == nil && inner.Kind >= scan.Object
		w.values = append(w.values, at)
		if at.body && level < maxStrings {
			w.value(text, inner, path+"\"", &at, level+1)
		}
	}
}

// quoted writes a text as a JSON string.
func quoted(text string) string {
	line, err := json.Marshal(text)
	if err != nil {
		panic(err) // cannot fail for a string
	}
	return string(line)
}

// member returns the record with a member inserted at the beginning of the object at the position.
func (p *position) member(name, value string) string {
	text := name + ":" + value
	if !strings.HasPrefix(strings.TrimLeft(p.after, " \t\r\n"), "}") {
		text += ","
	}
	return p.with(text)
}
