package decode_test

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	. "github.com/aidr-engine/aidr/schema/decode"
)

// Every format has a record without escapes, and such a record costs no allocation in a decoder of all formats.
func TestNoFormatAllocates(t *testing.T) {
	r := allRecords(t)
	var decoders []*Decoder
	for _, wanted := range []schema.Wanted{Typical(), Everything()} {
		d, err := New(Options{Format: EveryFormat(), Wanted: wanted, Maps: shippedMaps(t).Maps()})
		if err != nil {
			t.Fatal(err)
		}
		decoders = append(decoders, d)
	}
	h := &Handler{Event: func(*schema.Event) {}}
	plain := map[string]int{}
	for _, name := range r.detector.Names {
		for _, record := range r.of[name] {
			if strings.Contains(record, `\`) || faulty(decoders[1], record) {
				continue
			}
			plain[name]++
			for _, d := range decoders {
				if n := testing.AllocsPerRun(20, func() { d.Decode(record, Meta{Time: 1}, h) }); n != 0 {
					t.Errorf("%s: got %v allocations per record, want 0: %.300s", name, n, record)
				}
			}
		}
	}
	for _, name := range r.detector.Names {
		if plain[name] == 0 {
			t.Errorf("format %s has no record in which nothing is escaped: add one to testdata/cases/decode/plain", name)
		}
	}
}

// faulty reports whether the record causes field errors. Those may allocate.
func faulty(d *Decoder, record string) bool {
	faults := 0
	d.Decode(record, Meta{Time: 1}, &Handler{FieldError: func(string, string) { faults++ }})
	return faults > 0
}
