package fold

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxQuoted is the size in bytes of one quoted text in an explanation, which is one sentence.
const maxQuoted = 120

// quote returns a text, which an attacker may have written, in a form that is safe in a line and in a terminal: control
// characters and those that change the direction of text are escaped.
func quote(s string) string {
	short := schema.Truncate(s, maxQuoted)
	if len(short) < len(s) {
		short += "..."
	}
	return strconv.Quote(short)
}

// durationText returns whole days, hours, minutes or seconds in the spelling of rule files.
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

// maxListed is the number of different names that an explanation lists: more would make the sentence long.
const maxListed = 3

// explain returns the explanation of a finding: one sentence for people. It names the agent, its tools or actions, their
// targets, and the trigger.
func (p *Program) explain(group string, g *Group) string {
	text := p.explainEvents(g)
	if key := p.explainKey(group, g); key != "" {
		text = key + ": " + text
	} else {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if trigger := p.explainTrigger(g); trigger != "" {
		text += ": " + trigger
	}
	if g.Last > g.Start && p.latestCount {
		text += fmt.Sprintf("; triggered from %s to %s", g.Start, g.Last)
	} else if g.Last > g.Start {
		text += fmt.Sprintf("; %d events in all, from %s to %s", g.Count, g.First, g.Last)
	}
	return text + "."
}

// explainEvents describes the agent and the events that the finding shows.
func (p *Program) explainEvents(g *Group) string {
	agent := "an agent"
	if s := item.ReadSubject(g.Subject); s.AgentName != "" {
		agent = "agent " + quote(s.AgentName)
	} else if s.AgentUID != "" {
		agent = "agent " + quote(s.AgentUID)
	}
	var done, servers, targets, resources, outcomes []string
	verb, failed := "called", false
	for i := range g.Events[:g.N] {
		e := item.ReadEvidence(g.Events[i].Evidence)
		if e.Tool != "" {
			done = appendNew(done, e.Tool)
		} else if e.Action != "" {
			done, verb = appendNew(done, e.Action), "did"
		}
		servers, targets = appendNew(servers, e.ToolServer), appendNew(targets, e.Target)
		resources, outcomes = appendNew(resources, e.Resource), appendNew(outcomes, e.Outcome)
		failed = failed || e.Outcome != "" && e.Outcome != "success"
	}
	if !failed {
		outcomes = nil
	}
	if len(done) == 0 {
		verb = "was active"
	}
	text := agent + " " + verb
	for _, part := range [...]struct {
		word  string
		names []string
	}{{" ", done}, {" of server ", servers}, {" at ", targets}, {" on ", resources}, {" with outcome ", outcomes}} {
		if len(part.names) > 0 {
			text += part.word + listed(part.names)
		}
	}
	return text
}

// appendNew appends a text unless it is empty or in the list.
func appendNew(list []string, text string) []string {
	if text == "" || slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// listed returns the first maxListed names, quoted.
func listed(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == maxListed {
			b.WriteString(" and others")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(name))
	}
	return b.String()
}

// explainTrigger describes the first trigger, with the highest value of all triggers; "" if one event is the trigger.
func (p *Program) explainTrigger(g *Group) string {
	if k, ok := p.kind.(explainer); ok {
		return k.explain(p, g)
	}
	return ""
}

func (k distinct) explain(p *Program, g *Group) string {
	d := p.Rule.Distinct
	return fmt.Sprintf("%s different values of %s within %s, the limit is %d",
		p.countText(g, maxValues(d.Count)), operandNames(d.Of), durationText(d.Within), d.Count)
}

func (k *sequence) explain(p *Program, _ *Group) string {
	q := p.Rule.Sequence
	return fmt.Sprintf("%s happened in this order within %s", stepNames(q), durationText(q.Within))
}

func (k ring) explain(p *Program, g *Group) string  { return p.explainThreshold(g) }
func (k panes) explain(p *Program, g *Group) string { return p.explainThreshold(g) }

func (p *Program) explainThreshold(g *Group) string {
	t := p.Rule.Threshold
	in := durationText(t.Within)
	switch {
	case t.Sum != nil:
		return fmt.Sprintf("%s added up to %s within %s, the limit is %s",
			t.Sum.Of.Name, g.Value, in, p.threshold)
	case t.Ratio != nil:
		return fmt.Sprintf("%s %% of the events within %s were of the kind looked for, the limit is %s %%",
			percent(g.Value), in, percent(p.threshold))
	}
	most := math.MaxInt
	if t.Count <= maxRing {
		most = maxRing
	}
	return fmt.Sprintf("%s events within %s, the limit is %d", p.countText(g, most), in, t.Count)
}

// countText renders the value of a State that counts up to most.
func (p *Program) countText(g *Group, most int) string {
	n := string(p.unit.number(g.Value))
	if !g.Value.Less(rules.DecimalUnits(int64(most))) {
		return "at least " + n
	}
	return n
}

// percent renders a share, which is at most 1, so 100 times the share does not overflow.
func percent(share rules.Decimal) string { return rules.Decimal{Lo: share.Lo * 100}.String() }

// explainKey names the group by its fields and their values. The id and the name of the agent are left out, because the
// sentence names the agent.
func (p *Program) explainKey(group string, g *Group) string {
	named := item.ReadSubject(g.Subject).AgentUID != ""
	texts := item.KeyTexts(group)
	var parts []string
	for i, field := range p.Rule.GroupBy {
		o := &p.Rule.Key[field]
		if i >= len(texts) || texts[i] == "" || named && (o.IsField(schema.AIAgentUID) || o.IsField(schema.AIAgentName)) {
			continue
		}
		parts = append(parts, o.Name+" "+quote(texts[i]))
	}
	return strings.Join(parts, ", ")
}

func operandNames(os []rules.Operand) string {
	names := make([]string, len(os))
	for i := range os {
		names[i] = os[i].Name
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
