package console

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/schema"
)

// containedBody is the content of the page contained.
type containedBody struct {
	contain.Contained
	Proposed, Active []schema.ResponseRecord
	MayContain       bool
	MayApprove       bool
}

// contained shows what is contained now and what waits for a person.
func (q *request) contained() error {
	b := containedBody{MayContain: q.session.who.may(access.Contain), MayApprove: q.session.who.may(access.Approve)}
	if err := q.get("/v1/containments", nil, &b.Contained); err != nil {
		return err
	}
	for _, r := range b.Responses {
		if r.Status == schema.ContainmentProposed {
			b.Proposed = append(b.Proposed, r)
		} else {
			b.Active = append(b.Active, r)
		}
	}
	return q.show(page{
		Name: "contained", Nav: "contained", Title: "Contained", Live: "containment", Body: b,
		Help: &help{
			From:    "The containment table that gateways ask, with the receipts of gateways and the proof from the logs.",
			Command: []string{"aidr contained", "aidr responses ls"},
			SQL:     "SELECT * FROM aidr.v_responses WHERE status IN ('active', 'proposed') ORDER BY since DESC",
		},
	})
}

// containBody is the content of the dialog of a containment.
type containBody struct {
	Scope               string
	Target              schema.Target
	State, Mode, TTL    string
	PerMinute           string
	Reason, Finding     string
	Key                 string // idempotency key, so that a form that is sent twice contains once
	Scopes, States      []string
	TTLs                []string
	Blast               *contain.Blast
	Failed              string
	May                 bool
	Known               []option // values that the agent was seen with
	Credentials, Routes []option
}

// option is a choice of a form.
type option struct{ Value, Label string }

// maxOptions is the number of choices of one list in a form.
const maxOptions = 40

// containValues returns the dialog of the values of an address or a form.
func (q *request) containValues(v url.Values) containBody {
	b := containBody{
		Scope: v.Get("scope"), State: cmp.Or(v.Get("state"), string(schema.StateDeny)), Mode: cmp.Or(v.Get("mode"), string(schema.ModeEnforce)),
		TTL: cmp.Or(v.Get("ttl"), "1h"), PerMinute: v.Get("per_minute"), Reason: v.Get("reason"), Finding: v.Get("finding"), Key: cmp.Or(v.Get("key"), newSecret()),
		Target: schema.Target{
			Tenant: v.Get("tenant"), Agent: v.Get("agent"), Session: v.Get("session"), Credential: v.Get("credential"), Tool: v.Get("tool"),
			Server: v.Get("mcp_server"), Route: v.Get("route"),
		},
		TTLs: []string{"15m", "1h", "4h", "12h", "1d", "7d"}, May: q.session.who.may(access.Contain),
	}
	for _, s := range schema.ContainmentScopes() {
		b.Scopes = append(b.Scopes, string(s))
	}
	for _, s := range schema.ContainmentStates() {
		b.States = append(b.States, string(s))
	}
	if b.Scope == "" {
		b.Scope = scopeOf(b.Target)
	}
	return b
}

// scopeOf returns the scope that follows from the fields of a target.
func scopeOf(t schema.Target) string {
	switch {
	case t.Tool != "":
		return string(schema.ScopeTool)
	case t.Route != "":
		return string(schema.ScopeRoute)
	case t.Agent != "":
		return string(schema.ScopeAgent)
	case t.Session != "":
		return string(schema.ScopeSession)
	case t.Credential != "":
		return string(schema.ScopeCredential)
	case t.Server != "":
		return string(schema.ScopeServer)
	}
	return string(schema.ScopeAgent)
}

// narrowed returns the target with the fields that the scope uses, so that a form may keep all of them.
func narrowed(scope string, t schema.Target) schema.Target {
	n := schema.Target{Tenant: t.Tenant}
	switch schema.ContainmentScope(scope) {
	case schema.ScopeTool:
		n.Agent, n.Tool, n.Server = t.Agent, t.Tool, t.Server
	case schema.ScopeRoute:
		n.Agent, n.Route = t.Agent, t.Route
	case schema.ScopeSession:
		n.Agent, n.Session = t.Agent, t.Session
	case schema.ScopeCredential:
		n.Credential = t.Credential
	case schema.ScopeServer:
		n.Agent, n.Server = t.Agent, t.Server
	case schema.ScopeAgent:
		n.Agent = t.Agent
	}
	return n
}

// request returns the request for the control API.
func (b *containBody) request() (api.ContainRequest, error) {
	r := api.ContainRequest{
		Scope: schema.ContainmentScope(b.Scope), Target: narrowed(b.Scope, b.Target), State: schema.ContainmentState(b.State),
		Mode: schema.ContainmentMode(b.Mode), TTL: b.TTL, Reason: strings.TrimSpace(b.Reason), Key: b.Key,
	}
	if b.Finding != "" {
		id, err := schema.ParseID(b.Finding)
		if err != nil {
			return r, fmt.Errorf("finding: %w", err)
		}
		r.FindingID = id
	}
	if b.PerMinute != "" && r.State == schema.StateThrottle {
		n, err := strconv.Atoi(b.PerMinute)
		if err != nil {
			return r, fmt.Errorf("calls a minute: %q is not a number", b.PerMinute)
		}
		r.PerMinute = n
	}
	return r, nil
}

// containForm shows the dialog: what a containment would do.
func (q *request) containForm() error {
	return q.showContain(q.containValues(q.r.URL.Query()))
}

func (q *request) showContain(b containBody) error {
	r, err := b.request()
	if err == nil {
		r.Key = ""
		err = q.post("/v1/containments/dry-run", r, &b.Blast)
	}
	if err != nil {
		b.Blast = nil
		b.Failed = cmp.Or(b.Failed, err.Error())
	}
	q.addChoices(&b)
	return q.show(page{
		Name: "contain", Nav: "contained", Title: "Contain " + cmp.Or(b.Target.Agent, b.Target.Session, b.Target.Credential, "an agent"), Body: b,
		Help: &help{
			From:    "A dry run of the containment: the registry and the inventory name the aliases, credentials and calls an hour. Nothing is changed before you confirm.",
			Command: []string{containCommand(&b, true), containCommand(&b, false)},
			SQL:     "SELECT * FROM aidr.v_responses ORDER BY since DESC LIMIT 20",
		},
	})
}

// containCommand returns the command that contains the same.
func containCommand(b *containBody, dry bool) string {
	t := narrowed(b.Scope, b.Target)
	c := "aidr contain"
	for _, p := range [][2]string{
		{"agent", t.Agent}, {"session", t.Session}, {"credential", t.Credential}, {"tool", t.Tool}, {"mcp-server", t.Server}, {"route", t.Route},
		{"tenant", t.Tenant}, {"restrain", b.State},
	} {
		if p[1] != "" {
			c += " --" + p[0] + " " + shellQuoted(p[1])
		}
	}
	if dry {
		return c + " --dry-run"
	}
	return c + " --ttl " + shellQuoted(b.TTL) + " --reason " + shellQuoted(cmp.Or(b.Reason, "TEXT"))
}

// addChoices adds the values with which the inventory has seen the agent.
func (q *request) addChoices(b *containBody) {
	if b.Target.Agent == "" {
		return
	}
	var a api.AgentLine
	if err := q.get("/v1/inventory/agents/one", entityQuery(b.Target.Agent, b.Target.Tenant), &a); err != nil || a.Agent == nil {
		return
	}
	choices := func(kind schema.UseKind) (out []option) {
		for _, u := range a.Uses[kind] {
			if len(out) < maxOptions {
				out = append(out, option{u.Name, u.Name})
			}
		}
		return out
	}
	b.Known, b.Credentials, b.Routes = choices(schema.UseTool), choices(schema.UseCredential), choices(schema.UseRoute)
}

// entityQuery returns the parameters that name one entity of the inventory.
func entityQuery(name, tenant string) url.Values {
	return url.Values{"name": {name}, "tenant": {tenant}}
}

// contain contains, and goes on to the proof.
func (q *request) contain() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	b := q.containValues(q.r.PostForm)
	r, err := b.request()
	var rec schema.ResponseRecord
	if err == nil {
		r.Force = q.r.PostForm.Get("force") == "yes"
		err = q.post("/v1/containments", r, &rec)
	}
	if err != nil {
		b.Failed = err.Error()
		return q.showContain(b)
	}
	return q.redirect("/responses/" + rec.ID.String())
}

// responsesBody is the content of the page responses.
type responsesBody struct {
	Responses []schema.ResponseRecord
	More      bool
	Status    string
}

// responses lists the ledger.
func (q *request) responses() error {
	b := responsesBody{Status: q.value("status")}
	v := url.Values{"limit": {strconv.Itoa(perPage + 1)}}
	for _, name := range []string{"status", "stage", "agent", "rule", "since", "until"} {
		if q.value(name) != "" {
			v.Set(name, q.value(name))
		}
	}
	var err error
	if b.Responses, b.More, err = list[schema.ResponseRecord](q, "/v1/responses", v, perPage); err != nil {
		return q.queryError(err)
	}
	return q.show(page{
		Name: "responses", Nav: "contained", Title: "Ledger of responses", Live: "containment", Body: b,
		Help: &help{
			From:    "The ledger of the local store: containments and proposals, those that have ended included, as long as response.keep keeps them.",
			Command: []string{"aidr responses ls"}, SQL: "SELECT * FROM aidr.v_responses ORDER BY since DESC LIMIT 100",
		},
	})
}

// responseBody is the content of the page of a response.
type responseBody struct {
	schema.ResponseRecord
	TargetText  string
	MayRelease  bool
	MayApprove  bool
	Failed      string
	Steps       []step
	LastSuccess bool
}

// step is one stage of a proof.
type step struct {
	Name, Text string
	Done, Bad  bool
}

// response shows one response with its proof.
func (q *request) response() error {
	b := responseBody{}
	if err := q.get("/v1/responses/"+url.PathEscape(q.r.PathValue("id")), nil, &b.ResponseRecord); err != nil {
		if _, bad := schema.ParseID(q.r.PathValue("id")); bad != nil {
			return badRequest{err}
		}
		return err
	}
	b.TargetText, b.Steps = targetText(b.Target), stepsOf(&b.ResponseRecord)
	b.MayRelease, b.MayApprove = q.session.who.may(access.Contain), q.session.who.may(access.Approve)
	b.Failed = q.value("failed")
	return q.show(page{
		Name: "response", Nav: "contained", Title: "Containment of " + b.TargetText, Live: "containment", Body: b,
		Help: &help{
			From: "The ledger of responses. Receipts are answers that gateways got; the proof counts denials and successes of the target in the " +
				"logs since the containment began.",
			Command: []string{"aidr responses show " + b.ID.String(), b.Rollback},
			SQL:     "SELECT * FROM aidr.v_responses WHERE id = '" + b.ID.String() + "'",
		},
	})
}

// stepsOf returns the stages of a proof with what is known of each.
func stepsOf(r *schema.ResponseRecord) []step {
	var refused, allowed int64
	for _, x := range r.Receipts {
		refused, allowed = refused+x.Refused, allowed+x.Allowed
	}
	stage := r.Stage
	failed := stage == schema.StageFailed
	verified := stage == schema.StageVerified
	enforced := verified || failed || stage == schema.StageEnforced
	last := step{Name: "verified", Text: "no denial in the logs yet", Done: verified}
	switch {
	case verified:
		last.Text = fmt.Sprintf("%s denials in the logs, and no success since", number(r.Proof.Denials))
	case failed:
		last = step{Name: "failed", Text: fmt.Sprintf("%s calls went on", number(r.Proof.Successes)), Bad: true}
	case r.Proof.Denials > 0:
		last.Text = fmt.Sprintf("%s denials in the logs; waiting until no call has succeeded for long enough", number(r.Proof.Denials))
	}
	asked := "in the table that gateways ask"
	if r.Status == schema.ContainmentProposed {
		asked = "a person has to approve it first"
	}
	return []step{
		{Name: "asked", Text: asked, Done: r.Status != schema.ContainmentProposed},
		{Name: "enforced", Text: fmt.Sprintf("gateways got %s refusals and %s permissions", number(refused), number(allowed)), Done: enforced && (refused+allowed > 0 || verified)},
		last,
	}
}

// release ends a containment.
func (q *request) release() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	id := q.r.PathValue("id")
	if err := q.post("/v1/containments/"+url.PathEscape(id)+"/release", map[string]string{"reason": strings.TrimSpace(q.r.PostForm.Get("reason"))}, nil); err != nil {
		return badRequest{err}
	}
	return q.redirect("/responses/" + url.PathEscape(id))
}

// approve answers a proposal or a held call.
func (q *request) approve() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	answer := q.r.PostForm.Get("answer")
	if answer != "approve" && answer != "decline" {
		return badRequest{fmt.Errorf("answer: %q is neither approve nor decline", schema.Truncate(answer, 20))}
	}
	body := map[string]any{"approve": answer == "approve", "reason": strings.TrimSpace(q.r.PostForm.Get("reason"))}
	if err := q.post("/v1/approvals/"+url.PathEscape(q.r.PathValue("id")), body, nil); err != nil {
		return badRequest{err}
	}
	return q.redirect(local(cmp.Or(q.r.PostForm.Get("next"), "/contained")))
}

// targetText returns a target on one line.
func targetText(t schema.Target) string {
	var parts []string
	for _, x := range [...][2]string{
		{"", t.Agent}, {"session ", t.Session}, {"credential ", t.Credential}, {"tool ", t.Tool}, {"server ", t.Server}, {"route ", t.Route},
		{"tenant ", t.Tenant},
	} {
		if x[1] != "" {
			parts = append(parts, x[0]+x[1])
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}
