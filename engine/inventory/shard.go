package inventory

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Shard owns the entities of a range of hashes. It belongs to one goroutine.
//
// Minutes that are not in base are pending. Their deltas are in the store too, in the order in which they came, until all their
// entities are folded. Base of an entity begins with the minute up to which it holds everything, so a pending minute that
// is in base already, after a restart, is recognised when base is read.
type Shard struct {
	// load returns base of an entity, nil if it has none. It does not fail: it waits until the store can be read.
	load func(key []byte) []byte

	pending  map[string]*pending
	oldest   map[int64][]*pending // by oldest pending minute; may hold entities that were folded since
	inflight map[string]folded    // base of the checkpoint under way, which the store may not have yet; without a store, all base
	journal  []string             // deltas since the last checkpoint
	newest   int64                // the last minute of journal
	bound    int64                // minutes below it are complete
	size     int64                // estimate of the memory
	changes  uint64               // number of deltas added

	a, b, r record // scratch
	buf     []byte
}

// pending is an entity with pending minutes.
type pending struct {
	key     string
	minutes []pendingMinute // ascending
	absent  bool            // it has no base: known once it was looked for, until it is folded
	queued  int64           // its place in Shard.oldest
	changed uint64          // Shard.changes at the last delta
	rowed   uint64          // changed when its rows were made
	ranked  uint64          // changed when rank was computed; 0 if it is out of date
	rank    Rank
}

// folded is base of an entity as a checkpoint writes it.
type folded struct {
	value []byte
	rank  Rank
}

type pendingMinute struct {
	minute int64
	body   string // flat record
	rowed  bool   // it has not changed since its rows were made
}

// pendingSize is an estimate of the memory in bytes of a pending entity with one minute, without its texts.
const pendingSize = 250

// noMinute is below every minute.
const noMinute = math.MinInt64

// NewShard returns a Shard. load returns base of an entity as the store has it, or nil; without a store it is nil, and the
// shard keeps base itself.
func NewShard(load func(key []byte) []byte) *Shard {
	return &Shard{
		load: load, pending: map[string]*pending{}, oldest: map[int64][]*pending{}, inflight: map[string]folded{},
		bound: noMinute, newest: noMinute,
	}
}

// Size returns an estimate of the memory that the shard takes, in bytes.
func (s *Shard) Size() int64 { return s.size }

// Add adds deltas, which the next checkpoint holds too.
func (s *Shard) Add(deltas string) error {
	if s.load != nil {
		s.journal = append(s.journal, deltas)
		s.size += int64(len(deltas))
	}
	return s.Restore(deltas)
}

var errDamaged = errors.New("read the inventory: a stored value is damaged")

// Restore adds deltas that an earlier checkpoint holds.
func (s *Shard) Restore(deltas string) error {
	for in := (reader{s: deltas}); len(in.s) > 0; {
		key, minute := in.text(), in.varint()
		rest, ok := s.a.read(in.s)
		if !ok || in.bad {
			return errDamaged
		}
		s.newest = max(s.newest, minute)
		s.add(key, minute, in.s[:len(in.s)-len(rest)])
		in.s = rest
	}
	return nil
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// add adds the delta that was read into s.a.
func (s *Shard) add(key string, minute int64, body string) {
	p := s.pending[key]
	if p == nil {
		p = &pending{key: string([]byte(key)), queued: math.MaxInt64}
		s.pending[p.key] = p
		s.size += pendingSize + int64(len(key))
	}
	s.changes++
	p.changed = s.changes
	at, found := slices.BinarySearchFunc(p.minutes, minute, func(m pendingMinute, x int64) int {
		switch {
		case m.minute < x:
			return -1
		case m.minute > x:
			return 1
		}
		return 0
	})
	if !found {
		p.minutes = slices.Insert(p.minutes, at, pendingMinute{minute: minute, body: string([]byte(body))})
		s.size += int64(len(body))
		s.queue(p)
		return
	}
	m := &p.minutes[at]
	s.b.read(m.body)
	s.r.mergeMinute(&s.a, &s.b)
	s.buf = s.r.append(s.buf[:0])
	s.size += int64(len(s.buf) - len(m.body))
	m.body, m.rowed = string(s.buf), false
}

// queue puts an entity into the list of its oldest minute.
func (s *Shard) queue(p *pending) {
	if m := p.minutes[0].minute; m < p.queued {
		p.queued = m
		s.oldest[m] = append(s.oldest[m], p)
	}
}

// KV is a key with its value.
type KV struct{ Key, Value []byte }

// Part is a shard's part of a checkpoint.
type Part struct {
	Base    []KV     // by flat key
	Ranks   []KV     // entries of the index by rank, as RankKey makes them; a nil Value deletes
	Rows    []byte   // see ReadRows
	Journal []string // deltas that came since the last checkpoint
	Newest  int64    // the last minute of Journal
	Oldest  int64    // the first minute that is pending after the checkpoint; MaxInt64 if none is
}

// Rowing is which rows a checkpoint makes.
type Rowing uint8

const (
	NoRows   Rowing = iota // no sink wants rows
	LastRows               // of minutes that are folded
	AllRows                // of everything that changed since the last AllRows
)

// Checkpoint folds the minutes that are over at a watermark and returns the shard's part of a checkpoint. The checkpoint
// before is durable.
func (s *Shard) Checkpoint(watermark schema.Instant, rowing Rowing) Part {
	if s.load != nil {
		clear(s.inflight)
	}
	out := Part{Journal: s.journal, Newest: s.newest, Oldest: math.MaxInt64}
	for _, deltas := range s.journal {
		s.size -= int64(len(deltas))
	}
	s.journal, s.newest = nil, noMinute
	if watermark != schema.MinInstant {
		s.bound = max(s.bound, MinuteOf(watermark))
	}
	var due []*pending
	for m, list := range s.oldest {
		if m >= s.bound {
			continue
		}
		for _, p := range list {
			if p.queued == m {
				due = append(due, p)
			}
		}
		delete(s.oldest, m)
	}
	slices.SortFunc(due, func(a, b *pending) int { return compareKeys(a.key, b.key) })
	for _, p := range due {
		s.fold(p, rowing, &out)
	}
	if rowing == AllRows {
		s.row(&out)
	}
	for m := range s.oldest {
		out.Oldest = min(out.Oldest, m)
	}
	return out
}

func compareKeys(a, b string) int { return strings.Compare(a, b) }

// fold folds the complete minutes of an entity into its base.
func (s *Shard) fold(p *pending, rowing Rowing, out *Part) {
	upTo := s.base(p.key)
	old := rankOf(&s.a)
	n := 0
	for ; n < len(p.minutes) && p.minutes[n].minute < s.bound; n++ {
		m := &p.minutes[n]
		s.size -= int64(len(m.body))
		if m.minute < upTo {
			continue // it is in base since before a restart
		}
		s.b.read(m.body)
		if rowing != NoRows && !m.rowed {
			out.Rows = appendMinuteRow(out.Rows, p.key, m)
		}
		s.r.fold(&s.a, &s.b)
		s.a, s.r = s.r, s.a
	}
	if rowing != NoRows && len(p.minutes) == n && p.rowed != p.changed { // row makes that of an entity that stays pending
		out.Rows = appendEntityRow(out.Rows, p.key, &s.a)
	}
	value := s.a.append(binary.AppendVarint(nil, max(upTo, s.bound)))
	rank := rankOf(&s.a)
	if upTo == noMinute || rank != old {
		if upTo != noMinute {
			out.Ranks = append(out.Ranks, KV{Key: RankKey(p.key, old)})
		}
		out.Ranks = append(out.Ranks, KV{RankKey(p.key, rank), []byte{}})
	}
	p.ranked, p.absent = 0, false
	p.minutes, p.queued = slices.Delete(p.minutes, 0, n), math.MaxInt64
	if len(p.minutes) == 0 {
		delete(s.pending, p.key)
		s.size -= pendingSize + int64(len(p.key))
	} else {
		s.queue(p)
	}
	s.inflight[p.key] = folded{value, rank}
	out.Base = append(out.Base, KV{[]byte(p.key), value})
}

// base reads base of an entity into s.a and returns the minute up to which it holds everything.
func (s *Shard) base(key string) (folded int64) {
	own, ok := s.inflight[key]
	if p := s.pending[key]; !ok && s.load != nil && (p == nil || !p.absent) {
		own.value = s.load([]byte(key))
		if p != nil {
			p.absent = own.value == nil
		}
	}
	folded, ok = readBase(own.value, &s.a)
	if !ok {
		s.a.reset()
		return noMinute
	}
	return folded
}

// readBase reads a stored base. ok is false if it is damaged or nil.
func readBase(value []byte, r *record) (folded int64, ok bool) {
	if value == nil {
		return 0, false
	}
	in := reader{s: string(value)}
	folded = in.varint()
	_, ok = r.read(in.s)
	return folded, ok && !in.bad
}

// Entity returns an entity with its pending minutes. ok is false if it does not exist.
func (s *Shard) Entity(k Key) (e *Entity, ok bool) {
	key := string(k.Append(nil))
	folded := s.base(key)
	p := s.pending[key]
	if folded == noMinute && p == nil {
		return nil, false
	}
	if p != nil {
		s.overlay(folded, p.minutes)
	}
	return s.a.entity(k), true
}

// overlay folds pending minutes into s.a, which is base up to the minute folded.
func (s *Shard) overlay(folded int64, minutes []pendingMinute) {
	for i := range minutes {
		if m := &minutes[i]; m.minute >= folded {
			s.b.read(m.body)
			s.r.fold(&s.a, &s.b)
			s.a, s.r = s.r, s.a
		}
	}
}

// Split distributes deltas to the n shards that own their entities, and returns their last minute.
func Split(deltas string, n int) (parts []string, newest int64, err error) {
	out, newest := make([][]byte, n), int64(noMinute)
	var r record
	for in := (reader{s: deltas}); len(in.s) > 0; {
		from := in.s
		key := in.text()
		newest = max(newest, in.varint())
		rest, ok := r.read(in.s)
		if !ok || in.bad {
			return nil, newest, errDamaged
		}
		in.s = rest
		to := &out[hash(key)%uint64(n)]
		*to = append(*to, from[:len(from)-len(rest)]...)
	}
	parts = make([]string, n)
	for i := range parts {
		parts[i] = string(out[i])
	}
	return parts, newest, nil
}
