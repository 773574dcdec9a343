package engine

import (
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// responder carries out the containments that rules request, in memory and before the checkpoint that makes their findings
// durable. A nil responder, that of a replay, does nothing.
//
// The checkpointer calls it with the findings of the shards, so that the inventory may ask the shards meanwhile.
type responder struct {
	table   *contain.Table
	metrics *Metrics
	rules   map[string]*rules.Rule // those that contain, by id
}

// contains reports whether the rule contains its targets at once, so that its triggers should not wait for the next
// checkpoint.
func contains(r *rules.Rule) bool {
	return r.Contain != nil && r.Contain.Mode == string(schema.ModeEnforce) && r.Stage == rules.StageStable
}

// changed is called with the changes of findings of a checkpoint. A finding that opened, or got another trigger, contains; one that was
// withdrawn because a record showed it wrong releases. A finding that settles has no new trigger.
func (s *responder) changed(entries []connectors.Entry) {
	if s == nil {
		return
	}
	s.table.Findings(entries)
	for _, e := range entries {
		if r := s.rules[e.Finding.RuleID]; r != nil {
			s.respond(r, e.Finding)
		}
	}
}

func (s *responder) respond(r *rules.Rule, f *schema.Finding) {
	switch {
	case f.Status == schema.StatusWithdrawn:
		if f.WithdrawnReason == "" {
			s.table.Withdraw(f.ID)
		}
		return
	case f.Status == schema.StatusSettled && f.Change() > 1:
		return
	}
	c := r.Contain
	outcome := s.table.Trigger(contain.Trigger{
		RuleID: r.ID, FindingID: f.ID, Scope: schema.ContainmentScope(c.Scope), Target: targetOf(c.Scope, f),
		State: schema.ContainmentState(c.State), Mode: schema.ContainmentMode(c.Mode), PerMinute: c.PerMinute, TTL: c.TTL,
		Reason: f.Title, Event: f.LastSeen, Warming: f.WarmingUntil != nil,
	})
	s.metrics.responded(r.ID, string(outcome))
}

// targetOf returns what a finding gives a scope: from the rule's key, else from the latest event of its evidence. A field that
// evidence hashes or cuts gives nothing, because no gateway knows that text.
func targetOf(scope string, f *schema.Finding) schema.Target {
	t := schema.Target{Tenant: f.Tenant}
	var last schema.Evidence
	if n := len(f.Evidence); n > 0 {
		last = f.Evidence[n-1]
	}
	switch schema.ContainmentScope(scope) {
	case schema.ScopeCredential:
		t.Credential = usable(keyOr(f, schema.CredentialUID, last.CredentialUID))
		return t
	case schema.ScopeSession:
		t.Session = usable(keyOr(f, schema.SessionID, f.SessionID))
	case schema.ScopeTool:
		t.Tool, t.Server = usable(keyOr(f, schema.GenAIToolName, last.Tool)), usable(last.ToolServer)
	case schema.ScopeRoute:
		t.Route = usable(keyOr(f, schema.HTTPRoute, keyOr(f, schema.URLPath, routeOf(&last))))
	}
	t.Agent = usable(f.AgentUID)
	return t
}

// keyOr returns the value of a field in the finding's key, or otherwise.
func keyOr(f *schema.Finding, field schema.Field, otherwise string) string {
	if v := f.Key[field.String()]; v != "" {
		return v
	}
	return otherwise
}

// routeOf returns the path of the target of an event.
func routeOf(e *schema.Evidence) string {
	if i := strings.IndexByte(e.Target, '/'); i >= 0 {
		return e.Target[i:]
	}
	return ""
}

// maxEvidenceText is the size in bytes from which a text of evidence may have been cut (package capture).
const maxEvidenceText = 256

// usable returns a text, or "" if redaction has hashed it or evidence may have cut it.
func usable(text string) string {
	if strings.HasPrefix(text, "sha256:") || len(text) >= maxEvidenceText {
		return ""
	}
	return text
}

// observeResponses looks after the containment table: the proof, what has expired, and the containments that are not obeyed.
func (o *observer) observeResponses() (conditions []condition) {
	if o.responses == nil {
		return nil
	}
	t := o.responses.table
	read := never
	if t.Proving() {
		o.lanes.mu.RLock()
		progress := o.lanes.progress()
		read = max(latestOf(progress), lowestOf(progress)) // the latter moves with the clock while all partitions are silent
		o.lanes.mu.RUnlock()
	}
	t.Prove(read)
	t.Tick()
	failing := map[string]bool{}
	for _, f := range t.Failing() {
		key := map[string]string{"containment_id": f.ID.String(), "agent": f.Target.Agent}
		c := condition{rule: rules.ContainedStillCalls, key: key, verdict: holding, since: time.Unix(0, int64(f.Since)), text: f.Text}
		id, _ := c.id()
		failing[id] = true
		conditions = append(conditions, c)
	}
	for _, e := range o.findings.entries { // those that have ended, or are proven now
		c := condition{rule: e.Finding.RuleID, key: e.Finding.Key, verdict: over}
		if id, _ := c.id(); c.rule == rules.ContainedStillCalls && !failing[id] {
			conditions = append(conditions, c)
		}
	}
	o.metrics.contained(t)
	return conditions
}

// take adds the changes of the table to a checkpoint.
func (s *responder) take(cp *store.Checkpoint) {
	if s != nil {
		s.table.Take(cp)
	}
}

// saved confirms that the last checkpoint is durable.
func (s *responder) saved() {
	if s != nil {
		s.table.Saved()
	}
}

// dirty reports whether the table has changes for a checkpoint.
func (s *responder) dirty() bool { return s != nil && s.table.Dirty() }

// proofFields are the fields of events that the proof of containments reads. They are extracted while anything is contained.
var proofFields = [...]schema.Field{
	schema.AIAgentUID, schema.CredentialUID, schema.SessionID, schema.GenAIToolName, schema.MCPServerName, schema.URLPath, schema.HTTPRoute,
	schema.HTTPRequestMethod, schema.HTTPResponseStatusCode, schema.EventOutcome, schema.Disposition, schema.ErrorType,
}

// withProof returns the fields that rules want and those that the proof reads. If a rule reads event.truncated, it returns
// those of the rules alone, because that field depends on the fields that are extracted: the proof has then what the rules want.
func withProof(w schema.Wanted) schema.Wanted {
	if w.Fields.Has(schema.EventTruncated) {
		return w
	}
	for _, f := range proofFields {
		w.Fields.Add(f)
	}
	return w
}

// sightings collects what the events of a batch show of contained principals.
type sightings struct {
	view   *contain.View // of the batch; nil: nothing is contained
	source string
	list   []contain.Sighting
}

// begin begins a batch.
func (s *sightings) begin(r *responder, source string) {
	s.view, s.source, s.list = nil, source, s.list[:0]
	if r != nil {
		if v := r.table.View(); v.Len() > 0 {
			s.view = v
		}
	}
}

// end hands what was seen to the table.
func (s *sightings) end(r *responder) {
	if len(s.list) > 0 {
		r.table.Observe(s.list)
	}
	s.view = nil
}

// see looks at one event.
func (s *sightings) see(e *schema.Event) {
	denied, passed := effectOf(e)
	if !denied && !passed {
		return
	}
	q := schema.Question{
		Tenant: e.Tenant, Agent: e.Text(schema.AIAgentUID), Session: e.Text(schema.SessionID), Credential: e.Text(schema.CredentialUID),
		Tool: e.Text(schema.GenAIToolName), Server: e.Text(schema.MCPServerName), Route: routeOfEvent(e),
	}
	began := schema.Instant(e.Int(schema.Time))
	s.view.Concerning(&q, func(c *schema.Containment) {
		if began >= c.Since {
			s.add(c.ID, e.Text(schema.EventDataset), q.Route, began, denied)
		}
	})
}

func (s *sightings) add(id schema.ID, dataset, route string, at schema.Instant, denied bool) {
	var x *contain.Sighting
	for i := range s.list {
		if y := &s.list[i]; y.ID == id && y.Dataset == dataset && y.Route == route {
			x = y
			break
		}
	}
	if x == nil {
		if len(s.list) >= maxSightings {
			route = ""
		}
		s.list = append(s.list, contain.Sighting{ID: id, Source: s.source, Dataset: strings.Clone(dataset), Route: strings.Clone(route)})
		x = &s.list[len(s.list)-1]
	}
	if denied {
		if x.Denials++; x.Denials == 1 || at < x.FirstDenial {
			x.FirstDenial = at
		}
		x.LastDenial = max(x.LastDenial, at)
		return
	}
	if x.Successes++; x.Successes == 1 || at > x.LastSuccess {
		x.LastSuccess = at
	}
}

// maxSightings is the number of containments and routes of a batch that are told apart.
const maxSightings = 256

// routeOfEvent returns the method and the path of an event, or its route template if it has no path.
func routeOfEvent(e *schema.Event) string {
	p := e.Text(schema.URLPath)
	if p == "" {
		p = e.Text(schema.HTTPRoute)
	}
	if m := e.Text(schema.HTTPRequestMethod); m != "" && p != "" {
		return m + " " + p
	}
	return p
}

// effectOf reports whether an event shows a call that was denied, or one that passed. A call that failed for another reason, or
// of which the outcome is not known, proves nothing.
func effectOf(e *schema.Event) (denied, passed bool) {
	status := e.Int(schema.HTTPResponseStatusCode)
	switch {
	case e.Text(schema.Disposition) == "blocked", status == 401, status == 403, status == 429:
		return true, false
	case e.Text(schema.EventOutcome) == "success":
		return false, true
	case e.Text(schema.EventOutcome) == "failure":
		return isDenial(e.Text(schema.ErrorType)), false
	}
	return false, status >= 200 && status < 400
}

// isDenial reports whether an error is that of a call that was not allowed, by the words that clouds and gateways use.
func isDenial(code string) bool {
	code = strings.ToLower(code)
	for _, word := range [...]string{"denied", "unauthorized", "forbidden", "not_allowed", "notauthorized", "permission", "blocked"} {
		if strings.Contains(code, word) {
			return true
		}
	}
	return false
}
