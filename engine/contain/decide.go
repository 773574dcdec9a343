package contain

import "github.com/aidr-engine/aidr/schema"

// choice is the containment that an answer follows so far, by how it restrains: one that is enforced, and one that is only
// monitored.
type choice struct {
	enforced, monitored *entry
}

// Decide answers a question at an instant of the wall clock. A throttle counts the call. The view never lets a held call
// pass, not even one whose approval was given: an approval is used once, which only the table that owns it can see to.
//
// Decide takes no lock and allocates nothing, except for the route of a question that is not in its usual form.
func (v *View) Decide(q schema.Question, now schema.Instant) schema.Decision {
	d, _ := v.decide(&q, now)
	return d
}

// decide is Decide; it also returns the containment that the answer follows.
func (v *View) decide(q *schema.Question, now schema.Instant) (d schema.Decision, followed *entry) {
	d = schema.Decision{Verdict: schema.VerdictAllow, Version: v.version, Epoch: v.epoch}
	if !v.known {
		d.Verdict, d.Reason = schema.VerdictUnknown, v.lost
	}
	var c choice
	v.choose(q, now, &c)
	if e := c.enforced; e != nil {
		v.follow(&d, e, q, now)
	}
	if m := c.monitored; m != nil && (c.enforced == nil || m.rank > c.enforced.rank) {
		d.Would, d.WouldID = m.State.Verdict(), m.ID
		if c.enforced == nil && v.known {
			d.Reason = m.Reason
		}
	}
	return d, c.enforced
}

// choose finds the strictest containments that restrain a call.
func (v *View) choose(q *schema.Question, now schema.Instant, c *choice) {
	if v.kinds[byPrincipal] > 0 {
		if q.Agent != "" {
			v.gather(byPrincipal, q.Agent, q, now, c)
		}
		if q.Credential != "" && q.Credential != q.Agent {
			v.gather(byPrincipal, q.Credential, q, now, c)
		}
	}
	if v.kinds[bySession] > 0 && q.Session != "" {
		v.gather(bySession, q.Session, q, now, c)
	}
	if v.kinds[byServer] > 0 && q.Server != "" {
		v.gather(byServer, q.Server, q, now, c)
	}
	if v.kinds[byTenant] > 0 {
		v.gather(byTenant, "", q, now, c)
	}
}

func (v *View) gather(k kind, text string, q *schema.Question, now schema.Instant, c *choice) {
	hash := v.hasher.of(k, q.Tenant, text)
	for s, at := v.postings.first(hash); s != nil; {
		p, after := s.next(hash, at)
		if p == nil {
			return
		}
		at = after
		e := p.entry
		if p.kind != k || p.text != text || e.tenant != q.Tenant || now >= e.until || !e.restrains(q) {
			continue
		}
		if e.enforce && !(e.automatic && v.paused) {
			c.enforced = stricter(c.enforced, e)
		} else {
			c.monitored = stricter(c.monitored, e)
		}
	}
}

// restrains reports whether a containment that was found by its principal, session, server or tenant is about the call.
func (e *entry) restrains(q *schema.Question) bool {
	switch e.Scope {
	case schema.ScopeTool:
		return q.Tool == e.Target.Tool && (e.Target.Server == "" || q.Server == "" || q.Server == e.Target.Server)
	case schema.ScopeRoute:
		return q.Route != "" && e.route.matches(q.Route)
	case schema.ScopeSession, schema.ScopeServer:
		return e.isOf(q)
	}
	return true
}

// isOf reports whether a question may be about the agent of a containment. One that names neither an agent nor a credential
// may be about any.
func (e *entry) isOf(q *schema.Question) bool {
	if e.Target.Agent == "" || q.Agent == "" && q.Credential == "" {
		return true
	}
	return e.isPrincipal(q.Agent) || e.isPrincipal(q.Credential)
}

func (e *entry) isPrincipal(text string) bool {
	if text == "" {
		return false
	}
	if text == e.Target.Agent {
		return true
	}
	for _, a := range e.Aliases {
		if a == text {
			return true
		}
	}
	for _, c := range e.Credentials {
		if c == text {
			return true
		}
	}
	return false
}

// stricter returns the containment that counts of two: the stricter state, the lower rate, the later end, the lower id.
func stricter(a, b *entry) *entry {
	switch {
	case a == nil:
		return b
	case a.rank != b.rank:
		if a.rank > b.rank {
			return a
		}
		return b
	case a.PerMinute != b.PerMinute:
		if a.PerMinute < b.PerMinute {
			return a
		}
		return b
	case a.until != b.until:
		if a.until > b.until {
			return a
		}
		return b
	}
	if compareIDs(a.ID, b.ID) < 0 {
		return a
	}
	return b
}

// follow makes an answer follow a containment.
func (v *View) follow(d *schema.Decision, e *entry, q *schema.Question, now schema.Instant) {
	d.ContainmentID, d.Scope, d.FindingID, d.RuleID = e.ID, e.Scope, e.FindingID, e.RuleID
	d.Until, d.PerMinute = e.Until, e.PerMinute
	switch e.State {
	case schema.StateDeny:
		d.Verdict = schema.VerdictDeny
	case schema.StateHold:
		d.Verdict = schema.VerdictHold
		v.hold(d, e, q, now)
	case schema.StateThrottle:
		retry, ok := e.live.admit(now, e.PerMinute)
		if !ok {
			d.Verdict, d.RetryMS = schema.VerdictThrottle, retry
		}
	}
	if d.Verdict != schema.VerdictUnknown {
		d.Reason = e.Reason
	}
}

// hold gives the answer to a held call its approval: that of the latest round if it is pending or approved, else the next.
func (v *View) hold(d *schema.Decision, e *entry, q *schema.Question, now schema.Instant) {
	base := schema.ApprovalIDOf(e.ID, q, 0)
	a := v.approval(base)
	switch {
	case a == nil:
		d.ApprovalID = base
	case now >= a.Until, a.Status == schema.ApprovalUsed, a.Status == schema.ApprovalExpired:
		d.ApprovalID = schema.ApprovalIDOf(e.ID, q, a.Round+1)
	case a.Status == schema.ApprovalDeclined:
		d.Verdict, d.ApprovalID = schema.VerdictDeny, a.ID
	default:
		d.ApprovalID = a.ID
	}
}
