package contain

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

func TestApprovalIsBoundAndUsedOnce(t *testing.T) {
	b := newBench(t, Policy{ApprovalFor: 10 * time.Minute})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateHold, TTL: time.Hour})
	q := schema.Question{Agent: "a", Tool: "pay", Route: "POST /pay", Arguments: "aa", Session: "s1", Point: "gw"}
	id := b.want(t, q, schema.VerdictHold).ApprovalID
	for range 3 {
		if d := b.want(t, q, schema.VerdictHold); d.ApprovalID != id {
			t.Errorf("a repeated hold has approval %s, want %s", d.ApprovalID, id)
		}
	}
	others := []schema.Question{q, q, q}
	others[0].Tool, others[1].Arguments, others[2].Route = "pay2", "bb", "POST /pay2"
	if _, a, err := b.Approve(id, person, "fine"); err != nil || a.Status != schema.ApprovalApproved {
		t.Fatal(a, err)
	}
	if _, _, err := b.Approve(id, person, "fine"); err == nil {
		t.Error("an approval was approved twice")
	}
	for _, o := range others {
		if d := b.want(t, o, schema.VerdictHold); d.ApprovalID == id || d.ApprovalID.IsZero() {
			t.Errorf("another call has approval %s", d.ApprovalID)
		}
	}
	var passed int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if b.Decide(q).Verdict == schema.VerdictAllow {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if passed != 1 {
		t.Errorf("an approval let %d calls pass, want 1", passed)
	}
	if d := b.want(t, q, schema.VerdictHold); d.ApprovalID == id {
		t.Error("a used approval is offered again")
	}
	b.open(t, Policy{}) // the use was durable before the call passed
	next := b.want(t, q, schema.VerdictHold).ApprovalID
	if next == id {
		t.Error("a used approval is offered again after a restart")
	}

	if _, a, err := b.Decline(next, person, "no"); err != nil || a.Status != schema.ApprovalDeclined {
		t.Fatal(a, err)
	}
	b.want(t, q, schema.VerdictDeny)
	b.pass(15 * time.Minute)
	third := b.want(t, q, schema.VerdictHold).ApprovalID
	if _, _, err := b.Approve(third, person, "now"); err != nil {
		t.Fatal(err)
	}
	b.pass(15 * time.Minute)
	if d := b.want(t, q, schema.VerdictHold); d.ApprovalID == third {
		t.Error("an approval passes a call after its end")
	}
}

// TestApprovalNeedsTheDisk: an approval whose use cannot be made durable lets no call pass.
func TestApprovalNeedsTheDisk(t *testing.T) {
	b := newBench(t, Policy{})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateHold})
	q := schema.Question{Agent: "a", Tool: "t"}
	id := b.want(t, q, schema.VerdictHold).ApprovalID
	if _, _, err := b.Approve(id, person, "fine"); err != nil {
		t.Fatal(err)
	}
	b.SetCommit(nil)
	b.want(t, q, schema.VerdictHold)
	b.SetCommit(func(context.Context) error { return errors.New("the disk is full") })
	b.want(t, q, schema.VerdictHold)
}

// TestHeldCallsAreBounded: an agent cannot flood people with calls that differ a little.
func TestHeldCallsAreBounded(t *testing.T) {
	b := newBench(t, Policy{})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateHold})
	for i := range 3 * MaxApprovalsEach {
		b.want(t, schema.Question{Agent: "a", Arguments: fmt.Sprint(i)}, schema.VerdictHold)
	}
	if n := len(b.List().Approvals); n != MaxApprovalsEach {
		t.Errorf("%d approvals wait, want %d", n, MaxApprovalsEach)
	}
	if d := b.want(t, schema.Question{Agent: "a", Arguments: "x"}, schema.VerdictHold); !d.ApprovalID.IsZero() || d.Reason == "" {
		t.Errorf("%+v, want no approval and the reason", d)
	}
}

func TestThrottle(t *testing.T) {
	b := newBench(t, Policy{})
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("a"), State: schema.StateThrottle, PerMinute: 3})
	for range 2 {
		for range 3 {
			b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow)
		}
		if d := b.want(t, schema.Question{Agent: "a"}, schema.VerdictThrottle); d.RetryMS != 60_000 || d.PerMinute != 3 {
			t.Errorf("%+v, want to try again after a minute", d)
		}
		b.pass(time.Minute)
	}
	// The count goes on over changes of the table.
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow)
	b.contain(t, Request{Scope: schema.ScopeAgent, Target: agent("b")})
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow)
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictAllow)
	b.want(t, schema.Question{Agent: "a"}, schema.VerdictThrottle)
}
