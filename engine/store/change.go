package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Change is a change by a person that is durable at once, outside of a checkpoint. A nil Value deletes.
type Change struct {
	Tokens  []KV // by id
	Triage  []KV // by the 16 bytes of the finding's id
	Snoozes []KV // by id
	// Once are texts that no change may have twice until they expire, such as the id of a signed request. Apply fails with
	// ErrUsed if one was used.
	Once []Once
	// Outbox holds entries for sinks; Apply numbers them. They have no finding. Each entry of Audit has one of its own.
	Outbox []connectors.Entry
	Audit  []AuditEntry
}

// Once is a text that counts once.
type Once struct {
	Text  string
	Until schema.Instant // wall clock
}

// ErrUsed is returned by Apply for a change whose Once was used already. Nothing was written.
var ErrUsed = errors.New("it was used already")

const (
	// maxOnce is the number of texts that are remembered. With more, changes that have one fail until some expire.
	maxOnce = 100_000
	// secretBytes is the length of the key that Secret makes.
	secretBytes = 32
)

func keyOnce(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return append([]byte{tableMeta, 'u'}, sum[:]...)
}

// putOnce marks texts as used, and forgets those that have expired.
func putOnce(db *pebble.DB, w *batchWriter, list []Once, now schema.Instant) error {
	if len(list) == 0 {
		return nil
	}
	n := 0
	err := each(db, []byte{tableMeta, 'u'}, func(k, v []byte) error {
		if n++; instantOf(v) <= now {
			w.delete(k)
			n--
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n >= maxOnce {
		return fmt.Errorf("%d signed requests are remembered, which is the limit: try again later", n)
	}
	for _, o := range list {
		v, err := readKey(db, keyOnce(o.Text))
		if err != nil {
			return err
		}
		if v != nil && instantOf(v) > now {
			return ErrUsed
		}
		w.set(keyOnce(o.Text), binary.BigEndian.AppendUint64(nil, uint64(o.Until)))
	}
	return nil
}

// Secret returns a key of random bytes that the store keeps, for signatures. The first call makes it.
func (s *Store) Secret() ([]byte, error) {
	key := []byte{tableMeta, 's'}
	v, err := s.get(key)
	if v != nil || err != nil {
		return v, err
	}
	v = make([]byte, secretBytes)
	rand.Read(v)
	if err := s.change(func(w *batchWriter) { w.set(key, v) }); err != nil {
		return nil, fmt.Errorf("write the key for signatures: %w", err)
	}
	return v, nil
}

// errUncertain is returned for a change with outbox entries while a checkpoint that failed may be durable or not: it will be written again, with
// numbers that must not be taken.
var errUncertain = errors.New("the last checkpoint could not be written yet: try again")

// Apply makes a change durable: all of it, or none of it. After an error it may or may not be durable.
func (s *Store) Apply(c *Change) error {
	out := Checkpoint{Outbox: c.Outbox}
	s.stamp(&out)
	bodies, size, err := encodeEntries(&out)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(c.Outbox)+len(c.Audit) > 0 && s.uncertain {
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
	if err := putOnce(db, &w, c.Once, s.now()); err != nil {
		return err
	}
	nextOut, nextAudit := s.out, s.audit
	for i := range c.Outbox {
		c.Outbox[i].Seq = nextOut.next + uint64(i)
	}
	audit, err := putAudit(&w, &nextAudit, c.Audit, 0)
	if err != nil {
		return err
	}
	audit.after(nextOut.next + uint64(len(c.Outbox)))
	s.putOutbox(&w, &nextOut, slices.Concat(c.Outbox, audit.entries), slices.Concat(bodies, audit.bodies), s.now())
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
