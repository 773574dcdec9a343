package gateway

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Envoy returns the format of the JSON access logs of Envoy, Istio and Envoy AI Gateway. Operators choose the keys of these
// logs, so each field is looked up under all keys that the products' defaults and examples use.
func Envoy() formats.Format {
	return formats.Format{
		Name:     "envoy_access_log",
		Aliases:  []string{"envoy", "istio"},
		Datasets: []string{"envoy.access"},
		Families: []string{formats.FamilyGateway, formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"start_time", "response_flags"}},
			{Keys: []string{"start_time", "response_code_details"}},
			{Keys: []string{"start_time", "response_code", "upstream_host"}},
			{Keys: []string{"start_time", "response_code", "upstream_cluster"}},
			{Keys: []string{"start_time", "response_code", "method", "path"}},
			{Keys: []string{"@timestamp", "response_code", "response_flags"}}, // Contour
			{Keys: []string{"@timestamp", "response_code", "upstream_cluster"}},
			{Keys: []string{"response_code", "response_flags", "downstream_remote_address"}},
			{Keys: []string{"response_code", "genai_model_name"}}, // aigw run, without a time
			{Keys: []string{"response_code", "gen_ai.request.model"}},
			{Keys: []string{"response_code", "mcp.method.name"}},
		},
		NewReader: newEnvoy,
	}
}

// keys holds the places of the keys under which a value may be logged, the usual key first.
type keys []int

func newKeys(p *formats.Paths, list ...string) keys {
	n := make(keys, len(list))
	for i, key := range list {
		n[i] = p.Add(key)
	}
	return n
}

// at returns the first value that is present.
func (n keys) at(el *formats.Element) formats.Node {
	for _, place := range n {
		if v := present(el.At(place)); v.Present() {
			return v
		}
	}
	return formats.Node{}
}

// present returns a value, or Absent for the values that Envoy writes for an absent one: null, "" and "-".
func present(v formats.Node) formats.Node {
	if v.Kind == scan.Null || v.Kind == scan.String && (v.Raw() == `"-"` || v.Raw() == `""`) {
		return formats.Node{}
	}
	return v
}

func (n keys) text(el *formats.Element) string { return el.Text(n.at(el)) }

type envoy struct {
	start, duration                     keys // when
	code, flags, details, grpc          keys // outcome
	method, path, authority             keys // request line
	route, cluster                      keys // where Envoy sent the request
	received, sent                      keys // bytes
	peer, forwarded, userAgent          keys // caller
	requestID, trace, traceparent       keys // ids of the request
	session, agentName, user            keys // added by operators
	provider, operation                 keys // gen_ai.*: the call
	requestModel, responseModel         keys // gen_ai.*: models
	inputTokens, outputTokens           keys // gen_ai.usage.*
	cachedTokens, reasoningTokens, cost keys // gen_ai.usage.*
	mcpMethod, mcpSession, rpcID        keys // mcp.*: the message
	mcpTool, mcpServer, mcpResource     keys // mcp.*: the object of the call
	mcpArguments                        keys // mcp.*: its arguments
	credentials                         []credential
}

// credential is a key that operators add to the log and that identifies the caller: an identity that the proxy verified, or
// an id that the caller declares in a header.
type credential struct {
	key      string
	place    int
	kind     string // "mtls" or "jwt" if verified by the proxy
	declared bool
}

func newEnvoy(p *formats.Paths) formats.Reader {
	e := &envoy{
		start:           newKeys(p, "start_time", "@timestamp", "timestamp"),
		duration:        newKeys(p, "duration"),
		code:            newKeys(p, "response_code", "status"),
		flags:           newKeys(p, "response_flags"),
		details:         newKeys(p, "response_code_details"),
		grpc:            newKeys(p, "grpc_status_number", "grpc_status"),
		method:          newKeys(p, "method", ":method", "request_method"),
		path:            newKeys(p, "path", ":path", "x-envoy-original-path", "x-envoy-origin-path", "x_envoy_original_path"),
		authority:       newKeys(p, "authority", ":authority", "host", "requested_server_name"),
		route:           newKeys(p, "route_name"),
		cluster:         newKeys(p, "upstream_cluster"),
		received:        newKeys(p, "bytes_received"),
		sent:            newKeys(p, "bytes_sent"),
		peer:            newKeys(p, "downstream_remote_address", "downstream_direct_remote_address", "downstream_remote_address_without_port"),
		forwarded:       newKeys(p, "x_forwarded_for", "x-forwarded-for"),
		userAgent:       newKeys(p, "user_agent", "user-agent"),
		requestID:       newKeys(p, "request_id", "x-request-id", "x_request_id"),
		trace:           newKeys(p, "trace_id", "traceID", "x-b3-traceid"),
		traceparent:     newKeys(p, "traceparent"),
		session:         newKeys(p, "session.id", "session_id", "agent-session-id", "agent_session_id"),
		agentName:       newKeys(p, "gen_ai.agent.name", "agent_name"),
		user:            newKeys(p, "user.id", "user_id", "x-user-id"),
		provider:        newKeys(p, "gen_ai.provider.name", "gen_ai_provider_name", "genai_backend_name", "genai_provider_name"),
		operation:       newKeys(p, "gen_ai.operation.name", "gen_ai_operation_name", "genai_operation_name"),
		requestModel:    newKeys(p, "gen_ai.request.model", "gen_ai_request_model", "genai_model_name", "genai_request_model"),
		responseModel:   newKeys(p, "gen_ai.response.model", "gen_ai_response_model", "genai_model_name_override", "genai_response_model"),
		inputTokens:     newKeys(p, "gen_ai.usage.input_tokens", "gen_ai_usage_input_tokens", "genai_tokens_input", "llm_input_token"),
		outputTokens:    newKeys(p, "gen_ai.usage.output_tokens", "gen_ai_usage_output_tokens", "genai_tokens_output", "llm_output_token"),
		cachedTokens:    newKeys(p, "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cached_input_tokens", "genai_tokens_cached_input", "genai_tokens_cached"),
		reasoningTokens: newKeys(p, "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
		cost:            newKeys(p, "gen_ai.usage.cost", "genai_cost"),
		mcpMethod:       newKeys(p, "mcp.method.name", "mcp_method_name"),
		mcpSession:      newKeys(p, "mcp.session.id", "mcp_session_id"),
		rpcID:           newKeys(p, "jsonrpc.request.id", "jsonrpc_request_id"),
		mcpTool:         newKeys(p, "mcp.tool.name", "gen_ai.tool.name", "mcp_tool_name", "gen_ai_tool_name"),
		mcpArguments:    newKeys(p, "gen_ai.tool.call.arguments", "mcp_tool_arguments"),
		mcpServer:       newKeys(p, "mcp.provider.name", "mcp.server.name", "mcp_provider_name", "mcp_server_name"),
		mcpResource:     newKeys(p, "mcp.resource.uri", "mcp_resource_uri"),
	}
	for _, c := range [...]credential{
		{key: "downstream_peer_uri_san", kind: "mtls"}, {key: "downstream_peer_subject", kind: "mtls"},
		{key: "jwt_client_id", kind: "jwt"}, {key: "jwt_sub", kind: "jwt"}, {key: "client_id"},
		{key: "gen_ai.agent.id", declared: true}, {key: "agent_id", declared: true}, {key: "x-agent-id", declared: true},
	} {
		c.place = p.Add(c.key)
		e.credentials = append(e.credentials, c)
	}
	return e
}

func (e *envoy) Read(el *formats.Element) {
	el.SetDataset("envoy.access")
	if !el.SetTime(e.start.at(el)) {
		return
	}
	el.CopyDuration(e.duration.at(el), nsPerMilli)
	e.request(el)
	e.identify(el)
	e.class(el)
	e.outcome(el)
	el.Emit()
}

// nsPerMilli is the unit of the durations in gateways' logs, in ns.
const nsPerMilli = 1e6

// defaultRoute is the name that Istio gives to routes without a name.
const defaultRoute = "default"

// request sets the fields of the HTTP request.
func (e *envoy) request(el *formats.Element) {
	el.CopyText(schema.HTTPRequestMethod, e.method.at(el))
	host, path := formats.SplitURL(e.path.text(el))
	if host == "" {
		host = formats.Host(e.authority.text(el))
	}
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyText(schema.HTTPRoute, e.route.at(el))
	if route := e.route.text(el); route != defaultRoute {
		el.SetWorkflow(route)
	}
	el.CopyText(schema.ServiceTargetName, e.cluster.at(el))
	el.CopyInt(schema.HTTPRequestBytes, e.received.at(el))
	el.CopyInt(schema.HTTPResponseBytes, e.sent.at(el))
	el.CopyText(schema.HTTPRequestID, e.requestID.at(el))
	el.CopyTraceparent(e.traceparent.at(el))
	el.CopyText(schema.TraceID, e.trace.at(el))
	el.CopyText(schema.UserAgentOriginal, e.userAgent.at(el))
	el.SetSourceIP(e.peer.text(el), e.forwarded.text(el))
}

// identify sets the fields of the caller. Access logs identify callers only by keys that the operator added.
func (e *envoy) identify(el *formats.Element) {
	for _, c := range e.credentials {
		text := el.Text(present(el.At(c.place)))
		if text == "" {
			continue
		}
		switch {
		case !c.declared:
			el.SetAgent(c.key, text)
		case el.Event.Has(schema.AIAgentUID) || !isUnauthenticated(e.code.at(el)):
			el.DeclareAgent(c.key, text)
		}
		if c.kind == "mtls" {
			el.SetText(schema.CredentialUID, text)
		}
		if !el.Event.Has(schema.CredentialType) {
			el.SetText(schema.CredentialType, c.kind)
		}
	}
	el.CopyText(schema.AIAgentName, e.agentName.at(el))
	el.CopyText(schema.UserID, e.user.at(el))
	el.SetAgentByAddress(e.userAgent.text(el))
	el.CopyText(schema.MCPSessionID, e.mcpSession.at(el))
	session := e.session.at(el)
	if !session.Present() {
		session = e.mcpSession.at(el)
	}
	el.CopyText(schema.SessionID, session)
}

// isUnauthenticated reports whether a status means that the gateway did not accept the caller's credential. An id that such a
// caller declares names nobody.
func isUnauthenticated(code formats.Node) bool {
	status, ok := scan.Int(code.Src, code.Span)
	return ok && status == formats.StatusUnauthenticated
}

// class sets the event's class, tool, llm or api, and the fields of that class.
func (e *envoy) class(el *formats.Element) {
	method, model, provider := e.mcpMethod.text(el), e.requestModel.at(el), e.provider.at(el)
	switch {
	case method != "" || e.mcpTool.at(el).Present():
		if method == "" {
			method = formats.ActionMCPCall
		}
		el.SetTool(method, formats.MCPPhase(method, false))
		el.SetText(schema.MCPMethodName, method)
		el.CopyText(schema.GenAIToolName, e.mcpTool.at(el))
		el.CopyText(schema.GenAIToolCallID, e.rpcID.at(el))
		el.CopyUnwrapped(schema.GenAIToolCallArguments, e.mcpArguments.at(el))
		el.CopyText(schema.MCPServerName, e.mcpServer.at(el))
		el.CopyText(schema.MCPResourceURI, e.mcpResource.at(el))
	case model.Present() || provider.Present() || e.responseModel.at(el).Present():
		op := e.operation.text(el)
		if op == "" {
			op = operationOf(e.path.text(el))
		}
		el.SetClass(formats.ClassLLM, op)
		el.SetText(schema.GenAIOperationName, op)
		el.CopyText(schema.GenAIProviderName, provider)
		el.CopyText(schema.GenAIRequestModel, model)
		el.CopyText(schema.GenAIResponseModel, e.responseModel.at(el))
		el.CopyInt(schema.GenAIUsageInputTokens, e.inputTokens.at(el))
		el.CopyInt(schema.GenAIUsageOutputTokens, e.outputTokens.at(el))
		el.CopyInt(schema.GenAIUsageCacheReadInputTokens, e.cachedTokens.at(el))
		el.CopyInt(schema.GenAIUsageReasoningOutputTokens, e.reasoningTokens.at(el))
		el.CopyDouble(schema.GenAIUsageCost, e.cost.at(el))
	default:
		el.SetAPICall(e.method.text(el))
	}
}

// operationOf returns the operation of a model's call, by the end of its path.
func operationOf(path string) string {
	_, path = formats.SplitURL(path)
	switch {
	case strings.HasSuffix(path, "/embeddings"):
		return "embeddings"
	case strings.HasSuffix(path, "/completions") && !strings.HasSuffix(path, "/chat/completions"):
		return "text_completion"
	}
	return "chat"
}

// outcome sets the outcome from the HTTP status, Envoy's response flags, and the status of a gRPC call.
func (e *envoy) outcome(el *formats.Element) {
	code := e.code.at(el)
	status, ok := scan.Int(code.Src, code.Span)
	switch {
	case ok:
		el.SetHTTPStatus(status)
		if status > 0 {
			el.CopyInt(schema.HTTPResponseStatusCode, code)
		}
	default:
		el.SetOutcome(formats.Unknown)
	}
	flags := e.flags.text(el)
	if hasFlag(flags, "UAEX") { // the external authorization service refused
		el.SetBlocked()
	}
	switch status := e.grpc.text(el); status {
	case "", "0", "OK", "Ok":
	case "7", "PermissionDenied", "PERMISSION_DENIED", "16", "Unauthenticated", "UNAUTHENTICATED":
		el.SetBlocked()
		el.SetText(schema.ErrorType, status)
	default:
		el.SetOutcome(formats.Failure)
		el.SetText(schema.ErrorType, status)
	}
	if el.Event.Text(schema.EventOutcome) == formats.Failure && e.grpc.text(el) == "" {
		if flags != "" {
			el.SetText(schema.ErrorType, flags)
		} else {
			el.CopyText(schema.ErrorType, e.details.at(el))
		}
	}
}

// hasFlag reports whether a list of response flags contains a flag.
func hasFlag(flags, flag string) bool {
	for flags != "" {
		var f string
		f, flags, _ = strings.Cut(flags, ",")
		if f == flag {
			return true
		}
	}
	return false
}
