package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
)

// Checkpoint is one checkpoint: everything in it becomes durable at once, or nothing.
type Checkpoint struct {
	Seq     uint64   // 1, 2, ...: one more than the last
	State   []byte   // the engine's own: positions, watermarks, rules
	Cells   []KV     // base State of owners; a nil Value deletes
	Items   [][]byte // pending items that are new since the last cut: the parts of one value
	Drop    []uint64 // cuts whose Items are no longer needed
	Retired []KV     // rules that are gone, by id; a nil Value deletes
	// Rewrite are the Items of cuts before, without those that mean nothing any more. Drop comes after it.
	Rewrite []Rewrite
	// Outbox are changes of findings; Commit gives them consecutive Seq. They are also what the findings store shows.
	// Entries that no endpoint is told of (shadow) have Type "": they are in the outbox too, and a sink that does not
	// want them says so.
	Outbox []connectors.Entry
	Dead   []DeadLetter
}

// Rewrite is what a cut's Items are from now on.
type Rewrite struct {
	Checkpoint uint64
	Items      []byte
}

// KV is one entry of State.
type KV struct{ Key, Value []byte }

// Commit writes the cut and gives c.Outbox their Seq. It is called by one goroutine.
//
// After an error the cut may be durable or not; the same cut is committed again until that succeeds. Where it was
// durable already, the repetition does nothing.
func (s *Store) Commit(c *Checkpoint) error {
	bodies, size, err := encodeFindings(c)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	db, err := s.ready(size)
	if err != nil {
		return fmt.Errorf("commit cut %d: %w", c.Seq, err)
	}
	if done, err := s.numberEntries(c); done || err != nil {
		return err
	}
	b := db.NewBatchWithSize(size)
	defer b.Close()
	next, err := s.fill(db, b, c, bodies)
	if err != nil {
		return fmt.Errorf("commit cut %d: %w", c.Seq, err)
	}
	if err := s.apply(b); err != nil {
		return fmt.Errorf("commit cut %d: %w", c.Seq, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.out, s.dead, s.sweep = next.last, next.out, next.dead, next.sweep
	return nil
}

// numberEntries gives the cut's entries their Seq. done says that the cut is durable already.
func (s *Store) numberEntries(c *Checkpoint) (done bool, err error) {
	first := s.out.next
	switch c.Seq {
	case s.last.seq + 1:
	case s.last.seq:
		done, first = true, s.out.next-uint64(len(c.Outbox))
	default:
		return false, fmt.Errorf("BUG: cut %d cannot follow cut %d", c.Seq, s.last.seq)
	}
	for i := range c.Outbox {
		c.Outbox[i].Seq = first + uint64(i)
	}
	return done, nil
}

// afterCheckpoint is what the store remembers once a cut is durable.
type afterCheckpoint struct {
	last  lastCheckpoint
	out   outboxState
	dead  deadState
	sweep sweepState
}

// fill puts the whole cut into the batch.
func (s *Store) fill(db *pebble.DB, b *pebble.Batch, c *Checkpoint, bodies [][]byte) (n afterCheckpoint, err error) {
	n = afterCheckpoint{last: lastCheckpoint{c.Seq, bytes.Clone(c.State)}, out: s.out, dead: s.dead}
	w := writer{b: b}
	w.set(keyCheckpoint(), append(binary.AppendUvarint(nil, c.Seq), c.State...))
	for _, kv := range c.Cells {
		w.put(keyCell(kv.Key), kv.Value)
	}
	for _, kv := range c.Retired {
		w.put(keyRetired(kv.Key), kv.Value)
	}
	if len(c.Items) > 0 {
		w.setParts(keyNumber(tableItems, c.Seq), c.Items)
	}
	for _, x := range c.Rewrite {
		w.set(keyNumber(tableItems, x.Checkpoint), x.Items)
	}
	for _, cut := range c.Drop {
		w.delete(keyNumber(tableItems, cut))
	}
	if n.sweep, err = s.sweepFindings(db, &w); err != nil {
		return n, err
	}
	now := s.now()
	if err := putFindings(db, &w, c.Outbox, bodies, now); err != nil {
		return n, err
	}
	s.putOutbox(&w, &n.out, c.Outbox, bodies, now)
	if err := s.putDead(db, &w, &n.dead, c.Dead); err != nil {
		return n, err
	}
	return n, w.err
}

// writer fills a batch and keeps its first error.
type writer struct {
	b   *pebble.Batch
	err error
}

func (w *writer) set(key, value []byte) {
	if err := w.b.Set(key, value, nil); w.err == nil {
		w.err = err
	}
}

// put sets the value of a key, or deletes the key where it is nil.
func (w *writer) put(key, value []byte) {
	if value == nil {
		w.delete(key)
	} else {
		w.set(key, value)
	}
}

// setParts sets a value that stands in parts, each of which is copied once.
func (w *writer) setParts(key []byte, parts [][]byte) {
	op := w.b.SetDeferred(len(key), partsSize(parts))
	copy(op.Key, key)
	value := op.Value
	for _, part := range parts {
		value = value[copy(value, part):]
	}
	if err := op.Finish(); w.err == nil {
		w.err = err
	}
}

func partsSize(parts [][]byte) (size int) {
	for _, part := range parts {
		size += len(part)
	}
	return size
}

func (w *writer) delete(key []byte) {
	if err := w.b.Delete(key, nil); w.err == nil {
		w.err = err
	}
}

// Last returns the last cut's number and State; ok is false for a new store. State is the caller's.
func (s *Store) Last() (seq uint64, state []byte, ok bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, nil, false, ErrClosed
	}
	return s.last.seq, bytes.Clone(s.last.state), s.last.seq != 0, nil
}

// Cell returns an owner's base State, nil where there is none. The bytes are the caller's.
func (s *Store) Cell(key []byte) ([]byte, error) {
	return s.get(keyCell(key))
}

// get reads one key.
func (s *Store) get(key []byte) ([]byte, error) {
	s.revive()
	s.mu.RLock()
	defer s.mu.RUnlock()
	db, err := s.reader()
	if err != nil {
		return nil, err
	}
	return get(db, key)
}

// Cells calls yield with each entry whose key begins with prefix, in order of key. Key and value are yield's; it may
// call the store.
func (s *Store) Cells(prefix []byte, yield func(key, value []byte) bool) error {
	lower := keyCell(prefix)
	return s.scan(lower, after(lower), false, func(k, v []byte) bool { return yield(k[1:], v) })
}

// CellsFrom calls yield with each entry from a key on, in order of key. Key and value are yield's; it may call the store.
func (s *Store) CellsFrom(key []byte, yield func(key, value []byte) bool) error {
	return s.scan(keyCell(key), after([]byte{tableCell}), false, func(k, v []byte) bool { return yield(k[1:], v) })
}

// DropCells deletes State that no cut knows: it must not be read by who begins anew.
func (s *Store) DropCells(keys [][]byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	db, err := s.ready(0)
	if err != nil {
		return fmt.Errorf("delete State: %w", err)
	}
	b := db.NewBatch()
	defer b.Close()
	w := writer{b: b}
	for _, key := range keys {
		w.delete(keyCell(key))
	}
	if err := s.finish(&w); err != nil {
		return fmt.Errorf("delete State: %w", err)
	}
	return nil
}

// Retired calls yield with each rule that is gone and what the engine keeps of it, in order of rule.
func (s *Store) Retired(yield func(rule string, value []byte) bool) error {
	lower := []byte{tableRetired}
	return s.scan(lower, after(lower), false, func(k, v []byte) bool { return yield(string(k[1:]), v) })
}

// Items calls yield with the pending items of each cut that was not dropped, in order of cut.
func (s *Store) Items(yield func(cut uint64, items []byte) bool) error {
	lower := []byte{tableItems}
	return s.scan(lower, after(lower), false, func(k, v []byte) bool { return yield(numberOf(k), v) })
}
