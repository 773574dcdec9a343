package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

const (
	// lookPeriod is the period of the sample of events.
	lookPeriod = 100 * time.Millisecond
	// lookAlways is the number of events of each period whose fields are noted for the coverage: 50 a second.
	lookAlways = 5
	// lookTail is the number of events of each period while a tail is open: 4,000 a second, more than a person can read.
	lookTail = 400
	// maxTails is the number of tails at one time.
	maxTails = 20
	// tailEvents is the number of events that a tail holds until it passes them on: the newest win.
	tailEvents = 50
	// tailPace is the time between two calls of the consumer of a tail.
	tailPace = 250 * time.Millisecond
	// maxDatasets is the number of datasets of sources whose fields are noted.
	maxDatasets = 200
	// maxColumns is the number of datasets of a Coverage.
	maxColumns = 40
)

// events is the sample of the events that the engine reads: which fields they have, and the tails that people follow.
type events struct {
	look   *engine.Look
	expose func(out, e *schema.Event) // sets out to a copy that is redacted as in findings

	mu     sync.Mutex
	fields map[sampledOf]*sampled
	total  int64
	tails  []*eventTail
}

// sampledOf names a dataset of a source.
type sampledOf struct{ source, dataset string }

// sampled are the fields that events of a dataset had.
type sampled struct {
	events int64
	seen   schema.FieldSet
}

// eventTail is one consumer. events.mu guards it.
type eventTail struct {
	filter  *predicate.Cond // nil: all events
	scratch *predicate.Scratch
	sees    func(tenant string) bool
	held    []api.EventLine
	looked  int64
}

func newEvents(expose func(out, e *schema.Event)) *events {
	s := &events{expose: expose, fields: map[sampledOf]*sampled{}}
	s.look = engine.NewLook(lookPeriod, s.event)
	s.look.Take(lookAlways)
	return s
}

// event notes one event of the sample.
func (s *events) event(source string, e *schema.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	k := sampledOf{source, e.Text(schema.EventDataset)}
	f := s.fields[k]
	if f == nil && len(s.fields) < maxDatasets {
		f = &sampled{}
		s.fields[sampledOf{source, cloned(k.dataset)}] = f
	}
	if f != nil {
		f.events++
		f.seen.Union(e.Present())
	}
	if len(s.tails) == 0 {
		return
	}
	var shown schema.Event
	s.expose(&shown, e)
	var line *api.EventLine
	for _, t := range s.tails {
		if t.looked++; !t.sees(e.Tenant) {
			continue
		}
		if t.filter != nil {
			if ok, err := t.filter.Eval(&shown, t.scratch); !ok || err != nil {
				continue
			}
		}
		if line == nil {
			end, _ := e.End()
			line = &api.EventLine{Source: source, Dataset: cloned(k.dataset), Time: end, Event: string(formats.AppendEvent(nil, &shown, false))}
		}
		if len(t.held) == tailEvents {
			t.held = slices.Delete(t.held, 0, 1)
		}
		t.held = append(t.held, *line)
	}
}

// cloned returns a copy of a text of an event.
func cloned(s string) string { return string([]byte(s)) }

// errTails is returned for one tail too many.
var errTails = errors.New("too many people follow events: try again later")

// follow passes events to yield; see api.Runtime.TailEvents.
func (s *events) follow(ctx context.Context, filter string, sees func(string) bool, yield func(api.EventTail) bool) error {
	t := &eventTail{sees: sees, scratch: predicate.NewScratch()}
	if filter != "" {
		var err error
		if t.filter, err = eventFilter(filter); err != nil {
			return err
		}
	}
	if err := s.add(t); err != nil {
		return err
	}
	defer s.remove(t)
	first := s.look.Passed()
	tick := time.NewTicker(tailPace)
	defer tick.Stop()
	for {
		out := api.EventTail{Passed: s.look.Passed() - first}
		s.mu.Lock()
		out.Events, out.Looked = t.held, t.looked
		t.held = nil
		s.mu.Unlock()
		if !yield(out) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// eventFilter compiles a condition over events. Raw paths are not decoded for it.
func eventFilter(text string) (*predicate.Cond, error) {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		return nil, err
	}
	cond, issues := env.Compile(text)
	var errs []error
	for _, i := range issues {
		errs = append(errs, fmt.Errorf("filter:%d:%d: %s", i.Line, i.Col, i.Text))
	}
	if len(errs) == 0 && len(env.RawPaths()) > 0 {
		errs = append(errs, errors.New("filter: raw paths are not among the fields of a tail: name fields of the schema, or use aidr tap"))
	}
	return cond, errors.Join(errs...)
}

func (s *events) add(t *eventTail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tails) == maxTails {
		return errTails
	}
	s.tails = append(s.tails, t)
	s.look.Take(lookTail)
	return nil
}

func (s *events) remove(t *eventTail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tails = slices.DeleteFunc(s.tails, func(x *eventTail) bool { return x == t })
	if len(s.tails) == 0 {
		s.look.Take(lookAlways)
	}
}

// columns returns the datasets of sources, sorted by source: those of which events were seen, and those that the inputs name. more
// is the number of those that are left out.
func (s *events) columns(inputs []engine.Input) (out []rules.CoverageColumn, more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[sampledOf]bool{}
	for k, f := range s.fields {
		known[k] = true
		seen := f.seen
		out = append(out, rules.CoverageColumn{Source: k.source, Dataset: k.dataset, Events: f.events, Lacks: func(x schema.Field) bool { return !seen.Has(x) }})
	}
	for _, in := range inputs {
		datasets := in.Datasets
		if f, one := decode.Find(in.Decode.Format, in.Decode.Maps...); datasets == nil && one {
			datasets = f.Datasets
		}
		for _, ds := range datasets {
			if k := (sampledOf{in.Source.Name(), ds}); !known[k] && !in.Internal {
				known[k] = true
				out = append(out, rules.CoverageColumn{Source: k.source, Dataset: ds})
			}
		}
	}
	slices.SortFunc(out, func(a, b rules.CoverageColumn) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Dataset, b.Dataset))
	})
	if len(out) > maxColumns {
		out, more = out[:maxColumns], len(out)-maxColumns
	}
	slices.SortFunc(out, func(a, b rules.CoverageColumn) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Dataset, b.Dataset))
	})
	return out, more
}

// coverage returns which rules can fire on which datasets.
func (p *Pipeline) coverage() *api.Coverage {
	p.mu.Lock()
	all, inputs := p.activities, slices.Clone(p.inputs)
	p.mu.Unlock()
	columns, more := p.events.columns(inputs)
	c := &api.Coverage{Rows: rules.Coverage(all, columns), More: more, Columns: []api.CoverageColumn{}}
	for _, x := range columns {
		c.Columns = append(c.Columns, api.CoverageColumn{CoverageColumn: x})
		c.Sampled += x.Events
	}
	for _, row := range c.Rows {
		for i, cell := range row.Cells {
			for _, field := range cell.Missing {
				if m := &c.Columns[i].Missing; !slices.Contains(*m, field) {
					*m = append(*m, field)
				}
			}
		}
	}
	for i := range c.Columns {
		slices.Sort(c.Columns[i].Missing)
	}
	return c
}
