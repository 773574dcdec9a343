package fold

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// panesPerWindow is how many panes make a window; with the one that is judged it holds one more. 64 keep the State of a
// busy key under 1 KiB and the window at most 1/64 longer than written.
const panesPerWindow = 64

// panes is a threshold that sees time in panes: a count above maxRing, a sum or a ratio. A pane is judged as a whole
// when it ends, by a deadline; a count and a sum only grow, so theirs is known as soon as it crosses.
//
//	judged      1 byte: 1 where the latest pane was judged
//	latest      8 bytes big-endian: the number of the latest pane; then a pane: it
//	total       a pane: what the panes before it add up to, first 0
//	n           uvarint: the panes before it that are less than 65 before it, at most 64
//	oldest      8 bytes big-endian: the number of the first of them; 0 for none
//	span        uvarint: the number of the last of them - oldest
//	panes       uvarint length of: per pane the uvarint distance to the one before (of the first it says nothing), and
//	            the pane
//	latest events (latest.go)
//
// where a pane is
//
//	items       uvarint
//	first       uvarint: the first item's time, from the pane's start
//	sum         with sum: 16 bytes big-endian, units of 10^-9
//	trues       with ratio: uvarint, at most items
//
// so that an item that falls into the latest pane changes nothing but that.
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

// pane is what one pane holds.
type pane struct {
	items int64
	first int64
	sum   rules.Decimal
	trues int64
}

func (k panes) readPane(r *flat.Reader) (p pane) {
	items, first := r.Uvarint(), r.Uvarint()
	p.items, p.first = int64(items), int64(first)
	switch {
	case k.sum:
		p.sum = rules.Decimal{Hi: r.Int64(), Lo: uint64(r.Int64())}
	case k.ratio:
		p.trues = int64(r.Uvarint())
	}
	if p.items < 0 || first >= uint64(k.pane) || p.trues < 0 || p.trues > p.items || p.sum.Hi < 0 {
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

// window is a State without its events.
type window struct {
	judged  bool
	number  int64 // of the latest pane
	latest  pane
	total   pane // of the panes before it
	n       int  // how many of them there are
	oldest  int64
	span    uint64
	earlier []byte // the flat form of these
}

func (k panes) read(r *flat.Reader) (win window) {
	judged := r.Byte()
	win.judged, win.number, win.latest = judged == 1, r.Int64(), k.readPane(r)
	win.total = k.readPane(r)
	n := r.Uvarint()
	win.oldest, win.span, win.earlier = r.Int64(), r.Uvarint(), r.Text()
	if r.Bad() || judged > 1 || n > panesPerWindow || win.latest.items == 0 {
		r.Fail()
		return window{}
	}
	win.n = int(n)
	return win
}

func (k panes) append(dst []byte, win *window) []byte {
	judged := byte(0)
	if win.judged {
		judged = 1
	}
	dst = append(dst, judged)
	dst = flat.AppendInt64(dst, win.number)
	dst = k.appendPane(dst, &win.latest)
	dst = k.appendPane(dst, &win.total)
	dst = binary.AppendUvarint(dst, uint64(win.n))
	dst = flat.AppendInt64(dst, win.oldest)
	dst = binary.AppendUvarint(dst, win.span)
	return flat.AppendText(dst, win.earlier)
}

func (k panes) fold(w *work, st []byte, it *item.Item) {
	var win window
	w.views = w.views[:0]
	if len(st) > 0 {
		r := flat.NewReader(st)
		win = k.read(&r)
		w.views = readLatest(&r, w.views)
	}
	if number := paneOf(it.Time, k.pane); win.latest.items == 0 || win.number != number {
		k.begin(w, &win, number)
		win.latest.first = it.Time - number*k.pane
	}
	win.latest.items++
	switch {
	case k.sum:
		win.latest.sum = plus(win.latest.sum, summand(it))
	case k.ratio && it.Data == "\x01":
		win.latest.trues++
	}
	w.state = k.append(w.state, &win)
	w.state = appendLatest(w.state, makeRoom(k.within(w.views, win.number)), it)
}

// begin makes a new pane the latest. The panes before it that are out of its window leave.
func (k panes) begin(w *work, win *window, number int64) {
	w.body = append(w.body[:0], win.earlier...)
	if win.latest.items > 0 {
		if win.n == 0 {
			win.oldest = win.number
		}
		span := since(win.number, win.oldest)
		gap := span - win.span
		win.span = span
		w.body = k.appendPane(binary.AppendUvarint(w.body, gap), &win.latest)
		win.n++
		win.total.items += win.latest.items
		win.total.trues += win.latest.trues
		win.total.sum = plus(win.total.sum, win.latest.sum)
	}
	win.earlier = w.body
	for win.n > 0 && since(number, win.oldest) > panesPerWindow {
		k.drop(win)
	}
	win.judged, win.number, win.latest = false, number, pane{}
}

// drop takes the oldest pane away.
func (k panes) drop(win *window) {
	r := flat.NewReader(win.earlier)
	r.Uvarint()
	p := k.readPane(&r)
	win.n--
	win.total.items -= p.items
	win.total.trues -= p.trues
	win.total.sum = minus(win.total.sum, p.sum)
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

// summand returns the number of an item, 0 for what is none.
func summand(it *item.Item) (d rules.Decimal) {
	if len(it.Data) != 16 {
		return d
	}
	b := []byte(it.Data)
	d = rules.Decimal{Hi: int64(binary.BigEndian.Uint64(b)), Lo: binary.BigEndian.Uint64(b[8:])}
	if d.Hi < 0 {
		return rules.Decimal{}
	}
	if most := units(item.MaxSummand, 0); less(most, d) {
		return most
	}
	return d
}

func (k panes) wake(st []byte) (at int64, ok bool) {
	r := flat.NewReader(st)
	if win := k.read(&r); !win.judged && win.latest.items > 0 {
		return paneEnd(win.number, k.pane), true
	}
	return 0, false
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
	r := flat.NewReader(st)
	win := k.read(&r)
	if win.latest.items == 0 {
		return
	}
	items, trues := win.total.items+win.latest.items, win.total.trues+win.latest.trues
	value := integer(items)
	switch {
	case k.sum:
		value = plus(win.total.sum, win.latest.sum)
		w.tr.fired = !less(value, k.least)
	case k.ratio:
		value, w.tr.fired = shareOf(trues, items), items >= k.count && atLeast(trues, items, k.share)
	default:
		w.tr.fired = items >= k.count
	}
	if !w.tr.fired {
		return
	}
	w.tr.time, w.tr.first = paneEnd(win.number, k.pane), win.number*k.pane+win.latest.first
	if win.n > 0 {
		before := flat.NewReader(win.earlier)
		before.Uvarint()
		w.tr.first = win.oldest*k.pane + k.readPane(&before).first
	}
	w.tr.count, w.tr.more, w.tr.value = items, win.latest.items, value
	k.show(w, &r, win.number)
}

// show brings the events of the window that State knows, and says which are of the pane that triggers.
func (k panes) show(w *work, r *flat.Reader, number int64) {
	w.views = readLatest(r, w.views[:0])
	w.tr.views = k.within(w.views, number)
	for w.tr.own < len(w.tr.views) && paneOf(w.tr.views[w.tr.own].time, k.pane) < number {
		w.tr.own++
	}
}

// within returns the events in the window of the pane.
func (k panes) within(views []view, number int64) []view {
	for len(views) > 0 && since(number, paneOf(views[0].time, k.pane)) > panesPerWindow {
		views = views[1:]
	}
	return views
}

func (k panes) span() int64 { return k.pane * (panesPerWindow + 1) }

func (k panes) expired(st []byte, w int64) bool {
	r := flat.NewReader(st)
	win := k.read(&r)
	return win.latest.items == 0 || win.judged && past(paneOf(w, k.pane), win.number, panesPerWindow+1)
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
		total.items, total.trues, total.sum = total.items+p.items, total.trues+p.trues, plus(total.sum, p.sum)
	}
	return earlier.Done() && total == win.total && span == win.span &&
		(win.n > 0 && win.oldest < win.number && span < since(win.number, win.oldest) || win.n == 0 && win.oldest == 0) &&
		(win.n == 0 || since(win.number, win.oldest) <= panesPerWindow)
}
