package capture_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// ofProvenance returns a rule of the kind whose texts are a prompt, a result and arguments.
func ofProvenance() *rules.Rule {
	r := capturetest.Rule(rules.KindProvenance)
	r.Provenance = &rules.Provenance{Within: time.Hour}
	copy(r.Provenance.Texts[:], rules.FieldOperands(schema.MessageContextPromptText, schema.GenAIToolCallResult, schema.GenAIToolCallArguments))
	r.Roles = []rules.Role{{Order: 1, Key: r.Key}, {Order: 2, Key: r.Key}, {Order: 3, Key: r.Key}}
	return r
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return string(sum[:item.ValueHashSize])
}

// wantBrought compares the values of a role with texts in the order of the text.
func wantBrought(t *testing.T, b item.Brought, texts ...string) {
	t.Helper()
	if len(b.Values) != len(texts)*item.BroughtSize {
		t.Errorf("got %d values, want %d", len(b.Values)/item.BroughtSize, len(texts))
		return
	}
	last := ""
	for v := b.Values; v != ""; v = v[item.BroughtSize:] {
		hash, place := v[:item.ValueHashSize], int(v[8])<<8|int(v[9])
		if hash <= last || place >= len(texts) || hash != hashOf(texts[place]) {
			t.Errorf("got the hash %x at place %d", hash, place)
		}
		last = hash
	}
}

// used returns the values that an item uses, as "argument=text".
func used(u item.Used) (list []string) {
	for _, argument, text, ok := u.Next(); ok; _, argument, text, ok = u.Next() {
		list = append(list, argument+"="+text)
	}
	return list
}

func TestCaptureProvenance(t *testing.T) {
	e := capturetest.Event(t, map[string]schema.Value{
		"message_context.prompt_text": schema.StringValue("write to Ann@Example.org about ticket-17"),
		"gen_ai.tool.call.result":     schema.JSONValue(`{"from": "eve@evil.example"}`),
		"gen_ai.tool.name":            schema.StringValue("read_mail"),
		"gen_ai.tool.call.arguments":  schema.JSONValue(`{"cc": "zoe@x.example", "n": {"to": "bob@x.example"}, "é": "xyzà"}`),
	})
	items, _ := capturetest.Take(t, ofProvenance(), e, 7)
	if len(items) != 1 || items[0].Role != 1 || items[0].Roles != 7 {
		t.Fatalf("got %+v", items)
	}
	known, data := item.ReadBrought(items[0].Data)
	wantBrought(t, known, "ann@example.org", "ticket-17")
	from, data := item.ReadBrought(data)
	wantBrought(t, from, "eve@evil.example")
	if known.Source != "" || from.Source != "read_mail" || from.Cut {
		t.Errorf("the sources are %q and %q", known.Source, from.Source)
	}
	u := item.ReadUsed(data)
	if hash, _, _, _ := u.Next(); hash != hashOf("bob@x.example") {
		t.Errorf("got the hash %x", hash)
	}
	// The longest first, of equally long ones the first in bytes; the argument is the one at the top.
	if got, want := used(item.ReadUsed(data)), []string{"n=bob@x.example", "cc=zoe@x.example", "é=xyzà"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	items, _ = capturetest.Take(t, ofProvenance(), capturetest.Event(t, nil), 6)
	if items[0].Data != "\x00\x00\x00\x00\x00" {
		t.Errorf("without texts: got %q", items[0].Data)
	}
}

// TestCaptureProvenanceBounds has a text with too many values and an argument with a long name and a long value.
func TestCaptureProvenanceBounds(t *testing.T) {
	var many strings.Builder
	for i := range 600 {
		fmt.Fprintf(&many, "ticket-%d ", i+1000)
	}
	e := capturetest.Event(t, map[string]schema.Value{
		"gen_ai.tool.call.result":    schema.StringValue(many.String()),
		"gen_ai.tool.call.arguments": schema.JSONValue(`{"` + strings.Repeat("k", 500) + `": "` + strings.Repeat("é", 100) + `"}`),
	})
	items, _ := capturetest.Take(t, ofProvenance(), e, 6)
	from, data := item.ReadBrought(items[0].Data)
	if n := len(from.Values) / item.BroughtSize; n != 512 || !from.Cut {
		t.Errorf("%d values, cut %t", n, from.Cut)
	}
	want := strings.Repeat("k", 64) + "=" + strings.Repeat("é", 64)
	if got := used(item.ReadUsed(data)); len(got) != 1 || got[0] != want {
		t.Errorf("got %q", got)
	}
}

// TestCaptureProvenanceRedaction checks that no part of a credential is shown, although values are in lower case, in which
// Redact does not find it.
func TestCaptureProvenanceRedaction(t *testing.T) {
	f := func(x schema.Exposure, want ...string) {
		t.Helper()
		how := &schema.Redaction{}
		how.SetField(schema.GenAIToolCallArguments, x)
		c := capture.Capturer{Redaction: how, Redact: func(s string) string { return strings.ReplaceAll(s, "AKIA", "***") }}
		e := capturetest.Event(t, map[string]schema.Value{
			"gen_ai.tool.call.arguments": schema.JSONValue(`{"key": "AKIA/0123456789", "to": "bob@x.example"}`),
		})
		var got []string
		c.Capture(capture.NewPlan(ofProvenance()), 0, e, 4, &rules.Scratch{Predicate: predicate.NewScratch()}, func(it *item.Item) {
			got = used(item.ReadUsed(it.Data))
			if x != schema.Kept && strings.Contains(strings.ToLower(it.Data), "akia") {
				t.Errorf("exposure %d: the credential is in the item: %q", x, it.Data)
			}
		})
		if !slices.Equal(got, want) {
			t.Errorf("exposure %d: got %q, want %q", x, got, want)
		}
	}
	f(schema.Redacted, "key=[redacted]", "to=bob@x.example")
	f(schema.Kept, "key=akia/0123456789", "to=bob@x.example")
	f(schema.Dropped, "key=[dropped]", "to=[dropped]")
	f(schema.Hashed, "key="+schema.HashText("akia/0123456789"), "to="+schema.HashText("bob@x.example"))
}

// TestCaptureProvenanceAllocates checks that finding the values of texts costs no allocation in steady state.
func TestCaptureProvenanceAllocates(t *testing.T) {
	e := capturetest.Event(t, map[string]schema.Value{
		"gen_ai.tool.call.result":    schema.StringValue("from eve@evil.example, see https://evil.example/a?b=1 and ticket-17"),
		"gen_ai.tool.call.arguments": schema.JSONValue(`{"to": "eve@evil.example", "body": "see ticket-17"}`),
		"gen_ai.tool.name":           schema.StringValue("read_mail"),
	})
	var c capture.Capturer
	p, s := capture.NewPlan(ofProvenance()), &rules.Scratch{Predicate: predicate.NewScratch()}
	take := func() {
		c.BeginEvent()
		c.Capture(p, 0, e, 6, s, func(*item.Item) {})
	}
	for range 100 {
		take()
	}
	if got := testing.AllocsPerRun(1000, take); got > 0 {
		t.Errorf("%v allocations for an item", got)
	}
}

func BenchmarkCaptureProvenance(b *testing.B) {
	words := strings.Repeat("Dear Ann, the order PX-1234 of https://shop.example/o/17 is on its way to 10.1.2.3. ", 20)
	e := capturetest.Event(b, map[string]schema.Value{
		"gen_ai.tool.call.result":    schema.StringValue(words),
		"gen_ai.tool.call.arguments": schema.JSONValue(`{"to": "eve@evil.example", "body": "see ticket-17"}`),
	})
	for _, roles := range []uint32{2, 4} {
		b.Run(fmt.Sprint("roles=", roles), func(b *testing.B) {
			var c capture.Capturer
			p, s := capture.NewPlan(ofProvenance()), &rules.Scratch{Predicate: predicate.NewScratch()}
			b.ReportAllocs()
			for b.Loop() {
				c.BeginEvent()
				c.Capture(p, 0, e, roles, s, func(*item.Item) {})
			}
		})
	}
}
