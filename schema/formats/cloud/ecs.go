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
	var tells []formats.Signature
	for _, kind := range [...]string{"event", "alert", "signal"} {
		tells = append(tells,
			formats.Signature{Keys: []string{"ecs", "event"}, Path: []string{"event", "kind"}, Text: kind},
			formats.Signature{Keys: []string{"ecs.version", "event.kind"}, Path: []string{"event.kind"}, Text: kind})
	}
	return formats.Format{
		Name: "ecs", Datasets: []string{"ecs"},
		Families:   []string{formats.FamilyAudit, formats.FamilyGateway, formats.FamilyLLM}, // an event may be about anything
		Signatures: tells, Scope: formats.ScopePlatform, NewReader: newECS,
	}
}

type ecs struct {
	time, duration              []int // @timestamp, event.duration
	action, kinds, categories   []int // event: action, type, category
	operation                   []int // gen_ai.operation.name
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
		action: at("event.action"), operation: at("gen_ai.operation.name"), kinds: at("event.type"), categories: at("event.category"),
		outcome: at("event.outcome"), status: at("http.response.status_code"),
		address: append(at("source.ip"), at("client.ip")...), userAgent: at("user_agent.original"),
		agentID: at("gen_ai.agent.id"), agentName: at("gen_ai.agent.name"), service: at("service.name"),
		model: at("gen_ai.request.model"), tool: at("gen_ai.tool.name"),
		userID: at("user.id"), userEmail: at("user.email"), userName: at("user.name"),
		copies: newCopies(p, ecsCopies, true),
	}
}

func (e *ecs) Read(el *formats.Element) {
	el.SetDataset("ecs")
	if !el.SetTime(either(el, e.time)) {
		return
	}
	el.CopyDuration(either(el, e.duration), 1)
	e.copies.read(el)
	e.class(el)
	e.outcomes(el)
	setAddress(el, either(el, e.address))
	e.caller(el)
	el.Emit()
}

// class sets the event's class: tool or llm if the event has such fields, else by ECS's categories.
func (e *ecs) class(el *formats.Element) {
	class := formats.ClassAudit
	eachText(el, either(el, e.categories), func(category string) bool {
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
	case either(el, e.tool).Present():
		class = formats.ClassTool
	case either(el, e.model).Present():
		class = formats.ClassLLM
	}
	action := el.Text(either(el, e.action))
	if class != formats.ClassTool {
		el.SetClass(class, action)
		return
	}
	if el.Text(either(el, e.operation)) == formats.ActionExecuteTool {
		el.SetTool(action, formats.Called|formats.Returned)
		return
	}
	el.SetTool(action, formats.ToolPhase(action, false, false))
}

// classHTTP is the event.class of plain HTTP traffic.
const classHTTP = "http"

// classGuardrail is the event.class of alerts of another system.
const classGuardrail = "guardrail"

// outcomes sets the outcome from event.outcome, else from the HTTP status, and the fields that follow from ECS's types. The
// type "denied" is a refusal.
func (e *ecs) outcomes(el *formats.Element) {
	status := either(el, e.status)
	el.CopyInt(schema.HTTPResponseStatusCode, status)
	code, ok := scan.Int(status.Src, status.Span)
	switch outcome := el.Text(either(el, e.outcome)); {
	case outcome == formats.Success || outcome == formats.Failure:
		el.SetOutcome(outcome)
	case ok && code > 0:
		el.SetHTTPStatus(code)
	default:
		el.SetOutcome(formats.Unknown)
	}
	if code == 401 || code == 403 {
		el.SetBlocked()
	}
	eachText(el, either(el, e.kinds), func(kind string) bool {
		switch kind {
		case "creation":
			el.SetText(schema.EventType, typeCreate)
		case "change":
			el.SetText(schema.EventType, typeUpdate)
		case "deletion":
			el.SetText(schema.EventType, typeDelete)
		case "access":
			el.SetText(schema.EventType, typeRead)
		case "denied":
			el.SetBlocked()
		case "allowed":
			el.SetText(schema.Disposition, formats.Allowed)
		}
		return true
	})
}

// caller sets the fields of the caller: an agent if the event declares one, else an agent's name within its service, else the
// user.
func (e *ecs) caller(el *formats.Element) {
	name, service := el.Text(either(el, e.agentName)), el.Text(either(el, e.service))
	el.DeclareAgent("gen_ai.agent.id", el.Text(either(el, e.agentID)))
	if name != "" && service != "" {
		el.SetAgent("service.name|gen_ai.agent.name", el.Arena.Concat(service, "|", name))
	}
	el.SetAgent("user.id", el.Text(either(el, e.userID)))
	el.SetAgent("user.email", el.Text(either(el, e.userEmail)))
	el.SetAgent("user.name", el.Text(either(el, e.userName)))
	el.SetText(schema.AIAgentName, name)
	userAgent := el.Text(either(el, e.userAgent))
	el.SetAgentByAddress(userAgent)
	el.SetText(schema.UserAgentOriginal, userAgent)
}

// eachText calls yield with a text, or with each text of an array until yield returns false.
func eachText(el *formats.Element, n formats.Node, yield func(text string) bool) {
	if n.Kind != scan.Array {
		if n.Present() {
			yield(el.Text(n))
		}
		return
	}
	el.Index.Each(n.Src, n.Span, func(elem scan.Span) bool { return yield(el.Text(formats.Node{Src: n.Src, Span: elem})) })
}
