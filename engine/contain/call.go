package contain

import (
	"context"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// consumeTime bounds how long a call waits until the use of its approval is durable.
const consumeTime = 5 * time.Second

// hold sees to the approval of a held call, of which d has the id: it asks a person if nobody was asked, and lets the call
// pass if its approval was given. The use is durable before the call passes, so that an approval is used once.
func (t *Table) hold(d *schema.Decision, e *entry, q schema.Question, now schema.Instant) {
	base := schema.ApprovalIDOf(e.ID, &q, 0)
	if a := t.view.Load().approval(base); a != nil && a.ID == d.ApprovalID && a.Status == schema.ApprovalPending {
		return
	}
	t.mu.Lock()
	a := t.asked[base]
	if a == nil || a.ID != d.ApprovalID || a.Status != schema.ApprovalApproved || now >= a.Until {
		t.ask(d, base, e, q, now)
		t.mu.Unlock()
		return
	}
	commit := t.commit
	if commit == nil {
		d.Reason = "the call is approved, and its use cannot be recorded now: ask again"
		t.mu.Unlock()
		return
	}
	n := a.Approval
	n.Status = schema.ApprovalUsed
	t.putApproval(base, n)
	t.audit(now, actionUse, "gateway:"+q.Point, "", n.Reason, auditDetail{ID: n.ID, Scope: e.Scope})
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), consumeTime)
	defer cancel()
	if err := commit(ctx); err != nil {
		d.Reason = "the use of the approval is not durable: a person has to approve the call again"
		return
	}
	d.Verdict = schema.VerdictAllow
}

// ask adds the approval that a held call waits for, unless too many wait. mu is held.
func (t *Table) ask(d *schema.Decision, base schema.ID, e *entry, q schema.Question, now schema.Instant) {
	old := t.asked[base]
	round := uint64(0)
	if old != nil {
		if now < old.Until && (old.Status == schema.ApprovalPending || old.Status == schema.ApprovalDeclined || old.Status == schema.ApprovalApproved) {
			d.ApprovalID = old.ID // another question came first
			return
		}
		round = old.Round + 1
	}
	if _, ok := t.records[e.ID]; !ok {
		return // the containment ended in between
	}
	if t.pending >= MaxApprovals || t.waiting[e.ID] >= MaxApprovalsEach || old == nil && len(t.asked) >= 4*MaxApprovals {
		d.ApprovalID, d.Reason = schema.ID{}, "too many held calls wait for an approval"
		return
	}
	a := schema.Approval{
		ID: schema.ApprovalIDOf(e.ID, &q, round), ContainmentID: e.ID, Call: q, Status: schema.ApprovalPending, Asked: now,
		Until: min(now.Add(t.policy.ApprovalFor), e.Until), Round: round, Point: q.Point,
	}
	d.ApprovalID = a.ID
	stored := t.putApproval(base, a)
	t.tell(connectors.ApprovalAsked, nil, &stored.Approval)
}

// putApproval makes the next value of an approval count, and publishes it. mu is held.
func (t *Table) putApproval(base schema.ID, a schema.Approval) *approval {
	a.Version = t.step()
	n := &approval{a, base}
	t.indexApproval(n)
	t.unsaved.putApproval(base, n)
	t.note(change{version: a.Version, approval: &n.Approval})
	e := t.view.Load().edit()
	e.putApproval(&n.Approval)
	t.setView(e)
	return n
}

// indexApproval counts an approval in place of its former value. mu is held.
func (t *Table) indexApproval(n *approval) {
	t.forgetApproval(n.base)
	t.asked[n.base] = n
	if n.Status == schema.ApprovalPending {
		t.waiting[n.ContainmentID]++
		t.pending++
	}
}

func (t *Table) forgetApproval(base schema.ID) {
	old := t.asked[base]
	if old == nil {
		return
	}
	delete(t.asked, base)
	if old.Status == schema.ApprovalPending {
		t.pending--
		if t.waiting[old.ContainmentID]--; t.waiting[old.ContainmentID] == 0 {
			delete(t.waiting, old.ContainmentID)
		}
	}
}

// answerCall decides the approval of a held call. mu is held.
func (t *Table) answerCall(a *approval, now schema.Instant, who Actor, reason string, yes bool) (*schema.Approval, error) {
	r := t.records[a.ContainmentID]
	switch {
	case a.Status != schema.ApprovalPending:
		return nil, fmt.Errorf("approval %s is %s already", a.ID, a.Status)
	case now >= a.Until || r == nil:
		return nil, fmt.Errorf("%s: %w", a.ID, ErrNotFound)
	case isOwn(&r.Containment, who), who.Credential != "" && who.Credential == a.Call.Credential:
		return nil, ErrOwnCredential
	}
	n, action := a.Approval, actionApprove
	n.Status, n.By, n.Reason = schema.ApprovalApproved, who.Name, reason
	if !yes {
		n.Status, action = schema.ApprovalDeclined, actionDecline
	}
	stored := t.putApproval(a.base, n)
	target := r.Target
	t.audit(now, action, who.Name, r.RuleID, reason, auditDetail{ID: a.ID, Scope: r.Scope, Target: &target, Until: a.Until})
	return &stored.Approval, nil
}

// dropApprovals removes the approvals of a containment that has ended. mu is held.
func (t *Table) dropApprovals(e *viewEdit, containment schema.ID) {
	for base, a := range t.asked {
		if a.ContainmentID == containment {
			t.dropApproval(e, base, a)
		}
	}
}

func (t *Table) dropApproval(e *viewEdit, base schema.ID, a *approval) {
	t.forgetApproval(base)
	t.unsaved.putApproval(base, nil)
	if old := e.from.approval(base); old != nil {
		e.dropApproval(old)
	}
	gone := a.Approval
	if gone.Status != schema.ApprovalUsed {
		gone.Status = schema.ApprovalExpired
	}
	gone.Version = t.state.Version
	t.note(change{version: gone.Version, approval: &gone})
}

// expireCalls ends approvals whose time is over. They are kept with their containment, because their rounds are. mu is held.
func (t *Table) expireCalls(now schema.Instant) {
	for base, a := range t.asked {
		if now >= a.Until && (a.Status == schema.ApprovalPending || a.Status == schema.ApprovalApproved) {
			n := a.Approval
			n.Status = schema.ApprovalExpired
			t.putApproval(base, n)
		}
	}
}
