package match

import (
	"cmp"
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// fieldIndex finds conditions by the value of one field, with one look-up in a map and one in each list.
type fieldIndex struct {
	field  schema.Field
	isBool bool                // the field is a bool: the only value is predicate.True
	equal  map[string][]uint32 // value -> indexes in Index.conds, ascending
	lists  []listIndex
}

// listIndex holds the conditions that require the field to be in a list. The list itself is used for the look-up, so its size
// does not matter.
type listIndex struct {
	list  predicate.List
	conds []uint32
}

// Plan is the way in which the index finds a condition.
type Plan struct {
	Always bool         // the condition is evaluated for every event
	Field  schema.Field // of the witness, unless Always
	Values []string     // of the witness; nil if it is a list
	Why    string       // if Always: the reason
}

// Plan returns the plan of condition number i; `aidr rules check` and explain show it.
func (x *Index) Plan(i int) Plan { return x.planned[i] }

// plan chooses a witness for each condition and fills the indexes of the fields.
func (x *Index) plan() {
	witnesses := make([][]predicate.Witness, len(x.conds))
	for i := range x.conds {
		witnesses[i] = x.conds[i].witnesses()
	}
	uses := countUses(witnesses)
	byField := map[schema.Field]*fieldIndex{}
	for i := range x.conds {
		w, ok := uses.best(witnesses[i])
		for _, u := range x.conds[i].users {
			x.planned[u.number] = Plan{Always: !ok, Field: w.Field, Values: w.Values, Why: w.Why}
		}
		if !ok {
			x.always = append(x.always, uint32(i))
			continue
		}
		f := byField[w.Field]
		if f == nil {
			f = &fieldIndex{field: w.Field, isBool: w.Field.Info().Type == schema.TypeBool, equal: map[string][]uint32{}}
			byField[w.Field] = f
		}
		f.add(w, uint32(i))
	}
	for _, f := range byField {
		x.fields = append(x.fields, *f)
	}
	slices.SortFunc(x.fields, func(a, b fieldIndex) int { return cmp.Compare(a.field, b.field) })
}

// add adds condition n under its witness.
func (f *fieldIndex) add(w predicate.Witness, n uint32) {
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
		// Add a condition once, even if its witness has a value twice.
		if c := f.equal[v]; len(c) == 0 || c[len(c)-1] != n {
			f.equal[v] = append(c, n)
		}
	}
}

// witnesses returns the witnesses of the condition, and its datasets as another witness if every user has datasets.
func (c *cond) witnesses() []predicate.Witness {
	all := slices.Clone(c.cond.Witnesses())
	var datasets []string
	for _, u := range c.users {
		if len(u.datasets) == 0 {
			return all
		}
		datasets = append(datasets, u.datasets...)
	}
	slices.Sort(datasets)
	return append(all, predicate.Witness{Field: schema.EventDataset, Values: slices.Compact(datasets)})
}

// useCount counts the conditions that could be found by a value. It estimates how often a witness holds, because values in
// many rules are values of many events; the events themselves are unknown when a Set is built.
type useCount struct {
	values map[fieldValue]int
	lists  map[fieldList]int
}

type fieldValue struct {
	field schema.Field
	value string
}

type fieldList struct {
	field schema.Field
	list  predicate.List
}

func countUses(all [][]predicate.Witness) useCount {
	u := useCount{values: map[fieldValue]int{}, lists: map[fieldList]int{}}
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

// best returns the witness that the fewest conditions share, the first if several are equal. It chooses the event's class or
// dataset only if all witnesses are on them. ok is false if none of ws can be looked up; then the Why of the result is the
// reason.
func (u useCount) best(ws []predicate.Witness) (best predicate.Witness, ok bool) {
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

// lastResort is above any number of conditions and values.
const lastResort = 1 << 40

// cost returns the number of uses of the values of a witness.
func (u useCount) cost(w predicate.Witness) int {
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
