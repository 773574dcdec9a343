package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// readLog takes a log record: an event of the GenAI conventions, or one of a coding agent. Others give no event.
func (o *otlp) readLog(r *formats.Record) {
	event := r.FirstText(r.At(o.ev), o.own.at(attrEventName), r.At(o.bodyText))
	agent := o.codingAgent(r, event)
	known := agent.dataset != "" || strings.HasPrefix(event, "gen_ai.")
	if !known {
		return // no activity of an agent
	}
	if agent.dataset != "" {
		r.Begin(agent.dataset)
	}
	if !o.begin(r, r.At(o.time), r.At(o.observed)) {
		return
	}
	o.own.setText(r, schema.EventID, attrRecordUID)
	if agent.dataset != "" {
		o.identifyCoder(r, agent)
		o.code(r, strings.TrimPrefix(event, agent.prefix))
		return
	}
	o.spanOutcome(r)
	o.identify(r)
	o.genAIEvent(r, event)
}

// genAIEvent takes an event of the GenAI conventions.
func (o *otlp) genAIEvent(r *formats.Record, event string) {
	switch event {
	case "gen_ai.client.inference.operation.details":
		op := o.operation(r)
		if op == "" {
			op = "chat"
		}
		// A span says the same: tokens are counted where there is none.
		o.model(r, op, !r.Event.Has(schema.SpanID))
	case "gen_ai.choice":
		o.messageEvent(r, "choice", assistant)
	case "gen_ai.tool.message":
		o.messageEvent(r, actionToolResult, tool)
	case "gen_ai.user.message":
		o.messageEvent(r, "user_message", user)
	case "gen_ai.system.message", "gen_ai.assistant.message":
		// They repeat what was said before; each choice was an event of its own.
	default:
		r.SetClass(formats.ClassLLM, event)
		r.Emit()
	}
}

// messageEvent takes one message that older conventions log as a record of its own. Each request logs its whole history
// again, which a record alone does not tell.
func (o *otlp) messageEvent(r *formats.Record, action string, who role) {
	body := r.At(o.body)
	message := o.own.plainBody(r, body)
	c := o.chat
	c.Reset()
	r.SetClass(formats.ClassLLM, action)
	o.own.setText(r, schema.GenAIRequestModel, attrRequestModel)
	if provider := r.Text(o.own.at(attrProvider)); provider != "" {
		r.Put(schema.GenAIProviderName, providerName(provider))
	}
	switch who {
	case assistant:
		c.readChoice(r, message)
		if len(c.answer)+len(c.Calls) == 0 {
			c.readAnswer(r, message)
		}
	case tool:
		c.hand(r, message)
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
		c.hand(r, message)
		c.texts(r, c.content(), &c.prompt)
	}
	c.Fill(r)
	c.Emit(r)
}

// coder is a coding agent that logs over OTLP.
type coder struct {
	dataset string // "" for none
	name    string
	prefix  string // before the names of its events
	service string
}

// coders are those that are known, each by its service's name, by its scope's, or by the prefix of its events' names.
var coders = [...]coder{
	{claudeCodeDataset, "claude-code", "claude_code.", "claude-code"},
	{otelDataset, "codex", "codex.", "codex"},
	{otelDataset, "gemini-cli", "gemini_cli.", "gemini-cli"},
	{otelDataset, "qwen-code", "qwen-code.", "qwen-code"},
}

// codingAgent tells whose log it is. What it looks at is what the agent's own code writes: names, never texts.
func (o *otlp) codingAgent(r *formats.Record, event string) coder {
	service, scope := o.service(r), r.Text(o.scopeName)
	for i := range coders {
		c := &coders[i]
		if strings.HasPrefix(event, c.prefix) || strings.HasPrefix(service, c.service) || i == 0 && strings.HasPrefix(scope, "com.anthropic.claude_code") {
			return *c
		}
	}
	return coder{}
}

// identifyCoder tells who uses a coding agent: the account, else the user's mail or id. The agent's service is the same
// for everybody, and no key.
func (o *otlp) identifyCoder(r *formats.Record, c coder) {
	a := o.own
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

// code takes one event of a coding agent. Numbers and truth values come as strings.
func (o *otlp) code(r *formats.Record, event string) {
	a := o.own
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

// hidden says that an agent left a text out.
func hidden(text string) bool {
	return strings.EqualFold(text, "<redacted>") || strings.EqualFold(text, "[redacted]")
}

// codeModel is a call of a model; false for the requests and the pieces of a stream that another event repeats with the
// answer's tokens.
func (o *otlp) codeModel(r *formats.Record, event string) bool {
	a := o.own
	if event != "api_error" && !a.has(attrCodeOutputTokens) && !a.has(attrOutputTokens) {
		return false
	}
	o.head(r, "chat")
	o.usage(r)
	if n := a.at(attrCodeCacheCreation); r.Event.Has(schema.GenAIUsageInputTokens) && n.Present() {
		AddInput(r, n, a.at(attrCodeCacheRead)) // Anthropic counts what is cached apart
	}
	a.setText(r, schema.GenAIResponseID, attrCodeRequestID)
	r.SetContent(schema.MessageContextResponseText, r.Text(a.at(attrCodeResponse)))
	o.codeFailure(r)
	if event == "api_error" {
		r.SetOutcome(formats.Failure)
	}
	return true
}

// codeTool is a tool that the agent ran, with what came of it.
func (o *otlp) codeTool(r *formats.Record) {
	a := o.own
	r.SetClass(formats.ClassTool, actionToolResult)
	a.setText(r, schema.GenAIToolName, attrCodeTool, attrToolName)
	a.setText(r, schema.GenAIToolCallID, attrCodeCallID, attrToolCallID)
	if server, _, ok := strings.Cut(strings.TrimPrefix(r.Event.Text(schema.GenAIToolName), "mcp__"), "__"); ok && strings.HasPrefix(r.Event.Text(schema.GenAIToolName), "mcp__") {
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

// decision reads what the user, or a rule of theirs, said to a tool.
func (o *otlp) decision(r *formats.Record) {
	switch r.Text(o.own.at(attrCodeDecision)) {
	case "accept", "approved", "approve", "auto_accept", "modify":
		r.Put(schema.Disposition, formats.Allowed)
	case "reject", "denied", "deny", "abort":
		r.Block()
	}
}

// codeFailure reads what says that something failed.
func (o *otlp) codeFailure(r *formats.Record) {
	a := o.own
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
