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
	Entry     uint64               `json:"entry,omitempty"`              // rows and deliveries: the Seq of the outbox entry
	Type      connectors.EntryType `json:"type,omitempty"`               // rows and deliveries: the Type of the outbox entry
	Body      string               `json:"body,omitempty"`               // the record, or the entry's finding as JSON
	Omitted   int                  `json:"body_bytes_omitted,omitempty"` // bytes of a body that is not kept; then Body is empty
}

// deadShare is a part of the dead letters that has a share of the cap for itself, so that a flood of malformed records never
// displaces findings that were not delivered.
type deadShare int

const (
	deadRecords    deadShare = iota // records
	deadDeliveries                  // rows and deliveries
	deadShares                      // number of shares; each has the same part of Options.DeadCap
)

// shareOf returns the share of a kind of dead letter.
func shareOf(kind schema.DeadKind) deadShare {
	if kind == schema.DeadRecord {
		return deadRecords
	}
	return deadDeliveries
}

// shareOfValue returns the share of a stored dead letter without decoding it: Seq and Kind come first.
func shareOfValue(value []byte) deadShare {
	_, rest, _ := bytes.Cut(value, []byte(`"kind":"`))
	kind, _, _ := bytes.Cut(rest, []byte(`"`))
	return shareOf(schema.DeadKind(kind))
}

// deadCount holds the counters of one share.
type deadCount struct {
	count, bytes uint64
	dropped      uint64 // number dropped because of the cap since the store was created
	oldest       uint64 // lower bound of the Seq of the share's dead letters; in memory only
}

// deadState holds the counters of the dead letters.
type deadState struct {
	next   uint64 // Seq of the next dead letter
	shares [deadShares]deadCount
}

// load reads the counters. An earlier version of the store has only their sums, which are split by reading all dead letters.
func (d *deadState) load(db *pebble.DB) error {
	*d = deadState{next: 1}
	for i := range d.shares {
		d.shares[i].oldest = 1
	}
	v, err := readKey(db, keyDead())
	if v == nil || err != nil {
		return err
	}
	r := flat.NewReader(v)
	d.next = r.Uvarint()
	records, deliveries := &d.shares[deadRecords], &d.shares[deadDeliveries]
	records.count, records.bytes, records.dropped = r.Uvarint(), r.Uvarint(), r.Uvarint() // still the sums
	switch {
	case r.Bad() || d.next == 0:
		return errors.New("read the counters of the dead letters: the store is damaged")
	case r.Done():
		err = each(db, []byte{tableDead}, func(_, value []byte) error {
			if shareOfValue(value) == deadDeliveries {
				deliveries.count++
				deliveries.bytes += uint64(len(value))
			}
			return nil
		})
	default:
		deliveries.count, deliveries.bytes, deliveries.dropped = r.Uvarint(), r.Uvarint(), r.Uvarint()
	}
	if err != nil || r.Bad() || deliveries.count > records.count || deliveries.bytes > records.bytes || deliveries.dropped > records.dropped {
		return errors.Join(errors.New("read the counters of the dead letters: the store is damaged"), err)
	}
	records.count -= deliveries.count
	records.bytes -= deliveries.bytes
	records.dropped -= deliveries.dropped
	return nil
}

func (d *deadState) value() []byte {
	total := d.total()
	deliveries := &d.shares[deadDeliveries]
	v := binary.AppendUvarint(nil, d.next)
	for _, n := range []uint64{total.count, total.bytes, total.dropped, deliveries.count, deliveries.bytes, deliveries.dropped} {
		v = binary.AppendUvarint(v, n)
	}
	return v
}

// total returns the sum of all shares.
func (d *deadState) total() (sum deadCount) {
	for _, n := range d.shares {
		sum.count += n.count
		sum.bytes += n.bytes
		sum.dropped += n.dropped
	}
	return sum
}

// putDead numbers the dead letters, adds them, and drops the oldest ones of each share that is over its part of the cap.
func (s *Store) putDead(db *pebble.DB, w *batchWriter, d *deadState, dead []DeadLetter) error {
	if len(dead) == 0 {
		return nil
	}
	values := make([][]byte, len(dead))
	first := d.next
	var size [deadShares]uint64
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
		size[shareOf(l.Kind)] += uint64(len(values[i]))
	}
	for share, n := range size {
		if n > 0 {
			if err := s.dropOldest(db, w, d, deadShare(share), n); err != nil {
				return err
			}
		}
	}
	for i, v := range values {
		share := shareOf(dead[i].Kind)
		n := &d.shares[share]
		if size[share] > s.deadCap() { // the new ones alone exceed the share: the first of them are never written
			size[share] -= uint64(len(v))
			n.dropped++
			continue
		}
		w.set(keyNumber(tableDead, dead[i].Seq), v)
		n.count++
		n.bytes += uint64(len(v))
	}
	d.next = first + uint64(len(dead))
	w.set(keyDead(), d.value())
	return nil
}

// deadCap returns the number of bytes that each share may have.
func (s *Store) deadCap() uint64 { return uint64(s.opts.DeadCap) / uint64(deadShares) }

// dropOldest deletes the oldest dead letters of a share until size more bytes fit under its part of the cap.
func (s *Store) dropOldest(db *pebble.DB, w *batchWriter, d *deadState, share deadShare, size uint64) error {
	n := &d.shares[share]
	for n.count > 0 && n.bytes+size > s.deadCap() {
		page, err := readPage(db, keyNumber(tableDead, n.oldest), prefixEnd([]byte{tableDead}), false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			n.count, n.bytes = 0, 0
			return nil
		}
		for _, kv := range page {
			if n.bytes+size <= s.deadCap() {
				return nil
			}
			if shareOfValue(kv.Value) == share {
				w.delete(kv.Key)
				n.subtract(len(kv.Value))
				n.dropped++
			}
			n.oldest = numberOf(kv.Key) + 1
		}
	}
	return nil
}

// subtract removes one dead letter of a size from the counters.
func (n *deadCount) subtract(size int) {
	n.count -= min(n.count, 1)
	n.bytes -= min(n.bytes, uint64(size))
}

// setDead replaces the counters after a write, and logs when a share begins to drop dead letters, once until a dead letter
// of the share fits again. The caller holds mu.
func (s *Store) setDead(d deadState) {
	for share := range deadShares {
		old, now := s.dead.shares[share], d.shares[share]
		switch {
		case now.dropped > old.dropped && !s.dropping[share]:
			s.dropping[share] = true
			s.opts.Logf("dead letters over their part of the cap: the oldest %s are given up: parts of %d MiB, given up %d",
				[...]string{"records", "rows and deliveries"}[share], s.deadCap()>>20, now.dropped)
		case now.dropped == old.dropped && now.count != old.count:
			s.dropping[share] = false
		}
	}
	s.dead = d
}

// DeadFilter selects dead letters. The zero DeadFilter selects all.
type DeadFilter struct {
	Kind         schema.DeadKind
	Reason, Sink string
	Since, Until schema.Instant // of Time: at or after Since, before Until
	After        uint64         // only dead letters with a greater Seq
	Before       uint64         // only dead letters with a lower Seq; 0: no limit
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
		if failed == nil && f.Before != 0 && numberOf(k) >= f.Before {
			return false
		}
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
	s.setDead(d)
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
	d.shares[shareOf(l.Kind)].subtract(len(v))
	return l, nil
}

// DeadStats holds the counters of the dead letters.
type DeadStats struct {
	DeadCount
	Deliveries DeadCount // of those, the rows and deliveries
}

// DeadCount holds the counters of some dead letters.
type DeadCount struct {
	Count, Bytes uint64
	Dropped      uint64 // number dropped because of the cap since the store was created
}

func (n deadCount) public() DeadCount {
	return DeadCount{Count: n.count, Bytes: n.bytes, Dropped: n.dropped}
}

// DeadStats returns the counters of the dead letters. It does not read the disk.
func (s *Store) DeadStats() DeadStats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return DeadStats{DeadCount: s.dead.total().public(), Deliveries: s.dead.shares[deadDeliveries].public()}
}

// NextDeadLetter returns the Seq that the next dead letter will get. It does not read the disk.
func (s *Store) NextDeadLetter() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dead.next
}
