package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

// findingBody is the content of the page of a finding.
type findingBody struct {
	*schema.Finding
	Rule       *api.RuleView // nil: the rule is not among those that run now
	Values     []seenValue
	Keep       []string // what would have kept it from firing
	Meter      *meter
	Timeline   *timeline
	Path       *drawnPath
	PathTitle  string
	Contained  []schema.ResponseRecord // of its agent, or because of it
	OneSession bool
	Triage     *schema.Triage // nil: nobody has looked at it
	MayTriage  bool
	Verdicts   []schema.TriageVerdict
}

// seenValue is a field that the rule mentions, with its values in the evidence.
type seenValue struct {
	Name   string
	Values []string
	More   int
}

// maxSeen is the number of values of one field that are listed.
const maxSeen = 6

// finding shows one finding.
func (q *request) finding() error {
	id := q.r.PathValue("id")
	b := findingBody{Finding: &schema.Finding{}}
	line := api.FindingLine{Finding: b.Finding}
	if err := q.get("/v1/findings/"+url.PathEscape(id), nil, &line); err != nil {
		if _, bad := schema.ParseID(id); bad != nil {
			return badRequest{err}
		}
		return err
	}
	f := b.Finding
	b.Triage, b.MayTriage, b.Verdicts = line.Triage, q.session.who.may(access.Triage), schema.TriageVerdicts()
	var rule api.RuleView
	if err := q.get("/v1/rules/"+url.PathEscape(f.RuleID), nil, &rule); err == nil {
		b.Rule = &rule
	}
	b.Values, b.Keep = valuesOf(f), keepFrom(f)
	if m, ok := drawMeter(f); ok {
		b.Meter = &m
	}
	b.Timeline = drawTimeline(momentsOf(f))
	b.Path, b.PathTitle = pathOf(f)
	b.Contained = q.containedBy(f)
	return q.show(page{
		Name: "finding", Nav: "findings", Title: f.Title, Live: "findings", Body: b,
		Help: &help{
			From: "The finding in the local store, as the engine made it from the records. Evidence holds the first 3 and the last 5 events, " +
				"with the fields that the rule mentions, redacted when they were captured.",
			Command: []string{"aidr findings show " + f.ID.String(), "aidr rules explain " + shellQuoted(f.RuleID) + " --event FILE"},
			SQL: "SELECT * FROM aidr.v_findings WHERE id = '" + f.ID.String() + "';\n" +
				"SELECT * FROM aidr.v_finding_events WHERE finding_id = '" + f.ID.String() + "' ORDER BY number",
		},
	})
}

// containedBy returns the containments of the finding's agent, and those because of it.
func (q *request) containedBy(f *schema.Finding) (out []schema.ResponseRecord) {
	all, _, err := list[schema.ResponseRecord](q, "/v1/responses", url.Values{"limit": {"200"}}, 200)
	if err != nil {
		return nil // the finding is of use without it
	}
	for _, r := range all {
		if r.FindingID == f.ID || !r.Status.Ended() && f.AgentUID != "" && r.Target.Agent == f.AgentUID && r.Target.Tenant == f.Tenant {
			out = append(out, r)
		}
	}
	return out
}

// valuesOf returns the fields in the evidence with their different values, in the order of their names.
func valuesOf(f *schema.Finding) (out []seenValue) {
	at := map[string]int{}
	for _, e := range f.Evidence {
		for name, v := range e.Fields {
			i, ok := at[name]
			if !ok {
				i = len(out)
				at[name] = i
				out = append(out, seenValue{Name: name})
			}
			text := fieldText(v)
			switch {
			case slices.Contains(out[i].Values, text):
			case len(out[i].Values) == maxSeen:
				out[i].More++
			default:
				out[i].Values = append(out[i].Values, text)
			}
		}
	}
	slices.SortFunc(out, func(a, b seenValue) int { return strings.Compare(a.Name, b.Name) })
	for i := range out {
		slices.Sort(out[i].Values)
	}
	return out
}

// keepFrom returns what would have kept a finding from firing, from its kind and its numbers.
func keepFrom(f *schema.Finding) (out []string) {
	var b struct {
		Known     int64       `json:"known"`
		Since     string      `json:"since"`
		Median    json.Number `json:"median"`
		Direction string      `json:"direction"`
		Share     json.Number `json:"share"`
		Samples   int         `json:"samples"`
	}
	if len(f.Baseline) > 0 {
		_ = json.Unmarshal(f.Baseline, &b) // fields of other kinds stay empty
	}
	switch f.Kind {
	case "threshold", "distinct":
		out = append(out, fmt.Sprintf("A value below %s. It reached %s.", f.Threshold, f.Value))
	case "baseline":
		side := "below"
		if b.Direction == "down" {
			side = "above"
		}
		out = append(out, fmt.Sprintf("A value %s %s. It was %s; the median of %d earlier values is %s.", side, f.Threshold, cmp.Or(string(f.Value), "?"), b.Samples, b.Median))
	case "new_value":
		out = append(out, fmt.Sprintf("A value that this key had before. It had %d other values since %s.", b.Known, cmp.Or(b.Since, "the beginning")))
	case "rarity":
		out = append(out, fmt.Sprintf("A value that is more common: its share was %s since %s.", b.Share, b.Since))
	case "sequence":
		out = append(out, "One of the steps missing, the steps in another order, or further apart than the rule allows.")
	case "absence":
		out = append(out, "The event that was expected, in time.")
	case "flow", "provenance":
		out = append(out, "The value in the call not coming out of an earlier result, or coming too late after it.")
	default:
		out = append(out, "One of the conditions below not holding.")
	}
	return out
}

// momentsOf returns the evidence for a timeline.
func momentsOf(f *schema.Finding) (out []moment) {
	for _, e := range f.Evidence {
		out = append(out, momentOf(&e))
	}
	return out
}

func momentOf(e *schema.Evidence) moment {
	return moment{at: e.Time, lane: cut(cmp.Or(e.Dataset, "other"), 20), class: outcomeClass(e.Outcome), title: cut(eventText(e), 120)}
}

// eventText names an event on one line.
func eventText(e *schema.Evidence) string {
	parts := slices.DeleteFunc([]string{e.Action, e.Tool, e.Target, e.Resource, e.Outcome}, func(s string) bool { return s == "" })
	return strings.Join(parts, " ")
}

// outcomeClass returns the class of an outcome in the style sheet.
func outcomeClass(outcome string) string {
	switch outcome {
	case "success":
		return "ok"
	case "failure":
		return "bad"
	}
	return "open"
}

// pathOf draws the way of a value from the result that brought it to the argument that used it or, of a sequence, its steps. It draws
// only what is in the evidence.
func pathOf(f *schema.Finding) (*drawnPath, string) {
	if p := f.Provenance; p != nil && p.Source != "" && len(f.Evidence) > 0 {
		last := f.Evidence[len(f.Evidence)-1]
		steps := []box{
			{Title: p.Source, Detail: "its result held the value", Class: "source"},
			{Title: p.Value, Detail: "the value", Class: "value"},
			{Title: cmp.Or(last.Tool, last.Action), Detail: "used it in " + cmp.Or(p.Argument, "its arguments"), Class: "sink"},
		}
		return drawPath(steps, nil), "Where the value came from"
	}
	var steps []box
	counts := map[string]int{}
	for _, e := range f.Evidence {
		if e.Step == "" {
			continue
		}
		if counts[e.Step]++; counts[e.Step] == 1 {
			steps = append(steps, box{Title: e.Step, Detail: cmp.Or(e.Tool, e.Action), Class: "value"})
		}
	}
	if len(steps) < 2 {
		return nil, ""
	}
	for i := range steps {
		if n := counts[steps[i].Title]; n > 1 {
			steps[i].Detail += fmt.Sprintf(", %d in evidence", n)
		}
	}
	steps[0].Class, steps[len(steps)-1].Class = "source", "sink"
	return drawPath(steps, nil), "The steps, as the evidence shows them"
}

// shellQuoted quotes a text for a shell, unless it needs no quotes. Characters that cannot be seen are shown by their codes: such a
// command is to be read, not to be copied.
func shellQuoted(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+,", r))
	}) < 0
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(Plain(s), "'", `'\''`) + "'"
}
