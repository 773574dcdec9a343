package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// trimLimit bounds the number of entries that one write deletes, so that a sink that catches up after a long time does not
// cause a batch of millions of deletions. The next writes delete the rest.
const trimLimit = 10_000

// outboxState holds the counters of the outbox.
type outboxState struct {
	next    uint64 // Seq of the next entry
	total   uint64 // bytes of all entries ever written
	trimmed uint64 // entries with a lower Seq are deleted, unless a retry pins them
}

func (o *outboxState) load(db *pebble.DB) error {
	*o = outboxState{next: 1, trimmed: 1}
	v, err := readKey(db, keyOutbox())
	if v == nil || err != nil {
		return err
	}
	r := flat.NewReader(v)
	*o = outboxState{next: r.Uvarint(), total: r.Uvarint(), trimmed: r.Uvarint()}
	if r.Bad() || o.next == 0 || o.trimmed == 0 {
		return errors.New("read the counters of the outbox: the store is damaged")
	}
	return nil
}

func (o *outboxState) value() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(nil, o.next), o.total), o.trimmed)
}

// encodeEntries renders each entry of a checkpoint once, for the outbox and for the table of findings. size is the
// approximate size of the checkpoint's batch.
func encodeEntries(c *Checkpoint) (bodies [][]byte, size int, err error) {
	bodies = make([][]byte, len(c.Outbox))
	size = len(c.State) + partsSize(c.Items)
	for i, e := range c.Outbox {
		content := e.Content()
		if content == nil {
			return nil, 0, fmt.Errorf("BUG: entry %d of checkpoint %d has no content", i, c.Seq)
		}
		if bodies[i], err = json.Marshal(content); err != nil {
			return nil, 0, fmt.Errorf("encode entry %s %s: %w", e.Type, e.ID(), err)
		}
		size += 2 * len(bodies[i])
	}
	size += inventorySize(c)
	for _, kvs := range [...][]KV{c.Cells, c.Timers, c.Paged} {
		for _, kv := range kvs {
			size += len(kv.Key) + len(kv.Value)
		}
	}
	for _, r := range c.Rewrite {
		size += len(r.Items)
	}
	return bodies, size, nil
}

// decodeFinding parses a rendered finding. Numbers of unknown type stay json.Number, so that rendering the finding again
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

// putOutbox appends the entries, which have their Seq. Without sinks nothing waits for the entries, and they are not
// stored.
func (s *Store) putOutbox(w *batchWriter, o *outboxState, entries []connectors.Entry, bodies [][]byte, now schema.Instant) {
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
		trim(w, o, lowestCursor(s.sinks, o.next), func(seq uint64) bool { return s.pins[seq] > 0 })
	}
	w.set(keyOutbox(), o.value())
}

// appendEntry renders an entry and adds its size to the total.
func appendEntry(o *outboxState, kind string, body []byte, now schema.Instant) []byte {
	v := make([]byte, 0, 17+len(kind)+len(body))
	v = flat.AppendInt64(v, int64(now))
	v = binary.BigEndian.AppendUint64(v, 0)
	v = append(flat.AppendText(v, kind), body...)
	o.total += uint64(len(v))
	binary.BigEndian.PutUint64(v[8:], o.total)
	return v
}

// Outgoing is an entry of the outbox with its metadata.
type Outgoing struct {
	connectors.Entry
	Committed schema.Instant // wall clock of the entry's checkpoint
	Size      int64          // bytes that the entry takes in the outbox
}

// parseEntryHeader parses the result of appendEntry except for the finding, whose JSON it returns as body. total is the
// number of bytes ever written to the outbox, this entry included.
func parseEntryHeader(seq uint64, v []byte) (e Outgoing, total uint64, body []byte, err error) {
	r := flat.NewReader(v)
	e = Outgoing{Committed: schema.Instant(r.Int64()), Size: int64(len(v))}
	total = r.Uint64()
	e.Seq, e.Type = seq, connectors.EntryType(r.Text())
	if r.Bad() {
		return Outgoing{}, 0, nil, fmt.Errorf("read entry %d of the outbox: the store is damaged", seq)
	}
	return e, total, r.Rest(), nil
}

// parseEntry parses the result of appendEntry.
func parseEntry(seq uint64, v []byte) (Outgoing, error) {
	e, _, body, err := parseEntryHeader(seq, v)
	if err != nil {
		return e, err
	}
	if err := decodeContent(&e.Entry, body); err != nil {
		return e, fmt.Errorf("entry %d of the outbox: %w", seq, err)
	}
	return e, nil
}

// decodeContent sets what an entry is about, by its type. An approval that was asked for is that of a held call or that of a
// proposal; only the latter has a scope.
func decodeContent(e *connectors.Entry, body []byte) (err error) {
	switch e.Type {
	case connectors.AgentContained, connectors.AgentReleased, connectors.ResponseChanged:
		err = json.Unmarshal(body, &e.Response)
	case connectors.ApprovalAsked:
		var probe struct {
			Scope schema.ContainmentScope `json:"scope"`
		}
		if err = json.Unmarshal(body, &probe); err != nil {
			break
		}
		if probe.Scope != "" {
			err = json.Unmarshal(body, &e.Response)
		} else {
			err = json.Unmarshal(body, &e.Approval)
		}
	case connectors.TriageChanged:
		err = json.Unmarshal(body, &e.Triage)
	case connectors.EndpointDisabled:
		err = json.Unmarshal(body, &e.Endpoint)
	case connectors.AuditAdded:
		err = json.Unmarshal(body, &e.Audit)
	default:
		e.Finding, err = decodeFinding(body)
		return err
	}
	if err != nil {
		return fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return nil
}

// Outbox returns consecutive entries beginning with the Seq from: at most most entries, of at most bytes together, but at
// least one if the outbox has any. The caller owns the findings.
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
		if want := from + uint64(len(out)); numberOf(k) != want {
			failed = fmt.Errorf("entry %d of the outbox is missing: the store is damaged", want)
			return false
		}
		var e Outgoing
		if e, failed = parseEntry(numberOf(k), v); failed != nil {
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

// Entry returns one entry of the outbox. ok is false if the entry was deleted or does not exist yet.
func (s *Store) Entry(seq uint64) (e Outgoing, ok bool, err error) {
	v, err := s.get(keyNumber(tableOutbox, seq))
	if v == nil || err != nil {
		return Outgoing{}, false, err
	}
	e, err = parseEntry(seq, v)
	return e, err == nil, err
}

// End returns the Seq of the next entry, which is also that of the next change of a finding.
func (s *Store) End() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.out.next
}

// OutboxFull reports whether more undelivered entries or rows than Options.OutboxCap wait for a sink, so that reading must pause.
// Capped sinks are not counted.
func (s *Store) OutboxFull() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sink := range s.sinks {
		if !sink.capped && sink.waiting(&s.out) > s.opts.OutboxCap {
			return true
		}
	}
	for _, c := range s.rows.sinks {
		if int64(s.rows.total-c.before) > s.opts.OutboxCap {
			return true
		}
	}
	return false
}

// trim deletes the entries before end, which every sink has passed, except for the pinned ones.
func trim(w *batchWriter, o *outboxState, end uint64, pinned func(seq uint64) bool) {
	end = min(end, o.trimmed+trimLimit)
	for ; o.trimmed < end; o.trimmed++ {
		if !pinned(o.trimmed) {
			w.delete(keyNumber(tableOutbox, o.trimmed))
		}
	}
}

// now returns the wall clock's time.
func (s *Store) now() schema.Instant { return schema.InstantOf(s.opts.Now()) }
