package reference

import (
	"fmt"
	"slices"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// places returns the index of the step at each place: a step with times n has n places.
func places(q *rules.Sequence) (list []int) {
	for i, s := range q.Steps {
		for range max(1, s.Times) {
			list = append(list, i)
		}
	}
	return list
}

func has(it indexed, role int) bool { return it.Roles&(1<<role) != 0 }

// sequence, without where: item e triggers if there are items s1 < s2 < ... < e, one for each place, with e.time -
// s1.time < within and no unless between s1 and e. The evidence is the latest such chain, compared from s1 on.
func sequence(q *rules.Sequence, items []indexed) (all []trigger) {
	steps := places(q)
	for i, e := range items {
		if !has(e, steps[len(steps)-1]) {
			continue
		}
		failed := map[[2]int]bool{}
		// search returns the latest chain for the places from place on, of items after item number after.
		var search func(place, after int) ([]int, bool)
		search = func(place, after int) ([]int, bool) {
			if place == len(steps)-1 {
				return []int{i}, true
			}
			if failed[[2]int{place, after}] {
				return nil, false
			}
			for j := i - 1; j > after; j-- {
				if !has(items[j], steps[place]) || place == 0 && !unbroken(q, items, j, i) {
					continue
				}
				if rest, ok := search(place+1, j); ok {
					return append([]int{j}, rest...), true
				}
			}
			failed[[2]int{place, after}] = true
			return nil, false
		}
		if chain, ok := search(0, -1); ok {
			all = append(all, chainTrigger(steps, items, chain))
		}
	}
	return all
}

// unbroken reports whether a chain may begin at item j and end at item i.
func unbroken(q *rules.Sequence, items []indexed, j, i int) bool {
	if items[i].Time-items[j].Time >= schema.Instant(q.Within) {
		return false
	}
	for _, it := range items[j+1 : i] {
		if q.Unless && has(it, len(q.Steps)) {
			return false
		}
	}
	return true
}

// chainTrigger returns the trigger by the chain's last item.
func chainTrigger(steps []int, items []indexed, chain []int) trigger {
	tr := triggerOf(items[chain[len(chain)-1]], nil)
	tr.first, tr.count, tr.opening = items[chain[0]].Time, int64(len(chain)), nil
	for place, i := range chain {
		it := items[i]
		tr.opening = append(tr.opening, fold.Event{Time: it.Time, Role: it.Role, Step: steps[place] + 1, ID: it.ID, Evidence: it.Evidence})
	}
	tr.joining = tr.opening[len(tr.opening)-1:]
	return tr
}

// sequenceWhere, with where: a chain has a join value, the list of the values of the joins that its items know so far; an
// item extends the chains whose join value agrees with its own. At each place but the last the latest chain of each join
// value is known, or the 16 latest if where is more than joins, compared from s1 on, for the 4,096 join values for which a
// chain began or grew last. Of the chains that an item completes, the latest one for which where holds triggers.
func sequenceWhere(q *rules.Sequence, items []indexed) (all []trigger) {
	steps := places(q)
	limit := 16
	if q.Where.JoinsAlone() {
		limit = 1
	}
	known := make([][][]int, len(steps))
	var grown []string // the join values, the one for which a chain began or grew last at the end
	for x, e := range items {
		for i := range known {
			known[i] = slices.DeleteFunc(known[i], func(c []int) bool { return e.Time-items[c[0]].Time >= schema.Instant(q.Within) })
		}
		extended := make([][][]int, len(steps))
		for i := range steps {
			if !has(e, steps[i]) {
				continue
			}
			shorter := [][]int{{}}
			if i > 0 {
				shorter = known[i-1]
			}
			for _, c := range shorter {
				longer := append(slices.Clone(c), x)
				if _, ok := joinValue(q, steps, items, longer); ok {
					extended[i] = append(extended[i], longer)
				}
			}
		}
		complete := extended[len(steps)-1]
		slices.SortFunc(complete, func(a, b []int) int { return slices.Compare(b, a) })
		for _, c := range complete {
			if ok, err := q.Where.Eval(values(q, steps, items, c), predicate.NewScratch()); q.Where.JoinsAlone() || ok && err == nil {
				all = append(all, chainTrigger(steps, items, c))
				break
			}
		}
		for i := len(steps) - 2; i >= 0; i-- {
			for _, c := range extended[i] {
				v, _ := joinValue(q, steps, items, c)
				grown = append(slices.DeleteFunc(grown, func(o string) bool { return o == v }), v)
			}
		}
		grown = grown[max(0, len(grown)-4096):]
		for i := range len(steps) - 1 {
			known[i] = append(known[i], extended[i]...)
			if q.Unless && has(e, len(q.Steps)) {
				known[i] = slices.DeleteFunc(known[i], func(c []int) bool { return c[0] < x })
			}
			slices.SortFunc(known[i], slices.Compare)
			slices.Reverse(known[i])
			count := map[string]int{}
			known[i] = slices.DeleteFunc(known[i], func(c []int) bool {
				v, _ := joinValue(q, steps, items, c)
				count[v]++
				return count[v] > limit || !slices.Contains(grown, v)
			})
			slices.Reverse(known[i])
		}
	}
	return all
}

// joinValue returns the join value of a chain; ok is false if a side of a join is absent or empty, or two differ.
func joinValue(q *rules.Sequence, steps []int, items []indexed, chain []int) (v string, ok bool) {
	for _, j := range q.Where.Joins() {
		var sides []string
		for _, side := range j.Sides {
			for place, i := range chain {
				if steps[place] != q.Where.Needs()[side.Need].Step {
					continue
				}
				value := side.Value(need(q, items[i], side.Need))
				if !value.Present() {
					return "", false
				}
				sides = append(sides, fmt.Sprintf("%d %d %q", value.Kind, value.Num, value.Text))
			}
		}
		slices.Sort(sides)
		if sides = slices.Compact(sides); len(sides) > 1 {
			return "", false
		}
		v += fmt.Sprintln(sides)
	}
	return v, true
}

// values returns the values of a chain that where reads.
func values(q *rules.Sequence, steps []int, items []indexed, chain []int) (list []schema.Value) {
	for i, n := range q.Where.Needs() {
		list = append(list, need(q, items[chain[slices.Index(steps, n.Step)]], i))
	}
	return list
}

// need returns the value of need i of where that an item has.
func need(q *rules.Sequence, it indexed, i int) schema.Value {
	data := []byte(it.Data)
	for j, m := range q.Where.Needs()[:i+1] {
		if !has(it, m.Step) {
			continue
		}
		v, rest, ok := schema.ReadValue(data)
		if !ok {
			break
		}
		if data = rest; j == i {
			return v
		}
	}
	return schema.Value{}
}
