package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// trimAtOnce bounds how many entries one write deletes, so that a sink that was far behind does not make one batch of
// millions of deletions; what is left goes with the next writes.
const trimAtOnce = 10_000

// outboxState are the counters of the outbox.
type outboxState struct {
	next    uint64 // Seq of the next entry
	total   uint64 // bytes of all entries ever written
	trimmed uint64 // entries below it are deleted, those with pins excepted
}

func (o *outboxState) load(db *pebble.DB) error {
	*o = outboxState{next: 1, trimmed: 1}
	v, err := get(db, keyOutbox())
	if v == nil || err != nil {
		return err
	}
	f := flat{b: v}
	*o = outboxState{next: f.uvarint(), total: f.uvarint(), trimmed: f.uvarint()}
	if f.bad || o.next == 0 || o.trimmed == 0 {
		return errors.New("the outbox's counters cannot be read: the store is damaged")
	}
	return nil
}

func (o *outboxState) value() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(nil, o.next), o.total), o.trimmed)
}

// encodeFindings renders the findings of a cut once, for the outbox and for the findings store. size is about what the
// cut takes in a batch.
func encodeFindings(c *Checkpoint) (bodies [][]byte, size int, err error) {
	bodies = make([][]byte, len(c.Outbox))
	size = len(c.State) + partsSize(c.Items)
	for i, e := range c.Outbox {
		if e.Finding == nil {
			return nil, 0, fmt.Errorf("BUG: entry %d of cut %d has no finding", i, c.Seq)
		}
		if bodies[i], err = json.Marshal(e.Finding); err != nil {
			return nil, 0, fmt.Errorf("encode finding %q of rule %q: %w", e.Finding.ID, e.Finding.RuleID, err)
		}
		size += 2 * len(bodies[i])
	}
	for _, kv := range c.Cells {
		size += len(kv.Key) + len(kv.Value)
	}
	for _, x := range c.Rewrite {
		size += len(x.Items)
	}
	return bodies, size, nil
}

// decodeFinding reads a finding as it was rendered. Numbers of unknown type stay json.Number, so that rendering it again
// gives the same bytes.
func decodeFinding(body []byte) (*schema.Finding, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var f schema.Finding
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("decode finding: %w", err)
	}
	return &f, nil
}

// putOutbox appends the entries, which have their Seq. Without sinks nobody waits for them and they are not kept.
func (s *Store) putOutbox(w *writer, o *outboxState, entries []connectors.Entry, bodies [][]byte, now schema.Instant) {
	if len(entries) == 0 {
		return
	}
	for i, e := range entries {
		if len(s.sinks) > 0 {
			w.set(keyNumber(tableOutbox, e.Seq), appendEntry(o, string(e.Type), bodies[i], now))
		}
	}
	if len(s.sinks) == 0 && o.trimmed == o.next {
		o.trimmed += uint64(len(entries))
	}
	o.next += uint64(len(entries))
	if o.trimmed < o.next {
		trim(w, o, floor(s.sinks, o.next), func(seq uint64) bool { return s.pins[seq] > 0 })
	}
	w.set(keyOutbox(), o.value())
}

// appendEntry renders an entry and counts its bytes.
func appendEntry(o *outboxState, kind string, body []byte, now schema.Instant) []byte {
	v := make([]byte, 0, 17+len(kind)+len(body))
	v = binary.BigEndian.AppendUint64(v, uint64(now))
	v = binary.BigEndian.AppendUint64(v, 0)
	v = append(appendText(v, kind), body...)
	o.total += uint64(len(v))
	binary.BigEndian.PutUint64(v[8:], o.total)
	return v
}

// Outgoing is an entry as it stands in the outbox.
type Outgoing struct {
	connectors.Entry
	Committed schema.Instant // wall clock of its cut
	Size      int64          // bytes that it takes in the outbox
}

// parseEntry reads what appendEntry wrote. total is the number of bytes ever written up to the entry.
func parseEntry(seq uint64, v []byte) (e Outgoing, total uint64, body []byte, err error) {
	f := flat{b: v}
	e = Outgoing{Committed: schema.Instant(f.fixed()), Size: int64(len(v))}
	total = f.fixed()
	e.Seq, e.Type = seq, connectors.EntryType(f.text())
	if f.bad {
		return Outgoing{}, 0, nil, fmt.Errorf("entry %d of the outbox cannot be read: the store is damaged", seq)
	}
	return e, total, f.b, nil
}

func readEntry(seq uint64, v []byte) (Outgoing, error) {
	e, _, body, err := parseEntry(seq, v)
	if err != nil {
		return e, err
	}
	if e.Finding, err = decodeFinding(body); err != nil {
		return e, fmt.Errorf("entry %d of the outbox: %w", seq, err)
	}
	return e, nil
}

// Outbox returns up to most consecutive entries from Seq from on, and no more than begin within bytes; at least one
// where there is any. Findings are the caller's.
func (s *Store) Outbox(from uint64, most int, bytes int64) ([]Outgoing, error) {
	s.mu.RLock()
	end := s.out.next
	s.mu.RUnlock()
	var out []Outgoing
	var failed error
	size := int64(0)
	err := s.scan(keyNumber(tableOutbox, from), keyNumber(tableOutbox, end), false, func(k, v []byte) bool {
		if len(out) >= most || (len(out) > 0 && size+int64(len(v)) > bytes) {
			return false
		}
		if numberOf(k) != from+uint64(len(out)) {
			failed = fmt.Errorf("entry %d of the outbox is missing: the store is damaged", from+uint64(len(out)))
			return false
		}
		var e Outgoing
		if e, failed = readEntry(numberOf(k), v); failed != nil {
			return false
		}
		out, size = append(out, e), size+e.Size
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Entry returns one entry of the outbox; ok is false where it is not there any more.
func (s *Store) Entry(seq uint64) (e Outgoing, ok bool, err error) {
	v, err := s.get(keyNumber(tableOutbox, seq))
	if v == nil || err != nil {
		return Outgoing{}, false, err
	}
	e, err = readEntry(seq, v)
	return e, err == nil, err
}

// End returns the Seq that the next entry will have. It is also the place of the next change of a finding.
func (s *Store) End() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.out.next
}

// OutboxFull says that undelivered entries are over the cap: reading has to wait. Sinks with a cap of their own never
// cause it.
func (s *Store) OutboxFull() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, k := range s.sinks {
		if !k.capped && k.waiting(&s.out) > s.o.OutboxCap {
			return true
		}
	}
	return false
}

// trim deletes entries below the floor, which every sink has passed; those that a retry stands on stay.
func trim(w *writer, o *outboxState, floor uint64, pinned func(seq uint64) bool) {
	end := min(floor, o.trimmed+trimAtOnce)
	for ; o.trimmed < end; o.trimmed++ {
		if !pinned(o.trimmed) {
			w.delete(keyNumber(tableOutbox, o.trimmed))
		}
	}
}

// now is the wall clock.
func (s *Store) now() schema.Instant { return schema.Instant(s.o.Now().UnixNano()) }
