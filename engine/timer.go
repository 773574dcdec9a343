package engine

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"slices"

	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// A timer wakes a cell when the rule's watermark reaches at. There are two sorts.
//
// The timer of a cell's first pending item is in memory only: after a restart the items set it again.
//
// The timer of a cell's base, for deadlines, the ends of groups and expiry, is a row of the store, which is written with the
// cell. The cell's value holds its instant. A cell has at most one row, at or before the instant at which it is due: a row
// that comes early wakes the cell once for nothing, and a cell that is always active need not move its row all the time.
// Of each rule, the rows before shard.near are in memory too, and the others are read when their time comes. So timers of
// millions of cells at rest take no memory, and a restart reads none of these cells.
type timer struct {
	at    schema.Instant
	group string
	row   bool // a row of the store
}

// noWake is the instant of no timer.
const noWake = schema.MaxInstant

const (
	// timerSize is the memory in bytes of a timer without its group's text.
	timerSize = 40
	// defaultTimerPage is the number of rows of a rule that a shard reads at a time, so that a read of the store serves many
	// rows.
	defaultTimerPage = 512
	// timerPages is the number of pages of rows that a shard keeps in memory for each rule: below it new rows are kept, which
	// saves reading them. With 1,000 rules and two shards that is at most 200 MB.
	timerPages = 4
)

// timers is a heap, the earliest first.
type timers []timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timers) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timers) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timers) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*h = old[:len(old)-1]
	return last
}

// ruleTimers are the timers of a rule's cells that a shard has in memory.
type ruleTimers struct {
	timers
	near schema.Instant // all rows of the store before it are in memory
	rows int            // of the timers
	page int            // see defaultTimerPage
	most int            // the number of rows above which the later ones leave memory
}

// newRuleTimers returns timers without any; stored reports whether the store may have rows.
func newRuleTimers(stored bool, page int) ruleTimers {
	if !stored {
		return ruleTimers{near: schema.MaxInstant, most: noShare} // there is nowhere to read a row from
	}
	return ruleTimers{near: schema.MinInstant, page: page, most: timerPages * page}
}

// timerKey returns the key of a cell's timer in the store: the rule's id, 0x00, the instant, the hash that chooses the
// shard, the group key.
func timerKey(rule string, at schema.Instant, hash uint64, group string) []byte {
	b := make([]byte, 0, len(rule)+1+8+8+len(group))
	b = append(append(b, rule...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(at)^1<<63) // sorts like at
	b = binary.BigEndian.AppendUint64(b, hash)
	return append(b, group...)
}

// readTimerKey reads a key of timerKey; skip is the length of the rule's id.
func readTimerKey(k []byte, skip int) (at schema.Instant, hash uint64, group string, ok bool) {
	if len(k) < skip+17 {
		return 0, 0, "", false
	}
	k = k[skip+1:]
	return schema.Instant(binary.BigEndian.Uint64(k) ^ 1<<63), binary.BigEndian.Uint64(k[8:]), string(k[16:]), true
}

// row returns a change of a cell's timer in the store.
func (s *shard) row(k cellKey, at schema.Instant, set bool) store.KV {
	p := s.rules.programs[k.rule]
	kv := store.KV{Key: timerKey(p.Rule.ID, at, p.Hash(k.group), k.group)}
	if set {
		kv.Value = []byte{}
	}
	return kv
}

// setTimer adds a timer to memory.
func (s *shard) setTimer(k cellKey, at schema.Instant, row bool) {
	t := &s.timers[k.rule]
	heap.Push(t, timer{at, k.group, row})
	s.size[budget.Timers] += timerSize + int64(len(k.group))
	if row {
		if t.rows++; t.rows > t.most {
			s.trimTimers(t)
		}
	}
}

// popTimer removes the earliest timer of a rule from memory.
func (s *shard) popTimer(t *ruleTimers) timer {
	due := heap.Pop(t).(timer)
	s.size[budget.Timers] -= timerSize + int64(len(due.group))
	if due.row {
		t.rows--
	}
	return due
}

// trimTimers removes from memory the rows after the first page, which are read again later. Rows of one instant stay
// together.
func (s *shard) trimTimers(t *ruleTimers) {
	slices.SortFunc(t.timers, func(a, b timer) int { return cmp.Compare(a.at, b.at) }) // which is a heap
	n, near := 0, t.near
	kept := t.timers[:0]
	for _, x := range t.timers {
		if x.row {
			if n >= t.page && near == t.near && x.at > kept[len(kept)-1].at {
				near = x.at
			}
			if near < t.near && x.at >= near {
				s.size[budget.Timers] -= timerSize + int64(len(x.group))
				continue
			}
			n++
		}
		kept = append(kept, x)
	}
	clear(t.timers[len(kept):])
	t.timers, t.rows, t.near = kept, n, near
	t.most = max(timerPages*t.page, 2*n)
}

// schedule sets a timer for the first pending item of a cell unless one is set that comes early enough.
func (s *shard) schedule(c *cachedCell) {
	if w, ok := c.cell.PendingWake(); ok && w < c.wake {
		c.wake = w
		s.setTimer(c.key, w, false)
	}
}

// wanted returns the instant that the cell's timer in the store is to have.
func (c *cachedCell) wanted() schema.Instant {
	w := c.cell.Watermark()
	if c.cell.Empty() {
		return noWake
	}
	if c.cell.Held() { // so that after a crash the cell is examined immediately
		return min(c.row, w)
	}
	wake, _ := c.cell.BaseWake()
	if w < c.row && c.row <= wake {
		return c.row
	}
	return wake
}

// moveRow gives a cell's timer in the store another instant.
func (s *shard) moveRow(c *cachedCell, at schema.Instant, out *shardPart) {
	if at == c.row {
		return
	}
	if s.store != nil && c.row != noWake {
		out.timers = append(out.timers, s.row(c.key, c.row, false))
	}
	c.row = at
	if at == noWake {
		return
	}
	if s.store != nil {
		out.timers = append(out.timers, s.row(c.key, at, true))
	}
	if at < s.timers[c.key.rule].near && !c.cell.Held() { // a cell that is held is dirty, which needs no timer
		s.setTimer(c.key, at, true)
	}
}

// due reports whether a timer of the rule is due at w. It reads rows until the earliest timer of all is in memory. When a
// checkpoint begins, the store has the rows of the one before.
func (s *shard) due(rule int, w schema.Instant) bool {
	t := &s.timers[rule]
	for t.near <= w && t.near != schema.MaxInstant && (t.Len() == 0 || t.timers[0].at >= t.near) {
		s.readTimers(rule)
	}
	return t.Len() > 0 && t.timers[0].at <= w
}

// readTimers reads the next page of rows of a rule.
func (s *shard) readTimers(rule int) {
	t := &s.timers[rule]
	id, shards := s.rules.id(rule), uint64(s.shards)
	var page []timer
	next := schema.MaxInstant
	s.retry.do("read timers", func() error {
		page, next = page[:0], schema.MaxInstant
		return s.store.Timers(timerKey(id, t.near, 0, ""), append([]byte(id), 1), func(key []byte) bool {
			at, hash, group, ok := readTimerKey(key, len(id))
			if !ok || hash%shards != uint64(s.number) {
				return true
			}
			if len(page) >= t.page && at > page[len(page)-1].at {
				next = at
				return false
			}
			page = append(page, timer{at, group, true})
			return true
		})
	})
	t.near = next
	t.most = max(t.most, t.rows+len(page)) // these are needed now
	for _, x := range page {
		s.setTimer(cellKey{rule, x.group}, x.at, true)
	}
}

// advance moves the cells of a rule whose time has come to w. room is the number of bytes of changes that the checkpoint
// has room for, and left is the rest of it. If there is too little room for all cells, the rule's watermark is that
// of the cell that is due first, and the next checkpoint goes on: of the items below w, those below that watermark are in
// base, the others are pending, in the cells that have yet to move, or in base of a cell whose own watermark is w. Findings
// do not depend on it, because a cell that moves in two steps ends like one that moves in one.
func (s *shard) advance(rule int, w schema.Instant, room int64, out *shardPart) (left int64) {
	t := &s.timers[rule]
	for s.due(rule, w) {
		if room <= 0 {
			s.watermark[rule] = max(s.watermark[rule], t.timers[0].at.Sub(1))
			return room
		}
		due := s.popTimer(t)
		c := s.get(cellKey{rule, due.group})
		if due.row && c.row != due.at { // the cell has another timer now
			if s.store != nil {
				out.timers = append(out.timers, s.row(c.key, due.at, false))
			}
			s.release(c)
			continue
		}
		if !c.dirty {
			room -= changeSize + c.size
		}
		s.touch(c)
		if !due.row {
			c.wake = noWake
		}
		c.cell.Advance(w)
		// If a cell has two timers for one instant, the second has no effect.
		s.schedule(c)
	}
	s.watermark[rule] = max(s.watermark[rule], w)
	return room
}
