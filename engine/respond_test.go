package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// respondRules contain the agent of a bad call, of a burst, and the tool and route of others.
var respondRules = map[string]string{
	"bad":    "when: event.action == \"bad\"\nrespond:\n  - contain: {scope: agent, ttl: 10m, mode: enforce}\n",
	"burst":  "when: event.action == \"call\"\nthreshold: {count: 3, within: 1m, by: [ai_agent.uid]}\nrespond:\n  - contain: {scope: agent, ttl: 10m, mode: enforce, state: hold}\n",
	"tool":   "when: event.action == \"tool\"\nrespond:\n  - contain: {scope: tool, ttl: 10m, mode: enforce}\n",
	"route":  "when: event.action == \"route\"\nrespond:\n  - contain: {scope: route, ttl: 10m, mode: enforce}\n",
	"watch":  "when: event.action == \"watch\"\nrespond:\n  - contain: {scope: agent, ttl: 10m}\n",
	"sess":   "when: event.action == \"sess\"\nrespond:\n  - contain: {scope: session, ttl: 10m, mode: enforce, state: throttle, per_minute: 2}\n",
	"absent": "sequence:\n  steps: [{id: a, when: event.action == \"s1\"}, {id: b, when: event.action == \"s2\"}]\n  unless: {when: event.action == \"ok\"}\n  within: 1m\n  by: [ai_agent.uid]\nrespond:\n  - contain: {scope: agent, ttl: 10m, mode: enforce}\n",
}

// guard is an engine with a containment table.
type guard struct {
	*bench
	store *store.Store
	table *contain.Table
	types []connectors.EntryType
	ops   []*schema.Finding
}

func newGuard(t *testing.T) *guard {
	t.Helper()
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	g := &guard{store: st}
	g.bench = &bench{t: t, clock: &handClock{now: benchStart}, latest: map[schema.ID]*schema.Finding{}, offset: map[int32]int64{}}
	g.start()
	if _, err := g.table.Confirm(contain.Actor{Name: "test"}, "first start"); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guard) start() {
	g.t.Helper()
	var err error
	if g.table, err = contain.New(g.store, contain.Options{Clock: g.clock.clock()}); err != nil {
		g.t.Fatal(err)
	}
	g.e, err = New(Options{
		Set: loadRules(g.t, respondRules), Store: g.store, Shards: 2, Clock: g.clock.clock(), Contain: g.table,
		Inputs: []Input{{Source: &memory.Source{Named: "s"}, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
		Committed: func(entries []connectors.Entry) {
			for _, e := range entries {
				g.types = append(g.types, e.Type)
				if e.Finding != nil && e.Finding.Operational {
					g.ops = append(g.ops, e.Finding)
				}
			}
		},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.e.Assigned(g.partition(0))
}

// call is one record of an agent: its time in seconds from the start, and fields beside those of an allowed call.
type call struct {
	agent, action string
	at            int
	more          map[string]any
}

func (g *guard) calls(list ...call) {
	g.t.Helper()
	batch := &connectors.Batch{Partition: g.partition(0), HighWater: -1}
	for _, c := range list {
		fields := map[string]any{
			"time": benchStart.Add(time.Duration(c.at) * time.Second), "event.dataset": "litellm", "event.class": "tool",
			"event.action": c.action, "ai_agent.uid": c.agent, "event.outcome": "success", "http.request.id": fmt.Sprint(g.offset[0]),
		}
		for k, v := range c.more {
			fields[k] = v
		}
		line, err := json.Marshal(fields)
		if err != nil {
			g.t.Fatal(err)
		}
		rec := connectors.Record{Start: len(batch.Raw), Offset: g.offset[0], Time: schema.InstantOf(benchStart.Add(time.Duration(c.at) * time.Second))}
		batch.Raw += string(line)
		rec.End = len(batch.Raw)
		batch.Records = append(batch.Records, rec)
		g.offset[0]++
	}
	batch.Next = g.offset[0]
	if err := g.e.Read(context.Background(), batch); err != nil {
		g.t.Fatal(err)
	}
	g.checkpoint()
}

func (g *guard) want(q schema.Question, want schema.Verdict) schema.Decision {
	g.t.Helper()
	d := g.table.Decide(q)
	if d.Verdict != want {
		g.t.Errorf("%+v: %+v, want %s", q, d, want)
	}
	return d
}

func TestRulesContain(t *testing.T) {
	g := newGuard(t)
	defer g.stop()
	g.calls(call{"a", "fine", 1, nil}, call{"b", "bad", 1, nil}, call{"w", "watch", 1, nil},
		call{"c", "call", 2, nil}, call{"c", "call", 2, nil},
		call{"x", "tool", 2, map[string]any{"gen_ai.tool.name": "exec", "mcp.server.name": "shell"}},
		call{"y", "route", 2, map[string]any{"url.path": "/v1/pay", "url.domain": "api"}},
		call{"z", "sess", 2, map[string]any{"session.id": "s1"}})
	g.want(schema.Question{Agent: "a"}, schema.VerdictAllow)
	d := g.want(schema.Question{Agent: "b"}, schema.VerdictDeny)
	if d.RuleID != "bad" || d.FindingID.IsZero() || d.Until != schema.InstantOf(g.clock.now.Add(10*time.Minute)) {
		t.Errorf("the answer is %+v", d)
	}
	if d := g.want(schema.Question{Agent: "w"}, schema.VerdictAllow); d.Would != schema.VerdictDeny {
		t.Errorf("a monitored agent: %+v, want would = deny", d)
	}
	g.want(schema.Question{Agent: "c"}, schema.VerdictAllow)
	g.calls(call{"c", "call", 3, nil})
	g.want(schema.Question{Agent: "c"}, schema.VerdictHold)
	g.want(schema.Question{Agent: "x", Tool: "exec"}, schema.VerdictDeny)
	g.want(schema.Question{Agent: "x", Tool: "read"}, schema.VerdictAllow)
	g.want(schema.Question{Agent: "y", Route: "GET /v1/pay"}, schema.VerdictDeny)
	g.want(schema.Question{Agent: "y", Route: "GET /v1/x"}, schema.VerdictAllow)
	for range 2 {
		g.want(schema.Question{Agent: "z", Session: "s1"}, schema.VerdictAllow)
	}
	g.want(schema.Question{Agent: "z", Session: "s1"}, schema.VerdictThrottle)

	got := fmt.Sprint(g.types)
	if n := strings.Count(got, string(connectors.AgentContained)); n != 5 { // b, c, x, y, z
		t.Errorf("%d agents were announced as contained, want 5: %s", n, got)
	}
	var audited int
	if err := g.store.Audit(func(a *store.AuditEntry) bool {
		if a.Action == "contain" && strings.HasPrefix(a.Who, "rule:") {
			audited++
		}
		return true
	}); err != nil || audited != 6 {
		t.Errorf("%d containments by rules are in the audit (%v), want 6", audited, err)
	}
}

// TestContainmentIsInTheCheckpointOfItsFinding: whatever is killed when, the store has both or none.
func TestContainmentIsInTheCheckpointOfItsFinding(t *testing.T) {
	g := newGuard(t)
	g.calls(call{"b", "bad", 1, nil})
	g.stop()
	g.start()
	defer g.stop()
	d := g.want(schema.Question{Agent: "b"}, schema.VerdictDeny)
	if _, ok, err := g.store.Finding(d.FindingID); !ok || err != nil {
		t.Errorf("the finding %s of the containment is not in the store: %v", d.FindingID, err)
	}
	g.clock.now = g.clock.now.Add(10 * time.Minute)
	g.want(schema.Question{Agent: "b"}, schema.VerdictAllow)
	g.types = nil
	g.checkpoint()
	if fmt.Sprint(g.types) != "[agent.released]" {
		t.Errorf("after its end the outbox got %v, want agent.released", g.types)
	}
}

// TestTakenBackTriggerReleases: a straggler that shows the finding wrong releases what it contained.
func TestTakenBackTriggerReleases(t *testing.T) {
	g := newGuard(t)
	defer g.stop()
	g.calls(call{"a", "s1", 10, nil}, call{"a", "s2", 20, nil})
	g.want(schema.Question{Agent: "a"}, schema.VerdictDeny)
	g.calls(call{"a", "ok", 15, nil})
	g.want(schema.Question{Agent: "a"}, schema.VerdictAllow)
	if n := len(g.table.List().Responses); n != 0 {
		t.Errorf("%d responses in use, want 0", n)
	}
}

// TestRemovedRuleReleasesNothing: an edit of the rule files must not set agents free.
func TestRemovedRuleReleasesNothing(t *testing.T) {
	g := newGuard(t)
	g.calls(call{"b", "bad", 1, nil})
	g.stop()
	old := respondRules["bad"]
	delete(respondRules, "bad")
	defer func() { respondRules["bad"] = old }()
	g.start()
	defer g.stop()
	g.calls(call{"b", "fine", 2, nil})
	g.checkpoint()
	g.want(schema.Question{Agent: "b"}, schema.VerdictDeny)
}

// TestReplayContainsNothing: an engine without a table carries out no response, and its findings are the same.
func TestReplayContainsNothing(t *testing.T) {
	g := newGuard(t)
	g.calls(call{"b", "bad", 1, nil})
	g.stop()
	raw := fmt.Sprintf(`{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"bad","ai_agent.uid":"b","event.outcome":"success","http.request.id":"0"}`,
		benchStart.Add(time.Second).Format(time.RFC3339))
	found, err := Replay(context.Background(), Options{
		Set: loadRules(t, respondRules), Clock: g.clock.clock(),
		Inputs: []Input{{Source: &memory.Source{Named: "s", Partitions: []memory.Partition{{Partition: g.partition(0), Records: []string{raw}}}}, Decode: decode.Options{Format: "aidr"}}},
	}, 0)
	if err != nil || len(found) != 1 || found[0].Response[0].Result != "recorded" {
		t.Fatalf("replay: %v, %v", found, err)
	}
}

// TestProofFromRecords: the records of a contained agent prove that it stopped, or that it did not.
func TestProofFromRecords(t *testing.T) {
	g := newGuard(t)
	defer g.stop()
	g.calls(call{"b", "bad", 0, nil})
	id := g.want(schema.Question{Agent: "b", Point: "kong"}, schema.VerdictDeny).ContainmentID
	blocked := map[string]any{"disposition": "blocked", "event.outcome": "failure", "url.path": "/v1/chat", "http.request.method": "POST"}
	at := func(seconds int, list ...call) *schema.ResponseRecord {
		t.Helper()
		g.clock.now = benchStart.Add(time.Duration(seconds) * time.Second)
		g.calls(list...)
		g.clock.now = g.clock.now.Add(observeEvery)
		g.checkpoint()
		r, ok, err := g.table.Response(id)
		if err != nil || !ok {
			t.Fatal(err)
		}
		return r
	}
	if r := at(20, call{"b", "x", 20, blocked}, call{"other", "x", 20, nil}); r.Stage != schema.StageEnforced || r.Proof.Denials != 1 || r.Proof.Successes != 0 {
		t.Errorf("after a denial: %s %+v", r.Stage, r.Proof)
	}
	if r := at(330, call{"other", "x", 330, nil}); r.Stage != schema.StageVerified {
		t.Errorf("after five minutes of silence: %s, want verified", r.Stage)
	}
	open := map[string]any{"url.path": "/legacy", "http.request.method": "GET", "http.response.status_code": 200}
	r := at(400, call{"b", "x", 399, open})
	if r.Stage != schema.StageFailed || len(r.Proof.Sources) != 2 || r.Proof.Sources[0].Route != "GET /legacy" {
		t.Errorf("after a call that passed: %s %+v", r.Stage, r.Proof)
	}
	g.clock.now = g.clock.now.Add(observeEvery)
	g.checkpoint()
	if len(g.ops) != 1 || g.ops[0].RuleID != rules.ContainedStillCalls || g.ops[0].Severity != schema.SeverityCritical ||
		!strings.Contains(g.ops[0].Summary, "1 at s litellm GET /legacy") || !strings.Contains(g.ops[0].Summary, "asked: kong") {
		t.Fatalf("operational findings: %+v", g.ops)
	}
	if _, err := g.table.Release(id, contain.Actor{Name: "test"}, "over"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		g.clock.now = g.clock.now.Add(calmAfter)
		g.checkpoint()
	}
	if n := len(g.ops); g.ops[n-1].Status != schema.StatusSettled {
		t.Errorf("the operational finding is %s after the release, want settled", g.ops[n-1].Status)
	}
}

// TestProofFromSilence: if the agent was the only one that called, the clock proves that it stopped, once all is read.
func TestProofFromSilence(t *testing.T) {
	g := newGuard(t)
	defer g.stop()
	g.calls(call{"b", "bad", 0, nil})
	id := g.want(schema.Question{Agent: "b", Point: "kong"}, schema.VerdictDeny).ContainmentID
	g.calls(call{"b", "x", 20, map[string]any{"disposition": "blocked", "event.outcome": "failure"}})
	stage := func(after time.Duration, atEnd bool) schema.ResponseStage {
		t.Helper()
		if err := g.e.Read(context.Background(), &connectors.Batch{Partition: g.partition(0), HighWater: -1, Next: g.offset[0], AtEnd: atEnd}); err != nil {
			t.Fatal(err)
		}
		for range 3 { // an idle watermark follows a checkpoint later
			g.clock.now = benchStart.Add(after)
			after += observeEvery
			g.checkpoint()
		}
		r, ok, err := g.table.Response(id)
		if err != nil || !ok {
			t.Fatal(err)
		}
		return r.Stage
	}
	if s := stage(7*time.Minute, false); s != schema.StageEnforced {
		t.Errorf("while the source cannot be reached: %s, want enforced", s)
	}
	if s := stage(9*time.Minute, true); s != schema.StageVerified {
		t.Errorf("after minutes of silence: %s, want verified", s)
	}
}
