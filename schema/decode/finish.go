package decode

import (
	"github.com/aidr-engine/aidr/schema"
)

// OverrideRung is what ai_agent.uid_source says where the user's own expression named the agent: the key of the
// configuration that holds it.
const OverrideRung = "identity.uid"

// Override is the first rung of the identity ladder: the user's own expressions, which name the agent where a dataset's
// records do it in a way that nobody else knows. Where an expression gives nothing the other rungs count.
type Override struct {
	Wanted schema.Wanted // what the expressions read; Event.Raws has its order while they run
	// Open returns the expressions for one worker, by dataset. An error is counted as a field error of OverrideRung.
	Open func() map[string]func(e *schema.Event) (uid string, err error)
}

// finisher completes the events that readers emit before anybody sees them: what names their agent at this site, and
// what is known of their address. What it finds depends on the event alone.
type finisher struct {
	overrides map[string]func(*schema.Event) (string, error)
	raws      int // of Options.Wanted; those of the overrides come behind them
	aliases   func(dataset, uid string) string
	enrich    func(*schema.Event)
}

// finished are the fields that a finisher may change.
var finished = [...]schema.Field{
	schema.AIAgentUID, schema.AIAgentUIDSource, schema.SourceASNumber, schema.SourceGeoCountryISOCode,
}

// newFinisher returns nil where there is nothing to do. It adds what it reads to what is wanted.
func newFinisher(o *Options) *finisher {
	if o.Override == nil && o.Aliases == nil && o.Enrich == nil {
		return nil
	}
	f := &finisher{raws: len(o.Wanted.Raw), aliases: o.Aliases}
	if o.Override != nil {
		f.overrides = o.Override.Open()
		o.Wanted.Fields.Union(o.Override.Wanted.Fields)
		o.Wanted.Raw = append(o.Wanted.Raw[:f.raws:f.raws], o.Override.Wanted.Raw...)
	}
	if o.Enrich != nil && (o.Wanted.Fields.Has(schema.SourceASNumber) || o.Wanted.Fields.Has(schema.SourceGeoCountryISOCode)) {
		f.enrich = o.Enrich()
		o.Wanted.Fields.Add(schema.SourceIP)
	}
	return f
}

// finish hands on an event that a reader emitted. What follows in the element begins as a copy of what the reader made,
// not of what was added here: each event is finished once.
func (d *Decoder) finish(e *schema.Event) {
	var before [len(finished)]schema.Value
	for i, f := range finished {
		before[i] = e.Value(f)
	}
	raws := e.Raws
	if err := d.finisher.identify(e); err != nil && d.handler.FieldError != nil {
		d.handler.FieldError(e.Text(schema.EventDataset), OverrideRung)
	}
	if d.finisher.enrich != nil {
		d.finisher.enrich(e)
	}
	e.Raws = raws[:d.finisher.raws]
	d.handler.Event(e)
	e.Raws = raws
	for i, f := range finished {
		e.Set(f, before[i])
	}
}

// identify names the agent by the override, then by the registry. The rung stays what it was where an alias is resolved:
// ai_agent.uid_source says what in the record named the agent.
func (f *finisher) identify(e *schema.Event) (err error) {
	if eval := f.overrides[e.Text(schema.EventDataset)]; eval != nil {
		raws := e.Raws
		e.Raws = raws[f.raws:]
		var uid string
		uid, err = eval(e)
		e.Raws = raws
		if err == nil && uid != "" {
			e.SetText(schema.AIAgentUID, uid)
			e.SetText(schema.AIAgentUIDSource, OverrideRung)
		}
	}
	if f.aliases != nil && e.Has(schema.AIAgentUID) {
		if uid := f.aliases(e.Text(schema.EventDataset), e.Text(schema.AIAgentUID)); uid != "" {
			e.SetText(schema.AIAgentUID, uid)
		}
	}
	return err
}
