package contain

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// TestStreamFollows: a process that follows the changes answers like the table, also when it has to take a full snapshot.
func TestStreamFollows(t *testing.T) {
	b := newBench(t, Policy{})
	full := b.Since(0, 0)
	side := NewView(throughJSON(t, full))
	names := []string{"a", "b", "c", "d", "e"}
	ids := map[string]schema.ID{}
	for round := range 60 {
		n := names[(round*7)%len(names)]
		changed := b.Changed()
		if id, ok := ids[n]; ok {
			if _, err := b.Release(id, person, "x"); err != nil {
				t.Fatal(err)
			}
			delete(ids, n)
		} else {
			state := schema.ContainmentStates()[round%4]
			r := Request{Scope: schema.ScopeAgent, Target: agent(n), State: state}
			if state == schema.StateThrottle {
				r.PerMinute = 1_000_000
			}
			ids[n] = b.contain(t, r)
		}
		b.Decide(schema.Question{Agent: n})
		select {
		case <-changed:
		default:
			t.Fatal("a change did not close the channel")
		}
		if round%3 == 0 {
			next := side.With(throughJSON(t, b.Since(side.Epoch(), side.Version())))
			if next == nil {
				t.Fatal("the changes do not build on the view")
			}
			side = next
		}
		if round%7 == 0 {
			side = side.With(throughJSON(t, b.Since(0, 0)))
		}
		if round%3 != 0 && round%7 != 0 {
			continue
		}
		for _, n := range names {
			got, want := side.Decide(schema.Question{Agent: n}, schema.InstantOf(b.now)), b.Decide(schema.Question{Agent: n})
			if got.Verdict != want.Verdict || got.ContainmentID != want.ContainmentID || got.ApprovalID != want.ApprovalID || got.Version != side.Version() {
				t.Fatalf("round %d, agent %s: beside the gateway %+v, in the table %+v", round, n, got, want)
			}
		}
	}
	if side.With(&schema.Snapshot{Epoch: side.Epoch(), Since: side.Version() + 1}) != nil || side.With(&schema.Snapshot{Epoch: 1, Since: 1}) != nil {
		t.Error("changes that do not build on the view were taken")
	}
}

func throughJSON(t *testing.T, s *schema.Snapshot) *schema.Snapshot {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out schema.Snapshot
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// TestOutboxAndAudit: each change of what is restrained has an audit entry, and the right entries in the outbox.
func TestOutboxAndAudit(t *testing.T) {
	b := newBench(t, Policy{MaxContained: 1})
	id := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a")})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("m"), Mode: schema.ModeMonitor})
	if _, err := b.Release(id, person, "over"); err != nil {
		t.Fatal(err)
	}
	b.mustTrigger(t, b.trigger("b", 1), OutcomeContained)
	b.mustTrigger(t, b.trigger("c", 2), OutcomeProposed)
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("h"), State: schema.StateHold, TTL: time.Minute})
	b.want(t, schema.Question{Agent: "h"}, schema.VerdictHold)
	b.pass(time.Minute)
	seq, _, _, _ := b.store.Last()
	c := &store.Checkpoint{Seq: seq + 1}
	b.Take(c)
	var kinds []string
	for _, e := range c.Outbox {
		kinds = append(kinds, string(e.Type))
		if (e.Response == nil) == (e.Approval == nil) || e.Finding != nil || e.ID().IsZero() || e.Version() == 0 {
			t.Errorf("entry %s has not exactly one content: %+v", e.Type, e)
		}
	}
	want := []connectors.EntryType{connectors.AgentContained, connectors.ResponseChanged, connectors.AgentReleased, connectors.AgentContained,
		connectors.ApprovalAsked, connectors.AgentContained, connectors.ApprovalAsked, connectors.AgentReleased}
	if got := strings.Join(kinds, " "); got != fmt.Sprint(want)[1:len(fmt.Sprint(want))-1] {
		t.Errorf("outbox: %s\nwant    %v", got, want)
	}
	var audit []string
	for _, a := range c.Audit {
		audit = append(audit, a.Action+" by "+a.Who)
		if a.Time == 0 || len(a.Detail) == 0 {
			t.Errorf("audit entry without time or detail: %+v", a)
		}
	}
	const wantAudit = "confirm-complete by uid 1000, contain by uid 1000, contain by uid 1000, release by uid 1000, contain by rule:r, " +
		"propose by rule:r, contain by uid 1000, expire by aidr"
	if got := strings.Join(audit, ", "); got != wantAudit {
		t.Errorf("audit: %s\nwant   %s", got, wantAudit)
	}
	if err := b.store.Commit(c); err != nil {
		t.Fatal(err)
	}
	again := &store.Checkpoint{Seq: seq + 2}
	b.Take(again)
	if len(again.Outbox) != len(c.Outbox) || len(again.Responses) != len(c.Responses) {
		t.Error("a checkpoint that nobody confirmed is not taken again")
	}
	b.Saved()
	empty := &store.Checkpoint{}
	b.Take(empty)
	if b.Dirty() || len(empty.Outbox)+len(empty.Responses)+len(empty.Audit) > 0 {
		t.Error("a confirmed checkpoint is taken again")
	}
}

// TestConcurrentUse runs readers beside writers, for the race detector.
func TestConcurrentUse(t *testing.T) {
	b := newBench(t, Policy{MaxContained: 1000})
	b.opts.Clock = clock.Wall()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					b.Decide(schema.Question{Agent: fmt.Sprint("a", i%50), Tool: "t", Point: fmt.Sprint("p", i%70)})
					if i%100 == 0 {
						b.Since(b.View().Epoch(), b.View().Version())
					}
				}
			}
		})
	}
	for i := range 300 {
		r := b.trigger(fmt.Sprint("a", i%50), byte(i))
		r.RuleID, r.Event = fmt.Sprint("r", i), schema.InstantOf(time.Now())
		b.Trigger(r)
		if i%3 == 0 {
			b.Withdraw(schema.ID{byte(i)})
		}
		b.Tick()
		if i%20 == 0 {
			if err := b.checkpoint(); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	all.Wait()
}
