package llm

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// LiteLLM reads the StandardLoggingPayload that LiteLLM's proxy hands to every logging callback.
func LiteLLM() formats.Format {
	return formats.Format{
		Name:     "litellm",
		Datasets: []string{"litellm"},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"call_type", "metadata", "custom_llm_provider"}},
			{Keys: []string{"call_type", "metadata", "model_map_information"}},
			{Keys: []string{"call_type", "metadata", "hidden_params"}},
		},
		NewReader: openLiteLLM,
	}
}

// liteLLM reads LiteLLM's payloads. Its int fields are places in a record.
type liteLLM struct {
	chat      *Conversation
	guardrail *formats.Shape
	answer    *formats.Shape // of the response

	workflowTags []string

	id, traceID, callType, status, provider      int // id, trace_id, call_type, status, custom_llm_provider
	start, end, responseTime                     int // startTime, endTime, response_time
	model, modelGroup, apiBase                   int // model, model_group, api_base
	promptTokens, completionTokens, responseCost int // prompt_tokens, completion_tokens, response_cost
	endUser, requesterIP, userAgent              int // end_user, requester_ip_address, user_agent
	tags, agentID                                int // request_tags, agent_id
	messages, response                           int // messages, response
	tools, systemText, instructions              int // model_parameters.{tools, system, instructions}
	errorCode, errorClass                        int // error_information.{error_code, error_class}
	errorMessage, errorText                      int // error_information.error_message, error_str
	toolCounts                                   int // metadata.spend_logs_metadata.per_server_tool_counts
	responseFailed, responseError                int // response.{isError, is_error}
	guardrails, guardrailStatus                  int // guardrail_information, status_fields.guardrail_status
	keyHash, keyAlias                            int // metadata.user_api_key_{hash, alias}
	keyUser, keyEmail, keyOrg, keyEndUser        int // metadata.user_api_key_{user_id, user_email, org_id, end_user_id}
	metaAgent, metaIP, metaUserAgent             int // metadata.{agent_id, requester_ip_address, user_agent}
	session, promptID                            int // metadata.{requester_metadata.session_id, prompt_management_metadata.prompt_id}
	toolName, toolArguments                      int // metadata.mcp_tool_call_metadata.{name, arguments}
	toolResult, toolResultFailed                 int // metadata.mcp_tool_call_metadata.{result, result.isError}
	serverName, mcpSession                       int // metadata.mcp_tool_call_metadata.{mcp_server_name, mcp_session_id}
	responseID, responseModel                    int // response.{id, model}
	usage, usagePrompt, usageCompletion          int // response.usage.{prompt_tokens, completion_tokens}
	usageCached, usageCacheRead                  int // response.usage.{prompt_tokens_details.cached_tokens, cache_read_input_tokens}
	usageReasoning                               int // response.usage.completion_tokens_details.reasoning_tokens
}

// Places in the shape of one guardrail's information.
const (
	guardrailName = iota
	guardrailVerdict
	guardrailAction
	guardrailCategories
)

func openLiteLLM(p *formats.Paths) formats.Reader {
	meta := func(keys ...string) int { return p.Add(append([]string{"metadata"}, keys...)...) }
	usage := func(keys ...string) int { return p.Add(append([]string{"response", "usage"}, keys...)...) }
	return &liteLLM{
		chat: NewConversation(), answer: p.AddShape([]string{"response"}, AnswerPaths()...),
		guardrail: formats.NewShape([][]string{
			guardrailName:       {"guardrail_name"},
			guardrailVerdict:    {"guardrail_status"},
			guardrailAction:     {"guardrail_action"},
			guardrailCategories: {"violation_categories"},
		}...),
		id: p.Add("id"), traceID: p.Add("trace_id"), callType: p.Add("call_type"), status: p.Add("status"), provider: p.Add("custom_llm_provider"),
		start: p.Add("startTime"), end: p.Add("endTime"), responseTime: p.Add("response_time"),
		model: p.Add("model"), modelGroup: p.Add("model_group"), apiBase: p.Add("api_base"),
		promptTokens: p.Add("prompt_tokens"), completionTokens: p.Add("completion_tokens"), responseCost: p.Add("response_cost"),
		endUser: p.Add("end_user"), requesterIP: p.Add("requester_ip_address"), userAgent: p.Add("user_agent"), tags: p.Add("request_tags"),
		agentID: p.Add("agent_id"), messages: p.AddIndexed("messages"), response: p.AddIndexed("response"),
		tools: p.Add("model_parameters", "tools"), systemText: p.Add("model_parameters", "system"),
		instructions: p.Add("model_parameters", "instructions"),
		errorCode:    p.Add("error_information", "error_code"), errorClass: p.Add("error_information", "error_class"),
		guardrails: p.AddIndexed("guardrail_information"), guardrailStatus: p.Add("status_fields", "guardrail_status"),

		keyHash: meta("user_api_key_hash"), keyAlias: meta("user_api_key_alias"), keyUser: meta("user_api_key_user_id"),
		keyEmail: meta("user_api_key_user_email"), keyOrg: meta("user_api_key_org_id"), keyEndUser: meta("user_api_key_end_user_id"),
		metaAgent: meta("agent_id"), metaIP: meta("requester_ip_address"), metaUserAgent: meta("user_agent"),
		session: meta("requester_metadata", "session_id"), promptID: meta("prompt_management_metadata", "prompt_id"),
		toolName: meta("mcp_tool_call_metadata", "name"), toolArguments: meta("mcp_tool_call_metadata", "arguments"),
		toolResult: meta("mcp_tool_call_metadata", "result"), toolResultFailed: meta("mcp_tool_call_metadata", "result", "isError"),
		serverName: meta("mcp_tool_call_metadata", "mcp_server_name"), mcpSession: meta("mcp_tool_call_metadata", "mcp_session_id"),

		errorMessage: p.Add("error_information", "error_message"), errorText: p.Add("error_str"),
		toolCounts: meta("spend_logs_metadata", "per_server_tool_counts"), responseFailed: p.Add("response", "isError"),
		responseError: p.Add("response", "is_error"),

		responseID: p.Add("response", "id"), responseModel: p.Add("response", "model"), usage: usage(),
		usageCached: usage("prompt_tokens_details", "cached_tokens"), usageCacheRead: usage("cache_read_input_tokens"),
		usageReasoning: usage("completion_tokens_details", "reasoning_tokens"),
		usagePrompt:    usage("prompt_tokens"), usageCompletion: usage("completion_tokens"),
	}
}

func (l *liteLLM) Read(el *formats.Element) {
	el.SetDataset("litellm")
	if !el.SetTime(el.At(l.start), el.At(l.end)) {
		return
	}
	el.CopyText(schema.EventID, el.At(l.id))
	l.duration(el)
	l.identify(el)
	l.outcome(el)
	l.workflow(el)
	switch callType := el.Text(el.At(l.callType)); callType {
	case "call_mcp_tool":
		l.toolCall(el)
	case "list_mcp_tools":
		l.toolList(el)
	case "":
		if l.isToolCall(el) {
			l.toolCall(el)
			return
		}
		l.exchange(el, operation(callType))
	default:
		l.exchange(el, operation(callType))
	}
}

// isToolCall reports whether a record without a call type is one of MCP: the proxy logs the call of an unknown tool so,
// because it fails before the proxy knows what kind of call it is.
func (l *liteLLM) isToolCall(el *formats.Element) bool {
	if el.Text(el.At(l.toolName)) != "" || strings.HasPrefix(el.Text(el.At(l.model)), "MCP: ") {
		return true
	}
	if el.Text(el.At(l.model)) != "" || el.At(l.messages).Present() {
		return false
	}
	return strings.HasPrefix(el.Text(el.At(l.errorClass)), "MCP") || l.unknownTool(el) != ""
}

// unknownTool returns the tool that a caller asked for and that does not exist: only the error's message names it.
func (l *liteLLM) unknownTool(el *formats.Element) string {
	for _, message := range [...]formats.Node{el.At(l.errorMessage), el.At(l.errorText)} {
		_, rest, ok := strings.Cut(el.Text(message), "Tool '")
		if !ok {
			_, rest, ok = strings.Cut(el.Text(message), "tool '")
		}
		if name, reason, found := strings.Cut(rest, "' "); ok && found && strings.HasPrefix(reason, "not ") {
			return name
		}
	}
	return ""
}

// toolResultError is the class of the error for a tool that answered with an error: the message is that answer.
const toolResultError = "MCPToolResultError"

// isEmptyObject reports whether a value is {}.
func isEmptyObject(n formats.Node) bool {
	raw := n.Raw()
	return n.Kind == scan.Object && len(raw) >= 2 && strings.TrimSpace(raw[1:len(raw)-1]) == ""
}

// maxServers is the number of MCP servers of one list that give an event. The proxy writes them as one text.
const maxServers = 64

// toolList emits an event for each MCP server whose tools were listed.
func (l *liteLLM) toolList(el *formats.Element) {
	l.mcp(el, methodList, false)
	names := el.Text(el.At(l.serverName))
	for n := 0; n < maxServers && !el.LimitExceeded(); n++ {
		name, rest, more := strings.Cut(names, ",")
		name, names = strings.TrimSpace(name), rest
		el.Event.Clear(schema.MCPServerName)
		el.Event.Clear(schema.GenAIToolDefinitionsCount)
		el.SetText(schema.MCPServerName, name)
		if name != "" {
			l.countTools(el, name)
		} else if tools := el.At(l.response); tools.Kind == scan.Array { // newer proxies name no server, and log the tools
			count := int64(0)
			el.Index.Each(tools.Src, tools.Span, func(scan.Span) bool { count++; return true })
			el.SetInt(schema.GenAIToolDefinitionsCount, count)
		}
		if el.Emit(); !more {
			return
		}
	}
}

// countTools sets the number of tools that a server listed.
func (l *liteLLM) countTools(el *formats.Element, server string) {
	counts := el.At(l.toolCounts)
	el.Index.Members(counts.Src, counts.Span, &el.Arena, func(key string, v scan.Span) bool {
		if key == server {
			el.CopyInt(schema.GenAIToolDefinitionsCount, formats.Node{Src: counts.Src, Span: v})
		}
		return true
	})
}

// duration sets the time from start to end, else the response time that the proxy measured. Without a start, the event
// has the time of the end, and no duration.
func (l *liteLLM) duration(el *formats.Element) {
	start, end := el.At(l.start), el.At(l.end)
	from, ok := scan.Time(start.Src, start.Span)
	if !ok {
		return
	}
	to, ok := scan.Time(end.Src, end.Span)
	switch {
	case !ok:
		el.CopyDuration(el.At(l.responseTime), nsPerSecond)
	case to >= from:
		el.Event.SetInt(schema.EventDuration, to-from)
	}
}

const nsPerSecond = 1e9

// identify names the caller: by its key, else by the key's user, else by the id that it declares.
func (l *liteLLM) identify(el *formats.Element) {
	key := el.Text(el.At(l.keyHash))
	if strings.HasPrefix(key, "sk-") { // the proxy hashes keys; a raw one is hashed here
		key = el.HashSecret(key)
	}
	if !el.SetSourceIP(el.Text(el.At(l.metaIP)), "") {
		el.SetSourceIP(el.Text(el.At(l.requesterIP)), "")
	}
	el.SetAgent("metadata.user_api_key_hash", key)
	el.SetAgent("metadata.user_api_key_user_id", el.Text(el.At(l.keyUser)))
	el.DeclareAgent("agent_id", el.Text(el.At(l.agentID)))
	el.DeclareAgent("metadata.agent_id", el.Text(el.At(l.metaAgent)))
	el.SetAgent("end_user", el.Text(el.At(l.endUser)))
	userAgent := el.FirstText(el.At(l.userAgent), el.At(l.metaUserAgent))
	if userAgent == "" {
		userAgent = l.taggedUserAgent(el)
	}
	el.SetAgentByAddress(userAgent)

	el.CopyText(schema.AIAgentName, el.At(l.keyAlias))
	if key != "" {
		el.SetText(schema.CredentialUID, key)
		el.SetText(schema.CredentialType, "api_key")
	}
	el.CopyText(schema.UserID, el.At(l.keyUser))
	el.CopyText(schema.UserEmail, el.At(l.keyEmail))
	el.CopyText(schema.OrganizationID, el.At(l.keyOrg))
	el.CopyFirstText(schema.OnBehalfOfID, el.At(l.endUser), el.At(l.keyEndUser))
	el.SetText(schema.UserAgentOriginal, userAgent)
	el.CopyText(schema.TraceID, el.At(l.traceID))
	el.CopyFirstText(schema.SessionID, el.At(l.session), el.At(l.traceID), el.At(l.mcpSession))
}

// workflow sets the workflow to the id of the managed prompt, else to the request's tags, sorted, with commas between them.
func (l *liteLLM) workflow(el *formats.Element) {
	if !el.Wanted(schema.AIAgentWorkflow) {
		return
	}
	el.SetWorkflow(el.Text(el.At(l.promptID)))
	tags := el.At(l.tags)
	l.workflowTags = l.workflowTags[:0]
	el.Index.Each(tags.Src, tags.Span, func(elem scan.Span) bool {
		tag := el.Text(formats.Node{Src: tags.Src, Span: elem})
		if !strings.HasPrefix(tag, "User-Agent: ") && !strings.HasPrefix(tag, "Credential: ") { // the proxy adds these
			l.workflowTags = appendText(l.workflowTags, el.StableTag(tag))
		}
		return len(l.workflowTags) < maxTags
	})
	slices.Sort(l.workflowTags)
	el.SetWorkflow(el.Join(slices.Compact(l.workflowTags), ","))
}

// maxTags is the number of tags that count for the workflow, the first ones.
const maxTags = 64

// taggedUserAgent returns the longest, most specific user agent among the request's tags, where older proxies put it.
func (l *liteLLM) taggedUserAgent(el *formats.Element) (best string) {
	if !el.Wanted(schema.UserAgentOriginal) && el.Event.Has(schema.AIAgentUID) {
		return ""
	}
	tags := el.At(l.tags)
	el.Index.Each(tags.Src, tags.Span, func(elem scan.Span) bool {
		tag, ok := strings.CutPrefix(el.Text(formats.Node{Src: tags.Src, Span: elem}), "User-Agent: ")
		if ok && len(tag) > len(best) {
			best = tag
		}
		return true
	})
	return best
}

// outcome sets the outcome from the status, the error and the guardrails.
func (l *liteLLM) outcome(el *formats.Element) {
	failed := false
	switch el.Text(el.At(l.status)) {
	case "success":
		el.SetOutcome(formats.Success)
	case "failure":
		el.SetOutcome(formats.Failure)
		failed = true
	default:
		el.SetOutcome(formats.Unknown)
	}
	class := el.Text(el.At(l.errorClass))
	code := el.At(l.errorCode)
	if failed {
		el.CopyFirstText(schema.ErrorType, el.At(l.errorClass), code)
		if n, ok := scan.Int(code.Src, code.Span); ok && n >= 100 && n < 600 {
			el.Event.SetInt(schema.HTTPResponseStatusCode, n)
			el.SetHTTPStatus(n)
			el.SetOutcome(formats.Failure)
		}
	}
	intervened := l.readGuardrails(el)
	if failed && (intervened || strings.HasPrefix(class, "Guardrail") || strings.HasPrefix(class, "BlockedPii")) {
		el.SetBlocked()
	}
}

// readGuardrails reads the first guardrail that intervened, else the first one. It reports whether any intervened.
func (l *liteLLM) readGuardrails(el *formats.Element) bool {
	list := el.At(l.guardrails)
	chosen, intervened := list, false
	if list.Kind == scan.Array { // older proxies log a single object
		chosen = el.FirstItem(list)
		el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
			g := formats.Node{Src: list.Src, Span: elem}
			l.guardrail.Select(el, g)
			if intervened = stopped(el.Text(l.guardrail.At(guardrailVerdict))); intervened {
				chosen = g
			}
			return !intervened
		})
	}
	l.guardrail.Select(el, chosen)
	verdict := l.guardrail.At(guardrailVerdict)
	el.CopyText(schema.GuardrailName, l.guardrail.At(guardrailName))
	el.CopyText(schema.GuardrailVerdict, verdict)
	el.CopyText(schema.GuardrailAction, l.guardrail.At(guardrailAction))
	el.CopyText(schema.GuardrailRiskCategory, el.FirstItem(l.guardrail.At(guardrailCategories)))
	return stopped(el.Text(verdict)) || stopped(el.Text(el.At(l.guardrailStatus)))
}

// stopped reports whether a guardrail's status means that the guardrail held something back.
func stopped(status string) bool { return status == "guardrail_intervened" || status == "blocked" }

// operation returns the operation of a call type, by OpenTelemetry's name if it has one. A leading a means
// asynchronous.
func operation(callType string) string {
	switch callType {
	case "completion", "acompletion", "responses", "aresponses", "anthropic_messages", "aanthropic_messages", "":
		return "chat"
	case "embedding", "aembedding":
		return "embeddings"
	case "text_completion", "atext_completion":
		return "text_completion"
	case "generate_content", "agenerate_content", "generate_content_stream", "agenerate_content_stream":
		return "generate_content"
	case "send_message", "asend_message":
		return "invoke_agent"
	case "amoderation", "aimage_generation", "aimage_edit", "atranscription", "aspeech", "arerank":
		return callType[1:]
	}
	return callType
}

// exchange emits a call of a model.
func (l *liteLLM) exchange(el *formats.Element, op string) {
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	el.CopyText(schema.GenAIProviderName, el.At(l.provider))
	el.CopyFirstText(schema.GenAIRequestModel, el.At(l.model), el.At(l.modelGroup))
	el.CopyText(schema.GenAIResponseModel, el.At(l.responseModel))
	el.CopyText(schema.GenAIResponseID, el.At(l.responseID))
	host, _ := formats.SplitURL(el.Text(el.At(l.apiBase)))
	el.SetText(schema.ServiceTargetName, host)
	el.CopyFirstInt(schema.GenAIUsageInputTokens, el.At(l.promptTokens), el.At(l.usagePrompt))
	el.CopyFirstInt(schema.GenAIUsageOutputTokens, el.At(l.completionTokens), el.At(l.usageCompletion))
	el.CopyFirstInt(schema.GenAIUsageCacheReadInputTokens, el.At(l.usageCached), el.At(l.usageCacheRead))
	el.CopyInt(schema.GenAIUsageReasoningOutputTokens, el.At(l.usageReasoning))
	el.CopyDouble(schema.GenAIUsageCost, el.At(l.responseCost))

	l.chat.Reset()
	l.chat.Tools(el, el.At(l.tools))
	l.chat.System(el, el.At(l.systemText))
	l.chat.System(el, el.At(l.instructions))
	l.chat.Request(el, el.At(l.messages))
	if response := el.At(l.response); response.Kind == scan.Object {
		l.answer.SelectFromElement(el)
		l.chat.SelectedResponse(el, response, l.answer)
	} else {
		l.chat.Response(el, response)
	}
	l.chat.Fill(el)
	l.chat.Emit(el)
}

// mcp sets the fields of an event on an MCP server behind the proxy. answered is true if the record holds the result.
func (l *liteLLM) mcp(el *formats.Element, method string, answered bool) {
	el.SetTool(method, formats.MCPPhase(method, answered))
	el.SetText(schema.MCPMethodName, method)
	el.CopyText(schema.MCPServerName, el.At(l.serverName))
	el.CopyText(schema.MCPSessionID, el.At(l.mcpSession))
}

// toolCall emits a call of a tool that the proxy ran.
func (l *liteLLM) toolCall(el *formats.Element) {
	result := el.At(l.toolResult)
	if !result.Present() {
		result = el.At(l.response)
	}
	if isEmptyObject(result) { // the proxy writes {} for a call that failed
		result = formats.Node{}
		if el.Text(el.At(l.errorClass)) == toolResultError {
			result = el.At(l.errorMessage)
		}
	}
	l.mcp(el, formats.ActionMCPCall, result.Present())
	el.CopyText(schema.GenAIToolName, el.At(l.toolName))
	if !el.Event.Has(schema.GenAIToolName) {
		if name, ok := strings.CutPrefix(el.Text(el.At(l.model)), "MCP: "); ok {
			el.SetText(schema.GenAIToolName, name)
		}
	}
	el.CopyUnwrapped(schema.GenAIToolCallArguments, el.At(l.toolArguments))
	el.CopyDouble(schema.GenAIUsageCost, el.At(l.responseCost))
	el.CopyUnwrapped(schema.GenAIToolCallResult, result)
	if !el.Event.Has(schema.GenAIToolName) {
		el.SetText(schema.GenAIToolName, l.unknownTool(el))
	}
	if el.At(l.toolResultFailed).True() || el.At(l.responseFailed).True() || el.At(l.responseError).True() {
		el.SetOutcome(formats.Failure)
	}
	el.Emit()
}
