package fold

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxQuoted is how many bytes of one text an explanation quotes: it is one sentence.
const maxQuoted = 120

// quote returns a text that an attacker may have written as one that cannot break a line or a terminal: control
// characters and those that turn the direction of text are escaped.
func quote(s string) string {
	cut := schema.Truncate(s, maxQuoted)
	if len(cut) < len(s) {
		cut += "..."
	}
	return strconv.Quote(cut)
}

// durationText renders whole days, hours, minutes and seconds as rules spell them.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range [...]struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.size && d%u.size == 0 {
			return strconv.FormatInt(int64(d/u.size), 10) + u.name
		}
	}
	return d.String()
}

// explain returns one sentence that a person understands, built from the values.
func (p *Program) explain(group string, g *Group) string {
	what := p.what(g)
	if who := p.whose(group); who != "" {
		what = who + ": " + what
	}
	if g.Last > g.Start {
		what += fmt.Sprintf("; %d events in all, from %s to %s", g.Count, schema.Instant(g.First), schema.Instant(g.Last))
	}
	return what + "."
}

// what says what the first trigger saw, with the highest value.
func (p *Program) what(g *Group) string {
	r := p.Rule
	switch r.Kind {
	case rules.KindThreshold:
		return p.whatThreshold(g)
	case rules.KindDistinct:
		return fmt.Sprintf("%s different values of %s within %s, the limit is %d",
			p.counted(g, max(minSeen, seenFactor*r.Distinct.Count)), fieldNames(r.Distinct.Of), durationText(r.Distinct.Within), r.Distinct.Count)
	case rules.KindNewValue:
		return whatNewValue(r.NewValue, g)
	case rules.KindSequence:
		return fmt.Sprintf("%s happened in this order within %s", stepNames(r.Sequence), durationText(r.Sequence.Within))
	}
	return p.whatEvent(g)
}

// whatNewValue says which value it was and how much history that stands on.
func whatNewValue(n *rules.NewValue, g *Group) string {
	what := fmt.Sprintf("%s was %s for the first time", fieldNames(n.Of), quote(g.Text))
	if g.Known == 0 {
		return what + ", the first value of all"
	}
	if g.Known == 1 {
		return what + fmt.Sprintf(", after one other value since %s", schema.Instant(g.From))
	}
	return what + fmt.Sprintf(", after %d other values since %s", g.Known, schema.Instant(g.From))
}

func (p *Program) whatThreshold(g *Group) string {
	t := p.Rule.Threshold
	in := durationText(t.Within)
	switch {
	case t.Sum != nil:
		return fmt.Sprintf("%s added up to %s within %s, the limit is %s",
			t.Sum.Of, decimalText(g.Value), in, decimalText(p.limit))
	case t.Ratio != nil:
		return fmt.Sprintf("%s %% of the events within %s were of the kind looked for, the limit is %s %%",
			percent(g.Value), in, percent(p.limit))
	}
	most := math.MaxInt
	if t.Count <= maxRing {
		most = maxRing
	}
	return fmt.Sprintf("%s events within %s, the limit is %d", p.counted(g, most), in, t.Count)
}

// counted renders the value of a State that counts to most and no further.
func (p *Program) counted(g *Group, most int) string {
	n := string(p.unit.number(g.Value))
	if !less(g.Value, integer(int64(most))) {
		return "at least " + n
	}
	return n
}

// percent renders a share; it is at most 1, so that 100 times it fits.
func percent(share rules.Decimal) string { return decimalText(rules.Decimal{Lo: share.Lo * 100}) }

// whatEvent says what the first event was.
func (p *Program) whatEvent(g *Group) string {
	if g.N == 0 {
		return "An event matched"
	}
	e := p.renderEvidence(&g.Shows[0])
	what := "An event matched"
	if e.Action != "" {
		what = quote(e.Action)
	}
	if e.Resource != "" {
		what += " on " + quote(e.Resource)
	}
	if e.Outcome != "" {
		what += " with outcome " + quote(e.Outcome)
	}
	return what
}

// whose names the group.
func (p *Program) whose(group string) string {
	texts := item.KeyTexts(group)
	var parts []string
	for i, place := range p.Rule.GroupBy {
		if i < len(texts) && texts[i] != "" {
			parts = append(parts, p.Rule.Key[place].String()+" "+quote(texts[i]))
		}
	}
	return strings.Join(parts, ", ")
}

func fieldNames(fields []schema.Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.String()
	}
	return strings.Join(names, ", ")
}

func stepNames(q *rules.Sequence) string {
	names := make([]string, len(q.Steps))
	for i, s := range q.Steps {
		names[i] = s.ID
		if s.Times > 1 {
			names[i] += " (" + strconv.Itoa(s.Times) + " times)"
		}
	}
	return strings.Join(names, ", ")
}
