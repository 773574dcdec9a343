package reference

import (
	"slices"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// absence: an item that asks triggers at its deadline if no item answers it and it is one of the 16 oldest that wait. end
// is the watermark, which a deadline has to reach.
func absence(r *rules.Rule, items []indexed, end schema.Instant) (all []trigger) {
	a := r.Absence
	if a.Form == rules.AbsenceSilent {
		return silent(a, items, end)
	}
	asks, answers, wait := 0, 1, schema.Instant(a.Within)
	if a.Form == rules.AbsenceWithout {
		asks, answers, wait = 1, 0, max(schema.Instant(a.Slack), 1)
	}
	// answered reports whether one of the items from item from on and before item to answers item i.
	answered := func(i, from, to int) bool {
		e := items[i]
		return slices.ContainsFunc(items[from:to], func(o indexed) bool {
			if !has(o, answers) {
				return false
			}
			if a.Form == rules.AbsenceExpect {
				return o.index > e.index && o.Time < e.Time+wait
			}
			return o.Time > e.Time-schema.Instant(a.Within) && o.Time < e.Time+wait
		})
	}
	var opened []int
	for i, e := range items {
		if !has(e, asks) || a.Form == rules.AbsenceWithout && answered(i, 0, i+1) {
			continue
		}
		open := 0
		for _, o := range opened {
			if items[o].Time+wait > e.Time && !answered(o, 0, i+1) {
				open++
			}
		}
		if open == 16 {
			continue
		}
		opened = append(opened, i)
		if e.Time+wait <= end && !answered(i, 0, len(items)) {
			all = append(all, missing(e, e.Time+wait, asks+1))
		}
	}
	return all
}

// silent: an item triggers at its deadline if no item comes before it.
func silent(a *rules.Absence, items []indexed, end schema.Instant) (all []trigger) {
	for i, e := range items {
		deadline := e.Time + schema.Instant(a.For)
		if deadline <= end && (i+1 == len(items) || items[i+1].Time >= deadline) {
			all = append(all, missing(e, deadline, 0))
		}
	}
	return all
}

// missing returns the trigger at the deadline of item e, which has the step.
func missing(e indexed, deadline schema.Instant, step int) trigger {
	tr := triggerOf(e, nil)
	tr.time, tr.deadline = deadline, true
	tr.opening[0].Step = step
	tr.joining = []fold.Event{tr.opening[0]}
	return tr
}
