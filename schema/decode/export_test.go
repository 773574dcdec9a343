package decode

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// The tests over all formats and the shipped field maps are in package decode_test, because maps are read by a package
// that imports this one. This file exports to them the internals that they need.

// Detector returns the format names of records.
type Detector struct {
	*Decoder
	Names []string // of all formats, in the order of the list
}

// NewDetector returns a detector of all formats and these maps.
func NewDetector(t testing.TB, maps []*Map) *Detector {
	format := everyFormat()
	for _, m := range maps {
		format += "," + m.Name
	}
	d, err := New(Options{Format: format, Wanted: everything(), Maps: maps})
	if err != nil {
		t.Fatal(err)
	}
	detector := &Detector{Decoder: d}
	for _, f := range withMaps(maps) {
		detector.Names = append(detector.Names, f.Name)
	}
	return detector
}

// everyFormat detects the format and names all built-in ones, so that each is recognised in any text. Tests of envelopes and
// readers use it; workload_text.txtar has the cases without names.
func everyFormat() string {
	names := []string{Auto}
	for _, f := range all() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ",")
}

// EveryFormat is everyFormat for the tests in package decode_test.
func EveryFormat() string { return everyFormat() }

// Of returns the name of the format whose keys the record has at its top, or "" if no format
// fits or the record is not an object.
func (d *Detector) Of(record string) string {
	if _, err := d.selection.Select(record); err != nil {
		return ""
	}
	if f, _ := d.detector.format(record, d.selection, false); f >= 0 {
		return d.Names[f]
	}
	return ""
}

type (
	Fixture    = fixture
	DecodeCase = decodeCase
)

func (c *decodeCase) Record() string                { return c.record }
func (f *fixture) Record(t testing.TB) string       { return f.record(t) }
func Everything() schema.Wanted                     { return everything() }
func Typical() schema.Wanted                        { return typical() }
func SamplesDir(t testing.TB) string                { return samplesDir(t) }
func LinesOf(t testing.TB, file string) []string    { return linesOf(t, file) }
func Plain(t testing.TB) map[string]string          { return plain(t) }
func CheckEvent(t testing.TB, e map[string]any)     { checkEvent(t, e) }
func Hostile(records []string) []string             { return hostile(records) }
func ReadFixtures(t testing.TB, f string) []Fixture { return readFixtures(t, f) }

func ReadCases(t testing.TB, file string) ([]string, map[string]*DecodeCase) {
	return readCases(t, file)
}

func CompareFixture(t *testing.T, f *Fixture, got []map[string]any) { compareFixture(t, f, got) }

// Result is the result of decoding one record.
type Result struct {
	Lines  []string
	Events []map[string]any
	Dead   []Dead
	Faults []string
}

// All decodes one record.
func (d *Decoder) All(t testing.TB, raw string, m Meta) Result {
	r := d.all(t, raw, m)
	return Result{r.lines, r.events, r.dead, r.faults}
}

// KeySetsOf returns the key sets of a format.
func KeySetsOf(t testing.TB, name string) []formats.Signature {
	for _, f := range all() {
		if f.Name == name {
			return f.Signatures
		}
	}
	t.Fatalf("there is no format %s", name)
	return nil
}
