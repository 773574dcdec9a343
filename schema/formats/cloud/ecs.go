package cloud

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// ECS returns the format of events that another system already normalised to the Elastic Common Schema, nested or with
// dotted keys. The lines of a log shipper have ecs.version too but no event.kind: they are envelopes, and the record inside
// is read instead.
func ECS() formats.Format {
	var tells []formats.Tell
	for _, kind := range [...]string{"event", "alert", "signal"} {
		tells = append(tells,
			formats.Tell{Keys: []string{"ecs", "event"}, Path: []string{"event", "kind"}, Text: kind},
			formats.Tell{Keys: []string{"ecs.version", "event.kind"}, Path: []string{"event.kind"}, Text: kind})
	}
	return formats.Format{Name: "ecs", Datasets: []string{"ecs"}, Tells: tells, Open: newECS}
}

type ecs struct {
	time, duration              []int // @timestamp, event.duration
	action, kinds, categories   []int // event: action, type, category
	outcome, status             []int // event.outcome, http.response.status_code
	address, userAgent          []int // source.ip or client.ip, user_agent.original
	agentID, agentName, service []int // gen_ai.agent.id, gen_ai.agent.name, service.name
	model, tool                 []int // gen_ai: request.model, tool.name
	userID, userEmail, userName []int // user: id, email, name
	copies                      copies
}

// ecsCopies lists the fields that ECS has too, with the names of today's ECS before those of older ones.
var ecsCopies = []copied{
	{schema.EventID, []string{"event.id"}},
	{schema.ErrorType, []string{"error.code", "error.type"}},
	{schema.TraceID, []string{"trace.id"}},
	{schema.SpanID, []string{"span.id"}},
	{schema.SpanParentID, []string{"parent.id"}},
	{schema.SessionID, []string{"session.id"}},
	{schema.OrganizationID, []string{"organization.id"}},
	{schema.AIAgentVersion, []string{"gen_ai.agent.version"}},
	{schema.UserID, []string{"user.id"}},
	{schema.UserName, []string{"user.name"}},
	{schema.UserEmail, []string{"user.email"}},
	{schema.OnBehalfOfID, []string{"user.effective.id"}},
	{schema.SourceASNumber, []string{"source.as.number"}},
	{schema.SourceGeoCountryISOCode, []string{"source.geo.country_iso_code"}},
	{schema.ServiceTargetName, []string{"service.target.name"}},
	{schema.ResourceID, []string{"orchestrator.resource.id"}},
	{schema.ResourceType, []string{"orchestrator.resource.type"}},
	{schema.ResourceName, []string{"orchestrator.resource.name"}},
	{schema.CloudProvider, []string{"cloud.provider"}},
	{schema.CloudAccountID, []string{"cloud.account.id"}},
	{schema.CloudRegion, []string{"cloud.region"}},
	{schema.HTTPRequestMethod, []string{"http.request.method"}},
	{schema.URLDomain, []string{"url.domain"}},
	{schema.URLPath, []string{"url.path"}},
	{schema.HTTPRequestBytes, []string{"http.request.bytes"}},
	{schema.HTTPResponseBytes, []string{"http.response.bytes"}},
	{schema.HTTPRequestID, []string{"http.request.id"}},
	{schema.GenAIOperationName, []string{"gen_ai.operation.name"}},
	{schema.GenAIProviderName, []string{"gen_ai.provider.name", "gen_ai.system"}},
	{schema.GenAIRequestModel, []string{"gen_ai.request.model"}},
	{schema.GenAIResponseModel, []string{"gen_ai.response.model"}},
	{schema.GenAIResponseID, []string{"gen_ai.response.id"}},
	{schema.GenAIConversationID, []string{"gen_ai.conversation.id"}},
	{schema.GenAIUsageInputTokens, []string{"gen_ai.usage.input_tokens"}},
	{schema.GenAIUsageOutputTokens, []string{"gen_ai.usage.output_tokens"}},
	{schema.GenAIResponseFinishReasons, []string{"gen_ai.response.finish_reasons"}},
	{schema.GenAIToolName, []string{"gen_ai.tool.name"}},
	{schema.GenAIToolCallID, []string{"gen_ai.tool.call.id"}},
}

func newECS(p *formats.Paths) formats.Reader {
	at := func(path string) []int { return addPath(p, path, true) }
	return &ecs{
		time: at("@timestamp"), duration: at("event.duration"),
		action: at("event.action"), kinds: at("event.type"), categories: at("event.category"),
		outcome: at("event.outcome"), status: at("http.response.status_code"),
		address: append(at("source.ip"), at("client.ip")...), userAgent: at("user_agent.original"),
		agentID: at("gen_ai.agent.id"), agentName: at("gen_ai.agent.name"), service: at("service.name"),
		model: at("gen_ai.request.model"), tool: at("gen_ai.tool.name"),
		userID: at("user.id"), userEmail: at("user.email"), userName: at("user.name"),
		copies: newCopies(p, ecsCopies, true),
	}
}

func (e *ecs) Read(r *formats.Record) {
	r.Begin("ecs")
	if !r.Start(either(r, e.time)) {
		return
	}
	r.SetDuration(either(r, e.duration), 1)
	e.copies.read(r)
	e.class(r)
	e.outcomes(r)
	setAddress(r, either(r, e.address))
	e.caller(r)
	r.Emit()
}

// class sets the event's class: tool or llm if the event has such fields, else by ECS's categories.
func (e *ecs) class(r *formats.Record) {
	class := formats.ClassAudit
	eachText(r, either(r, e.categories), func(category string) bool {
		switch category {
		case "authentication", "session":
			class = formats.ClassAuth
		case "web", "network":
			class = classHTTP
		case "api":
			class = formats.ClassAPI
		default:
			return true
		}
		return false
	})
	switch {
	case either(r, e.tool).Present():
		class = formats.ClassTool
	case either(r, e.model).Present():
		class = formats.ClassLLM
	}
	r.SetClass(class, r.Text(either(r, e.action)))
}

// classHTTP is the event.class of plain HTTP traffic.
const classHTTP = "http"

// outcomes sets the outcome from event.outcome, else from the HTTP status, and the fields that follow from ECS's types. The
// type "denied" is a refusal.
func (e *ecs) outcomes(r *formats.Record) {
	status := either(r, e.status)
	r.SetInt(schema.HTTPResponseStatusCode, status)
	code, ok := scan.Int(status.Src, status.Span)
	switch outcome := r.Text(either(r, e.outcome)); {
	case outcome == formats.Success || outcome == formats.Failure:
		r.SetOutcome(outcome)
	case ok && code > 0:
		r.SetStatus(code)
	default:
		r.SetOutcome(formats.Unknown)
	}
	if code == 401 || code == 403 {
		r.Block()
	}
	eachText(r, either(r, e.kinds), func(kind string) bool {
		switch kind {
		case "creation":
			r.Put(schema.EventType, typeCreate)
		case "change":
			r.Put(schema.EventType, typeUpdate)
		case "deletion":
			r.Put(schema.EventType, typeDelete)
		case "access":
			r.Put(schema.EventType, typeRead)
		case "denied":
			r.Block()
		case "allowed":
			r.Put(schema.Disposition, formats.Allowed)
		}
		return true
	})
}

// caller sets the fields of the caller: an agent if the event declares one, else an agent's name within its service, else the
// user.
func (e *ecs) caller(r *formats.Record) {
	name, service := r.Text(either(r, e.agentName)), r.Text(either(r, e.service))
	r.Agent("gen_ai.agent.id", r.Text(either(r, e.agentID)))
	if name != "" && service != "" {
		r.Agent("service.name|gen_ai.agent.name", r.Arena.Concat(service, "|", name))
	}
	r.Agent("user.id", r.Text(either(r, e.userID)))
	r.Agent("user.email", r.Text(either(r, e.userEmail)))
	r.Agent("user.name", r.Text(either(r, e.userName)))
	r.Put(schema.AIAgentName, name)
	userAgent := r.Text(either(r, e.userAgent))
	r.AgentByAddress(userAgent)
	r.Put(schema.UserAgentOriginal, userAgent)
}

// eachText calls yield with a text, or with each text of an array until yield returns false.
func eachText(r *formats.Record, n formats.Node, yield func(text string) bool) {
	if n.Kind != scan.Array {
		if n.Present() {
			yield(r.Text(n))
		}
		return
	}
	r.Index.Each(n.Src, n.Span, func(elem scan.Span) bool { return yield(r.Text(formats.Node{Src: n.Src, Span: elem})) })
}
