package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Guard is the judgement of the guardrails that a provider ran on a prompt or an answer: Bedrock's assessments, in the trace
// of Converse, of InvokeModel and of ApplyGuardrail, and the content filters of Azure OpenAI. The gravest of their
// judgements counts, and of several that are equally grave the first. It belongs to one worker.
type Guard struct {
	Name     string // of the guardrail
	Verdict  string // the severity, or detected
	Action   string // blocked, anonymized or none
	Category string // of the risk
	grave    gravity
	visited  int
}

// gravity orders judgements.
type gravity uint8

const (
	graveNone gravity = iota
	graveSeen
	graveMasked
	graveBlocked
)

// Reset forgets the judgement.
func (g *Guard) Reset() { *g = Guard{} }

// Blocked reports whether a guardrail held something back.
func (g *Guard) Blocked() bool { return g.grave == graveBlocked }

// Found reports whether a guardrail noticed anything.
func (g *Guard) Found() bool { return g.grave > graveNone }

// maxJudged bounds the values of assessments that are visited, 4,096. A real one has fewer than a hundred.
const maxJudged = 4096

// contentFilter is the guardrail.name of the filters of Azure OpenAI, which have no name of their own.
const contentFilter = "azure_content_filter"

// Filters reads the results of content filters: an object of categories, or a list of objects that hold one.
func (g *Guard) Filters(el *formats.Element, n formats.Node) { g.judge(el, n, contentFilter, "") }

// Assessments reads the assessments of guardrails, at any level inside n.
func (g *Guard) Assessments(el *formats.Element, n formats.Node) { g.judge(el, n, "", "") }

// judgement is the members of an object that may be a judgement.
type judgement struct {
	action, kind, name, severity string
	filtered, detected           bool
	match                        bool
}

// judge visits a value of an assessment. name is that of the guardrail, and key the key of the object that is nearest.
func (g *Guard) judge(el *formats.Element, n formats.Node, name, key string) {
	if g.visited++; g.visited > maxJudged {
		return
	}
	switch n.Kind {
	case scan.Array:
		el.Index.Each(n.Src, n.Span, func(elem scan.Span) bool {
			if elem.Kind >= scan.Object {
				g.judge(el, formats.Node{Src: n.Src, Span: elem}, name, key)
			}
			return true
		})
	case scan.Object:
		var j judgement
		el.Index.Members(n.Src, n.Span, &el.Arena, func(member string, v scan.Span) bool {
			value := formats.Node{Src: n.Src, Span: v}
			switch {
			case v.Kind < scan.Object:
				j.add(el, member, value)
			case isAssessed(key):
				g.judge(el, value, member, member) // the key is the guardrail's id
			default:
				g.judge(el, value, name, member)
			}
			return true
		})
		g.weigh(&j, name, key)
	}
}

// isAssessed reports whether the keys of the object at key are the ids of guardrails.
func isAssessed(key string) bool {
	return key == "inputAssessment" || key == "outputAssessments" || key == "input" || key == "outputs"
}

// add notes a member of an object.
func (j *judgement) add(el *formats.Element, key string, v formats.Node) {
	switch key {
	case "action":
		j.action = el.Text(v)
	case "type":
		j.kind = el.Text(v)
	case "name":
		j.name = el.Text(v)
	case "severity":
		j.severity = el.Text(v)
	case "match":
		j.match = true
	case "filtered", "blocked":
		j.filtered = v.Kind == scan.True
	case "detected":
		j.detected = v.Kind == scan.True
	}
}

// weigh keeps a judgement if it is graver than those before. key is the key of the object, or of the list that it is in.
func (g *Guard) weigh(j *judgement, name, key string) {
	grave, action, verdict := graveNone, "", "detected"
	switch strings.ToUpper(j.action) {
	case "BLOCKED":
		grave, action = graveBlocked, formats.Blocked
	case "ANONYMIZED", "MASKED":
		grave, action = graveMasked, "anonymized"
	case "NONE":
		if j.detected || j.match {
			grave, action = graveSeen, "none"
		}
	case "":
		bad := j.severity != "" && !strings.EqualFold(j.severity, "safe")
		switch {
		case j.filtered:
			grave, action = graveBlocked, formats.Blocked
		case j.detected || bad:
			grave, action = graveSeen, "none"
		}
		if bad {
			verdict = j.severity
		}
	}
	if grave <= g.grave {
		return
	}
	g.grave, g.Name, g.Action, g.Verdict, g.Category = grave, name, action, verdict, categoryOf(j, key)
}

// categoryOf returns the category of a judgement: a topic and a pattern have names of their own, a filter has a type, and a
// list of words has neither, so its key counts.
func categoryOf(j *judgement, key string) string {
	switch {
	case j.name != "":
		return j.name
	case j.kind != "":
		return j.kind
	}
	return key
}

// merge keeps the graver of two judgements.
func (g *Guard) merge(other *Guard) {
	if other.grave > g.grave {
		*g = *other
	}
}

// Set sets the fields of an event that are absent, and blocks it if a guardrail held something back.
func (g *Guard) Set(el *formats.Element) {
	if g.grave == graveNone {
		return
	}
	for _, f := range [...]struct {
		field schema.Field
		text  string
	}{
		{schema.GuardrailName, g.Name},
		{schema.GuardrailVerdict, g.Verdict},
		{schema.GuardrailAction, g.Action},
		{schema.GuardrailRiskCategory, g.Category},
	} {
		if !el.Event.Has(f.field) {
			el.SetText(f.field, f.text)
		}
	}
	if g.grave == graveBlocked {
		el.SetBlocked()
	}
}
