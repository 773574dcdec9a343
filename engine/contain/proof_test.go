package contain

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// sighting returns what n calls of one instant showed.
func sighting(id schema.ID, at time.Time, denied bool, n int64) Sighting {
	x := schema.InstantOf(at)
	s := Sighting{ID: id, Source: "kong", Dataset: "kong.http_log", Route: "POST /v1/chat"}
	if denied {
		s.Denials, s.FirstDenial, s.LastDenial = n, x, x
	} else {
		s.Successes, s.LastSuccess, s.Source = n, x, "envoy"
	}
	return s
}

func TestProof(t *testing.T) {
	b := newBench(t, Policy{VerifyAfter: 5 * time.Minute, Grace: time.Minute})
	id := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), TTL: 24 * time.Hour})
	start := b.now
	stage := func(want schema.ResponseStage, failing int) schema.ResponseRecord {
		t.Helper()
		b.Prove(schema.InstantOf(b.now))
		b.Tick()
		r := b.only(t)
		if r.Stage != want || len(b.Failing()) != failing {
			t.Errorf("after %v: stage %s and %d failing, want %s and %d: %+v", b.now.Sub(start), r.Stage, len(b.Failing()), want, failing, r.Proof)
		}
		return r
	}
	stage(schema.StageAsked, 0)
	b.want(t, schema.Question{Agent: "a", Point: "kong"}, schema.VerdictDeny)
	stage(schema.StageEnforced, 0)
	b.now = start.Add(30 * time.Second)
	b.Observe([]Sighting{sighting(id, b.now, false, 2)}) // under way, within the grace period
	b.Observe([]Sighting{sighting(id, b.now.Add(10*time.Second), true, 3)})
	stage(schema.StageEnforced, 0)
	b.now = start.Add(5*time.Minute + 39*time.Second)
	stage(schema.StageEnforced, 0)
	b.now = start.Add(5*time.Minute + 40*time.Second) // 5 minutes after the denial
	r := stage(schema.StageVerified, 0)
	if r.Proof.Denials != 3 || r.Proof.Successes != 2 || r.Proof.VerifiedAt == 0 || len(r.Proof.Sources) != 2 {
		t.Errorf("proof %+v", r.Proof)
	}
	b.now = start.Add(10 * time.Minute)
	b.Observe([]Sighting{sighting(id, b.now, false, 1), sighting(id, b.now, true, 1)})
	stage(schema.StageFailed, 1)
	f := b.Failing()[0]
	for _, part := range []string{`agent "a"`, "3 at envoy kong.http_log POST /v1/chat", "enforcement points that asked: kong"} {
		if !strings.Contains(f.Text, part) {
			t.Errorf("the finding %q lacks %q", f.Text, part)
		}
	}
	b.now = start.Add(15 * time.Minute) // denied at the same instant, and silent since: it has stopped
	stage(schema.StageVerified, 0)
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{VerifyAfter: 5 * time.Minute, Grace: time.Minute})
	stage(schema.StageVerified, 0) // an old success fails it no second time
	b.now = start.Add(20 * time.Minute)
	b.Observe([]Sighting{sighting(id, b.now, false, 1)})
	r = stage(schema.StageFailed, 1)
	var actions []string
	for _, h := range r.History {
		actions = append(actions, h.Action)
	}
	if got := strings.Join(actions, " "); got != "contain enforced verified failed verified failed" {
		t.Errorf("history %s", got)
	}
	if _, err := b.Release(id, person, "over"); err != nil {
		t.Fatal(err)
	}
	if n := len(b.Failing()); n != 0 {
		t.Errorf("%d failing after the release, want 0", n)
	}
	if r, _, _ := b.Response(id); r.Proof.Successes != 4 || r.Stage != schema.StageFailed {
		t.Errorf("the ledger has %+v", r)
	}
}

// TestProofIsNotOfOthers: what is monitored, held, throttled or paused is expected to call, and fails nothing.
func TestProofIsNotOfOthers(t *testing.T) {
	b := newBench(t, Policy{})
	b.mustTrigger(t, b.trigger("auto", 1), OutcomeContained)
	if _, _, err := b.SetPause(true, person, "x"); err != nil {
		t.Fatal(err)
	}
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("m"), Mode: schema.ModeMonitor, TTL: 24 * time.Hour})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("h"), State: schema.StateHold, TTL: 24 * time.Hour})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("t"), State: schema.StateThrottle, PerMinute: 1, TTL: 24 * time.Hour})
	b.now = b.now.Add(10 * time.Minute)
	for _, r := range b.List().Responses {
		b.Observe([]Sighting{sighting(r.ID, b.now, false, 1)})
	}
	b.now = b.now.Add(10 * time.Minute)
	b.Prove(schema.InstantOf(b.now))
	for _, r := range b.List().Responses {
		if r.Stage != schema.StageAsked || r.Proof.Successes != 1 {
			t.Errorf("%s: stage %s with %d successes, want asked with 1", r.Target.Agent, r.Stage, r.Proof.Successes)
		}
	}
}

func TestProofSourcesAreBounded(t *testing.T) {
	b := newBench(t, Policy{})
	id := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a")})
	for i := range 3 * schema.MaxProofSources {
		s := sighting(id, b.now, true, 1)
		s.Route = fmt.Sprint("/", i)
		b.Observe([]Sighting{s})
	}
	b.Prove(schema.InstantOf(b.now))
	p := b.only(t).Proof
	if len(p.Sources) != schema.MaxProofSources || p.Denials != 3*schema.MaxProofSources {
		t.Errorf("%d sources with %d denials", len(p.Sources), p.Denials)
	}
}

// TestConcerning: the proof sees each containment that a call concerns once, also if it is found by two names.
func TestConcerning(t *testing.T) {
	b := newBench(t, Policy{})
	b.dir.credentials = map[string][]string{"a": {"c"}}
	b.dir.users = map[string][]string{"c": {"a"}}
	want := map[schema.ID]bool{
		b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a")}):                                true,
		b.contain(t, Request{Scope: schema.ScopeCredential, Target: schema.Target{Credential: "c"}}):       true,
		b.contain(t, Request{Scope: schema.ScopeSession, Target: schema.Target{Session: "s"}}):             true,
		b.contain(t, Request{Scope: schema.ScopeServer, Target: schema.Target{Server: "m"}}):               true,
		b.contain(t, Request{Scope: schema.ScopeTool, Target: schema.Target{Agent: "a", Tool: "t"}}):       true,
		b.contain(t, Request{Scope: schema.ScopeTenant}):                                                   true,
		b.contain(t, Request{Scope: schema.ScopeTool, Target: schema.Target{Agent: "a", Tool: "u"}}):       false,
		b.contain(t, Request{Scope: schema.ScopeTenant, Target: schema.Target{Tenant: "t"}}):               false,
		b.contain(t, Request{Scope: schema.ScopeSession, Target: schema.Target{Agent: "b", Session: "s"}}): false,
	}
	seen := map[schema.ID]int{}
	q := schema.Question{Agent: "a", Credential: "c", Session: "s", Server: "m", Tool: "t"}
	b.View().Concerning(&q, func(c *schema.Containment) { seen[c.ID]++ })
	for id, w := range want {
		if n := seen[id]; n > 1 || w != (n == 1) {
			r, _, _ := b.Response(id)
			t.Errorf("%s %+v was seen %d times, want %v", r.Scope, r.Target, n, w)
		}
	}
}
