package store

import (
	"errors"
	"fmt"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Change is a change by a person that is durable at once, outside of a checkpoint. A nil Value deletes.
type Change struct {
	Tokens  []KV // by id
	Triage  []KV // by the 16 bytes of the finding's id
	Snoozes []KV // by id
	// Outbox holds entries for sinks; Apply numbers them. They have no finding.
	Outbox []connectors.Entry
	Audit  []AuditEntry
}

// errUncertain is returned for entries while a checkpoint that failed may be durable or not: it will be written again, with
// numbers that must not be taken.
var errUncertain = errors.New("the last checkpoint could not be written yet: try again")

// Apply makes a change durable: all of it, or none of it. After an error it may or may not be durable.
func (s *Store) Apply(c *Change) error {
	out := Checkpoint{Outbox: c.Outbox}
	bodies, size, err := encodeEntries(&out)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(c.Outbox) > 0 && s.uncertain {
		return errUncertain
	}
	db, err := s.writable(size)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	w := batchWriter{b: b}
	for _, table := range [...]struct {
		key byte
		kvs []KV
	}{{tableToken, c.Tokens}, {tableTriage, c.Triage}, {tableSnooze, c.Snoozes}} {
		for _, kv := range table.kvs {
			w.setOrDelete(append([]byte{table.key}, kv.Key...), kv.Value)
		}
	}
	nextOut, nextAudit := s.out, s.audit
	for i := range c.Outbox {
		c.Outbox[i].Seq = nextOut.next + uint64(i)
	}
	s.putOutbox(&w, &nextOut, c.Outbox, bodies, s.now())
	if err := putAudit(&w, &nextAudit, c.Audit, 0); err != nil {
		return err
	}
	if err := s.finish(&w); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out, s.audit = nextOut, nextAudit
	return nil
}

// Tokens calls yield with each token, by id, in order of id. yield owns the body, and may call the store.
func (s *Store) Tokens(yield func(id string, body []byte) bool) error {
	lower := []byte{tableToken}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(string(k[1:]), v) })
}

// Snoozes calls yield with each snooze, by id, in order of id. yield owns the body, and may call the store.
func (s *Store) Snoozes(yield func(id string, body []byte) bool) error {
	lower := []byte{tableSnooze}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(string(k[1:]), v) })
}

// Triage returns the triage of a finding, or nil if nobody has looked at it. The caller owns the bytes.
func (s *Store) Triage(id schema.ID) ([]byte, error) {
	v, err := s.get(append([]byte{tableTriage}, id[:]...))
	if err != nil {
		return nil, fmt.Errorf("read the triage of finding %s: %w", id, err)
	}
	return v, nil
}

// Triages calls yield with the triage of each finding that has one, in order of id. yield owns the body, and may call the store.
func (s *Store) Triages(yield func(id schema.ID, body []byte) bool) error {
	lower := []byte{tableTriage}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(schema.ID(k[1:]), v) })
}
