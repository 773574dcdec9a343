package sigma_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules/sigma"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

const correlated = `title: A
name: a
logsource: {product: okta, service: okta}
detection: {s: {eventType: a.x}, condition: s}
---
title: B
name: b
logsource: {product: okta, service: okta}
detection: {s: {eventType: b.x}, condition: s}
---
title: C
name: c
logsource: {product: okta, service: okta}
detection: {s: {eventType: c.x}, condition: s}
---
title: Count
correlation: {type: event_count, rules: [a], group-by: [actor.alternateId], timespan: 5m, condition: {gt: 3}}
---
title: Count of two
correlation: {type: event_count, rules: [a, b], group-by: [actor.alternateId, outcome.result], timespan: 300s, condition: {gte: 5}}
---
title: Values
correlation: {type: value_count, rules: [a, c], group-by: [actor.alternateId], timespan: 10m, condition: {gte: 3, field: client.ipAddress}}
---
title: Temporal
correlation: {type: temporal, rules: [a, b, c], group-by: [actor.alternateId], timespan: 4m}
---
title: Two of three
correlation: {type: temporal, rules: [a, b, c], group-by: [actor.alternateId], timespan: 2m, condition: {gte: 2}}
---
title: Alias
correlation: {type: temporal, rules: [a, b], group-by: [who], timespan: 5m, aliases: {who: {a: actor.alternateId, b: outcome.reason}}}
---
title: Ordered
correlation: {type: temporal_ordered, rules: [a, b, c], group-by: [actor.alternateId], timespan: 6m}
---
title: All together
correlation: {type: event_count, rules: [c], timespan: 5m, condition: {gte: 6}}
`

// signIn is a record of the test.
type signIn struct {
	at                        time.Time
	kind, user, ip, ok, other string
}

// expected is one correlation, by its definition: whether the event at the end of a list completes it.
var expected = map[string]struct {
	kinds string
	key   func(signIn) string
	holds func(until []signIn) bool
}{
	"count":        {"a", byUser, atLeast(4, 5*time.Minute, nil)},
	"count-of-two": {"ab", func(e signIn) string { return e.user + "/" + e.ok }, atLeast(5, 5*time.Minute, nil)},
	"values":       {"ac", byUser, atLeast(3, 10*time.Minute, func(e signIn) string { return e.ip })},
	"temporal":     {"abc", byUser, atLeast(3, 4*time.Minute, func(e signIn) string { return e.kind })},
	"two-of-three": {"abc", byUser, atLeast(2, 2*time.Minute, func(e signIn) string { return e.kind })},
	"alias": {"ab", func(e signIn) string {
		if e.kind == "b" {
			return e.other
		}
		return e.user
	}, atLeast(2, 5*time.Minute, func(e signIn) string { return e.kind })},
	"ordered":      {"abc", byUser, inOrder("abc", 6*time.Minute)},
	"all-together": {"c", func(signIn) string { return "all" }, atLeast(6, 5*time.Minute, nil)},
}

func byUser(e signIn) string { return e.user }

// atLeast reports whether the window that ends with the last event has n events, or n different values.
func atLeast(n int, within time.Duration, value func(signIn) string) func([]signIn) bool {
	return func(until []signIn) bool {
		last := until[len(until)-1]
		seen := map[string]bool{}
		for i, e := range until {
			if last.at.Sub(e.at) < within {
				v := fmt.Sprint(i)
				if value != nil {
					v = value(e)
				}
				seen[v] = true
			}
		}
		return len(seen) >= n
	}
}

// inOrder reports whether the last event ends a chain of the kinds.
func inOrder(kinds string, within time.Duration) func([]signIn) bool {
	return func(until []signIn) bool {
		last := until[len(until)-1]
		left := kinds
		for i := len(until) - 1; i >= 0 && left != ""; i-- { // the latest chain
			if last.at.Sub(until[i].at) >= within {
				return false
			}
			if until[i].kind == left[len(left)-1:] {
				left = left[:len(left)-1]
			} else if i == len(until)-1 {
				return false
			}
		}
		return left == ""
	}
}

// TestCorrelationsAgreeWithDefinition runs translated correlations through the engine and compares where their findings begin
// with the definition of each, applied by brute force.
func TestCorrelationsAgreeWithDefinition(t *testing.T) {
	r := sigma.Import([]sigma.Source{{Name: "c.yml", Text: []byte(correlated)}})
	if len(r.Refused) > 0 || r.Correlations != len(expected) {
		t.Fatalf("%d correlations, refused: %+v", r.Correlations, r.Refused)
	}
	set, _ := load(t, r, nil)
	for n := range 10 {
		rnd := rand.New(rand.NewPCG(*seed, uint64(n)))
		events := signIns(rnd)
		var lines []string
		var times []schema.Instant
		for i, e := range events {
			lines = append(lines, fmt.Sprintf(`{"uuid":"%d-%d","published":%q,"eventType":"%s.x","actor":{"id":"x","type":"User","alternateId":%q},"client":{"ipAddress":%q},"outcome":{"result":%q,"reason":%q}}`,
				n, i, e.at.Format("2006-01-02T15:04:05.000Z"), e.kind, e.user, e.ip, e.ok, e.other))
			times = append(times, schema.InstantOf(e.at))
		}
		src := &memory.Source{Named: "okta", Partitions: []memory.Partition{{Partition: connectors.Partition{Source: "okta", Topic: "okta"}, Records: lines, Times: times}}}
		opts := engine.Options{Set: set, Inputs: []engine.Input{{Source: src, Decode: decode.Options{Format: "okta_system"}}}, Shards: 1, Workers: 1}
		found, err := engine.Replay(t.Context(), opts, schema.InstantOf(events[len(events)-1].at.Add(48*time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found {
			name := strings.TrimPrefix(f.RuleID, "sigma.")
			got = append(got, fmt.Sprintf("%s %s", name[:strings.LastIndexByte(name, '-')], time.Unix(0, int64(f.GroupStart)).UTC().Format("15:04:05.000")))
		}
		want := begins(events)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, stream %d: findings begin at\n%s\nwant\n%s", *seed, n, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(want) < 20 {
			t.Errorf("stream %d has %d findings only", n, len(want))
		}
	}
}

// signIns returns a stream of events with bursts.
func signIns(rnd *rand.Rand) (events []signIn) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 600 {
		at = at.Add(time.Duration(1+rnd.IntN(20_000)) * time.Millisecond)
		if rnd.IntN(40) == 0 {
			at = at.Add(time.Duration(rnd.IntN(30)) * time.Minute)
		}
		events = append(events, signIn{at, string("abc"[rnd.IntN(3)]), fmt.Sprint("u", rnd.IntN(4)), fmt.Sprint("10.0.0.", rnd.IntN(4)),
			[]string{"SUCCESS", "FAILURE"}[rnd.IntN(2)], fmt.Sprint("u", rnd.IntN(4))})
	}
	return events
}

// begins returns the rule and the time of each trigger that opens a finding: the first of a key, and the first after an hour.
func begins(events []signIn) (out []string) {
	for name, c := range expected {
		byKey := map[string][]signIn{}
		opened := map[string]time.Time{}
		for _, e := range events {
			if !strings.Contains(c.kinds, e.kind) {
				continue
			}
			key := c.key(e)
			byKey[key] = append(byKey[key], e)
			if !c.holds(byKey[key]) {
				continue
			}
			if at, ok := opened[key]; ok && e.at.Sub(at) < time.Hour {
				continue
			}
			opened[key] = e.at
			out = append(out, name+" "+e.at.Format("15:04:05.000"))
		}
	}
	return out
}
