package contain

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// bench is a table with a clock that tests set.
type bench struct {
	*Table
	now   time.Time
	store *store.Store
	dir   *fakeDirectory
}

var person = Actor{Name: "uid 1000"}

func newBench(t testing.TB, p Policy) *bench {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), store: s, dir: &fakeDirectory{}}
	b.open(t, p)
	if _, err := b.Confirm(person, "first start"); err != nil {
		t.Fatal(err)
	}
	return b
}

// open opens the table of the store, as after a restart.
func (b *bench) open(t testing.TB, p Policy) {
	t.Helper()
	var err error
	b.Table, err = New(b.store, Options{Policy: p, Directory: b.dir, Clock: clock.Clock{Now: func() time.Time { return b.now }}})
	if err != nil {
		t.Fatal(err)
	}
	b.SetCommit(func(context.Context) error { return b.checkpoint() })
}

// checkpoint makes the table durable, as the engine does.
func (b *bench) checkpoint() error {
	seq, state, _, err := b.store.Last()
	if err != nil {
		return err
	}
	c := &store.Checkpoint{Seq: seq + 1, State: state}
	b.Take(c)
	if err := b.store.Commit(c); err != nil {
		return err
	}
	b.Saved()
	return nil
}

func (b *bench) contain(t testing.TB, r Request) schema.ID {
	t.Helper()
	if r.Reason == "" {
		r.Reason = "test"
	}
	got, _, err := b.Contain(r, person)
	if err != nil {
		t.Fatal(err)
	}
	return got.ID
}

// fakeDirectory is a Directory of a test.
type fakeDirectory struct {
	aliases, credentials map[string][]string
	users                map[string][]string
	fleet                int
}

func (d *fakeDirectory) Identity(_, agent string) (aliases, credentials []string) {
	return d.aliases[agent], d.credentials[agent]
}

func (d *fakeDirectory) Users(_, credential string) ([]string, bool) {
	u, ok := d.users[credential]
	return u, ok
}

func (d *fakeDirectory) Fleet(string) (int, bool) { return d.fleet, d.fleet > 0 }

func (d *fakeDirectory) Calls(schema.ContainmentScope, schema.Target) (int64, bool) { return 0, false }

func TestDecideFindsEachScope(t *testing.T) {
	b := newBench(t, Policy{})
	b.dir.aliases = map[string][]string{"agent": {"role/agent"}}
	b.dir.credentials = map[string][]string{"agent": {"cred-own", "cred-shared"}}
	b.dir.users = map[string][]string{"cred-own": {"agent"}, "cred-shared": {"agent", "other"}}
	tests := []struct {
		name  string
		scope schema.ContainmentScope
		to    schema.Target
		deny  []schema.Question
		allow []schema.Question
	}{
		{"agent", schema.ScopeAgent, schema.Target{Agent: "agent"},
			[]schema.Question{{Agent: "agent"}, {Agent: "role/agent"}, {Credential: "cred-own"}, {Agent: "unknown", Credential: "cred-own"},
				{Agent: "agent", Tool: "t", Route: "/x", Session: "s", Server: "m"}, {Credential: "agent"}},
			[]schema.Question{{Agent: "other"}, {Credential: "cred-shared"}, {Agent: "other", Credential: "cred-shared"}, {Session: "agent"},
				{Tenant: "t1", Agent: "agent"}}},
		{"session", schema.ScopeSession, schema.Target{Agent: "agent", Session: "s1"},
			[]schema.Question{{Session: "s1"}, {Session: "s1", Agent: "agent"}, {Session: "s1", Credential: "cred-own"}},
			[]schema.Question{{Session: "s1", Agent: "other"}, {Session: "s2", Agent: "agent"}, {Agent: "agent"}}},
		{"credential", schema.ScopeCredential, schema.Target{Credential: "cred-shared"},
			[]schema.Question{{Credential: "cred-shared"}, {Agent: "other", Credential: "cred-shared"}},
			[]schema.Question{{Credential: "cred-own"}, {Agent: "agent"}}},
		{"tool", schema.ScopeTool, schema.Target{Agent: "agent", Tool: "exec", Server: "shell"},
			[]schema.Question{{Agent: "agent", Tool: "exec"}, {Agent: "agent", Tool: "exec", Server: "shell"}, {Credential: "cred-own", Tool: "exec"}},
			[]schema.Question{{Agent: "agent"}, {Agent: "agent", Tool: "read"}, {Agent: "agent", Tool: "exec", Server: "other"}, {Agent: "other", Tool: "exec"}}},
		{"route", schema.ScopeRoute, schema.Target{Agent: "agent", Route: "POST /v1/pay/*"},
			[]schema.Question{{Agent: "agent", Route: "POST /v1/pay/now"}, {Agent: "agent", Route: "/v1/pay/now?x=/"}, {Agent: "agent", Route: "post /v1//pay/%6eow"},
				{Agent: "agent", Route: "/v1/x/../pay/now"}, {Agent: "agent", Route: "POST /v1/pay"}},
			[]schema.Question{{Agent: "agent", Route: "GET /v1/pay/now"}, {Agent: "agent", Route: "/v1/payment"}, {Agent: "agent"}, {Agent: "agent", Route: "/v1/pay/../x"}}},
		{"server", schema.ScopeServer, schema.Target{Server: "mail"},
			[]schema.Question{{Server: "mail"}, {Agent: "any", Server: "mail"}},
			[]schema.Question{{Agent: "any"}, {Agent: "any", Server: "files"}}},
		{"tenant", schema.ScopeTenant, schema.Target{Tenant: "t1"},
			[]schema.Question{{Tenant: "t1", Agent: "any"}}, []schema.Question{{Agent: "any"}, {Tenant: "t2", Agent: "any"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := b.contain(t, Request{Scope: tt.scope, Target: tt.to})
			defer b.Release(id, person, "over")
			for _, q := range tt.deny {
				if d := b.Decide(q); d.Verdict != schema.VerdictDeny || d.ContainmentID != id || d.Reason != "test" || d.Version == 0 {
					t.Errorf("%+v: got %+v, want a denial by %s", q, d, id)
				}
			}
			for _, q := range tt.allow {
				if d := b.Decide(q); d.Verdict != schema.VerdictAllow {
					t.Errorf("%+v: got %+v, want it allowed", q, d)
				}
			}
		})
	}
	if n := b.View().Len(); n != 0 {
		t.Errorf("%d containments after their release, want 0", n)
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	b := newBench(t, Policy{})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: "denied"}})
	b.contain(t, Request{Scope: schema.ScopeRoute, Target: schema.Target{Agent: "routed", Route: "/v1/a/*"}})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: "slow"}, State: schema.StateThrottle, PerMinute: 10})
	b.contain(t, Request{Scope: schema.ScopeSession, Target: schema.Target{Session: "s"}})
	held := b.contain(t, Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: "held"}, State: schema.StateHold})
	for _, q := range []schema.Question{
		{Agent: "free", Credential: "c", Session: "x", Tool: "t", Route: "/v1/a/b"},
		{Agent: "denied", Credential: "c", Point: "gw"},
		{Agent: "routed", Route: "POST /v1/a/b", Point: "gw"},
		{Agent: "slow", Point: "gw"},
		{Agent: "held", Tool: "t", Arguments: "00", Point: "gw"},
	} {
		b.Decide(q) // begins the receipts, or asks
		if n := testing.AllocsPerRun(100, func() { b.Decide(q) }); n != 0 {
			t.Errorf("%+v: %v allocations, want 0", q, n)
		}
	}
	if d := b.Decide(schema.Question{Agent: "held", Tool: "t", Arguments: "00", Point: "gw"}); d.ContainmentID != held || d.ApprovalID.IsZero() {
		t.Errorf("held: %+v", d)
	}
}

// threadTime returns the processor time of the thread in nanoseconds: on a machine with other work, a rate by the wall clock
// means nothing.
func threadTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkDecide measures look-ups in a table of 100,000 containments, by processor time.
func BenchmarkDecide(b *testing.B) {
	x := newBench(b, Policy{})
	x.opts.Clock = clock.Wall()
	for i := range 100_000 {
		x.contain(b, Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: fmt.Sprintf("agent-%d", i)}, TTL: 24 * time.Hour})
	}
	run := func(name string, question func(i int) schema.Question) {
		list := make([]schema.Question, 1<<14)
		for i := range list {
			list[i] = question(i)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			before := threadTime(b)
			for i := range b.N {
				x.Decide(list[i&(len(list)-1)])
			}
			b.ReportMetric(float64(b.N)/float64(threadTime(b)-before)*1e3, "M/cpu-s")
		})
	}
	run("allowed", func(i int) schema.Question {
		return schema.Question{Agent: fmt.Sprintf("free-%d", i), Credential: schema.CredentialHash(fmt.Sprint(i)), Session: "s", Tool: "t", Route: "POST /v1/chat", Point: "gw"}
	})
	run("denied, one of 100", func(i int) schema.Question {
		return schema.Question{Agent: fmt.Sprintf("agent-%d", i%100*997), Session: "s", Tool: "t", Route: "POST /v1/chat", Point: "gw"}
	})
	run("denied, one of 16,384", func(i int) schema.Question {
		return schema.Question{Agent: fmt.Sprintf("agent-%d", i*5), Credential: schema.CredentialHash(fmt.Sprint(i)), Session: "s", Tool: "t", Route: "POST /v1/chat", Point: "gw"}
	})
}

// BenchmarkMemory measures the memory of 100,000 containments of agents with one credential each, and a look of Tick at them.
func BenchmarkMemory(b *testing.B) {
	x := newBench(b, Policy{})
	const n = 100_000
	names := make([]string, n)
	x.dir.credentials, x.dir.users = map[string][]string{}, map[string][]string{}
	for i := range n {
		names[i] = fmt.Sprintf("agent-%d", i)
		c := schema.CredentialHash(names[i])
		x.dir.credentials[names[i]], x.dir.users[c] = []string{c}, names[i:i+1]
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, a := range names {
		x.contain(b, Request{Scope: schema.ScopeAgent, Target: schema.Target{Agent: a}, TTL: 24 * time.Hour})
	}
	x.log, x.unsaved = nil, pending{} // what a checkpoint frees
	perContainment := float64(heap()-before) / n
	for b.Loop() {
		x.Tick()
	}
	b.ReportMetric(perContainment, "B/containment")
	runtime.KeepAlive(x)
}
