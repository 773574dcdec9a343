package llm

import (
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
		Tells: []formats.Tell{
			{Keys: []string{"call_type", "metadata", "custom_llm_provider"}},
			{Keys: []string{"call_type", "metadata", "model_map_information"}},
			{Keys: []string{"call_type", "metadata", "hidden_params"}},
		},
		Open: openLiteLLM,
	}
}

// liteLLM reads LiteLLM's payloads. Its int fields are places in a record.
type liteLLM struct {
	chat      *Conversation
	guardrail *formats.Shape
	answer    *formats.Shape // of the response

	id, traceID, callType, status, provider      int // id, trace_id, call_type, status, custom_llm_provider
	start, end, responseTime                     int // startTime, endTime, response_time
	model, modelGroup, apiBase                   int // model, model_group, api_base
	promptTokens, completionTokens, responseCost int // prompt_tokens, completion_tokens, response_cost
	endUser, requesterIP, userAgent              int // end_user, requester_ip_address, user_agent
	tags, agentID                                int // request_tags, agent_id
	messages, response                           int // messages, response
	tools, systemText, instructions              int // model_parameters.{tools, system, instructions}
	errorCode, errorClass                        int // error_information.{error_code, error_class}
	guardrails, guardrailStatus                  int // guardrail_information, status_fields.guardrail_status
	keyHash, keyAlias                            int // metadata.user_api_key_{hash, alias}
	keyUser, keyEmail, keyOrg, keyEndUser        int // metadata.user_api_key_{user_id, user_email, org_id, end_user_id}
	metaAgent, metaIP, metaUserAgent             int // metadata.{agent_id, requester_ip_address, user_agent}
	session                                      int // metadata.requester_metadata.session_id
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
		chat: NewConversation(), answer: p.Shape([]string{"response"}, AnswerPaths()...),
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
		agentID: p.Add("agent_id"), messages: p.Open("messages"), response: p.Open("response"),
		tools: p.Add("model_parameters", "tools"), systemText: p.Add("model_parameters", "system"),
		instructions: p.Add("model_parameters", "instructions"),
		errorCode:    p.Add("error_information", "error_code"), errorClass: p.Add("error_information", "error_class"),
		guardrails: p.Open("guardrail_information"), guardrailStatus: p.Add("status_fields", "guardrail_status"),

		keyHash: meta("user_api_key_hash"), keyAlias: meta("user_api_key_alias"), keyUser: meta("user_api_key_user_id"),
		keyEmail: meta("user_api_key_user_email"), keyOrg: meta("user_api_key_org_id"), keyEndUser: meta("user_api_key_end_user_id"),
		metaAgent: meta("agent_id"), metaIP: meta("requester_ip_address"), metaUserAgent: meta("user_agent"),
		session:  meta("requester_metadata", "session_id"),
		toolName: meta("mcp_tool_call_metadata", "name"), toolArguments: meta("mcp_tool_call_metadata", "arguments"),
		toolResult: meta("mcp_tool_call_metadata", "result"), toolResultFailed: meta("mcp_tool_call_metadata", "result", "isError"),
		serverName: meta("mcp_tool_call_metadata", "mcp_server_name"), mcpSession: meta("mcp_tool_call_metadata", "mcp_session_id"),

		responseID: p.Add("response", "id"), responseModel: p.Add("response", "model"), usage: usage(),
		usageCached: usage("prompt_tokens_details", "cached_tokens"), usageCacheRead: usage("cache_read_input_tokens"),
		usageReasoning: usage("completion_tokens_details", "reasoning_tokens"),
		usagePrompt:    usage("prompt_tokens"), usageCompletion: usage("completion_tokens"),
	}
}

func (l *liteLLM) Read(r *formats.Record) {
	r.Begin("litellm")
	if !r.Start(r.At(l.start), r.At(l.end)) {
		return
	}
	r.SetText(schema.EventID, r.At(l.id))
	l.duration(r)
	l.identify(r)
	l.outcome(r)
	switch callType := r.Text(r.At(l.callType)); callType {
	case "call_mcp_tool":
		l.toolCall(r)
	case "list_mcp_tools":
		l.mcp(r, "tools/list")
		r.Emit()
	default:
		l.exchange(r, operation(callType))
	}
}

// duration sets the time from start to end, else the response time that the proxy measured. Without a start, the event
// has the time of the end, and no duration.
func (l *liteLLM) duration(r *formats.Record) {
	start, end := r.At(l.start), r.At(l.end)
	from, ok := scan.Time(start.Src, start.Span)
	if !ok {
		return
	}
	to, ok := scan.Time(end.Src, end.Span)
	switch {
	case !ok:
		r.SetDuration(r.At(l.responseTime), nsPerSecond)
	case to >= from:
		r.Event.SetInt(schema.EventDuration, to-from)
	}
}

const nsPerSecond = 1e9

// identify names the caller: by the id that the agent declares, else by its key, else by the key's user.
func (l *liteLLM) identify(r *formats.Record) {
	key := r.Text(r.At(l.keyHash))
	if strings.HasPrefix(key, "sk-") { // the proxy hashes keys; a raw one is hashed here
		key = r.Secret(key)
	}
	if !r.SetSource(r.Text(r.At(l.metaIP)), "") {
		r.SetSource(r.Text(r.At(l.requesterIP)), "")
	}
	r.Agent("agent_id", r.Text(r.At(l.agentID)))
	r.Agent("metadata.agent_id", r.Text(r.At(l.metaAgent)))
	r.Agent("metadata.user_api_key_hash", key)
	r.Agent("metadata.user_api_key_user_id", r.Text(r.At(l.keyUser)))
	r.Agent("end_user", r.Text(r.At(l.endUser)))
	userAgent := r.FirstText(r.At(l.userAgent), r.At(l.metaUserAgent))
	if userAgent == "" {
		userAgent = l.taggedUserAgent(r)
	}
	r.AgentByAddress(userAgent)

	r.SetText(schema.AIAgentName, r.At(l.keyAlias))
	if key != "" {
		r.Put(schema.CredentialUID, key)
		r.Put(schema.CredentialType, "api_key")
	}
	r.SetText(schema.UserID, r.At(l.keyUser))
	r.SetText(schema.UserEmail, r.At(l.keyEmail))
	r.SetText(schema.OrganizationID, r.At(l.keyOrg))
	r.SetFirst(schema.OnBehalfOfID, r.At(l.endUser), r.At(l.keyEndUser))
	r.Put(schema.UserAgentOriginal, userAgent)
	r.SetText(schema.TraceID, r.At(l.traceID))
	r.SetFirst(schema.SessionID, r.At(l.session), r.At(l.traceID), r.At(l.mcpSession))
}

// taggedUserAgent returns the longest, most specific user agent among the request's tags, where older proxies put it.
func (l *liteLLM) taggedUserAgent(r *formats.Record) (best string) {
	if !r.Wants(schema.UserAgentOriginal) && r.Event.Has(schema.AIAgentUID) {
		return ""
	}
	tags := r.At(l.tags)
	r.Index.Each(tags.Src, tags.Span, func(elem scan.Span) bool {
		tag, ok := strings.CutPrefix(r.Text(formats.Node{Src: tags.Src, Span: elem}), "User-Agent: ")
		if ok && len(tag) > len(best) {
			best = tag
		}
		return true
	})
	return best
}

// outcome sets the outcome from the status, the error and the guardrails.
func (l *liteLLM) outcome(r *formats.Record) {
	failed := false
	switch r.Text(r.At(l.status)) {
	case "success":
		r.SetOutcome(formats.Success)
	case "failure":
		r.SetOutcome(formats.Failure)
		failed = true
	default:
		r.SetOutcome(formats.Unknown)
	}
	class := r.Text(r.At(l.errorClass))
	code := r.At(l.errorCode)
	if failed {
		r.SetFirst(schema.ErrorType, r.At(l.errorClass), code)
		if n, ok := scan.Int(code.Src, code.Span); ok && n >= 100 && n < 600 {
			r.Event.SetInt(schema.HTTPResponseStatusCode, n)
			r.SetStatus(n)
			r.SetOutcome(formats.Failure)
		}
	}
	intervened := l.readGuardrails(r)
	if failed && (intervened || strings.HasPrefix(class, "Guardrail") || strings.HasPrefix(class, "BlockedPii")) {
		r.Block()
	}
}

// readGuardrails reads the first guardrail that intervened, else the first one. It reports whether any intervened.
func (l *liteLLM) readGuardrails(r *formats.Record) bool {
	list := r.At(l.guardrails)
	chosen, intervened := list, false
	if list.Kind == scan.Array { // older proxies log a single object
		chosen = r.First(list)
		r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
			g := formats.Node{Src: list.Src, Span: elem}
			l.guardrail.Select(r, g)
			if intervened = stopped(r.Text(l.guardrail.At(guardrailVerdict))); intervened {
				chosen = g
			}
			return !intervened
		})
	}
	l.guardrail.Select(r, chosen)
	verdict := l.guardrail.At(guardrailVerdict)
	r.SetText(schema.GuardrailName, l.guardrail.At(guardrailName))
	r.SetText(schema.GuardrailVerdict, verdict)
	r.SetText(schema.GuardrailAction, l.guardrail.At(guardrailAction))
	r.SetText(schema.GuardrailRiskCategory, r.First(l.guardrail.At(guardrailCategories)))
	return stopped(r.Text(verdict)) || stopped(r.Text(r.At(l.guardrailStatus)))
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
func (l *liteLLM) exchange(r *formats.Record, op string) {
	r.SetClass(formats.ClassLLM, op)
	r.Put(schema.GenAIOperationName, op)
	r.SetText(schema.GenAIProviderName, r.At(l.provider))
	r.SetFirst(schema.GenAIRequestModel, r.At(l.model), r.At(l.modelGroup))
	r.SetText(schema.GenAIResponseModel, r.At(l.responseModel))
	r.SetText(schema.GenAIResponseID, r.At(l.responseID))
	host, _ := formats.SplitURL(r.Text(r.At(l.apiBase)))
	r.Put(schema.ServiceTargetName, host)
	r.SetFirstInt(schema.GenAIUsageInputTokens, r.At(l.promptTokens), r.At(l.usagePrompt))
	r.SetFirstInt(schema.GenAIUsageOutputTokens, r.At(l.completionTokens), r.At(l.usageCompletion))
	r.SetFirstInt(schema.GenAIUsageCacheReadInputTokens, r.At(l.usageCached), r.At(l.usageCacheRead))
	r.SetInt(schema.GenAIUsageReasoningOutputTokens, r.At(l.usageReasoning))
	r.SetDouble(schema.GenAIUsageCost, r.At(l.responseCost))
	SetTools(r, r.At(l.tools))

	l.chat.Reset()
	l.chat.System(r, r.At(l.systemText))
	l.chat.System(r, r.At(l.instructions))
	l.chat.Request(r, r.At(l.messages))
	if response := r.At(l.response); response.Kind == scan.Object {
		l.answer.Take(r)
		l.chat.SelectedResponse(r, response, l.answer)
	} else {
		l.chat.Response(r, response)
	}
	l.chat.Fill(r)
	l.chat.Emit(r)
}

// mcp sets the fields of an event on an MCP server behind the proxy.
func (l *liteLLM) mcp(r *formats.Record, method string) {
	r.SetClass(formats.ClassTool, method)
	r.Put(schema.MCPMethodName, method)
	r.SetText(schema.MCPServerName, r.At(l.serverName))
	r.SetText(schema.MCPSessionID, r.At(l.mcpSession))
}

// toolCall emits a call of a tool that the proxy ran.
func (l *liteLLM) toolCall(r *formats.Record) {
	l.mcp(r, "tools/call")
	r.SetText(schema.GenAIToolName, r.At(l.toolName))
	if !r.Event.Has(schema.GenAIToolName) {
		if name, ok := strings.CutPrefix(r.Text(r.At(l.model)), "MCP: "); ok {
			r.Put(schema.GenAIToolName, name)
		}
	}
	r.SetDyn(schema.GenAIToolCallArguments, r.At(l.toolArguments))
	r.SetDouble(schema.GenAIUsageCost, r.At(l.responseCost))
	result := r.At(l.toolResult)
	if !result.Present() {
		result = r.At(l.response)
	}
	r.SetAsIs(schema.GenAIToolCallResult, result)
	if r.At(l.toolResultFailed).True() {
		r.SetOutcome(formats.Failure)
	}
	r.Emit()
}
