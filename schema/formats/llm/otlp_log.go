package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// readLog reads a log record, which is an event of the GenAI conventions or of a coding agent. Others give no event.
func (o *otlp) readLog(el *formats.Element) {
	event := el.FirstText(el.At(o.eventName), o.attrs.at(attrEventName), el.At(o.bodyText))
	agent := o.codingAgent(el, event)
	input, output, exchange := formats.Node{}, formats.Node{}, false
	if agent.dataset == "" && !strings.HasPrefix(event, "gen_ai.") {
		if input, output, exchange = o.conversation(el); !exchange {
			el.Skip(formats.SkipNotActivity)
			return
		}
	}
	if agent.dataset != "" {
		el.SetDataset(agent.dataset)
	}
	if !o.begin(el, el.At(o.time), el.At(o.observed)) {
		return
	}
	o.attrs.setText(el, schema.EventID, attrRecordUID)
	if agent.dataset != "" {
		o.identifyCoder(el, agent)
		o.code(el, strings.TrimPrefix(event, agent.prefix))
		return
	}
	o.spanOutcome(el)
	o.identify(el, 0, "")
	o.workflow(el, "")
	if exchange {
		o.readConversation(el, input, output)
		return
	}
	o.genAIEvent(el, event)
}

// genAIEvent reads an event of the GenAI conventions.
func (o *otlp) genAIEvent(el *formats.Element, event string) {
	switch event {
	case "gen_ai.client.inference.operation.details":
		op := o.operation(el)
		if op == "" {
			op = "chat"
		}
		// A span repeats the tokens, so they are counted here only if the record belongs to no span.
		o.model(el, op, !el.Event.Has(schema.SpanID))
	case "gen_ai.choice":
		o.messageEvent(el, "choice", assistant)
	case "gen_ai.tool.message":
		o.messageEvent(el, formats.ActionToolResult, tool)
	case "gen_ai.user.message":
		o.messageEvent(el, "user_message", user)
	case "gen_ai.system.message", "gen_ai.assistant.message":
		el.Skip(formats.SkipRepeated) // of earlier messages; each choice was an event of its own
	default:
		el.SetClass(formats.ClassLLM, event)
		el.Emit()
	}
}

// messageEvent reads one message, which older conventions log as a record of its own. Each request logs its whole
// history again, and a single record does not show whether its message is new.
func (o *otlp) messageEvent(el *formats.Element, action string, sender role) {
	body := el.At(o.body)
	message := o.attrs.plainBody(el, body)
	c := o.chat
	c.Reset()
	el.SetClass(formats.ClassLLM, action)
	o.attrs.setText(el, schema.GenAIRequestModel, attrRequestModel)
	if provider := el.Text(o.attrs.at(attrProvider)); provider != "" {
		el.SetText(schema.GenAIProviderName, providerName(provider))
	}
	switch sender {
	case assistant:
		c.readChoice(el, message)
		if len(c.answer)+len(c.Calls) == 0 {
			c.readAnswer(el, message)
		}
	case tool:
		c.selectMessage(el, message)
		c.call.Select(el, message)
		id := el.FirstText(c.call.At(callID), c.message.At(messageCallID))
		content := c.message.At(messageContent)
		el.SetTool(action, formats.Returned)
		el.SetText(schema.GenAIToolCallID, id)
		el.CopyText(schema.GenAIToolName, c.message.At(messageName))
		el.CopyUnwrapped(schema.GenAIToolCallResult, content)
		el.Emit()
		return
	default:
		c.selectMessage(el, message)
		c.texts(el, c.content(), &c.prompt)
	}
	c.Fill(el)
	c.Emit(el)
}

// coder is a coding agent that logs over OTLP.
type coder struct {
	dataset string // "" for an unknown agent
	name    string
	prefix  string // prefix of the names of its events
	service string
}

// coders are the known coding agents, recognised by the name of the service or scope or by the prefix of event names.
var coders = [...]coder{
	{claudeCodeDataset, "claude-code", "claude_code.", "claude-code"},
	{otelDataset, "codex", "codex.", "codex"},
	{otelDataset, "gemini-cli", "gemini_cli.", "gemini-cli"},
	{otelDataset, "qwen-code", "qwen-code.", "qwen-code"},
}

// codingAgent returns the agent that wrote a log record. It looks only at names, which the agent's own code writes,
// never at texts.
func (o *otlp) codingAgent(el *formats.Element, event string) coder {
	service, scope := o.service(el), o.scopeName
	for i := range coders {
		c := &coders[i]
		if strings.HasPrefix(event, c.prefix) || strings.HasPrefix(service, c.service) ||
			c.dataset == claudeCodeDataset && strings.HasPrefix(scope, "com.anthropic.claude_code") {
			return *c
		}
	}
	return coder{}
}

// identifyCoder names the user of a coding agent: by the account, else by the user's email or id. The service is the
// same for all users of the agent, so it does not identify one.
func (o *otlp) identifyCoder(el *formats.Element, c coder) {
	a := o.attrs
	o.caller(el)
	el.SetAgent("user.account_uuid", el.Text(a.at(attrCodeAccount)))
	el.SetAgent("user.email", el.Text(a.at(attrUserEmail)))
	el.SetAgent("user.id", el.Text(a.at(attrUserID)))
	el.DeclareAgent("gen_ai.agent.id", el.Text(a.at(attrAgentID)))
	el.SetAgent("service.name", o.service(el))
	el.SetText(schema.AIAgentType, c.name)
	el.SetText(schema.AIAgentName, c.name)
	el.SetWorkflow(c.name)
	a.setText(el, schema.AIAgentVersion, attrCodeVersion, attrServiceVersion)
	a.setText(el, schema.SessionID, attrSession, attrCodeConversation)
	el.SetText(schema.UserType, "human")
	if account := el.Text(a.at(attrCodeAccount)); account != "" {
		el.SetText(schema.UserID, account)
	}
	el.SetText(schema.AIAgentInstanceUID, el.Text(a.at(attrSession)))
}

// code reads one event of a coding agent. These agents log numbers and booleans as strings.
func (o *otlp) code(el *formats.Element, event string) {
	a := o.attrs
	el.SetOutcome(formats.Success)
	el.CopyDuration(a.at(attrCodeDuration), nsPerMilli)
	switch event {
	case "user_prompt":
		el.SetClass(formats.ClassLLM, event)
		if prompt := el.Text(a.at(attrCodePrompt)); !hidden(prompt) {
			el.SetContent(schema.MessageContextPromptText, prompt)
		}
	case "api_request", "api_response", "sse_event", "api_error":
		if !o.codeModel(el, event) {
			el.Skip(formats.SkipRepeated) // another event repeats it
			return
		}
	case "tool_result", "tool_call":
		o.codeTool(el)
	case "tool_decision":
		o.codeDecision(el, event)
	default:
		el.SetClass(formats.ClassAudit, event)
		o.codeFailure(el)
	}
	el.Emit()
}

// hidden reports whether the agent replaced a text by a placeholder.
func hidden(text string) bool {
	return strings.EqualFold(text, "<redacted>") || strings.EqualFold(text, "[redacted]")
}

// codeModel reads a call of a model. It returns false for requests and for pieces of a stream, because another event
// repeats them together with the answer's tokens.
func (o *otlp) codeModel(el *formats.Element, event string) bool {
	a := o.attrs
	if event != "api_error" && !a.has(attrCodeOutputTokens) && !a.has(attrOutputTokens) {
		return false
	}
	o.head(el, "chat")
	o.usage(el)
	if n := a.at(attrCodeCacheCreation); el.Event.Has(schema.GenAIUsageInputTokens) && n.Present() {
		AddInput(el, n, a.at(attrCodeCacheRead)) // Anthropic counts cached tokens separately
	}
	a.setText(el, schema.GenAIResponseID, attrCodeRequestID)
	el.SetContent(schema.MessageContextResponseText, el.Text(a.at(attrCodeResponse)))
	o.codeFailure(el)
	if event == "api_error" {
		el.SetOutcome(formats.Failure)
	}
	return true
}

// codeTool reads the run of a tool and its result.
func (o *otlp) codeTool(el *formats.Element) {
	a := o.attrs
	el.SetTool(formats.ActionToolResult, formats.Called|formats.Returned)
	a.setText(el, schema.GenAIToolName, attrCodeTool, attrToolName)
	a.setText(el, schema.GenAIToolCallID, attrCodeCallID, attrToolCallID)
	tool := el.Event.Text(schema.GenAIToolName)
	if server, _, ok := strings.Cut(strings.TrimPrefix(tool, "mcp__"), "__"); ok && strings.HasPrefix(tool, "mcp__") {
		el.SetText(schema.MCPServerName, server)
	}
	if a.has(attrCodeInput) {
		el.CopyUnwrapped(schema.GenAIToolCallArguments, a.plain(el, attrCodeInput))
	}
	if a.has(attrCodeOutput) {
		el.CopyUnwrapped(schema.GenAIToolCallResult, a.plain(el, attrCodeOutput))
	}
	o.codeFailure(el)
	o.decision(el)
}

// codeDecision reads the decision about a tool. A tool that is refused does not run, so only this event shows the call; of
// a tool that may run, the event of the run shows it.
func (o *otlp) codeDecision(el *formats.Element, event string) {
	a := o.attrs
	el.SetClass(formats.ClassTool, event)
	o.decision(el)
	if el.Event.Text(schema.EventOutcome) == formats.Failure {
		el.SetTool(event, formats.Called)
	}
	a.setText(el, schema.GenAIToolName, attrCodeTool)
	a.setText(el, schema.GenAIToolCallID, attrCodeCallID)
}

// decision sets the disposition from the decision of the user, or of a rule of the user's, about a tool.
func (o *otlp) decision(el *formats.Element) {
	switch el.Text(o.attrs.at(attrCodeDecision)) {
	case "accept", "approved", "approve", "auto_accept", "modify":
		el.SetText(schema.Disposition, formats.Allowed)
	case "reject", "denied", "deny", "abort":
		el.SetBlocked()
	}
}

// codeFailure sets the outcome, the error and the status of a failure.
func (o *otlp) codeFailure(el *formats.Element) {
	a := o.attrs
	success, failed := a.at(attrCodeSuccess), a.at(attrCodeError)
	if success.Kind == scan.False || el.Text(success) == "false" {
		el.SetOutcome(formats.Failure)
	}
	if failed.Present() {
		el.SetOutcome(formats.Failure)
		a.setText(el, schema.ErrorType, attrErrorType, attrCodeError)
	}
	status := a.at(attrCodeStatus)
	if !status.Present() {
		status = a.at(attrHTTPStatus)
	}
	if code, ok := scan.Int(status.Src, status.Span); ok && code >= 100 && code < 600 {
		el.CopyInt(schema.HTTPResponseStatusCode, status)
		if code >= 400 {
			el.SetHTTPStatus(code)
		}
	}
}
