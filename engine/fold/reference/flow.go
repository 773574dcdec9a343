package reference

import (
	"encoding/binary"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// flow: item e triggers if it has a label and the items of its window since the last clear, e included, have enough labels.
func flow(r *rules.Rule, items []indexed, _ schema.Instant) (all []trigger) {
	w := r.Flow
	cleared := 0 // the index of the last item that clears, from which on labels count
	for i, e := range items {
		if w.Clear && has(e, w.Labels) {
			cleared = i
		}
		if firstLabel(w, e) < 0 {
			continue
		}
		from := cleared
		for e.Time-items[from].Time >= schema.Instant(w.Within) {
			from++
		}
		in := items[from : i+1]
		if w.Ordered {
			if chain := latestChain(w, in, 0, -1); chain != nil {
				all = append(all, flowTrigger(w, in, chain))
			}
		} else if latest := latestOfLabels(w, in); labelsOf(latest) >= w.Need {
			all = append(all, flowTrigger(w, in, latest))
		}
	}
	return all
}

// firstLabel returns the first label of an item, -1 if it has none.
func firstLabel(w *rules.Flow, e indexed) int {
	for label := range w.Labels {
		if has(e, label) {
			return label
		}
	}
	return -1
}

// latestOfLabels returns for each label the index of the latest item that has it, -1 for none.
func latestOfLabels(w *rules.Flow, in []indexed) []int {
	latest := make([]int, w.Labels)
	for label := range latest {
		latest[label] = -1
		for i, e := range in {
			if has(e, label) {
				latest[label] = i
			}
		}
	}
	return latest
}

func labelsOf(latest []int) (n int) {
	for _, i := range latest {
		if i >= 0 {
			n++
		}
	}
	return n
}

// latestChain returns the indexes of items after item after that have the labels from label on, in this order: of all such
// chains the latest one, compared from the first item on; nil if there is none.
func latestChain(w *rules.Flow, in []indexed, label, after int) []int {
	if label == w.Labels {
		return []int{}
	}
	for i := len(in) - 1; i > after; i-- {
		if !has(in[i], label) {
			continue
		}
		if rest := latestChain(w, in, label+1, i); rest != nil {
			return append([]int{i}, rest...)
		}
	}
	return nil
}

// flowTrigger returns the trigger by the last item. latest has the index of the item of each label, -1 for none.
func flowTrigger(w *rules.Flow, in []indexed, latest []int) trigger {
	n, e := int64(labelsOf(latest)), in[len(in)-1]
	tr := triggerOf(e, nil)
	tr.count, tr.value, tr.opening = n, rules.Decimal{Lo: uint64(n)}, nil
	var labels uint64
	for i, it := range in {
		step := 0
		for label := w.Labels - 1; label >= 0; label-- {
			if latest[label] == i {
				step = label + 1
				labels |= 1 << label
				tr.first = min(tr.first, it.Time)
			}
		}
		if step == 0 && i == len(in)-1 {
			step = firstLabel(w, e) + 1
		}
		if step > 0 {
			tr.opening = append(tr.opening, fold.Event{Time: it.Time, Role: it.Role, Step: step, ID: it.ID, Evidence: it.Evidence})
		}
	}
	tr.joining = tr.opening[len(tr.opening)-1:]
	tr.detail = string(binary.AppendUvarint(nil, labels))
	return tr
}
