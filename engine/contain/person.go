package contain

import (
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Contain adds a containment that a person asks for. It counts when Contain returns, and is durable with the next checkpoint.
// A second request with the same Key returns the first one's record, and existed is true.
func (t *Table) Contain(r Request, who Actor) (rec *schema.ResponseRecord, existed bool, err error) {
	if err := r.check(); err != nil {
		return nil, false, err
	}
	c := schema.Containment{
		Scope: r.Scope, Target: r.Target, State: r.State, Mode: r.Mode, PerMinute: r.PerMinute, Status: schema.ContainmentActive,
		Reason: r.Reason, FindingID: r.FindingID, By: who.Name,
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cover(&c)
	now := t.now()
	key := r.Key
	if key == "" {
		key = fmt.Sprintf("%s\x00%s\x00%v\x00%d\x00%d", who.Name, r.Scope, r.Target, now, t.state.Version)
	} else if key = "given\x00" + who.Name + "\x00" + key; true {
		if old, ok, err := t.recordOf(idOf(key, 0)); ok || err != nil {
			return old, ok, err
		}
	}
	if isOwn(&c, who) {
		return nil, false, fmt.Errorf("%w: it could replace a stricter one by asking for a milder one", ErrOwnCredential)
	}
	if glob := t.never(&c); glob != "" && !r.Force {
		return nil, false, fmt.Errorf("%s: %w, as %q: use --force if it has to be", describe(c.Scope, c.Target), ErrNever, glob)
	}
	if err := t.room(&c); err != nil {
		return nil, false, err
	}
	c.ID, c.Since, c.Until = idOf(key, 0), now, now.Add(r.TTL)
	n := &record{ResponseRecord: newRecord(c, key, r.TTL), live: &counters{}}
	n = n.next(now, actionContain, who.Name, r.Reason)
	t.put(n)
	t.auditRecord(now, actionContain, who.Name, r.Reason, "", n)
	t.tellIf(n.Mode == schema.ModeEnforce, connectors.AgentContained, n)
	return &n.ResponseRecord, false, nil
}

func newRecord(c schema.Containment, key string, ttl time.Duration) schema.ResponseRecord {
	return schema.ResponseRecord{
		Containment: c, Key: key, Stage: schema.StageAsked, TTLSeconds: int64(ttl / time.Second), Rollback: rollback(c.ID),
		Receipts: []schema.Receipt{},
	}
}

// recordOf returns a record in use, or that of the ledger. mu is held.
func (t *Table) recordOf(id schema.ID) (*schema.ResponseRecord, bool, error) {
	if r := t.records[id]; r != nil {
		return &r.ResponseRecord, true, nil
	}
	for _, p := range []*pending{&t.unsaved, &t.taken} {
		if r := p.responses[id]; r != nil {
			return &r.ResponseRecord, true, nil
		}
	}
	return readResponse(t.store, id)
}

// never returns the glob of the never-contained that a containment would restrain, or "".
func (t *Table) never(c *schema.Containment) string {
	names := append([]string{c.Target.Agent, c.Target.Credential}, c.Aliases...)
	names = append(names, c.Credentials...)
	if c.Scope == schema.ScopeCredential {
		users, _ := t.directory.Users(c.Target.Tenant, c.Target.Credential)
		names = append(names, users...)
	}
	for _, n := range names {
		if g := t.policy.isNever(n); g != "" {
			return g
		}
	}
	return ""
}

// isOwn reports whether an actor authenticated as the principal that is contained.
func isOwn(c *schema.Containment, who Actor) bool {
	e := entry{Containment: c}
	if who.Credential != "" && c.Target.Credential == who.Credential {
		return true
	}
	for _, s := range c.Spared {
		if who.Credential != "" && s.Credential == who.Credential {
			return true
		}
	}
	return e.isPrincipal(who.Credential) || e.isPrincipal(who.Name)
}

// Release ends a containment, or rejects a proposal. Gateways get other answers when Release returns; it is durable with the
// next checkpoint. ErrOwnCredential refuses the agent itself.
func (t *Table) Release(id schema.ID, who Actor, reason string) (*schema.ResponseRecord, error) {
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.records[id]
	now := t.now()
	if r == nil || now >= r.Until {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	if isOwn(&r.Containment, who) {
		return nil, ErrOwnCredential
	}
	status, action := schema.ContainmentReleased, actionRelease
	if r.Status == schema.ContainmentProposed {
		status, action = schema.ContainmentRejected, actionDecline
	}
	return t.end(r, status, now, action, who.Name, reason), nil
}

// end makes a containment or a proposal end. mu is held.
func (t *Table) end(r *record, status schema.ContainmentStatus, now schema.Instant, action, by, why string) *schema.ResponseRecord {
	before := r.Status
	n := r.next(now, action, by, why)
	n.Receipts = r.live.receipts(r.ID)
	n.Proof = r.live.proof.Proof
	n.Proof.Sources = slices.Clone(n.Proof.Sources)
	n.Status, n.Ended, n.EndedBy, n.Why = status, now, by, why
	t.put(n)
	t.auditRecord(now, action, by, why, before, n)
	t.tellIf(before == schema.ContainmentActive && n.Mode == schema.ModeEnforce, connectors.AgentReleased, n)
	if before == schema.ContainmentActive && n.Automatic {
		t.cooling[n.cooling()] = now.Add(t.policy.Cooldown)
	}
	return &n.ResponseRecord
}

// Approve lets a proposal become a containment, or a held call pass once. Exactly one of the results is not nil. An approved
// containment is that of the person: no rule releases it any more, and a pause of automation does not suspend it.
func (t *Table) Approve(id schema.ID, who Actor, reason string) (*schema.ResponseRecord, *schema.Approval, error) {
	return t.answer(id, who, reason, true)
}

// Decline rejects a proposal, or makes a held call fail until its approval expires.
func (t *Table) Decline(id schema.ID, who Actor, reason string) (*schema.ResponseRecord, *schema.Approval, error) {
	return t.answer(id, who, reason, false)
}

func (t *Table) answer(id schema.ID, who Actor, reason string, yes bool) (*schema.ResponseRecord, *schema.Approval, error) {
	if err := checkReason(reason); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if r := t.records[id]; r != nil {
		rec, err := t.answerProposal(r, now, who, reason, yes)
		return rec, nil, err
	}
	for _, a := range t.asked {
		if a.ID == id {
			got, err := t.answerCall(a, now, who, reason, yes)
			return nil, got, err
		}
	}
	return nil, nil, fmt.Errorf("%s: %w", id, ErrNotFound)
}

// answerProposal decides a proposal. mu is held.
func (t *Table) answerProposal(r *record, now schema.Instant, who Actor, reason string, yes bool) (*schema.ResponseRecord, error) {
	switch {
	case r.Status != schema.ContainmentProposed:
		return nil, fmt.Errorf("containment %s is in force already: nothing is to be approved", r.ID)
	case now >= r.Until:
		return nil, fmt.Errorf("%s: %w", r.ID, ErrNotFound)
	case isOwn(&r.Containment, who):
		return nil, ErrOwnCredential
	case !yes:
		return t.end(r, schema.ContainmentRejected, now, actionDecline, who.Name, reason), nil
	}
	n := r.next(now, actionApprove, who.Name, reason)
	n.Status, n.Automatic, n.By = schema.ContainmentActive, false, who.Name
	n.Since, n.Until = now, now.Add(time.Duration(n.TTLSeconds)*time.Second)
	t.cover(&n.Containment)
	if err := t.room(&n.Containment); err != nil {
		return nil, err
	}
	t.put(n)
	t.auditRecord(now, actionApprove, who.Name, reason, schema.ContainmentProposed, n)
	t.tellIf(n.Mode == schema.ModeEnforce, connectors.AgentContained, n)
	return &n.ResponseRecord, nil
}

// SetPause suspends automatic containments, or lets them restrain again as far as they last. changed is false if it was so.
func (t *Table) SetPause(paused bool, who Actor, reason string) (p Pause, changed bool, err error) {
	if err := checkReason(reason); err != nil {
		return Pause{}, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Pause.Paused == paused {
		return t.state.Pause, false, nil
	}
	now := t.now()
	t.state.Pause = Pause{Paused: paused, By: who.Name, Reason: reason, Since: now}
	action := actionPause
	if !paused {
		action = actionResume
	}
	t.flag(now, action, who, reason)
	return t.state.Pause, true, nil
}

// Confirm makes a table known to be complete that may have lacked containments: its answers are allow again instead of
// unknown. changed is false if it was known.
func (t *Table) Confirm(who Actor, reason string) (changed bool, err error) {
	if err := checkReason(reason); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Known {
		return false, nil
	}
	t.state.Known, t.state.Lost = true, ""
	t.flag(t.now(), actionConfirm, who, reason)
	return true, nil
}

// flag publishes a change of the table's own state. mu is held.
func (t *Table) flag(now schema.Instant, action string, who Actor, reason string) {
	t.note(change{version: t.step()})
	t.setView(t.view.Load().edit())
	t.audit(now, action, who.Name, "", reason, auditDetail{})
	t.opts.Log.Warn("containment table changed", "action", action, "who", who.Name, "reason", reason)
}
