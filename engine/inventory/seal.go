package inventory

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// sum is what the events of one combination have together in one minute.
type sum struct {
	combo       int32
	next        int32 // the sum of the same combination and another minute; -1 for none
	minute      int64
	first, last schema.Instant
	totals      schema.Totals
}

// group is an entity in one minute.
type group struct {
	kind   Kind
	entity int32
	next   int32 // the group of the same entity and another minute; -1 for none
	links  int32 // index of the first of its sums; -1 for none
	minute int64
}

// link is an element of the list of sums of a group.
type link struct{ sum, next int32 }

// Seal returns the deltas of the events for each of n shards, "" for a shard that has none. late, which may be nil, reports
// the events that are left out. Seal may be called again with other events left out.
//
// Deltas are, one after another: the entity's flat key with its length, the number of the minute as a varint, and the flat
// record.
func (b *Batch) Seal(n int, late []bool) []string {
	b.view = string(b.texts)
	b.sum(late)
	b.group()
	for len(b.out) < n {
		b.out = append(b.out, nil)
	}
	for i := range b.groups {
		b.appendDelta(&b.groups[i], n)
	}
	deltas := make([]string, n)
	for i := range deltas {
		deltas[i] = string(b.out[i])
		b.out[i] = b.out[i][:0]
	}
	return deltas
}

// sum adds up the events of each combination and minute.
func (b *Batch) sum(late []bool) {
	b.sums = b.sums[:0]
	for i := range b.combos {
		b.combos[i].sums = -1
	}
	for i := range b.events {
		o := &b.events[i]
		if o.combo < 0 || late != nil && late[i] {
			continue
		}
		s := b.sumOf(o.combo, MinuteOf(o.time))
		s.first, s.last = min(s.first, o.time), max(s.last, o.time)
		t := o.totals()
		s.totals.Add(&t)
	}
}

func (b *Batch) sumOf(c int32, minute int64) *sum {
	head := &b.combos[c].sums
	for at := *head; at >= 0; at = b.sums[at].next {
		if b.sums[at].minute == minute {
			return &b.sums[at]
		}
	}
	b.sums = append(b.sums, sum{combo: c, next: *head, minute: minute, first: schema.MaxInstant, last: schema.MinInstant})
	*head = int32(len(b.sums) - 1)
	return &b.sums[*head]
}

// group finds the sums of each entity and minute.
func (b *Batch) group() {
	b.groups, b.links = b.groups[:0], b.links[:0]
	for i := range b.entities {
		b.entities[i].groups = -1
	}
	for i := range b.sums {
		s := &b.sums[i]
		for kind, entity := range b.combos[s.combo].entity {
			if entity >= 0 {
				g := b.groupOf(Kind(kind), entity, s.minute)
				b.links = append(b.links, link{int32(i), g.links})
				g.links = int32(len(b.links) - 1)
			}
		}
	}
}

func (b *Batch) groupOf(kind Kind, entity int32, minute int64) *group {
	head := &b.entities[entity].groups
	for at := *head; at >= 0; at = b.groups[at].next {
		if b.groups[at].minute == minute {
			return &b.groups[at]
		}
	}
	b.groups = append(b.groups, group{kind: kind, entity: entity, next: *head, links: -1, minute: minute})
	*head = int32(len(b.groups) - 1)
	return &b.groups[*head]
}

// appendDelta appends the delta of a group to those of its shard.
func (b *Batch) appendDelta(g *group, n int) {
	r := &b.rec
	r.reset()
	for at := g.links; at >= 0; at = b.links[at].next {
		s := &b.sums[b.links[at].sum]
		r.first, r.last = min(r.first, s.first), max(r.last, s.last)
		r.totals.Add(&s.totals)
		if g.kind == Agent {
			c := &b.combos[s.combo]
			r.actions = append(r.actions, action{b.view[c.class.from:c.class.to], b.view[c.action.from:c.action.to], s.totals})
		}
	}
	for _, kind := range usesOf[g.kind] {
		b.addUses(g, kind)
	}
	r.settle()
	x := &b.entities[g.entity]
	dst := flat.AppendText(b.out[x.hash%uint64(n)], b.text(x.key))
	dst = binary.AppendVarint(dst, g.minute)
	b.out[x.hash%uint64(n)] = r.append(dst)
}

// addUses appends the values of a kind of a group to the record. Equal neighbours are merged; settle merges the rest.
func (b *Batch) addUses(g *group, kind schema.UseKind) {
	uses := b.rec.uses
	from := len(uses)
	for at := g.links; at >= 0; at = b.links[at].next {
		s := &b.sums[b.links[at].sum]
		name := b.combos[s.combo].uses[kind]
		if name.empty() {
			continue
		}
		u := use{kind, b.view[name.from:name.to], s.totals.Events, s.first, s.last}
		if last := len(uses) - 1; last >= from && uses[last].name == u.name {
			uses[last].add(&u)
		} else {
			uses = append(uses, u)
		}
	}
	b.rec.uses = uses
}
