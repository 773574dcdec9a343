package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// readLog reads a log record, which is an event of the GenAI conventions or of a coding agent. Others give no event.
func (o *otlp) readLog(r *formats.Record) {
	event := r.FirstText(r.At(o.eventName), o.attrs.at(attrEventName), r.At(o.bodyText))
	agent := o.codingAgent(r, event)
	known := agent.dataset != "" || strings.HasPrefix(event, "gen_ai.")
	if !known {
		return // not an activity of an agent
	}
	if agent.dataset != "" {
		r.Begin(agent.dataset)
	}
	if !o.begin(r, r.At(o.time), r.At(o.observed)) {
		return
	}
	o.attrs.setText(r, schema.EventID, attrRecordUID)
	if agent.dataset != "" {
		o.identifyCoder(r, agent)
		o.code(r, strings.TrimPrefix(event, agent.prefix))
		return
	}
	o.spanOutcome(r)
	o.identify(r)
	o.genAIEvent(r, event)
}

// genAIEvent reads an event of the GenAI conventions.
func (o *otlp) genAIEvent(r *formats.Record, event string) {
	switch event {
	case "gen_ai.client.inference.operation.details":
		op := o.operation(r)
		if op == "" {
			op = "chat"
		}
		// A span repeats the tokens, so they are counted here only if the record belongs to no span.
		o.model(r, op, !r.Event.Has(schema.SpanID))
	case "gen_ai.choice":
		o.messageEvent(r, "choice", assistant)
	case "gen_ai.tool.message":
		o.messageEvent(r, actionToolResult, tool)
	case "gen_ai.user.message":
		o.messageEvent(r, "user_message", user)
	case "gen_ai.system.message", "gen_ai.assistant.message":
		// These repeat earlier messages. Each choice was an event of its own.
	default:
		r.SetClass(formats.ClassLLM, event)
		r.Emit()
	}
}

// messageEvent reads one message, which older conventions log as a record of its own. Each request logs its whole
// history again, and a single record does not show whether its message is new.
func (o *otlp) messageEvent(r *formats.Record, action string, sender role) {
	body := r.At(o.body)
	message := o.attrs.plainBody(r, body)
	c := o.chat
	c.Reset()
	r.SetClass(formats.ClassLLM, action)
	o.attrs.setText(r, schema.GenAIRequestModel, attrRequestModel)
	if provider := r.Text(o.attrs.at(attrProvider)); provider != "" {
		r.Put(schema.GenAIProviderName, providerName(provider))
	}
	switch sender {
	case assistant:
		c.readChoice(r, message)
		if len(c.answer)+len(c.Calls) == 0 {
			c.readAnswer(r, message)
		}
	case tool:
		c.selectMessage(r, message)
		c.call.Select(r, message)
		id := r.FirstText(c.call.At(callID), c.message.At(messageCallID))
		content := c.message.At(messageContent)
		r.SetClass(formats.ClassTool, action)
		r.Put(schema.GenAIToolCallID, id)
		r.SetText(schema.GenAIToolName, c.message.At(messageName))
		r.SetAsIs(schema.GenAIToolCallResult, content)
		r.Emit()
		return
	default:
		c.selectMessage(r, message)
		c.texts(r, c.content(), &c.prompt)
	}
	c.Fill(r)
	c.Emit(r)
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
func (o *otlp) codingAgent(r *formats.Record, event string) coder {
	service, scope := o.service(r), r.Text(o.scopeName)
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
func (o *otlp) identifyCoder(r *formats.Record, c coder) {
	a := o.attrs
	o.caller(r)
	r.Agent("gen_ai.agent.id", r.Text(a.at(attrAgentID)))
	r.Agent("user.account_uuid", r.Text(a.at(attrCodeAccount)))
	r.Agent("user.email", r.Text(a.at(attrUserEmail)))
	r.Agent("user.id", r.Text(a.at(attrUserID)))
	r.Agent("service.name", o.service(r))
	r.Put(schema.AIAgentType, c.name)
	r.Put(schema.AIAgentName, c.name)
	a.setText(r, schema.AIAgentVersion, attrCodeVersion, attrServiceVersion)
	a.setText(r, schema.SessionID, attrSession, attrCodeConversation)
	r.Put(schema.UserType, "human")
	if account := r.Text(a.at(attrCodeAccount)); account != "" {
		r.Put(schema.UserID, account)
	}
	r.Put(schema.AIAgentInstanceUID, r.Text(a.at(attrSession)))
}

// code reads one event of a coding agent. These agents log numbers and booleans as strings.
func (o *otlp) code(r *formats.Record, event string) {
	a := o.attrs
	r.SetOutcome(formats.Success)
	r.SetDuration(a.at(attrCodeDuration), nsPerMilli)
	switch event {
	case "user_prompt":
		r.SetClass(formats.ClassLLM, event)
		if prompt := r.Text(a.at(attrCodePrompt)); !hidden(prompt) {
			r.SetContent(schema.MessageContextPromptText, prompt)
		}
	case "api_request", "api_response", "sse_event", "api_error":
		if !o.codeModel(r, event) {
			return
		}
	case "tool_result", "tool_call":
		o.codeTool(r)
	case "tool_decision":
		r.SetClass(formats.ClassTool, event)
		a.setText(r, schema.GenAIToolName, attrCodeTool)
		a.setText(r, schema.GenAIToolCallID, attrCodeCallID)
		o.decision(r)
	default:
		r.SetClass(formats.ClassAudit, event)
		o.codeFailure(r)
	}
	r.Emit()
}

// hidden reports whether the agent replaced a text by a placeholder.
func hidden(text string) bool {
	return strings.EqualFold(text, "<redacted>") || strings.EqualFold(text, "[redacted]")
}

// codeModel reads a call of a model. It returns false for requests and for pieces of a stream, because another event
// repeats them together with the answer's tokens.
func (o *otlp) codeModel(r *formats.Record, event string) bool {
	a := o.attrs
	if event != "api_error" && !a.has(attrCodeOutputTokens) && !a.has(attrOutputTokens) {
		return false
	}
	o.head(r, "chat")
	o.usage(r)
	if n := a.at(attrCodeCacheCreation); r.Event.Has(schema.GenAIUsageInputTokens) && n.Present() {
		AddInput(r, n, a.at(attrCodeCacheRead)) // Anthropic counts cached tokens separately
	}
	a.setText(r, schema.GenAIResponseID, attrCodeRequestID)
	r.SetContent(schema.MessageContextResponseText, r.Text(a.at(attrCodeResponse)))
	o.codeFailure(r)
	if event == "api_error" {
		r.SetOutcome(formats.Failure)
	}
	return true
}

// codeTool reads the run of a tool and its result.
func (o *otlp) codeTool(r *formats.Record) {
	a := o.attrs
	r.SetClass(formats.ClassTool, actionToolResult)
	a.setText(r, schema.GenAIToolName, attrCodeTool, attrToolName)
	a.setText(r, schema.GenAIToolCallID, attrCodeCallID, attrToolCallID)
	tool := r.Event.Text(schema.GenAIToolName)
	if server, _, ok := strings.Cut(strings.TrimPrefix(tool, "mcp__"), "__"); ok && strings.HasPrefix(tool, "mcp__") {
		r.Put(schema.MCPServerName, server)
	}
	if a.has(attrCodeInput) {
		r.SetDyn(schema.GenAIToolCallArguments, a.plain(r, attrCodeInput))
	}
	if a.has(attrCodeOutput) {
		r.SetAsIs(schema.GenAIToolCallResult, a.plain(r, attrCodeOutput))
	}
	o.codeFailure(r)
	o.decision(r)
}

// decision sets the disposition from the decision of the user, or of a rule of the user's, about a tool.
func (o *otlp) decision(r *formats.Record) {
	switch r.Text(o.attrs.at(attrCodeDecision)) {
	case "accept", "approved", "approve", "auto_accept", "modify":
		r.Put(schema.Disposition, formats.Allowed)
	case "reject", "denied", "deny", "abort":
		r.Block()
	}
}

// codeFailure sets the outcome, the error and the status of a failure.
func (o *otlp) codeFailure(r *formats.Record) {
	a := o.attrs
	success, failed := a.at(attrCodeSuccess), a.at(attrCodeError)
	if success.Kind == scan.False || r.Text(success) == "false" {
		r.SetOutcome(formats.Failure)
	}
	if failed.Present() {
		r.SetOutcome(formats.Failure)
		a.setText(r, schema.ErrorType, attrErrorType, attrCodeError)
	}
	status := a.at(attrCodeStatus)
	if !status.Present() {
		status = a.at(attrHTTPStatus)
	}
	if code, ok := scan.Int(status.Src, status.Span); ok && code >= 100 && code < 600 {
		r.SetInt(schema.HTTPResponseStatusCode, status)
		if code >= 400 {
			r.SetStatus(code)
		}
	}
}
