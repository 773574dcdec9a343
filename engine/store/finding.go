package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// sweepEvery is the time between two searches for findings older than FindingsKeep.
	sweepEvery = time.Minute
	// sweepLimit bounds how many findings one checkpoint examines in that search.
	sweepLimit = 1000
)

// FindingFilter selects findings. The zero FindingFilter selects all.
type FindingFilter struct {
	Rule          string
	Agent         string          // the uid or the name of the agent
	Severity      schema.Severity // the lowest severity
	Status        schema.Status
	Since, Until  schema.Instant // of group_start: at or after Since, before Until
	AfterRevision uint64         // only findings whose last change has a greater Seq in the outbox
	Limit         int
	// Before and BeforeID are group_start and id of the finding after which Findings continues; a zero BeforeID is the beginning.
	Before   schema.Instant
	BeforeID schema.ID

	// Match reports whether to select a finding that the other fields select. If it is nil, all of them are selected.
	Match func(*schema.Finding) bool
}

// findingRecord is the value of a finding in the store.
type findingRecord struct {
	seq                           uint64         // of the last change, in the outbox
	committed                     schema.Instant // wall clock of the checkpoint of the last change
	start                         schema.Instant // group_start
	status, rule, agent, severity string
	body                          []byte // the finding as JSON
}

func (r *findingRecord) value() []byte {
	v := make([]byte, 0, 64+len(r.rule)+len(r.agent)+len(r.body))
	v = binary.BigEndian.AppendUint64(v, r.seq)
	v = flat.AppendInt64(v, int64(r.committed))
	v = flat.AppendInt64(v, int64(r.start))
	for _, t := range [...]string{r.status, r.rule, r.agent, r.severity} {
		v = flat.AppendText(v, t)
	}
	return append(v, r.body...)
}

func parseFindingRecord(v []byte) (r findingRecord, err error) {
	in := flat.NewReader(v)
	r.seq, r.committed, r.start = in.Uint64(), schema.Instant(in.Int64()), schema.Instant(in.Int64())
	r.status, r.rule, r.agent, r.severity = string(in.Text()), string(in.Text()), string(in.Text()), string(in.Text())
	if in.Bad() {
		return r, errors.New("read finding: the store is damaged")
	}
	r.body = in.Rest()
	return r, nil
}

// final reports whether the finding can no longer change.
func (r *findingRecord) final() bool {
	return r.status == string(schema.StatusSettled) || r.status == string(schema.StatusWithdrawn)
}

func (r *findingRecord) matches(f *FindingFilter) bool {
	return (f.Rule == "" || f.Rule == r.rule) && schema.Severity(r.severity).Rank() >= f.Severity.Rank() &&
		(f.Status == "" || string(f.Status) == r.status) &&
		r.seq > f.AfterRevision && (f.Since == 0 || r.start >= f.Since) && (f.Until == 0 || r.start < f.Until)
}

// putFindings replaces each finding with its new revision and updates the indexes.
func putFindings(db *pebble.DB, w *batchWriter, entries []connectors.Entry, bodies [][]byte, now schema.Instant) error {
	updated := make(map[schema.ID]findingRecord, len(entries)) // by earlier entries of the same checkpoint
	for i, e := range entries {
		f := e.Finding
		if f == nil {
			continue // of a response
		}
		old, ok := updated[f.ID]
		if !ok {
			v, err := readKey(db, keyFinding(f.ID))
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
			w.delete(keyNumber(tableChange, old.seq))
			w.delete(keyGroup(old.start, f.ID))
		}
		r := findingRecord{
			seq: e.Seq, committed: now, start: f.GroupStart, status: string(f.Status),
			rule: f.RuleID, agent: f.AgentUID, severity: string(f.Severity), body: bodies[i],
		}
		w.set(keyFinding(f.ID), r.value())
		w.set(keyNumber(tableChange, e.Seq), f.ID[:])
		w.set(keyGroup(f.GroupStart, f.ID), nil)
		updated[f.ID] = r
	}
	return nil
}

// sweepState is the progress of the search for findings older than FindingsKeep.
type sweepState struct {
	next time.Time // when the search continues
	from uint64    // Seq of the change at which it continues
}

// sweepFindings deletes final findings whose last change is older than FindingsKeep, oldest change first. Open findings
// are kept, however old.
func (s *Store) sweepFindings(db *pebble.DB, w *batchWriter) (sweepState, error) {
	now := s.opts.Now()
	if now.Before(s.sweep.next) {
		return s.sweep, nil
	}
	end := schema.InstantOf(now.Add(-s.opts.FindingsKeep))
	page, err := readPage(db, keyNumber(tableChange, s.sweep.from), prefixEnd([]byte{tableChange}), false)
	if err != nil {
		return s.sweep, err
	}
	for _, kv := range page[:min(len(page), sweepLimit)] {
		id := schema.ID(kv.Value)
		v, err := readKey(db, keyFinding(id))
		if err != nil {
			return s.sweep, err
		}
		if v == nil {
			w.delete(kv.Key)
			continue
		}
		r, err := parseFindingRecord(v)
		if err != nil {
			return s.sweep, err
		}
		if r.committed > end {
			return sweepState{next: now.Add(sweepEvery)}, nil
		}
		if r.final() {
			w.delete(keyFinding(id))
			w.delete(keyGroup(r.start, id))
			w.delete(kv.Key)
			w.delete(append([]byte{tableTriage}, id[:]...))
			if err := deleteNotes(db, w, id); err != nil {
				return s.sweep, err
			}
		}
	}
	if len(page) == 0 {
		return sweepState{next: now.Add(sweepEvery)}, nil
	}
	return sweepState{from: numberOf(page[len(page)-1].Key) + 1}, nil // continue with the next checkpoint
}

// Finding returns the latest revision of a finding, and false if the store does not have it. The caller owns the finding.
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

// Findings calls yield with the matching findings, latest group_start first. yield owns the findings.
func (s *Store) Findings(f FindingFilter, yield func(*schema.Finding) bool) error {
	lower, upper := []byte{tableGroup}, prefixEnd([]byte{tableGroup})
	if f.Since != 0 {
		lower = keyNumber(tableGroup, sortable(f.Since))
	}
	if f.Until != 0 {
		upper = keyNumber(tableGroup, sortable(f.Until))
	}
	if from := keyGroup(f.Before, f.BeforeID); !f.BeforeID.IsZero() && bytes.Compare(from, upper) < 0 {
		upper = from
	}
	var failed error
	left := f.Limit
	err := s.scan(lower, upper, true, func(k, _ []byte) bool {
		match, _, err := s.match(schema.ID(k[len(k)-16:]), &f)
		if failed = err; failed != nil || match == nil {
			return failed == nil
		}
		left--
		return yield(match) && left != 0
	})
	if err == nil {
		err = failed
	}
	return err
}

// FindingsAfter calls yield with the matching findings that changed after the entry seq of the outbox, in order of their
// last change. The seq passed to yield is that of the last change: calling FindingsAfter with it continues from there. A
// finding that changed several times is yielded once, with its latest revision.
func (s *Store) FindingsAfter(seq uint64, f FindingFilter, yield func(seq uint64, f *schema.Finding) bool) error {
	var failed error
	left := f.Limit
	lower := keyNumber(tableChange, seq+1)
	err := s.scan(lower, prefixEnd([]byte{tableChange}), false, func(k, v []byte) bool {
		match, last, err := s.match(schema.ID(v), &f)
		if failed = err; failed != nil {
			return false
		}
		if match == nil || last != numberOf(k) { // it changed after the page was read, and comes again later
			return true
		}
		left--
		return yield(last, match) && left != 0
	})
	if err == nil {
		err = failed
	}
	return err
}

// match returns a finding with the Seq of its last change, or nil if the finding does not match or was deleted.
func (s *Store) match(id schema.ID, f *FindingFilter) (match *schema.Finding, seq uint64, err error) {
	v, err := s.get(keyFinding(id))
	if v == nil || err != nil {
		return nil, 0, err
	}
	r, err := parseFindingRecord(v)
	if err != nil || !r.matches(f) {
		return nil, 0, err
	}
	match, err = decodeFinding(r.body)
	if err != nil || f.Agent != "" && f.Agent != match.AgentUID && f.Agent != match.AgentName || f.Match != nil && !f.Match(match) {
		return nil, 0, err
	}
	return match, r.seq, nil
}
