package fold

import "fmt"

// TenantKey is what GroupKey calls the tenant. No field has this name.
const TenantKey = "tenant"

// GroupKey returns the group key of a rule for values by field name, as `aidr state get` gives them. Every field of
// the group must be named, and no other but TenantKey: whose events they are, nobody's where it is not there.
func (p *Program) GroupKey(values map[string]string) (string, error) {
	key := appendTenant(nil, values[TenantKey])
	known := map[string]bool{TenantKey: true}
	for _, place := range p.Rule.GroupBy {
		name := p.Rule.Key[place].String()
		known[name] = true
		value, ok := values[name]
		if !ok && !p.Rule.KeyOptional {
			return "", fmt.Errorf("rule %q groups by %s: give its value", p.Rule.ID, name)
		}
		key = appendKeyText(key, distinguish(value, maxKeyText, nil))
	}
	for name := range values {
		if !known[name] {
			return "", fmt.Errorf("rule %q does not group by %s", p.Rule.ID, name)
		}
	}
	return string(key), nil
}

// KeyView is what one key of a cell remembers, for people.
type KeyView struct {
	Key   []string `json:"key"`   // the values of `by`, in order
	Bytes int      `json:"bytes"` // of its State
}

// Keys describes the keys of base.
func (c *Cell) Keys() (out []KeyView) {
	for i := range c.base.keys {
		k := &c.base.keys[i]
		out = append(out, KeyView{Key: keyTexts(k.key), Bytes: len(k.state)})
	}
	return out
}
