package contain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// Sighting is what the records of one source, dataset and route showed of a contained principal. Sightings of one containment
// commute, so the order of workers does not matter; a record that is read again after a crash counts again.
type Sighting struct {
	ID                                   schema.ID // of the containment
	Source, Dataset, Route               string
	Denials, Successes                   int64
	FirstDenial, LastDenial, LastSuccess schema.Instant // event times; of successes, that at which the call began
}

// otherSource counts for the sources and routes beyond schema.MaxProofSources.
const otherSource = "other"

// Concerning calls yield with each containment of the view, enforced or not, that a call concerns. It is for the proof: the end
// of a containment is not compared with the clock. It takes no lock and allocates nothing.
func (v *View) Concerning(q *schema.Question, yield func(*schema.Containment)) {
	for k, text := range [numKinds]string{byPrincipal: q.Agent, bySession: q.Session, byServer: q.Server} {
		if k := kind(k); v.kinds[k] > 0 && (text != "" || k == byTenant) {
			v.concerning(k, text, q, yield, "")
		}
	}
	if v.kinds[byPrincipal] > 0 && q.Credential != "" && q.Credential != q.Agent {
		v.concerning(byPrincipal, q.Credential, q, yield, q.Agent)
	}
}

// concerning calls yield with the containments that are found by one text, except those that are found by another one too.
func (v *View) concerning(k kind, text string, q *schema.Question, yield func(*schema.Containment), except string) {
	hash := v.hasher.of(k, q.Tenant, text)
	for s, at := v.postings.first(hash); s != nil; {
		p, after := s.next(hash, at)
		if p == nil {
			return
		}
		at = after
		e := p.entry
		if p.kind != k || p.text != text || e.tenant != q.Tenant || !e.restrains(q) || except != "" && e.isPrincipal(except) {
			continue
		}
		yield(e.Containment)
	}
}

// Observe adds what the records of a batch showed of contained principals.
func (t *Table) Observe(list []Sighting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range list {
		s := &list[i]
		r := t.records[s.ID]
		if r == nil {
			continue
		}
		r.live.proof.add(s, r.Since.Add(t.policy.Grace))
		t.proving[s.ID] = true
	}
}

// proof collects the sightings of one containment. The table's mu guards it.
type proof struct {
	schema.Proof
	failing schema.Instant // the latest success after the grace period
	isNew   bool           // there is a sighting that the record has not
	kept    schema.Instant // when the record got the proof
}

// keepProofEvery is how often the record of a contained agent that goes on calling gets the new counts: each is a row of the
// ledger. A change of its stage never waits.
const keepProofEvery = 10 * time.Second

// add adds a sighting. Successes up to the end of the grace period count, and disprove nothing.
func (p *proof) add(s *Sighting, grace schema.Instant) {
	p.isNew = true
	p.Denials += s.Denials
	p.Successes += s.Successes
	if s.Denials > 0 {
		if p.FirstDenial == 0 || s.FirstDenial < p.FirstDenial {
			p.FirstDenial = s.FirstDenial
		}
		p.LastDenial = max(p.LastDenial, s.LastDenial)
	}
	if s.Successes > 0 {
		p.LastSuccess = max(p.LastSuccess, s.LastSuccess)
		if s.LastSuccess > grace {
			p.failing = max(p.failing, s.LastSuccess)
		}
	}
	p.addSource(s)
}

func (p *proof) addSource(s *Sighting) {
	key := schema.ProofSource{Source: s.Source, Dataset: s.Dataset, Route: s.Route}
	compare := func(a, b schema.ProofSource) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Dataset, b.Dataset), strings.Compare(a.Route, b.Route))
	}
	at, found := slices.BinarySearchFunc(p.Sources, key, compare)
	if !found && len(p.Sources) >= schema.MaxProofSources-1 {
		key = schema.ProofSource{Source: otherSource}
		at, found = slices.BinarySearchFunc(p.Sources, key, compare)
	}
	if !found {
		p.Sources = slices.Insert(p.Sources, at, key)
	}
	x := &p.Sources[at]
	x.Denials += s.Denials
	x.Successes += s.Successes
	if s.Denials > 0 {
		x.LastDenial = max(x.LastDenial, s.LastDenial)
	}
	if s.Successes > 0 {
		x.LastSuccess = max(x.LastSuccess, s.LastSuccess)
	}
}

// Prove judges the containments of which something was seen, at an event time up to which records were read; never is before
// every record. The engine calls it about once a second, before Tick.
func (t *Table) Prove(read schema.Instant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range sortedIDs(t.proving) {
		r := t.records[id]
		if r == nil {
			delete(t.proving, id)
			continue
		}
		t.prove(r, read)
	}
}

// prove judges one containment. mu is held.
func (t *Table) prove(r *record, read schema.Instant) {
	p := &r.live.proof
	stage := r.Stage
	judged := r.Mode == schema.ModeEnforce && (r.State == schema.StateDeny || r.State == schema.StateHold) &&
		!(r.Automatic && t.state.Pause.Paused)
	last := max(p.FirstDenial, p.LastSuccess)
	switch {
	case !judged:
	case r.State == schema.StateDeny && p.failing > p.FailedAt:
		stage, p.FailedAt = schema.StageFailed, p.failing
	case p.Denials > 0 && p.LastDenial >= p.LastSuccess && read.Reached(last, t.policy.VerifyAfter):
		stage = schema.StageVerified
	}
	now := t.now()
	if stage == r.Stage && (!p.isNew || now < p.kept.Add(keepProofEvery)) {
		return
	}
	p.isNew, p.kept = false, now
	n := *r
	if stage != r.Stage {
		action := actionVerified
		if stage == schema.StageFailed {
			action = actionFailed
		} else {
			p.VerifiedAt = read
		}
		n = *r.next(now, action, engineName, t.proofText(r))
		n.Stage = stage
	}
	n.Proof = p.Proof
	n.Proof.Sources = slices.Clone(p.Sources)
	t.keep(&n)
}

// Proving reports whether anything was seen of a contained principal, so that Prove has something to judge.
func (t *Table) Proving() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.proving) > 0
}

// Failing is a denying containment against which calls went on.
type Failing struct {
	ID     schema.ID
	Scope  schema.ContainmentScope
	Target schema.Target
	Since  schema.Instant // event time of the last of these calls
	Text   string         // one sentence
}

// Failing returns the active containments whose proof has failed, sorted by id.
func (t *Table) Failing() (list []Failing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range sortedIDs(t.proving) {
		if r := t.records[id]; r != nil && r.Stage == schema.StageFailed && r.Status == schema.ContainmentActive {
			list = append(list, Failing{ID: r.ID, Scope: r.Scope, Target: r.Target, Since: r.Proof.LastSuccess, Text: t.failureText(r)})
		}
	}
	return list
}

// failureText describes a failed containment: the calls that went on, by source and route, and the enforcement points that
// asked. mu is held.
func (t *Table) failureText(r *record) string {
	var through []string
	for _, s := range r.Proof.Sources {
		if s.Successes > 0 {
			through = append(through, fmt.Sprintf("%d at %s", s.Successes, strings.Join(strings.Fields(s.Source+" "+s.Dataset+" "+s.Route), " ")))
		}
	}
	asked := "no enforcement point has asked about it"
	if list := r.live.receipts(r.ID); len(list) > 0 {
		var names []string
		for _, x := range list {
			names = append(names, cmp.Or(x.Point, "an unnamed one"))
		}
		asked = "enforcement points that asked: " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s still calls after its containment %s: %s, the last at %s; %s", describe(r.Scope, r.Target), r.ID,
		strings.Join(through[:min(len(through), 5)], ", "), r.Proof.LastSuccess, asked)
}

// proofText describes the proof of a response for its history. mu is held.
func (t *Table) proofText(r *record) string {
	p := &r.live.proof
	text := fmt.Sprintf("%d denials, %d successes", p.Denials, p.Successes)
	if p.LastSuccess != 0 {
		text += ", the last at " + p.LastSuccess.String()
	}
	return text
}
