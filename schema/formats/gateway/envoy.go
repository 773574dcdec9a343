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
		Tells: []formats.Tell{
			{Keys: []string{"start_time", "response_flags"}},
			{Keys: []string{"start_time", "response_code_details"}},
			{Keys: []string{"start_time", "response_code", "upstream_host"}},
			{Keys: []string{"start_time", "response_code", "upstream_cluster"}},
		},
		Open: newEnvoy,
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
func (n keys) at(r *formats.Record) formats.Node {
	for _, place := range n {
		if v := present(r.At(place)); v.Present() {
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

func (n keys) text(r *formats.Record) string { return r.Text(n.at(r)) }

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
	credentials                         []credential
}

// credential is a key that operators add to the log and that identifies the caller: an agent's declared id, or an identity
// that the proxy verified.
type credential struct {
	key   string
	place int
	kind  string // "mtls" or "jwt" if verified by the proxy
}

func newEnvoy(p *formats.Paths) formats.Reader {
	e := &envoy{
		start:           newKeys(p, "start_time"),
		duration:        newKeys(p, "duration"),
		code:            newKeys(p, "response_code", "status"),
		flags:           newKeys(p, "response_flags"),
		details:         newKeys(p, "response_code_details"),
		grpc:            newKeys(p, "grpc_status_number", "grpc_status"),
		method:          newKeys(p, "method", ":method", "request_method"),
		path:            newKeys(p, "path", ":path", "x-envoy-original-path", "x-envoy-origin-path", "x_envoy_original_path"),
		authority:       newKeys(p, "authority", ":authority", "host"),
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
		session:         newKeys(p, "session.id"),
		agentName:       newKeys(p, "gen_ai.agent.name", "agent_name"),
		user:            newKeys(p, "user.id", "user_id", "x-user-id"),
		provider:        newKeys(p, "gen_ai.provider.name"),
		operation:       newKeys(p, "gen_ai.operation.name"),
		requestModel:    newKeys(p, "gen_ai.request.model"),
		responseModel:   newKeys(p, "gen_ai.response.model"),
		inputTokens:     newKeys(p, "gen_ai.usage.input_tokens"),
		outputTokens:    newKeys(p, "gen_ai.usage.output_tokens"),
		cachedTokens:    newKeys(p, "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cached_input_tokens"),
		reasoningTokens: newKeys(p, "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
		cost:            newKeys(p, "gen_ai.usage.cost"),
		mcpMethod:       newKeys(p, "mcp.method.name"),
		mcpSession:      newKeys(p, "mcp.session.id"),
		rpcID:           newKeys(p, "jsonrpc.request.id"),
		mcpTool:         newKeys(p, "mcp.tool.name", "gen_ai.tool.name"),
		mcpServer:       newKeys(p, "mcp.provider.name", "mcp.server.name"),
		mcpResource:     newKeys(p, "mcp.resource.uri"),
	}
	for _, c := range [...]credential{
		{key: "gen_ai.agent.id"}, {key: "agent_id"}, {key: "x-agent-id"},
		{key: "downstream_peer_uri_san", kind: "mtls"}, {key: "downstream_peer_subject", kind: "mtls"},
		{key: "jwt_client_id", kind: "jwt"}, {key: "client_id"}, {key: "jwt_sub", kind: "jwt"},
	} {
		c.place = p.Add(c.key)
		e.credentials = append(e.credentials, c)
	}
	return e
}

func (e *envoy) Read(r *formats.Record) {
	r.Begin("envoy.access")
	if !r.Start(e.start.at(r)) {
		return
	}
	r.SetDuration(e.duration.at(r), nsPerMilli)
	e.request(r)
	e.identify(r)
	e.class(r)
	e.outcome(r)
	r.Emit()
}

// nsPerMilli is the unit of the durations in gateways' logs, in ns.
const nsPerMilli = 1e6

// request sets the fields of the HTTP request.
func (e *envoy) request(r *formats.Record) {
	r.SetText(schema.HTTPRequestMethod, e.method.at(r))
	host, path := formats.SplitURL(e.path.text(r))
	if host == "" {
		host = formats.Host(e.authority.text(r))
	}
	r.Put(schema.URLDomain, host)
	r.Put(schema.URLPath, path)
	r.SetText(schema.HTTPRoute, e.route.at(r))
	r.SetText(schema.ServiceTargetName, e.cluster.at(r))
	r.SetInt(schema.HTTPRequestBytes, e.received.at(r))
	r.SetInt(schema.HTTPResponseBytes, e.sent.at(r))
	r.SetText(schema.HTTPRequestID, e.requestID.at(r))
	r.SetTraceparent(e.traceparent.at(r))
	r.SetText(schema.TraceID, e.trace.at(r))
	r.SetText(schema.UserAgentOriginal, e.userAgent.at(r))
	r.SetSource(e.peer.text(r), e.forwarded.text(r))
}

// identify sets the fields of the caller. Access logs identify callers only by keys that the operator added.
func (e *envoy) identify(r *formats.Record) {
	for _, c := range e.credentials {
		text := r.Text(present(r.At(c.place)))
		if text == "" {
			continue
		}
		r.Agent(c.key, text)
		if c.kind == "mtls" {
			r.Put(schema.CredentialUID, text)
			r.Put(schema.CredentialType, c.kind)
		}
	}
	r.SetText(schema.AIAgentName, e.agentName.at(r))
	r.SetText(schema.UserID, e.user.at(r))
	r.AgentByAddress(e.userAgent.text(r))
	r.SetText(schema.MCPSessionID, e.mcpSession.at(r))
	session := e.session.at(r)
	if !session.Present() {
		session = e.mcpSession.at(r)
	}
	r.SetText(schema.SessionID, session)
}

// class sets the event's class, tool, llm or api, and the fields of that class.
func (e *envoy) class(r *formats.Record) {
	method, model, provider := e.mcpMethod.text(r), e.requestModel.at(r), e.provider.at(r)
	switch {
	case method != "" || e.mcpTool.at(r).Present():
		if method == "" {
			method = "tools/call"
		}
		r.SetClass(formats.ClassTool, method)
		r.Put(schema.MCPMethodName, method)
		r.SetText(schema.GenAIToolName, e.mcpTool.at(r))
		r.SetText(schema.GenAIToolCallID, e.rpcID.at(r))
		r.SetText(schema.MCPServerName, e.mcpServer.at(r))
		r.SetText(schema.MCPResourceURI, e.mcpResource.at(r))
	case model.Present() || provider.Present() || e.responseModel.at(r).Present():
		op := e.operation.text(r)
		if op == "" {
			op = operationOf(e.path.text(r))
		}
		r.SetClass(formats.ClassLLM, op)
		r.Put(schema.GenAIOperationName, op)
		r.SetText(schema.GenAIProviderName, provider)
		r.SetText(schema.GenAIRequestModel, model)
		r.SetText(schema.GenAIResponseModel, e.responseModel.at(r))
		r.SetInt(schema.GenAIUsageInputTokens, e.inputTokens.at(r))
		r.SetInt(schema.GenAIUsageOutputTokens, e.outputTokens.at(r))
		r.SetInt(schema.GenAIUsageCacheReadInputTokens, e.cachedTokens.at(r))
		r.SetInt(schema.GenAIUsageReasoningOutputTokens, e.reasoningTokens.at(r))
		r.SetDouble(schema.GenAIUsageCost, e.cost.at(r))
	default:
		r.SetCall(e.method.text(r))
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
func (e *envoy) outcome(r *formats.Record) {
	code := e.code.at(r)
	status, ok := scan.Int(code.Src, code.Span)
	switch {
	case ok:
		r.SetStatus(status)
		if status > 0 {
			r.SetInt(schema.HTTPResponseStatusCode, code)
		}
	default:
		r.SetOutcome(formats.Unknown)
	}
	flags := e.flags.text(r)
	if hasFlag(flags, "UAEX") { // the external authorization service refused
		r.Block()
	}
	switch status := e.grpc.text(r); status {
	case "", "0", "OK", "Ok":
	case "7", "PermissionDenied", "PERMISSION_DENIED", "16", "Unauthenticated", "UNAUTHENTICATED":
		r.Block()
		r.Put(schema.ErrorType, status)
	default:
		r.SetOutcome(formats.Failure)
		r.Put(schema.ErrorType, status)
	}
	if r.Event.Text(schema.EventOutcome) == formats.Failure && e.grpc.text(r) == "" {
		if flags != "" {
			r.Put(schema.ErrorType, flags)
		} else {
			r.SetText(schema.ErrorType, e.details.at(r))
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
