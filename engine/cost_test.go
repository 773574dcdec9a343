package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// The ledger has the candidates, hits and time of each rule: of one that holds, of one that the index never leaves to
// evaluate, and of one that it always does.
func TestLedger(t *testing.T) {
	b := newBench(t, nil, 1, map[string]string{
		"always": "when: event.action != 'none' && size(event.action) > 3\n",
		"hit":    "when: event.action == 'x'\nthreshold: {count: 1000, within: 1h, by: [ai_agent.uid]}\n",
		"never":  "when: event.action == 'never'\n",
	})
	defer b.stop()
	var events []event
	for i := range 2 * sampleEvery {
		events = append(events, event{"litellm", i, i, "x"})
	}
	b.read(0, false, events...)
	b.checkpoint()
	l := b.e.Ledger()
	if l.Events != 2*sampleEvery {
		t.Errorf("got %d events, want %d", l.Events, 2*sampleEvery)
	}
	cost := func(rule string) RuleCost {
		return l.Rules[slices.IndexFunc(l.Rules, func(c RuleCost) bool { return c.Rule == rule })]
	}
	for _, want := range []RuleCost{
		{Rule: "always", Kind: "none", Candidates: 2 * sampleEvery},
		{Rule: "hit", Kind: "threshold", Candidates: 2 * sampleEvery, Hits: 2 * sampleEvery},
		{Rule: "never", Kind: "none"},
	} {
		got := cost(want.Rule)
		got.Match, got.Fold = 0, 0
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	now := benchStart
	ticks := &worker{rules: b.e.rules, meter: newMeter(3), scratch: b.e.rules.set.NewScratch()}
	ticks.clock.Now = func() time.Time { // every reading of the clock is a microsecond later
		now = now.Add(time.Microsecond)
		return now
	}
	e := &schema.Event{}
	e.SetText(schema.EventAction, "x")
	for range sampleEvery {
		ticks.match(e)
	}
	var times []int64
	for i := range ticks.meter.rules {
		times = append(times, ticks.meter.rules[i].match.Load())
	}
	if want := []int64{1000 * sampleEvery, 1000 * sampleEvery, 0}; !slices.Equal(times, want) {
		t.Errorf("the rules take %v ns, want %v", times, want)
	}
}
