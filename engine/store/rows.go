package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/engine/flat"
)

// rowState is the progress of the rows of the inventory. Rows wait in the store until every sink of rows has them.
type rowState struct {
	total uint64 // bytes of all rows ever written
	sinks map[string]rowCursor
}

// rowCursor is the progress of one sink of rows.
type rowCursor struct {
	seq    uint64 // it has the rows of all checkpoints up to this one
	before uint64 // bytes of the rows of these
}

func (c rowCursor) value() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, c.seq), c.before)
}

func keyRowSink(name string) []byte { return append([]byte{tableRowSink}, name...) }

// rowsHead is the length in bytes of what precedes the rows of a checkpoint.
const rowsHead = 8

// load reads the progress of the sinks and the last rows.
func (r *rowState) load(db *pebble.DB) error {
	*r = rowState{sinks: map[string]rowCursor{}}
	damaged := errors.New("read the progress of rows: the store is damaged")
	err := each(db, []byte{tableRowSink}, func(key, value []byte) error {
		in := flat.NewReader(value)
		c := rowCursor{in.Uint64(), in.Uint64()}
		if in.Bad() {
			return damaged
		}
		r.sinks[string(key[1:])], r.total = c, max(r.total, c.before)
		return nil
	})
	if err != nil {
		return err
	}
	last, err := readPage(db, []byte{tableRows}, prefixEnd([]byte{tableRows}), true)
	if err != nil || len(last) == 0 {
		return err
	}
	if len(last[0].Value) < rowsHead {
		return damaged
	}
	r.total = max(r.total, binary.BigEndian.Uint64(last[0].Value))
	return nil
}

// putRows puts the rows of a checkpoint into the batch and returns the new total. Without a sink of rows nothing waits for
// them, and they are not stored.
func (s *Store) putRows(w *batchWriter, c *Checkpoint) (total uint64) {
	total = s.rows.total
	if len(c.Rows) == 0 || len(s.rows.sinks) == 0 {
		return total
	}
	total += uint64(partsSize(c.Rows))
	head := binary.BigEndian.AppendUint64(nil, total)
	setParts(w, keyNumber(tableRows, c.Seq), append([][]byte{head}, c.Rows...))
	return total
}

// SetRowSinks names the sinks of rows. Rows that only sinks wait for that are not named are deleted. added lists the sinks
// that are new: they get the rows of later checkpoints.
func (s *Store) SetRowSinks(names []string) (added []string, err error) {
	s.mu.RLock()
	old, total, seq := s.rows.sinks, s.rows.total, s.last.seq
	s.mu.RUnlock()
	sinks := map[string]rowCursor{}
	for _, name := range names {
		c, ok := old[name]
		if !ok {
			c, added = rowCursor{seq, total}, append(added, name)
		}
		sinks[name] = c
	}
	err = s.change(func(w *batchWriter) {
		for name := range old {
			w.delete(keyRowSink(name))
		}
		for name, c := range sinks {
			w.set(keyRowSink(name), c.value())
		}
		trimRows(w, sinks)
	})
	if err != nil {
		return nil, fmt.Errorf("set the sinks of rows: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows.sinks = sinks
	return added, nil
}

// trimRows deletes the rows that all sinks have.
func trimRows(w *batchWriter, sinks map[string]rowCursor) {
	low := uint64(math.MaxUint64 - 1)
	for _, c := range sinks {
		low = min(low, c.seq)
	}
	w.fail(w.b.DeleteRange([]byte{tableRows}, keyNumber(tableRows, low+1), nil))
}

// NextRows returns the first rows that a sink does not have, with the number of their checkpoint. ok is false if it has all.
func (s *Store) NextRows(sink string) (checkpoint uint64, rows string, ok bool, err error) {
	s.mu.RLock()
	c, last := s.rows.sinks[sink], s.last.seq
	s.mu.RUnlock()
	err = s.scan(keyNumber(tableRows, c.seq+1), keyNumber(tableRows, last+1), false, func(k, v []byte) bool {
		if len(v) < rowsHead {
			err = errors.New("read rows: the store is damaged")
			return false
		}
		checkpoint, rows, ok = numberOf(k), string(v[rowsHead:]), true
		return false
	})
	return checkpoint, rows, ok, err
}

// RowsDelivered records that a sink has the rows of all checkpoints up to one.
func (s *Store) RowsDelivered(sink string, checkpoint uint64) error {
	v, err := s.get(keyNumber(tableRows, checkpoint))
	if err != nil {
		return err
	}
	s.mu.RLock()
	c := s.rows.sinks[sink]
	sinks := map[string]rowCursor{}
	for name, other := range s.rows.sinks {
		sinks[name] = other
	}
	s.mu.RUnlock()
	c.seq = checkpoint
	if len(v) >= rowsHead {
		c.before = binary.BigEndian.Uint64(v)
	}
	sinks[sink] = c
	err = s.change(func(w *batchWriter) {
		w.set(keyRowSink(sink), c.value())
		trimRows(w, sinks)
	})
	if err != nil {
		return fmt.Errorf("record delivered rows: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows.sinks[sink] = c
	return nil
}

// RowsWaiting returns the number of bytes of rows that a sink does not have.
func (s *Store) RowsWaiting(sink string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.rows.sinks[sink]
	if !ok {
		return 0
	}
	return int64(s.rows.total - c.before)
}
