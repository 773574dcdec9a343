package fold

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
)

// Program is one rule made ready for folding. It is immutable and shared.
type Program struct {
	Rule *rules.Rule

	kind  kind
	timed timed // the kind where it has deadlines, else nil
	unit  unit
	limit rules.Decimal // what a trigger's value has to reach, in unit

	groupFor     int64    // ns
	wholeGroup   bool     // the group key is the whole key
	orders       []uint16 // the Orders of the roles, ascending: where copies of an event may stand
	mentionNames []string
	mentionsTag  uint32 // of mentionNames
	reasons      []string
	scratch      sync.Pool // of *work
}

// NewProgram prepares a rule.
func NewProgram(r *rules.Rule) *Program {
	p := &Program{Rule: r, groupFor: int64(r.GroupFor), wholeGroup: len(r.GroupBy) == len(r.Key)}
	p.scratch.New = func() any { return new(work) }
	p.setKind()
	for i := range r.Roles {
		p.orders = append(p.orders, r.Roles[i].Order)
	}
	slices.Sort(p.orders)
	p.orders = slices.Compact(p.orders)
	for i := range r.Mentions {
		p.mentionNames = append(p.mentionNames, r.Mentions[i].Name)
	}
	p.mentionsTag = item.MentionsTag(p.mentionNames)
	p.reasons = reasons(r)
	return p
}

func (p *Program) setKind() {
	switch r := p.Rule; r.Kind {
	case rules.KindNone:
		p.kind = none{}
	case rules.KindThreshold:
		p.setThreshold(r.Threshold)
	case rules.KindDistinct:
		p.kind = newDistinct(r.Distinct)
		p.unit, p.limit = unitWhole, integer(int64(r.Distinct.Count))
	case rules.KindNewValue:
		p.kind = newNewValue(r.NewValue)
	case rules.KindSequence:
		k := newSequence(r.Sequence)
		p.kind = &k
	default:
		panic("BUG: no such kind: " + string(r.Kind))
	}
}

func (p *Program) setThreshold(t *rules.Threshold) {
	switch {
	case t.Sum != nil:
		p.unit, p.limit = unitNano, rules.Decimal(t.Sum.AtLeast)
	case t.Ratio != nil:
		p.unit, p.limit = unitNano, rules.Decimal{Lo: uint64(t.Ratio.AtLeast)}
	default:
		p.unit, p.limit = unitWhole, integer(t.Count)
		if t.Count <= maxRing {
			p.kind = ring{within: uint64(t.Within), count: int(t.Count)}
			return
		}
	}
	k := newPanes(t)
	p.kind, p.timed = k, k
}

// Hash returns the hash of (rule id, Group) that chooses the shard: stable over restarts and machines.
func (p *Program) Hash(group string) uint64 {
	var room [256]byte
	b := binary.AppendUvarint(room[:0], uint64(len(p.Rule.ID)))
	b = append(b, p.Rule.ID...)
	b = append(b, group...)
	return xxh3.Hash(b)
}

// groupEnd returns the watermark at which a group that begins at t is over. A group of one instant is over as soon as
// its triggers are in base: items when the watermark is past them, deadlines when it is there.
func (p *Program) groupEnd(t int64) int64 {
	switch {
	case p.groupFor > 0:
		return later(t, p.groupFor)
	case p.timed != nil:
		return t
	}
	return later(t, 1)
}

func (p *Program) borrow() *work    { return p.scratch.Get().(*work) }
func (p *Program) giveBack(w *work) { p.scratch.Put(w) }
