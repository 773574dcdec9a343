package decode_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
	. "github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// recorder prints everything that a record gives, including identities.
type recorder struct {
	d     *Decoder
	lines []string
	h     Handler
}

func newRecorder(d *Decoder) *recorder {
	r := &recorder{d: d}
	r.h = Handler{
		Event: func(e *schema.Event) {
			r.add(fmt.Sprintf("event %v %s", e.Identity(), formats.AppendEvent(nil, e, false)))
		},
		Dead:       func(d Dead) { r.add("dead " + d.Reason + " " + d.Detail + " " + d.Body) },
		FieldError: func(dataset, name string) { r.add("fault " + dataset + " " + name) },
	}
	return r
}

func (r *recorder) add(line string) { r.lines = append(r.lines, line) }

func (r *recorder) of(record string, m Meta) []string {
	r.lines = nil
	r.d.Decode(record, m, &r.h)
	return r.lines
}

// A record gives the same from a new decoder and from one that has decoded any records before, including damaged ones,
// and wherever it was read.
func TestEveryFormatDecodesTheSameInAnyCompany(t *testing.T) {
	r := allRecords(t)
	set := shippedMaps(t).Maps()
	open := func(t testing.TB) *recorder {
		d, err := New(Options{Format: Auto, Wanted: Everything(), Maps: set})
		if err != nil {
			t.Fatal(err)
		}
		return newRecorder(d)
	}
	alone := make([][]string, len(r.texts))
	for i, text := range r.texts {
		alone[i] = open(t).of(text, Meta{Time: 5})
	}
	used := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		for n := range rapid.IntRange(1, 30).Draw(rt, "records") {
			i := rapid.IntRange(0, len(r.texts)-1).Draw(rt, "record")
			text := r.texts[i]
			at := Meta{Time: 5, Pos: schema.Position{
				Topic: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "topic"), Partition: int32(rapid.IntRange(0, 9).Draw(rt,
					"partition")), Offset: int64(n),
			}}
			if rapid.IntRange(0, 3).Draw(rt, "damage") == 0 {
				cut := rapid.IntRange(0, len(text)).Draw(rt, "cut")
				used.of(text[:cut], at)
				used.of(text[cut:]+strings.Repeat("[{\"a\":", 40), at)
			}
			if got := used.of(text, at); !slices.Equal(got, alone[i]) {
				rt.Fatalf("after others:\ngot  %q\nwant %q", got, alone[i])
			}
		}
	})
}

// The messages in a span's events stay with the span: a log record of a call that is read after it has no prompt of its own.
func TestSpanEventsDoNotReachTheNextRecord(t *testing.T) {
	const span = `{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"chat","startTimeUnixNano":` +
		`"1777629600000000000","endTimeUnixNano":"1777629601000000000","attributes":{"gen_ai.operation.name":"chat"},` +
		`"events":[{"name":"gen_ai.user.message","attributes":{"content":"the secret of another agent"}}]}`
	const log = `{"resource":{},"scope":{"name":"s"},"timeUnixNano":"1777629600000000000","body":null,"eventName":"gen_ai.client.inference.operation.details",` +
		`"attributes":{"gen_ai.operation.name":"chat","gen_ai.request.model":"m"}}`
	d, err := New(Options{Format: Auto, Wanted: Everything()})
	if err != nil {
		t.Fatal(err)
	}
	var prompts []string
	h := &Handler{Event: func(e *schema.Event) {
		prompts = append(prompts, strings.Clone(e.Text(schema.MessageContextPromptText)))
	}}
	for _, record := range []string{span, log} {
		d.Decode(record, Meta{Time: 1}, h)
	}
	if want := []string{"the secret of another agent", ""}; !slices.Equal(prompts, want) {
		t.Errorf("got prompts %q, want %q", prompts, want)
	}
}
