package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

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
	{otelDataset, "qwen-code", "qwen_code.", "qwen_code"},
	{otelDataset, "copilot-chat", "copilot_chat.", "copilot-chat"},
	{otelDataset, "copilot-cli", "github.copilot.", "github-copilot"},
	{otelDataset, "cursor", "cursor.", "cursor"},
	{otelDataset, "opencode", "opencode.", "opencode"},
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
	case "assistant_response":
		el.SetClass(formats.ClassLLM, event)
		a.setText(el, schema.GenAIRequestModel, attrCodeModel)
		a.setText(el, schema.GenAIResponseID, attrCodeRequestID)
		if answer := el.Text(a.at(attrCodeResponse)); !hidden(answer) {
			el.SetContent(schema.MessageContextResponseText, answer)
		}
	case "api_request_body", "api_response_body":
		o.codeBody(el, event)
		return
	case "api_request", "api_response", "sse_event", "websocket_request", "websocket_event", "api_error", "api_retries_exhausted":
		if !o.codeModel(el, event) {
			el.Skip(formats.SkipRepeated) // another event repeats it
			return
		}
	case "tool_result", "tool_call", "tool.call":
		o.codeTool(el)
	case "tool_decision":
		o.codeDecision(el, event)
	default:
		o.codeAudit(el, event)
	}
	el.Emit()
}

// hidden reports whether the agent replaced a text by a placeholder.
func hidden(text string) bool {
	return strings.EqualFold(text, "<redacted>") || strings.EqualFold(text, "[redacted]")
}

// codeModel reads a call of a model. It returns false for requests and for pieces of a stream, because another event
// repeats them together with the answer's tokens. A call that failed has no such event.
func (o *otlp) codeModel(el *formats.Element, event string) bool {
	a := o.attrs
	failed := event == "api_error" || event == "api_retries_exhausted" || strings.HasSuffix(el.Text(a.at(attrCodeKind)), ".failed")
	if !failed && !a.has(attrCodeOutputTokens) && !a.has(attrOutputTokens) {
		if o.codeFailure(el); el.Event.Text(schema.EventOutcome) != formats.Failure {
			return false
		}
	}
	o.head(el, "chat")
	o.usage(el)
	if n := a.at(attrCodeCacheCreation); el.Event.Has(schema.GenAIUsageInputTokens) && n.Present() {
		AddInput(el, n, a.at(attrCodeCacheRead)) // Anthropic counts cached tokens separately
	}
	a.setText(el, schema.GenAIResponseID, attrCodeRequestID)
	o.codeAnswer(el)
	o.codeFailure(el)
	if failed && el.Event.Text(schema.EventOutcome) != formats.Failure {
		el.SetOutcome(formats.Failure)
	}
	return true
}

// codeAnswer sets the answer of a model. Gemini CLI logs it as the JSON of its parts or of whole answers. The calls in it
// have events of their own.
func (o *otlp) codeAnswer(el *formats.Element) {
	c, answer := o.chat, o.attrs.at(attrCodeResponse)
	c.Reset()
	list, ok := el.Unwrap(answer)
	if !ok {
		if text := el.Text(answer); !hidden(text) {
			el.SetContent(schema.MessageContextResponseText, text)
		}
		return
	}
	if list.Kind == scan.Object {
		c.Response(el, list)
	}
	if list.Kind == scan.Array {
		c.eachObject(el, list, func(n formats.Node) { o.codePart(el, n) })
	}
	c.Fill(el)
	if reasons := o.attrs.plain(el, attrFinishReasons); reasons.Kind == scan.Array {
		el.CopyList(schema.GenAIResponseFinishReasons, reasons)
	}
}

// codePart reads an element of an answer: a whole answer of Gemini's API, its content, or a part of that.
func (o *otlp) codePart(el *formats.Element, n formats.Node) {
	c := o.chat
	c.responseShape.Select(el, n)
	if c.responseShape.At(responseCandidates).Present() || c.responseShape.At(responseContent).Present() {
		c.SelectedResponse(el, n, c.responseShape)
		return
	}
	c.selectMessage(el, n)
	if parts := c.content(); parts.Present() {
		c.texts(el, parts, &c.answer)
		return
	}
	c.part.Select(el, n)
	c.answer = appendText(c.answer, c.partText(el))
}

// codeBody reads the body of a request or of an answer, which Claude Code logs beside the event of the call. That event
// has the tokens. Of a body that was cut off only the event is left.
func (o *otlp) codeBody(el *formats.Element, event string) {
	a, c := o.attrs, o.chat
	el.SetClass(formats.ClassLLM, event)
	el.SetText(schema.GenAIOperationName, "chat")
	a.setText(el, schema.GenAIRequestModel, attrCodeModel)
	a.setText(el, schema.GenAIResponseID, attrCodeRequestID)
	c.Reset()
	body, ok := el.Unwrap(a.plain(el, attrCodeBody))
	switch {
	case !ok && a.has(attrCodeBody):
		el.Event.Set(schema.EventTruncated, schema.BoolValue(true))
	case event == "api_request_body":
		if body.Kind == scan.Object {
			o.config.Select(el, body)
			c.Tools(el, o.config.At(configTools))
		}
		c.Request(el, body)
	default:
		c.Response(el, body)
	}
	c.Fill(el)
	c.Emit(el)
}

// codeAudit reads an event about the agent itself: its start, its settings, its connections. The setting that an event is
// about is its resource, and all settings that it reports are its arguments.
func (o *otlp) codeAudit(el *formats.Element, event string) {
	a := o.attrs
	el.SetClass(formats.ClassAudit, event)
	if event == "auth" {
		el.SetClass(formats.ClassAuth, event)
	}
	a.setText(el, schema.MCPServerName, attrCodeServer)
	a.setText(el, schema.GenAIToolName, attrCodeTool)
	a.setText(el, schema.GenAIToolCallID, attrCodeCallID)
	a.setText(el, schema.GenAIRequestModel, attrCodeModel)
	for i := range codeSettings {
		if value := el.Text(a.at(codeSettings[i].attribute)); value != "" && codeSettings[i].attribute != attrCodeActiveMode {
			el.SetText(schema.ResourceType, codeSettings[i].name)
			el.SetText(schema.ResourceName, value)
			break
		}
	}
	o.codeArguments(el)
	o.codeFailure(el)
	switch el.Text(a.at(attrCodeState)) {
	case "failed", "error", "timed_out", "timeout", "signal":
		el.SetOutcome(formats.Failure)
	case "denied", "rejected", "blocked":
		el.SetBlocked()
	case "escalated":
		el.SetText(schema.Disposition, formats.Allowed) // the user let the command run outside the sandbox
	}
	o.decision(el)
}

// codeSetting is a setting of a coding agent that an event reports, or its state.
type codeSetting struct {
	attribute attribute
	name      string
}

// codeSettings lists the settings. If an event reports several, the first is its resource.
var codeSettings = [...]codeSetting{
	{attrCodeToMode, "mode"},
	{attrCodeSandbox, "sandbox_policy"},
	{attrCodeApproval, "approval_policy"},
	{attrCodeState, "outcome"},
	{attrCodeFromMode, "from_mode"},
	{attrCodeTrigger, "trigger"},
	{attrCodeServers, "mcp_servers"},
	{attrCodeSandboxed, "sandbox_enabled"},
	{attrCodeTransport, "transport"},
	{attrCodeActiveMode, "active_mode"}, // of every event of Gemini CLI, so it is never the resource
}

// codeArguments sets the arguments to an object with all settings of the event.
func (o *otlp) codeArguments(el *formats.Element) {
	if !el.Wanted(schema.GenAIToolCallArguments) {
		return
	}
	dst := append(o.text[:0], '{')
	for i := range codeSettings {
		value := o.attrs.at(codeSettings[i].attribute)
		if !value.Present() {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(append(append(dst, '"'), codeSettings[i].name...), `":`...), value.Raw()...)
	}
	if o.text = append(dst, '}'); len(o.text) > len("{}") {
		el.CopyJSON(schema.GenAIToolCallArguments, el.Parse(o.text))
	}
}

// codeTool reads the run of a tool and its result.
func (o *otlp) codeTool(el *formats.Element) {
	a := o.attrs
	el.SetTool(formats.ActionToolResult, formats.Called|formats.Returned)
	o.codeCall(el)
	if a.has(attrCodeOutput) {
		el.CopyUnwrapped(schema.GenAIToolCallResult, a.plain(el, attrCodeOutput))
	}
	o.codeFailure(el)
	o.decision(el)
}

// codeDecision reads the decision about a tool. A tool that is refused does not run, so only this event shows the call; of
// a tool that may run, the event of the run shows it.
func (o *otlp) codeDecision(el *formats.Element, event string) {
	el.SetClass(formats.ClassTool, event)
	o.decision(el)
	if el.Event.Text(schema.EventOutcome) == formats.Failure {
		el.SetTool(event, formats.Called)
	}
	o.codeCall(el)
}

// Places in the shape of the parameters of a tool.
const (
	parameterServer = iota
	parameterTool
)

// codeCall sets the tool, its MCP server and its arguments. Claude Code logs the arguments twice: the input of the tool,
// and parameters that summarise it and name the server.
func (o *otlp) codeCall(el *formats.Element) {
	a := o.attrs
	a.setText(el, schema.GenAIToolName, attrCodeTool, attrToolName)
	a.setText(el, schema.GenAIToolCallID, attrCodeCallID, attrToolCallID)
	a.setText(el, schema.MCPServerName, attrCodeServer)
	parameters, ok := el.Unwrap(a.plain(el, attrCodeParameters))
	if ok && parameters.Kind == scan.Object {
		o.parameters.Select(el, parameters)
		el.CopyFirstText(schema.MCPServerName, o.parameters.At(parameterServer))
		if tool := el.Text(o.parameters.At(parameterTool)); tool != "" && el.Event.Text(schema.GenAIToolName) == "mcp_tool" {
			el.SetText(schema.GenAIToolName, tool)
		}
	}
	tool := el.Event.Text(schema.GenAIToolName)
	server, _, ok := strings.Cut(strings.TrimPrefix(tool, "mcp__"), "__")
	if ok && strings.HasPrefix(tool, "mcp__") && !el.Event.Has(schema.MCPServerName) {
		el.SetText(schema.MCPServerName, server)
	}
	switch {
	case a.has(attrCodeInput):
		el.CopyUnwrapped(schema.GenAIToolCallArguments, a.plain(el, attrCodeInput))
	case a.has(attrToolArguments):
		el.CopyUnwrapped(schema.GenAIToolCallArguments, a.plain(el, attrToolArguments))
	default:
		el.CopyUnwrapped(schema.GenAIToolCallArguments, parameters)
	}
}

// decision sets the disposition from the decision of the user, or of a rule of the user's, about a tool.
func (o *otlp) decision(el *formats.Element) {
	switch decision := el.Text(o.attrs.at(attrCodeDecision)); decision {
	case "accept", "approve", "auto_accept", "modify", "allow", "allowed":
		el.SetText(schema.Disposition, formats.Allowed)
	case "reject", "rejected", "denied", "deny", "abort", "timed_out", "cancelled":
		el.SetBlocked()
	default:
		if strings.HasPrefix(decision, "approved") { // once, for the session, with a changed command
			el.SetText(schema.Disposition, formats.Allowed)
		}
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
