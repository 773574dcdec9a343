package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
)

// Checkpoint is written by Commit: all of it becomes durable at once, or none of it.
type Checkpoint struct {
	Seq   uint64 // 1, 2, ...: one more than that of the checkpoint before
	State []byte // opaque to the store: the engine's positions, watermarks and rules
	Cells []KV   // base State by owner; a nil Value deletes
	// Timers are keys in the order of the engine's clock, with an empty Value; a nil Value deletes. They are applied in order.
	Timers []KV
	// Items are the pending items that came since the last checkpoint. They are one value, in parts.
	Items [][]byte
	// Paged holds the pending items of owners that leave memory, by owner; a nil Value deletes. They are a copy: Items
	// holds them too, and after a restart these alone count.
	Paged []KV
	// Drop lists earlier checkpoints whose Items are no longer needed. It is applied after Rewrite.
	Drop     []uint64
	Entities []KV     // base of entities of the inventory, by flat key
	Ranks    []KV     // entries of the index of these entities by rank; a nil Value deletes
	Deltas   []string // of the inventory that came since the last checkpoint. They are one value, in parts.
	// Rows are the rows of the inventory for sinks, in parts; see connectors.Profile.Rows.
	Rows [][]byte
	// Tally holds changes of the counts of rules and sources, by key; a nil Value deletes.
	Tally []KV
	// DropDeltas lists earlier checkpoints whose Deltas are in base with this one.
	DropDeltas []uint64
	Retired    []KV // rules that left the configuration, by id; a nil Value deletes
	// Rewrite replaces the Items of earlier checkpoints, to remove items that no rule will use.
	Rewrite []Rewrite
	// Outbox holds the changes of findings; Commit numbers them consecutively. The same changes update the findings
	// that Finding and Findings return. An entry that no endpoint should get (shadow) has the Type "". Such entries are
	// in the outbox too, and a sink that does not want them declines them in its Profile.
	Outbox []connectors.Entry
	Dead   []DeadLetter
	// Responses and Approvals are changes of the ledger of responses and of the approvals of held calls, by id; a nil Value
	// deletes. Containment is the state of the containment table; nil: it has not changed.
	Responses, Approvals []KV
	Containment          []byte
	// Audit records what people and automation changed with this checkpoint. Commit sets the Seq and Prev of the entries.
	Audit []AuditEntry
	Size  int // set by Commit: approximate size of the batch, in bytes
}

// Rewrite is the new value of the Items of an earlier checkpoint.
type Rewrite struct {
	Checkpoint uint64
	Items      []byte
}

// KV is a key with its value.
type KV struct{ Key, Value []byte }

// Commit writes the checkpoint and sets the Seq of the entries in c.Outbox. It must be called by one goroutine.
//
// After an error the checkpoint may or may not be durable. The caller commits the same checkpoint again until that
// succeeds; if it was durable already, the repetition changes nothing.
func (s *Store) Commit(c *Checkpoint) error {
	s.stamp(c)
	bodies, size, err := encodeEntries(c)
	if err != nil {
		return err
	}
	c.Size = size
	s.writing.Lock()
	defer s.writing.Unlock()
	db, err := s.writable(size)
	if err != nil {
		return fmt.Errorf("commit checkpoint %d: %w", c.Seq, err)
	}
	if done, err := s.numberEntries(c); done || err != nil {
		s.uncertain = s.uncertain && !done
		return err
	}
	s.uncertain = true
	b := db.NewBatchWithSize(size)
	defer b.Close()
	w := batchWriter{b: b}
	next, err := s.fill(db, &w, c, bodies)
	if err != nil {
		return fmt.Errorf("commit checkpoint %d: %w", c.Seq, err)
	}
	if err := s.finish(&w); err != nil {
		return fmt.Errorf("commit checkpoint %d: %w", c.Seq, err)
	}
	s.writeReceipt(receipt{c.Seq, next.last.at})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.out, s.sweep, s.rows.total, s.audit = next.last, next.out, next.sweep, next.rows, next.audit
	s.uncertain = false
	s.setDead(next.dead)
	return nil
}

// numberEntries sets the Seq of the checkpoint's entries. done reports whether the checkpoint is durable already.
func (s *Store) numberEntries(c *Checkpoint) (done bool, err error) {
	first := s.out.next
	switch c.Seq {
	case s.last.seq + 1:
	case s.last.seq:
		done, first = true, s.out.next-uint64(len(c.Outbox)+len(c.Audit))
	default:
		return false, fmt.Errorf("BUG: checkpoint %d cannot follow checkpoint %d", c.Seq, s.last.seq)
	}
	for i := range c.Outbox {
		c.Outbox[i].Seq = first + uint64(i)
	}
	return done, nil
}

// committedState holds the new values of the Store's fields once a checkpoint is durable.
type committedState struct {
	last  lastCheckpoint
	out   outboxState
	dead  deadState
	sweep sweepState
	rows  uint64
	audit AuditHead
}

// fill puts the whole checkpoint into the batch.
func (s *Store) fill(db *pebble.DB, w *batchWriter, c *Checkpoint, bodies [][]byte) (next committedState, err error) {
	now := s.now()
	next = committedState{last: lastCheckpoint{c.Seq, bytes.Clone(c.State), now}, out: s.out, dead: s.dead, audit: s.audit}
	next.rows = s.putRows(w, c)
	w.set(keyCheckpointTime(), binary.BigEndian.AppendUint64(nil, uint64(now)))
	w.set(keyCheckpoint(), append(binary.AppendUvarint(nil, c.Seq), c.State...))
	for _, kv := range c.Cells {
		w.setOrDelete(keyCell(kv.Key), kv.Value)
	}
	for _, kv := range c.Timers {
		w.setOrDelete(keyTimer(kv.Key), kv.Value)
	}
	for _, kv := range c.Retired {
		w.setOrDelete(keyRetired(kv.Key), kv.Value)
	}
	for _, kv := range c.Paged {
		w.setOrDelete(keyPaged(kv.Key), kv.Value)
	}
	putInventory(w, c)
	if len(c.Items) > 0 {
		setParts(w, keyNumber(tableItems, c.Seq), c.Items)
	}
	for _, r := range c.Rewrite {
		w.set(keyNumber(tableItems, r.Checkpoint), r.Items)
	}
	for _, seq := range c.Drop {
		w.delete(keyNumber(tableItems, seq))
	}
	putContainment(w, c)
	audit, err := putAudit(w, &next.audit, c.Audit, c.Seq)
	if err != nil {
		return next, err
	}
	audit.after(s.out.next + uint64(len(c.Outbox)))
	if next.sweep, err = s.sweepFindings(db, w); err != nil {
		return next, err
	}
	if err := putFindings(db, w, c.Outbox, bodies, now); err != nil {
		return next, err
	}
	s.putOutbox(w, &next.out, slices.Concat(c.Outbox, audit.entries), slices.Concat(bodies, audit.bodies), now)
	return next, s.putDead(db, w, &next.dead, c.Dead)
}

// batchWriter fills a batch and keeps the first error.
type batchWriter struct {
	b   *pebble.Batch
	err error
}

func (w *batchWriter) set(key, value []byte) { w.fail(w.b.Set(key, value, nil)) }

func (w *batchWriter) append(key, value []byte) { w.fail(w.b.Merge(key, value, nil)) }

func (w *batchWriter) delete(key []byte) { w.fail(w.b.Delete(key, nil)) }

// setOrDelete sets the value of a key, or deletes the key if the value is nil.
func (w *batchWriter) setOrDelete(key, value []byte) {
	if value == nil {
		w.delete(key)
	} else {
		w.set(key, value)
	}
}

// setParts sets a value to the concatenation of its parts, each of which is copied once.
func setParts[T string | []byte](w *batchWriter, key []byte, parts []T) {
	op := w.b.SetDeferred(len(key), partsSize(parts))
	copy(op.Key, key)
	value := op.Value
	for _, part := range parts {
		value = value[copy(value, part):]
	}
	w.fail(op.Finish())
}

func (w *batchWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func partsSize[T string | []byte](parts []T) (size int) {
	for _, part := range parts {
		size += len(part)
	}
	return size
}

// finish writes a filled batch and waits for the disk.
func (s *Store) finish(w *batchWriter) error {
	if w.err != nil {
		return w.err
	}
	return s.apply(w.b)
}

// Last returns the number and State of the last checkpoint. ok is false for a new store. The caller owns State.
func (s *Store) Last() (seq uint64, state []byte, ok bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, nil, false, ErrClosed
	}
	return s.last.seq, bytes.Clone(s.last.state), s.last.seq != 0, nil
}

// Cell returns an owner's base State, or nil if the owner has no State. The caller owns the bytes.
func (s *Store) Cell(key []byte) ([]byte, error) {
	return s.get(keyCell(key))
}

// RareCell is Cell for an owner that is expected to have no State: then it costs a third, else somewhat more.
func (s *Store) RareCell(key []byte) ([]byte, error) { return s.getRare(keyCell(key)) }

// getRare is get for a key that is often missing.
func (s *Store) getRare(key []byte) ([]byte, error) {
	s.reopenForReader()
	s.mu.RLock()
	defer s.mu.RUnlock()
	db, err := s.readable()
	if err != nil {
		return nil, err
	}
	return readRareKey(db, key)
}

// get reads one key on behalf of a reader.
func (s *Store) get(key []byte) ([]byte, error) {
	s.reopenForReader()
	s.mu.RLock()
	defer s.mu.RUnlock()
	db, err := s.readable()
	if err != nil {
		return nil, err
	}
	return readKey(db, key)
}

// Cells calls yield with each cell whose key begins with prefix, in order of key. yield owns key and value, and may call
// the store.
func (s *Store) Cells(prefix []byte, yield func(key, value []byte) bool) error {
	lower := keyCell(prefix)
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(k[1:], v) })
}

// CellsFrom calls yield with the given key's cell and all cells after it, in order of key. yield owns key and value, and
// may call the store.
func (s *Store) CellsFrom(key []byte, yield func(key, value []byte) bool) error {
	return s.scan(keyCell(key), prefixEnd([]byte{tableCell}), false, func(k, v []byte) bool { return yield(k[1:], v) })
}

// Timers calls yield with the keys of the timers in [from, to), in order, until it returns false. yield owns the key.
func (s *Store) Timers(from, to []byte, yield func(key []byte) bool) error {
	return s.scan(keyTimer(from), keyTimer(to), false, func(k, _ []byte) bool { return yield(k[1:]) })
}

// SetTimers writes timers outside of a checkpoint: those of a store that an earlier version wrote.
func (s *Store) SetTimers(timers []KV) error {
	err := s.change(func(w *batchWriter) {
		for _, kv := range timers {
			w.set(keyTimer(kv.Key), kv.Value)
		}
	})
	if err != nil {
		return fmt.Errorf("write timers: %w", err)
	}
	return nil
}

// Paged returns the pending items of an owner that were paged out, or nil. The caller owns the bytes.
func (s *Store) Paged(key []byte) ([]byte, error) { return s.get(keyPaged(key)) }

// AppendPaged appends to the pending items of owners outside of a checkpoint, while the engine restores them.
func (s *Store) AppendPaged(items []KV) error {
	err := s.change(func(w *batchWriter) {
		for _, kv := range items {
			w.append(keyPaged(kv.Key), kv.Value) // Pebble's default is to concatenate
		}
	})
	if err != nil {
		return fmt.Errorf("page out pending items: %w", err)
	}
	return nil
}

// DropPaged deletes all pending items that were paged out: those of an engine that runs no longer.
func (s *Store) DropPaged() error {
	lower := []byte{tablePaged}
	page, err := s.page(lower, prefixEnd(lower), false)
	if err == nil && len(page) > 0 {
		err = s.change(func(w *batchWriter) { w.fail(w.b.DeleteRange(lower, prefixEnd(lower), nil)) })
	}
	if err != nil {
		return fmt.Errorf("delete paged items: %w", err)
	}
	return nil
}

// DropCells deletes cells outside of a checkpoint. It is for State that the last checkpoint does not attribute to a rule: a
// rule that starts empty must never read it.
func (s *Store) DropCells(keys [][]byte) error {
	err := s.change(func(w *batchWriter) {
		for _, key := range keys {
			w.delete(keyCell(key))
		}
	})
	if err != nil {
		return fmt.Errorf("delete State: %w", err)
	}
	return nil
}

// change makes the changes that fill puts into a batch durable, outside of a checkpoint.
func (s *Store) change(fill func(w *batchWriter)) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	db, err := s.writable(0)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	w := batchWriter{b: b}
	fill(&w)
	return s.finish(&w)
}

// Retired calls yield with each retired rule and its value as the engine wrote it, in order of rule.
func (s *Store) Retired(yield func(rule string, value []byte) bool) error {
	lower := []byte{tableRetired}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(string(k[1:]), v) })
}

// Items calls yield with the pending items of each checkpoint that was not dropped, in order of checkpoint.
func (s *Store) Items(yield func(checkpoint uint64, items []byte) bool) error {
	lower := []byte{tableItems}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(numberOf(k), v) })
}
