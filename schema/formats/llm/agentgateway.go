package llm

import (
	"time"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// AgentGateway reads the access log of agentgateway and kgateway, which proxy calls of models, of MCP servers and of other
// agents. Schema/decode turns its lines of text into the same keys.
func AgentGateway() formats.Format {
	return formats.Format{
		Name:     "agentgateway",
		Aliases:  []string{"kgateway"},
		Datasets: []string{"agentgateway.access"},
		Families: []string{formats.FamilyGateway, formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"src.addr", "gateway", "duration"}},
			{Keys: []string{"src.addr", "listener", "duration"}},
			{Keys: []string{"src.addr", "http.path", "http.status", "duration"}},
		},
		NewReader: openAgentGateway,
	}
}

// agentGateway reads these records. Its int fields are places in a record.
type agentGateway struct {
	time, duration, source, status, grpc         int
	method, host, path, route, endpoint          int
	subject, user, agent, key, userAgent         int
	trace, span, requestID, failed, reason       int
	mcpMethod, target, mcpSession, resource, uri int
	tool, mcpTool, mcpType, mcpName, call        int
	arguments, mcpArguments, result, mcpResult   int
	protocol, operation, provider, llmProvider   int
	requestModel, responseModel                  [2]int
	input, output                                [2]int
	cached, reasoning, cost, session, a2a        int
	prompt, completion                           [3]int
	verdict, guardrail                           int
	chat                                         *Conversation
}

func openAgentGateway(p *formats.Paths) formats.Reader {
	return &agentGateway{
		time: p.Add("time"), duration: p.Add("duration"), source: p.Add("src.addr"), status: p.Add("http.status"), grpc: p.Add("grpc.status"),
		method: p.Add("http.method"), host: p.Add("http.host"), path: p.Add("http.path"), route: p.Add("route"), endpoint: p.Add("endpoint"),
		subject: p.Add("jwt.sub"), user: p.Add("user.id"), agent: p.Add("gen_ai.agent.id"), key: p.Add("apikey.name"),
		userAgent: p.Add("user_agent.original"), trace: p.Add("trace.id"), span: p.Add("span.id"), requestID: p.Add("request.id"),
		failed: p.Add("error"), reason: p.Add("reason"), mcpMethod: p.Add("mcp.method.name"), target: p.Add("mcp.target"),
		mcpSession: p.Add("mcp.session.id"), resource: p.Add("mcp.resource.name"), uri: p.Add("mcp.resource.uri"),
		tool: p.Add("gen_ai.tool.name"), mcpTool: p.Add("mcp.tool.name"), mcpType: p.Add("mcp.resource.type"), mcpName: p.Add("mcp.resource.id"),
		call: p.Add("gen_ai.tool.call.id"), arguments: p.Add("gen_ai.tool.call.arguments"), mcpArguments: p.Add("mcp.tool.arguments"),
		result: p.Add("gen_ai.tool.call.result"), mcpResult: p.Add("mcp.tool.result"), protocol: p.Add("protocol"),
		operation: p.Add("gen_ai.operation.name"), provider: p.Add("gen_ai.provider.name"), llmProvider: p.Add("llm.provider"),
		requestModel:  [2]int{p.Add("gen_ai.request.model"), p.Add("llm.request.model")},
		responseModel: [2]int{p.Add("gen_ai.response.model"), p.Add("llm.response.model")},
		input:         [2]int{p.Add("gen_ai.usage.input_tokens"), p.Add("llm.request.tokens")},
		output:        [2]int{p.Add("gen_ai.usage.output_tokens"), p.Add("llm.response.tokens")},
		cached:        p.Add("gen_ai.usage.cache_read.input_tokens"), reasoning: p.Add("gen_ai.usage.reasoning.output_tokens"),
		cost: p.Add("gen_ai.usage.cost"), session: p.Add("session.id"), a2a: p.Add("a2a.method"),
		prompt:     [3]int{p.Add("gen_ai.input.messages"), p.Add("gen_ai.prompt"), p.Add("llm.prompt")},
		completion: [3]int{p.Add("gen_ai.output.messages"), p.Add("gen_ai.completion"), p.Add("llm.completion")},
		verdict:    p.Add("guardrail.verdict"), guardrail: p.Add("guardrail.name"),
		chat: NewConversation(),
	}
}

func (g *agentGateway) Read(el *formats.Element) {
	el.SetDataset("agentgateway.access")
	if !el.SetTime(el.At(g.time)) {
		return
	}
	g.elapsed(el)
	g.identify(el)
	el.CopyText(schema.TraceID, el.At(g.trace))
	el.CopyText(schema.SpanID, el.At(g.span))
	el.CopyText(schema.HTTPRequestID, el.At(g.requestID))
	el.CopyFirstText(schema.SessionID, el.At(g.session), el.At(g.mcpSession))
	method := el.Text(el.At(g.method))
	el.SetText(schema.HTTPRequestMethod, method)
	el.CopyText(schema.URLDomain, el.At(g.host))
	_, path := formats.SplitURL(el.Text(el.At(g.path)))
	el.SetText(schema.URLPath, path)
	el.CopyText(schema.HTTPRoute, el.At(g.route))
	el.SetWorkflow(el.Text(el.At(g.route)))
	host, _ := formats.SplitURL(el.FirstText(el.At(g.endpoint), el.At(g.host)))
	el.SetText(schema.ServiceTargetName, host)
	el.CopyText(schema.GuardrailName, el.At(g.guardrail))
	el.CopyText(schema.GuardrailVerdict, el.At(g.verdict))
	g.outcome(el)
	g.act(el, method)
}

// elapsed sets the duration, which is a number with a unit. The time is that of the end of the request.
func (g *agentGateway) elapsed(el *formats.Element) {
	text := el.Text(el.At(g.duration))
	if text == "" {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		el.CountFault(schema.EventDuration)
		return
	}
	el.Event.SetInt(schema.EventDuration, int64(d))
	el.SetTimeNanos(el.Time() - int64(d))
}

// identify names the caller by the subject of the token that the gateway checked, else by its address.
func (g *agentGateway) identify(el *formats.Element) {
	el.SetSourceIP(el.Text(el.At(g.source)), "")
	subject := el.Text(el.At(g.subject))
	el.SetAgent("jwt.sub", subject)
	el.SetAgent("apikey.name", el.Text(el.At(g.key)))
	el.SetAgent("user.id", el.Text(el.At(g.user)))
	el.DeclareAgent("gen_ai.agent.id", el.Text(el.At(g.agent)))
	el.SetAgentByAddress(el.Text(el.At(g.userAgent)))
	if subject != "" {
		el.SetText(schema.CredentialType, "jwt")
	}
	el.CopyText(schema.UserID, el.At(g.user))
	el.CopyText(schema.UserAgentOriginal, el.At(g.userAgent))
}

// outcome sets the outcome from the HTTP status and the error.
func (g *agentGateway) outcome(el *formats.Element) {
	el.SetOutcome(formats.Unknown)
	n := el.At(g.status)
	if status, ok := scan.Int(n.Src, n.Span); ok && status >= 0 && status < 1000 {
		el.Event.SetInt(schema.HTTPResponseStatusCode, status)
		el.SetHTTPStatus(status)
	}
	if failed := el.At(g.failed); failed.Present() {
		if el.Event.Text(schema.EventOutcome) != formats.Failure {
			el.SetOutcome(formats.Failure)
		}
		el.CopyFirstText(schema.ErrorType, el.At(g.reason), failed)
	}
	if blocks(el.Text(el.At(g.verdict))) {
		el.SetBlocked()
	}
}

// act emits the event: a message of MCP, a call of a model or of an agent, else an HTTP request.
func (g *agentGateway) act(el *formats.Element, method string) {
	mcp, op := el.Text(el.At(g.mcpMethod)), el.Text(el.At(g.operation))
	switch {
	case mcp != "":
		g.mcp(el, mcp)
	case el.At(g.a2a).Present():
		el.SetClass(formats.ClassLLM, "invoke_agent")
		el.Emit()
	case op != "" || el.Text(el.At(g.protocol)) == "llm" || el.At(g.requestModel[0]).Present() || el.At(g.requestModel[1]).Present():
		g.model(el, op)
	default:
		if method == "" {
			method = "request"
		}
		el.SetAPICall(method)
		el.Emit()
	}
}

func (g *agentGateway) mcp(el *formats.Element, method string) {
	result := el.At(g.result)
	if !result.Present() {
		result = el.At(g.mcpResult)
	}
	arguments := el.At(g.arguments)
	if !arguments.Present() {
		arguments = el.At(g.mcpArguments)
	}
	el.SetTool(method, formats.MCPPhase(method, result.Present()))
	el.SetText(schema.MCPMethodName, method)
	el.CopyText(schema.MCPServerName, el.At(g.target))
	el.CopyText(schema.MCPSessionID, el.At(g.mcpSession))
	el.CopyFirstText(schema.GenAIToolName, el.At(g.tool), el.At(g.mcpTool))
	switch kind, name := el.Text(el.At(g.mcpType)), el.FirstText(el.At(g.resource), el.At(g.mcpName)); {
	case kind == "tool" && !el.Event.Has(schema.GenAIToolName):
		el.SetText(schema.GenAIToolName, name)
	case kind == "resource":
		el.SetText(schema.MCPResourceURI, name)
	case kind == "prompt":
		el.SetText(schema.ResourceName, name)
	}
	el.CopyText(schema.MCPResourceURI, el.At(g.uri))
	el.CopyText(schema.GenAIToolCallID, el.At(g.call))
	el.CopyUnwrapped(schema.GenAIToolCallArguments, arguments)
	el.CopyUnwrapped(schema.GenAIToolCallResult, result)
	el.Emit()
}

func (g *agentGateway) model(el *formats.Element, op string) {
	if op == "" {
		op = "chat"
	}
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	if provider := el.FirstText(el.At(g.provider), el.At(g.llmProvider)); provider != "" {
		el.SetText(schema.GenAIProviderName, providerName(provider))
	}
	el.CopyFirstText(schema.GenAIRequestModel, el.At(g.requestModel[0]), el.At(g.requestModel[1]))
	el.CopyFirstText(schema.GenAIResponseModel, el.At(g.responseModel[0]), el.At(g.responseModel[1]))
	el.CopyFirstInt(schema.GenAIUsageInputTokens, el.At(g.input[0]), el.At(g.input[1]))
	el.CopyFirstInt(schema.GenAIUsageOutputTokens, el.At(g.output[0]), el.At(g.output[1]))
	el.CopyInt(schema.GenAIUsageCacheReadInputTokens, el.At(g.cached))
	el.CopyInt(schema.GenAIUsageReasoningOutputTokens, el.At(g.reasoning))
	el.CopyDouble(schema.GenAIUsageCost, el.At(g.cost))
	c := g.chat
	c.Reset()
	for i := range g.prompt {
		if n := el.At(g.prompt[i]); n.Present() {
			n, _ = el.Unwrap(n)
			c.Request(el, n)
			break
		}
	}
	for i := range g.completion {
		if n := el.At(g.completion[i]); n.Present() {
			n, _ = el.Unwrap(n)
			c.Response(el, n)
			break
		}
	}
	c.Fill(el)
	c.Emit(el)
}
