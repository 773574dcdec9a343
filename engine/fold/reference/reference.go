// Package reference says what findings a rule gives, the slow and obvious way: it takes all items, sorts them, and looks
// at each kind's written definition. Tests hold the engine to it; nothing else imports it. It shares nothing with
// package fold but the items, and how a finding is rendered.
package reference

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Findings returns the findings that are open or settled when all items of the rule have come, in any order, and its
// watermark is there; sorted by (group_start, id), without revision and detected_at.
func Findings(p *fold.Program, items []item.Item, watermark int64) (findings []*schema.Finding) {
	owners := map[string][]item.Item{}
	for _, it := range items {
		owners[it.Group] = append(owners[it.Group], it)
	}
	for group, owned := range owners {
		owned = countedOnce(owned)
		end := max(watermark, owned[len(owned)-1].Time)
		for _, g := range groups(p, triggers(p.Rule, owned, end)) {
			f := p.Finding(group, g)
			if g.End <= watermark {
				f.Status = schema.StatusSettled
			}
			findings = append(findings, f)
		}
	}
	slices.SortFunc(findings, func(a, b *schema.Finding) int {
		return cmp.Or(cmp.Compare(a.GroupStart, b.GroupStart), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return findings
}

// countedOnce returns the items in order, of copies the one with the smallest hash.
func countedOnce(items []item.Item) []item.Item {
	type copies struct {
		key  string
		time int64
		id   schema.ID
	}
	stands := map[copies]item.Item{}
	var kept []item.Item
	for _, it := range items {
		if !it.Counted {
			kept = append(kept, it)
			continue
		}
		c := copies{it.Key, it.Time, it.ID}
		if o, ok := stands[c]; !ok || cmp.Or(strings.Compare(body(it), body(o)), inOrder(it, o)) < 0 {
			stands[c] = it
		}
	}
	for _, it := range stands {
		kept = append(kept, it)
	}
	slices.SortFunc(kept, inOrder)
	return kept
}

// body is SHA-256 over the roles (4 bytes big-endian), the data (uvarint length, bytes), and the evidence after its
// first part, which is where the record was read.
func body(it item.Item) string {
	evidence := []byte(it.Evidence)
	n, width := binary.Uvarint(evidence)
	if width > 0 && n <= uint64(len(evidence)-width) {
		evidence = evidence[width+int(n):]
	} else {
		evidence = nil
	}
	b := binary.BigEndian.AppendUint32(nil, it.Roles)
	b = binary.AppendUvarint(b, uint64(len(it.Data)))
	b = append(append(b, it.Data...), evidence...)
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// inOrder is the total order: time, role, identity; then whatever tells two items apart.
func inOrder(a, b item.Item) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Role, b.Role), bytes.Compare(a.ID[:], b.ID[:]),
		strings.Compare(a.Key, b.Key), cmp.Compare(a.Roles, b.Roles), strings.Compare(a.Data, b.Data),
		strings.Compare(a.Evidence, b.Evidence), cmp.Compare(counted(a), counted(b)))
}

func counted(it item.Item) int {
	if it.Counted {
		return 1
	}
	return 0
}

// trigger is one trigger of one key.
type trigger struct {
	time     int64
	place    int // of its item among those of the owner
	key      string
	deadline bool
	first    int64
	count    int64 // added by the first of a group
	more     int64 // added by a later one
	value    rules.Decimal
	brings   []fold.Shown // to a group that it opens
	joins    []fold.Shown // to a group that is open
	known    int64
	from     int64
	text     string
	who      string
}

// placed is an item with its place among those of the owner.
type placed struct {
	item.Item
	place int
}

// triggers returns the triggers of all keys in order. No deadline after end has fired.
func triggers(r *rules.Rule, owned []item.Item, end int64) (all []trigger) {
	keys := map[string][]placed{}
	for i, it := range owned {
		keys[it.Key] = append(keys[it.Key], placed{it, i})
	}
	for key, items := range keys {
		for _, t := range ofKey(r, items, end) {
			t.key = key
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b trigger) int {
		if a.deadline {
			return cmp.Or(cmp.Compare(a.time, b.time), strings.Compare(a.key, b.key))
		}
		return cmp.Compare(a.place, b.place)
	})
	return all
}

func ofKey(r *rules.Rule, items []placed, end int64) []trigger {
	switch r.Kind {
	case rules.KindThreshold:
		if t := r.Threshold; t.Sum != nil || t.Ratio != nil || t.Count > 256 {
			return panes(t, items, end)
		}
		return ring(r.Threshold, items)
	case rules.KindDistinct:
		return distinct(r.Distinct, items)
	case rules.KindNewValue:
		return newValue(r.NewValue, items)
	case rules.KindSequence:
		if r.Sequence.Where != nil {
			return sequenceWhere(r.Sequence, items)
		}
		return sequence(r.Sequence, items)
	}
	return none(items)
}

// groups puts triggers into groups: the first opens one for group.for, later ones join it.
func groups(p *fold.Program, all []trigger) (list []*fold.Group) {
	for _, t := range all {
		var g *fold.Group
		if n := len(list); n > 0 && (t.time == list[n-1].Start || t.time < list[n-1].End) {
			g = list[n-1]
			g.Last, g.Count = t.time, g.Count+t.more
			if g.Value.Hi < t.value.Hi || g.Value.Hi == t.value.Hi && g.Value.Lo < t.value.Lo {
				g.Value = t.value
			}
			show(g, t.joins)
			continue
		}
		g = &fold.Group{
			Version: p.Rule.Version, Start: t.time, End: over(p.Rule, &t), First: t.first, Last: t.time,
			Count: t.count, Value: t.value, Known: t.known, From: t.from, Text: t.text, Who: t.who,
		}
		show(g, t.brings)
		list = append(list, g)
	}
	return list
}

// over returns the watermark at which a group that the trigger opens is over.
func over(r *rules.Rule, t *trigger) int64 {
	switch {
	case r.GroupFor > 0 && t.time > math.MaxInt64-int64(r.GroupFor):
		return math.MaxInt64
	case r.GroupFor > 0:
		return t.time + int64(r.GroupFor)
	case t.deadline || t.time == math.MaxInt64:
		return t.time
	}
	return t.time + 1
}

// show adds events: none twice, in order, the first 3 and the last 5.
func show(g *fold.Group, events []fold.Shown) {
	list := slices.Clone(g.Shows[:g.N])
	for _, s := range events {
		if !slices.ContainsFunc(list, func(o fold.Shown) bool { return o.Time == s.Time && o.ID == s.ID }) {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b fold.Shown) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Role, b.Role), bytes.Compare(a.ID[:], b.ID[:]))
	})
	if len(list) > 8 {
		list = append(list[:3], list[len(list)-5:]...)
	}
	g.N = copy(g.Shows[:], list)
}

// shown returns the events as evidence.
func shown(items []placed) (list []fold.Shown) {
	for _, it := range items {
		list = append(list, fold.Shown{Time: it.Time, Role: it.Role, ID: it.ID, Evidence: it.Evidence})
	}
	return list
}

// who is the second part of evidence.
func who(it placed) string {
	b := []byte(it.Evidence)
	for range 2 {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > uint64(len(b)-width) {
			return ""
		}
		b = b[width:]
		it.Evidence, b = string(b[:n]), b[n:]
	}
	return it.Evidence
}

// byItem returns a trigger of the last of the items, which brings those of them that are given.
func byItem(e placed, brings []placed) trigger {
	own := shown([]placed{e})
	return trigger{
		time: e.Time, place: e.place, first: e.Time, count: 1, more: 1,
		brings: append(shown(brings), own...), joins: own, who: who(e),
	}
}
