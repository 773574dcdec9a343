package fold

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Program is one rule prepared for folding. It is immutable and shared.
type Program struct {
	Rule *rules.Rule

	kind  kind
	timed timed // the kind if it has deadlines, else nil
	// baseOnly reports that the kind's triggers count only in base: an event that is missing may still arrive as long as
	// the watermark has not passed the deadline.
	baseOnly  bool
	unit      unit
	threshold rules.Decimal // the value that triggers, in unit
	// The value of a group is the highest of its triggers, and its count that of the first trigger and what the others add;
	// or, with lowest, the lowest value, and with latestCount, the count of the last trigger.
	lowest, latestCount bool

	feeds        bool     // the rule's triggers are items of other rules
	wholeGroup   bool     // the group key is the whole key
	orders       []uint16 // the distinct Orders of the roles, ascending: the roles that copies of an event may have
	mentionNames []string
	mentionsTag  uint32    // of mentionNames
	branchesTag  uint32    // of the texts of the conditions: see item.Evidence
	pool         sync.Pool // of *scratch
}

// NewProgram prepares a rule.
func NewProgram(r *rules.Rule) *Program {
	p := &Program{Rule: r, feeds: r.IsFeeding, wholeGroup: len(r.GroupBy) == len(r.Key)}
	p.pool.New = func() any { return new(scratch) }
	p.setKind()
	for i := range r.Roles {
		p.orders = append(p.orders, r.Roles[i].Order)
	}
	slices.Sort(p.orders)
	p.orders = slices.Compact(p.orders)
	for i := range r.Mentions {
		p.mentionNames = append(p.mentionNames, r.Mentions[i].Name)
	}
	p.mentionsTag = item.Tag(p.mentionNames)
	var texts []string
	for i := range r.Roles {
		if cond := r.Reasons(i); cond != nil {
			texts = append(texts, cond.Text())
		}
	}
	p.branchesTag = item.Tag(texts)
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
		p.unit, p.threshold = unitWhole, rules.DecimalUnits(int64(r.Distinct.Count))
	case rules.KindNewValue:
		p.kind = newNewValue(r.NewValue)
	case rules.KindSequence:
		k := newSequence(r.Sequence)
		p.kind = &k
	case rules.KindAbsence:
		p.setAbsence(r.Absence)
	case rules.KindBaseline:
		p.setBaseline(r.Baseline)
	case rules.KindRarity:
		p.setRarity(r.Rarity)
	case rules.KindFlow:
		p.setFlow(r.Flow)
	case rules.KindProvenance:
		p.setProvenance(r.Provenance)
	default:
		panic("BUG: no such kind: " + string(r.Kind))
	}
}

func (p *Program) setThreshold(t *rules.Threshold) {
	switch {
	case t.Sum != nil:
		p.unit, p.threshold = unitNano, rules.Decimal(t.Sum.AtLeast)
	case t.Ratio != nil:
		p.unit, p.threshold = unitNano, rules.Decimal{Lo: uint64(t.Ratio.AtLeast)}
	default:
		p.unit, p.threshold = unitWhole, rules.DecimalUnits(t.Count)
		if t.Count <= maxRing {
			p.kind = ring{within: t.Within, count: int(t.Count)}
			return
		}
	}
	k := newPanes(t)
	p.kind, p.timed = k, k
}

// Hash returns the hash of (rule id, group key) that chooses the shard. It is the same on every machine and after every
// restart.
func (p *Program) Hash(group string) uint64 {
	var buf [256]byte
	b := binary.AppendUvarint(buf[:0], uint64(len(p.Rule.ID)))
	b = append(b, p.Rule.ID...)
	b = append(b, group...)
	return xxh3.Hash(b)
}

// groupEnd returns the end of a group that starts at t: the watermark at which it settles. Without group.for a group
// lasts one instant and settles as soon as all its triggers are in base. An item moves into base when the watermark is
// after its time; a deadline, when the watermark is at it.
func (p *Program) groupEnd(t schema.Instant) schema.Instant {
	switch {
	case p.Rule.GroupFor > 0:
		return t.Add(p.Rule.GroupFor)
	case p.timed != nil:
		return t
	}
	return t.Add(1)
}

func (p *Program) getScratch() *scratch  { return p.pool.Get().(*scratch) }
func (p *Program) putScratch(s *scratch) { p.pool.Put(s) }
