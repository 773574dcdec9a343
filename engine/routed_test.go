package engine

import (
	"maps"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Options.Routed is called for each batch in the order of its partition, and counts everything in it.
func TestRouted(t *testing.T) {
	lines := []string{
		`{"time":"2026-01-01T00:00:00Z","event.dataset":"litellm","event.class":"tool","event.action":"x","ai_agent.uid":"a"}`,
		`{"time":"2026-01-01T23:59:59Z","event.dataset":"litellm","event.class":"tool","event.action":"x"}`,
		`{`,
		`{"time":"2026-01-02T00:00:00Z","event.dataset":"litellm","event.class":"tool","event.action":"x","ai_agent.uid":"excepted"}`,
		`{"time":"1969-12-31T12:00:00Z","event.dataset":"litellm","event.class":"tool","event.action":"y","ai_agent.uid":"a"}`,
	}
	set := loadRules(t, map[string]string{"r": "when: event.action == \"x\"\nthreshold: {count: 2, within: 1h, by: [ai_agent.uid]}\n" +
		"exceptions:\n  - {when: 'ai_agent.uid == \"excepted\"', until: 2027-01-01, reason: r, owner: o}\n"})
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	p := connectors.Partition{Source: "s", Topic: "t"}
	var sum Routed
	var rule RuleCount
	var next []int64
	days := map[int64]int{}
	opts := Options{
		Set: set, Store: st, Unhurried: true, Inputs: []Input{{
			Source: &memory.Source{Named: "s", BatchSize: 2, Partitions: []memory.Partition{{Partition: p, Records: lines}}},
			Decode: decode.Options{Format: "aidr"},
		}},
		Routed: func(r *Routed) { // the only partition: no two calls at the same time
			next = append(next, r.Next)
			sum.Records, sum.Events, sum.Dead, sum.Final = sum.Records+r.Records, sum.Events+r.Events, sum.Dead+r.Dead, r.Final
			for _, x := range r.Rules {
				rule.Hits, rule.Excepted, rule.Failed, rule.Missing = rule.Hits+x.Hits, rule.Excepted+x.Excepted, rule.Failed+x.Failed, rule.Missing+x.Missing
			}
			for d, n := range r.Days {
				days[d] += n
			}
			if r.Partition != p {
				t.Errorf("got partition %v", r.Partition)
			}
		},
	}
	if _, err := Replay(t.Context(), opts, 0); err != nil {
		t.Fatal(err)
	}
	if sum.Records != 5 || sum.Events != 4 || sum.Dead != 1 || !sum.Final || rule != (RuleCount{Hits: 2, Excepted: 1, Missing: 1}) {
		t.Errorf("got %+v, %+v", sum, rule)
	}
	const newYear = 20454 // days from 1970 to 2026
	if want := map[int64]int{newYear: 2, newYear + 1: 1, -1: 1}; !maps.Equal(days, want) {
		t.Errorf("got %v, want %v", days, want)
	}
	for i, n := range next {
		if i > 0 && n < next[i-1] {
			t.Errorf("positions go back: %v", next)
		}
	}
	got, err := Positions(st)
	if err != nil || len(got) != 1 || got[p] != 5 {
		t.Errorf("got positions %v, %v", got, err)
	}
}
