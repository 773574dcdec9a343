package fold

import (
	"encoding/json"
	"fmt"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// TenantKey is the name of the tenant in the values of GroupKey. No value of a key has this name.
const TenantKey = rules.TenantName

// GroupKey returns the group key of a rule for values by field name, as a user of `aidr state get` gives them. They must
// name every field of the group and nothing else except TenantKey; without it the key is that of events without a
// tenant.
func (p *Program) GroupKey(values map[string]string) (string, error) {
	key := item.AppendTenant(nil, values[TenantKey])
	known := map[string]bool{TenantKey: true}
	for _, field := range p.Rule.GroupBy {
		name := p.Rule.Key[field].Name
		known[name] = true
		value, ok := values[name]
		if !ok && !p.Rule.KeyOptional {
			return "", fmt.Errorf("rule %q groups by %s: give its value", p.Rule.ID, name)
		}
		key = item.AppendKeyText(key, item.Distinguish(value, item.MaxKeyText, nil))
	}
	for name := range values {
		if !known[name] {
			return "", fmt.Errorf("rule %q does not group by %s", p.Rule.ID, name)
		}
	}
	return string(key), nil
}

// KeyView describes the State of one key of a cell for people: the State after its last item, pending ones included.
type KeyView struct {
	Key      []string        `json:"key"`                // the values of `by`, in order
	Bytes    int             `json:"bytes"`              // size of the State
	Since    *schema.Instant `json:"since,omitempty"`    // its first item, or the oldest one that it still holds
	Last     *schema.Instant `json:"last,omitempty"`     // its last item, if known
	Events   int64           `json:"events,omitempty"`   // threshold, rarity: in the window; baseline: in the open bucket
	Value    json.Number     `json:"value,omitempty"`    // threshold: the compared value, if it is not a count; baseline: of the open bucket
	Values   int             `json:"values,omitempty"`   // distinct, new_value, rarity: the number of different values; provenance: those brought
	Known    int             `json:"known,omitempty"`    // provenance: the number of known values
	Learns   *schema.Instant `json:"learns,omitempty"`   // new_value: the end of learning, before which no value is new
	Open     int             `json:"open,omitempty"`     // absence: the number of events that wait for an answer
	Deadline *schema.Instant `json:"deadline,omitempty"` // absence: the next deadline
	Labels   int             `json:"labels,omitempty"`   // flow: the number of labels in the window; of an order, those reached
	Needs    int64           `json:"needs,omitempty"`    // rarity: the number of events before which none triggers
	Baseline *BaselineView   `json:"baseline,omitempty"` // baseline: what it has learnt
	Held     int             `json:"held,omitempty"`     // new_value: the number of values that `hold` keeps new at the last item
	Partials []int           `json:"partials,omitempty"` // sequence: the number of matches that have reached each place
}

// A describer is a kind that can describe a State: every kind except none, which has no State.
type describer interface {
	describe(st []byte, v *KeyView)
}

// Keys describes the keys of the cell, in order.
func (c *Cell) Keys() (out []KeyView) {
	s := c.p.getScratch()
	defer c.p.putScratch(s)
	c.refresh(s)
	l := &c.base
	if c.Pending() > 0 {
		l = &c.live
	}
	c.each(l, func(k *keyState) {
		if len(k.state) == 0 {
			return // forgotten
		}
		v := KeyView{Key: item.KeyTexts(k.key), Bytes: len(k.state)}
		if d, ok := c.p.kind.(describer); ok {
			d.describe(k.state, &v)
		}
		out = append(out, v)
	})
	return out
}

// setSpan sets the times of the first and the last item.
func (v *KeyView) setSpan(first, last schema.Instant) { v.Since, v.Last = &first, &last }

// setValues sets the number of values, and the times at which the first and the last of them were last seen.
func (v *KeyView) setValues(s valueSet) {
	if v.Values = s.len(); v.Values > 0 {
		v.setSpan(s.lastSeen(0), s.lastSeen(s.len()-1))
	}
}

func (k ring) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	ts := readTimes(&r)
	v.Events = int64(ts.n)
	v.setSpan(ts.first, ts.last())
}

func (k panes) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	win := k.read(&r)
	v.Events = win.total.items + win.latest.items
	v.Since = new(k.firstItem(&win))
	switch {
	case k.sum:
		v.Value = unitNano.number(win.total.sum.Add(win.latest.sum))
	case k.ratio:
		v.Value = unitNano.number(rules.Share(win.total.trues+win.latest.trues, v.Events))
	}
}

func (k distinct) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	v.setValues(readValueSet(&r))
}

func (k sequence) describe(st []byte, v *KeyView) {
	var s partials
	s.reset(len(k.places))
	r := flat.NewReader(st)
	k.read(&r, &s)
	for i := range len(k.places) - 1 {
		v.Partials = append(v.Partials, s.chains[i].len())
	}
	if n := len(s.items); n > 0 {
		v.setSpan(s.items[0].time, s.items[n-1].time)
	}
}
