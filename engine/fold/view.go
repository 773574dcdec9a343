package fold

import (
	"encoding/json"
	"fmt"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// TenantKey is what GroupKey calls the tenant. No field has this name.
const TenantKey = "tenant"

// GroupKey returns the group key of a rule for values by field name, as `aidr state get` gives them. Every field of
// the group must be named, and no other but TenantKey: whose events they are, nobody's where it is not there.
func (p *Program) GroupKey(values map[string]string) (string, error) {
	key := item.AppendTenant(nil, values[TenantKey])
	known := map[string]bool{TenantKey: true}
	for _, place := range p.Rule.GroupBy {
		name := p.Rule.Key[place].String()
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

// KeyView is what one key of a cell remembers, for people: as of its last item, pending ones included.
type KeyView struct {
	Key      []string        `json:"key"`                // the values of `by`, in order
	Bytes    int             `json:"bytes"`              // of its State
	Since    *schema.Instant `json:"since,omitempty"`    // its first item, or the oldest that it still remembers
	Last     *schema.Instant `json:"last,omitempty"`     // its last item, where that is known
	Events   int64           `json:"events,omitempty"`   // threshold: in the window
	Value    json.Number     `json:"value,omitempty"`    // threshold: what is compared, where that is no count
	Values   int             `json:"values,omitempty"`   // distinct, new_value: different ones
	Learns   *schema.Instant `json:"learns,omitempty"`   // new_value: until then every value is taken as known
	Partials []int           `json:"partials,omitempty"` // sequence: matches that have come as far as each of its items
}

// describer is a kind that says what a State holds. Each kind of the language is one but none, which holds nothing.
type describer interface {
	describe(st []byte, v *KeyView)
}

// Keys describes what the keys remember, in order.
func (c *Cell) Keys() (out []KeyView) {
	w := c.p.borrow()
	defer c.p.giveBack(w)
	c.refresh(w)
	s := &c.base
	if c.Pending() > 0 {
		s = &c.live
	}
	c.each(s, func(k *keyed) {
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

// between notes the first and the last item.
func (v *KeyView) between(first, last int64) {
	since, until := schema.Instant(first), schema.Instant(last)
	v.Since, v.Last = &since, &until
}

func (k ring) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	ts := readTimes(&r)
	v.Events = int64(ts.n)
	v.between(ts.first, ts.last())
}

func (k panes) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	win := k.read(&r)
	v.Events = win.total.items + win.latest.items
	first := win.number*k.pane + win.latest.first
	if win.n > 0 {
		earlier := flat.NewReader(win.earlier)
		earlier.Uvarint()
		first = win.oldest*k.pane + k.readPane(&earlier).first
	}
	since := schema.Instant(first)
	v.Since = &since
	switch {
	case k.sum:
		v.Value = unitNano.number(plus(win.total.sum, win.latest.sum))
	case k.ratio:
		v.Value = unitNano.number(shareOf(win.total.trues+win.latest.trues, v.Events))
	}
}

func (k distinct) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	v.seen(readSeen(&r))
}

func (k newValue) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	first := r.Int64()
	v.seen(readSeen(&r))
	since, until := schema.Instant(first), schema.Instant(later(first, int64(k.learn)))
	v.Since, v.Learns = &since, &until
}

// seen notes values and when the first and the last of them were last seen.
func (v *KeyView) seen(s seen) {
	if v.Values = s.len(); v.Values > 0 {
		v.between(s.last(0), s.last(s.len()-1))
	}
}

func (k sequence) describe(st []byte, v *KeyView) {
	var s partials
	s.reset(len(k.places))
	r := flat.NewReader(st)
	k.read(&r, &s)
	for i := range len(k.places) - 1 {
		v.Partials = append(v.Partials, s.places[i].len())
	}
	if n := len(s.items); n > 0 {
		v.between(s.items[0].time, s.items[n-1].time)
	}
}
