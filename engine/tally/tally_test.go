package tally

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// TestNeeds counts an event of a call and one of a model, and reads the row that comes out.
func TestNeeds(t *testing.T) {
	var call, chat schema.Event
	call.SetText(schema.AIAgentUID, "k1")
	call.SetText(schema.GenAIToolName, "search")
	call.SetText(schema.GenAIToolCallArguments, "{}")
	call.Set(schema.GenAIToolCalled, schema.BoolValue(true))
	chat.SetText(schema.AIAgentUID, "k1")
	chat.SetText(schema.EventOutcome, "success")
	at := schema.InstantOf(time.Date(2026, 1, 1, 0, 20, 0, 0, time.UTC))
	b := NewBatch(1)
	for range 20 {
		b.Event(&chat, 0, at)
		b.Event(&call, 0, at)
	}
	b.Matched(0, at, 2)
	b.Matched(0, at, 0)
	b.Refused(0, at, 1, 3)
	b.Late(0, at)
	var l Ledger
	l.Add(b, "logs", []string{"litellm"}, func(int) string { return "r" })
	book := NewBook()
	book.Add(l.Take())
	changes, rows := book.Close(7, at, true)
	if len(changes) != 3 {
		t.Errorf("got %d changes for the store, want the rule, the source and the watermark", len(changes))
	}
	got := readRows(t, rows)
	want := "[{r 2026-01-01T00:20:00Z 2 0 0 0 1 0 1 2 3 7 0} {logs litellm 2026-01-01T00:00:00Z 40 [40 40 40 20 0 40] [0 40 20 0 0 20] 7 0}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	b.Reset()
	b.Event(&chat, 0, at)
	if len(b.quality) != 1 || b.quality[0].events != 1 || len(b.rules) != 0 {
		t.Errorf("after Reset the batch has %v and %v", b.quality, b.rules)
	}
}

func readRows(t *testing.T, rows []byte) (out []any) {
	t.Helper()
	for rest := string(rows); rest != ""; {
		if rest[0] != 1 || !IsRow(rest[1:2]) {
			t.Fatalf("the row begins with %q", rest[:2])
		}
		var r Row
		var err error
		if r, rest, err = ReadRow(rest[2:], 7); err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Rule != nil:
			out = append(out, *r.Rule)
		case r.Source != nil:
			out = append(out, *r.Source)
		default:
			out = append(out, *r.Event)
		}
	}
	return out
}

// TestBatchAllocates checks that counting an event allocates nothing in a steady state.
func TestBatchAllocates(t *testing.T) {
	var e schema.Event
	e.SetText(schema.AIAgentUID, "k1")
	b := NewBatch(4)
	n := testing.AllocsPerRun(100, func() {
		b.Reset()
		for i := range 64 {
			at := schema.Instant(i) * minute / 8
			b.Event(&e, int32(i%2), at)
			b.Matched(i%4, at, 0)
		}
	})
	if n > 0 {
		t.Errorf("64 events take %v allocations", n)
	}
}

// TestBookAcrossRestarts closes a book, restores it from what the store has, and counts what is late in the minute of the watermark.
func TestBookAcrossRestarts(t *testing.T) {
	stored := map[string][]byte{}
	book := NewBook()
	step := func(at, watermark schema.Instant, rows bool) []any {
		t.Helper()
		var c Counts
		c.Opened("r", at)
		book.Add(c)
		changes, out := book.Close(1, watermark, rows)
		for _, kv := range changes {
			if kv.Value == nil {
				delete(stored, string(kv.Key))
			} else {
				stored[string(kv.Key)] = kv.Value
			}
		}
		book = NewBook()
		for k, v := range stored {
			if err := book.Restore([]byte(k), v); err != nil {
				t.Fatal(err)
			}
		}
		return readRows(t, out)
	}
	step(10*minute, 0, false)
	step(10*minute, 9*minute, false)
	if got := fmt.Sprint(step(12*minute, 11*minute, true)); got != "[{r 1970-01-01T00:10:00Z 0 0 2 0 0 0 0 0 0 1 0} {r 1970-01-01T00:12:00Z 0 0 1 0 0 0 0 0 0 1 0}]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(step(minute, 20*minute, true)); got != "[{r 1970-01-01T00:11:00Z 0 0 1 0 0 0 0 0 0 1 0} {r 1970-01-01T00:12:00Z 0 0 1 0 0 0 0 0 0 1 0}]" {
		t.Errorf("a late finding: got %s", got)
	}
	if len(stored) != 1 {
		t.Errorf("the store has %d values, want the watermark alone", len(stored))
	}
	if err := book.Restore([]byte("x"), nil); err == nil {
		t.Error("a damaged value is restored")
	}
}

// TestEventRow encodes an archived event and reads it, and damaged forms of it.
func TestEventRow(t *testing.T) {
	var w EventWriter
	e := &schema.ArchivedEvent{Pos: schema.Position{Topic: "t", Partition: 3, Offset: 5, Index: 2}, Number: 4, Time: 9, Tenant: "acme", Source: "k", Dataset: "kong", Rules: []string{"r"}}
	row := w.Append(nil, e, func(yield func(name, text string)) { yield("url.domain", "x") })
	got := readRows(t, row)
	e.Fields, e.Seq = map[string]string{"url.domain": "x"}, 7
	if fmt.Sprint(got) != fmt.Sprint([]any{*e}) {
		t.Errorf("got %v, want %v", got, *e)
	}
	for n := range len(row) - 2 {
		if _, _, err := ReadRow(string(row[2:2+n]), 7); err == nil {
			t.Errorf("the first %d bytes are read", n)
		}
	}
}
