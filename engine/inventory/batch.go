package inventory

import (
	"hash/maphash"
	"math/bits"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// Batch collects the events of one batch of records. Most of them equal an earlier one in every text that the inventory
// keeps, so an event costs one look-up and a comparison. A Batch belongs to one goroutine at a time, and its storage is
// used again.
type Batch struct {
	expose   func(schema.Field, string) string
	seed     maphash.Seed
	events   []observed
	combos   []combo
	byCombo  table
	entities []entityRef
	byEntity table
	texts    []byte // of combos and entities
	spans    []span // the texts in which the events of one combination agree

	// Of Seal.
	view   string // texts
	sums   []sum
	groups []group
	links  []link
	rec    record
	out    [][]byte // by shard
}

// observed is one event. An event that shows no entity has the combo -1.
type observed struct {
	time          schema.Instant
	combo         int32
	outcome       uint8 // the bits below
	input, output int64
	cost          schema.Cost
}

const (
	isSuccess = 1 << iota
	isFailure
	isBlocked
)

// combo is a combination of texts that events have in common.
type combo struct {
	hash          uint64
	present       schema.FieldSet // of the fields that are compared
	called        bool
	from          int32                // index in spans of the tenant, which the texts of present follow
	uses          [schema.NumUses]span // as they are shown
	class, action span
	entity        [numKinds]int32 // index in entities; -1 for none
	sums          int32           // index of the first sum; -1 for none
}

// entityRef is an entity that events of the batch show.
type entityRef struct {
	local  uint64 // hash with the seed of the batch
	hash   uint64 // of the key, for the shard
	key    span   // flat
	groups int32  // index of the first group; -1 for none
}

// span is a part of Batch.texts.
type span struct{ from, to int32 }

func (s span) empty() bool { return s.from == s.to }

// maxTexts is the size in bytes of the texts of a batch from which its storage is not used again.
const maxTexts = 4 << 20

// NewBatch returns a Batch. expose returns the part of a field's text that may leave the worker; nil leaves texts as they
// are. Its result must depend on its arguments only, and must not be a view of memory that changes.
func NewBatch(expose func(f schema.Field, text string) string) *Batch {
	if expose == nil {
		expose = func(_ schema.Field, text string) string { return text }
	}
	return &Batch{expose: expose, seed: maphash.MakeSeed()}
}

// Reset makes the batch empty.
func (b *Batch) Reset() {
	if len(b.texts) > maxTexts {
		*b = Batch{expose: b.expose, seed: b.seed}
		return
	}
	b.byCombo.reset()
	b.byEntity.reset()
	b.events, b.combos, b.entities, b.texts, b.spans = b.events[:0], b.combos[:0], b.entities[:0], b.texts[:0], b.spans[:0]
	b.view = ""
}

// Len returns the number of events.
func (b *Batch) Len() int { return len(b.events) }

// compared are the fields in which the events of one combination agree.
var compared = func() schema.FieldSet {
	s := Fields()
	for _, f := range numbers {
		s.Remove(f)
	}
	s.Remove(schema.GenAIToolCalled)
	s.Remove(schema.GenAIToolReturned)
	return s
}()

// shows are the fields that show an entity.
var shows = schema.Fields(schema.AIAgentUID, schema.CredentialUID, schema.GenAIToolName, schema.MCPServerName, schema.GenAIRequestModel,
	schema.GenAIResponseModel)

// Add adds an event that ended at an instant. Seal refers to the events by their number.
func (b *Batch) Add(e *schema.Event, end schema.Instant) {
	present := e.Present()
	any := uint64(0)
	for i := range present {
		any |= present[i] & shows[i]
		present[i] &= compared[i]
	}
	if any == 0 {
		b.events = append(b.events, observed{combo: -1})
		return
	}
	var t schema.Totals
	observeTotals(e, &t)
	b.events = append(b.events, observed{
		time: end, combo: b.find(e, &present), outcome: uint8(t.Success*isSuccess | t.Failure*isFailure | t.Blocked*isBlocked),
		input: t.InputTokens, output: t.OutputTokens, cost: t.Cost,
	})
}

// totals returns the numbers of one event.
func (o *observed) totals() schema.Totals {
	return schema.Totals{
		Events: 1, Success: int64(o.outcome & isSuccess), Failure: int64(o.outcome & isFailure / isFailure),
		Blocked: int64(o.outcome & isBlocked / isBlocked), InputTokens: o.input, OutputTokens: o.output, Cost: o.cost,
	}
}

// find returns the event's combination, a new one if no earlier event has it. Most combinations of one batch differ in the
// hashed fields.
func (b *Batch) find(e *schema.Event, present *schema.FieldSet) int32 {
	h := maphash.String(b.seed, e.Text(schema.AIAgentUID))
	for _, f := range [...]schema.Field{schema.GenAIToolName, schema.EventAction, schema.URLDomain} {
		if e.Has(f) {
			h = bits.RotateLeft64(h, 23) ^ maphash.String(b.seed, e.Text(f))
		}
	}
	tool := e.Has(schema.GenAIToolName) && called(e)
	at := b.byCombo.start(h)
	for ; b.byCombo.slots[at] != 0; at = b.byCombo.next(at) {
		i := b.byCombo.slots[at] - 1
		if c := &b.combos[i]; c.hash == h && c.called == tool && c.present == *present && b.agrees(c, e) {
			return i
		}
	}
	b.combos = append(b.combos, combo{hash: h, present: *present, called: tool})
	b.byCombo.put(at, len(b.combos), func(i int32) uint64 { return b.combos[i].hash })
	b.fill(&b.combos[len(b.combos)-1], e)
	return int32(len(b.combos) - 1)
}

// agrees reports whether the event has the texts of the combination.
func (b *Batch) agrees(c *combo, e *schema.Event) bool {
	spans := b.spans[c.from:]
	if string(b.text(spans[0])) != e.Tenant {
		return false
	}
	n := 0
	for w, set := range c.present {
		for ; set != 0; set &= set - 1 {
			text := e.Text(schema.Field(w<<6 + bits.TrailingZeros64(set)))
			if len(text) > MaxName {
				text = schema.Truncate(text, MaxName)
			}
			n++
			if string(b.text(spans[n])) != text {
				return false
			}
		}
	}
	return true
}

// fill sets a new combination to that of an event.
func (b *Batch) fill(c *combo, e *schema.Event) {
	c.from = int32(len(b.spans))
	b.spans = append(b.spans, b.add(e.Tenant))
	for f := range c.present.All {
		b.spans = append(b.spans, b.add(schema.Truncate(e.Text(f), MaxName)))
	}
	for kind := range c.uses {
		if f, ok := useField(e, schema.UseKind(kind)); ok {
			c.uses[kind] = b.show(f, e.Text(f))
		}
	}
	c.class = b.show(schema.EventClass, e.Text(schema.EventClass))
	c.action = b.show(schema.EventAction, e.Text(schema.EventAction))
	for kind := range c.entity {
		c.entity[kind] = -1
		if name := c.uses[nameOf[kind]]; !name.empty() {
			c.entity[kind] = b.entity(Kind(kind), b.spans[c.from], name)
		}
	}
}

// entity returns the index of the entity with a tenant and a name.
func (b *Batch) entity(kind Kind, tenant, name span) int32 {
	from := len(b.texts)
	b.texts = flat.AppendText(append(b.texts, byte(kind)), b.text(tenant))
	b.texts = append(b.texts, b.text(name)...)
	key := b.texts[from:]
	h := maphash.Bytes(b.seed, key)
	at := b.byEntity.start(h)
	for ; b.byEntity.slots[at] != 0; at = b.byEntity.next(at) {
		i := b.byEntity.slots[at] - 1
		if x := &b.entities[i]; x.local == h && string(b.text(x.key)) == string(key) {
			b.texts = b.texts[:from]
			return i
		}
	}
	b.entities = append(b.entities, entityRef{local: h, hash: hash(key), key: span{int32(from), int32(len(b.texts))}, groups: -1})
	b.byEntity.put(at, len(b.entities), func(i int32) uint64 { return b.entities[i].local })
	return int32(len(b.entities) - 1)
}

func (b *Batch) add(text string) span {
	from := int32(len(b.texts))
	b.texts = append(b.texts, text...)
	return span{from, int32(len(b.texts))}
}

// show adds the text of a field as it is shown.
func (b *Batch) show(f schema.Field, text string) span {
	if text = schema.Truncate(b.expose(f, schema.Truncate(text, MaxName)), MaxName); f != schema.SourceIP {
		return b.add(text)
	}
	from := int32(len(b.texts))
	b.texts = appendNetwork(b.texts, text)
	return span{from, int32(len(b.texts))}
}

func (b *Batch) text(s span) []byte { return b.texts[s.from:s.to] }

// table is a hash table of indexes with open addressing. The zero table is ready after a reset.
type table struct {
	slots []int32 // index + 1; 0 for an empty slot. The length is a power of two.
	used  int
}

// minSlots is the number of slots that a table has at first.
const minSlots = 256

func (t *table) reset() {
	if t.used > 0 {
		clear(t.slots)
		t.used = 0
	}
}

// start returns the first slot that an element with the hash may have.
func (t *table) start(hash uint64) int {
	if t.slots == nil {
		t.slots = make([]int32, minSlots)
	}
	return int(hash) & (len(t.slots) - 1)
}

func (t *table) next(at int) int { return (at + 1) & (len(t.slots) - 1) }

// put puts the element with the number n, counted from 1, into an empty slot. hash returns the hash of an element.
func (t *table) put(at, n int, hash func(i int32) uint64) {
	t.slots[at] = int32(n)
	if t.used++; 2*t.used <= len(t.slots) {
		return
	}
	old := t.slots
	t.slots = make([]int32, 2*len(old))
	for _, n := range old {
		if n == 0 {
			continue
		}
		at := t.start(hash(n - 1))
		for t.slots[at] != 0 {
			at = t.next(at)
		}
		t.slots[at] = n
	}
}
