package gateway

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Envoy is the JSON access log of Envoy, Istio and Envoy AI Gateway. Its keys are the operator's choice: each field is
// looked for under the names that the products' defaults and examples use.
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
		Open: openEnvoy,
	}
}

// names are the places of a field's names, the usual one first.
type names []int

func openNames(p *formats.Paths, keys ...string) names {
	n := make(names, len(keys))
	for i, key := range keys {
		n[i] = p.Add(key)
	}
	return n
}

// at returns the first value that is there; null, "" and "-" are how Envoy writes what is absent.
func (n names) at(r *formats.Record) formats.Node {
	for _, place := range n {
		if v := present(r.At(place)); v.Present() {
			return v
		}
	}
	return formats.Node{}
}

// present returns a value, Absent where it is one that Envoy writes for nothing.
func present(v formats.Node) formats.Node {
	if v.Kind == scan.Null || v.Kind == scan.String && (v.Raw() == `"-"` || v.Raw() == `""`) {
		return formats.Node{}
	}
	return v
}

func (n names) text(r *formats.Record) string { return r.Text(n.at(r)) }

type envoy struct {
	start, duration, code, flags, details, grpc                    names
	method, path, authority, route, cluster                        names
	received, sent, peer, forwarded, userAgent, requestID          names
	trace, traceparent, session                                    names
	agentName, user                                                names
	provider, requestModel, responseModel, operation               names
	inputTokens, outputTokens, cachedTokens, reasoningTokens, cost names
	mcpMethod, mcpSession, mcpTool, mcpServer, mcpResource, rpcID  names
	credentials                                                    []credential
}

// credential is a rung of the identity ladder that operators add to the format: a declared agent, or what the proxy
// itself verified.
type credential struct {
	name  string
	place int
	kind  string
}

func openEnvoy(p *formats.Paths) formats.Reader {
	e := &envoy{
		start: openNames(p, "start_time"), duration: openNames(p, "duration"), code: openNames(p, "response_code", "status"),
		flags: openNames(p, "response_flags"), details: openNames(p, "response_code_details"),
		grpc:      openNames(p, "grpc_status_number", "grpc_status"),
		method:    openNames(p, "method", ":method", "request_method"),
		path:      openNames(p, "path", ":path", "x-envoy-original-path", "x-envoy-origin-path", "x_envoy_original_path"),
		authority: openNames(p, "authority", ":authority", "host"), route: openNames(p, "route_name"), cluster: openNames(p, "upstream_cluster"),
		received: openNames(p, "bytes_received"), sent: openNames(p, "bytes_sent"),
		peer:      openNames(p, "downstream_remote_address", "downstream_direct_remote_address", "downstream_remote_address_without_port"),
		forwarded: openNames(p, "x_forwarded_for", "x-forwarded-for"), userAgent: openNames(p, "user_agent", "user-agent"),
		requestID: openNames(p, "request_id", "x-request-id", "x_request_id"),
		trace:     openNames(p, "trace_id", "traceID", "x-b3-traceid"), traceparent: openNames(p, "traceparent"),
		session:   openNames(p, "session.id"),
		agentName: openNames(p, "gen_ai.agent.name", "agent_name"),
		user:      openNames(p, "user.id", "user_id", "x-user-id"),
		provider:  openNames(p, "gen_ai.provider.name"), requestModel: openNames(p, "gen_ai.request.model"),
		responseModel: openNames(p, "gen_ai.response.model"),
		operation:     openNames(p, "gen_ai.operation.name"),
		inputTokens:   openNames(p, "gen_ai.usage.input_tokens"), outputTokens: openNames(p, "gen_ai.usage.output_tokens"),
		cachedTokens:    openNames(p, "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cached_input_tokens"),
		reasoningTokens: openNames(p, "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"), cost: openNames(p, "gen_ai.usage.cost"),
		mcpMethod: openNames(p, "mcp.method.name"), mcpSession: openNames(p, "mcp.session.id"),
		mcpTool:   openNames(p, "mcp.tool.name", "gen_ai.tool.name"),
		mcpServer: openNames(p, "mcp.provider.name", "mcp.server.name"), mcpResource: openNames(p, "mcp.resource.uri"), rpcID: openNames(p, "jsonrpc.request.id"),
	}
	for _, c := range [...]credential{
		{name: "gen_ai.agent.id"}, {name: "agent_id"}, {name: "x-agent-id"},
		{name: "downstream_peer_uri_san", kind: "mtls"}, {name: "downstream_peer_subject", kind: "mtls"},
		{name: "jwt_client_id", kind: "jwt"}, {name: "client_id"}, {name: "jwt_sub", kind: "jwt"},
	} {
		c.place = p.Add(c.name)
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

// nsPerMilli is the unit of gateways' durations.
const nsPerMilli = 1e6

// request sets what was asked for over HTTP.
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

// identify tells who calls: access logs know only what the operator added to them.
func (e *envoy) identify(r *formats.Record) {
	for _, c := range e.credentials {
		text := r.Text(present(r.At(c.place)))
		if text == "" {
			continue
		}
		r.Agent(c.name, text)
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

// class tells calls of models and of tools from others.
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

// operationOf is what a call of a model does, by the end of its path.
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

// outcome reads the status, what Envoy's flags say of it, and the status of a gRPC call.
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

// hasFlag says that a flag stands in Envoy's list of them.
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
