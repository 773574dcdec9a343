package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// maxRecordBody is the number of bytes of a record that a dead letter keeps: enough to recognise the record, which is
// still in its source. Rows and deliveries are kept whole, because they can be delivered again from the dead letter.
const maxRecordBody = 64 << 10

// DeadLetter is a record, a row or a delivery that failed permanently. Body is redacted.
type DeadLetter struct {
	Seq       uint64               `json:"seq"` // set by the store
	Kind      schema.DeadKind      `json:"kind"`
	Reason    string               `json:"reason"`
	Detail    string               `json:"detail,omitempty"`
	Time      schema.Instant       `json:"time"` // wall clock; if 0, the store sets it
	Source    string               `json:"source,omitempty"`
	Topic     string               `json:"topic"`
	Partition int32                `json:"partition"`
	Offset    int64                `json:"offset"`
	Index     int                  `json:"index"`
	Sink      string               `json:"sink,omitempty"`
	Attempts  int                  `json:"attempts,omitempty"`
	Entry     uint64               `json:"entry,omitempty"` // rows and deliveries: the Seq of the outbox entry
	Type      connectors.EntryType `json:"type,omitempty"`  // rows and deliveries: the Type of the outbox entry
	Body      string               `json:"body,omitempty"`  // the record, or the entry's finding as JSON
}

// kindCount is the number of kinds of dead letters.
const kindCount = 3

// kindIndex returns the index of a kind in deadState.kinds, or -1 for a kind of another version.
func kindIndex(kind schema.DeadKind) int { return slices.Index(schema.DeadKinds(), kind) }

// kindOf returns the kind of a stored dead letter without decoding all of it.
func kindOf(value []byte) schema.DeadKind {
	const begin = `"kind":"` // after seq, which is a number
	_, rest, _ := bytes.Cut(value, []byte(begin))
	kind, _, _ := bytes.Cut(rest, []byte(`"`))
	return schema.DeadKind(kind)
}

// deadState holds the counters of the dead letters.
type deadState struct {
	next    uint64 // Seq of the next dead letter
	count   uint64
	bytes   uint64
	dropped uint64            // number dropped because of the cap since the store was created
	kinds   [kindCount]uint64 // number by kind, in the order of schema.DeadKinds
	oldest  uint64            // lower bound of the Seq of all dead letters; in memory only
}

func (d *deadState) load(db *pebble.DB) error {
	*d = deadState{next: 1, oldest: 1}
	v, err := readKey(db, keyDead())
	if v == nil || err != nil {
		return err
	}
	r := flat.NewReader(v)
	*d = deadState{next: r.Uvarint(), count: r.Uvarint(), bytes: r.Uvarint(), dropped: r.Uvarint()}
	if r.Done() { // a store of a version that did not count by kind
		return d.countKinds(db)
	}
	for i := range d.kinds {
		d.kinds[i] = r.Uvarint()
	}
	if r.Bad() || d.next == 0 {
		return errors.New("read the counters of the dead letters: the store is damaged")
	}
	return nil
}

// countKinds counts the stored dead letters by kind.
func (d *deadState) countKinds(db *pebble.DB) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableDead}, UpperBound: prefixEnd([]byte{tableDead})})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if i := kindIndex(kindOf(it.Value())); i >= 0 {
			d.kinds[i]++
		}
	}
	return it.Close()
}

func (d *deadState) value() []byte {
	v := binary.AppendUvarint(binary.AppendUvarint(nil, d.next), d.count)
	v = binary.AppendUvarint(binary.AppendUvarint(v, d.bytes), d.dropped)
	for _, n := range d.kinds {
		v = binary.AppendUvarint(v, n)
	}
	return v
}

// putDead numbers the dead letters, adds them, and drops the oldest ones over the cap.
func (s *Store) putDead(db *pebble.DB, w *batchWriter, d *deadState, dead []DeadLetter) error {
	if len(dead) == 0 {
		return nil
	}
	values := make([][]byte, len(dead))
	first, size := d.next, uint64(0)
	for i := range dead {
		l := &dead[i]
		l.Seq = first + uint64(i)
		if l.Time == 0 {
			l.Time = s.now()
		}
		if l.Kind == schema.DeadRecord {
			l.Body = schema.Truncate(l.Body, maxRecordBody)
		}
		var err error
		if values[i], err = json.Marshal(l); err != nil {
			return fmt.Errorf("encode dead letter: %w", err)
		}
		size += uint64(len(values[i]))
	}
	if err := s.dropOldest(db, w, d, size); err != nil {
		return err
	}
	for i, v := range values {
		if size > uint64(s.opts.DeadCap) { // the new ones alone exceed the cap: the first of them are never written
			size -= uint64(len(v))
			d.dropped++
			continue
		}
		w.set(keyNumber(tableDead, dead[i].Seq), v)
		d.count++
		d.bytes += uint64(len(v))
		if k := kindIndex(dead[i].Kind); k >= 0 {
			d.kinds[k]++
		}
	}
	d.next = first + uint64(len(dead))
	w.set(keyDead(), d.value())
	return nil
}

// dropOldest deletes the oldest dead letters until size more bytes fit under the cap.
func (s *Store) dropOldest(db *pebble.DB, w *batchWriter, d *deadState, size uint64) error {
	for d.count > 0 && d.bytes+size > uint64(s.opts.DeadCap) {
		page, err := readPage(db, keyNumber(tableDead, d.oldest), prefixEnd([]byte{tableDead}), false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			d.count, d.bytes, d.kinds = 0, 0, [kindCount]uint64{}
			return nil
		}
		for _, kv := range page {
			if d.bytes+size <= uint64(s.opts.DeadCap) {
				return nil
			}
			w.delete(kv.Key)
			d.subtract(len(kv.Value), kindOf(kv.Value))
			d.dropped++
			d.oldest = numberOf(kv.Key) + 1
		}
	}
	return nil
}

// subtract removes one dead letter of a size and kind from the counters.
func (d *deadState) subtract(size int, kind schema.DeadKind) {
	d.count -= min(d.count, 1)
	d.bytes -= min(d.bytes, uint64(size))
	if i := kindIndex(kind); i >= 0 {
		d.kinds[i] -= min(d.kinds[i], 1)
	}
}

// DeadFilter selects dead letters. The zero DeadFilter selects all.
type DeadFilter struct {
	Kind         schema.DeadKind
	Reason, Sink string
	Since, Until schema.Instant // of Time: at or after Since, before Until
	After        uint64         // only dead letters with a greater Seq
	Limit        int
}

func (f *DeadFilter) matches(l *DeadLetter) bool {
	return (f.Kind == "" || f.Kind == l.Kind) && (f.Reason == "" || f.Reason == l.Reason) &&
		(f.Sink == "" || f.Sink == l.Sink) && (f.Since == 0 || l.Time >= f.Since) && (f.Until == 0 || l.Time < f.Until)
}

// DeadLetters calls yield with the matching dead letters, oldest first. yield may call the store.
func (s *Store) DeadLetters(f DeadFilter, yield func(*DeadLetter) bool) error {
	var failed error
	left := f.Limit
	err := s.scan(keyNumber(tableDead, f.After+1), prefixEnd([]byte{tableDead}), false, func(k, v []byte) bool {
		l, err := parseDeadLetter(k, v)
		if failed = err; failed != nil || !f.matches(l) {
			return failed == nil
		}
		left--
		return yield(l) && left != 0
	})
	if err == nil {
		err = failed
	}
	return err
}

// DeadLetter returns the dead letter with the given Seq. ok is false if it does not exist.
func (s *Store) DeadLetter(seq uint64) (l *DeadLetter, ok bool, err error) {
	key := keyNumber(tableDead, seq)
	v, err := s.get(key)
	if v == nil || err != nil {
		return nil, false, err
	}
	l, err = parseDeadLetter(key, v)
	return l, err == nil, err
}

func parseDeadLetter(key, value []byte) (*DeadLetter, error) {
	var l DeadLetter
	if err := json.Unmarshal(value, &l); err != nil {
		return nil, fmt.Errorf("decode dead letter %d: %w", numberOf(key), err)
	}
	return &l, nil
}

// DropDeadLetters deletes the dead letters with the given Seqs. Unknown Seqs are ignored; dropped is the number deleted.
func (s *Store) DropDeadLetters(seqs ...uint64) (dropped int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if dropped, err = s.dropDeadLetters(seqs); err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	return dropped, nil
}

func (s *Store) dropDeadLetters(seqs []uint64) (dropped int, err error) {
	db, err := s.writable(0)
	if err != nil {
		return 0, err
	}
	b := db.NewBatch()
	defer b.Close()
	w, d := batchWriter{b: b}, s.dead
	for _, seq := range slices.Compact(slices.Sorted(slices.Values(seqs))) {
		l, err := deleteDead(db, &w, &d, seq)
		if err != nil {
			return 0, err
		}
		if l != nil {
			dropped++
		}
	}
	w.set(keyDead(), d.value())
	if err := s.finish(&w); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = d
	return dropped, nil
}

// deleteDead deletes the dead letter with the given Seq and returns it, or nil if it does not exist.
func deleteDead(db *pebble.DB, w *batchWriter, d *deadState, seq uint64) (*DeadLetter, error) {
	key := keyNumber(tableDead, seq)
	v, err := readKey(db, key)
	if v == nil || err != nil {
		return nil, err
	}
	l, err := parseDeadLetter(key, v)
	if err != nil {
		return nil, err
	}
	w.delete(key)
	d.subtract(len(v), l.Kind)
	return l, nil
}

// DeadStats holds the counters of the dead letters.
type DeadStats struct {
	Count, Bytes uint64
	Dropped      uint64 // number dropped because of the cap since the store was created
	kinds        [kindCount]uint64
}

// Of returns the number of dead letters of a kind.
func (s DeadStats) Of(kind schema.DeadKind) uint64 {
	if i := kindIndex(kind); i >= 0 {
		return s.kinds[i]
	}
	return 0
}

// DeadStats returns the counters of the dead letters. It does not read the disk.
func (s *Store) DeadStats() DeadStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return DeadStats{Count: s.dead.count, Bytes: s.dead.bytes, Dropped: s.dead.dropped, kinds: s.dead.kinds}
}
