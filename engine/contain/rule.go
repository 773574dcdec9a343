package contain

import (
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Trigger is a containment that a rule requests, because a finding of it opened or changed.
type Trigger struct {
	RuleID    string
	FindingID schema.ID
	Scope     schema.ContainmentScope
	Target    schema.Target
	State     schema.ContainmentState
	Mode      schema.ContainmentMode
	PerMinute int
	TTL       time.Duration
	Reason    string
	Event     schema.Instant // event time of the latest trigger
	Warming   bool           // the rule's State does not know its whole window yet
}

// Outcome is what a Trigger led to. It is a value of a metric, and never changes.
type Outcome string

// The outcomes.
const (
	OutcomeContained Outcome = "contained"
	OutcomeMonitored Outcome = "monitored" // recorded; it restrains nothing
	OutcomeProposed  Outcome = "proposed"  // a person is asked
	OutcomeExists    Outcome = "exists"    // the finding has contained the target already, or its proposal waits
	OutcomeCooldown  Outcome = "cooldown"
	OutcomeNever     Outcome = "never"      // the target is on the list of the never-contained
	OutcomeOff       Outcome = "off"        // automation is off or paused
	OutcomeStale     Outcome = "stale"      // the trigger is older than the containment would last
	OutcomeNoTarget  Outcome = "no_target"  // the finding lacks what the scope needs
	OutcomeTooMany   Outcome = "no_room"    // the table, or the list of proposals, is full
	OutcomeUndecided Outcome = "unreadable" // the ledger cannot be read; the next change of the finding tries again
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeContained, OutcomeMonitored, OutcomeProposed, OutcomeExists, OutcomeCooldown, OutcomeNever, OutcomeOff, OutcomeStale,
		OutcomeNoTarget, OutcomeTooMany, OutcomeUndecided,
	}
}

// Trigger carries out what a rule requests, within the policy. It counts when Trigger returns, before the checkpoint that makes
// it and the finding durable. A repetition for the same finding changes nothing while the containment lasts.
func (t *Table) Trigger(r Trigger) Outcome {
	if r.Target.Check(r.Scope) != nil || r.Scope == schema.ScopeTenant {
		return OutcomeNoTarget
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.policy.Automation == AutomationOff {
		return OutcomeOff
	}
	c := schema.Containment{
		Scope: r.Scope, Target: r.Target, State: r.State, Mode: r.Mode, PerMinute: r.PerMinute, Reason: schema.Truncate(r.Reason, schema.MaxReason),
		FindingID: r.FindingID, RuleID: r.RuleID, By: automaticBy + r.RuleID, Automatic: true, Status: schema.ContainmentActive,
	}
	if t.policy.Automation == AutomationMonitor {
		c.Mode = schema.ModeMonitor
	}
	now := t.now()
	for _, id := range t.found[r.FindingID] {
		if old := t.records[id]; old.Scope == r.Scope && old.Target == r.Target && now < old.Until {
			return OutcomeExists
		}
	}
	switch {
	case t.state.Pause.Paused:
		return OutcomeOff
	case r.Event.Add(r.TTL) <= now:
		return OutcomeStale
	case now < t.cooling[coolingKey{r.RuleID, r.Scope, r.Target}]:
		return OutcomeCooldown
	}
	t.cover(&c)
	if t.never(&c) != "" {
		return OutcomeNever
	}
	if t.room(&c) != nil {
		return OutcomeTooMany
	}
	return t.automate(&c, r, now)
}

// automaticBy precedes the id of a rule in Containment.By.
const automaticBy = "rule:"

// automate adds the containment of a rule, or a proposal of it. mu is held.
func (t *Table) automate(c *schema.Containment, r Trigger, now schema.Instant) Outcome {
	key := fmt.Sprintf("rule\x00%s\x00%s\x00%s\x00%v", r.RuleID, r.FindingID, r.Scope, r.Target)
	id, last, ok := t.freeID(key)
	switch {
	case !ok:
		return OutcomeUndecided
	case last != nil && r.Event <= last.Ended && last.Why != whyWithdrawn:
		return OutcomeExists // no trigger since the last containment of the finding ended
	}
	c.ID, c.Since, c.Until = id, now, now.Add(r.TTL)
	action, kind, outcome := actionContain, connectors.AgentContained, OutcomeContained
	if c.Mode == schema.ModeMonitor {
		outcome = OutcomeMonitored
	} else if why := t.needsPerson(c, r.Warming); why != "" {
		if _, waits := t.proposed[coolingKey{r.RuleID, r.Scope, r.Target}]; waits {
			return OutcomeExists // several findings are one question
		}
		if len(t.proposed) >= MaxProposals {
			return OutcomeTooMany
		}
		c.Status, c.Why, c.Until = schema.ContainmentProposed, why, now.Add(t.policy.AskFor)
		action, kind, outcome = actionPropose, connectors.ApprovalAsked, OutcomeProposed
	}
	n := &record{ResponseRecord: newRecord(*c, key, r.TTL), live: &counters{}}
	n = n.next(now, action, c.By, c.Reason)
	t.put(n)
	t.auditRecord(now, action, c.By, c.Reason, "", n)
	t.tellIf(outcome != OutcomeMonitored, kind, n)
	return outcome
}

// freeID returns the first id of a key that no record has, and the last record of the key: a finding may contain its target
// again after that has ended. ok is false if the ledger cannot be read. mu is held.
func (t *Table) freeID(key string) (id schema.ID, last *schema.ResponseRecord, ok bool) {
	for round := uint64(0); ; round++ {
		id = idOf(key, round)
		old, used, err := t.recordOf(id)
		if err != nil {
			t.opts.Log.Error("the ledger of responses cannot be read", "error", err)
			return id, nil, false
		}
		if !used {
			return id, last, true
		}
		last = old
	}
}

// needsPerson returns why automation may not decide a containment, or "". mu is held.
func (t *Table) needsPerson(c *schema.Containment, warming bool) string {
	if warming {
		return "the State of the rule is warming up, so what it takes for new may be old"
	}
	if c.Scope == schema.ScopeCredential {
		users, known := t.directory.Users(c.Target.Tenant, c.Target.Credential)
		switch {
		case !known:
			return "it is not known which agents use the credential"
		case len(users) > 1:
			return fmt.Sprintf("%d agents use the credential, such as %q", len(users), slices.Min(users))
		}
	}
	if t.automatic.has(c.Target) {
		return "" // the agent is restrained already, so the caps do not grow
	}
	if n := len(t.automatic.targets); n >= t.policy.MaxContained {
		return fmt.Sprintf("automation restrains %d agents, the limit is %d (response.max_contained)", n, t.policy.MaxContained)
	}
	n := t.automatic.tenants[c.Target.Tenant]
	if fleet, known := t.directory.Fleet(c.Target.Tenant); known && n >= max(1, int(t.policy.MaxShare*float64(fleet))) {
		return fmt.Sprintf("automation restrains %d of %d agents, the limit is %.3g %% (response.max_share)", n, fleet, 100*t.policy.MaxShare)
	}
	return ""
}

// Withdraw releases what a finding has contained, because records showed that the finding was wrong: the containments that no
// person approved, and the proposals. The rule may contain the target again at once, if the finding comes back.
func (t *Table) Withdraw(finding schema.ID) (released int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, id := range slices.Clone(t.found[finding]) {
		r := t.records[id]
		status := schema.ContainmentReleased
		switch {
		case r.Status == schema.ContainmentProposed:
			status = schema.ContainmentRejected
		case !r.Automatic:
			continue
		}
		t.end(r, status, now, actionRelease, engineName, whyWithdrawn)
		delete(t.cooling, coolingKey{r.RuleID, r.Scope, r.Target})
		released++
	}
	return released
}

const (
	whyWithdrawn = "its finding was withdrawn"
	whyExpired   = "its time is over"
	whyUndecided = "nobody decided in time"
)

// Tick ends what has expired, and notes the receipts since the last call. The engine calls it about once a second; answers
// follow the clock by themselves.
func (t *Table) Tick() {
	t.risks.expire(t.now())
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now >= t.nextExpiry {
		t.nextExpiry = schema.MaxInstant
		var over []*record
		for _, r := range t.records {
			if now >= r.Until {
				over = append(over, r)
			} else {
				t.nextExpiry = min(t.nextExpiry, r.Until)
			}
		}
		slices.SortFunc(over, func(a, b *record) int { return compareIDs(a.ID, b.ID) })
		t.expire(over, now)
	}
	t.expireCalls(now)
	t.saveReceipts()
	t.sweep(now)
	for k, until := range t.cooling {
		if now >= until {
			delete(t.cooling, k)
		}
	}
}

// expire ends records. mu is held.
func (t *Table) expire(over []*record, now schema.Instant) {
	for _, r := range over {
		why := whyExpired
		if r.Status == schema.ContainmentProposed {
			why = whyUndecided
		}
		t.end(r, schema.ContainmentExpired, now, actionExpire, engineName, why)
	}
}
