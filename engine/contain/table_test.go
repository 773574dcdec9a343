package contain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

func agent(uid string) schema.Target { return schema.Target{Agent: uid} }

// trigger returns a request of a rule for a containment of an agent for 15 minutes.
func (b *bench) trigger(agent string, finding byte) Trigger {
	return Trigger{
		RuleID: "r", FindingID: schema.ID{finding}, Scope: schema.ScopeAgent, Target: schema.Target{Agent: agent}, State: schema.StateDeny,
		Mode: schema.ModeEnforce, TTL: 15 * time.Minute, Reason: "a rule triggered", Event: schema.InstantOf(b.now),
	}
}

func (b *bench) mustTrigger(t *testing.T, r Trigger, want Outcome) {
	t.Helper()
	if got := b.Trigger(r); got != want {
		t.Errorf("trigger of %s by %s: %s, want %s", r.Target.Agent, r.FindingID, got, want)
	}
}

func (b *bench) want(t *testing.T, q schema.Question, want schema.Verdict) schema.Decision {
	t.Helper()
	d := b.Decide(q)
	if d.Verdict != want {
		t.Errorf("%+v: %+v, want %s", q, d, want)
	}
	return d
}

func (b *bench) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.Tick()
}

// only returns the only record that is in use.
func (b *bench) only(t *testing.T) schema.ResponseRecord {
	t.Helper()
	list := b.List().Responses
	if len(list) != 1 {
		t.Fatalf("%d responses in use, want 1: %+v", len(list), list)
	}
	return list[0]
}

func TestContainmentExpiresOnTime(t *testing.T) {
	b := newBench(t, Policy{})
	id := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), TTL: time.Minute})
	b.now = b.now.Add(time.Minute - 1)
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictDeny)
	b.now = b.now.Add(1)
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow) // without a Tick
	if _, err := b.Release(id, person, "late"); !errors.Is(err, ErrNotFound) {
		t.Errorf("release after the end: %v, want ErrNotFound", err)
	}
	b.Tick()
	r, ok, err := b.Response(id)
	if err != nil || !ok || r.Status != schema.ContainmentExpired || r.Why != whyExpired || r.EndedBy != engineName {
		t.Errorf("the ledger has %+v (%v, %v), want it expired", r, ok, err)
	}
	if n := b.View().Len(); n != 0 {
		t.Errorf("the view has %d containments after the end, want 0", n)
	}
}

// TestKill: what a checkpoint has survives, with approvals, receipts and the pause; what no checkpoint has was promised to nobody.
func TestKill(t *testing.T) {
	b := newBench(t, Policy{})
	kept := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("kept"), Key: "k1"})
	held := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("held"), State: schema.StateHold})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("over"), TTL: time.Minute})
	ask := b.want(t, schema.Question{Agent: "held", Tool: "t"}, schema.VerdictHold)
	b.want(t, schema.Question{Agent: "kept", Point: "kong"}, schema.VerdictDeny)
	b.mustTrigger(t, b.trigger("auto", 1), OutcomeContained)
	if _, _, err := b.SetPause(true, person, "too many"); err != nil {
		t.Fatal(err)
	}
	b.Tick()
	version, epoch := b.View().Version(), b.View().Epoch()
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("lost")})
	released := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("x")})
	if _, err := b.Release(kept, person, "not durable"); err != nil {
		t.Fatal(err)
	}
	_ = released
	after, err := b.store.Snapshot() // as the disk is after a kill
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	b.store, b.now = after, b.now.Add(2*time.Minute)
	b.open(t, Policy{})
	b.want(t, schema.Question{Agent: "kept"}, schema.VerdictDeny)
	b.want(t, schema.Question{Agent: "lost"}, schema.VerdictAllow)
	b.want(t, schema.Question{Agent: "over"}, schema.VerdictAllow) // its time passed while nothing ran
	if d := b.want(t, schema.Question{Agent: "auto"}, schema.VerdictAllow); d.Would != schema.VerdictDeny {
		t.Errorf("automation is paused: %+v, want would = deny", d)
	}
	if d := b.want(t, schema.Question{Agent: "held", Tool: "t"}, schema.VerdictHold); d.ApprovalID != ask.ApprovalID || d.ContainmentID != held {
		t.Errorf("held call after the kill: %+v, want approval %s", d, ask.ApprovalID)
	}
	if b.View().Version() < version || b.View().Epoch() != epoch {
		t.Errorf("version %d of epoch %s, want at least %d of %s", b.View().Version(), b.View().Epoch(), version, epoch)
	}
	r, _, _ := b.Response(kept)
	if len(r.Receipts) != 2 || r.Receipts[1].Point != "kong" || r.Receipts[1].Refused != 1 || r.Stage != schema.StageEnforced { // the other is ours
		t.Errorf("receipts after the kill: %+v, stage %s", r.Receipts, r.Stage)
	}
	again, existed, err := b.Contain(Request{Scope: schema.ScopeAgent, Target: agent("kept"), Reason: "x", Key: "k1"}, person)
	if err != nil || !existed || again.ID != kept {
		t.Errorf("the same idempotency key gave %v (existed %v, %v), want %s", again, existed, err, kept)
	}
	b.Tick()
	if n := b.View().Len(); n != 3 { // kept, held, auto
		t.Errorf("%d containments after the kill, want 3", n)
	}
}

func TestLostStateIsUnknown(t *testing.T) {
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := &bench{now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), store: s, dir: &fakeDirectory{}}
	b.open(t, Policy{})
	if d := b.want(t, schema.Question{Agent: "a"}, schema.VerdictUnknown); d.Reason == "" {
		t.Error("an unknown answer without a reason")
	}
	id := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a")})
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictDeny)
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("m"), Mode: schema.ModeMonitor})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("o"), State: schema.StateObserve})
	for _, a := range []string{"b", "m", "o"} {
		b.want(t, schema.Question{Agent: a}, schema.VerdictUnknown)
	}
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{})
	b.want(t, schema.Question{Agent: "b"}, schema.VerdictUnknown) // a restart confirms nothing
	if changed, err := b.Confirm(person, "first start"); !changed || err != nil {
		t.Fatal(changed, err)
	}
	b.want(t, schema.Question{Agent: "b"}, schema.VerdictAllow)
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{})
	b.want(t, schema.Question{Agent: "b"}, schema.VerdictAllow)
	if d := b.want(t, schema.Question{Agent: "a"}, schema.VerdictDeny); d.ContainmentID != id {
		t.Errorf("%+v, want %s", d, id)
	}
}

func TestCaps(t *testing.T) {
	b := newBench(t, Policy{MaxContained: 3, MaxShare: 0.5})
	for i := range 3 {
		b.mustTrigger(t, b.trigger(fmt.Sprint("a", i), byte(i)), OutcomeContained)
	}
	b.mustTrigger(t, b.trigger("a3", 3), OutcomeProposed)
	b.want(t, schema.Question{Agent: "a3"}, schema.VerdictAllow)
	other := b.trigger("a3", 4)
	b.mustTrigger(t, other, OutcomeExists) // the same question to the person
	same := b.trigger("a0", 5)
	same.RuleID = "r2"
	b.mustTrigger(t, same, OutcomeContained) // a0 counts once
	monitor := b.trigger("a4", 6)
	monitor.Mode = schema.ModeMonitor
	b.mustTrigger(t, monitor, OutcomeMonitored)
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("by-person")}) // people have no cap
	if l := b.List(); l.Automatic != 3 {
		t.Errorf("automation restrains %d agents, want 3", l.Automatic)
	}

	proposal := b.proposal(t)
	if !strings.Contains(proposal.Why, "response.max_contained") {
		t.Errorf("why %q does not name the key", proposal.Why)
	}
	r, a, err := b.Approve(proposal.ID, person, "looked at it")
	if err != nil || a != nil || r.Status != schema.ContainmentActive || r.Automatic || r.By != person.Name {
		t.Fatalf("approve: %+v %v %v", r, a, err)
	}
	b.want(t, schema.Question{Agent: "a3"}, schema.VerdictDeny)
	if got := r.Until - r.Since; got != schema.Instant(15*time.Minute) {
		t.Errorf("the approved containment lasts %v, want 15m from its approval", time.Duration(got))
	}

	b.dir.fleet = 8 // half of it is 4
	b.policy.MaxContained = 100
	b.mustTrigger(t, b.trigger("a5", 7), OutcomeContained)
	b.mustTrigger(t, b.trigger("a6", 8), OutcomeProposed)
	id := b.proposal(t).ID
	if r, _, err := b.Decline(id, person, "harmless"); err != nil || r.Status != schema.ContainmentRejected {
		t.Errorf("decline: %+v, %v", r, err)
	}
	b.mustTrigger(t, b.trigger("a7", 9), OutcomeProposed)
	b.pass(time.Hour)
	if r, _, _ := b.Response(b.firstProposed("a7")); r == nil || r.Status != schema.ContainmentExpired || r.Why != whyUndecided {
		t.Errorf("a proposal that nobody decided is %+v, want expired", r)
	}
}

func (b *bench) firstProposed(agent string) schema.ID {
	r := b.trigger(agent, 9)
	return idOf(fmt.Sprintf("rule\x00%s\x00%s\x00%s\x00%v", r.RuleID, r.FindingID, r.Scope, r.Target), 0)
}

// proposal returns the only proposal.
func (b *bench) proposal(t *testing.T) schema.ResponseRecord {
	t.Helper()
	var out []schema.ResponseRecord
	for _, r := range b.List().Responses {
		if r.Status == schema.ContainmentProposed {
			out = append(out, r)
		}
	}
	if len(out) != 1 {
		t.Fatalf("%d proposals, want 1: %+v", len(out), out)
	}
	return out[0]
}

func TestCooldown(t *testing.T) {
	b := newBench(t, Policy{Cooldown: 30 * time.Minute})
	b.mustTrigger(t, b.trigger("a", 1), OutcomeContained)
	b.mustTrigger(t, b.trigger("a", 1), OutcomeExists)
	b.pass(14 * time.Minute)
	b.mustTrigger(t, b.trigger("a", 1), OutcomeExists) // another trigger makes it no longer
	b.pass(time.Minute)
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow)
	b.pass(29 * time.Minute)
	b.mustTrigger(t, b.trigger("a", 1), OutcomeCooldown)
	b.mustTrigger(t, b.trigger("a", 2), OutcomeCooldown) // another finding of the rule
	other := b.trigger("a", 3)
	other.RuleID = "r2"
	b.mustTrigger(t, other, OutcomeContained) // another rule
	b.mustTrigger(t, b.trigger("b", 4), OutcomeContained)
	if err := b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.open(t, Policy{Cooldown: 30 * time.Minute})
	b.mustTrigger(t, b.trigger("a", 1), OutcomeCooldown) // it survives a restart
	b.pass(time.Minute)
	b.mustTrigger(t, b.trigger("a", 1), OutcomeContained) // the same finding, a second time
}

// TestNoTriggerNoContainment: a change of a finding that brings no trigger after the end of its containment contains nothing.
func TestNoTriggerNoContainment(t *testing.T) {
	b := newBench(t, Policy{Cooldown: time.Second})
	r := b.trigger("a", 1)
	b.mustTrigger(t, r, OutcomeContained)
	b.pass(15 * time.Minute)
	b.pass(time.Minute)
	r.Event, r.TTL = r.Event+1, time.Hour
	b.mustTrigger(t, r, OutcomeExists)
	stale := b.trigger("b", 2)
	stale.Event = schema.InstantOf(b.now.Add(-15 * time.Minute))
	b.mustTrigger(t, stale, OutcomeStale)
}

func TestNeverContained(t *testing.T) {
	b := newBench(t, Policy{Never: []string{"billing", "sre-*", "key-vip"}})
	b.dir.aliases = map[string][]string{"prod": {"sre-7"}}
	b.dir.credentials = map[string][]string{"cash": {"key-vip"}}
	b.dir.users = map[string][]string{"key-vip": {"cash"}, "key-2": {"billing"}}
	for i, a := range []string{"billing", "sre-1", "prod", "cash"} {
		b.mustTrigger(t, b.trigger(a, byte(i)), OutcomeNever)
	}
	cred := b.trigger("", 9)
	cred.Scope, cred.Target = schema.ScopeCredential, schema.Target{Credential: "key-2"}
	b.mustTrigger(t, cred, OutcomeNever)
	r := Request{Scope: schema.ScopeAgent, Target: agent("sre-1"), Reason: "x"}
	if _, _, err := b.Contain(r, person); !errors.Is(err, ErrNever) {
		t.Errorf("a person without force: %v, want ErrNever", err)
	}
	r.Force = true
	if _, _, err := b.Contain(r, person); err != nil {
		t.Error(err)
	}
}

// TestSharedCredential: automation never contains a credential that another agent uses, not even as a part of an agent.
func TestSharedCredential(t *testing.T) {
	b := newBench(t, Policy{})
	b.dir.credentials = map[string][]string{"a": {"own", "shared", "dark"}}
	b.dir.users = map[string][]string{"own": {"a"}, "shared": {"b", "a", "c"}}
	b.mustTrigger(t, b.trigger("a", 1), OutcomeContained)
	r := b.only(t)
	if len(r.Credentials) != 1 || r.Credentials[0] != "own" || len(r.Spared) != 2 ||
		fmt.Sprint(r.Spared) != "[{dark []} {shared [b c]}]" {
		t.Errorf("it covers %v and spares %v", r.Credentials, r.Spared)
	}
	b.want(t, schema.Question{Agent: "b", Credential: "shared"}, schema.VerdictAllow)
	b.want(t, schema.Question{Agent: "a", Credential: "shared"}, schema.VerdictDeny)
	cred := b.trigger("", 2)
	cred.Scope = schema.ScopeCredential
	for _, name := range []string{"shared", "dark"} {
		cred.Target = schema.Target{Credential: name}
		cred.FindingID[1]++
		b.mustTrigger(t, cred, OutcomeProposed)
		b.want(t, schema.Question{Credential: name}, schema.VerdictAllow)
	}
	cred.Target, cred.FindingID[1] = schema.Target{Credential: "own"}, 9
	b.mustTrigger(t, cred, OutcomeContained)
}

func TestWithdrawnFindingReleases(t *testing.T) {
	b := newBench(t, Policy{MaxContained: 1})
	b.mustTrigger(t, b.trigger("a", 1), OutcomeContained)
	b.mustTrigger(t, b.trigger("b", 2), OutcomeProposed)
	b.mustTrigger(t, b.trigger("c", 3), OutcomeProposed)
	var c schema.ID
	for _, r := range b.List().Responses {
		if r.Target.Agent == "c" {
			c = r.ID
		}
	}
	if _, _, err := b.Approve(c, person, "yes"); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[byte]int{1: 1, 2: 1, 3: 0, 4: 0} { // a person has approved the third
		if n := b.Withdraw(schema.ID{id}); n != want {
			t.Errorf("finding %d released %d, want %d", id, n, want)
		}
	}
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow)
	b.want(t, schema.Question{Agent: "c"}, schema.VerdictDeny)
	b.mustTrigger(t, b.trigger("a", 1), OutcomeContained) // the finding came back: no cooldown
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictDeny)
}

func TestPauseStopsAutomationAtOnce(t *testing.T) {
	b := newBench(t, Policy{})
	b.mustTrigger(t, b.trigger("auto", 1), OutcomeContained)
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("person")})
	if _, changed, err := b.SetPause(true, person, "false alarms"); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if d := b.want(t, schema.Question{Agent: "auto"}, schema.VerdictAllow); d.Would != schema.VerdictDeny || d.WouldID.IsZero() {
		t.Errorf("%+v, want would = deny", d)
	}
	b.want(t, schema.Question{Agent: "person"}, schema.VerdictDeny)
	b.mustTrigger(t, b.trigger("other", 2), OutcomeOff)
	if _, changed, _ := b.SetPause(true, person, "again"); changed {
		t.Error("a second pause changed something")
	}
	if _, _, err := b.SetPause(false, person, "fixed"); err != nil {
		t.Fatal(err)
	}
	b.want(t, schema.Question{Agent: "auto"}, schema.VerdictDeny)
}

func TestAutomationSettings(t *testing.T) {
	off := newBench(t, Policy{Automation: AutomationOff})
	off.mustTrigger(t, off.trigger("a", 1), OutcomeOff)
	monitor := newBench(t, Policy{Automation: AutomationMonitor})
	monitor.mustTrigger(t, monitor.trigger("a", 1), OutcomeMonitored)
	if d := monitor.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow); d.Would != schema.VerdictDeny || d.Reason == "" {
		t.Errorf("%+v, want would = deny", d)
	}
	warm := newBench(t, Policy{})
	r := warm.trigger("a", 1)
	r.Warming = true
	warm.mustTrigger(t, r, OutcomeProposed)
	for name, r := range map[string]Trigger{
		"no agent": {Scope: schema.ScopeAgent}, "no session": {Scope: schema.ScopeSession, Target: agent("a")}, "tenant": {Scope: schema.ScopeTenant},
	} {
		if got := warm.Trigger(r); got != OutcomeNoTarget {
			t.Errorf("%s: %s, want no_target", name, got)
		}
	}
}

func TestOwnCredentialCannotRelease(t *testing.T) {
	b := newBench(t, Policy{MaxContained: 1})
	b.dir.aliases = map[string][]string{"a": {"role/a"}}
	b.dir.credentials = map[string][]string{"a": {"own", "shared"}}
	b.dir.users = map[string][]string{"own": {"a"}, "shared": {"a", "b"}}
	id := b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateHold})
	b.mustTrigger(t, b.trigger("b", 1), OutcomeContained)
	b.mustTrigger(t, b.trigger("a", 2), OutcomeProposed)
	proposal := b.proposal(t).ID
	call := b.want(t, schema.Question{Agent: "a", Tool: "t"}, schema.VerdictHold).ApprovalID
	for _, who := range []Actor{{Name: "a"}, {Name: "role/a"}, {Name: "x", Credential: "own"}, {Name: "x", Credential: "shared"}} {
		for what, err := range map[string]error{
			"release":          second(b.Release(id, who, "please")),
			"reject":           second(b.Release(proposal, who, "please")),
			"decline":          third(b.Decline(proposal, who, "please")),
			"approve the call": third(b.Approve(call, who, "please")),
			"contain milder":   third(b.Contain(Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateObserve, Reason: "x"}, who)),
		} {
			if !errors.Is(err, ErrOwnCredential) {
				t.Errorf("%s by %+v: %v, want ErrOwnCredential", what, who, err)
			}
		}
	}
	if _, err := b.Release(id, person, "over"); err != nil {
		t.Error(err)
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func TestStrictestCounts(t *testing.T) {
	b := newBench(t, Policy{})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateObserve})
	b.want(t, schema.Question{Agent: "a", Tool: "t"}, schema.VerdictAllow)
	b.contain(t, Request{Scope: schema.ScopeTool, Target: schema.Target{Agent: "a", Tool: "t"}, State: schema.StateHold})
	b.want(t, schema.Question{Agent: "a", Tool: "t"}, schema.VerdictHold)
	b.contain(t, Request{Scope: schema.ScopeSession, Target: schema.Target{Session: "s"}, Mode: schema.ModeMonitor})
	if d := b.want(t, schema.Question{Agent: "a", Tool: "t", Session: "s"}, schema.VerdictHold); d.Would != schema.VerdictDeny {
		t.Errorf("%+v, want would = deny", d)
	}
	b.contain(t, Request{Scope: schema.ScopeServer, Target: schema.Target{Server: "m"}})
	b.want(t, schema.Question{Agent: "a", Tool: "t", Server: "m"}, schema.VerdictDeny)
	if d := b.want(t, schema.Question{Agent: "a", Tool: "u"}, schema.VerdictAllow); d.ContainmentID.IsZero() {
		t.Error("an observed call does not name its containment")
	}
}

func TestBadRequestsChangeNothing(t *testing.T) {
	b := newBench(t, Policy{})
	version := b.View().Version()
	good := Request{Scope: schema.ScopeAgent, Target: agent("a"), Reason: "x"}
	for name, change := range map[string]func(*Request){
		"scope": func(r *Request) { r.Scope = "fleet" }, "no scope": func(r *Request) { r.Scope = "" },
		"no agent": func(r *Request) { r.Target.Agent = "" }, "unused field": func(r *Request) { r.Target.Tool = "t" },
		"state": func(r *Request) { r.State = "kill" }, "mode": func(r *Request) { r.Mode = "x" },
		"ttl": func(r *Request) { r.TTL = -1 }, "long ttl": func(r *Request) { r.TTL = MaxTTL + 1 },
		"no reason": func(r *Request) { r.Reason = "" }, "long reason": func(r *Request) { r.Reason = strings.Repeat("x", 501) },
		"control": func(r *Request) { r.Target.Agent = "a\x00b" }, "utf8": func(r *Request) { r.Target.Agent = "a\xff" },
		"long": func(r *Request) { r.Target.Agent = strings.Repeat("a", schema.MaxTargetText+1) },
		"rate": func(r *Request) { r.State = schema.StateThrottle }, "rate without throttle": func(r *Request) { r.PerMinute = 3 },
		"key": func(r *Request) { r.Key = strings.Repeat("k", MaxKey+1) },
	} {
		r := good
		change(&r)
		if got, _, err := b.Contain(r, person); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
	if b.View().Version() != version {
		t.Error("a bad request changed the table")
	}
}
