package fold

import (
	"encoding/binary"
	"math"

	"github.com/aidr-engine/aidr/rules"
)

// panesPerWindow is how many panes make a window; with the one that is judged it holds one more. 64 keep the State of a
// busy key under 1 KiB and the window at most 1/64 longer than written.
const panesPerWindow = 64

// panes is a threshold that sees time in panes: a count above maxRing, a sum or a ratio. A pane is judged as a whole
// when it ends, by a deadline; a count and a sum only grow, so theirs is known as soon as it crosses.
//
//	judged      1 byte: 1 where the latest pane was judged
//	n           uvarint, at least 1
//	n panes, in order:
//	  number    the first varint, then uvarint distances to the one before, at least 1
//	  items     uvarint, at least 1
//	  first     uvarint: the first item's time, from the pane's start
//	  sum       with sum: 16 bytes big-endian, units of 10^-9
//	  trues     with ratio: uvarint, at most items
//	latest events (latest.go)
type panes struct {
	pane  int64 // ns
	count int64 // items to reach; of a ratio the least number of them
	sum   bool
	ratio bool
	least rules.Decimal // of a sum
	share int64         // of a ratio, in units of 10^-9
}

func newPanes(t *rules.Threshold) panes {
	k := panes{pane: max(1, int64(t.Within)/panesPerWindow), count: t.Count}
	switch {
	case t.Sum != nil:
		k.sum, k.least = true, rules.Decimal(t.Sum.AtLeast)
	case t.Ratio != nil:
		k.ratio, k.share, k.count = true, t.Ratio.AtLeast, t.Ratio.Min
	}
	return k
}

// pane is one pane of a State.
type pane struct {
	number int64
	items  int64
	first  int64
	sum    rules.Decimal
	trues  int64
}

// window is a State taken apart.
type window struct {
	judged bool
	panes  [panesPerWindow + 1]pane
	n      int
}

func (k panes) read(r *reader, win *window) {
	judged := r.byte()
	n := r.uvarint()
	if n == 0 || n > uint64(len(win.panes)) || judged > 1 {
		r.fail()
		return
	}
	win.judged, win.n = judged == 1, int(n)
	for i := range win.n {
		k.readPane(r, win, i)
	}
}

func (k panes) readPane(r *reader, win *window, i int) {
	p := &win.panes[i]
	if i == 0 {
		p.number = r.varint()
	} else if gap := r.uvarint(); gap > 0 && gap <= panesPerWindow {
		p.number = later(win.panes[i-1].number, int64(gap))
	} else {
		r.fail()
	}
	items, first := r.uvarint(), r.uvarint()
	p.items, p.first = int64(items), int64(first)
	switch {
	case k.sum:
		p.sum = rules.Decimal{Hi: r.int64(), Lo: uint64(r.int64())}
	case k.ratio:
		p.trues = int64(r.uvarint())
	}
	if items == 0 || items > math.MaxInt64 || first >= uint64(k.pane) || p.trues < 0 || p.trues > p.items || p.sum.Hi < 0 {
		r.fail()
	}
}

func (k panes) append(dst []byte, win *window) []byte {
	judged := byte(0)
	if win.judged {
		judged = 1
	}
	dst = append(dst, judged)
	dst = binary.AppendUvarint(dst, uint64(win.n))
	for i := range win.n {
		p := &win.panes[i]
		if i == 0 {
			dst = binary.AppendVarint(dst, p.number)
		} else {
			dst = binary.AppendUvarint(dst, uint64(p.number-win.panes[i-1].number))
		}
		dst = binary.AppendUvarint(dst, uint64(p.items))
		dst = binary.AppendUvarint(dst, uint64(p.first))
		switch {
		case k.sum:
			dst = appendInt64(dst, p.sum.Hi)
			dst = binary.BigEndian.AppendUint64(dst, p.sum.Lo)
		case k.ratio:
			dst = binary.AppendUvarint(dst, uint64(p.trues))
		}
	}
	return dst
}

func (k panes) fold(w *work, st []byte, it *Item) {
	var win window
	w.views = w.views[:0]
	if len(st) > 0 {
		r := reader{b: st}
		k.read(&r, &win)
		w.views = readLatest(&r, w.views)
	}
	k.take(&win, it)
	w.state = k.append(w.state, &win)
	w.state = appendLatest(w.state, makeRoom(w.views), it)
}

// take counts the item in, in its pane, and lets panes go that are before the window of it.
func (k panes) take(win *window, it *Item) {
	number := paneOf(it.Time, k.pane)
	gone := 0
	for gone < win.n && number-win.panes[gone].number > panesPerWindow {
		gone++
	}
	win.n = copy(win.panes[:], win.panes[gone:win.n])
	if win.n == 0 || win.panes[win.n-1].number != number {
		win.panes[win.n] = pane{number: number, first: it.Time - number*k.pane}
		win.n++
	}
	win.judged = false
	p := &win.panes[win.n-1]
	p.items++
	switch {
	case k.sum:
		p.sum = plus(p.sum, summand(it))
	case k.ratio:
		if it.Data == "\x01" {
			p.trues++
		}
	}
}

// summand returns the number of an item, 0 for what is none.
func summand(it *Item) (d rules.Decimal) {
	if len(it.Data) != 16 {
		return d
	}
	b := []byte(it.Data)
	d = rules.Decimal{Hi: int64(binary.BigEndian.Uint64(b)), Lo: binary.BigEndian.Uint64(b[8:])}
	if d.Hi < 0 {
		return rules.Decimal{}
	}
	return d
}

func (k panes) wake(st []byte) (at int64, ok bool) {
	var win window
	r := reader{b: st}
	k.read(&r, &win)
	if win.judged || win.n == 0 {
		return 0, false
	}
	return paneEnd(win.panes[win.n-1].number, k.pane), true
}

func (k panes) fire(w *work, st []byte) {
	k.judge(w, st)
	w.state = append(w.state, st...)
	if len(w.state) > 0 {
		w.state[0] = 1
	}
}

func (k panes) peek(w *work, st []byte) {
	if !k.ratio {
		k.judge(w, st)
	}
}

// judge triggers where the window of the latest pane crosses.
func (k panes) judge(w *work, st []byte) {
	var win window
	r := reader{b: st}
	k.read(&r, &win)
	if r.bad || win.n == 0 {
		return
	}
	var items, trues int64
	var sum rules.Decimal
	for i := range win.n {
		p := &win.panes[i]
		items, trues, sum = items+p.items, trues+p.trues, plus(sum, p.sum)
	}
	value := integer(items)
	switch {
	case k.sum:
		value, w.tr.fired = sum, !less(sum, k.least)
	case k.ratio:
		value, w.tr.fired = shareOf(trues, items), items >= k.count && atLeast(trues, items, k.share)
	default:
		w.tr.fired = items >= k.count
	}
	if !w.tr.fired {
		return
	}
	oldest, latest := &win.panes[0], &win.panes[win.n-1]
	w.tr.time, w.tr.first = paneEnd(latest.number, k.pane), oldest.number*k.pane+oldest.first
	w.tr.count, w.tr.more, w.tr.value = items, latest.items, value
	k.show(w, &r, latest.number)
}

// show brings the events of the window that State knows, and says which are of the pane that triggers.
func (k panes) show(w *work, r *reader, number int64) {
	w.views = readLatest(r, w.views[:0])
	views := w.views
	for len(views) > 0 && paneOf(views[0].time, k.pane) < number-panesPerWindow {
		views = views[1:]
	}
	w.tr.views = views
	for w.tr.own < len(views) && paneOf(views[w.tr.own].time, k.pane) < number {
		w.tr.own++
	}
}

func (k panes) span() int64 { return k.pane * (panesPerWindow + 1) }

func (k panes) expired(st []byte, w int64) bool {
	var win window
	r := reader{b: st}
	k.read(&r, &win)
	return win.n == 0 || win.judged && paneOf(w, k.pane)-win.panes[win.n-1].number > panesPerWindow
}

func (k panes) check(st []byte) bool {
	var win window
	r := reader{b: st}
	k.read(&r, &win)
	readLatest(&r, nil)
	return !r.bad && len(r.b) == 0
}
