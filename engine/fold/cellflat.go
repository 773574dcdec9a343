package fold

import (
	"encoding/binary"
	"fmt"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// The versions of a cell's flat form. LoadCell refuses others.
const (
	cellFormat     = 2 // without the last part
	fullCellFormat = 3
)

// Append appends the cell's flat form: everything but pending.
//
//	format      1 byte
//	watermark   8 bytes big-endian
//	keys        uvarint; per key, in order: key, State (each uvarint length, bytes)
//	groups      uvarint; each as in group.go: the groups of base that have not ended
//	settled     uvarint; each as in group.go: the groups that ended and whose settled finding is not emitted yet
//	emissions   uvarint; per emission: start, end (8 bytes), version, revision (uvarint), detected, at (8 bytes),
//	            withdrawn (1 byte), sum (16 bytes), body (uvarint length, bytes)
//	sent        uvarint; each as in engine/item/trigger.go: the triggers that may be taken back
//	last loss   8 bytes big-endian, noLoss for none
//
// The last two are the last part, which is left out if there are no such triggers and no loss.
func (c *Cell) Append(dst []byte) []byte {
	c.changed = false
	dst = append(dst, c.format())
	dst = flat.AppendInstant(dst, c.watermark)
	dst = binary.AppendUvarint(dst, uint64(len(c.base.keys)))
	for i := range c.base.keys {
		dst = flat.AppendText(dst, c.base.keys[i].key)
		dst = flat.AppendText(dst, c.base.keys[i].state)
	}
	for _, groups := range [...][]Group{c.base.groups, c.settled} {
		dst = binary.AppendUvarint(dst, uint64(len(groups)))
		for i := range groups {
			dst = appendGroup(dst, &groups[i])
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.emissions)))
	for i := range c.emissions {
		dst = c.emissions[i].append(dst)
	}
	return c.appendSent(dst)
}

func (e *emission) append(dst []byte) []byte {
	dst = flat.AppendInstant(dst, e.start)
	dst = flat.AppendInstant(dst, e.end)
	dst = binary.AppendUvarint(dst, uint64(e.version))
	dst = binary.AppendUvarint(dst, e.revision)
	dst = flat.AppendInstant(dst, e.detected)
	dst = flat.AppendInstant(dst, e.at)
	if e.withdrawn {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	dst = append(dst, e.sum[:]...)
	return flat.AppendText(dst, e.body)
}

func readEmission(r *flat.Reader) (e emission) {
	e.start, e.end = r.Instant(), r.Instant()
	e.version, e.revision = int(r.Uvarint()), r.Uvarint()
	e.detected, e.at = r.Instant(), r.Instant()
	withdrawn := r.Byte()
	e.withdrawn = withdrawn == 1
	copy(e.sum[:], r.Bytes(len(e.sum)))
	e.body = string(r.Text())
	if withdrawn > 1 || e.start > e.end || e.version < 0 || e.revision == 0 {
		r.Fail()
	}
	return e
}

func knownFormat(v byte) bool { return v == cellFormat || v == fullCellFormat }

// LoadCell reads a cell that Append wrote; the caller adds the pending items afterwards. Damaged bytes are an error.
func LoadCell(p *Program, group string, src []byte) (*Cell, error) {
	c := NewCell(p, group)
	r := flat.NewReader(src)
	format := r.Byte()
	if !knownFormat(format) {
		return nil, fmt.Errorf("load cell of rule %q: format %d, not one up to %d", p.Rule.ID, format, fullCellFormat)
	}
	c.watermark = r.Instant()
	c.loadKeys(&r)
	c.base.groups = readGroups(&r)
	c.settled = readGroups(&r)
	for range r.Count(1) {
		e := readEmission(&r)
		if n := len(c.emissions); n > 0 && c.emissions[n-1].compare(&Group{Start: e.start, Version: e.version}) >= 0 {
			r.Fail()
		}
		c.emissions = append(c.emissions, e)
	}
	c.readSent(&r, format)
	if !r.Done() {
		return nil, fmt.Errorf("load cell of rule %q: %d bytes are damaged", p.Rule.ID, len(src))
	}
	c.needsEmit = true                                 // the emissions may be older than base
	c.ahead = len(c.base.keys)+len(c.base.groups) == 0 // State that was cleared: Advance finds out
	return c, nil
}

func (c *Cell) loadKeys(r *flat.Reader) {
	n := r.Count(2)
	if n > 0 {
		c.base.keys = make([]keyState, 0, n)
	}
	for range n {
		k := keyState{key: string(r.Text()), state: append([]byte(nil), r.Text()...)}
		if m := len(c.base.keys); r.Bad() || m > 0 && c.base.keys[m-1].key >= k.key || !c.p.kind.check(k.state) || len(k.state) == 0 {
			r.Fail()
			return
		}
		k.deadline = c.p.deadline(k.state)
		c.base.nextDeadline = min(c.base.nextDeadline, k.deadline)
		c.base.keys = append(c.base.keys, k)
	}
	if n > 0 {
		c.sweepAt = c.watermark.Add(c.p.kind.span())
	}
}

// readGroups reads groups, which are in order and do not overlap.
func readGroups(r *flat.Reader) (groups []Group) {
	for range r.Count(1) {
		g := readGroup(r)
		if n := len(groups); r.Bad() || n > 0 && groups[n-1].Start >= g.Start {
			r.Fail()
			return nil
		}
		groups = append(groups, g)
	}
	return groups
}

// OpenFinding is a finding that a cell emitted last as open, and that is not final.
type OpenFinding struct {
	Start    schema.Instant // of its group
	Version  int            // of the rule when the group was opened
	Revision uint64         // that was emitted last
}

// WithdrawAll marks every finding of a cell in flat form as withdrawn, with the next revision, and returns the changed form
// and the findings that were open. A cell that is loaded from it emits those that are live again. It reads no State, so it
// needs no Program: the rule may be unknown. ok is false if src is damaged.
func WithdrawAll(src []byte) (dst []byte, open []OpenFinding, ok bool) {
	r := flat.NewReader(src)
	format := r.Byte()
	if !knownFormat(format) {
		return nil, nil, false
	}
	r.Instant() // the watermark
	for range r.Count(2) {
		r.Text() // a key
		r.Text() // its State
	}
	readGroups(&r)
	readGroups(&r)
	dst = append(dst, src[:len(src)-len(r.Rest())]...)
	n := r.Count(1)
	dst = binary.AppendUvarint(dst, uint64(n))
	for range n {
		e := readEmission(&r)
		if !e.withdrawn {
			open = append(open, OpenFinding{e.start, e.version, e.revision})
			e.revision++
			e.withdrawn, e.body = true, ""
		}
		dst = e.append(dst)
	}
	dst = append(dst, r.Rest()...)
	new(Cell).readSent(&r, format)
	return dst, open, r.Done()
}

// CountKeys returns the number of keys with State of a cell in flat form, 0 if src is damaged.
func CountKeys(src []byte) int {
	r := flat.NewReader(src)
	if !knownFormat(r.Byte()) {
		return 0
	}
	r.Instant() // the watermark
	n := r.Count(2)
	if r.Bad() {
		return 0
	}
	return n
}
