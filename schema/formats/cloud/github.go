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
		Families: []string{formats.FamilyAudit},
		Signatures: []formats.Signature{
			{Keys: []string{"action", "_document_id"}},
			{Keys: []string{"action", "actor_is_agent"}},
			{Keys: []string{"action", "operation_type"}},
			{Keys: []string{"action", "actor", "created_at", "org"}}, // records of the API
			{Keys: []string{"enterprise_id", "endpoint", "body"}},    // Copilot's usage
		},
		Scope:     formats.ScopePlatform,
		NewReader: newGitHub,
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
	method, path, route, status  int // request_method, url_path, route, status_code: api.request

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
		method: p.Add("request_method"), path: p.Add("url_path"), route: p.Add("route"), status: p.Add("status_code"),
		kind: p.Add("type"), endpoint: p.Add("endpoint"),
		body: p.Add("body"), truncated: p.Add("truncated"),
		eventID: p.Add("event_id"), githubRequestID: p.Add("github_request_id"),
		userID: p.Add("user_id"), enterpriseID: p.Add("enterprise_id"),
		chat: newChat(),
	}
}

func (g *github) Read(el *formats.Element) {
	el.SetDataset("github.audit")
	if !el.SetTime(el.At(g.time), el.At(g.created)) {
		return
	}
	if !el.At(g.action).Present() && el.At(g.body).Present() {
		g.copilot(el)
		return
	}
	el.CopyText(schema.EventID, el.At(g.id))
	g.call(el)
	setAddress(el, el.At(g.address))
	g.caller(el)
	el.CopyText(schema.UserAgentOriginal, el.At(g.userAgent))
	el.CopyText(schema.SourceGeoCountryISOCode, el.At(g.country))
	el.CopyText(schema.HTTPRequestID, el.At(g.requestID))
	el.CopyFirstText(schema.OrganizationID, el.At(g.org), el.At(g.business))
	if repo := el.Text(el.At(g.repo)); repo != "" {
		el.SetText(schema.ResourceName, repo)
		el.SetText(schema.ResourceType, "repository")
		el.CopyText(schema.ResourceID, el.At(g.repoID))
	}
	el.Emit()
}

// call sets the action and the outcome. The log lacks a key for the outcome: a failed operation has an action of its own.
func (g *github) call(el *formats.Element) {
	action, operation := el.Text(el.At(g.action)), el.Text(el.At(g.operation))
	class := formats.ClassAudit
	if operation == "authentication" || strings.HasSuffix(action, "login") {
		class = formats.ClassAuth
	}
	el.SetClass(class, action)
	kind := typeOfVerb(operation)
	if kind == "" {
		kind = typeOfOperation(lastPart(action, '.'))
	}
	el.SetText(schema.EventType, kind)
	if g.request(el) {
		return
	}
	switch {
	case strings.Contains(action, "rejected"):
		el.SetBlocked()
	case strings.Contains(action, "failed"):
		el.SetOutcome(formats.Failure)
	default:
		el.SetOutcome(formats.Success)
	}
}

// request sets the fields of a request to the API, whose outcome is its HTTP status. It returns false for other records.
func (g *github) request(el *formats.Element) bool {
	method, status := el.Text(el.At(g.method)), el.At(g.status)
	if method == "" && !status.Present() {
		return false
	}
	el.SetText(schema.HTTPRequestMethod, method)
	el.SetMethodType(method)
	host, path := formats.SplitURL(el.Text(el.At(g.path)))
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyText(schema.HTTPRoute, el.At(g.route))
	code, ok := scan.Int(status.Src, status.Span)
	if el.SetOutcome(formats.Unknown); ok {
		el.SetHTTPStatus(code)
	}
	el.CopyInt(schema.HTTPResponseStatusCode, status)
	return true
}

// caller sets the fields of the actor. GitHub marks an actor that is an agent, and names the user for whom the agent acts.
func (g *github) caller(el *formats.Element) {
	actor := el.Text(el.At(g.actor))
	el.SetAgent("actor_id", el.Text(el.At(g.actorID)))
	el.SetAgent("actor", actor)
	el.SetAgentByAddress(el.Text(el.At(g.userAgent)))
	el.SetText(schema.AIAgentName, actor)
	el.CopyText(schema.UserID, el.At(g.actorID))
	el.CopyText(schema.UserName, el.At(g.actor))
	switch {
	case el.At(g.isAgent).True():
		el.SetText(schema.UserType, "ai_agent")
		el.CopyText(schema.OnBehalfOfID, el.At(g.user))
	case el.At(g.isBot).True() || strings.HasSuffix(actor, "[bot]"):
		el.SetText(schema.UserType, "service")
	case el.At(g.isBot).Kind == scan.False:
		el.SetText(schema.UserType, "human")
	}
	el.CopyText(schema.AIAgentInstanceUID, el.At(g.session))
	el.CopyText(schema.SessionID, el.At(g.session))
	if token := el.FirstText(el.At(g.token), el.At(g.tokenID)); token != "" {
		el.SetText(schema.CredentialUID, token) // already a hash, or an id
		el.SetText(schema.CredentialType, "api_key")
	}
	el.CopyText(schema.ClientAppID, el.At(g.oauthID))
	el.CopyText(schema.ClientAppName, el.At(g.oauthName))
}

// copilot reads a record of Copilot: the request or the response of a call.
func (g *github) copilot(el *formats.Element) {
	el.CopyText(schema.EventID, el.At(g.eventID))
	_, path := formats.SplitURL(el.Text(el.At(g.endpoint)))
	op := operationOfPath(path)
	if op == "" {
		op = opChat
	}
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	el.SetText(schema.URLPath, path)
	el.SetAgent("user_id", el.Text(el.At(g.userID)))
	el.CopyText(schema.UserID, el.At(g.userID))
	el.SetText(schema.UserType, "human")
	el.CopyText(schema.OrganizationID, el.At(g.enterpriseID))
	el.CopyText(schema.HTTPRequestID, el.At(g.githubRequestID))
	el.CopyText(schema.TraceID, el.At(g.githubRequestID))
	if el.At(g.truncated).True() && el.Wanted(schema.EventTruncated) {
		el.Event.Set(schema.EventTruncated, schema.BoolValue(true))
	}
	g.chat.reset()
	if el.Text(el.At(g.kind)) == "response" {
		el.SetOutcome(formats.Success)
		g.chat.response(el, el.At(g.body))
	} else {
		el.SetOutcome(formats.Unknown)
		g.chat.request(el, el.At(g.body))
	}
	g.chat.emit(el)
}
