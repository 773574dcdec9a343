package reference

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// provenance: item e triggers by the first of the values it uses that an item before e in (e.time-within, e.time] brought,
// and that none of these items nor e made known. Of the values of all time, the 4,096 brought last are brought, and the
// 4,096 made known last are known.
func provenance(r *rules.Rule, items []indexed, _ schema.Instant) (all []trigger) {
	for i, e := range items {
		if !has(e, 2) {
			continue
		}
		in := func(j int, ok bool) bool { return ok && e.Time-items[j].Time < schema.Instant(r.Provenance.Within) }
		known, brought := latestOf(items[:i+1], 0), latestOf(items[:i], 1)
		used := item.ReadUsed(afterBrought(e, 2))
		for {
			hash, argument, text, ok := used.Next()
			if !ok {
				break
			}
			k, isKnown := known[hash]
			b, isBrought := brought[hash]
			if !in(b, isBrought) || in(k, isKnown) {
				continue
			}
			t := taint(items, b, i, argument, text)
			if n := len(all); n == 0 || all[n-1].index != e.index {
				all = append(all, t)
			} else if last := &all[n-1]; last.provenance.Argument != argument &&
				!slices.ContainsFunc(last.also, func(p item.Provenance) bool { return p.Argument == argument }) {
				last.also = append(last.also, t.provenance) // the longest value of each further argument
			}
		}
	}
	return all
}

// afterBrought returns the data of an item after the parts of the roles before role.
func afterBrought(it indexed, role int) string {
	data := it.Data
	for i := range role {
		if has(it, i) {
			_, data = item.ReadBrought(data)
		}
	}
	return data
}

// broughtBy returns the hashes of the values that an item has for a role, the last one of its text first.
func broughtBy(it indexed, role int) (hashes []string) {
	if !has(it, role) {
		return nil
	}
	b, _ := item.ReadBrought(afterBrought(it, role))
	var list []string
	for v := b.Values; v != ""; v = v[10:] {
		list = append(list, v[8:10]+v[:8])
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(b, a) })
	for _, v := range list {
		hashes = append(hashes, v[2:])
	}
	return hashes
}

// latestOf returns the index of the last item with each of the 4,096 values that items had for a role last.
func latestOf(items []indexed, role int) map[string]int {
	latest := map[string]int{}
	for i := len(items) - 1; i >= 0; i-- {
		for _, hash := range broughtBy(items[i], role) {
			if _, ok := latest[hash]; !ok && len(latest) < 4096 {
				latest[hash] = i
			}
		}
	}
	return latest
}

// taint returns the trigger by item e, which uses a value that item b brought. The evidence of b is known, of at most 2048
// bytes, if fewer than 32 later items brought values before e; else the position of its record is.
func taint(items []indexed, b, e int, argument, value string) trigger {
	tr := triggerOf(items[e], nil)
	evidence := items[b].Evidence[:min(len(items[b].Evidence), 2048)]
	later := 0
	for _, it := range items[b+1 : e] {
		if len(broughtBy(it, 1)) > 0 {
			later++
		}
	}
	if n, width := binary.Uvarint([]byte(evidence)); later >= 32 && width > 0 {
		evidence = evidence[:min(len(evidence), width+int(n))]
	}
	from, into := eventsOf(items[b : b+1])[0], eventsOf(items[e : e+1])[0]
	from.Step, from.Evidence, into.Step = 2, evidence, 3
	tr.opening = []fold.Event{from, into}
	tr.joining = tr.opening
	source, _ := item.ReadBrought(afterBrought(items[b], 1))
	tr.detail = joined(value, argument, source.Source)
	return tr
}

// joined returns length-prefixed texts.
func joined(texts ...string) (all string) {
	for _, t := range texts {
		all += string(binary.AppendUvarint(nil, uint64(len(t)))) + t
	}
	return all
}
