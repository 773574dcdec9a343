package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// Made is a test that was made of a finding.
type Made struct {
	Name   string
	Notes  []string // what the evidence lacks and the test has instead
	Events []MadeEvents
	Found  []*schema.Finding // what the rule finds in the events
}

// MadeEvents is one entry of a made test's events. The values have the types of encoding/json.
type MadeEvents struct {
	At     time.Duration
	Repeat int // at least 1
	Every  time.Duration
	Set    map[string]any // by field or raw path, as an author writes it
	event  schema.Event
	raws   []rules.RawValue
}

// maxFilled is the largest number of events that a made test adds to those of the evidence.
const maxFilled = 2_000

// earlier is the value that a made test gives to the history of a rule.
const earlier = "earlier"

// FromFinding makes a test of the evidence of a finding: its events with the values that the rule reads, in their distances of time.
// events holds the evidence as events, one for each; paths are the raw paths of the set. Evidence has the first 3 and last 5
// events, so events are repeated between them up to the count of the finding; and a rule that compares with a history gets one. The
// error reports why the events do not lead to a finding with the key of f.
func FromFinding(ctx context.Context, set *rules.Set, r *rules.Rule, f *schema.Finding) (*Made, error) {
	if r.Over != nil {
		return nil, fmt.Errorf("rule %q is over others, and its evidence are their triggers: make tests of their findings, and join the events", r.ID)
	}
	if len(f.Evidence) == 0 {
		return nil, fmt.Errorf("finding %s has no evidence: a finding about the running process has no test", f.ID)
	}
	m := &Made{Name: "finding " + f.ID.String()}
	var events []*schema.Event
	first := int64(f.Evidence[0].Time)
	for i := range f.Evidence {
		events = append(events, EvidenceEvent(r, &f.Evidence[i], f))
		first = min(first, int64(f.Evidence[i].Time))
	}
	paths := set.Wanted().Raw
	for _, e := range events {
		m.Events = append(m.Events, newMadeEvents(r, f, e, paths, time.Duration(e.Int(schema.Time)-first).Truncate(time.Millisecond)))
	}
	slices.SortStableFunc(m.Events, func(a, b MadeEvents) int { return int((a.At - b.At) / time.Millisecond) })
	m.fill(r, f)
	m.precede(r, f)
	if err := m.run(ctx, set, r); err != nil {
		return nil, err
	}
	for _, got := range m.Found {
		if maps.Equal(got.Key, f.Key) {
			return m, nil
		}
	}
	return nil, fmt.Errorf("the evidence of finding %s does not lead to a finding of rule %q again: values of it were cut or redacted, the rule or the registry "+
		"has changed, or its history is not in the evidence: aidr rules explain --finding shows the condition on each event", f.ID, r.ID)
}

// newMadeEvents returns an entry with the values of an event.
func newMadeEvents(r *rules.Rule, f *schema.Finding, e *schema.Event, paths [][]string, at time.Duration) MadeEvents {
	out := MadeEvents{At: at, Repeat: 1, Set: map[string]any{}, event: *e}
	out.event.Set(schema.Time, schema.Value{})
	reads := func(field schema.Field) bool {
		return slices.ContainsFunc(r.Mentions, func(m predicate.Mention) bool { return m.Raw < 0 && m.Field == field })
	}
	if !reads(schema.EventID) {
		out.event.Set(schema.EventID, schema.Value{}) // events with one id are one event, and some are repeated
	}
	if !out.event.Has(schema.AIAgentUID) && !reads(schema.AIAgentUID) {
		out.event.SetText(schema.AIAgentUID, f.AgentUID)
	}
	d := json.NewDecoder(strings.NewReader(string(formats.AppendEvent(nil, &out.event, false))))
	d.UseNumber()
	if err := d.Decode(&out.Set); err != nil {
		panic("BUG: " + err.Error())
	}
	for _, m := range r.Mentions {
		if m.Raw < 0 || m.Raw >= len(e.Raws) || !e.Raws[m.Raw].Present() {
			continue
		}
		value := rawValue(e.Raws[m.Raw])
		out.Set[m.Name] = value
		out.raws = append(out.raws, rules.RawValue{Path: paths[m.Raw], Value: value})
	}
	return out
}

// rawValue returns a value of a record as encoding/json has it.
func rawValue(v schema.Value) (out any) {
	switch v.Kind {
	case schema.KindInt:
		return json.Number(strconv.FormatInt(v.Int(), 10))
	case schema.KindDouble:
		return v.Double()
	case schema.KindBool:
		return v.Bool()
	case schema.KindJSON, schema.KindList:
		if json.Unmarshal([]byte(v.Text), &out) == nil {
			return out
		}
	}
	return v.Text
}

// with returns a copy of the entry in which the operands have a value, and whether they can have it.
func (m MadeEvents) with(of []rules.Operand, value string) (out MadeEvents, ok bool) {
	out = m
	out.Set, out.raws = maps.Clone(m.Set), slices.Clone(m.raws)
	for i := range of {
		switch o := &of[i]; {
		case o.Text != nil:
			return m, false
		case o.Raw < 0 && (o.Field.Info().Type == schema.TypeString || o.Field.Info().Type == schema.TypeDyn):
			out.event.SetText(o.Field, value)
			out.Set[o.Name] = value
		case o.Raw < 0:
			return m, false
		default:
			out.Set[o.Name] = value
			for k := range out.raws {
				if m.raws[k].Value == m.Set[o.Name] {
					out.raws[k].Value = value
				}
			}
		}
	}
	return out, true
}

// fill repeats the third event up to the count of the finding, because evidence leaves out the events in the middle.
func (m *Made) fill(r *rules.Rule, f *schema.Finding) {
	missing := int(min(f.Count-int64(len(m.Events)), maxFilled))
	if missing <= 0 || len(m.Events) < evidenceFirst+1 {
		return
	}
	third, next := m.Events[evidenceFirst-1], m.Events[evidenceFirst]
	step := ((next.At - third.At) / time.Duration(missing+1)).Truncate(time.Millisecond)
	var between []MadeEvents
	if r.Kind == rules.KindDistinct {
		for n := range missing {
			e, ok := third.with(r.Distinct.Of, fmt.Sprintf("value-%d", n+1))
			if !ok {
				return
			}
			e.At = third.At + time.Duration(n+1)*step
			between = append(between, e)
		}
	} else {
		e := third
		e.At, e.Repeat, e.Every = third.At+step, missing, step
		between = []MadeEvents{e}
	}
	m.Notes = append(m.Notes, fmt.Sprintf("evidence has %d of %d events: the %d between them are like the third", len(m.Events), f.Count, missing))
	m.Events = slices.Insert(m.Events, evidenceFirst, between...)
}

// evidenceFirst is the number of the first events of a finding that evidence keeps, before the last ones.
const evidenceFirst = 3

// precede adds the history that the rule compares with.
func (m *Made) precede(r *rules.Rule, f *schema.Finding) {
	one := m.Events[0]
	switch r.Kind {
	case rules.KindNewValue:
		old, ok := one.with(r.NewValue.Of, earlier)
		if !ok {
			return
		}
		old.At = 0
		m.history(max(r.NewValue.Learn, time.Second), old)
		m.Notes = append(m.Notes, "the first event stands for the history of the key")
	case rules.KindRarity:
		old, ok := one.with(r.Rarity.Of, earlier)
		if !ok {
			return
		}
		old.At, old.Repeat, old.Every = 0, int(min(max(r.Rarity.MinSamples, 2*int64(time.Second)/max(r.Rarity.Share, 1)), maxFilled)), time.Second
		m.history(time.Duration(old.Repeat)*time.Second, old)
		m.Notes = append(m.Notes, "the first events stand for the history of the key")
	case rules.KindBaseline:
		var stood struct {
			Median json.Number `json:"median"`
		}
		if json.Unmarshal(f.Baseline, &stood) != nil || r.Baseline.Of == rules.BaselineDistinct {
			return
		}
		usual, _ := stood.Median.Float64()
		apart := r.Baseline.Bucket
		switch r.Baseline.Season {
		case rules.SeasonHourOfDay:
			apart = max(apart, 24*time.Hour)
		case rules.SeasonHourOfWeek:
			apart = max(apart, 7*24*time.Hour)
		}
		var past []MadeEvents
		for n := range r.Baseline.MinSamples {
			old := one
			old.At = time.Duration(n) * apart
			if r.Baseline.Of == rules.BaselineCount {
				old.Repeat, old.Every = min(max(int(usual), 1), maxFilled/r.Baseline.MinSamples+1), time.Millisecond
			} else if r.Baseline.Of == rules.BaselineSum {
				old = old.withNumber(r.Baseline.Sum, usual)
			}
			past = append(past, old)
		}
		m.history(time.Duration(r.Baseline.MinSamples)*apart, past...)
		m.Notes = append(m.Notes, fmt.Sprintf("the first %d buckets stand for the history of the key, whose median was %s", r.Baseline.MinSamples, stood.Median))
	}
}

// withNumber returns a copy of the entry in which a field has a number.
func (m MadeEvents) withNumber(o rules.Operand, n float64) MadeEvents {
	if o.Text != nil || o.Raw >= 0 {
		return m
	}
	m.Set = maps.Clone(m.Set)
	if o.Field.Info().Type == schema.TypeInt {
		m.event.Set(o.Field, schema.IntValue(int64(n)))
		m.Set[o.Name] = int64(n)
	} else {
		m.event.Set(o.Field, schema.DoubleValue(n))
		m.Set[o.Name] = n
	}
	return m
}

// history puts events before the others, which begin so long after the start.
func (m *Made) history(before time.Duration, events ...MadeEvents) {
	for i := range m.Events {
		m.Events[i].At += before
	}
	m.Events = slices.Concat(events, m.Events)
}

// run runs the rule over the events.
func (m *Made) run(ctx context.Context, set *rules.Set, r *rules.Rule) (err error) {
	t := &rules.Test{Name: m.Name}
	for i := range m.Events {
		e := &m.Events[i]
		values := map[schema.Field]schema.Value{}
		for f := range e.event.Present().All {
			values[f] = e.event.Value(f)
		}
		t.Events = append(t.Events, rules.TestEvents{At: e.At, HasAt: true, Repeat: e.Repeat, Every: e.Every, Set: values, SetRaw: e.raws, Format: "auto"})
	}
	m.Found, err = Findings(ctx, set.Only(r), r, t)
	return err
}

// Text returns the test as an item of the list `tests` of a rule file, each line after the first indented by so many spaces.
func (m *Made) Text(indent int) string {
	lines := []string{"name: " + doc.Flow(m.Name)}
	for _, note := range m.Notes {
		lines = append(lines, "# "+note)
	}
	lines = append(lines, "events:")
	for i := range m.Events {
		e := &m.Events[i]
		head := "at: " + doc.FormatDuration(e.At)
		if e.Repeat > 1 {
			head += fmt.Sprintf(", repeat: %d, every: %s", e.Repeat, doc.FormatDuration(e.Every))
		}
		lines = append(lines, "  - {"+head+", set: "+doc.Flow(e.Set)+"}")
	}
	lines = append(lines, "findings:")
	for _, f := range flatten(m.Found) {
		lines = append(lines, "  - "+expectation(f))
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

// Add returns the text of a rule file with the test at the end of its tests. The rest of the file is unchanged.
func (m *Made) Add(file string, src []byte) ([]byte, error) {
	_, root := doc.Parse(file, src)
	n := root.Fields().Get("tests")
	if n == nil || n.Kind != doc.List || len(n.Items()) == 0 {
		return nil, fmt.Errorf("%s has no tests: add the test that is printed without --update under the key tests", file)
	}
	for _, item := range n.Items() {
		if name := item.Fields().Get("name"); name != nil && name.String() == m.Name {
			return nil, fmt.Errorf("%s:%d: the rule has the test %q already", file, item.Line, m.Name)
		}
	}
	e := doc.NewEditor(src)
	e.List(n, make([]bool, len(n.Items())), []string{m.Text(n.Col + 1)})
	text, err := e.Text()
	if err != nil {
		return nil, err
	}
	d, changed := doc.Parse(file, text)
	if got := changed.Fields().Get("tests"); d.Failed() || got == nil || len(got.Items()) != len(n.Items())+1 {
		return nil, fmt.Errorf("%s:%d: its tests are written in a form that cannot be edited in place: add the test that is printed without --update", file, n.Line)
	}
	return text, nil
}
