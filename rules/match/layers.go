package match

import (
	"slices"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// layers make an index of an earlier one: the earlier index without the conditions that are gone, and an index over those
// that are new. Building an index takes as long as its conditions are many, and a reload changes a few of them. An event is
// looked up in both, so layers are soon replaced by an index of their own (see Index.IsLayered).
type layers struct {
	base, added  *Index
	baseNumbers  []int32 // by number in base: the number in the whole, -1 if the condition is gone
	addedNumbers []int32 // by number in added
	places       []int32 // by number: the number in base, or else ^number in added; neverHolds for a nil condition
}

// neverHolds is the place of a condition that is nil. It is no number of a condition in added, as there are fewer.
const neverHolds = -1 << 31

// maxAdded is the share of new conditions, one in so many, up to which an index gets a layer.
const maxAdded = 8

// Update returns an index over conditions, as Build does. Conditions that are also in x, an index over conditions of the same
// environment, are looked up there, so Update takes little time if few are new.
func (x *Index) Update(conds []*predicate.Cond, datasets [][]string) *Index {
	base := x
	if x.layers != nil {
		base = x.layers.base
	}
	l := &layers{base: base, baseNumbers: slices.Repeat([]int32{-1}, base.size), places: make([]int32, len(conds))}
	used := make([]int32, len(base.conds)) // by condition: the number of users that are found again
	var added []*predicate.Cond
	var addedDatasets [][]string
	for i, c := range conds {
		var of []string
		if datasets != nil {
			of = datasets[i]
		}
		if c == nil {
			l.places[i] = neverHolds
			continue
		}
		if at, known := base.condAt[c]; known {
			users := base.conds[at].users
			if n := used[at]; int(n) < len(users) && slices.Equal(users[n].datasets, of) {
				used[at]++
				l.places[i] = users[n].number
				l.baseNumbers[users[n].number] = int32(i)
				continue
			}
		}
		l.places[i] = ^int32(len(added))
		l.addedNumbers = append(l.addedNumbers, int32(i))
		added, addedDatasets = append(added, c), append(addedDatasets, of)
	}
	gone := base.size - (len(conds) - len(added))
	if (len(added)+gone)*maxAdded > len(conds) {
		return Build(conds, datasets)
	}
	if len(added) == 0 && gone == 0 && isIdentity(l.baseNumbers) {
		return base
	}
	l.added = Build(added, addedDatasets)
	return &Index{size: len(conds), layers: l}
}

func isIdentity(numbers []int32) bool {
	for i, n := range numbers {
		if n != int32(i) {
			return false
		}
	}
	return true
}

// IsLayered reports whether an index by Build would be faster, with the same results.
func (x *Index) IsLayered() bool { return x.layers != nil }

// eval is Index.Eval or, if all is set, Index.EvalAll.
func (l *layers) eval(e *schema.Event, s *Scratch, out []int32, all bool) []int32 {
	if s.layers != l {
		s.layers = l
		s.base, s.added = &Scratch{Predicate: s.Predicate}, &Scratch{Predicate: s.Predicate}
	}
	s.Failed = s.Failed[:0]
	from := len(out)
	out = s.layer(l.base, s.base, l.baseNumbers, e, out, all)
	out = s.layer(l.added, s.added, l.addedNumbers, e, out, all)
	slices.Sort(out[from:])
	slices.Sort(s.Failed)
	return out
}

// layer evaluates one of the two indexes and appends the numbers in the whole.
func (s *Scratch) layer(x *Index, of *Scratch, numbers []int32, e *schema.Event, out []int32, all bool) []int32 {
	of.Traces, of.Traced = s.Traces, of.Traced[:0]
	if all {
		s.found = x.EvalAll(e, of, s.found[:0])
	} else {
		s.found = x.Eval(e, of, s.found[:0])
	}
	s.Candidates += of.Candidates
	of.Candidates = 0
	out = appendNumbers(out, s.found, numbers)
	s.Failed = appendNumbers(s.Failed, of.Failed, numbers)
	s.Traced = appendNumbers(s.Traced, of.Traced, numbers)
	return out
}

func appendNumbers(out, found, numbers []int32) []int32 {
	for _, n := range found {
		if n = numbers[n]; n >= 0 {
			out = append(out, n)
		}
	}
	return out
}

// plan returns the plan of condition number i.
func (l *layers) plan(i int) Plan {
	switch n := l.places[i]; {
	case n == neverHolds:
		return Plan{}
	case n >= 0:
		return l.base.Plan(int(n))
	default:
		return l.added.Plan(int(^n))
	}
}
