package fold

import (
	"encoding/binary"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// panesPerWindow is the number of panes in the length of a window. The window of a pane is the pane itself and the 64
// before it. With 64 the State of a busy key stays under 1 KiB, and the window is at most 1/64 longer than in the rule.
const panesPerWindow = 64

// panes is the kind of a threshold that divides time into panes: a count above maxRing, a sum or a ratio. A pane is
// evaluated as a whole when it ends, by a deadline. A count and a sum only grow, so a pane that reaches the threshold is
// known to trigger before its end (peek).
//
//	evaluated   1 byte: 1 if the latest pane was evaluated
//	latest      8 bytes big-endian: the number of the latest pane; then that pane
//	total       a pane: the sum of the panes before it, with first 0
//	n           uvarint: the panes with items before it, less than 65 panes away; at most 64
//	oldest      8 bytes big-endian: the number of the first of them; 0 for none
//	span        uvarint: the number of the last of them - oldest
//	panes       uvarint length of: per pane the uvarint distance to the pane before it (without meaning in the first
//	            pane), and the pane
//	latest events (latest.go)
//
// The form of a pane is
//
//	items       uvarint
//	first       uvarint: the first item's time, from the pane's start
//	sum         for a sum: 16 bytes big-endian, units of 10^-9
//	trues       for a ratio: uvarint, at most items
//
// An item that falls into the latest pane changes nothing but that pane.
type panes struct {
	length int64 // of a pane, ns
	count  int64 // the number of items that triggers; for a ratio, the least number of items
	sum    bool
	ratio  bool
	least  rules.Decimal // the sum that triggers
	share  int64         // the ratio that triggers, in units of 10^-9
}

func newPanes(t *rules.Threshold) panes {
	k := panes{length: max(1, int64(t.Within)/panesPerWindow), count: t.Count}
	switch {
	case t.Sum != nil:
		k.sum, k.least = true, rules.Decimal(t.Sum.AtLeast)
	case t.Ratio != nil:
		k.ratio, k.share, k.count = true, t.Ratio.AtLeast, t.Ratio.Min
	}
	return k
}

// paneOf returns the number of the pane of that length that contains t. Pane k is [k length, (k+1) length) from the
// epoch.
func paneOf(t schema.Instant, length int64) int64 {
	k := int64(t) / length
	if int64(t)%length < 0 {
		k--
	}
	return k
}

// paneStart returns the start of pane k.
func paneStart(k, length int64) schema.Instant { return schema.Instant(k * length) }

// paneEnd returns the end of pane k, at most MaxInstant.
func paneEnd(k, length int64) schema.Instant {
	if k >= int64(schema.MaxInstant)/length {
		return schema.MaxInstant
	}
	return schema.Instant((k + 1) * length)
}

// panesBetween returns the distance from pane old to pane k. If old is after k, which only damaged State can hold, the
// distance is huge.
func panesBetween(old, k int64) uint64 { return uint64(k) - uint64(old) }

// pane is the aggregate of the items of one pane, or of several.
type pane struct {
	items int64
	first int64 // the first item's time, from the pane's start
	sum   rules.Decimal
	trues int64
}

func (k panes) readPane(r *flat.Reader) (p pane) {
	items, first := r.Uvarint(), r.Uvarint()
	p.items, p.first = int64(items), int64(first)
	switch {
	case k.sum:
		p.sum = rules.Decimal{Hi: r.Int64(), Lo: r.Uint64()}
	case k.ratio:
		p.trues = int64(r.Uvarint())
	}
	if p.items < 0 || first >= uint64(k.length) || p.trues < 0 || p.trues > p.items || p.sum.Hi < 0 {
		r.Fail()
	}
	return p
}

func (k panes) appendPane(dst []byte, p *pane) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.items))
	dst = binary.AppendUvarint(dst, uint64(p.first))
	switch {
	case k.sum:
		dst = flat.AppendInt64(dst, p.sum.Hi)
		dst = binary.BigEndian.AppendUint64(dst, p.sum.Lo)
	case k.ratio:
		dst = binary.AppendUvarint(dst, uint64(p.trues))
	}
	return dst
}

// window is a State of panes without the latest events.
type window struct {
	evaluated bool  // the latest pane was evaluated
	number    int64 // of the latest pane
	latest    pane
	total     pane   // the sum of the panes before it
	n         int    // the number of panes before it
	oldest    int64  // the number of the first of them
	span      uint64 // from the first to the last of them
	earlier   []byte // their flat form
}

func (k panes) read(r *flat.Reader) (win window) {
	evaluated := r.Byte()
	win.evaluated, win.number, win.latest = evaluated == 1, r.Int64(), k.readPane(r)
	win.total = k.readPane(r)
	n := r.Uvarint()
	win.oldest, win.span, win.earlier = r.Int64(), r.Uvarint(), r.Text()
	if r.Bad() || evaluated > 1 || n > panesPerWindow || win.latest.items == 0 {
		r.Fail()
		return window{}
	}
	win.n = int(n)
	return win
}

func (k panes) append(dst []byte, win *window) []byte {
	evaluated := byte(0)
	if win.evaluated {
		evaluated = 1
	}
	dst = append(dst, evaluated)
	dst = flat.AppendInt64(dst, win.number)
	dst = k.appendPane(dst, &win.latest)
	dst = k.appendPane(dst, &win.total)
	dst = binary.AppendUvarint(dst, uint64(win.n))
	dst = flat.AppendInt64(dst, win.oldest)
	dst = binary.AppendUvarint(dst, win.span)
	return flat.AppendText(dst, win.earlier)
}

func (k panes) fold(s *scratch, st []byte, it *item.Item) {
	var win window
	s.events = s.events[:0]
	if len(st) > 0 {
		r := flat.NewReader(st)
		win = k.read(&r)
		s.events = readLatest(&r, s.events)
	}
	if number := paneOf(it.Time, k.length); win.latest.items == 0 || win.number != number {
		k.nextPane(s, &win, number)
		win.latest.first = int64(it.Time) - number*k.length
	}
	win.latest.items++
	switch {
	case k.sum:
		win.latest.sum = win.latest.sum.Add(summand(it))
	case k.ratio && it.Data == "\x01":
		win.latest.trues++
	}
	s.state = k.append(s.state, &win)
	s.state = appendLatest(s.state, keepLatest(k.inWindow(s.events, win.number)), it)
}

// nextPane makes an empty pane the latest one, and removes the panes outside its window.
func (k panes) nextPane(s *scratch, win *window, number int64) {
	s.panes = append(s.panes[:0], win.earlier...)
	if win.latest.items > 0 {
		if win.n == 0 {
			win.oldest = win.number
		}
		span := panesBetween(win.oldest, win.number)
		gap := span - win.span
		win.span = span
		s.panes = k.appendPane(binary.AppendUvarint(s.panes, gap), &win.latest)
		win.n++
		win.total.items += win.latest.items
		win.total.trues += win.latest.trues
		win.total.sum = win.total.sum.Add(win.latest.sum)
	}
	win.earlier = s.panes
	for win.n > 0 && panesBetween(win.oldest, number) > panesPerWindow {
		k.removeOldest(win)
	}
	win.evaluated, win.number, win.latest = false, number, pane{}
}

// removeOldest removes the oldest of the panes before the latest one.
func (k panes) removeOldest(win *window) {
	r := flat.NewReader(win.earlier)
	r.Uvarint()
	p := k.readPane(&r)
	win.n--
	win.total.items -= p.items
	win.total.trues -= p.trues
	win.total.sum = win.total.sum.Sub(p.sum)
	if win.n == 0 {
		win.oldest, win.span, win.earlier = 0, 0, nil
		return
	}
	next := flat.NewReader(r.Rest())
	gap := next.Uvarint()
	win.oldest += int64(gap)
	win.span -= gap
	win.earlier = r.Rest()
}

// firstItem returns the time of the first item in the window of the latest pane.
func (k panes) firstItem(win *window) schema.Instant {
	if win.n == 0 {
		return schema.Instant(win.number*k.length + win.latest.first)
	}
	r := flat.NewReader(win.earlier)
	r.Uvarint()
	return schema.Instant(win.oldest*k.length + k.readPane(&r).first)
}

func (k panes) deadline(st []byte) (at schema.Instant, ok bool) {
	r := flat.NewReader(st)
	if win := k.read(&r); !win.evaluated && win.latest.items > 0 {
		return paneEnd(win.number, k.length), true
	}
	return 0, false
}

func (k panes) fire(s *scratch, st []byte) {
	k.evaluate(s, st)
	s.state = append(s.state, st...)
	if len(s.state) > 0 {
		s.state[0] = 1
	}
}

func (k panes) peek(s *scratch, st []byte) {
	if !k.ratio {
		k.evaluate(s, st)
	}
}

// evaluate triggers if the window of the latest pane reaches the threshold.
func (k panes) evaluate(s *scratch, st []byte) {
	r := flat.NewReader(st)
	win := k.read(&r)
	if win.latest.items == 0 {
		return
	}
	items, trues := win.total.items+win.latest.items, win.total.trues+win.latest.trues
	value, fired := rules.DecimalUnits(items), items >= k.count
	switch {
	case k.sum:
		value = win.total.sum.Add(win.latest.sum)
		fired = !value.Less(k.least)
	case k.ratio:
		value, fired = rules.Share(trues, items), items >= k.count && rules.ShareReaches(trues, items, k.share)
	}
	if !fired {
		return
	}
	s.events = readLatest(&r, s.events[:0])
	tr := &s.trigger
	tr.fired, tr.time, tr.first = true, paneEnd(win.number, k.length), k.firstItem(&win)
	tr.count, tr.added, tr.value = items, win.latest.items, value
	tr.events = k.inWindow(s.events, win.number)
	// Only the events of the pane itself are new to a group that is already open.
	for tr.joining < len(tr.events) && paneOf(tr.events[tr.joining].time, k.length) < win.number {
		tr.joining++
	}
}

// inWindow returns the events in the window of the pane.
func (k panes) inWindow(events []storedEvent, number int64) []storedEvent {
	for len(events) > 0 && panesBetween(paneOf(events[0].time, k.length), number) > panesPerWindow {
		events = events[1:]
	}
	return events
}

func (k panes) span() time.Duration { return time.Duration(k.length * (panesPerWindow + 1)) }

func (k panes) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	win := k.read(&r)
	current := paneOf(w, k.length)
	return win.latest.items == 0 || win.evaluated && current >= win.number && panesBetween(win.number, current) > panesPerWindow
}

func (k panes) check(st []byte) bool {
	r := flat.NewReader(st)
	win := k.read(&r)
	readLatest(&r, nil)
	if !r.Done() {
		return false
	}
	var total pane
	earlier, span := flat.NewReader(win.earlier), uint64(0)
	for i := range win.n {
		gap := earlier.Uvarint()
		p := k.readPane(&earlier)
		if i == 0 {
			gap = 0
		}
		if p.items == 0 || (gap == 0) != (i == 0) || gap > panesPerWindow {
			return false
		}
		span += gap
		total.items, total.trues, total.sum = total.items+p.items, total.trues+p.trues, total.sum.Add(p.sum)
	}
	if !earlier.Done() || total != win.total || span != win.span {
		return false
	}
	if win.n == 0 {
		return win.oldest == 0
	}
	distance := panesBetween(win.oldest, win.number)
	return win.oldest < win.number && span < distance && distance <= panesPerWindow
}
