package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// explainedEvent is what a rule makes of one event. Its JSON names are a contract.
type explainedEvent struct {
	Rule         string               `json:"rule"`
	Kind         string               `json:"kind"`
	Time         schema.Instant       `json:"time"`
	Dataset      string               `json:"dataset"`
	ReadsDataset bool                 `json:"reads_dataset"`
	Roles        []explainedRole      `json:"roles"`
	Compared     []explainedValue     `json:"compared,omitempty"`
	Exceptions   []explainedException `json:"exceptions,omitempty"`
	Matches      []string             `json:"matches"` // the roles that the event has; "" is the only role
	Verdict      string               `json:"verdict"`
	State        []engine.Trial       `json:"state,omitempty"`
	NoState      string               `json:"no_state,omitempty"` // why State is not shown

	hit uint32
}

type explainedRole struct {
	Role      string           `json:"role"`
	Condition explainedPart    `json:"condition"`
	Index     explainedIndex   `json:"index"`
	Key       []explainedValue `json:"key"`
	Complete  bool             `json:"key_complete"`
}

type explainedPart struct {
	Text     string           `json:"text"`
	Operator string           `json:"operator,omitempty"`
	Value    string           `json:"value"` // true, false or error
	Error    string           `json:"error,omitempty"`
	Reads    []explainedValue `json:"reads,omitempty"`
	Parts    []explainedPart  `json:"parts,omitempty"`
}

type explainedValue struct {
	Name  string `json:"name"`
	Value any    `json:"value,omitempty"`
	Is    string `json:"is"` // present, absent or error
	Error string `json:"error,omitempty"`
}

type explainedIndex struct {
	Found bool   `json:"found"`
	Why   string `json:"why"`
}

type explainedException struct {
	When   string `json:"when"`
	Until  string `json:"until"`
	Reason string `json:"reason,omitempty"`
	Owner  string `json:"owner,omitempty"`
	Value  string `json:"value"` // true, false, error or over
}

// newExplainedEvent returns an explanation in the form that is printed. show returns a value as it may be shown.
func newExplainedEvent(x *rules.Explanation, e *schema.Event, show func(*rules.Reading) schema.Value) *explainedEvent {
	r := x.Rule
	end, _ := e.End()
	out := &explainedEvent{
		Rule: r.ID, Kind: string(r.Kind), Time: end, Dataset: x.Dataset, ReadsDataset: x.ReadsDataset, hit: x.Hit, Matches: []string{},
	}
	values := func(rs []rules.Reading) (list []explainedValue) {
		for i := range rs {
			list = append(list, newExplainedValue(&rs[i], show))
		}
		return list
	}
	var part func(p *rules.PartExplanation) explainedPart
	part = func(p *rules.PartExplanation) explainedPart {
		o := explainedPart{Text: p.Text, Operator: p.Operator, Value: verdictText(p.Holds, p.Err), Reads: values(p.Reads)}
		if p.Err != nil {
			o.Error = p.Err.Error()
		}
		for i := range p.Parts {
			o.Parts = append(o.Parts, part(&p.Parts[i]))
		}
		return o
	}
	for i := range x.Roles {
		role := &x.Roles[i]
		out.Roles = append(out.Roles, explainedRole{
			Role: role.Name, Condition: part(&role.Condition), Index: indexView(role), Key: values(role.Key), Complete: role.IsComplete(r),
		})
		if x.Hit&(1<<i) != 0 {
			out.Matches = append(out.Matches, role.Name)
		}
	}
	for i := range x.Exceptions {
		ex := &x.Exceptions[i]
		o := explainedException{When: ex.Text, Until: ex.Day(), Reason: ex.Reason, Owner: ex.Owner, Value: verdictText(ex.Holds, ex.Err)}
		if ex.Over {
			o.Value = "over"
		}
		out.Exceptions = append(out.Exceptions, o)
	}
	out.Compared = values(x.Compared)
	out.Verdict = verdict(x, out)
	return out
}

func newExplainedValue(r *rules.Reading, show func(*rules.Reading) schema.Value) explainedValue {
	switch {
	case r.Err != nil:
		return explainedValue{Name: r.Name, Is: "error", Error: r.Err.Error()}
	case !r.Value.Present():
		return explainedValue{Name: r.Name, Is: "absent"}
	}
	v := show(r)
	out := explainedValue{Name: r.Name, Is: "present"}
	switch v.Kind {
	case schema.KindAbsent: // redaction drops it
		out.Value = "(dropped)"
	case schema.KindInt:
		out.Value = v.Int()
	case schema.KindBool:
		out.Value = v.Bool()
	case schema.KindDouble:
		out.Value = v.Double()
	default:
		text := string(item.AppendValueText(nil, v))
		if short := schema.Truncate(text, maxExplainedText); len(short) < len(text) {
			text = short + "..."
		}
		out.Value = text
	}
	return out
}

// maxExplainedText is the size in bytes of a value that is printed.
const maxExplainedText = 400

func verdictText(holds bool, err error) string {
	switch {
	case err != nil:
		return "error"
	case holds:
		return "true"
	}
	return "false"
}

// indexView describes how the index came to evaluate the condition of a role for the event, or why it did not.
func indexView(role *rules.RoleExplanation) explainedIndex {
	x := explainedIndex{Found: role.Found, Why: role.Witness}
	if !role.Always && role.Found {
		x.Why = "one of the facts holds: " + role.Witness
	} else if !role.Always {
		x.Why = "none of the facts holds: " + role.Witness
	}
	return x
}

// verdict returns the outcome as a sentence.
func verdict(x *rules.Explanation, out *explainedEvent) string {
	holds := false
	for i := range x.Roles {
		holds = holds || x.Roles[i].Condition.Holds
	}
	switch {
	case !x.ReadsDataset:
		return fmt.Sprintf("no match: the rule does not read the dataset %q", x.Dataset)
	case x.Hit == 0 && x.Excepted && holds:
		return "no match: an exception removes the event from the rule"
	case x.Hit == 0:
		return "no match: the condition does not hold"
	}
	for i := range x.Roles {
		if x.Hit&(1<<i) != 0 && !x.Roles[i].IsComplete(x.Rule) {
			return "a match, but no item of the rule: the key is not complete"
		}
	}
	if x.Rule.Kind == rules.KindDistinct || x.Rule.Kind == rules.KindNewValue || x.Rule.Kind == rules.KindRarity {
		for i := range x.Compared {
			if !x.Compared[i].Value.Present() {
				return fmt.Sprintf("a match, but no item of the rule: %s is absent", x.Compared[i].Name)
			}
		}
	}
	if len(x.Roles) > 1 {
		return "an item of the rule, as " + strings.Join(out.Matches, ", ")
	}
	if x.Rule.Kind == rules.KindNone {
		return "a trigger of the rule"
	}
	return "an item of the rule"
}

// print prints the explanation as text.
func (x *explainedEvent) print(w io.Writer) error {
	p := &printer{w: w}
	p.line(0, "rule %s (%s), event of %s, dataset %q: %s", x.Rule, x.Kind, x.Time, x.Dataset, x.Verdict)
	for i := range x.Roles {
		r := &x.Roles[i]
		if r.Role != "" {
			p.line(0, "role %s", r.Role)
		}
		p.line(0, "condition:")
		p.part(1, &r.Condition)
		found := "found"
		if !r.Index.Found {
			found = "not found"
		}
		p.line(0, "index: %s: %s", found, r.Index.Why)
		complete := ""
		if !r.Complete {
			complete = " - not complete"
		}
		p.line(0, "key: %s%s", valuesText(r.Key), complete)
	}
	if len(x.Compared) > 0 {
		p.line(0, "compares: %s", valuesText(x.Compared))
	}
	for _, ex := range x.Exceptions {
		p.line(0, "exception until %s: %s: %s %s", ex.Until, ex.Value, ex.When, ex.Reason)
	}
	for i := range x.State {
		p.trial(&x.State[i])
	}
	if x.NoState != "" {
		p.line(0, "State is not shown: %s", x.NoState)
	}
	return p.err
}

// explainedFinding is a finding with what its rule makes of each event of its evidence. Its JSON names are a contract.
type explainedFinding struct {
	Finding *schema.Finding   `json:"finding"`
	Note    string            `json:"note,omitempty"`
	Events  []*explainedEvent `json:"events"`
	State   *engine.StateView `json:"state,omitempty"`    // the present State of the finding's key
	NoState string            `json:"no_state,omitempty"` // why State is not shown
}

// print prints the explanation as text.
func (x *explainedFinding) print(w io.Writer) error {
	p := &printer{w: w}
	f := x.Finding
	p.line(0, "finding %s, revision %d: %s %s", f.ID, f.Revision, f.Status, f.WithdrawnReason)
	p.line(0, "summary: %s", f.Summary)
	p.line(0, "explanation: %s", f.Explanation)
	p.line(0, "count %d, value %s, threshold %s; group from %s, events from %s to %s", f.Count, numberText(f.Value), numberText(f.Threshold),
		f.GroupStart, f.FirstSeen, f.LastSeen)
	if len(f.Baseline) > 0 {
		p.line(0, "baseline: %s", f.Baseline)
	}
	if f.WarmingUntil != nil {
		p.line(0, "the State of the rule did not know its whole window before %s", *f.WarmingUntil)
	}
	if x.Note != "" {
		p.line(0, "note: %s", x.Note)
	}
	for _, reason := range f.Reasons {
		p.line(0, "reason: %s", reason)
	}
	if len(x.Events) == 0 {
		for i := range f.Evidence {
			ev := &f.Evidence[i]
			p.line(0, "trigger at %s: %s", ev.Time, fieldsText(ev.Fields))
		}
	}
	for i, e := range x.Events {
		p.line(0, "")
		p.line(0, "event %d of %d in the evidence", i+1, len(x.Events))
		if p.err == nil {
			p.err = e.print(w)
		}
	}
	p.line(0, "")
	switch {
	case x.State != nil:
		p.line(0, "State now: %d pending events", x.State.Pending)
		p.keys(x.State.Keys)
	case x.NoState != "":
		p.line(0, "State is not shown: %s", x.NoState)
	}
	return p.err
}

func numberText(n json.Number) string {
	if n == "" {
		return "-"
	}
	return string(n)
}

func fieldsText(fields map[string]any) string {
	var parts []string
	for _, name := range sortedKeys(fields) {
		parts = append(parts, fmt.Sprintf("%s = %v", name, fields[name]))
	}
	return strings.Join(parts, ", ")
}

// printer prints lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

// line prints a line without anything that a terminal would execute.
func (p *printer) line(depth int, format string, args ...any) {
	if p.err == nil {
		text := strings.TrimRight(plainLine(fmt.Sprintf(format, args...)), " ")
		_, p.err = fmt.Fprintf(p.w, "%s%s\n", strings.Repeat("  ", depth), text)
	}
}

// part prints a condition with its parts below it.
func (p *printer) part(depth int, c *explainedPart) {
	text := fmt.Sprintf("%-5s  %s", c.Value, c.Text)
	switch {
	case len(c.Parts) > 0:
		text = fmt.Sprintf("%-5s  %s of:", c.Value, map[string]string{"&&": "all", "||": "any", "!": "none"}[c.Operator])
	case len(c.Reads) > 0:
		text += "   [" + valuesText(c.Reads) + "]"
	}
	if c.Error != "" {
		text += "   (" + c.Error + ")"
	}
	p.line(depth, "%s", text)
	for i := range c.Parts {
		p.part(depth+1, &c.Parts[i])
	}
}

// trial prints State before and after an event.
func (p *printer) trial(t *engine.Trial) {
	p.line(0, "group: %s", keyText(t.Group))
	if t.Late {
		p.line(0, "the event is below the watermark: State would not change")
	}
	p.line(0, "State before:")
	p.keys(t.Before)
	p.line(0, "State after:")
	p.keys(t.After)
	for _, f := range t.Findings {
		p.line(0, "the event opens or changes finding %s: count %d, value %s: %s", f.ID, f.Count, numberText(f.Value), f.Summary)
	}
	if len(t.Findings) == 0 {
		p.line(0, "the event opens and changes no finding")
	}
}

func keyText(key map[string]string) string {
	var parts []string
	for _, name := range sortedKeys(key) {
		parts = append(parts, fmt.Sprintf("%s = %q", name, key[name]))
	}
	return strings.Join(parts, ", ")
}

// keys prints the State of keys, as JSON because each kind has numbers of its own.
func (p *printer) keys(keys []fold.KeyView) {
	if len(keys) == 0 {
		p.line(1, "none")
	}
	for i := range keys {
		b, err := json.Marshal(&keys[i])
		if err != nil {
			p.err = err
			return
		}
		p.line(1, "%s", b)
	}
}

func valuesText(values []explainedValue) string {
	var parts []string
	for _, v := range values {
		switch text, isText := v.Value.(string); {
		case v.Is == "error":
			parts = append(parts, v.Name+": "+v.Error)
		case v.Is == "absent":
			parts = append(parts, v.Name+" is absent")
		case isText:
			parts = append(parts, fmt.Sprintf("%s = %q", v.Name, text))
		default:
			parts = append(parts, fmt.Sprintf("%s = %v", v.Name, v.Value))
		}
	}
	return strings.Join(parts, ", ")
}
