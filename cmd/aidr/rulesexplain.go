package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// explainRun is one run of `aidr rules explain`.
type explainRun struct {
	from           reading
	rules          []string
	lists, agents  string
	event, finding string
	index          int
	state          string
	json           bool

	set   *pipeline.Set
	place int // of the rule in set.Rules
}

func rulesExplainCommand() *cobra.Command {
	var x explainRun
	c := &cobra.Command{
		Use:   "explain RULE {--event FILE | --finding ID}",
		Short: "Show what a rule makes of an event, or why it made a finding",
		Long: `explain shows, for each role of a rule, the parts of its condition with their values on an event, the values of the fields
that they read, whether the index finds the rule for the event and by what, the key and whether it is complete, the values that
the rule compares, and its exceptions.

--event reads a record of any format, "-" from standard input; --index selects an event if the file gives several. With the
state directory of an aidr, running or stopped, explain also shows the State of the event's key before and after the event, and
the findings that it would open or change. It changes nothing. The State directory is --state, that of --config, or ./state.

--finding shows a finding of the state directory with the numbers of its kind, and what the rule makes of each event of its
evidence. Evidence has the fields that the rule reads, redacted and cut.

` + readingHelp,
		Example: `  aidr rules explain aws.root-login --event trail.json
  tail -1 gateway.jsonl | aidr rules explain llm.tool-call-burst --rules rules --event -
  aidr rules explain llm.new-tool --config aidr.yaml --finding 0a861760-9b7a-7f02-7a01-da526537898c`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if (x.event == "") == (x.finding == "") {
				return usage("give either --event FILE or --finding ID: what is to be explained?")
			}
			if err := x.load(cmd, argv[0]); err != nil {
				return err
			}
			if x.finding != "" {
				return x.explainFinding(cmd)
			}
			return x.explainEvent(cmd)
		},
	}
	f := c.Flags()
	f.StringVar(&x.event, "event", "", "file with the event, - for standard input")
	f.IntVar(&x.index, "index", 0, "number of the event in the file, from 0")
	f.StringVar(&x.finding, "finding", "", "id of a finding of the state directory")
	f.StringVar(&x.state, "state", "", "state directory (default: that of --config, or ./state)")
	f.StringArrayVar(&x.rules, "rules", nil, "folder or file of rules; may be repeated (default: the shipped rules)")
	f.StringVar(&x.lists, "lists", "", "folder of lists (default: lists/ in the folder of rules)")
	f.StringVar(&x.agents, "agents", "", "registry of agents (default: agents.yaml in the folder of rules)")
	f.BoolVar(&x.json, "json", false, "print JSON")
	x.from.flags(c)
	return c
}

// load loads the rules and finds the one to explain.
func (x *explainRun) load(cmd *cobra.Command, id string) (err error) {
	if err := x.from.load(cmd); err != nil {
		return err
	}
	files := x.from.ruleFiles(x.rules, x.lists, x.agents)
	files.Drafts = true
	if x.set, err = loadSet(cmd, files); err != nil {
		return err
	}
	x.place = slices.IndexFunc(x.set.Rules, func(r *rules.Rule) bool { return r.ID == id })
	switch {
	case x.place >= 0:
		return nil
	case slices.ContainsFunc(x.set.All, func(r *rules.Rule) bool { return r.ID == id }):
		return fmt.Errorf("rule %q is disabled: set its status to draft to explain it", id)
	}
	return fmt.Errorf("there is no rule %q: aidr rules ls lists the rules; --rules and --config name others than the shipped ones", id)
}

func (x *explainRun) rule() *rules.Rule { return x.set.Rules[x.place] }

// explainEvent explains an event of a file.
func (x *explainRun) explainEvent(cmd *cobra.Command) error {
	r := x.rule()
	if r.Over != nil {
		var ids []string
		for _, f := range r.Over.Feeding {
			ids = append(ids, f.ID)
		}
		return fmt.Errorf("rule %q is over other rules, so no event is an item of it: explain the rules that feed it (%s), or one of its findings with --finding",
			r.ID, strings.Join(ids[:min(len(ids), 5)], ", "))
	}
	e, err := x.readEvent(cmd)
	if err != nil {
		return err
	}
	out := x.explained(e)
	x.addState(cmd, e, out)
	if x.json {
		return printJSON(cmd.OutOrStdout(), out, false)
	}
	return out.print(cmd.OutOrStdout())
}

// explained returns what the rule makes of an event.
func (x *explainRun) explained(e *schema.Event) *explainedEvent {
	raws := x.set.Wanted().Raw
	return newExplainedEvent(x.set.Explain(x.rule(), e), e, func(r *rules.Reading) schema.Value {
		exposure := schema.Redacted // of an expression
		switch {
		case r.Mention.Raw >= 0 && r.Mention.Raw < len(raws):
			exposure = x.from.cfg.Redact.Raw(raws[r.Mention.Raw])
		case r.Mention.Raw < 0 && r.Mention.Field != 0:
			exposure = x.from.cfg.Redact.Field(r.Mention.Field)
		}
		return capture.Exposed(exposure, r.Value, content.Redact)
	})
}

// readEvent returns the event with number x.index in the file.
func (x *explainRun) readEvent(cmd *cobra.Command) (*schema.Event, error) {
	in, err := x.from.input(cmd)
	if err != nil {
		return nil, err
	}
	in.Decode.Wanted, in.Decode.Aliases = x.set.Wanted(), x.set.Aliases()
	in.Decode.Wanted.Fields = schema.AllFields()
	d, err := decode.New(in.Decode)
	if err != nil {
		return nil, err
	}
	src, err := file.New(file.Config{Name: "explain", Paths: []string{x.event}, Stdin: cmd.InOrStdin()})
	if err != nil {
		return nil, &exit{exitUsage, err}
	}
	p := &eventPicker{decoder: d, index: x.index}
	p.handler = decode.Handler{
		Event:      p.event,
		Dead:       func(dead decode.Dead) { p.dead = fmt.Sprintf("%s: %s", dead.Reason, dead.Detail) },
		FieldError: func(string, string) {}, Skipped: func(dataset, reason string) { p.dead = dataset + ": " + reason },
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if err := src.Run(ctx, p); err != nil && !errors.Is(err, errPicked) {
		return nil, err
	}
	switch {
	case p.picked != nil:
		return p.picked, nil
	case p.seen > 0:
		return nil, fmt.Errorf("%s gives %d events, so --index may be at most %d", x.event, p.seen, p.seen-1)
	case p.dead != "":
		return nil, fmt.Errorf("%s gives no event (%s): `aidr decode --explain` shows how it was read, and --format names its format", x.event, p.dead)
	}
	return nil, fmt.Errorf("%s gives no event: is it the right file? `aidr decode --explain` shows how it was read", x.event)
}

// errPicked ends the reading of a file once its event is found.
var errPicked = errors.New("the event is found")

// eventPicker is a connectors.Reader that keeps one event.
type eventPicker struct {
	decoder *decode.Decoder
	handler decode.Handler
	index   int
	seen    int
	picked  *schema.Event
	dead    string // why the last record gave no event
}

func (p *eventPicker) event(e *schema.Event) {
	if p.seen == p.index {
		p.picked = cloneEvent(e)
	}
	p.seen++
}

// cloneEvent returns a copy of an event that shares no memory with the decoder.
func cloneEvent(e *schema.Event) *schema.Event {
	kept := *e
	for f := range e.Present().All {
		v := e.Value(f)
		v.Text = strings.Clone(v.Text)
		kept.Set(f, v)
	}
	kept.Tenant, kept.Raws = strings.Clone(e.Tenant), slices.Clone(e.Raws)
	for i := range kept.Raws {
		kept.Raws[i].Text = strings.Clone(kept.Raws[i].Text)
	}
	return &kept
}

// Assigned implements connectors.Reader.
func (p *eventPicker) Assigned(connectors.Partition) (int64, bool) { return 0, false }

// Read implements connectors.Reader.
func (p *eventPicker) Read(_ context.Context, b *connectors.Batch) error {
	for _, r := range b.Records {
		pos := schema.Position{Topic: b.Partition.Topic, Offset: r.Offset}
		p.decoder.Decode(b.Raw[r.Start:r.End], decode.Meta{Pos: pos, Time: r.Time}, &p.handler)
		if p.picked != nil {
			return errPicked
		}
	}
	return nil
}

// Revoked implements connectors.Reader.
func (p *eventPicker) Revoked(context.Context, connectors.Partition) error { return nil }

// Standby implements connectors.Reader.
func (p *eventPicker) Standby(string, string) {}

// client returns a client of the state directory. If none is named and ./state is none, dir is "".
func (x *explainRun) client(cmd *cobra.Command) (c *api.Client, err error) {
	if x.state == "" && x.from.config == "" {
		if _, err := os.Stat(filepath.Join("state", "store")); err != nil {
			return nil, errNoState
		}
	}
	w := stateFlags{config: x.from.config, state: x.state}
	dir, err := w.dir(cmd)
	if err != nil {
		return nil, err
	}
	return api.Dial(dir, api.Runtime{Try: func(_ context.Context, s *store.Store, rule string, items []item.Item) ([]engine.Trial, error) {
		return engine.TryStored(s, x.set, rule, items)
	}})
}

var errNoState = errors.New("no state directory: name one with --state, or a configuration with --config")

// addState adds the State of the event's key before and after it, or why it is unknown.
func (x *explainRun) addState(cmd *cobra.Command, e *schema.Event, out *explainedEvent) {
	if out.hit == 0 {
		return
	}
	items := engine.ItemsOf(engine.Options{Set: x.set, Redact: content.Redact, Redaction: x.from.cfg.Redact}, x.place, e, out.hit)
	if len(items) == 0 {
		return
	}
	c, err := x.client(cmd)
	if err == nil {
		defer c.Close()
		var body []byte
		for i := range items {
			body = item.Append(body, &items[i])
		}
		err = c.Send(cmd.Context(), http.MethodPost, "/v1/state/try", url.Values{"rule": {x.rule().ID}}, body, &out.State)
	}
	if err != nil {
		out.NoState = err.Error()
	}
}

// explainFinding explains a finding of the state directory.
func (x *explainRun) explainFinding(cmd *cobra.Command) error {
	c, err := x.client(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	out := &explainedFinding{Finding: &schema.Finding{}}
	if err := c.Do(cmd.Context(), http.MethodGet, "/v1/findings/"+url.PathEscape(x.finding), nil, out.Finding); err != nil {
		return err
	}
	r := x.rule()
	if out.Finding.RuleID != r.ID {
		return fmt.Errorf("finding %s is of rule %q: explain that one", x.finding, out.Finding.RuleID)
	}
	if out.Finding.RuleVersion != r.Version {
		out.Note = fmt.Sprintf("the finding is of version %d of the rule, and this is version %d", out.Finding.RuleVersion, r.Version)
	}
	if r.Over == nil {
		for i := range out.Finding.Evidence {
			out.Events = append(out.Events, x.explained(cases.EvidenceEvent(r, &out.Finding.Evidence[i], out.Finding)))
		}
	}
	key := map[string]string{}
	for name, value := range out.Finding.Key {
		key[name] = value
	}
	if out.Finding.Tenant != "" {
		key[rules.TenantName] = out.Finding.Tenant
	}
	text, err := json.Marshal(key)
	if err != nil {
		return err
	}
	if err := c.Do(cmd.Context(), http.MethodGet, "/v1/state", url.Values{"rule": {r.ID}, "key": {string(text)}}, &out.State); err != nil {
		out.NoState = err.Error()
	}
	if x.json {
		return printJSON(cmd.OutOrStdout(), out, false)
	}
	return out.print(cmd.OutOrStdout())
}
