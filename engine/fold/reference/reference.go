// Package reference computes the findings of a rule in the slow and obvious way: it takes all items, sorts them, and
// applies the written definition of the rule's kind. Tests compare the engine with it; nothing else imports it. It
// shares nothing with package fold but how a group is rendered as a finding.
package reference

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Findings returns the findings that are open or settled after all items of the rule have come, in any order, and the
// watermark has been reached. They are sorted by (group_start, id) and have neither revision nor detected_at.
func Findings(p *fold.Program, items []item.Item, watermark schema.Instant) (findings []*schema.Finding) {
	owners := map[string][]item.Item{}
	for _, it := range items {
		owners[it.Group] = append(owners[it.Group], it)
	}
	for group, owned := range owners {
		owned = withoutCopies(owned)
		end := max(watermark, owned[len(owned)-1].Time)
		if p.Rule.Kind == rules.KindAbsence {
			end = watermark // a missing event may still come, so nothing is shown before
		}
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

// withoutCopies returns the items in their total order. Of the copies of a counted item, the one with the smallest hash
// stays.
func withoutCopies(items []item.Item) []item.Item {
	type identity struct {
		key  string
		time schema.Instant
		id   schema.ID
	}
	smallest := map[identity]item.Item{}
	var kept []item.Item
	for _, it := range items {
		if !it.Counted {
			kept = append(kept, it)
			continue
		}
		c := identity{it.Key, it.Time, it.ID}
		if o, ok := smallest[c]; !ok || cmp.Or(strings.Compare(contentHash(it), contentHash(o)), compare(it, o)) < 0 {
			smallest[c] = it
		}
	}
	for _, it := range smallest {
		kept = append(kept, it)
	}
	slices.SortFunc(kept, compare)
	return kept
}

// contentHash is SHA-256 over the roles (4 bytes big-endian), the data (uvarint length, bytes), and the evidence after
// its first part, the position of the record, and the carried values.
func contentHash(it item.Item) string {
	evidence := []byte(it.Evidence)
	n, width := binary.Uvarint(evidence)
	if width > 0 && n <= uint64(len(evidence)-width) {
		evidence = evidence[width+int(n):]
	} else {
		evidence = nil
	}
	b := binary.BigEndian.AppendUint32(nil, it.Roles)
	b = binary.AppendUvarint(b, uint64(len(it.Data)))
	b = append(append(append(b, it.Data...), evidence...), it.Carried...)
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// compare is the total order of items: time, role, the rule that triggered, identity, then the other fields.
func compare(a, b item.Item) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Role, b.Role), strings.Compare(ruleOf(a.Fed), ruleOf(b.Fed)),
		bytes.Compare(a.ID[:], b.ID[:]), strings.Compare(a.Fed, b.Fed),
		strings.Compare(a.Key, b.Key), cmp.Compare(a.Roles, b.Roles), strings.Compare(a.Data, b.Data),
		strings.Compare(a.Evidence, b.Evidence), strings.Compare(a.Carried, b.Carried), cmp.Compare(counted(a), counted(b)))
}

// ruleOf returns the rule of a trigger's Fed.
func ruleOf(fed string) string {
	id, _, _ := strings.Cut(fed, "\x00")
	return id
}

func counted(it item.Item) int {
	if it.Counted {
		return 1
	}
	return 0
}

// trigger is one trigger of one key.
type trigger struct {
	time     schema.Instant
	index    int // of its item among those of the owner
	key      string
	deadline bool
	first    schema.Instant
	count    int64 // of the first trigger of a group
	added    int64 // of a later trigger of a group
	value    rules.Decimal
	opening  []fold.Event // the events for a group that the trigger opens
	joining  []fold.Event // the events for a group that is already open

	known      int64
	knownSince schema.Instant
	text       string
	detail     string // fold.Group.Detail
	amends     bool   // detail is that of an open group, too
	subject    string
	provenance item.Provenance
	also       []item.Provenance // the triggers that only rules over the rule see
}

// indexed is an item with its index among those of the owner.
type indexed struct {
	item.Item
	index int
}

// triggers returns the triggers of all keys in order. Deadlines after end have not fired.
func triggers(r *rules.Rule, owned []item.Item, end schema.Instant) (all []trigger) {
	keys := map[string][]indexed{}
	for i, it := range owned {
		keys[it.Key] = append(keys[it.Key], indexed{it, i})
	}
	for key, items := range keys {
		for _, t := range triggersOfKey(r, items, end) {
			t.key = key
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b trigger) int {
		if a.deadline {
			return cmp.Or(cmp.Compare(a.time, b.time), strings.Compare(a.key, b.key))
		}
		return cmp.Compare(a.index, b.index)
	})
	return all
}

func triggersOfKey(r *rules.Rule, items []indexed, end schema.Instant) []trigger {
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
	case rules.KindAbsence:
		return absence(r, items, end)
	case rules.KindBaseline:
		return baseline(r, items, end)
	case rules.KindRarity:
		return rarity(r, items, end)
	case rules.KindFlow:
		return flow(r, items, end)
	case rules.KindProvenance:
		return provenance(r, items, end)
	}
	return none(items)
}

// Triggers returns the triggers that the rule hands on to the rules over it after all items have come and the watermark
// has been reached: those of events, and those of deadlines up to the watermark.
func Triggers(p *fold.Program, items []item.Item, watermark schema.Instant) (out []item.Trigger) {
	owners := map[string][]item.Item{}
	for _, it := range items {
		owners[it.Group] = append(owners[it.Group], it)
	}
	for _, owned := range owners {
		owned = withoutCopies(owned)
		var open *trigger
		for _, t := range triggers(p.Rule, owned, watermark) {
			if t.deadline && t.time > watermark {
				continue
			}
			fed := item.Trigger{Key: t.key, Time: t.time, Deadline: t.deadline, Provenance: t.provenance}
			if fed.Opens = open == nil || t.time != open.time && t.time >= groupEnd(p.Rule, open); fed.Opens {
				open = &t
			}
			if t.deadline {
				fed.ID = item.DeadlineID(t.key)
			} else {
				e := owned[t.index]
				fed.Role, fed.Fed, fed.ID, fed.Evidence, fed.Carried = e.Role, e.Fed, e.ID, e.Evidence, e.Carried
			}
			out = append(out, fed)
			for _, fed.Provenance = range t.also {
				out = append(out, fed)
			}
		}
	}
	return out
}

// groups puts triggers into groups: the first trigger opens a group for group.for, later ones join it.
func groups(p *fold.Program, all []trigger) (list []*fold.Group) {
	for _, t := range all {
		var g *fold.Group
		if n := len(list); n > 0 && (t.time == list[n-1].Start || t.time < list[n-1].End) {
			g = list[n-1]
			g.Last, g.Count = t.time, g.Count+t.added
			if p.Rule.Baseline != nil {
				g.Count = t.count
			}
			if t.amends {
				g.Detail = t.detail
			}
			higher := g.Value.Hi < t.value.Hi || g.Value.Hi == t.value.Hi && g.Value.Lo < t.value.Lo
			if higher != lowest(p.Rule) {
				g.Value = t.value
			}
			addEvents(g, t.joining)
			continue
		}
		g = &fold.Group{
			Version: p.Rule.Version, Start: t.time, End: groupEnd(p.Rule, &t), First: t.first, Last: t.time,
			Count: t.count, Value: t.value, Known: t.known, KnownSince: t.knownSince, Text: t.text, Detail: t.detail, Subject: t.subject,
		}
		addEvents(g, t.opening)
		list = append(list, g)
	}
	return list
}

// lowest reports whether the value of a group is the lowest of its triggers.
func lowest(r *rules.Rule) bool {
	return r.Rarity != nil || r.Baseline != nil && r.Baseline.Direction == rules.DirectionDown
}

// groupEnd returns the watermark at which a group that the trigger opens settles.
func groupEnd(r *rules.Rule, t *trigger) schema.Instant {
	switch {
	case r.GroupFor > 0 && t.time > schema.MaxInstant-schema.Instant(r.GroupFor):
		return schema.MaxInstant
	case r.GroupFor > 0:
		return t.time + schema.Instant(r.GroupFor)
	case t.deadline || t.time == schema.MaxInstant:
		return t.time
	}
	return t.time + 1
}

// addEvents adds events that the group does not have, in order. Of more than 8 the first 3 and the last 5 stay.
func addEvents(g *fold.Group, events []fold.Event) {
	list := slices.Clone(g.Events[:g.N])
	for _, e := range events {
		if !slices.ContainsFunc(list, func(o fold.Event) bool { return o.Time == e.Time && o.ID == e.ID }) {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b fold.Event) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Role, b.Role), bytes.Compare(a.ID[:], b.ID[:]))
	})
	if len(list) > 8 {
		list = append(list[:3], list[len(list)-5:]...)
	}
	g.N = copy(g.Events[:], list)
}

// eventsOf returns the items as events of a group.
func eventsOf(items []indexed) (list []fold.Event) {
	for _, it := range items {
		list = append(list, fold.Event{Time: it.Time, Role: it.Role, ID: it.ID, Evidence: it.Evidence})
	}
	return list
}

// subjectOf returns the second part of an item's evidence.
func subjectOf(it indexed) string {
	b := []byte(it.Evidence)
	var part string
	for range 2 {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > uint64(len(b)-width) {
			return ""
		}
		b = b[width:]
		part, b = string(b[:n]), b[n:]
	}
	return part
}

// triggerOf returns a trigger by item e. Besides e it has the earlier events for a group that it opens.
func triggerOf(e indexed, earlier []indexed) trigger {
	own := eventsOf([]indexed{e})
	return trigger{
		time: e.Time, index: e.index, first: e.Time, count: 1, added: 1,
		opening: append(eventsOf(earlier), own...), joining: own, subject: subjectOf(e),
	}
}
