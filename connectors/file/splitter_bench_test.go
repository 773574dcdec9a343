package file

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
)

// discard is a Reader that counts records and batches.
type discard struct{ n, batches int }

func (d *discard) Assigned(connectors.Partition) (int64, bool) { return 0, false }
func (d *discard) Read(_ context.Context, b *connectors.Batch) error {
	d.n += len(b.Records)
	d.batches++
	return nil
}
func (d *discard) Revoked(context.Context, connectors.Partition) error { return nil }
func (d *discard) Standby(string, string)                              {}

// forms returns texts with n records of about 1.2 KB each, one text for each form of document.
func forms(n int) []struct{ name, text string } {
	var lines, pretty []string
	for i := range n {
		pad := strings.Repeat("text of some words ", 60)
		lines = append(lines, fmt.Sprintf(`{"n":%d,"name":"some \"name\"","list":[1,2,{"a":"b"}],"pad":%q}`, i, pad))
		pretty = append(pretty, fmt.Sprintf("{\n  \"n\": %d,\n  \"list\": [\n    1,\n    2\n  ],\n  \"pad\": %q\n}", i, pad))
	}
	return []struct{ name, text string }{
		{"lines", strings.Join(lines, "\n")},
		{"array", "[" + strings.Join(lines, ",") + "]"},
		{"records", `{"Records":[` + strings.Join(lines, ",") + "]}"},
		{"pretty", strings.Join(pretty, "\n")},
	}
}

func BenchmarkSplit(b *testing.B) {
	const n = 20_000
	for _, form := range forms(n) {
		b.Run(form.name, func(b *testing.B) {
			b.SetBytes(int64(len(form.text)))
			b.ReportAllocs()
			for b.Loop() {
				d := &discard{}
				if err := newSplitter(b.Context(), strings.NewReader(form.text), batcher{to: d}).run(); err != nil || d.n != n {
					b.Fatalf("%d records, error %v", d.n, err)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// A batch costs three allocations: the Batch, its text and its records. A single record costs no allocation.
func TestAllocations(t *testing.T) {
	const setup = 24 // the splitter, its reader and the growth of its buffer
	for _, form := range forms(20_000) {
		d := &discard{}
		got := testing.AllocsPerRun(1, func() {
			d.n, d.batches = 0, 0
			if err := newSplitter(t.Context(), strings.NewReader(form.text), batcher{to: d}).run(); err != nil {
				t.Fatal(err)
			}
		})
		if want := float64(3*d.batches + setup); got > want || d.n != 20_000 {
			t.Errorf("%s: %.0f allocations for %d batches of %d records, want at most %.0f", form.name, got, d.batches, d.n, want)
		}
	}
}
