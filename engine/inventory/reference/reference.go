// Package reference is the inventory written from its definition: observations are sorted into minutes, and the minutes are
// folded in their order. It is for tests.
package reference

import (
	"cmp"
	"maps"
	"slices"

	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/schema"
)

// Inventory returns the inventory of observations that are not late.
func Inventory(all []inventory.Observation) map[inventory.Key]*inventory.Entity {
	minutes := map[int64]map[inventory.Key]*inventory.Entity{}
	for i := range all {
		o := &all[i]
		for _, kind := range inventory.Kinds() {
			name := o.Uses[inventory.NameOf(kind)]
			if name == "" {
				continue
			}
			m := inventory.MinuteOf(o.Time)
			if minutes[m] == nil {
				minutes[m] = map[inventory.Key]*inventory.Entity{}
			}
			k := inventory.Key{Kind: kind, Tenant: o.Tenant, Name: schema.Truncate(name, inventory.MaxName)}
			e := minutes[m][k]
			if e == nil {
				e = &inventory.Entity{Key: k, FirstSeen: o.Time, LastSeen: o.Time}
				minutes[m][k] = e
			}
			observe(e, o)
		}
	}
	out := map[inventory.Key]*inventory.Entity{}
	for _, m := range slices.Sorted(maps.Keys(minutes)) {
		for k, in := range minutes[m] {
			if out[k] == nil {
				out[k] = &inventory.Entity{Key: k, FirstSeen: in.FirstSeen, LastSeen: in.LastSeen, NewestUse: schema.MinInstant}
			}
			fold(out[k], in)
		}
	}
	return out
}

// observe adds an observation to the entity of one minute, without a limit of names.
func observe(e *inventory.Entity, o *inventory.Observation) {
	e.FirstSeen, e.LastSeen = min(e.FirstSeen, o.Time), max(e.LastSeen, o.Time)
	e.Totals.Add(&o.Totals)
	for _, kind := range inventory.UsesOf(e.Kind) {
		name := schema.Truncate(o.Uses[kind], inventory.MaxName)
		if kind == schema.UseNetwork {
			name = inventory.NetworkOf(name)
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

// fold folds a later minute into the entity.
func fold(e, in *inventory.Entity) {
	e.FirstSeen, e.LastSeen = min(e.FirstSeen, in.FirstSeen), max(e.LastSeen, in.LastSeen)
	e.Totals.Add(&in.Totals)
	for kind, list := range in.Uses {
		slices.SortFunc(list, byName)
		for i, u := range list {
			at := slices.IndexFunc(e.Uses[kind], func(x schema.Use) bool { return x.Name == u.Name })
			switch {
			case i >= inventory.MaxUses: // beyond the limit of one minute
				e.Omitted[kind] += u.Count
			case at >= 0:
				x := &e.Uses[kind][at]
				x.Count += u.Count
				x.FirstSeen, x.LastSeen = min(x.FirstSeen, u.FirstSeen), max(x.LastSeen, u.LastSeen)
			case len(e.Uses[kind]) == inventory.MaxUses:
				e.Omitted[kind] += u.Count
			default:
				e.Uses[kind] = append(e.Uses[kind], u)
				if inventory.IsBehaviour(schema.UseKind(kind)) {
					e.NewestUse = max(e.NewestUse, u.FirstSeen)
				}
			}
		}
		slices.SortFunc(e.Uses[kind], byName)
	}
}

func byName(a, b schema.Use) int { return cmp.Compare(a.Name, b.Name) }
