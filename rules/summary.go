package rules

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxSummary is the size in bytes of the text of a summary, which is one sentence.
	maxSummary = 500
	// maxPlaceholders is the largest number of values in a summary. A person reads no more of them in one sentence.
	maxPlaceholders = 16
)

// SummaryPart is a part of a rule's `summary`: a text of the author, or a value of the finding.
type SummaryPart struct {
	Source SummarySource
	Text   string            // of SummaryText, as findings show it; of the others, their name
	Value  predicate.Mention // of SummaryField
}

// SummarySource is the origin of a SummaryPart.
type SummarySource uint8

// The origins of the parts of a summary.
const (
	SummaryText       SummarySource = iota // the author
	SummaryField                           // the events of the finding: a field or a raw path
	SummaryKey                             // the key of the finding: a named expression
	SummaryCount                           // the finding's count
	SummaryValue                           // the finding's value; of new_value, the value that is new
	SummaryProvenance                      // what a provenance rule found; Text is value, argument or source
)

// summary reads `summary`. It runs after group, because a summary may name parts of the key.
func (r *reader) summary(n *doc.Node) {
	text := n.Filled()
	if text == "" {
		return
	}
	if len(text) > maxSummary || strings.ContainsAny(text, "\n\r") {
		n.Fail("is longer than one line of %d bytes: shorten it", maxSummary)
		return
	}
	placeholders := 0
	for at := 0; at < len(text); {
		open := strings.IndexAny(text[at:], "{}")
		if open < 0 {
			r.summaryText(text[at:])
			break
		}
		r.summaryText(text[at : at+open])
		at += open
		if double := text[at : at+1]; strings.HasPrefix(text[at+1:], double) { // {{ and }} are braces
			r.summaryText(double)
			at += 2
			continue
		}
		end := endOfPlaceholder(text[at:])
		if text[at] == '}' || end < 0 {
			line, col := runePosition(text, at)
			n.FailAt(line, col, "%s", `a brace without its partner: write {FIELD} for a value, and {{ or }} for a brace`)
			return
		}
		r.placeholder(n, text, at+1, text[at+1:at+end])
		at += end + 1
		placeholders++
	}
	if placeholders > maxPlaceholders {
		n.Fail("names %d values: name at most %d", placeholders, maxPlaceholders)
	}
}

// endOfPlaceholder returns the index of the brace that closes a placeholder, -1 if there is none. A key of a raw path in
// quotes may hold braces.
func endOfPlaceholder(text string) int {
	quoted := false
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '`':
			quoted = !quoted
		case c == '{' && !quoted:
			return -1
		case c == '}' && !quoted:
			return i
		}
	}
	return -1
}

// runePosition returns the line and column of byte i of a text of one line, as doc.Node.FailAt counts them.
func runePosition(text string, i int) (line, col int) { return 1, len([]rune(text[:i])) + 1 }

// summaryText adds a text of the author to the summary.
func (r *reader) summaryText(text string) {
	parts := r.rule.Summary
	if last := len(parts) - 1; last >= 0 && parts[last].Source == SummaryText {
		parts[last].Text += text
	} else if text != "" {
		r.rule.Summary = append(parts, SummaryPart{Source: SummaryText, Text: text})
	}
}

// placeholder adds the value that a placeholder names. at is the index of the name in the text of the summary.
func (r *reader) placeholder(n *doc.Node, text string, at int, written string) {
	name := strings.TrimSpace(written)
	line, col := runePosition(text, at+len(written)-len(strings.TrimLeft(written, " ")))
	fail := func(format string, args ...any) { n.FailAt(line, col, format, args...) }
	part, ok := r.summaryPart(n, name, line, col, fail)
	if ok {
		r.rule.Summary = append(r.rule.Summary, part)
	}
}

func (r *reader) summaryPart(n *doc.Node, name string, line, col int, fail func(string, ...any)) (p SummaryPart, ok bool) {
	rule := r.rule
	if strings.HasPrefix(name, "raw.") || strings.HasPrefix(name, "raw[") {
		m, issues := r.compiler.env.CompileRaw(name)
		for _, i := range issues {
			n.FailAt(line, col+i.Col-1, "%s", i.Text)
		}
		if issues != nil {
			return p, false
		}
		r.mentions(n, []predicate.Mention{m})
		return SummaryPart{Source: SummaryField, Text: m.Name, Value: m}, true
	}
	what, isProvenance := strings.CutPrefix(name, "provenance.")
	f, isField := schema.FieldByName(name)
	switch {
	case name == "count":
		return SummaryPart{Source: SummaryCount, Text: name}, true
	case name == "value" && !rule.hasValue():
		fail("value: the rule compares no value: name a field, or {count}")
	case name == "value":
		return SummaryPart{Source: SummaryValue, Text: name}, true
	case isProvenance && rule.Kind == KindProvenance && isField:
		return SummaryPart{Source: SummaryProvenance, Text: what}, true
	case !isField && r.isKeyExpression(name):
		return SummaryPart{Source: SummaryKey, Text: name}, true
	case !isField:
		fail("unknown field %q%s", doc.Short(name), r.nearPlaceholder(name))
	case f.OfTrigger() && rule.Over == nil:
		fail("%s belongs to the triggers of rules: only the summary of a rule with over%s can name it", name, provenanceToo(isProvenance))
	case !f.Visible() && !f.OfTrigger():
		fail("%s describes when or where a record was read: name another field, because findings must not depend on it", name)
	default:
		return SummaryPart{Source: SummaryField, Text: name, Value: predicate.Mention{Name: name, Field: f, Raw: -1}}, true
	}
	return p, false
}

func provenanceToo(isProvenance bool) string {
	if isProvenance {
		return " or provenance"
	}
	return ""
}

// hasValue reports whether the rule's findings have a value that a summary can show.
func (r *Rule) hasValue() bool {
	switch r.Kind {
	case KindThreshold, KindDistinct, KindNewValue, KindBaseline, KindRarity, KindFlow:
		return true
	}
	return false
}

// isKeyExpression reports whether a name is that of an expression in the group's key.
func (r *reader) isKeyExpression(name string) bool {
	return slices.ContainsFunc(r.rule.GroupBy, func(i int) bool { return r.rule.Key[i].Text != nil && r.rule.Key[i].Name == name })
}

// nearPlaceholder returns the end of the message about an unknown name: the name that was probably meant, or where to
// look.
func (r *reader) nearPlaceholder(name string) string {
	if near := doc.Nearest(name, []string{"count", "value", "provenance.value", "provenance.argument", "provenance.source"}); near != "" {
		return ": did you mean " + near + "?"
	}
	return nearField(name)
}

// summaryMentions returns the values of events that the summary shows.
func (r *Rule) summaryMentions() (ms []predicate.Mention) {
	for i := range r.Summary {
		if r.Summary[i].Source == SummaryField {
			ms = append(ms, r.Summary[i].Value)
		}
	}
	return ms
}
