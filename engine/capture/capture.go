// Package capture turns hits, matched events, into items. It is the worker's half of the stateful part of detection;
// package fold is the shard's half.
//
//	event, hit -> Capturer + Plan -> Item -> (shard) fold
//
// An item holds all that folding and the finding need of an event: the key, the values that the rule's kind compares,
// and the evidence. Everything in it is redacted, so that no secret reaches State, a store or a sink. An item depends
// on its event and its rule alone. A Capturer remembers earlier events only to save work (memo.go, evidence.go), so
// that a replay captures the same items whatever came before.
package capture

import (
	"math/bits"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Capturer turns hits into items. Each worker has its own; it is not safe for concurrent use.
type Capturer struct {
	// Redact replaces secrets in a text that leaves the worker; nil leaves texts as they are. Its result must depend on
	// the text alone.
	Redact func(string) string
	// Redaction lists the fields of which more or less is shown than Redact leaves; nil lists none. Raws does so for raw
	// paths, by Mention.Raw.
	Redaction *schema.Redaction
	Raws      []schema.Exposure

	item     item.Item // the argument of emit
	buf      []byte    // its bytes: key, group, data, evidence
	scratch  []byte    // a part of them
	text     []byte    // one value as text
	ends     []int     // the ends in buf of the key's fields
	tenant   int       // the end in buf of the key's tenant
	otherKey []byte    // the key of another role

	provenance provenance // of the texts of a provenance

	arena  arena                          // of the bytes of emitted items
	clean  memo[struct{}]                 // the texts that Redact leaves as they are
	hashes memo[[item.ValueHashSize]byte] // the hashes of compared values, by their key form

	// Made once per event and used for all rules that capture it: see BeginEvent.
	head    []byte // of evidence
	core    int    // the end in head of the part about the position and the agent
	target  exposedTarget
	current schema.FieldSet                // the fields whose entry in fields is that of this event
	fields  [schema.NumFields]exposedValue // the others are of an earlier event of the batch
}

// BeginBatch must be called before the first capture of each batch. The items of two batches share no memory, and the
// Capturer does not keep the memory of an earlier batch alive.
func (c *Capturer) BeginBatch() {
	c.arena.reset()
	c.fields = [schema.NumFields]exposedValue{}
	c.target = exposedTarget{}
}

// BeginEvent must be called before the first capture of each event.
func (c *Capturer) BeginEvent() {
	c.head = c.head[:0]
	c.current = schema.FieldSet{}
}

// Capture calls emit with the items of one hit, one for each key among the matched roles. The Item is valid only during
// the call; its strings stay valid. A role yields no item if the event lacks its time, a key field or an `of` field;
// missing is the number of such roles.
//
// It allocates memory for the bytes of the items, once for many of them, and nothing else.
func (c *Capturer) Capture(p *Plan, rule int, e *schema.Event, roles uint32, s *rules.Scratch, emit func(*item.Item)) (missing int) {
	if n := len(p.rule.Roles); n < rules.MaxRoles {
		roles &= 1<<n - 1
	}
	end, ok := e.End()
	if !ok || !c.hasValues(p, e, s) {
		return bits.OnesCount32(roles)
	}
	var id schema.ID
	for roles != 0 {
		first := bits.TrailingZeros32(roles)
		roles &^= 1 << first
		if !c.readKey(p, e, &p.rule.Roles[first], s) {
			missing++
			continue
		}
		it := &c.item
		*it = item.Item{Rule: rule, Time: schema.Instant(end), Roles: 1 << first, Role: p.rule.Roles[first].Order, Counted: e.Counted()}
		for rest := roles; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			if c.sameKey(p, e, &p.rule.Roles[i], s) {
				it.Roles |= 1 << i
				it.Role = min(it.Role, p.rule.Roles[i].Order)
				roles &^= 1 << i
			}
		}
		if id.IsZero() {
			id = e.Identity()
		}
		it.ID = id
		c.fill(p, e, s, it)
		emit(it)
	}
	return missing
}

// fill sets the item's strings. buf holds the key.
func (c *Capturer) fill(p *Plan, e *schema.Event, s *rules.Scratch, it *item.Item) {
	key := len(c.buf)
	if !p.wholeGroup {
		c.buf = append(c.buf, c.buf[:c.tenant]...)
		for _, field := range p.rule.GroupBy {
			from := c.tenant
			if field > 0 {
				from = c.ends[field-1]
			}
			c.buf = append(c.buf, c.buf[from:c.ends[field]]...)
		}
	}
	group := len(c.buf)
	c.buf = c.appendData(c.buf, p, e, s, it.Roles)
	data := len(c.buf)
	c.buf = c.appendEvidence(c.buf, p, e, s, it.Roles)
	evidence := len(c.buf)
	c.buf = c.appendCarried(c.buf, p, e)
	all := c.arena.store(c.buf)
	it.Key, it.Group, it.Data, it.Evidence, it.Carried = all[:key], all[key:group], all[group:data], all[data:evidence], all[evidence:]
	if p.wholeGroup {
		it.Group = it.Key
	}
}
