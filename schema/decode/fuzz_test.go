package decode

import (
	"testing"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Nothing panics on any input. Every event has the mandatory fields, is printed as valid JSON, and reads back as
// itself. Every dead letter has a reason.
func FuzzDecode(f *testing.F) {
	for _, text := range hostile(corpus(f)) {
		f.Add(text, int64(0))
		f.Add(text+"\n"+text, int64(1))
		f.Add(text[:len(text)/2], int64(1))
	}
	for _, text := range otlpRecords(f) {
		f.Add(text, int64(0))
		if raw, ok := asProtobuf(text); ok {
			f.Add(raw, int64(0))
		}
	}
	f.Add(gzipped(f, small), int64(0))
	f.Add(`{"event.dataset":"","event.class":"x","time":"soon"}`, int64(0))
	w := everything()
	w.Raw = [][]string{{"request"}, {"metadata", "x"}, {"message", "jsonrpc"}}
	auto, err := New(Options{Format: everyFormat(), Wanted: w, Tenant: "t", TrustForwarded: []string{"0.0.0.0/0"}})
	if err != nil {
		f.Fatal(err)
	}
	back, err := New(Options{Format: "aidr", Wanted: everything()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, broker int64) {
		auto.Decode(text, Meta{Time: schema.Instant(broker)}, &Handler{
			Event: func(e *schema.Event) {
				if !e.Has(schema.Time) || e.Text(schema.EventDataset) == "" || e.Text(schema.EventClass) == "" {
					t.Fatalf("event without time, dataset or class: %s", formats.AppendEvent(nil, e, false))
				}
				roundTrip(t, back, e)
			},
			Dead: func(d Dead) {
				if d.Reason == "" || d.Detail == "" {
					t.Fatalf("dead letter without a reason: %v", d)
				}
			},
			FieldError: func(dataset, name string) {
				if dataset == "" || name == "" {
					t.Fatalf("field error without a name: %q %q", dataset, name)
				}
			},
		})
	})
}

// roundTrip checks that a printed event is valid JSON and reads back as the same line.
func roundTrip(t *testing.T, back *Decoder, e *schema.Event) {
	line := string(formats.AppendEvent(nil, e, true))
	if _, err := scan.Valid(line); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	events := 0
	back.Decode(line, Meta{}, &Handler{
		Event: func(e *schema.Event) {
			events++
			if got := string(formats.AppendEvent(nil, e, true)); got != line {
				t.Fatalf("read back:\n%s\nwant:\n%s", got, line)
			}
		},
		Dead: func(d Dead) { t.Fatalf("dead letter %s %s: %s", d.Reason, d.Detail, line) },
	})
	if events != 1 {
		t.Fatalf("read back %d events: %s", events, line)
	}
}
