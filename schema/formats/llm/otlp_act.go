package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// act emits an agent's activity: a call of a model, a tool or another agent, or the verdict of a guardrail.
func (o *otlp) act(el *formats.Element, op string, client bool) {
	a := o.attrs
	a.setText(el, schema.ServiceTargetName, attrServer)
	a.setText(el, schema.GuardrailName, attrGuardrail)
	a.setText(el, schema.GuardrailVerdict, attrVerdict)
	a.setText(el, schema.GuardrailAction, attrGuardrailAction)
	a.setText(el, schema.GuardrailRiskCategory, attrRisk)
	if action := a.at(attrGuardrailAction); blocks(el.FirstText(action, a.at(attrVerdict))) {
		el.SetBlocked()
	}
	switch op {
	case operationProxiedTool, operationProxiedList:
		o.proxied(el, op)
	case operationMCP:
		o.mcp(el)
	case operationTool:
		o.tool(el, op)
	case "retrieval":
		o.tool(el, op)
	case operationGuardrail:
		el.SetClass("guardrail", op)
		if !el.Event.Has(schema.GuardrailName) {
			el.CopyText(schema.GuardrailName, el.At(o.name))
		}
		el.Emit()
	case operationAgent, "create_agent", "invoke_workflow":
		o.agent(el, op, client)
	default:
		o.model(el, op, true)
	}
}

// blocks reports whether the verdict or the action of a guardrail means that it held something back.
func blocks(verdict string) bool {
	switch strings.ToLower(verdict) {
	case "block", "blocked", "deny", "denied", "reject", "rejected", "guardrail_intervened", "intervened":
		return true
	}
	return false
}

// proxied emits a call over MCP that LiteLLM made for its caller. Its model is the name of the tool.
func (o *otlp) proxied(el *formats.Element, op string) {
	a := o.attrs
	method := formats.ActionMCPCall
	if op == operationProxiedList {
		method = methodList
	}
	el.SetTool(method, formats.MCPPhase(method, true))
	el.SetText(schema.MCPMethodName, method)
	metadata, _ := el.Unwrap(a.plain(el, attrMCPMetadata))
	o.metadata.Select(el, metadata)
	at := o.metadata.At
	if method == formats.ActionMCPCall {
		el.CopyText(schema.GenAIToolName, at(metadataName))
		if !el.Event.Has(schema.GenAIToolName) {
			el.SetText(schema.GenAIToolName, strings.TrimPrefix(el.Text(a.at(attrRequestModel)), "MCP: "))
		}
	}
	el.CopyText(schema.MCPServerName, at(metadataServer))
	a.setText(el, schema.MCPServerName, attrMCPServer)
	el.CopyUnwrapped(schema.GenAIToolCallArguments, at(metadataArguments))
	o.toolBody(el)
	if !el.Event.Has(schema.GenAIToolCallResult) && method == formats.ActionMCPCall {
		o.chat.Reset()
		o.converse(el)
		el.SetUnwrapped(schema.GenAIToolCallResult, join(el, o.chat.answer))
	}
	el.CopyDouble(schema.GenAIUsageCost, a.at(attrCost))
	el.Emit()
}

// Places in the shape of LiteLLM's metadata of a tool call.
const (
	metadataName = iota
	metadataArguments
	metadataServer
)

// mcp emits a call over MCP, as seen by the client or the server.
func (o *otlp) mcp(el *formats.Element) {
	a := o.attrs
	method := el.Text(a.at(attrMCPMethod))
	el.SetTool(method, formats.MCPPhase(method, true)) // a span ends with the response
	el.SetText(schema.MCPMethodName, method)
	a.setText(el, schema.MCPSessionID, attrMCPSession)
	a.setText(el, schema.MCPResourceURI, attrMCPResource)
	a.setText(el, schema.MCPServerName, attrMCPServer, attrServer)
	a.setText(el, schema.GenAIToolCallID, attrRPCID)
	a.setText(el, schema.ResourceName, attrPromptName)
	o.toolBody(el)
	el.Emit()
}

// tool emits the run of a tool.
func (o *otlp) tool(el *formats.Element, op string) {
	el.SetTool(op, formats.Called|formats.Returned)
	el.SetText(schema.GenAIOperationName, op)
	o.toolBody(el)
	if !el.Event.Has(schema.GenAIToolName) {
		o.attrs.setText(el, schema.GenAIToolName, attrTraceloopName, attrCodeTool)
	}
	if !el.Event.Has(schema.GenAIToolName) {
		el.SetText(schema.GenAIToolName, toolInName(el.Text(el.At(o.name))))
	}
	el.Emit()
}

// toolInName returns the tool that the name of a span names, after the operation if that comes first.
func toolInName(name string) string {
	for _, op := range [...]string{operationTool, "running tool:", "running tool", "tool"} {
		if rest, ok := strings.CutPrefix(name, op); ok && (rest == "" || rest[0] == ' ') {
			return strings.TrimSpace(rest)
		}
	}
	return name
}

// toolBody sets the tool, its arguments and its result.
func (o *otlp) toolBody(el *formats.Element) {
	a := o.attrs
	if !el.Event.Has(schema.GenAIToolName) {
		a.setText(el, schema.GenAIToolName, attrToolName)
	}
	a.setText(el, schema.GenAIToolCallID, attrToolCallID)
	a.setText(el, schema.MCPServerName, attrMCPServer)
	arguments, result := formats.Node{}, formats.Node{}
	if len(o.messages) > 0 {
		arguments, result = o.toolEvents(el)
	}
	for _, at := range [...]attribute{attrToolArguments, attrRequestBody, attrInputValue, attrCodeInput} {
		if el.Wanted(schema.GenAIToolCallArguments) && a.has(at) && !el.Event.Has(schema.GenAIToolCallArguments) {
			el.CopyUnwrapped(schema.GenAIToolCallArguments, a.plain(el, at))
		}
	}
	if !el.Event.Has(schema.GenAIToolCallArguments) {
		el.CopyUnwrapped(schema.GenAIToolCallArguments, arguments)
	}
	for _, at := range [...]attribute{attrToolResult, attrResponseBody, attrOutputValue} {
		if el.Wanted(schema.GenAIToolCallResult) && a.has(at) && !el.Event.Has(schema.GenAIToolCallResult) {
			el.CopyUnwrapped(schema.GenAIToolCallResult, a.plain(el, at))
		}
	}
	if !el.Event.Has(schema.GenAIToolCallResult) {
		el.CopyUnwrapped(schema.GenAIToolCallResult, o.joined(el, result))
	}
	if status := el.Text(a.at(attrToolStatus)); status == "error" || status == "failed" {
		el.SetOutcome(formats.Failure)
	}
}

// joined returns the texts of blocks as one text, or the value itself if it has none.
func (o *otlp) joined(el *formats.Element, n formats.Node) formats.Node {
	if text := o.chat.joined(el, n); text != "" && n.Kind == scan.Array {
		return el.Quote(text)
	}
	return n
}

// agent emits a run of an agent. Model and tool calls have spans of their own, so their calls, results and tokens are
// not counted again here. The exception is a remote agent (client span): its spans are not visible to us, so its tokens
// are counted.
func (o *otlp) agent(el *formats.Element, op string, client bool) {
	o.head(el, op)
	if client {
		o.usage(el)
	}
	o.converse(el)
	o.chat.Fill(el)
	el.Emit()
}

// model emits a call of a model. Its tokens are counted only if counted is true.
func (o *otlp) model(el *formats.Element, op string, counted bool) {
	o.head(el, op)
	if counted {
		o.usage(el)
	}
	o.converse(el)
	if o.attrs.has(attrAgentID) || o.attrs.has(attrAgentName) {
		// Instrumentations that declare agents also write a span for each tool that an agent runs, with the same call
		// id.
		o.chat.Calls = o.chat.Calls[:0]
	}
	o.chat.Fill(el)
	if reasons := o.attrs.plain(el, attrFinishReasons); reasons.Kind == scan.Array {
		el.CopyList(schema.GenAIResponseFinishReasons, reasons)
	}
	o.chat.Emit(el)
}

// head begins a conversation. It sets the class, the operation, the provider, the models and the offered tools.
func (o *otlp) head(el *formats.Element, op string) {
	a := o.attrs
	o.chat.Reset()
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	if provider := el.Text(a.at(attrProvider)); provider != "" {
		el.SetText(schema.GenAIProviderName, providerName(provider))
	}
	a.setText(el, schema.GenAIRequestModel, attrRequestModel, attrCodeModel)
	a.setText(el, schema.GenAIResponseModel, attrResponseModel)
	a.setText(el, schema.GenAIResponseID, attrResponseID)
	definitions := a.plain(el, attrToolDefinitions)
	if list, ok := el.Unwrap(definitions); ok {
		o.chat.Tools(el, list)
	}
}

// providerName returns the current name of a provider, given any of its older names.
func providerName(name string) string {
	if family, api, ok := strings.Cut(name, "."); ok { // the Vercel AI SDK names the API, too
		switch api {
		case "chat", "responses", "completion", "messages", "embedding", "textEmbedding", "generative-ai", "vertex.chat":
			name = family
		}
	}
	for _, known := range [...]string{"openai", "anthropic", "cohere", "deepseek", "groq", "perplexity"} {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	switch strings.ToLower(name) {
	case "az.ai.inference":
		return "azure.ai.inference"
	case "az.ai.openai", "azure", "azure-openai", "azure_openai":
		return "azure.ai.openai"
	case "mistralai":
		return "mistral_ai"
	case "xai":
		return "x_ai"
	case "vertex_ai", "google-vertex":
		return "gcp.vertex_ai"
	case "gemini", "google", "google.generativeai":
		return "gcp.gemini"
	case "aws", "amazon-bedrock", "bedrock":
		return "aws.bedrock"
	case "mistral":
		return "mistral_ai"
	}
	return name
}

func (o *otlp) usage(el *formats.Element) {
	a := o.attrs
	el.CopyFirstInt(schema.GenAIUsageInputTokens, a.at(attrInputTokens), a.at(attrCodeInputTokens))
	el.CopyFirstInt(schema.GenAIUsageOutputTokens, a.at(attrOutputTokens), a.at(attrCodeOutputTokens))
	el.CopyFirstInt(schema.GenAIUsageCacheReadInputTokens, a.at(attrCacheRead), a.at(attrCodeCacheRead))
	el.CopyFirstInt(schema.GenAIUsageReasoningOutputTokens, a.at(attrReasoning), a.at(attrCodeReasoning))
	if a.has(attrUsageDetails) {
		o.usageDetails(el)
	}
	el.CopyDouble(schema.GenAIUsageCost, a.at(attrCost))
	if cost, ok := el.Unwrap(a.plain(el, attrCostDetails)); ok && !el.Event.Has(schema.GenAIUsageCost) {
		o.total.Select(el, cost)
		el.CopyDouble(schema.GenAIUsageCost, o.total.At(0))
	}
	if !el.Event.Has(schema.GenAIUsageCost) {
		el.CopyDouble(schema.GenAIUsageCost, a.at(attrCodeCost))
	}
}

// Places in the shape of Langfuse's counts. Its input does not include cached tokens.
const (
	detailInput = iota
	detailPromptTokens
	detailInputTokens
	detailOutput
	detailCompletionTokens
	detailOutputTokens
	detailCached
	detailCacheRead
	detailCacheWrite
	detailReasoning
)

// detailPaths returns the paths that are read of these counts, each at its place.
func detailPaths() [][]string {
	return [][]string{
		detailInput: {"input"}, detailPromptTokens: {"prompt_tokens"}, detailInputTokens: {"input_tokens"},
		detailOutput: {"output"}, detailCompletionTokens: {"completion_tokens"}, detailOutputTokens: {"output_tokens"},
		detailCached: {"input_cached_tokens"}, detailCacheRead: {"input_cache_read"}, detailCacheWrite: {"input_cache_creation"},
		detailReasoning: {"output_reasoning_tokens"},
	}
}

// usageDetails sets the tokens from an attribute that holds all counts.
func (o *otlp) usageDetails(el *formats.Element) {
	counts, _ := el.Unwrap(o.attrs.plain(el, attrUsageDetails))
	if counts.Kind != scan.Object {
		return
	}
	o.details.Select(el, counts)
	at := o.details.At
	if !el.Event.Has(schema.GenAIUsageInputTokens) {
		el.CopyFirstInt(schema.GenAIUsageInputTokens, at(detailInput), at(detailPromptTokens), at(detailInputTokens))
		if el.Event.Has(schema.GenAIUsageInputTokens) {
			AddInput(el, at(detailCached), at(detailCacheRead), at(detailCacheWrite))
		}
	}
	el.CopyFirstInt(schema.GenAIUsageOutputTokens, at(detailOutput), at(detailCompletionTokens), at(detailOutputTokens))
	el.CopyFirstInt(schema.GenAIUsageCacheReadInputTokens, at(detailCached), at(detailCacheRead))
	el.CopyFirstInt(schema.GenAIUsageReasoningOutputTokens, at(detailReasoning))
}

// converse reads the messages, from the newest kind of attribute present.
func (o *otlp) converse(el *formats.Element) {
	a, c := o.attrs, o.chat
	if system, ok := el.Unwrap(a.plain(el, attrSystem)); ok {
		c.System(el, system)
	} else {
		c.System(el, a.at(attrSystem))
	}
	a.lists.sort()
	c.Tools(el, a.lists.tools(el))
	switch input := o.messagesOf(el, attrInputMessages, attrInputValue, attrInputMIME); {
	case a.has(attrInputMessages):
		c.Request(el, input)
	case a.lists.has(listInput):
		c.Request(el, a.lists.messages(el, listInput))
	case a.has(attrRequestBody):
		body, _ := el.Unwrap(a.plain(el, attrRequestBody))
		o.definitions(el, body)
		c.Request(el, body)
	case a.has(attrMessageEvents):
		o.messageEvents(el, a.plain(el, attrMessageEvents))
	case len(o.messages) > 0:
		c.Request(el, o.eventMessages(el, false))
	default:
		c.Request(el, input)
	}
	switch output := o.messagesOf(el, attrOutputMessages, attrOutputValue, attrOutputMIME); {
	case a.has(attrOutputMessages):
		c.Response(el, output)
	case a.lists.has(listOutput):
		c.Response(el, a.lists.messages(el, listOutput))
	case a.has(attrResponseBody):
		body, _ := el.Unwrap(a.plain(el, attrResponseBody))
		c.Response(el, body)
	case a.has(attrOutputText) || a.has(attrToolCalls):
		c.Response(el, a.at(attrOutputText))
		c.toolCalls(el, a.plain(el, attrToolCalls))
	case len(o.messages) > 0:
		c.Response(el, o.eventMessages(el, true))
	default:
		c.Response(el, output)
	}
}

// definitions sets the tools that a request offers.
func (o *otlp) definitions(el *formats.Element, body formats.Node) {
	if body.Kind != scan.Object || el.Event.Has(schema.GenAIToolDefinitionsHash) {
		return
	}
	o.config.Select(el, body)
	for place := configTools; place <= configInner; place++ {
		if tools := o.config.At(place); tools.Kind == scan.Array {
			o.chat.Tools(el, tools)
			countFunctions(el, tools)
		}
	}
}

// Places in the shape of the tools of a request.
const (
	configTools = iota
	configInner
)

// messagesOf returns the messages of an attribute, which is a JSON text or an OTLP list. If the attribute is missing,
// it returns the value attribute. That value is parsed as JSON only if its MIME type is JSON: otherwise it is text that
// the user or the model wrote.
func (o *otlp) messagesOf(el *formats.Element, messages, value, mime attribute) formats.Node {
	if o.attrs.has(messages) {
		n, _ := el.Unwrap(o.attrs.plain(el, messages))
		return n
	}
	n := o.attrs.at(value)
	if el.Text(o.attrs.at(mime)) == "application/json" {
		n, _ = el.Unwrap(n)
	}
	return n
}
