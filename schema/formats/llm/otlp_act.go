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
	if verdict := el.Text(a.at(attrGuardrailAction)); verdict == "block" || verdict == "deny" || verdict == formats.Blocked {
		el.SetBlocked()
	}
	switch op {
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
	if !el.Event.Has(schema.GenAIToolName) && o.attrs.has(attrOpenInferenceKind) {
		el.CopyText(schema.GenAIToolName, el.At(o.name))
	}
	el.Emit()
}

// toolBody sets the tool, its arguments and its result.
func (o *otlp) toolBody(el *formats.Element) {
	a := o.attrs
	a.setText(el, schema.GenAIToolName, attrToolName)
	a.setText(el, schema.GenAIToolCallID, attrToolCallID)
	for _, at := range [...]attribute{attrToolArguments, attrInputValue, attrCodeInput} {
		if el.Wanted(schema.GenAIToolCallArguments) && a.has(at) && !el.Event.Has(schema.GenAIToolCallArguments) {
			el.CopyUnwrapped(schema.GenAIToolCallArguments, a.plain(el, at))
		}
	}
	for _, at := range [...]attribute{attrToolResult, attrOutputValue} {
		if el.Wanted(schema.GenAIToolCallResult) && a.has(at) && !el.Event.Has(schema.GenAIToolCallResult) {
			el.CopyUnwrapped(schema.GenAIToolCallResult, a.plain(el, at))
		}
	}
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
	switch strings.ToLower(name) {
	case "openai", "anthropic", "cohere", "deepseek", "groq", "perplexity":
		return strings.ToLower(name)
	case "az.ai.inference":
		return "azure.ai.inference"
	case "az.ai.openai", "azure":
		return "azure.ai.openai"
	case "mistralai":
		return "mistral_ai"
	case "xai":
		return "x_ai"
	case "vertex_ai":
		return "gcp.vertex_ai"
	case "gemini":
		return "gcp.gemini"
	case "aws":
		return "aws.bedrock"
	}
	return name
}

func (o *otlp) usage(el *formats.Element) {
	a := o.attrs
	el.CopyFirstInt(schema.GenAIUsageInputTokens, a.at(attrInputTokens), a.at(attrCodeInputTokens))
	el.CopyFirstInt(schema.GenAIUsageOutputTokens, a.at(attrOutputTokens), a.at(attrCodeOutputTokens))
	el.CopyFirstInt(schema.GenAIUsageCacheReadInputTokens, a.at(attrCacheRead), a.at(attrCodeCacheRead))
	el.CopyFirstInt(schema.GenAIUsageReasoningOutputTokens, a.at(attrReasoning), a.at(attrCodeReasoning))
	el.CopyDouble(schema.GenAIUsageCost, a.at(attrCost))
	if !el.Event.Has(schema.GenAIUsageCost) {
		el.CopyDouble(schema.GenAIUsageCost, a.at(attrCodeCost))
	}
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
	default:
		c.Request(el, input)
	}
	switch output := o.messagesOf(el, attrOutputMessages, attrOutputValue, attrOutputMIME); {
	case a.has(attrOutputMessages):
		c.Response(el, output)
	case a.lists.has(listOutput):
		c.Response(el, a.lists.messages(el, listOutput))
	default:
		c.Response(el, output)
	}
}

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
