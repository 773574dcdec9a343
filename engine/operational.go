package engine

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// calmAfter is how long a condition has to be over before its finding settles, so that one that comes and goes, such as a
// full outbox that drains by a block, is one finding.
const calmAfter = time.Minute

// maxOperationalText is the number of bytes that a text of an operational finding shows of an error.
const maxOperationalText = 500

// verdict is the outcome of a look at a condition.
type verdict uint8

const (
	unknown verdict = iota // not to be judged now, such as the silence of a source that is not connected
	over
	holding
)

// condition is the outcome of a look at one thing that an operational rule is about.
type condition struct {
	rule    string
	key     map[string]string
	verdict verdict
	since   time.Time // when the condition began, if it holds
	text    string    // one sentence about the present case, if it holds
}

// id returns the identity of the condition: its rule, and its key in the form of a group key.
func (c *condition) id() (id, group string) {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(c.key)) {
		b = item.AppendKeyText(b, c.key[name])
	}
	return c.rule + "\x00" + string(b), string(b)
}

// operationalEntry is the latest finding of one condition. It is part of a checkpoint, so that a restart makes no second
// finding of a condition that goes on.
type operationalEntry struct {
	Finding *schema.Finding `json:"finding"`
	Held    schema.Instant  `json:"held"` // when the condition was last seen to hold
}

// operational holds the operational findings: at most one open per rule and key. A finding has the group_start of its hour of
// the wall clock, and settles when the condition has been over for calmAfter or the hour has ended. If the condition goes
// on, the next hour has a finding of its own. If it comes back in the hour of a settled finding, the next finding has the
// group_start of its minute.
type operational struct {
	rules   map[string]rules.Operational
	entries map[string]*operationalEntry // by condition; those that have settled are kept until their hour is over
	changes []*schema.Finding            // for the next checkpoint
	redact  func(string) string
}

func newOperational(redact func(string) string) *operational {
	o := &operational{rules: map[string]rules.Operational{}, entries: map[string]*operationalEntry{}, redact: redact}
	for _, r := range rules.OperationalRules() {
		o.rules[r.ID] = r
	}
	return o
}

// isOpen reports whether the condition has an open finding.
func (o *operational) isOpen(c *condition) bool {
	if len(o.entries) == 0 {
		return false
	}
	id, _ := c.id()
	e := o.entries[id]
	return e != nil && e.Finding.Status == schema.StatusOpen
}

// update takes the outcome of a look at all conditions. Those that are missing count as unknown.
func (o *operational) update(now time.Time, conditions []condition) {
	at, hour := schema.InstantOf(now), schema.InstantOf(now.Truncate(time.Hour))
	for _, id := range slices.Sorted(maps.Keys(o.entries)) {
		e := o.entries[id]
		if e.Finding.GroupStart >= hour {
			continue
		}
		if e.Finding.Status == schema.StatusOpen {
			o.settle(e)
		}
		delete(o.entries, id)
	}
	for i := range conditions {
		c := &conditions[i]
		id, _ := c.id()
		e := o.entries[id]
		open := e != nil && e.Finding.Status == schema.StatusOpen
		switch {
		case c.verdict == holding && open:
			e.Held = at
		case c.verdict == holding:
			o.open(c, now)
		case c.verdict == over && open && at.Sub(calmAfter) >= e.Held:
			o.settle(e)
		}
	}
}

// open makes the finding of a condition.
func (o *operational) open(c *condition, now time.Time) {
	id, group := c.id()
	at, start := schema.InstantOf(now), schema.InstantOf(now.Truncate(time.Hour))
	if e := o.entries[id]; e != nil {
		if start = schema.InstantOf(now.Truncate(time.Minute)); start <= e.Finding.GroupStart {
			return // in the minute of the last one
		}
	}
	r := o.rules[c.rule]
	text := o.redact(c.text)
	f := &schema.Finding{
		ID: fold.FindingID(r.ID, r.Version, group, start, schema.ID{}), Revision: 1, Status: schema.StatusOpen, RuleID: r.ID,
		RuleVersion: r.Version, Kind: string(rules.KindNone), Title: r.Title, Severity: r.Severity, Confidence: 100, Key: c.key,
		GroupStart: start, FirstSeen: min(schema.InstantOf(c.since), at), LastSeen: at, DetectedAt: &at, Count: 1,
		Summary: text, Explanation: text + ". " + r.Description, Evidence: []schema.Evidence{}, Operational: true,
	}
	o.entries[id] = &operationalEntry{Finding: f, Held: at}
	o.changes = append(o.changes, f)
}

// settle makes the last revision of a finding. Findings are immutable once a checkpoint has them.
func (o *operational) settle(e *operationalEntry) {
	f := *e.Finding
	f.Status, f.LastSeen = schema.StatusSettled, max(f.LastSeen, e.Held)
	f.Revision++
	e.Finding = &f
	o.changes = append(o.changes, &f)
}

// take returns the changes since the last call, for a checkpoint.
func (o *operational) take() (entries []connectors.Entry) {
	for _, f := range o.changes {
		entries = append(entries, connectors.Entry{Type: connectors.EntryTypeOf(f), Finding: f})
	}
	o.changes = nil
	return entries
}

// state returns the entries for a checkpoint, in a fixed order.
func (o *operational) state() (entries []operationalEntry) {
	for _, id := range slices.Sorted(maps.Keys(o.entries)) {
		entries = append(entries, *o.entries[id])
	}
	return entries
}

// restore takes over the entries of a checkpoint.
func (o *operational) restore(entries []operationalEntry) {
	for i := range entries {
		if e := &entries[i]; e.Finding != nil {
			c := condition{rule: e.Finding.RuleID, key: e.Finding.Key}
			id, _ := c.id()
			o.entries[id] = e
		}
	}
}

// list returns the open findings, the worst first.
func (o *operational) list() (open []*schema.Finding) {
	for _, e := range o.entries {
		if e.Finding.Status == schema.StatusOpen {
			open = append(open, e.Finding)
		}
	}
	slices.SortFunc(open, func(a, b *schema.Finding) int {
		return cmp.Or(b.Severity.Rank()-a.Severity.Rank(), strings.Compare(a.RuleID, b.RuleID), strings.Compare(a.Summary, b.Summary))
	})
	return open
}
