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

	"github.com/aidr-engine/aidr/schema"
)

// Retry is an entry behind a sink's cursor that the sink has not got yet: it failed and is tried again when Due, or it
// waits for one of the same finding that failed. The entry stays in the outbox as long as a retry stands on it.
type Retry struct {
	Seq      uint64
	Finding  schema.ID
	Due      schema.Instant // wall clock
	Attempts int            // 0: it was never handed in
	Size     int64          // bytes that the entry takes in the outbox
	Update   bool           // a later entry of the finding may take its place while it was never handed in
}

// SinkState is how far one sink has come.
type SinkState struct {
	Number  uint64  // of the last Advance
	Cursor  uint64  // the first entry that was never handed in
	Block   uint64  // end of the block [Cursor, Block) that was intended and may have been written; 0: none
	Retries []Retry // in order of Seq
}

// sinkState is SinkState as the store holds it.
type sinkState struct {
	number, cursor, block uint64
	passed                uint64 // bytes ever written before the cursor
	capped                bool   // it has a cap of its own and causes no back-pressure
	retries               map[uint64]Retry
	retryBytes            int64
}

func (k *sinkState) value() []byte {
	v := binary.AppendUvarint(binary.AppendUvarint(nil, k.number), k.cursor)
	return binary.AppendUvarint(binary.AppendUvarint(v, k.block), k.passed)
}

// waiting returns the bytes that the sink has not got.
func (k *sinkState) waiting(o *outboxState) int64 { return int64(o.total-k.passed) + k.retryBytes }

func (r *Retry) value() []byte {
	v := binary.BigEndian.AppendUint64(append([]byte(nil), r.Finding[:]...), uint64(r.Due))
	v = binary.AppendUvarint(binary.AppendUvarint(v, uint64(r.Attempts)), uint64(r.Size))
	if r.Update {
		return append(v, 1)
	}
	return append(v, 0)
}

func parseRetry(seq uint64, v []byte) (r Retry, ok bool) {
	f := flat{b: v}
	r.Seq = seq
	copy(r.Finding[:], f.bytes(len(r.Finding)))
	r.Due, r.Attempts, r.Size = schema.Instant(f.fixed()), int(f.uvarint()), int64(f.uvarint())
	r.Update = f.uvarint() != 0
	return r, !f.bad
}

// loadSinks reads all sinks with their retries.
func (s *Store) loadSinks(db *pebble.DB) error {
	old := s.sinks
	s.sinks, s.pins = map[string]*sinkState{}, map[uint64]int{}
	err := each(db, []byte{tableSink}, func(key, value []byte) error {
		name, f := string(key[1:]), flat{b: value}
		k := &sinkState{number: f.uvarint(), cursor: f.uvarint(), block: f.uvarint(), passed: f.uvarint(), retries: map[uint64]Retry{}}
		if f.bad {
			return fmt.Errorf("sink %q cannot be read: the store is damaged", name)
		}
		if was := old[name]; was != nil {
			k.capped = was.capped
		}
		s.sinks[name] = k
		return nil
	})
	if err != nil {
		return err
	}
	for name, k := range s.sinks {
		err := each(db, keyRetries(name), func(key, value []byte) error {
			r, ok := parseRetry(numberOf(key), value)
			if !ok {
				return fmt.Errorf("retry %d of sink %q cannot be read: the store is damaged", numberOf(key), name)
			}
			k.retries[r.Seq] = r
			k.retryBytes += r.Size
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
	Capped bool   // its deliverer bounds what waits for it, so that it causes no back-pressure
}

// SinkChange says what SetSinks did about one sink.
type SinkChange struct {
	Name    string
	Added   bool   // it is new and gets what is committed from now on; else it was removed
	Waiting uint64 // entries that a removed one had not got, and will not get
}

// SetSinks makes the sinks of the store those of the configuration. It is called before the first Commit: a new sink
// starts at the end of the outbox. The cursor of a sink that is not named is dropped.
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
	db, err := s.ready(0)
	if err != nil {
		return nil, err
	}
	b := db.NewBatch()
	defer b.Close()
	w, o := writer{b: b}, s.out
	sinks, pins := map[string]*sinkState{}, map[uint64]int{}
	for name, p := range want {
		k := s.sinks[name]
		if k == nil {
			k = &sinkState{cursor: o.next, passed: o.total, retries: map[uint64]Retry{}}
			w.set(keySink(name), k.value())
			changes = append(changes, SinkChange{Name: name, Added: true})
		}
		here := *k
		here.capped = p.Capped
		sinks[name] = &here
		for seq := range k.retries {
			pins[seq]++
		}
	}
	for name, k := range s.sinks {
		if sinks[name] == nil {
			changes = append(changes, SinkChange{Name: name, Waiting: o.next - k.cursor + uint64(len(k.retries))})
			removeSink(&w, name, k, o.trimmed, pins)
		}
	}
	trim(&w, &o, floor(sinks, o.next), func(seq uint64) bool { return pins[seq] > 0 })
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

// removeSink deletes a sink with its retries, and the entries that stood only because of them.
func removeSink(w *writer, name string, k *sinkState, trimmed uint64, pins map[uint64]int) {
	w.delete(keySink(name))
	for seq := range k.retries {
		w.delete(keyRetry(name, seq))
		if seq < trimmed && pins[seq] == 0 {
			w.delete(keyNumber(tableOutbox, seq))
		}
	}
}

// floor returns the first entry that some sink was never handed; next where there is no sink.
func floor(sinks map[string]*sinkState, next uint64) uint64 {
	for _, k := range sinks {
		next = min(next, k.cursor)
	}
	return next
}

// Sink returns how far a sink has come; ok is false where SetSinks did not name it.
func (s *Store) Sink(name string) (SinkState, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.sinks[name]
	if k == nil {
		return SinkState{}, false
	}
	retries := slices.SortedFunc(maps.Values(k.retries), func(a, b Retry) int { return cmp.Compare(a.Seq, b.Seq) })
	return SinkState{Number: k.number, Cursor: k.cursor, Block: k.block, Retries: retries}, true
}

// Advance is one step of a sink: everything in it becomes durable at once, or nothing.
type Advance struct {
	Number uint64 // one more than the last Advance of this sink
	Cursor uint64 // never less than before
	Block  uint64 // end of the block that is intended next, 0 for none
	Retry  []Retry
	Done   []uint64 // retries that are over
	Dead   []DeadLetter
}

// Advance makes a step of a sink durable and gives a.Dead their Seq. Entries that every sink has got are deleted.
//
// After an error the step may be durable or not; the same step is made again until that succeeds. Where it was durable
// already, the repetition does nothing.
func (s *Store) Advance(sink string, a *Advance) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.advance(sink, a); err != nil {
		return fmt.Errorf("advance sink %q: %w", sink, err)
	}
	return nil
}

func (s *Store) advance(sink string, a *Advance) error {
	db, err := s.ready(0)
	if err != nil {
		return err
	}
	k := s.sinks[sink]
	switch {
	case k == nil:
		return errors.New("the store does not know it")
	case a.Number == k.number && a.Number > 0:
		return nil
	case a.Number != k.number+1 || a.Cursor < k.cursor || a.Cursor > s.out.next:
		return fmt.Errorf("BUG: step %d to entry %d cannot follow step %d at entry %d", a.Number, a.Cursor, k.number, k.cursor)
	}
	next := *k
	next.number, next.cursor, next.block = a.Number, a.Cursor, a.Block
	if next.passed, err = passed(db, k, a.Cursor, &s.out); err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	w, o, d := writer{b: b}, s.out, s.dead
	w.set(keySink(sink), next.value())
	p := s.planRetries(&w, sink, k, a)
	sinks := maps.Clone(s.sinks)
	sinks[sink] = &next
	trim(&w, &o, floor(sinks, o.next), p.pinned)
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
	s.sinks, s.out, s.dead = sinks, o, d
	return nil
}

// passed returns the bytes ever written before the cursor.
func passed(db *pebble.DB, k *sinkState, cursor uint64, o *outboxState) (uint64, error) {
	switch cursor {
	case k.cursor:
		return k.passed, nil
	case o.next:
		return o.total, nil
	}
	v, err := get(db, keyNumber(tableOutbox, cursor-1))
	if err != nil {
		return 0, err
	}
	_, total, _, err := parseEntry(cursor-1, v)
	return total, err
}

// pinPlan is what a step changes about retries, before it is durable.
type pinPlan struct {
	pins  map[uint64]int // of the store
	delta map[uint64]int
	freed []uint64
}

// planRetries puts the step's retries into the batch. A retry that is both put and done is done.
func (s *Store) planRetries(w *writer, sink string, k *sinkState, a *Advance) *pinPlan {
	p := &pinPlan{pins: s.pins, delta: map[uint64]int{}}
	for _, r := range a.Retry {
		w.set(keyRetry(sink, r.Seq), r.value())
		if _, had := k.retries[r.Seq]; !had {
			p.delta[r.Seq] = 1
		}
	}
	for _, seq := range a.Done {
		w.delete(keyRetry(sink, seq))
		p.delta[seq] = 0
		if _, had := k.retries[seq]; had {
			p.delta[seq] = -1
			p.freed = append(p.freed, seq)
		}
	}
	return p
}

func (p *pinPlan) pinned(seq uint64) bool { return p.pins[seq]+p.delta[seq] > 0 }

// deleteFreed deletes entries that stood only because of a retry that is over.
func (p *pinPlan) deleteFreed(w *writer, trimmed uint64) {
	for _, seq := range p.freed {
		if seq < trimmed && !p.pinned(seq) {
			w.delete(keyNumber(tableOutbox, seq))
		}
	}
}

// apply makes the plan true once it is durable. The caller holds mu.
func (p *pinPlan) apply(k *sinkState, a *Advance) {
	for seq, d := range p.delta {
		if p.pins[seq] += d; p.pins[seq] <= 0 {
			delete(p.pins, seq)
		}
	}
	for _, r := range a.Retry {
		k.retryBytes += r.Size - k.retries[r.Seq].Size
		k.retries[r.Seq] = r
	}
	for _, seq := range a.Done {
		k.retryBytes -= k.retries[seq].Size
		delete(k.retries, seq)
	}
}

// Waiting says what a sink has not got yet.
type Waiting struct {
	Entries uint64
	Bytes   int64
	Oldest  schema.Instant // wall clock of the cut of the oldest of them; 0: nothing waits, or not any more
}

// Waiting returns what a sink has not got yet.
func (s *Store) Waiting(sink string) (Waiting, error) {
	s.revive()
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.sinks[sink]
	if k == nil {
		return Waiting{}, fmt.Errorf("the store does not know the sink %q", sink)
	}
	db, err := s.reader()
	if err != nil {
		return Waiting{}, err
	}
	oldest := k.cursor
	for seq := range k.retries {
		oldest = min(oldest, seq)
	}
	n := Waiting{Entries: s.out.next - k.cursor + uint64(len(k.retries)), Bytes: k.waiting(&s.out)}
	if n.Entries == 0 {
		return n, nil
	}
	v, err := get(db, keyNumber(tableOutbox, oldest))
	if err != nil {
		return Waiting{}, err
	}
	if v == nil { // a step of the sink is durable this moment and about to be told: the entry has just been got
		return n, nil
	}
	e, _, _, err := parseEntry(oldest, v)
	n.Oldest = e.Committed
	return n, err
}

// WaitingBytes returns Waiting's Bytes alone, at no cost; 0 for a sink that is not known.
func (s *Store) WaitingBytes(sink string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.sinks[sink]
	if k == nil {
		return 0
	}
	return k.waiting(&s.out)
}
