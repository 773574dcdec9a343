package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// Retry is an entry before a sink's cursor that the sink does not have yet: the entry failed and is tried again when Due,
// or it waits for an earlier entry of the same finding that failed. A retry pins its entry: the entry stays in the outbox
// as long as the retry exists.
type Retry struct {
	Seq      uint64
	Finding  schema.ID
	Due      schema.Instant // wall clock
	Attempts int            // number of failed attempts; 0: the entry was never handed to the sink
	Size     int64          // bytes that the entry takes in the outbox
	Update   bool           // a later entry of the finding may replace this one as long as Attempts is 0
}

// SinkState is the progress of one sink.
type SinkState struct {
	Number  uint64  // of the last Advance
	Cursor  uint64  // Seq of the first entry that the sink's deliverer has not handled
	Block   uint64  // end of the intended block [Cursor, Block), which may have been written; 0: none is intended
	Retries []Retry // in order of Seq

	Disabled Disabled
}

// sinkState is the form in which the Store keeps a SinkState in memory.
type sinkState struct {
	number, cursor, block uint64
	bytesBefore           uint64 // bytes ever written to the outbox before the cursor
	capped                bool   // SinkSpec.Capped
	retries               map[uint64]Retry
	retryBytes            int64
	disabled              Disabled
}

func (st *sinkState) value() []byte {
	v := binary.AppendUvarint(binary.AppendUvarint(nil, st.number), st.cursor)
	v = binary.AppendUvarint(binary.AppendUvarint(v, st.block), st.bytesBefore)
	if st.disabled != (Disabled{}) {
		v = flat.AppendText(flat.AppendInt64(v, int64(st.disabled.Since)), st.disabled.Reason)
	}
	return v
}

// Disabled is why nothing is delivered to a sink until EnableSink is called. The zero Disabled means that the sink is
// enabled.
type Disabled struct {
	Since  schema.Instant // wall clock
	Reason string
}

// waiting returns the number of bytes that the sink does not have yet.
func (st *sinkState) waiting(o *outboxState) int64 {
	return int64(o.total-st.bytesBefore) + st.retryBytes
}

func (r *Retry) value() []byte {
	v := flat.AppendInt64(append([]byte(nil), r.Finding[:]...), int64(r.Due))
	v = binary.AppendUvarint(binary.AppendUvarint(v, uint64(r.Attempts)), uint64(r.Size))
	if r.Update {
		return append(v, 1)
	}
	return append(v, 0)
}

func parseRetry(seq uint64, v []byte) (r Retry, ok bool) {
	in := flat.NewReader(v)
	r.Seq, r.Finding, r.Due = seq, in.ID(), schema.Instant(in.Int64())
	r.Attempts, r.Size, r.Update = int(in.Uvarint()), int64(in.Uvarint()), in.Uvarint() != 0
	return r, !in.Bad()
}

// loadSinks reads all sinks with their retries. A sink that was loaded before keeps its capped, which is not stored.
func (s *Store) loadSinks(db *pebble.DB) error {
	loaded := s.sinks
	s.sinks, s.pins = map[string]*sinkState{}, map[uint64]int{}
	err := each(db, []byte{tableSink}, func(key, value []byte) error {
		name, r := string(key[1:]), flat.NewReader(value)
		st := &sinkState{
			number: r.Uvarint(), cursor: r.Uvarint(), block: r.Uvarint(), bytesBefore: r.Uvarint(),
			retries: map[uint64]Retry{},
		}
		if !r.Bad() && !r.Done() {
			st.disabled = Disabled{Since: schema.Instant(r.Int64()), Reason: string(r.Text())}
		}
		if r.Bad() {
			return fmt.Errorf("read sink %q: the store is damaged", name)
		}
		if old := loaded[name]; old != nil {
			st.capped = old.capped
		}
		s.sinks[name] = st
		return nil
	})
	if err != nil {
		return err
	}
	for name, st := range s.sinks {
		err := each(db, keyRetries(name), func(key, value []byte) error {
			r, ok := parseRetry(numberOf(key), value)
			if !ok {
				return fmt.Errorf("read retry %d of sink %q: the store is damaged", numberOf(key), name)
			}
			st.retries[r.Seq] = r
			st.retryBytes += r.Size
			s.pins[r.Seq]++
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SinkSpec names a sink of the configuration.
type SinkSpec struct {
	Name   string // not empty, no NUL byte
	Capped bool   // the sink's deliverer bounds how much waits for it, so OutboxFull ignores the sink
}

// SinkChange describes how SetSinks changed one sink.
type SinkChange struct {
	Name    string
	Added   bool   // true: the sink is new and gets the entries committed from now on; false: the sink was removed
	Waiting uint64 // number of entries that a removed sink will never get
}

// SetSinks makes the sinks of the store those of the configuration. It must be called before the first Commit, because a
// new sink starts at the end of the outbox. The cursors and retries of all other sinks are deleted.
func (s *Store) SetSinks(specs []SinkSpec) ([]SinkChange, error) {
	want := make(map[string]SinkSpec, len(specs))
	for _, p := range specs {
		if p.Name == "" || strings.IndexByte(p.Name, 0) >= 0 {
			return nil, fmt.Errorf("set sinks: the name %q is empty or holds a NUL byte", p.Name)
		}
		if _, twice := want[p.Name]; twice {
			return nil, fmt.Errorf("set sinks: two sinks have the name %q", p.Name)
		}
		want[p.Name] = p
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	changes, err := s.setSinks(want)
	if err != nil {
		return nil, fmt.Errorf("set sinks: %w", err)
	}
	return changes, nil
}

func (s *Store) setSinks(want map[string]SinkSpec) (changes []SinkChange, err error) {
	db, err := s.writable(0)
	if err != nil {
		return nil, err
	}
	b := db.NewBatch()
	defer b.Close()
	w, o := batchWriter{b: b}, s.out
	sinks, pins := map[string]*sinkState{}, map[uint64]int{}
	for name, p := range want {
		old := s.sinks[name]
		if old == nil {
			old = &sinkState{cursor: o.next, bytesBefore: o.total, retries: map[uint64]Retry{}}
			w.set(keySink(name), old.value())
			changes = append(changes, SinkChange{Name: name, Added: true})
		}
		st := *old
		st.capped = p.Capped
		sinks[name] = &st
		for seq := range st.retries {
			pins[seq]++
		}
	}
	for name, st := range s.sinks {
		if sinks[name] == nil {
			changes = append(changes, SinkChange{Name: name, Waiting: o.next - st.cursor + uint64(len(st.retries))})
			removeSink(&w, name, st, o.trimmed, pins)
		}
	}
	trim(&w, &o, lowestCursor(sinks, o.next), func(seq uint64) bool { return pins[seq] > 0 })
	w.set(keyOutbox(), o.value())
	if err := s.finish(&w); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinks, s.pins, s.out = sinks, pins, o
	slices.SortFunc(changes, func(a, b SinkChange) int { return strings.Compare(a.Name, b.Name) })
	return changes, nil
}

// removeSink deletes a sink with its retries, and the trimmed entries that only these retries pinned.
func removeSink(w *batchWriter, name string, st *sinkState, trimmed uint64, pins map[uint64]int) {
	w.delete(keySink(name))
	for seq := range st.retries {
		w.delete(keyRetry(name, seq))
		if seq < trimmed && pins[seq] == 0 {
			w.delete(keyNumber(tableOutbox, seq))
		}
	}
}

// lowestCursor returns the lowest cursor of all sinks, or next if there are no sinks.
func lowestCursor(sinks map[string]*sinkState, next uint64) uint64 {
	for _, st := range sinks {
		next = min(next, st.cursor)
	}
	return next
}

// Sink returns the progress of a sink. ok is false if SetSinks did not name the sink.
func (s *Store) Sink(name string) (SinkState, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.sinks[name]
	if st == nil {
		return SinkState{}, false
	}
	retries := slices.SortedFunc(maps.Values(st.retries), func(a, b Retry) int { return cmp.Compare(a.Seq, b.Seq) })
	return SinkState{Number: st.number, Cursor: st.cursor, Block: st.block, Retries: retries, Disabled: st.disabled}, true
}

// Advance is one step of a sink: all of it becomes durable at once, or none of it.
type Advance struct {
	Number uint64 // one more than that of the sink's last Advance
	Cursor uint64 // at least the current cursor
	Block  uint64 // end of the block that will be written next; 0 for none
	Retry  []Retry
	Done   []uint64 // Seqs of retries that ended
	Dead   []DeadLetter

	Disable Disabled // disables the sink unless it is zero
}

// Advance makes a step of a sink durable and sets the Seq of the dead letters in a.Dead. Entries that every sink has
// passed, and that no retry pins, are deleted.
//
// After an error the step may or may not be durable. The caller makes the same step again until that succeeds; if it was
// durable already, the repetition changes nothing.
func (s *Store) Advance(sink string, a *Advance) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.advance(sink, a); err != nil {
		return fmt.Errorf("advance sink %q: %w", sink, err)
	}
	return nil
}

func (s *Store) advance(sink string, a *Advance) error {
	db, err := s.writable(0)
	if err != nil {
		return err
	}
	st := s.sinks[sink]
	switch {
	case st == nil:
		return errors.New("unknown sink")
	case a.Number == st.number && a.Number > 0:
		return nil
	case a.Number != st.number+1 || a.Cursor < st.cursor || a.Cursor > s.out.next:
		return fmt.Errorf("BUG: step %d to entry %d cannot follow step %d at entry %d", a.Number, a.Cursor, st.number, st.cursor)
	}
	next := *st
	next.number, next.cursor, next.block = a.Number, a.Cursor, a.Block
	if a.Disable != (Disabled{}) {
		next.disabled = a.Disable
	}
	if next.bytesBefore, err = bytesBefore(db, st, a.Cursor, &s.out); err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	w, o, d := batchWriter{b: b}, s.out, s.dead
	w.set(keySink(sink), next.value())
	p := s.planRetries(&w, sink, st, a)
	sinks := maps.Clone(s.sinks)
	sinks[sink] = &next
	trim(&w, &o, lowestCursor(sinks, o.next), p.pinned)
	p.deleteFreed(&w, o.trimmed)
	if o != s.out {
		w.set(keyOutbox(), o.value())
	}
	if err := s.putDead(db, &w, &d, a.Dead); err != nil {
		return err
	}
	if err := s.finish(&w); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.apply(&next, a)
	s.sinks, s.out = sinks, o
	s.setDead(d)
	return nil
}

// EnableSink makes a disabled sink deliverable again. changed is false if the sink is not disabled.
func (s *Store) EnableSink(name string) (changed bool, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if changed, err = s.enableSink(name); err != nil {
		return false, fmt.Errorf("enable sink %q: %w", name, err)
	}
	return changed, nil
}

func (s *Store) enableSink(name string) (changed bool, err error) {
	db, err := s.writable(0)
	if err != nil {
		return false, err
	}
	st := s.sinks[name]
	if st == nil {
		known := slices.Sorted(maps.Keys(s.sinks))
		return false, fmt.Errorf("no sink has this name: use one of %q", known)
	}
	if st.disabled == (Disabled{}) {
		return false, nil
	}
	next := *st
	next.disabled = Disabled{}
	b := db.NewBatch()
	defer b.Close()
	w := batchWriter{b: b}
	w.set(keySink(name), next.value())
	if err := s.finish(&w); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.disabled = Disabled{}
	return true, nil
}

// bytesBefore returns the number of bytes ever written to the outbox before the new cursor of a sink.
func bytesBefore(db *pebble.DB, st *sinkState, cursor uint64, o *outboxState) (uint64, error) {
	switch cursor {
	case st.cursor:
		return st.bytesBefore, nil
	case o.next:
		return o.total, nil
	}
	v, err := readKey(db, keyNumber(tableOutbox, cursor-1))
	if err != nil {
		return 0, err
	}
	_, total, _, err := parseEntryHeader(cursor-1, v)
	return total, err
}

// retryPlan holds the changes that a step makes to retries and pins, until the step is durable.
type retryPlan struct {
	pins  map[uint64]int // the Store's, not changed before apply
	delta map[uint64]int // changes of pins, by Seq
	freed []uint64       // Seqs of entries that lose a pin
}

// planRetries puts the step's retries into the batch. A Seq in both a.Retry and a.Done is done.
func (s *Store) planRetries(w *batchWriter, sink string, st *sinkState, a *Advance) *retryPlan {
	p := &retryPlan{pins: s.pins, delta: map[uint64]int{}}
	for _, r := range a.Retry {
		w.set(keyRetry(sink, r.Seq), r.value())
		if _, had := st.retries[r.Seq]; !had {
			p.delta[r.Seq] = 1
		}
	}
	for _, seq := range a.Done {
		w.delete(keyRetry(sink, seq))
		p.delta[seq] = 0
		if _, had := st.retries[seq]; had {
			p.delta[seq] = -1
			p.freed = append(p.freed, seq)
		}
	}
	return p
}

func (p *retryPlan) pinned(seq uint64) bool { return p.pins[seq]+p.delta[seq] > 0 }

// deleteFreed deletes trimmed entries that lost their last pin.
func (p *retryPlan) deleteFreed(w *batchWriter, trimmed uint64) {
	for _, seq := range p.freed {
		if seq < trimmed && !p.pinned(seq) {
			w.delete(keyNumber(tableOutbox, seq))
		}
	}
}

// apply makes the changes in memory after the step is durable. The caller holds mu.
func (p *retryPlan) apply(st *sinkState, a *Advance) {
	for seq, d := range p.delta {
		if p.pins[seq] += d; p.pins[seq] <= 0 {
			delete(p.pins, seq)
		}
	}
	for _, r := range a.Retry {
		st.retryBytes += r.Size - st.retries[r.Seq].Size
		st.retries[r.Seq] = r
	}
	for _, seq := range a.Done {
		st.retryBytes -= st.retries[seq].Size
		delete(st.retries, seq)
	}
}

// Waiting describes the entries that a sink does not have yet.
type Waiting struct {
	Entries uint64
	Bytes   int64
	Oldest  schema.Instant // wall clock of the checkpoint of the oldest entry; 0: unknown, or no entry waits
}

// Waiting counts the entries that a sink does not have yet.
func (s *Store) Waiting(sink string) (Waiting, error) {
	s.reopenForReader()
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.sinks[sink]
	if st == nil {
		return Waiting{}, fmt.Errorf("unknown sink %q", sink)
	}
	db, err := s.readable()
	if err != nil {
		return Waiting{}, err
	}
	oldest := st.cursor
	for seq := range st.retries {
		oldest = min(oldest, seq)
	}
	n := Waiting{Entries: s.out.next - st.cursor + uint64(len(st.retries)), Bytes: st.waiting(&s.out)}
	if n.Entries == 0 {
		return n, nil
	}
	v, err := readKey(db, keyNumber(tableOutbox, oldest))
	if err != nil {
		return Waiting{}, err
	}
	if v == nil { // deleted by a step that is durable but has not changed the memory yet: the sink has the entry
		return n, nil
	}
	e, _, _, err := parseEntryHeader(oldest, v)
	n.Oldest = e.Committed
	return n, err
}

// WaitingBytes is Waiting's Bytes without a read from the disk; 0 for an unknown sink.
func (s *Store) WaitingBytes(sink string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.sinks[sink]
	if st == nil {
		return 0
	}
	return st.waiting(&s.out)
}
