package inventory

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// reference is the inventory of observations that are not late, written from the sentences of the package comment: the
// observations are sorted and folded minute by minute.
func reference(all []Observation) map[Key]*Entity {
	minutes := map[int64]map[Key]*Entity{}
	for i := range all {
		o := &all[i]
		for _, kind := range Kinds() {
			name := o.Uses[nameOf[kind]]
			if name == "" {
				continue
			}
			m := minuteOf(o.Time)
			if minutes[m] == nil {
				minutes[m] = map[Key]*Entity{}
			}
			k := Key{kind, o.Tenant, schema.Truncate(name, MaxName)}
			e := minutes[m][k]
			if e == nil {
				e = &Entity{Key: k, FirstSeen: o.Time, LastSeen: o.Time}
				minutes[m][k] = e
			}
			e.observe(o)
		}
	}
	out := map[Key]*Entity{}
	for _, m := range slices.Sorted(maps.Keys(minutes)) {
		for k, in := range minutes[m] {
			if out[k] == nil {
				out[k] = &Entity{Key: k, FirstSeen: in.FirstSeen, LastSeen: in.LastSeen, NewestUse: schema.MinInstant}
			}
			out[k].foldMinute(in)
		}
	}
	return out
}

// observe adds an observation to the entity of one minute, without a limit of names.
func (e *Entity) observe(o *Observation) {
	e.FirstSeen, e.LastSeen = min(e.FirstSeen, o.Time), max(e.LastSeen, o.Time)
	e.Totals.Add(&o.Totals)
	for _, kind := range usesOf[e.Kind] {
		name := schema.Truncate(o.Uses[kind], MaxName)
		if kind == schema.UseNetwork {
			name = string(appendNetwork(nil, name))
		}
		if name == "" {
			continue
		}
		at := slices.IndexFunc(e.Uses[kind], func(u schema.Use) bool { return u.Name == name })
		if at < 0 {
			e.Uses[kind] = append(e.Uses[kind], schema.Use{Name: name, FirstSeen: o.Time, LastSeen: o.Time})
			at = len(e.Uses[kind]) - 1
		}
		u := &e.Uses[kind][at]
		u.Count += o.Totals.Events
		u.FirstSeen, u.LastSeen = min(u.FirstSeen, o.Time), max(u.LastSeen, o.Time)
	}
}

// foldMinute folds a later minute into the entity.
func (e *Entity) foldMinute(in *Entity) {
	e.FirstSeen, e.LastSeen = min(e.FirstSeen, in.FirstSeen), max(e.LastSeen, in.LastSeen)
	e.Totals.Add(&in.Totals)
	for kind, list := range in.Uses {
		slices.SortFunc(list, byName)
		for i, u := range list {
			at := slices.IndexFunc(e.Uses[kind], func(x schema.Use) bool { return x.Name == u.Name })
			switch {
			case i >= MaxUses: // beyond the limit of one minute
				e.Omitted[kind] += u.Count
			case at >= 0:
				x := &e.Uses[kind][at]
				x.Count += u.Count
				x.FirstSeen, x.LastSeen = min(x.FirstSeen, u.FirstSeen), max(x.LastSeen, u.LastSeen)
			case len(e.Uses[kind]) == MaxUses:
				e.Omitted[kind] += u.Count
			default:
				e.Uses[kind] = append(e.Uses[kind], u)
				if isBehaviour(schema.UseKind(kind)) {
					e.NewestUse = max(e.NewestUse, u.FirstSeen)
				}
			}
		}
		slices.SortFunc(e.Uses[kind], byName)
	}
}

func byName(a, b schema.Use) int { return cmp.Compare(a.Name, b.Name) }
