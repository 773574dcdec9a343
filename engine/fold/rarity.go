package fold

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// rarity is the kind of a rarity rule: an item triggers if its value made up less than a share of the items before it.
// With share 0.1, min_samples 10 and history 64h (panes of 1h):
//
//	 0:00  read, 9 times  -        fewer than 10 items before each
//	 0:30  send           -        9 items before it
//	 1:00  send           -        1 of 10 is 0.1, which is not less than the share
//	 2:00  read, 9 times  -
//	 3:00  shell          trigger  0 of 20
//	64:59  shell          trigger  1 of 21: the window is the pane of 64:00 and the 64 before it, from 0:00 on
//	65:00  read           -        9 of 12: the pane of 0:00 has left with its 10 items
//
// The State is
//
//	pane        8 bytes big-endian: the number of the latest pane
//	all         uvarint length of: the items of all panes
//	n           uvarint, at least 1
//	n entries   value (8 bytes), uvarint length of: its items; the value seen longest ago first
//
// Items are a list of the panes that have some, the latest first: the distance to the pane before in the list, at first
// to the latest pane (uvarint), and the number of items (uvarint).
type rarity struct {
	history    time.Duration
	length     int64 // of a pane, ns
	share      int64 // units of 10^-9
	minSamples int64
	limit      int // of values
}

func (p *Program) setRarity(y *rules.Rarity) {
	p.kind = rarity{
		history: y.History, length: max(1, int64(y.History)/panesPerWindow),
		share: y.Share, minSamples: y.MinSamples, limit: y.MaxValues,
	}
	p.unit, p.threshold, p.lowest = unitNano, rules.DecimalUnits(y.Share), true
}

// paneCounts is a list of panes with their numbers of items, as in the State of a rarity rule.
type paneCounts []byte

// total returns the number of items.
func (c paneCounts) total() (n int64) {
	if len(c) == 2 && c[0]|c[1] < 0x80 { // one pane, as most values of a flood have
		return int64(c[1])
	}
	for r := flat.NewReader(c); len(r.Rest()) > 0; {
		r.Uvarint()
		n += int64(r.Uvarint())
	}
	return n
}

// oldest returns the distance from the latest pane to the first one with items.
func (c paneCounts) oldest() (distance uint64) {
	for r := flat.NewReader(c); len(r.Rest()) > 0; {
		distance += r.Uvarint()
		r.Uvarint()
	}
	return distance
}

// appendAged appends the list for a latest pane that is shift later, without the panes outside its window.
func (c paneCounts) appendAged(dst []byte, shift uint64) []byte {
	distance := shift
	for r := flat.NewReader(c); len(r.Rest()) > 0; {
		gap, n := r.Uvarint(), r.Uvarint()
		if distance += gap; distance > panesPerWindow {
			break
		}
		dst = binary.AppendUvarint(dst, gap+shift)
		dst = binary.AppendUvarint(dst, n)
		shift = 0
	}
	return dst
}

// appendIncremented appends the list with one more item in the latest pane.
func (c paneCounts) appendIncremented(dst []byte) []byte {
	r := flat.NewReader(c)
	n := uint64(0)
	if len(c) > 0 && c[0] == 0 {
		r.Uvarint()
		n = r.Uvarint()
	}
	dst = binary.AppendUvarint(append(dst, 0), n+1)
	return append(dst, r.Rest()...)
}

// check returns the number of items; ok is false if the list is empty or not well formed.
func (c paneCounts) check() (total int64, ok bool) {
	const most = 1 << 60 // far more than a window ever holds, and two of them still fit
	distance := uint64(0)
	r := flat.NewReader(c)
	for len(r.Rest()) > 0 {
		gap, n := r.Uvarint(), r.Uvarint()
		if gap > panesPerWindow || gap == 0 && total > 0 || n == 0 || n > most {
			return 0, false
		}
		distance, total = distance+gap, total+int64(n)
		if total > most {
			return 0, false
		}
	}
	return total, r.Done() && total > 0 && distance <= panesPerWindow
}

// valueCounts are the entries of the State of a rarity rule.
type valueCounts struct {
	n       int
	entries []byte
}

// next returns the first entry of entries and the others.
func (valueCounts) next(entries []byte) (value []byte, counts paneCounts, rest []byte) {
	const head = item.ValueHashSize + 1
	if len(entries) > head { // short counts, without a Reader: an item of a flood passes over thousands of entries
		if n := entries[head-1]; n < 0x80 && int(n) <= len(entries)-head {
			end := head + int(n)
			return entries[:head-1], entries[head:end], entries[end:]
		}
	}
	r := flat.NewReader(entries)
	value, counts = r.Bytes(item.ValueHashSize), r.Text()
	return value, counts, r.Rest()
}

// find returns the counts of a value, nil if it has none, and the entry as a range of entries.
func (vs valueCounts) find(value string) (counts paneCounts, from, to int) {
	for rest := vs.entries; len(rest) > 0; {
		from = len(vs.entries) - len(rest)
		v, c, after := vs.next(rest)
		if string(v) == value {
			return c, from, len(vs.entries) - len(after)
		}
		rest = after
	}
	return nil, len(vs.entries), len(vs.entries)
}

// rarest returns the entry with the fewest items as a range of entries; of several, that of the value seen longest ago.
func (vs valueCounts) rarest() (from, to int) {
	fewest := int64(0)
	for rest := vs.entries; len(rest) > 0; {
		_, c, after := vs.next(rest)
		if n := c.total(); to == 0 || n < fewest {
			fewest, from, to = n, len(vs.entries)-len(rest), len(vs.entries)-len(after)
		}
		rest = after
	}
	return from, to
}

func (k rarity) read(r *flat.Reader) (pane int64, all paneCounts, values valueCounts) {
	pane, all = r.Int64(), r.Text()
	values.n = int(r.Uvarint())
	values.entries = r.Rest()
	return pane, all, values
}

func (k rarity) fold(s *scratch, st []byte, it *item.Item) {
	pane := paneOf(it.Time, k.length)
	var all paneCounts
	var values valueCounts
	if len(st) > 0 {
		var latest int64
		r := flat.NewReader(st)
		latest, all, values = k.read(&r)
		if pane != latest {
			all, values = k.age(s, all, values, panesBetween(latest, pane))
		}
	}
	value := valueHash(it)
	counts, from, to := values.find(value)
	before, own := all.total(), counts.total()
	if before >= k.minSamples && !rules.ShareReaches(own, before, k.share) {
		tr := &s.trigger
		tr.fired, tr.time, tr.first, tr.item = true, it.Time, it.Time, it
		tr.count, tr.added, tr.value = 1, 1, rules.Share(own, before)
		tr.text = it.Data[min(item.ValueHashSize, len(it.Data)):]
		s.detail = binary.AppendUvarint(s.detail[:0], uint64(own))
		s.detail = binary.AppendUvarint(s.detail, uint64(before))
		s.detail = flat.AppendInstant(s.detail, k.since(pane, all))
		tr.detail = s.detail
	}
	n := values.n
	switch {
	case counts != nil:
	case n < k.limit:
		n++
	default:
		from, to = values.rarest()
		s.limits.Values++
	}
	s.state = flat.AppendInt64(s.state, pane)
	s.state = appendText(s.state, func(dst []byte) []byte { return all.appendIncremented(dst) })
	s.state = binary.AppendUvarint(s.state, uint64(n))
	s.state = append(append(s.state, values.entries[:from]...), values.entries[to:]...)
	s.state = append(s.state, value...)
	s.state = appendText(s.state, func(dst []byte) []byte { return counts.appendIncremented(dst) })
}

// age returns the parts of a State for a latest pane that is shift later. They are in scratch.
func (k rarity) age(s *scratch, all paneCounts, values valueCounts, shift uint64) (paneCounts, valueCounts) {
	s.panes = all.appendAged(s.panes[:0], shift)
	end, n := len(s.panes), 0
	for rest := values.entries; len(rest) > 0; {
		value, counts, after := values.next(rest)
		rest = after
		from := len(s.panes)
		s.panes = append(s.panes, value...)
		head := len(s.panes)
		s.panes = appendText(s.panes, func(dst []byte) []byte { return counts.appendAged(dst, shift) })
		if len(s.panes) == head+1 {
			s.panes = s.panes[:from] // the value has no items left
			continue
		}
		n++
	}
	return s.panes[:end:end], valueCounts{n, s.panes[end:]}
}

// appendText appends the length of the bytes that f appends, and the bytes.
func appendText(dst []byte, f func([]byte) []byte) []byte {
	from := len(dst)
	dst = f(append(dst, 0))
	n := len(dst) - from - 1
	if n < 0x80 {
		dst[from] = byte(n)
		return dst
	}
	var head [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(head[:], uint64(n))
	dst = append(dst, head[:width-1]...)
	copy(dst[from+width:], dst[from+1:from+1+n])
	copy(dst[from:], head[:width])
	return dst
}

// since returns the start of the oldest pane that has items.
func (k rarity) since(pane int64, all paneCounts) schema.Instant {
	return schema.Instant((pane - int64(all.oldest())) * k.length)
}

func (k rarity) span() time.Duration { return time.Duration(k.length * (panesPerWindow + 1)) }

func (k rarity) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	latest, current := r.Int64(), paneOf(w, k.length)
	return current >= latest && panesBetween(latest, current) > panesPerWindow
}

func (k rarity) check(st []byte) bool {
	r := flat.NewReader(st)
	_, all, values := k.read(&r)
	total, ok := all.check()
	if r.Bad() || !ok || values.n < 1 || values.n > k.limit {
		return false
	}
	n, latest := 0, uint64(panesPerWindow) // the distance of the latest pane of the value before
	for rest := values.entries; len(rest) > 0; n++ {
		_, counts, after := values.next(rest)
		own, ok := counts.check()
		if !ok || own > total || n >= values.n {
			return false
		}
		first := flat.NewReader(counts)
		distance := first.Uvarint()
		if distance > latest {
			return false
		}
		latest, rest = distance, after
	}
	return n == values.n && latest == 0 && all[0] == 0
}

func (k rarity) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	pane, all, values := k.read(&r)
	v.Events, v.Values, v.Needs = all.total(), values.n, k.minSamples
	v.Since = new(k.since(pane, all))
}

// rarityHistory is the JSON form of the history that a finding of rarity is based on, as it was before the first
// trigger.
type rarityHistory struct {
	Count   int64          `json:"count"` // the items with the value
	Total   int64          `json:"total"` // all items
	Share   json.Number    `json:"share"` // count/total, cut to 10^-9
	History string         `json:"history"`
	Since   schema.Instant `json:"since"` // the start of the oldest pane that has items
}

func (k rarity) historyOf(g *Group) (h rarityHistory) {
	r := flat.NewReader([]byte(g.Detail))
	h.Count, h.Total, h.Since = int64(r.Uvarint()), int64(r.Uvarint()), r.Instant()
	h.Share, h.History = unitNano.number(rules.Share(h.Count, h.Total)), durationText(k.history)
	return h
}

func (k rarity) annotate(g *Group, f *schema.Finding) { f.Baseline = jsonOf(k.historyOf(g)) }

func (k rarity) explain(p *Program, g *Group) string {
	h := k.historyOf(g)
	return fmt.Sprintf("%s was %s, as in %d of %d events (%s %%) since %s, the limit is %s %%", operandNames(p.Rule.Rarity.Of), quote(g.Text),
		h.Count, h.Total, percent(rules.Share(h.Count, h.Total)), h.Since, percent(p.threshold))
}
