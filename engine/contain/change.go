package contain

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// The actions of the history of a response and of the audit.
const (
	actionContain  = "contain"
	actionPropose  = "propose"
	actionRelease  = "release"
	actionExpire   = "expire"
	actionApprove  = "approve"
	actionDecline  = "decline"
	actionUse      = "use"
	actionPause    = "pause-automation"
	actionResume   = "resume-automation"
	actionConfirm  = "confirm-complete"
	actionEnforced = "enforced"
	actionVerified = "verified"
	actionFailed   = "failed"
)

// engineName is the origin of changes that nobody asked for, such as an expiry.
const engineName = "aidr"

// now returns the wall clock's time.
func (t *Table) now() schema.Instant { return schema.InstantOf(t.opts.Clock.Now()) }

// setView publishes the next view. mu is held.
func (t *Table) setView(e *viewEdit) {
	e.out.epoch, e.out.version = t.state.Epoch, t.state.Version
	e.out.known, e.out.lost, e.out.paused = t.state.Known, t.state.Lost, t.state.Pause.Paused
	t.view.Store(e.done())
	close(t.changed)
	t.changed = make(chan struct{})
}

// step begins a change: it returns the version of the table after it. mu is held.
func (t *Table) step() uint64 {
	t.state.Version++
	t.unsaved.table = true
	return t.state.Version
}

// note adds a change to the log. mu is held.
func (t *Table) note(c change) {
	t.log = append(t.log, c)
	if len(t.log) >= 2*changesKept {
		t.logFrom = t.log[len(t.log)-changesKept-1].version
		t.log = slices.Clone(t.log[len(t.log)-changesKept:])
	}
}

// put makes the next value of a record count, and publishes it. mu is held.
func (t *Table) put(r *record) {
	r.Version = t.step()
	t.unindex(r.ID)
	if !r.Status.Ended() {
		t.index(r)
	}
	t.unsaved.putRecord(r.ID, r)
	t.note(change{version: r.Version, containment: &r.Containment})
	e := t.view.Load().edit()
	e.put(&r.Containment, r.live)
	if r.Status.Ended() {
		t.dropApprovals(e, r.ID)
	}
	t.setView(e)
}

// keep makes the next value of a record durable that no answer depends on, such as its proof. mu is held.
func (t *Table) keep(r *record) {
	if _, ok := t.records[r.ID]; ok {
		t.records[r.ID] = r
	}
	r.Version = t.step()
	t.unsaved.putRecord(r.ID, r)
	t.tell(connectors.ResponseChanged, r, nil)
}

// index adds a record to the maps. mu is held.
func (t *Table) index(r *record) {
	t.records[r.ID] = r
	t.nextExpiry = min(t.nextExpiry, r.Until)
	if r.Status == schema.ContainmentProposed {
		t.proposed[r.cooling()] = r.ID
	}
	if !r.FindingID.IsZero() && r.RuleID != "" {
		t.found[r.FindingID] = append(t.found[r.FindingID], r.ID)
	}
	if r.isAutomatic() {
		t.automatic.add(r.Target, 1)
	}
}

// unindex removes a record from the maps. mu is held.
func (t *Table) unindex(id schema.ID) {
	r := t.records[id]
	if r == nil {
		return
	}
	delete(t.records, id)
	if r.Status == schema.ContainmentProposed {
		delete(t.proposed, r.cooling())
	}
	if list := slices.DeleteFunc(t.found[r.FindingID], func(x schema.ID) bool { return x == id }); len(list) > 0 {
		t.found[r.FindingID] = list
	} else {
		delete(t.found, r.FindingID)
	}
	if r.isAutomatic() {
		t.automatic.add(r.Target, -1)
	}
}

func (r *record) cooling() coolingKey { return coolingKey{r.RuleID, r.Scope, r.Target} }

// isAutomatic reports whether the record is a restraint that only a rule has decided.
func (r *record) isAutomatic() bool {
	return r.Automatic && r.Mode == schema.ModeEnforce && r.Status == schema.ContainmentActive
}

// next returns a copy of the record with one more step in its history.
func (r *record) next(at schema.Instant, action, by, reason string) *record {
	n := *r
	n.History = append(slices.Clip(r.History), schema.ResponseChange{Time: at, Action: action, By: by, Reason: reason})
	if len(n.History) > schema.MaxHistory {
		n.History = slices.Delete(slices.Clone(n.History), 1, 2) // the first one names the origin
	}
	return &n
}

// automatic counts the principals that automation restrains, by how many containments.
type automatic struct {
	targets map[schema.Target]int
	tenants map[string]int // number of principals
}

func newAutomatic() automatic { return automatic{map[schema.Target]int{}, map[string]int{}} }

// principalOf returns a target's principal alone: its agent, else its credential, else its session, else its server.
func principalOf(t schema.Target) schema.Target {
	p := schema.Target{Tenant: t.Tenant}
	switch {
	case t.Agent != "":
		p.Agent = t.Agent
	case t.Credential != "":
		p.Credential = t.Credential
	case t.Session != "":
		p.Session = t.Session
	default:
		p.Server = t.Server
	}
	return p
}

func (a *automatic) add(t schema.Target, n int) {
	p := principalOf(t)
	before := a.targets[p]
	after := before + n
	if after > 0 {
		a.targets[p] = after
	} else {
		delete(a.targets, p)
	}
	switch {
	case before == 0 && after > 0:
		a.tenants[p.Tenant]++
	case before > 0 && after <= 0:
		if a.tenants[p.Tenant]--; a.tenants[p.Tenant] == 0 {
			delete(a.tenants, p.Tenant)
		}
	}
}

func (a *automatic) has(t schema.Target) bool { return a.targets[principalOf(t)] > 0 }

// idOf returns the id of the response with an idempotency key.
func idOf(key string, round uint64) (id schema.ID) {
	b := binary.BigEndian.AppendUint64([]byte("aidr response\x00"), round)
	sum := sha256.Sum256(append(b, key...))
	copy(id[:], sum[:])
	return id
}

// rollback returns the command that undoes a response.
func rollback(id schema.ID) string { return "aidr release " + id.String() + " --reason TEXT" }

// tell adds an entry to the outbox. mu is held.
func (t *Table) tell(kind connectors.EntryType, r *record, a *schema.Approval) {
	e := connectors.Entry{Type: kind}
	if r != nil {
		e.Response = &r.ResponseRecord
	}
	if a != nil {
		e.Approval = a
	}
	t.unsaved.outbox = append(t.unsaved.outbox, e)
}

// tellIf adds an entry about a record to the outbox: of a type that endpoints get, or else one for tables only. mu is held.
func (t *Table) tellIf(announced bool, kind connectors.EntryType, r *record) {
	if !announced {
		kind = connectors.ResponseChanged
	}
	t.tell(kind, r, nil)
}

// auditDetail is what the audit keeps of a containment.
type auditDetail struct {
	ID        schema.ID                `json:"id,omitzero"`
	Scope     schema.ContainmentScope  `json:"scope,omitempty"`
	Target    *schema.Target           `json:"target,omitempty"`
	State     schema.ContainmentState  `json:"state,omitempty"`
	Mode      schema.ContainmentMode   `json:"mode,omitempty"`
	Until     schema.Instant           `json:"until,omitzero"`
	Before    schema.ContainmentStatus `json:"before,omitempty"`
	After     schema.ContainmentStatus `json:"after,omitempty"`
	FindingID schema.ID                `json:"finding_id,omitzero"`
}

// audit adds an entry to the audit. mu is held.
func (t *Table) audit(at schema.Instant, action, who, rule, reason string, d auditDetail) {
	detail, err := json.Marshal(d)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	object := ""
	if !d.ID.IsZero() {
		object = d.ID.String()
	}
	t.unsaved.audit = append(t.unsaved.audit, store.AuditEntry{
		Time: at, Who: who, Class: schema.AuditContainment, Action: action, Object: object, Rule: rule, Reason: reason, Detail: detail,
	})
}

// auditRecord adds an entry about the change of a record from a status. mu is held.
func (t *Table) auditRecord(at schema.Instant, action, who, reason string, before schema.ContainmentStatus, r *record) {
	target := r.Target
	t.audit(at, action, who, r.RuleID, reason, auditDetail{
		ID: r.ID, Scope: r.Scope, Target: &target, State: r.State, Mode: r.Mode, Until: r.Until,
		Before: before, After: r.Status, FindingID: r.FindingID,
	})
}

// cover sets the aliases and credentials that a containment covers, and those that it spares. mu is held.
func (t *Table) cover(c *schema.Containment) {
	c.Aliases, c.Credentials, c.Spared = nil, nil, nil
	if c.Target.Agent == "" {
		return
	}
	tenant := c.Target.Tenant
	aliases, credentials := t.directory.Identity(tenant, c.Target.Agent)
	c.Aliases = bounded(aliases, c.Target.Agent)
	mine := append([]string{c.Target.Agent}, c.Aliases...)
	var covered []string
	for _, cred := range bounded(credentials, "") {
		users, known := t.directory.Users(tenant, cred)
		others := slices.DeleteFunc(slices.Sorted(slices.Values(users)), func(u string) bool { return slices.Contains(mine, u) })
		if known && len(others) == 0 {
			covered = append(covered, cred)
			continue
		}
		c.Spared = append(c.Spared, schema.SharedWith{Credential: cred, Agents: others[:min(len(others), schema.MaxShared)]})
	}
	c.Credentials = covered
}

// bounded returns the different texts of a list that are not empty and not except, sorted, at most schema.MaxCovered.
func bounded(list []string, except string) []string {
	out := slices.Compact(slices.Sorted(slices.Values(list)))
	out = slices.DeleteFunc(out, func(s string) bool { return s == "" || s == except })
	return out[:min(len(out), schema.MaxCovered)]
}

// room returns an error if the table cannot take one more containment of the target. mu is held.
func (t *Table) room(c *schema.Containment) error {
	if len(t.records) >= schema.MaxContainments {
		return fmt.Errorf("%w: it holds %d containments", ErrTooMany, len(t.records))
	}
	v := t.view.Load()
	k, text := byTenant, ""
	switch c.Scope {
	case schema.ScopeSession:
		k, text = bySession, c.Target.Session
	case schema.ScopeServer:
		k, text = byServer, c.Target.Server
	case schema.ScopeCredential:
		k, text = byPrincipal, c.Target.Credential
	case schema.ScopeAgent, schema.ScopeTool, schema.ScopeRoute:
		k, text = byPrincipal, c.Target.Agent
	}
	if n := v.count(k, c.Target.Tenant, text); n >= MaxPerPrincipal {
		return fmt.Errorf("%w: %s %q has %d containments; contain it as a whole", ErrTooMany, c.Scope, text, n)
	}
	return nil
}

// sortedIDs returns the keys of a map in order, so that a checkpoint has the same bytes at every attempt.
func sortedIDs[V any](m map[schema.ID]V) []schema.ID {
	return slices.SortedFunc(maps.Keys(m), compareIDs)
}

// describe returns a target for people, such as `tool "exec" of agent "a"`.
func describe(scope schema.ContainmentScope, t schema.Target) string {
	var b strings.Builder
	switch scope {
	case schema.ScopeTool:
		fmt.Fprintf(&b, "tool %q of agent %q", t.Tool, t.Agent)
	case schema.ScopeRoute:
		fmt.Fprintf(&b, "route %q of agent %q", t.Route, t.Agent)
	case schema.ScopeTenant:
		fmt.Fprintf(&b, "tenant %q", t.Tenant)
		return b.String()
	default:
		fmt.Fprintf(&b, "%s %q", scope, cmp.Or(t.Session, t.Server, t.Credential, t.Agent))
	}
	if t.Tenant != "" {
		fmt.Fprintf(&b, " of tenant %q", t.Tenant)
	}
	return b.String()
}
