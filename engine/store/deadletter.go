package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// maxRecordBody is how many bytes of a record a dead letter keeps: enough to see what it was; the whole is where it was
// read. Rows and deliveries are kept whole, because they can be handed in again.
const maxRecordBody = 64 << 10

// DeadLetter is one thing that went wrong for good: a record, a row or a delivery. Body is redacted.
type DeadLetter struct {
	Seq       uint64               `json:"seq"` // given by the store
	Kind      schema.DeadKind      `json:"kind"`
	Reason    string               `json:"reason"`
	Detail    string               `json:"detail,omitempty"`
	Time      schema.Instant       `json:"time"` // wall clock; 0: the store's
	Source    string               `json:"source,omitempty"`
	Topic     string               `json:"topic"`
	Partition int32                `json:"partition"`
	Offset    int64                `json:"offset"`
	Index     int                  `json:"index"`
	Sink      string               `json:"sink,omitempty"`
	Attempts  int                  `json:"attempts,omitempty"`
	Entry     uint64               `json:"entry,omitempty"` // Seq in the outbox, of rows and deliveries
	Type      connectors.EntryType `json:"type,omitempty"`  // of the entry
	Body      string               `json:"body,omitempty"`  // the record, or the entry's finding as JSON
}

// deadState are the counters of the dead letters.
type deadState struct {
	next    uint64 // Seq of the next one
	count   uint64
	bytes   uint64
	dropped uint64 // over the cap, since the store was made
	oldest  uint64 // no dead letter has a smaller Seq; in memory only
}

func (d *deadState) load(db *pebble.DB) error {
	*d = deadState{next: 1, oldest: 1}
	v, err := get(db, keyDead())
	if v == nil || err != nil {
		return err
	}
	f := flat{b: v}
	*d = deadState{next: f.uvarint(), count: f.uvarint(), bytes: f.uvarint(), dropped: f.uvarint()}
	if f.bad || d.next == 0 {
		return errors.New("the dead letters' counters cannot be read: the store is damaged")
	}
	return nil
}

func (d *deadState) value() []byte {
	v := binary.AppendUvarint(binary.AppendUvarint(nil, d.next), d.count)
	return binary.AppendUvarint(binary.AppendUvarint(v, d.bytes), d.dropped)
}

// putDead adds the letters, gives them their Seq, and drops the oldest ones that are over the cap.
func (s *Store) putDead(db *pebble.DB, w *writer, d *deadState, letters []DeadLetter) error {
	if len(letters) == 0 {
		return nil
	}
	values := make([][]byte, len(letters))
	first, size := d.next, uint64(0)
	for i := range letters {
		l := &letters[i]
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
		if size > uint64(s.o.DeadCap) { // more than the cap in one write: the oldest of them go at once
			size -= uint64(len(v))
			d.dropped++
			continue
		}
		w.set(keyNumber(tableDead, letters[i].Seq), v)
		d.count++
		d.bytes += uint64(len(v))
	}
	d.next = first + uint64(len(letters))
	w.set(keyDead(), d.value())
	return nil
}

// dropOldest makes room for size bytes below the cap.
func (s *Store) dropOldest(db *pebble.DB, w *writer, d *deadState, size uint64) error {
	for d.count > 0 && d.bytes+size > uint64(s.o.DeadCap) {
		page, err := readPage(db, keyNumber(tableDead, d.oldest), after([]byte{tableDead}), false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			d.count, d.bytes = 0, 0
			return nil
		}
		for _, e := range page {
			if d.bytes+size <= uint64(s.o.DeadCap) {
				return nil
			}
			w.delete(e.key)
			d.forget(len(e.value))
			d.dropped++
			d.oldest = numberOf(e.key) + 1
		}
	}
	return nil
}

func (d *deadState) forget(size int) {
	d.count -= min(d.count, 1)
	d.bytes -= min(d.bytes, uint64(size))
}

// DeadFilter chooses dead letters; zero fields choose all.
type DeadFilter struct {
	Kind         schema.DeadKind
	Reason, Sink string
	Since, Until schema.Instant // of Time: from Since on, before Until
	After        uint64         // only letters of a greater Seq
	Limit        int
}

func (f *DeadFilter) matches(l *DeadLetter) bool {
	return (f.Kind == "" || f.Kind == l.Kind) && (f.Reason == "" || f.Reason == l.Reason) &&
		(f.Sink == "" || f.Sink == l.Sink) && (f.Since == 0 || l.Time >= f.Since) && (f.Until == 0 || l.Time < f.Until)
}

// DeadLetters calls yield with matching dead letters, the oldest first. yield may call the store.
func (s *Store) DeadLetters(f DeadFilter, yield func(*DeadLetter) bool) error {
	var failed error
	left := f.Limit
	err := s.scan(keyNumber(tableDead, f.After+1), after([]byte{tableDead}), false, func(k, v []byte) bool {
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

// DeadLetter returns one dead letter; ok is false where there is none of that Seq.
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

// DropDeadLetters deletes the dead letters named and returns how many of them there were.
func (s *Store) DropDeadLetters(seqs ...uint64) (dropped int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	db, err := s.ready(0)
	if err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	b := db.NewBatch()
	defer b.Close()
	w, d := writer{b: b}, s.dead
	for _, seq := range slices.Compact(slices.Sorted(slices.Values(seqs))) {
		gone, err := takeDead(db, &w, &d, seq)
		if err != nil {
			return 0, fmt.Errorf("drop dead letters: %w", err)
		}
		if gone != nil {
			dropped++
		}
	}
	w.set(keyDead(), d.value())
	if err := s.finish(&w); err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = d
	return dropped, nil
}

// takeDead deletes one dead letter; nil where there is none of that Seq.
func takeDead(db *pebble.DB, w *writer, d *deadState, seq uint64) (*DeadLetter, error) {
	key := keyNumber(tableDead, seq)
	v, err := get(db, key)
	if v == nil || err != nil {
		return nil, err
	}
	l, err := parseDeadLetter(key, v)
	if err != nil {
		return nil, err
	}
	w.delete(key)
	d.forget(len(v))
	return l, nil
}

// finish writes a filled batch.
func (s *Store) finish(w *writer) error {
	if w.err != nil {
		return w.err
	}
	return s.apply(w.b)
}

// DeadStats says how much lies in the dead letters.
type DeadStats struct {
	Count, Bytes uint64
	Dropped      uint64 // given up over the cap, since the store was made
}

// DeadStats returns the counters of the dead letters.
func (s *Store) DeadStats() DeadStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return DeadStats{Count: s.dead.count, Bytes: s.dead.bytes, Dropped: s.dead.dropped}
}
