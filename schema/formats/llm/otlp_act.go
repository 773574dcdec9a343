package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// act emits an agent's activity: a call of a model, a tool or another agent, or the verdict of a guardrail.
func (o *otlp) act(r *formats.Record, op string, client bool) {
	a := o.attrs
	a.setText(r, schema.ServiceTargetName, attrServer)
	a.setText(r, schema.GuardrailName, attrGuardrail)
	a.setText(r, schema.GuardrailVerdict, attrVerdict)
	a.setText(r, schema.GuardrailAction, attrGuardrailAction)
	a.setText(r, schema.GuardrailRiskCategory, attrRisk)
	if verdict := r.Text(a.at(attrGuardrailAction)); verdict == "block" || verdict == "deny" || verdict == formats.Blocked {
		r.Block()
	}
	switch op {
	case operationMCP:
		o.mcp(r)
	case operationTool:
		o.tool(r, op)
	case "retrieval":
		o.tool(r, op)
	case operationGuardrail:
		r.SetClass("guardrail", op)
		if !r.Event.Has(schema.GuardrailName) {
			r.SetText(schema.GuardrailName, r.At(o.name))
		}
		r.Emit()
	case operationAgent, "create_agent", "invoke_workflow":
		o.agent(r, op, client)
	default:
		o.model(r, op, true)
	}
}

// mcp emits a call over MCP, as seen by the client or the server.
func (o *otlp) mcp(r *formats.Record) {
	a := o.attrs
	method := r.Text(a.at(attrMCPMethod))
	r.SetClass(formats.ClassTool, method)
	r.Put(schema.MCPMethodName, method)
	a.setText(r, schema.MCPSessionID, attrMCPSession)
	a.setText(r, schema.MCPResourceURI, attrMCPResource)
	a.setText(r, schema.MCPServerName, attrMCPServer, attrServer)
	a.setText(r, schema.GenAIToolCallID, attrRPCID)
	a.setText(r, schema.ResourceName, attrPromptName)
	o.toolBody(r)
	r.Emit()
}

// tool emits the run of a tool.
func (o *otlp) tool(r *formats.Record, op string) {
	r.SetClass(formats.ClassTool, op)
	r.Put(schema.GenAIOperationName, op)
	o.toolBody(r)
	if !r.Event.Has(schema.GenAIToolName) {
		o.attrs.setText(r, schema.GenAIToolName, attrTraceloopName, attrCodeTool)
	}
	if !r.Event.Has(schema.GenAIToolName) && o.attrs.has(attrOpenInferenceKind) {
		r.SetText(schema.GenAIToolName, r.At(o.name))
	}
	r.Emit()
}

// toolBody sets the tool, its arguments and its result.
func (o *otlp) toolBody(r *formats.Record) {
	a := o.attrs
	a.setText(r, schema.GenAIToolName, attrToolName)
	a.setText(r, schema.GenAIToolCallID, attrToolCallID)
	for _, at := range [...]attribute{attrToolArguments, attrInputValue, attrCodeInput} {
		if r.Wants(schema.GenAIToolCallArguments) && a.has(at) && !r.Event.Has(schema.GenAIToolCallArguments) {
			r.SetDyn(schema.GenAIToolCallArguments, a.plain(r, at))
		}
	}
	for _, at := range [...]attribute{attrToolResult, attrOutputValue} {
		if r.Wants(schema.GenAIToolCallResult) && a.has(at) && !r.Event.Has(schema.GenAIToolCallResult) {
			r.SetAsIs(schema.GenAIToolCallResult, a.plain(r, at))
		}
	}
}

// agent emits a run of an agent. Model and tool calls have spans of their own, so their calls, results and tokens are
// not counted again here. The exception is a remote agent (client span): its spans are not visible to us, so its tokens
// are counted.
func (o *otlp) agent(r *formats.Record, op string, client bool) {
	o.head(r, op)
	if client {
		o.usage(r)
	}
	o.converse(r)
	o.chat.Fill(r)
	r.Emit()
}

// model emits a call of a model. Its tokens are counted only if counted is true.
func (o *otlp) model(r *formats.Record, op string, counted bool) {
	o.head(r, op)
	if counted {
		o.usage(r)
	}
	o.converse(r)
	if o.attrs.has(attrAgentID) || o.attrs.has(attrAgentName) {
		// Instrumentations that declare agents also write a span for each tool that an agent runs, with the same call
		// id.
		o.chat.Calls = o.chat.Calls[:0]
	}
	o.chat.Fill(r)
	if reasons := o.attrs.plain(r, attrFinishReasons); reasons.Kind == scan.Array {
		r.SetList(schema.GenAIResponseFinishReasons, reasons)
	}
	o.chat.Emit(r)
}

// head sets the class, the operation, the provider, the models and the offered tools.
func (o *otlp) head(r *formats.Record, op string) {
	a := o.attrs
	r.SetClass(formats.ClassLLM, op)
	r.Put(schema.GenAIOperationName, op)
	if provider := r.Text(a.at(attrProvider)); provider != "" {
		r.Put(schema.GenAIProviderName, providerName(provider))
	}
	a.setText(r, schema.GenAIRequestModel, attrRequestModel, attrCodeModel)
	a.setText(r, schema.GenAIResponseModel, attrResponseModel)
	a.setText(r, schema.GenAIResponseID, attrResponseID)
	definitions := a.plain(r, attrToolDefinitions)
	if list, ok := r.Inside(definitions); ok {
		SetTools(r, list)
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

func (o *otlp) usage(r *formats.Record) {
	a := o.attrs
	r.SetFirstInt(schema.GenAIUsageInputTokens, a.at(attrInputTokens), a.at(attrCodeInputTokens))
	r.SetFirstInt(schema.GenAIUsageOutputTokens, a.at(attrOutputTokens), a.at(attrCodeOutputTokens))
	r.SetFirstInt(schema.GenAIUsageCacheReadInputTokens, a.at(attrCacheRead), a.at(attrCodeCacheRead))
	r.SetFirstInt(schema.GenAIUsageReasoningOutputTokens, a.at(attrReasoning), a.at(attrCodeReasoning))
	r.SetDouble(schema.GenAIUsageCost, a.at(attrCost))
	if !r.Event.Has(schema.GenAIUsageCost) {
		r.SetDouble(schema.GenAIUsageCost, a.at(attrCodeCost))
	}
}

// converse reads the messages, from the newest kind of attribute present.
func (o *otlp) converse(r *formats.Record) {
	a, c := o.attrs, o.chat
	c.Reset()
	if system, ok := r.Inside(a.plain(r, attrSystem)); ok {
		c.System(r, system)
	} else {
		c.System(r, a.at(attrSystem))
	}
	a.lists.sort()
	SetTools(r, a.lists.tools(r))
	switch input := o.messagesOf(r, attrInputMessages, attrInputValue, attrInputMIME); {
	case a.has(attrInputMessages):
		c.Request(r, input)
	case a.lists.has(listInput):
		c.Request(r, a.lists.messages(r, listInput))
	default:
		c.Request(r, input)
	}
	switch output := o.messagesOf(r, attrOutputMessages, attrOutputValue, attrOutputMIME); {
	case a.has(attrOutputMessages):
		c.Response(r, output)
	case a.lists.has(listOutput):
		c.Response(r, a.lists.messages(r, listOutput))
	default:
		c.Response(r, output)
	}
}

// messagesOf returns the messages of an attribute, which is a JSON text or an OTLP list. If the attribute is missing,
// it returns the value attribute. That value is parsed as JSON only if its MIME type is JSON: otherwise it is text that
// the user or the model wrote.
func (o *otlp) messagesOf(r *formats.Record, messages, value, mime attribute) formats.Node {
	if o.attrs.has(messages) {
		n, _ := r.Inside(o.attrs.plain(r, messages))
		return n
	}
	n := o.attrs.at(value)
	if r.Text(o.attrs.at(mime)) == "application/json" {
		n, _ = r.Inside(n)
	}
	return n
}
