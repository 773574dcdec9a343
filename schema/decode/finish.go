package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// OverrideRung is the value of ai_agent.uid_source if the user's own expression named the agent: the configuration key
// that holds the expression.
const OverrideRung = "identity.uid"

// Override is the first rung of the identity ladder: the user's own expressions, for datasets whose records name the
// agent in a way that only the user knows. If an expression yields "", the other rungs count.
type Override struct {
	Wanted schema.Wanted // the fields that the expressions read; while they run, Event.Raws has the order of Wanted.Raw
	// Open returns the expressions for one worker, by dataset. An error is reported as a field error of OverrideRung.
	Open func() map[string]func(e *schema.Event) (uid string, err error)
}

// finisher completes the events that readers emit, before the handler gets them: it sets the agent's name at this site
// and adds facts about the address. The result depends on the event alone.
type finisher struct {
	overrides map[string]func(*schema.Event) (string, error)
	raws      int // number of Options.Wanted.Raw; the raw values of the overrides come after them
	aliases   func(dataset, uid string) string
	trust     bool // Options.TrustDeclared
	enrich    func(*schema.Event)
}

// finished lists the fields that a finisher may change.
var finished = [...]schema.Field{
	schema.AIAgentUID, schema.AIAgentUIDSource, schema.AIAgentDeclaredUID, schema.SourceASNumber, schema.SourceGeoCountryISOCode,
}

// newFinisher returns nil if there is nothing to finish. It adds the fields that it reads to o.Wanted.
func newFinisher(o *Options) *finisher {
	if o.Override == nil && o.Aliases == nil && o.Enrich == nil && !o.TrustDeclared {
		return nil
	}
	f := &finisher{raws: len(o.Wanted.Raw), aliases: o.Aliases, trust: o.TrustDeclared}
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

// finish finishes an event and passes it to the handler. It then restores the fields it changed: a reader builds the
// next event from this one, and each event must be finished only once.
func (d *Decoder) finish(e *schema.Event) {
	var saved [len(finished)]schema.Value
	for i, f := range finished {
		saved[i] = e.Value(f)
	}
	raws := e.Raws
	if err := d.finisher.identify(e, &d.elem.Arena); err != nil && d.handler.FieldError != nil {
		d.handler.FieldError(e.Text(schema.EventDataset), OverrideRung)
	}
	if d.finisher.enrich != nil {
		d.finisher.enrich(e)
	}
	e.Raws = raws[:d.finisher.raws]
	d.handler.Event(e)
	e.Raws = raws
	for i, f := range finished {
		e.Set(f, saved[i])
	}
}

// identify names the agent by the override, resolves aliases by the registry, and then lets a declared id refine the agent's
// id. None of the last two changes ai_agent.uid_source, which is the field of the record that named the principal.
func (f *finisher) identify(e *schema.Event, a *scan.Arena) (err error) {
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
	principal := e.Text(schema.AIAgentUID)
	if principal == "" {
		return err
	}
	if uid := f.agent(e, principal); uid != "" {
		e.SetText(schema.AIAgentUID, uid)
	}
	if e.Has(schema.AIAgentDeclaredUID) && e.Text(schema.AIAgentUIDSource) != OverrideRung {
		f.refine(e, principal, a)
	}
	return err
}

// agent returns the uid of the agent that the registry knows by this name, or "".
func (f *finisher) agent(e *schema.Event, uid string) string {
	if f.aliases == nil || strings.IndexByte(uid, 0) >= 0 { // a name with a NUL would pass for a DeclaredName
		return ""
	}
	return f.aliases(e.Text(schema.EventDataset), uid)
}

// listed returns the uid of the agent that the registry lists with this principal and declared id, or "".
func (f *finisher) listed(e *schema.Event, principal, declared string, a *scan.Arena) string {
	if f.aliases == nil || strings.IndexByte(principal, 0) >= 0 || strings.IndexByte(declared, 0) >= 0 {
		return ""
	}
	return f.aliases(e.Text(schema.EventDataset), a.Concat(principal, "\x00", declared)) // schema.DeclaredName
}

// refine makes the agent's id principal/declared if the registry lists the declared id under the principal, by the name that
// the record has or by the one of the registry, or if the source is trusted to check declared ids. Otherwise anyone with a
// credential could act under the id of any agent.
func (f *finisher) refine(e *schema.Event, principal string, a *scan.Arena) {
	declared := e.Text(schema.AIAgentDeclaredUID)
	uid := f.listed(e, e.Text(schema.AIAgentUID), declared, a)
	if uid == "" && principal != e.Text(schema.AIAgentUID) {
		uid = f.listed(e, principal, declared, a)
	}
	if uid == "" && f.trust {
		uid = a.Concat(e.Text(schema.AIAgentUID), "/", declared)
	}
	if uid != "" {
		e.SetText(schema.AIAgentUID, uid)
		e.Set(schema.AIAgentDeclaredUID, schema.Value{})
	}
}
