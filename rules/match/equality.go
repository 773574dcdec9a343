package match

import (
	"cmp"
	"slices"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// fieldIndex finds candidates by the value of one field: with one look-up in a map, and one in each list that a
// condition tests the field against.
type fieldIndex struct {
	field schema.Field
	equal map[string][]uint32 // by value: indexes into Index.conds, ascending
	lists []listIndex
}

// listIndex holds the conditions that need the field to be in a list. The look-up is done by the list, so the cost does
// not depend on its size.
type listIndex struct {
	list  expr.List
	conds []uint32
}

// Plan is the way in which the index finds a condition.
type Plan struct {
	Always bool         // the condition lacks a witness, so it is evaluated for every event
	Field  schema.Field // the field of the witness
	Values []string     // the values of the field with which the condition is a candidate; nil for a list
	Why    string       // if Always: why it lacks a witness
}

// Plan returns the plan of condition number i, which `aidr rules check` shows.
func (x *Index) Plan(i int) Plan { return x.planned[i] }

// plan chooses a witness for each condition and fills the fields' indexes.
func (x *Index) plan() {
	witnesses := make([][]expr.Witness, len(x.conds))
	for i := range x.conds {
		witnesses[i] = x.conds[i].witnesses()
	}
	popular := countUse(witnesses)
	byField := map[schema.Field]*fieldIndex{}
	for i := range x.conds {
		w, ok := popular.best(witnesses[i])
		for _, u := range x.conds[i].users {
			x.planned[u.number] = Plan{Always: !ok, Field: w.Field, Values: w.Values, Why: w.Why}
		}
		if !ok {
			x.always = append(x.always, uint32(i))
			continue
		}
		f := byField[w.Field]
		if f == nil {
			f = &fieldIndex{field: w.Field, equal: map[string][]uint32{}}
			byField[w.Field] = f
		}
		f.add(w, uint32(i))
	}
	for _, f := range byField {
		x.fields = append(x.fields, *f)
	}
	slices.SortFunc(x.fields, func(a, b fieldIndex) int { return cmp.Compare(a.field, b.field) })
}

// add files condition n under its witness.
func (f *fieldIndex) add(w expr.Witness, n uint32) {
	if w.List != nil {
		for i := range f.lists {
			if f.lists[i].list == w.List {
				f.lists[i].conds = append(f.lists[i].conds, n)
				return
			}
		}
		f.lists = append(f.lists, listIndex{list: w.List, conds: []uint32{n}})
		return
	}
	for _, v := range w.Values {
		// A list literal may contain the same value twice.
		if c := f.equal[v]; len(c) == 0 || c[len(c)-1] != n {
			f.equal[v] = append(c, n)
		}
	}
}

// witnesses returns the condition's own witnesses and, if every user is narrowed to datasets, these datasets as one more.
func (c *cond) witnesses() []expr.Witness {
	all := slices.Clone(c.cond.Witnesses())
	var datasets []string
	for _, u := range c.users {
		if len(u.datasets) == 0 {
			return all
		}
		datasets = append(datasets, u.datasets...)
	}
	slices.Sort(datasets)
	return append(all, expr.Witness{Field: schema.EventDataset, Values: slices.Compact(datasets)})
}

// use counts the conditions that have a value or a list in one of their witnesses. Events are not known when a Set is
// built, so the count is an estimate of how often a witness holds: values that many rules name are those that many events
// have.
type use struct {
	values map[fieldValue]int
	lists  map[fieldList]int
}

type fieldValue struct {
	field schema.Field
	value string
}

type fieldList struct {
	field schema.Field
	list  expr.List
}

func countUse(all [][]expr.Witness) use {
	u := use{values: map[fieldValue]int{}, lists: map[fieldList]int{}}
	for _, ws := range all {
		for _, w := range ws {
			if w.List != nil {
				u.lists[fieldList{w.Field, w.List}]++
			}
			for _, v := range w.Values {
				u.values[fieldValue{w.Field, v}]++
			}
		}
	}
	return u
}

// best returns the witness that the fewest conditions share, the first of equals. The event's class and dataset are
// chosen only as a last resort. If ok is false, the condition lacks a witness and best.Why holds the reason.
func (u use) best(ws []expr.Witness) (best expr.Witness, ok bool) {
	least := 0
	for _, w := range ws {
		if w.List == nil && len(w.Values) == 0 {
			if !ok {
				best = w
			}
			continue
		}
		cost := u.cost(w)
		if !ok || cost < least {
			best, least, ok = w, cost, true
		}
	}
	return best, ok
}

// lastResort is a cost greater than any number of conditions and values.
const lastResort = 1 << 40

func (u use) cost(w expr.Witness) int {
	cost := 0
	if w.Field == schema.EventClass || w.Field == schema.EventDataset {
		cost = lastResort
	}
	if w.List != nil {
		return cost + u.lists[fieldList{w.Field, w.List}]
	}
	for _, v := range w.Values {
		cost += u.values[fieldValue{w.Field, v}]
	}
	return cost
}
