package inventory

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// record is the decoded form of what is stored of an entity: of one minute, or of all minutes up to one. Its texts are views
// of the flat form or of a batch. The zero record is empty.
//
// The flat form; numbers are uvarints if nothing else is said, texts have their length before them:
//
//	first, last, newest   int64 each
//	totals                events, success, failure, blocked, input tokens, output tokens, cost
//	omitted               count, then for each kind: its number in one byte, events
//	uses                  count, then for each, sorted by kind and name:
//	                      kind in one byte, name, count, first as int64, last - first
//	actions               count, then for each, sorted: class, action, totals; of one minute of an agent only
//	rest                  one byte, 1 if the totals of the actions over MaxActions follow
type record struct {
	first, last, newest schema.Instant
	totals              schema.Totals
	omitted             schema.Omitted
	uses                []use
	actions             []action
	rest                schema.Totals
}

// use is one value that an entity was seen with.
type use struct {
	kind        schema.UseKind
	name        string
	count       int64
	first, last schema.Instant
}

func (u *use) compare(o *use) int {
	if u.kind != o.kind {
		return cmp.Compare(u.kind, o.kind)
	}
	return strings.Compare(u.name, o.name)
}

func (u *use) add(o *use) {
	u.count = addSaturated(u.count, o.count)
	u.first, u.last = min(u.first, o.first), max(u.last, o.last)
}

// action is the class and the action of events, with their totals.
type action struct {
	class, action string
	totals        schema.Totals
}

func (a *action) compare(o *action) int {
	if c := strings.Compare(a.class, o.class); c != 0 {
		return c
	}
	return strings.Compare(a.action, o.action)
}

// addSaturated adds two numbers that are not negative.
func addSaturated(a, b int64) int64 {
	if sum := a + b; sum >= 0 {
		return sum
	}
	return 1<<63 - 1
}

// reset makes the record empty. It keeps the storage.
func (r *record) reset() {
	*r = record{first: schema.MaxInstant, last: schema.MinInstant, newest: schema.MinInstant, uses: r.uses[:0], actions: r.actions[:0]}
}

// append appends the flat form of the record.
func (r *record) append(dst []byte) []byte {
	dst = flat.AppendInstant(flat.AppendInstant(flat.AppendInstant(dst, r.first), r.last), r.newest)
	dst = appendTotals(dst, &r.totals)
	n := 0
	for _, events := range r.omitted {
		if events != 0 {
			n++
		}
	}
	dst = append(dst, byte(n))
	for kind, events := range r.omitted {
		if events != 0 {
			dst = binary.AppendUvarint(append(dst, byte(kind)), uint64(events))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.uses)))
	for i := range r.uses {
		u := &r.uses[i]
		dst = flat.AppendText(append(dst, byte(u.kind)), u.name)
		dst = binary.AppendUvarint(dst, uint64(u.count))
		dst = binary.AppendUvarint(flat.AppendInstant(dst, u.first), u.last.Since(u.first))
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.actions)))
	for i := range r.actions {
		a := &r.actions[i]
		dst = appendTotals(flat.AppendText(flat.AppendText(dst, a.class), a.action), &a.totals)
	}
	if r.rest == (schema.Totals{}) {
		return append(dst, 0)
	}
	return appendTotals(append(dst, 1), &r.rest)
}

func appendTotals(dst []byte, t *schema.Totals) []byte {
	for _, n := range [...]int64{t.Events, t.Success, t.Failure, t.Blocked, t.InputTokens, t.OutputTokens, int64(t.Cost)} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return dst
}

// read sets the record to the one that append wrote at the front of s, and returns the text after it. ok is false if s is
// damaged.
func (r *record) read(s string) (rest string, ok bool) {
	in := reader{s: s}
	r.reset()
	r.first, r.last, r.newest = in.instant(), in.instant(), in.instant()
	in.totals(&r.totals)
	for range in.count() {
		kind, n := in.byte(), in.uvarint()
		if int(kind) >= len(r.omitted) {
			return s, false
		}
		r.omitted[kind] = int64(n)
	}
	for range in.count() {
		u := use{kind: schema.UseKind(in.byte()), name: in.text(), count: int64(in.uvarint()), first: in.instant()}
		u.last = schema.Instant(uint64(u.first) + in.uvarint())
		if u.kind >= schema.NumUses || in.bad {
			return s, false
		}
		r.uses = append(r.uses, u)
	}
	for range in.count() {
		a := action{class: in.text(), action: in.text()}
		in.totals(&a.totals)
		if in.bad {
			return s, false
		}
		r.actions = append(r.actions, a)
	}
	if in.byte() == 1 {
		in.totals(&r.rest)
	}
	return in.s, !in.bad
}

// reader reads flat values from the front of a text, without copying. After the first value that does not fit it is bad,
// and every further read returns a zero value.
type reader struct {
	s   string
	bad bool
}

func (r *reader) fail() { r.s, r.bad = "", true }

func (r *reader) byte() byte {
	if len(r.s) == 0 {
		r.fail()
		return 0
	}
	b := r.s[0]
	r.s = r.s[1:]
	return b
}

func (r *reader) uvarint() (n uint64) {
	for shift := uint(0); shift < 64; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.fail()
	return 0
}

// count reads a number of elements, each of which takes at least one byte.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.s)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) instant() schema.Instant {
	if len(r.s) < 8 {
		r.fail()
		return 0
	}
	s := r.s[:8]
	n := uint64(s[0])<<56 | uint64(s[1])<<48 | uint64(s[2])<<40 | uint64(s[3])<<32 |
		uint64(s[4])<<24 | uint64(s[5])<<16 | uint64(s[6])<<8 | uint64(s[7])
	r.s = r.s[8:]
	return schema.Instant(n)
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.s)) {
		r.fail()
		return ""
	}
	t := r.s[:n]
	r.s = r.s[n:]
	return t
}

func (r *reader) totals(t *schema.Totals) {
	t.Events, t.Success, t.Failure = int64(r.uvarint()), int64(r.uvarint()), int64(r.uvarint())
	t.Blocked, t.InputTokens, t.OutputTokens = int64(r.uvarint()), int64(r.uvarint()), int64(r.uvarint())
	t.Cost = schema.Cost(r.uvarint())
}

// settle sorts the uses and the actions, which were appended in any order, merges equal ones, and applies the limits of one
// minute.
func (r *record) settle() {
	slices.SortFunc(r.uses, func(a, b use) int { return a.compare(&b) })
	kept := r.uses[:0]
	n := 0
	for i := range r.uses {
		u := &r.uses[i]
		switch last := len(kept) - 1; {
		case last >= 0 && kept[last].kind == u.kind && kept[last].name == u.name:
			kept[last].add(u)
		case last >= 0 && kept[last].kind == u.kind && n == MaxUses:
			r.omitted[u.kind] = addSaturated(r.omitted[u.kind], u.count)
		default:
			if last < 0 || kept[last].kind != u.kind {
				n = 0
			}
			kept, n = append(kept, *u), n+1
		}
	}
	r.uses = kept
	r.settleActions()
}

func (r *record) settleActions() {
	slices.SortFunc(r.actions, func(a, b action) int { return a.compare(&b) })
	kept := r.actions[:0]
	for i := range r.actions {
		a := &r.actions[i]
		switch last := len(kept) - 1; {
		case last >= 0 && kept[last].compare(a) == 0:
			kept[last].totals.Add(&a.totals)
		case len(kept) == MaxActions:
			r.rest.Add(&a.totals)
		default:
			kept = append(kept, *a)
		}
	}
	r.actions = kept
}

// mergeMinute sets r to the union of two records of one minute.
func (r *record) mergeMinute(a, b *record) {
	r.reset()
	r.addSums(a)
	r.addSums(b)
	r.newest = max(a.newest, b.newest)
	r.mergeUses(a.uses, b.uses)
	r.actions = append(append(r.actions, a.actions...), b.actions...)
	r.rest.Add(&a.rest)
	r.rest.Add(&b.rest)
	r.settleActions()
}

// mergeUses appends the union of two sorted lists, with the limit of one minute.
func (r *record) mergeUses(a, b []use) {
	n := 0 // of the kind
	for len(a) > 0 || len(b) > 0 {
		var u use
		switch c := compareFirst(a, b); {
		case c < 0:
			u, a = a[0], a[1:]
		case c > 0:
			u, b = b[0], b[1:]
		default:
			u = a[0]
			u.add(&b[0])
			a, b = a[1:], b[1:]
		}
		if last := len(r.uses) - 1; last < 0 || r.uses[last].kind != u.kind {
			n = 0
		}
		if n == MaxUses {
			r.omitted[u.kind] = addSaturated(r.omitted[u.kind], u.count)
			continue
		}
		r.uses, n = append(r.uses, u), n+1
	}
}

// compareFirst compares the first elements of two lists of which at least one is not empty. An empty list comes last.
func compareFirst(a, b []use) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].compare(&b[0])
}

func (r *record) addSums(o *record) {
	r.first, r.last = min(r.first, o.first), max(r.last, o.last)
	r.totals.Add(&o.totals)
	for kind, n := range o.omitted {
		r.omitted[kind] = addSaturated(r.omitted[kind], n)
	}
}

// fold sets r to base with a later minute folded into it. Values that base lists stay, and new ones are added in the order of
// their names while there is room.
func (r *record) fold(base, m *record) {
	r.reset()
	r.addSums(base)
	r.addSums(m)
	r.newest = base.newest
	var room [schema.NumUses]int
	for kind := range room {
		room[kind] = MaxUses
	}
	for i := range base.uses {
		room[base.uses[i].kind]--
	}
	i := 0
	for k := range m.uses {
		u := &m.uses[k]
		for i < len(base.uses) && base.uses[i].compare(u) < 0 {
			r.uses = append(r.uses, base.uses[i])
			i++
		}
		switch {
		case i < len(base.uses) && base.uses[i].compare(u) == 0:
			r.uses = append(r.uses, base.uses[i])
			r.uses[len(r.uses)-1].add(u)
			i++
		case room[u.kind] == 0:
			r.omitted[u.kind] = addSaturated(r.omitted[u.kind], u.count)
		default:
			room[u.kind]--
			r.uses = append(r.uses, *u)
			if IsBehaviour(u.kind) {
				r.newest = max(r.newest, u.first)
			}
		}
	}
	r.uses = append(r.uses, base.uses[i:]...)
}

// entity returns the record as an Entity that owns its texts.
func (r *record) entity(k Key) *Entity {
	e := &Entity{Key: k, FirstSeen: r.first, LastSeen: r.last, NewestUse: r.newest, Totals: r.totals, Omitted: r.omitted}
	for i := range r.uses {
		u := &r.uses[i]
		e.Uses[u.kind] = append(e.Uses[u.kind], schema.Use{
			Name: strings.Clone(u.name), Count: u.count, FirstSeen: u.first, LastSeen: u.last,
		})
	}
	return e
}
