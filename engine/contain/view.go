package contain

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// View is one version of a table: immutable, and read by any number of goroutines without locks. Only the counters of rates
// and receipts move, atomically.
//
// A process beside a gateway makes one of a Snapshot with NewView and answers from it while the engine is away.
type View struct {
	hasher  hasher
	epoch   schema.Instant
	version uint64
	known   bool
	lost    string
	paused  bool

	entries   *index[*entry]    // active ones, by id
	postings  *index[posting]   // the same, by what a question names
	kinds     [numKinds]int     // number of postings by kind: a kind without any is not looked up
	approvals *index[*approval] // of held calls, the latest round of each, by the id of round 0
}

// kind is what a posting is found by.
type kind uint8

const (
	// byPrincipal finds by the uid of an agent or the id of a credential. They share a name space, because the identity ladder
	// makes the id of a credential the uid of an agent that has no better name.
	byPrincipal kind = iota
	bySession
	byServer
	byTenant
	numKinds
)

// posting is one way by which an entry is found.
type posting struct {
	kind  kind
	text  string
	entry *entry
}

func equalPostings(a, b posting) bool { return a == b }

// entry is one active containment. The fields that nearly every look-up reads are the first.
type entry struct {
	until     schema.Instant
	rank      int8
	enforce   bool
	automatic bool
	tenant    string
	live      *counters
	*schema.Containment
	route route
}

func newEntry(c *schema.Containment, live *counters) *entry {
	return &entry{
		until: c.Until, rank: int8(c.State.Rank()), enforce: c.Mode == schema.ModeEnforce, automatic: c.Automatic,
		tenant: c.Target.Tenant, live: live, Containment: c, route: parseRoute(c.Target.Route),
	}
}

// approval is the latest round of the approval of one held call. base is the id of round 0.
type approval struct {
	schema.Approval
	base schema.ID
}

// hasher makes the keys of an index. Its seed differs between processes, so that nobody can choose texts that collide. No
// finding depends on it.
type hasher struct{ seed maphash.Seed }

func newHasher() hasher { return hasher{maphash.MakeSeed()} }

func (h hasher) of(k kind, tenant, text string) uint64 {
	x := maphash.String(h.seed, text)
	if tenant != "" {
		x ^= maphash.String(h.seed, tenant) * 0x9e3779b97f4a7c15
	}
	return x + uint64(k)*0xd6e8feb86659fd93
}

func hashOfID(id schema.ID) uint64 { return binary.BigEndian.Uint64(id[:8]) }

// NewView returns a view of a full snapshot, for a process without a table. Changes of the table come as further snapshots:
// see With.
func NewView(s *schema.Snapshot) *View {
	v := emptyView(newHasher(), s.Epoch)
	return v.With(s)
}

func emptyView(h hasher, epoch schema.Instant) *View {
	return &View{hasher: h, epoch: epoch, entries: &index[*entry]{}, postings: &index[posting]{}, approvals: &index[*approval]{}}
}

// With returns the view with the changes of a snapshot, or the view of a full one. The rates of containments that stay go on
// counting. Changes of another epoch, or that do not build on the view's version or an earlier one, give nil: ask for a
// full snapshot.
func (v *View) With(s *schema.Snapshot) *View {
	full := s.Since == 0
	if !full && (s.Epoch != v.epoch || s.Since > v.version) {
		return nil
	}
	e := v.edit()
	if full {
		kept := map[schema.ID]bool{}
		for i := range s.Containments {
			kept[s.Containments[i].ID] = true
		}
		v.Containments(func(c *schema.Containment) bool {
			if !kept[c.ID] {
				e.remove(c.ID)
			}
			return true
		})
		e.out.approvals = &index[*approval]{}
	}
	for i := range s.Containments {
		e.put(&s.Containments[i], nil)
	}
	for i := range s.Approvals {
		e.putApproval(&s.Approvals[i])
	}
	e.out.epoch, e.out.version = s.Epoch, s.Version
	e.out.known, e.out.lost, e.out.paused = s.Known, s.Lost, s.Paused
	return e.done()
}

// Version returns the version of the table that the view shows.
func (v *View) Version() uint64 { return v.version }

// Epoch returns when the table began.
func (v *View) Epoch() schema.Instant { return v.epoch }

// Known reports whether the view lacks no containment, and if not, why it may.
func (v *View) Known() (known bool, why string) { return v.known, v.lost }

// Paused reports whether automatic containments do not restrain now.
func (v *View) Paused() bool { return v.paused }

// Len returns the number of active containments, those of which the time is over but not recorded yet included.
func (v *View) Len() int { return v.entries.len }

// Containments calls yield with each containment of the view, in no particular order, until yield returns false. They are
// read only.
func (v *View) Containments(yield func(*schema.Containment) bool) {
	v.entries.all(func(e **entry) bool { return yield((*e).Containment) })
}

// Snapshot returns the view as a full snapshot, sorted by id. The containments are shared and read only.
func (v *View) Snapshot(now schema.Instant) *schema.Snapshot {
	s := &schema.Snapshot{
		Epoch: v.epoch, Version: v.version, Known: v.known, Lost: v.lost, Paused: v.paused, AsOf: now,
		Containments: make([]schema.Containment, 0, v.Len()), Approvals: []schema.Approval{},
	}
	v.Containments(func(c *schema.Containment) bool {
		s.Containments = append(s.Containments, *c)
		return true
	})
	v.approvals.all(func(a **approval) bool {
		s.Approvals = append(s.Approvals, (*a).Approval)
		return true
	})
	slices.SortFunc(s.Containments, func(a, b schema.Containment) int { return compareIDs(a.ID, b.ID) })
	slices.SortFunc(s.Approvals, func(a, b schema.Approval) int { return compareIDs(a.ID, b.ID) })
	return s
}

func compareIDs(a, b schema.ID) int { return bytes.Compare(a[:], b[:]) }

// entry returns the active containment with an id, or nil.
func (v *View) entry(id schema.ID) *entry {
	hash := hashOfID(id)
	for s, at := v.entries.first(hash); s != nil; {
		e, after := s.next(hash, at)
		if e == nil {
			return nil
		}
		if (*e).ID == id {
			return *e
		}
		at = after
	}
	return nil
}

// approval returns the latest round of the approval whose round 0 has the id base, or nil.
func (v *View) approval(base schema.ID) *approval {
	hash := hashOfID(base)
	for s, at := v.approvals.first(hash); s != nil; {
		a, after := s.next(hash, at)
		if a == nil {
			return nil
		}
		if (*a).base == base {
			return *a
		}
		at = after
	}
	return nil
}

// viewEdit collects the changes that make the next view of one.
type viewEdit struct {
	from      *View
	out       *View
	changed   map[schema.ID]*entry // the latest value of each entry that was put; nil: removed
	entries   []indexEdit[*entry]
	postings  []indexEdit[posting]
	approvals []indexEdit[*approval]
}

func (v *View) edit() *viewEdit {
	out := *v
	return &viewEdit{from: v, out: &out, changed: map[schema.ID]*entry{}}
}

// put adds a containment, in place of an older value of it, with its counters or, if live is nil, those of the older value. One
// that is not active leaves.
func (e *viewEdit) put(c *schema.Containment, live *counters) {
	old := e.entry(c.ID)
	e.drop(old)
	e.changed[c.ID] = nil
	if c.Status != schema.ContainmentActive {
		return
	}
	if live == nil {
		live = &counters{}
		if old != nil {
			live = old.live
		}
	}
	n := newEntry(c, live)
	e.changed[c.ID] = n
	e.entries = append(e.entries, indexEdit[*entry]{hash: hashOfID(c.ID), value: n})
	e.each(n, func(hash uint64, p posting) {
		e.postings = append(e.postings, indexEdit[posting]{hash: hash, value: p})
		e.out.kinds[p.kind]++
	})
}

// remove makes a containment leave.
func (e *viewEdit) remove(id schema.ID) {
	e.drop(e.entry(id))
	e.changed[id] = nil
}

func (e *viewEdit) entry(id schema.ID) *entry {
	if n, ok := e.changed[id]; ok {
		return n
	}
	return e.from.entry(id)
}

func (e *viewEdit) drop(old *entry) {
	if old == nil {
		return
	}
	e.entries = append(e.entries, indexEdit[*entry]{hash: hashOfID(old.ID), remove: true, value: old})
	e.each(old, func(hash uint64, p posting) {
		e.postings = append(e.postings, indexEdit[posting]{hash: hash, remove: true, value: p})
		e.out.kinds[p.kind]--
	})
}

// each calls yield with each way by which an entry is found.
func (e *viewEdit) each(n *entry, yield func(hash uint64, p posting)) {
	post := func(k kind, text string) {
		yield(e.out.hasher.of(k, n.Target.Tenant, text), posting{k, text, n})
	}
	switch n.Scope {
	case schema.ScopeSession:
		post(bySession, n.Target.Session)
	case schema.ScopeServer:
		post(byServer, n.Target.Server)
	case schema.ScopeTenant:
		post(byTenant, "")
	case schema.ScopeCredential:
		post(byPrincipal, n.Target.Credential)
	default:
		post(byPrincipal, n.Target.Agent)
		for _, text := range n.Aliases {
			post(byPrincipal, text)
		}
		for _, text := range n.Credentials {
			post(byPrincipal, text)
		}
	}
}

// putApproval adds an approval of a held call in place of an earlier round of it. One that lets no call wait or pass any more
// stays as long as its containment, because its round decides the id of the next one.
func (e *viewEdit) putApproval(a *schema.Approval) {
	base := schema.ApprovalIDOf(a.ContainmentID, &a.Call, 0)
	hash := hashOfID(base)
	if old := e.from.approval(base); old != nil {
		e.approvals = append(e.approvals, indexEdit[*approval]{hash: hash, remove: true, value: old})
	}
	e.approvals = append(e.approvals, indexEdit[*approval]{hash: hash, value: &approval{*a, base}})
}

// dropApproval removes an approval.
func (e *viewEdit) dropApproval(a *approval) {
	e.approvals = append(e.approvals, indexEdit[*approval]{hash: hashOfID(a.base), remove: true, value: a})
}

func (e *viewEdit) done() *View {
	e.out.entries = e.out.entries.edited(e.entries, func(a, b *entry) bool { return a == b })
	e.out.postings = e.out.postings.edited(e.postings, equalPostings)
	e.out.approvals = e.out.approvals.edited(e.approvals, func(a, b *approval) bool { return a.base == b.base })
	return e.out
}

// count returns the number of containments that are found by a text.
func (v *View) count(k kind, tenant, text string) (n int) {
	hash := v.hasher.of(k, tenant, text)
	for s, at := v.postings.first(hash); s != nil; {
		p, after := s.next(hash, at)
		if p == nil {
			return n
		}
		if p.kind == k && p.text == text && p.entry.Target.Tenant == tenant {
			n++
		}
		at = after
	}
	return n
}
