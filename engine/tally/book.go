package tally

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/aidr-engine/aidr/schema"
)

// maxOpen is the number of minutes of rules, and of hours of sources, that a Book holds: 30 minutes of 3,000 rules. Each takes about 300
// bytes. If there are more, events are counted in the latest minute that is known of their rule.
const maxOpen = 100_000

// Book holds the absolute counts of what is not over. It belongs to one goroutine.
type Book struct {
	low     schema.Instant // what is below it is over
	rules   map[ruleKey]*openRule
	sources map[sourceKey]*openSource
	last    map[string]schema.Instant // by rule: the latest minute that is in the book
}

type openRule struct {
	schema.RuleStats
	saved, rowed bool // the store, and a row, has it as it is
}

type openSource struct {
	schema.SourceQuality
	saved, rowed bool
}

// NewBook returns an empty Book.
func NewBook() *Book {
	return &Book{
		low: schema.MinInstant, rules: map[ruleKey]*openRule{}, sources: map[sourceKey]*openSource{}, last: map[string]schema.Instant{},
	}
}

// KV is a key of the store with its value; a nil Value deletes.
type KV struct{ Key, Value []byte }

// Restore adds a stored value. Its row is made again, because the checkpoint that made it may not have been delivered.
func (b *Book) Restore(key, value []byte) error {
	var err error
	switch {
	case len(key) == 1 && key[0] == kindLow && len(value) == 8:
		b.low = schema.Instant(binary.BigEndian.Uint64(value))
	case len(key) > 0 && key[0] == kindRule:
		r := &openRule{saved: true}
		if err = json.Unmarshal(value, &r.RuleStats); err == nil {
			b.rules[ruleKey{r.RuleID, r.Minute}] = r
			b.last[r.RuleID] = max(b.last[r.RuleID], r.Minute)
		}
	case len(key) > 0 && key[0] == kindSource:
		q := &openSource{saved: true}
		if err = json.Unmarshal(value, &q.SourceQuality); err == nil {
			b.sources[sourceKey{q.Source, q.Dataset, q.Hour}] = q
		}
	default:
		err = fmt.Errorf("the key %q is of no kind", key)
	}
	if err != nil {
		return fmt.Errorf("read counts of rules and sources: the store is damaged: %w", err)
	}
	return nil
}

// Add adds counts.
func (b *Book) Add(c Counts) {
	for _, s := range c.rules {
		r := b.rule(s.RuleID, s.Minute)
		r.Matched += s.Matched
		r.Triggers += s.Triggers
		r.Findings += s.Findings
		r.Withdrawn += s.Withdrawn
		r.Excepted += s.Excepted
		r.Held += s.Held
		r.Late += s.Late
		r.Unkeyed += s.Unkeyed
		r.Errors += s.Errors
	}
	for k, s := range c.sources {
		q := b.source(k)
		q.Events += s.Events
		for n := range schema.NumNeeds {
			q.Should[n] += s.Should[n]
			q.Lacks[n] += s.Lacks[n]
		}
	}
}

// rule returns the counts to which those of a rule's minute are to be added.
func (b *Book) rule(id string, at schema.Instant) *openRule {
	if b.low != schema.MinInstant {
		at = max(at, floor(b.low, minute))
	}
	last, known := b.last[id]
	r := b.rules[ruleKey{id, at}]
	if r == nil && known && len(b.rules) >= maxOpen {
		at = last
		r = b.rules[ruleKey{id, at}]
	}
	if r == nil {
		r = &openRule{RuleStats: schema.RuleStats{RuleID: id, Minute: at}}
		b.rules[ruleKey{id, at}] = r
	}
	if !known || at > last {
		b.last[id] = at
	}
	r.saved, r.rowed = false, false
	return r
}

func (b *Book) source(k sourceKey) *openSource {
	if b.low != schema.MinInstant {
		k.hour = max(k.hour, floor(b.low, hour))
	}
	q := b.sources[k]
	if q == nil && len(b.sources) >= maxOpen { // far more than there are datasets
		for other := range b.sources {
			if other.source == k.source && other.dataset == k.dataset && (q == nil || other.hour > q.Hour) {
				q = b.sources[other]
			}
		}
	}
	if q == nil {
		q = &openSource{SourceQuality: schema.SourceQuality{Source: k.source, Dataset: k.dataset, Hour: k.hour}}
		b.sources[k] = q
	}
	q.saved, q.rowed = false, false
	return q
}

// Close ends a checkpoint whose number is pos: it returns the changes for the store and, if rows is set, the rows of everything
// that changed since the last call with rows, as ReadRow reads them. What is over at the watermark, and has its row, leaves the book.
// The results are in order of their keys.
func (b *Book) Close(pos uint64, watermark schema.Instant, rows bool) (changes []KV, out []byte) {
	if watermark > b.low {
		b.low = watermark
		changes = append(changes, KV{[]byte{kindLow}, binary.BigEndian.AppendUint64(nil, uint64(b.low))})
	}
	for _, k := range slices.SortedFunc(maps.Keys(b.rules), compareRules) {
		r := b.rules[k]
		if rows && !r.rowed {
			row := r.RuleStats
			row.Pos = pos
			out, r.rowed = appendRow(out, kindRule, mustJSON(&row)), true
		}
		switch over := b.low != schema.MinInstant && k.minute < floor(b.low, minute); {
		case over && r.rowed:
			delete(b.rules, k)
			if b.last[k.rule] == k.minute {
				delete(b.last, k.rule)
			}
			changes = append(changes, KV{storeKey(kindRule, k.minute, k.rule), nil})
		case !r.saved:
			changes, r.saved = append(changes, KV{storeKey(kindRule, k.minute, k.rule), mustJSON(&r.RuleStats)}), true
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(b.sources), compareSources) {
		q := b.sources[k]
		if rows && !q.rowed {
			row := q.SourceQuality
			row.Pos = pos
			out, q.rowed = appendRow(out, kindSource, mustJSON(&row)), true
		}
		key := storeKey(kindSource, k.hour, k.source+"\x00"+k.dataset)
		switch over := b.low != schema.MinInstant && k.hour < floor(b.low, hour); {
		case over && q.rowed:
			delete(b.sources, k)
			changes = append(changes, KV{key, nil})
		case !q.saved:
			changes, q.saved = append(changes, KV{key, mustJSON(&q.SourceQuality)}), true
		}
	}
	return changes, out
}

// storeKey returns the key of the store for a kind, a period and a name.
func storeKey(kind byte, at schema.Instant, name string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{kind}, uint64(at)^1<<63), name...)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: counts cannot be encoded: " + err.Error())
	}
	return b
}

func compareRules(a, b ruleKey) int {
	return cmp.Or(cmp.Compare(a.minute, b.minute), cmp.Compare(a.rule, b.rule))
}

func compareSources(a, b sourceKey) int {
	return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.source, b.source), cmp.Compare(a.dataset, b.dataset))
}
