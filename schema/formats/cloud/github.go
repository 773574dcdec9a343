package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// GitHubAudit returns the format of the audit log of a GitHub organization or enterprise, which marks agents itself, and of
// the records of requests and responses of Copilot in the same stream.
func GitHubAudit() formats.Format {
	return formats.Format{
		Name:     "github_audit",
		Aliases:  []string{"github"},
		Datasets: []string{"github.audit"},
		Tells: []formats.Tell{
			{Keys: []string{"action", "_document_id"}},
			{Keys: []string{"action", "actor_is_agent"}},
			{Keys: []string{"action", "operation_type"}},
			{Keys: []string{"action", "actor", "created_at", "org"}}, // records of the API
			{Keys: []string{"enterprise_id", "endpoint", "body"}},    // Copilot's usage
		},
		Open: newGitHub,
	}
}

type github struct {
	id, time, created            int // _document_id, @timestamp, created_at
	action, operation, requestID int // action, operation_type, request_id
	actor, actorID, user         int // actor, actor_id, user
	isAgent, isBot, session      int // actor_is_agent, actor_is_bot, agent_session_id
	address, country, userAgent  int // actor_ip, actor_location.country_code, user_agent
	token, tokenID               int // hashed_token, token_id
	access                       int // programmatic_access_type, which sets no field
	oauthID, oauthName           int // oauth_application_id, oauth_application_name
	org, business, repo, repoID  int // org, business, repo, repo_id

	// Records of Copilot.
	kind, endpoint           int // type, endpoint
	body, truncated          int // body, truncated
	eventID, githubRequestID int // event_id, github_request_id
	userID, enterpriseID     int // user_id, enterprise_id
	chat                     *chat
}

func newGitHub(p *formats.Paths) formats.Reader {
	return &github{
		id: p.Add("_document_id"), time: p.Add("@timestamp"), created: p.Add("created_at"),
		action: p.Add("action"), operation: p.Add("operation_type"), requestID: p.Add("request_id"),
		actor: p.Add("actor"), actorID: p.Add("actor_id"), user: p.Add("user"),
		isAgent: p.Add("actor_is_agent"), isBot: p.Add("actor_is_bot"), session: p.Add("agent_session_id"),
		address: p.Add("actor_ip"), country: p.Add("actor_location", "country_code"), userAgent: p.Add("user_agent"),
		token: p.Add("hashed_token"), tokenID: p.Add("token_id"),
		access:  p.Add("programmatic_access_type"),
		oauthID: p.Add("oauth_application_id"), oauthName: p.Add("oauth_application_name"),
		org: p.Add("org"), business: p.Add("business"), repo: p.Add("repo"), repoID: p.Add("repo_id"),
		kind: p.Add("type"), endpoint: p.Add("endpoint"),
		body: p.Add("body"), truncated: p.Add("truncated"),
		eventID: p.Add("event_id"), githubRequestID: p.Add("github_request_id"),
		userID: p.Add("user_id"), enterpriseID: p.Add("enterprise_id"),
		chat: newChat(),
	}
}

func (g *github) Read(r *formats.Record) {
	r.Begin("github.audit")
	if !r.Start(r.At(g.time), r.At(g.created)) {
		return
	}
	if !r.At(g.action).Present() && r.At(g.body).Present() {
		g.copilot(r)
		return
	}
	r.SetText(schema.EventID, r.At(g.id))
	g.call(r)
	setAddress(r, r.At(g.address))
	g.caller(r)
	r.SetText(schema.UserAgentOriginal, r.At(g.userAgent))
	r.SetText(schema.SourceGeoCountryISOCode, r.At(g.country))
	r.SetText(schema.HTTPRequestID, r.At(g.requestID))
	r.SetFirst(schema.OrganizationID, r.At(g.org), r.At(g.business))
	if repo := r.Text(r.At(g.repo)); repo != "" {
		r.Put(schema.ResourceName, repo)
		r.Put(schema.ResourceType, "repository")
		r.SetText(schema.ResourceID, r.At(g.repoID))
	}
	r.Emit()
}

// call sets the action and the outcome. The log lacks a key for the outcome: a failed operation has an action of its own.
func (g *github) call(r *formats.Record) {
	action, operation := r.Text(r.At(g.action)), r.Text(r.At(g.operation))
	class := formats.ClassAudit
	if operation == "authentication" || strings.HasSuffix(action, "login") {
		class = formats.ClassAuth
	}
	r.SetClass(class, action)
	kind := typeOfVerb(operation)
	if kind == "" {
		kind = typeOfOperation(lastPart(action, '.'))
	}
	r.Put(schema.EventType, kind)
	switch {
	case strings.Contains(action, "rejected"):
		r.Block()
	case strings.Contains(action, "failed"):
		r.SetOutcome(formats.Failure)
	default:
		r.SetOutcome(formats.Success)
	}
}

// caller sets the fields of the actor. GitHub marks an actor that is an agent, and names the user for whom the agent acts.
func (g *github) caller(r *formats.Record) {
	actor := r.Text(r.At(g.actor))
	r.Agent("actor_id", r.Text(r.At(g.actorID)))
	r.Agent("actor", actor)
	r.AgentByAddress(r.Text(r.At(g.userAgent)))
	r.Put(schema.AIAgentName, actor)
	r.SetText(schema.UserID, r.At(g.actorID))
	r.SetText(schema.UserName, r.At(g.actor))
	switch {
	case r.At(g.isAgent).True():
		r.Put(schema.UserType, "ai_agent")
		r.SetText(schema.OnBehalfOfID, r.At(g.user))
	case r.At(g.isBot).True() || strings.HasSuffix(actor, "[bot]"):
		r.Put(schema.UserType, "service")
	case r.At(g.isBot).Kind == scan.False:
		r.Put(schema.UserType, "human")
	}
	r.SetText(schema.AIAgentInstanceUID, r.At(g.session))
	r.SetText(schema.SessionID, r.At(g.session))
	if token := r.FirstText(r.At(g.token), r.At(g.tokenID)); token != "" {
		r.Put(schema.CredentialUID, token) // already a hash, or an id
		r.Put(schema.CredentialType, "api_key")
	}
	r.SetText(schema.ClientAppID, r.At(g.oauthID))
	r.SetText(schema.ClientAppName, r.At(g.oauthName))
}

// copilot reads a record of Copilot: the request or the response of a call.
func (g *github) copilot(r *formats.Record) {
	r.SetText(schema.EventID, r.At(g.eventID))
	_, path := formats.SplitURL(r.Text(r.At(g.endpoint)))
	op := operationOfPath(path)
	if op == "" {
		op = opChat
	}
	r.SetClass(formats.ClassLLM, op)
	r.Put(schema.GenAIOperationName, op)
	r.Put(schema.URLPath, path)
	r.Agent("user_id", r.Text(r.At(g.userID)))
	r.SetText(schema.UserID, r.At(g.userID))
	r.Put(schema.UserType, "human")
	r.SetText(schema.OrganizationID, r.At(g.enterpriseID))
	r.SetText(schema.HTTPRequestID, r.At(g.githubRequestID))
	r.SetText(schema.TraceID, r.At(g.githubRequestID))
	if r.At(g.truncated).True() && r.Wants(schema.EventTruncated) {
		r.Event.Set(schema.EventTruncated, schema.BoolValue(true))
	}
	g.chat.reset()
	if r.Text(r.At(g.kind)) == "response" {
		r.SetOutcome(formats.Success)
		g.chat.response(r, r.At(g.body))
	} else {
		r.SetOutcome(formats.Unknown)
		g.chat.request(r, r.At(g.body))
	}
	g.chat.emit(r)
}
