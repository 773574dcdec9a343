package inventory

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// Rows hold absolute values: a row replaces the earlier ones of the same entity, or of the same agent and minute. They are
// deltas in form, except that a row of an entity has the minute entityRow.
const entityRow = math.MinInt64

// row adds the rows of everything that changed since the last call. Entities are in the order of their keys.
func (s *Shard) row(out *Part) {
	var changed []*pending
	for _, p := range s.pending {
		if p.rowed != p.changed {
			changed = append(changed, p)
		}
	}
	slices.SortFunc(changed, func(a, b *pending) int { return compareKeys(a.key, b.key) })
	for _, p := range changed {
		p.rowed = p.changed
		folded := s.base(p.key)
		for i := range p.minutes {
			if m := &p.minutes[i]; m.minute >= folded && !m.rowed {
				out.Rows = appendMinuteRow(out.Rows, p.key, m)
				m.rowed = true
			}
		}
		s.overlay(folded, p.minutes)
		out.Rows = appendEntityRow(out.Rows, p.key, &s.a)
	}
}

// appendMinuteRow appends the row of a minute of an agent; other entities have none.
func appendMinuteRow(dst []byte, key string, m *pendingMinute) []byte {
	if key[0] != byte(Agent) {
		return dst
	}
	return append(binary.AppendVarint(flat.AppendText(dst, key), m.minute), m.body...)
}

func appendEntityRow(dst []byte, key string, r *record) []byte {
	return r.append(binary.AppendVarint(flat.AppendText(dst, key), entityRow))
}

// Row is one row: the Entity, or the activity of an agent in one minute.
type Row struct {
	Entity   *Entity
	Activity []schema.Activity
}

// ReadRows calls yield with each of the rows that checkpoints made, in their order. The rows of other packages are among them: they
// begin with a text that is not the flat key of an entity. other, which may be nil, gets that text and what follows it, and returns
// what follows its row.
func ReadRows(rows string, yield func(*Row) error, other func(head, rows string) (rest string, err error)) error {
	var r record
	for in := (reader{s: rows}); len(in.s) > 0; {
		head := in.text()
		if other != nil && len(head) > 0 && Kind(head[0]) >= numKinds {
			rest, err := other(head, in.s)
			if err != nil {
				return err
			}
			in.s = rest
			continue
		}
		k, ok := readKey([]byte(head))
		minute := in.varint()
		rest, read := r.read(in.s)
		if !ok || !read || in.bad {
			return errDamaged
		}
		in.s = rest
		var row Row
		if minute == entityRow {
			row.Entity = r.entity(k)
		} else {
			row.Activity = r.activities(k, minute)
		}
		if err := yield(&row); err != nil {
			return err
		}
	}
	return nil
}

// activities returns the actions of one minute of an agent.
func (r *record) activities(k Key, at int64) (out []schema.Activity) {
	a := schema.Activity{Tenant: k.Tenant, AgentUID: k.Name, Minute: schema.Instant(at) * minute, Part: part(k.Append(nil))}
	for i := range r.actions {
		x := &r.actions[i]
		a.Class, a.Action, a.Totals = string([]byte(x.class)), string([]byte(x.action)), x.totals
		out = append(out, a)
	}
	if r.rest != (schema.Totals{}) {
		a.Class, a.Action, a.Totals = "", schema.OmittedAction, r.rest
		out = append(out, a)
	}
	return out
}
