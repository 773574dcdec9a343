package fold

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxSummary is the size in bytes of a summary. Values are at most maxQuoted each, and a rule may name several of them.
const maxSummary = 2 << 10

// summarise returns the summary of a finding, which is complete but for it: that of the rule or, if it has none, the
// agent, what it did, the target and an outcome that is not success. Every text that comes from a record is quoted, so
// that it cannot pass for words of the sentence.
func (p *Program) summarise(g *Group, f *schema.Finding) string {
	if p.Rule.Summary == nil {
		text := p.explainEvents(g)
		return strings.ToUpper(text[:1]) + text[1:]
	}
	var b strings.Builder
	for i := range p.Rule.Summary {
		b.WriteString(p.summaryPart(&p.Rule.Summary[i], g, f))
	}
	if b.Len() <= maxSummary {
		return b.String()
	}
	return schema.Truncate(b.String(), maxSummary-len("...")) + "..."
}

func (p *Program) summaryPart(part *rules.SummaryPart, g *Group, f *schema.Finding) string {
	switch part.Source {
	case rules.SummaryText:
		return part.Text
	case rules.SummaryField:
		return summaryField(part, f)
	case rules.SummaryKey:
		return quoteOrAbsent(part.Text, f.Key[part.Text])
	case rules.SummaryCount:
		return strconv.FormatInt(f.Count, 10)
	case rules.SummaryValue:
		if p.Rule.Kind == rules.KindNewValue {
			return quoteOrAbsent(part.Text, g.Text)
		}
		return string(f.Value)
	case rules.SummaryProvenance:
		return quoteOrAbsent("provenance."+part.Text, taintText(g, part.Text))
	}
	panic("BUG: no such part of a summary")
}

// taintText returns what a provenance rule found, of the detail of a group: value, argument and source (each uvarint
// length, bytes).
func taintText(g *Group, name string) string {
	value, rest := flat.ReadText(g.Detail)
	argument, rest := flat.ReadText(rest)
	source, _ := flat.ReadText(rest)
	switch name {
	case "value":
		return value
	case "argument":
		return argument
	}
	return source
}

// summaryField returns the different values of a field in the events that the finding shows. Many logs do not name their
// agents: then its id is in the place of its name.
func summaryField(part *rules.SummaryPart, f *schema.Finding) string {
	var texts []string
	for i := range f.Evidence {
		if v, ok := f.Evidence[i].Fields[part.Text]; ok {
			if text := summaryValue(v); text != "" && !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	switch {
	case len(texts) > maxListed:
		return strings.Join(texts[:maxListed], ", ") + " and others"
	case len(texts) > 0:
		return strings.Join(texts, ", ")
	case part.Value.Raw < 0 && part.Value.Field == schema.AIAgentName:
		return quoteOrAbsent("ai_agent.uid", f.AgentUID)
	}
	return quoteOrAbsent(part.Text, "")
}

// summaryValue returns a value of evidence as a summary shows it: a number, true and false as they are, and anything else
// quoted. It is "" for an empty text.
func summaryValue(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return ""
		}
		return quote(v)
	case json.RawMessage:
		return quote(string(v))
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// quoteOrAbsent returns a text quoted, or words for the value that the events lack.
func quoteOrAbsent(name, text string) string {
	if text == "" {
		return "(no " + name + ")"
	}
	return quote(text)
}
