package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// sweepEvery is how often findings that are kept long enough are looked for.
	sweepEvery = time.Minute
	// sweepAtOnce bounds how many findings one cut looks at for it.
	sweepAtOnce = 1000
)

// FindingFilter chooses findings; zero fields choose all.
type FindingFilter struct {
	Rule, Agent, Severity string
	Status                schema.Status
	Since, Until          schema.Instant // of group_start: from Since on, before Until
	AfterRevision         uint64         // only findings that changed after this place: see FindingsAfter
	Limit                 int
}

// findingRecord is what the findings store holds of one finding; body is its JSON.
type findingRecord struct {
	place                         uint64
	committed, start              schema.Instant
	status, rule, agent, severity string
	body                          []byte
}

func (r *findingRecord) value() []byte {
	v := make([]byte, 0, 64+len(r.rule)+len(r.agent)+len(r.body))
	v = binary.BigEndian.AppendUint64(v, r.place)
	v = binary.BigEndian.AppendUint64(v, uint64(r.committed))
	v = binary.BigEndian.AppendUint64(v, uint64(r.start))
	for _, t := range [...]string{r.status, r.rule, r.agent, r.severity} {
		v = appendText(v, t)
	}
	return append(v, r.body...)
}

func parseFindingRecord(v []byte) (r findingRecord, err error) {
	f := flat{b: v}
	r.place, r.committed, r.start = f.fixed(), schema.Instant(f.fixed()), schema.Instant(f.fixed())
	r.status, r.rule, r.agent, r.severity = f.text(), f.text(), f.text(), f.text()
	if f.bad {
		return r, fmt.Errorf("a finding cannot be read: the store is damaged")
	}
	r.body = f.b
	return r, nil
}

// over says that nothing will change the finding any more.
func (r *findingRecord) over() bool {
	return r.status == string(schema.StatusSettled) || r.status == string(schema.StatusWithdrawn)
}

func (r *findingRecord) matches(f *FindingFilter) bool {
	return (f.Rule == "" || f.Rule == r.rule) && (f.Agent == "" || f.Agent == r.agent) &&
		(f.Severity == "" || f.Severity == r.severity) && (f.Status == "" || string(f.Status) == r.status) &&
		r.place > f.AfterRevision
}

// putFindings replaces each finding by its new revision and moves its entries in the indexes.
func putFindings(db *pebble.DB, w *writer, entries []connectors.Entry, bodies [][]byte, now schema.Instant) error {
	here := make(map[schema.ID]findingRecord, len(entries)) // changes that stand earlier in the same cut
	for i, e := range entries {
		f := e.Finding
		old, ok := here[f.ID]
		if !ok {
			v, err := get(db, keyFinding(f.ID))
			if err != nil {
				return err
			}
			if ok = v != nil; ok {
				if old, err = parseFindingRecord(v); err != nil {
					return err
				}
			}
		}
		if ok {
			w.delete(keyNumber(tablePlace, old.place))
			w.delete(keyGroup(old.start, f.ID))
		}
		r := findingRecord{place: e.Seq, committed: now, start: f.GroupStart, status: string(f.Status),
			rule: f.RuleID, agent: f.AgentUID, severity: string(f.Severity), body: bodies[i]}
		w.set(keyFinding(f.ID), r.value())
		w.set(keyNumber(tablePlace, e.Seq), f.ID[:])
		w.set(keyGroup(f.GroupStart, f.ID), nil)
		here[f.ID] = r
	}
	return nil
}

// sweepState is how far the search for findings that are kept long enough has come.
type sweepState struct {
	next time.Time // when to go on
	from uint64    // place to go on from
}

// sweepFindings deletes findings that are over and were not changed for FindingsKeep, oldest change first. Open ones
// stay however old they are.
func (s *Store) sweepFindings(db *pebble.DB, w *writer) (sweepState, error) {
	now := s.o.Now()
	if now.Before(s.sweep.next) {
		return s.sweep, nil
	}
	end := schema.Instant(now.Add(-s.o.FindingsKeep).UnixNano())
	page, err := readPage(db, keyNumber(tablePlace, s.sweep.from), after([]byte{tablePlace}), false)
	if err != nil {
		return s.sweep, err
	}
	for _, e := range page[:min(len(page), sweepAtOnce)] {
		id := schema.ID(e.value)
		v, err := get(db, keyFinding(id))
		if err != nil {
			return s.sweep, err
		}
		if v == nil {
			w.delete(e.key)
			continue
		}
		r, err := parseFindingRecord(v)
		if err != nil {
			return s.sweep, err
		}
		if r.committed > end {
			return sweepState{next: now.Add(sweepEvery)}, nil
		}
		if r.over() {
			w.delete(keyFinding(id))
			w.delete(keyGroup(r.start, id))
			w.delete(e.key)
		}
	}
	if len(page) == 0 {
		return sweepState{next: now.Add(sweepEvery)}, nil
	}
	return sweepState{from: numberOf(page[len(page)-1].key) + 1}, nil // go on with the next cut
}

// Finding returns the latest revision of a finding. It is the caller's.
func (s *Store) Finding(id schema.ID) (*schema.Finding, bool, error) {
	v, err := s.get(keyFinding(id))
	if v == nil || err != nil {
		return nil, false, err
	}
	r, err := parseFindingRecord(v)
	if err != nil {
		return nil, false, err
	}
	f, err := decodeFinding(r.body)
	return f, err == nil, err
}

// Findings calls yield with matching findings, the latest group_start first. Findings are yield's.
func (s *Store) Findings(f FindingFilter, yield func(*schema.Finding) bool) error {
	lower, upper := []byte{tableGroup}, after([]byte{tableGroup})
	if f.Since != 0 {
		lower = keyNumber(tableGroup, sortable(f.Since))
	}
	if f.Until != 0 {
		upper = keyNumber(tableGroup, sortable(f.Until))
	}
	var failed error
	left := f.Limit
	err := s.scan(lower, upper, true, func(k, _ []byte) bool {
		found, _, err := s.matching(schema.ID(k[len(k)-16:]), &f)
		if failed = err; failed != nil || found == nil {
			return failed == nil
		}
		left--
		return yield(found) && left != 0
	})
	if err == nil {
		err = failed
	}
	return err
}

// FindingsAfter calls yield with the findings that changed after a place, in order of their last change; place is where
// to go on from. A finding that changed several times comes once, with its latest revision.
func (s *Store) FindingsAfter(place uint64, f FindingFilter, yield func(place uint64, f *schema.Finding) bool) error {
	var failed error
	left := f.Limit
	lower := keyNumber(tablePlace, place+1)
	err := s.scan(lower, after([]byte{tablePlace}), false, func(k, v []byte) bool {
		found, at, err := s.matching(schema.ID(v), &f)
		if failed = err; failed != nil {
			return false
		}
		if found == nil || at != numberOf(k) { // it has changed since the page was read, and comes later
			return true
		}
		left--
		return yield(at, found) && left != 0
	})
	if err == nil {
		err = failed
	}
	return err
}

// matching returns the finding and its place, nil where it does not match or is gone.
func (s *Store) matching(id schema.ID, f *FindingFilter) (*schema.Finding, uint64, error) {
	v, err := s.get(keyFinding(id))
	if v == nil || err != nil {
		return nil, 0, err
	}
	r, err := parseFindingRecord(v)
	if err != nil || !r.matches(f) || (f.Since != 0 && r.start < f.Since) || (f.Until != 0 && r.start >= f.Until) {
		return nil, 0, err
	}
	found, err := decodeFinding(r.body)
	return found, r.place, err
}
