package fold

import (
	"encoding/binary"
	"fmt"

	"github.com/aidr-engine/aidr/engine/flat"
)

// cellFormat is the version of a cell's flat form. Cells of other versions are not read.
const cellFormat = 2

// Append appends the cell's flat form: everything but pending.
//
//	format      1 byte
//	watermark   8 bytes big-endian
//	keys        uvarint; per key: key, State (each uvarint length, bytes), in order
//	groups      uvarint; each as in group.go: those of base that are not over
//	settled     uvarint; each as in group.go: over, and not emitted as such
//	emissions   uvarint; per emission: start, end (8 bytes), version, revision (uvarint), detected, at (8 bytes),
//	            withdrawn (1 byte), sum (16 bytes), body (uvarint length, bytes)
func (c *Cell) Append(dst []byte) []byte {
	c.changed = false
	dst = append(dst, cellFormat)
	dst = flat.AppendInt64(dst, c.mark)
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
	return dst
}

func (e *emission) append(dst []byte) []byte {
	dst = flat.AppendInt64(dst, e.start)
	dst = flat.AppendInt64(dst, e.end)
	dst = binary.AppendUvarint(dst, uint64(e.version))
	dst = binary.AppendUvarint(dst, e.revision)
	dst = flat.AppendInt64(dst, e.detected)
	dst = flat.AppendInt64(dst, e.at)
	if e.withdrawn {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	dst = append(dst, e.sum[:]...)
	return flat.AppendText(dst, e.body)
}

func cutEmission(r *flat.Reader) (e emission) {
	e.start, e.end = r.Int64(), r.Int64()
	e.version, e.revision = int(r.Uvarint()), r.Uvarint()
	e.detected, e.at = r.Int64(), r.Int64()
	withdrawn := r.Byte()
	e.withdrawn = withdrawn == 1
	copy(e.sum[:], r.Bytes(len(e.sum)))
	e.body = string(r.Text())
	if withdrawn > 1 || e.start > e.end || e.version < 0 || e.revision == 0 {
		r.Fail()
	}
	return e
}

// LoadCell reads what Append wrote; pending items are added afterwards with Add. Damaged bytes are an error.
func LoadCell(p *Program, group string, src []byte) (*Cell, error) {
	c := NewCell(p, group)
	r := flat.NewReader(src)
	if v := r.Byte(); v != cellFormat {
		return nil, fmt.Errorf("load cell of rule %q: format %d, not %d", p.Rule.ID, v, cellFormat)
	}
	c.mark = r.Int64()
	c.loadKeys(&r)
	c.base.groups = loadGroups(&r)
	c.settled = loadGroups(&r)
	for range r.Count(1) {
		e := cutEmission(&r)
		if n := len(c.emissions); n > 0 && c.emissions[n-1].compare(&Group{Start: e.start, Version: e.version}) >= 0 {
			r.Fail()
		}
		c.emissions = append(c.emissions, e)
	}
	if !r.Done() {
		return nil, fmt.Errorf("load cell of rule %q: %d bytes are damaged", p.Rule.ID, len(src))
	}
	c.touched = true // what was emitted may be older than base
	return c, nil
}

func (c *Cell) loadKeys(r *flat.Reader) {
	n := r.Count(2)
	if n > 0 {
		c.base.keys = make([]keyed, 0, n)
	}
	for range n {
		k := keyed{key: string(r.Text()), state: append([]byte(nil), r.Text()...)}
		if m := len(c.base.keys); r.Bad() || m > 0 && c.base.keys[m-1].key >= k.key || !c.p.kind.check(k.state) || len(k.state) == 0 {
			r.Fail()
			return
		}
		k.wake = c.p.wake(k.state)
		c.base.next = min(c.base.next, k.wake)
		c.base.keys = append(c.base.keys, k)
	}
	if n > 0 {
		c.sweepAt = later(c.mark, c.p.kind.span())
	}
}

// loadGroups reads groups in order; they do not overlap.
func loadGroups(r *flat.Reader) (groups []Group) {
	for range r.Count(1) {
		g := cutGroup(r)
		if n := len(groups); r.Bad() || n > 0 && groups[n-1].Start >= g.Start {
			r.Fail()
			return nil
		}
		groups = append(groups, g)
	}
	return groups
}
