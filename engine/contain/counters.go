package contain

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aidr-engine/aidr/schema"
)

// counters are the moving parts of a containment. They outlive the versions of it, and are not durable: a restart begins a new
// minute of its rate, and its receipts go on from those of the last checkpoint.
type counters struct {
	minute atomic.Uint64 // of a throttle: the minute of the clock in the high half, its calls in the low one

	mu    sync.Mutex            // guards the growth of the list
	first atomic.Pointer[point] // the list of enforcement points, the latest first
	saved int64                 // answers that the last checkpoint has; the table's mu guards it
	proof proof                 // the table's mu guards it

	savedAt schema.Instant // the table's mu guards it
}

// point counts the answers that one enforcement point got.
type point struct {
	name             string
	next             *point // constant
	place            int    // in the list, from its end
	refused, allowed atomic.Int64
	first, last      atomic.Int64 // schema.Instant
}

const nanosPerMinute = 60e9

// admit counts a call at an instant and reports whether it is within the rate: the first perMinute calls of each minute of
// the clock are. If it is not, retry is the number of milliseconds until the next minute.
func (c *counters) admit(now schema.Instant, perMinute int) (retry int64, ok bool) {
	minute := uint64(now) / nanosPerMinute & 0xffffffff
	for {
		old := c.minute.Load()
		calls := old & 0xffffffff
		switch {
		case old>>32 != minute:
			calls = 0
		case calls >= uint64(perMinute):
			return (nanosPerMinute - int64(now)%nanosPerMinute + 999_999) / 1_000_000, false
		}
		if c.minute.CompareAndSwap(old, minute<<32|(calls+1)) {
			return 0, true
		}
	}
}

// otherPoint counts for the enforcement points beyond schema.MaxReceipts.
const otherPoint = "other"

// count counts an answer to an enforcement point.
func (c *counters) count(name string, refused bool, now schema.Instant) {
	p := c.point(name)
	if p.first.Load() == 0 {
		p.first.CompareAndSwap(0, int64(now))
	}
	p.last.Store(int64(now))
	if refused {
		p.refused.Add(1)
	} else {
		p.allowed.Add(1)
	}
}

// point returns the counters of an enforcement point. Only its first answer takes a lock.
func (c *counters) point(name string) *point {
	if p := c.find(name); p != nil {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.find(name); p != nil {
		return p
	}
	p := &point{name: name, next: c.first.Load()}
	if p.next != nil {
		p.place = p.next.place + 1
	}
	if p.place == schema.MaxReceipts-1 {
		p.name = otherPoint
	}
	c.first.Store(p)
	return p
}

// find returns the counters of an enforcement point, or nil if the list has no entry for it yet.
func (c *counters) find(name string) *point {
	first := c.first.Load()
	for p := first; p != nil; p = p.next {
		if p.name == name {
			return p
		}
	}
	if first != nil && first.place == schema.MaxReceipts-1 {
		return first
	}
	return nil
}

// receipts returns the counts as receipts, sorted by enforcement point.
func (c *counters) receipts(id schema.ID) []schema.Receipt {
	out := []schema.Receipt{}
	for p := c.first.Load(); p != nil; p = p.next {
		out = append(out, schema.Receipt{
			ContainmentID: id, Point: p.name, Refused: p.refused.Load(), Allowed: p.allowed.Load(),
			First: schema.Instant(p.first.Load()), Last: schema.Instant(p.last.Load()),
		})
	}
	slices.SortFunc(out, func(a, b schema.Receipt) int { return strings.Compare(a.Point, b.Point) })
	return out
}

// restore takes over the receipts of the last checkpoint.
func (c *counters) restore(list []schema.Receipt) {
	for _, r := range list {
		c.add(r)
	}
}

// add adds the counts of a receipt, such as those of a process beside a gateway.
func (c *counters) add(r schema.Receipt) {
	p := c.point(r.Point)
	if p.first.Load() == 0 {
		p.first.CompareAndSwap(0, int64(r.First))
	}
	for {
		last := p.last.Load()
		if int64(r.Last) <= last || p.last.CompareAndSwap(last, int64(r.Last)) {
			break
		}
	}
	p.refused.Add(r.Refused)
	p.allowed.Add(r.Allowed)
}

// answers returns the number of answers of all enforcement points.
func (c *counters) answers() (n int64) {
	for p := c.first.Load(); p != nil; p = p.next {
		n += p.refused.Load() + p.allowed.Load()
	}
	return n
}
