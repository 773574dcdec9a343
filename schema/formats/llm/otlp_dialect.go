package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
)

// dialect is the way in which one instrumentation or framework names what it records, where that differs from the
// conventions of OpenTelemetry. A new one takes a row in allDialects.
type dialect struct {
	name string

	// kind is the attribute that names the kind of a span, or "". kinds lists its values.
	kind  string
	kinds []dialectKind
	// first is set if kind counts more than gen_ai.operation.name.
	first bool

	// spans lists the names of spans by which kinds are told apart without an attribute, in scopes that begin with scope.
	scope string
	spans []dialectKind

	// names lists the attributes that have names of their own.
	names []dialectName
}

// dialectKind is a kind of span: the value that names it, in any case, and the operation that it is. A leading * stands
// for any beginning. An operation of "" means that the span is no activity, or that other spans repeat it.
type dialectKind struct{ value, operation string }

// dialectName is the name of an attribute in a dialect.
type dialectName struct {
	attribute attribute
	names     []string
}

// allDialects returns all dialects. If a span fits several of them, the first counts.
func allDialects() []dialect {
	return []dialect{
		{
			name: "litellm", kind: "llm.request.type", first: true,
			kinds: []dialectKind{{"call_mcp_tool", operationProxiedTool}, {"list_mcp_tools", operationProxiedList}},
			names: []dialectName{
				{attrKeyHash, []string{"metadata.user_api_key_hash"}},
				{attrKeyAlias, []string{"metadata.user_api_key_alias"}},
				{attrOnBehalf, []string{"metadata.user_api_key_end_user_id", "llm.user"}},
				{attrUserID, []string{"metadata.user_api_key_user_id"}},
				{attrUserEmail, []string{"metadata.user_api_key_user_email"}},
				{attrOrganization, []string{"metadata.user_api_key_org_id"}},
				{attrClient, []string{"metadata.requester_ip_address"}},
				{attrCost, []string{"gen_ai.cost.total_cost"}},
				{attrMCPMetadata, []string{"metadata.mcp_tool_call_metadata"}},
				{attrGuardrail, []string{"guardrail_name"}},
				{attrVerdict, []string{"guardrail_status", "guardrail_response"}},
			},
		},
		{
			name: "vercel ai sdk", kind: "ai.operationId",
			kinds: []dialectKind{
				{"ai.toolCall", operationTool},
				{"*.doGenerate", "chat"},
				{"*.doStream", "chat"},
				{"*.doEmbed", "embeddings"},
				{"*.doRerank", "rerank"},
				{"ai.embed", ""}, // the span inside repeats it
				{"ai.embedMany", ""},
				{"ai.rerank", ""},
				{"ai.generateText", operationAgent}, // all steps of a task
				{"ai.streamText", operationAgent},
				{"ai.generateObject", operationAgent},
				{"ai.streamObject", operationAgent},
				{"ai.agent*", operationAgent},
			},
			names: []dialectName{
				{attrProvider, []string{"ai.model.provider"}},
				{attrRequestModel, []string{"ai.model.id"}},
				{attrResponseModel, []string{"ai.response.model"}},
				{attrResponseID, []string{"ai.response.id"}},
				{attrFinishReasons, []string{"ai.response.finishReason", "ai.finishReason"}},
				{attrInputTokens, []string{"ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"}},
				{attrOutputTokens, []string{"ai.usage.outputTokens", "ai.usage.completionTokens"}},
				{attrCacheRead, []string{"ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheReadTokens"}},
				{attrReasoning, []string{"ai.usage.reasoningTokens", "ai.usage.outputTokenDetails.reasoningTokens"}},
				{attrWorkflow, []string{"ai.telemetry.functionId"}},
				{attrUserID, []string{
					"ai.telemetry.metadata.userId", "ai.telemetry.metadata.user_id", "ai.telemetry.metadata.user.id", "ai.telemetry.metadata.user",
				}},
				{attrUserEmail, []string{"ai.telemetry.metadata.userEmail", "ai.telemetry.metadata.email"}},
				{attrOrganization, []string{"ai.telemetry.metadata.tenantId", "ai.telemetry.metadata.organizationId"}},
				{attrAgentID, []string{"ai.telemetry.metadata.agentId", "ai.telemetry.metadata.agent_id"}},
				{attrAgentName, []string{"ai.telemetry.metadata.agentName", "ai.telemetry.metadata.agent_name"}},
				{attrSession, []string{
					"ai.telemetry.metadata.sessionId", "ai.telemetry.metadata.session_id", "ai.telemetry.metadata.session.id",
					"ai.telemetry.metadata.conversationId", "ai.telemetry.metadata.chatId", "ai.telemetry.metadata.threadId",
				}},
				{attrInputMessages, []string{"ai.prompt.messages"}},
				{attrRequestBody, []string{"ai.prompt", "ai.value", "ai.values"}},
				{attrOutputText, []string{"ai.response.text", "ai.response.object", "ai.result.text", "ai.result.object"}},
				{attrToolCalls, []string{"ai.response.toolCalls", "ai.result.toolCalls"}},
				{attrToolDefinitions, []string{"ai.prompt.tools"}},
				{attrToolName, []string{"ai.toolCall.name"}},
				{attrToolCallID, []string{"ai.toolCall.id"}},
				{attrToolArguments, []string{"ai.toolCall.args", "ai.toolCall.input"}},
				{attrToolResult, []string{"ai.toolCall.result", "ai.toolCall.output"}},
			},
		},
		{
			name: "langfuse", kind: "langfuse.observation.type",
			kinds: []dialectKind{
				{"generation", "chat"},
				{"embedding", "embeddings"},
				{"tool", operationTool},
				{"agent", operationAgent},
				{"retriever", "retrieval"},
				{"guardrail", operationGuardrail},
				{"span", ""},
				{"event", ""},
				{"chain", ""},
				{"evaluator", ""},
			},
			names: []dialectName{
				{attrRequestModel, []string{"langfuse.observation.model.name", "langfuse.observation.model"}},
				{attrRequestBody, []string{"langfuse.observation.input", "langfuse.trace.input"}},
				{attrResponseBody, []string{"langfuse.observation.output", "langfuse.trace.output"}},
				{attrUsageDetails, []string{"langfuse.observation.usage_details", "langfuse.observation.usage"}},
				{attrCostDetails, []string{"langfuse.observation.cost_details", "langfuse.observation.cost"}},
				{attrSession, []string{"langfuse.session.id"}},
				{attrUserID, []string{"langfuse.user.id"}},
				{attrWorkflow, []string{"langfuse.trace.name"}},
				{attrLevel, []string{"langfuse.observation.level"}},
			},
		},
		{
			name: "google adk", scope: "gcp.vertex.agent",
			spans: []dialectKind{
				{"call_llm*", "chat"}, {"execute_tool*", operationTool}, {"tool_call*", operationTool}, {"agent_run*", operationAgent},
				{"invoke_agent*", operationAgent}, {"tool_response*", ""},
			},
			names: []dialectName{
				{attrRequestBody, []string{"gcp.vertex.agent.llm_request"}},
				{attrResponseBody, []string{"gcp.vertex.agent.llm_response"}},
				{attrToolArguments, []string{"gcp.vertex.agent.tool_call_args"}},
				{attrToolResult, []string{"gcp.vertex.agent.tool_response"}},
				{attrConversation, []string{"gcp.vertex.agent.session_id"}},
				{attrUserID, []string{"gcp.vertex.agent.user_id"}},
			},
		},
		{
			name: "strands",
			names: []dialectName{
				{attrToolStatus, []string{"gen_ai.tool.status", "tool.status"}},
				{attrToolDefinitions, []string{"gen_ai.agent.tools"}},
			},
		},
		{
			name: "pydantic-ai", scope: "pydantic-ai",
			spans: []dialectKind{{"running tool*", operationTool}, {"agent run", operationAgent}, {"invoke_agent*", operationAgent}, {"running * tool*", ""}},
			names: []dialectName{
				{attrToolArguments, []string{"tool_arguments"}},
				{attrToolResult, []string{"tool_response"}},
				{attrAgentName, []string{"agent_name"}},
				{attrRequestModel, []string{"model_name"}},
				{attrMessageEvents, []string{"events", "all_messages_events"}},
				{attrInputMessages, []string{"pydantic_ai.all_messages", "all_messages"}},
				{attrOutputText, []string{"final_result"}},
			},
		},
		{
			name: "openinference", kind: "openinference.span.kind",
			kinds: []dialectKind{
				{"LLM", "chat"},
				{"EMBEDDING", "embeddings"},
				{"TOOL", operationTool},
				{"AGENT", operationAgent},
				{"RETRIEVER", "retrieval"},
				{"RERANKER", "rerank"},
				{"GUARDRAIL", operationGuardrail},
				{"CHAIN", ""},
				{"EVALUATOR", ""},
				{"PROMPT", ""},
			},
		},
		{
			name: "traceloop", kind: "traceloop.span.kind",
			kinds: []dialectKind{{"tool", operationTool}, {"agent", operationAgent}, {"workflow", ""}, {"task", ""}},
			names: []dialectName{
				{attrSession, []string{
					"traceloop.association.properties.conversation_id", "traceloop.association.properties.thread_id",
				}},
				{attrUserID, []string{"traceloop.association.properties.user_id"}},
				{attrWorkflow, []string{"traceloop.workflow.name"}},
				{attrAgentName, []string{"crewai.agent.role"}},
			},
		},
		{
			name: "opentelemetry before operation names", kind: "llm.request.type",
			kinds: []dialectKind{
				{"completion", "text_completion"}, {"embedding", "embeddings"}, {"chat", "chat"}, {"rerank", "rerank"},
			},
		},
		{
			name: "langsmith", kind: "langsmith.span.kind",
			kinds: []dialectKind{
				{"llm", "chat"},
				{"tool", operationTool},
				{"retriever", "retrieval"},
				{"embedding", "embeddings"},
				{"chain", ""},
				{"prompt", ""},
				{"parser", ""},
			},
			names: []dialectName{
				{attrSession, []string{"langsmith.metadata.session_id", "langsmith.metadata.thread_id", "langsmith.metadata.conversation_id"}},
				{attrUserID, []string{"langsmith.metadata.user_id"}},
				{attrWorkflow, []string{"langsmith.trace.name"}},
				{attrRequestModel, []string{"langsmith.metadata.ls_model_name"}},
				{attrProvider, []string{"langsmith.metadata.ls_provider"}},
			},
		},
		{
			name: "haystack", kind: "haystack.component.type",
			kinds: []dialectKind{
				{"*Generator", "chat"}, {"*Embedder", "embeddings"}, {"*Retriever", "retrieval"}, {"*Ranker", "rerank"},
				{"ToolInvoker", operationTool}, {"Agent", operationAgent}, {"*", ""},
			},
			names: []dialectName{
				{attrTraceloopName, []string{"haystack.component.name"}},
				{attrRequestBody, []string{"haystack.component.input", "haystack.agent.input"}},
				{attrResponseBody, []string{"haystack.component.output", "haystack.agent.output"}},
			},
		},
		{
			name: "crewai", scope: "crewai",
			spans: []dialectKind{{"Tool Usage", operationTool}, {"Tool Repeated Usage", operationTool}, {"Tool Usage Error", operationTool}},
		},
		{
			name:  "claude code",
			spans: []dialectKind{{"claude_code.llm_request", "chat"}, {"claude_code.tool", operationTool}},
		},
		{
			name: "guardrails",
			names: []dialectName{
				{attrGuardrail, []string{"gen_ai.guardian.name", "gen_ai.guardian.id", "gen_ai.security.policy.name"}},
				{attrVerdict, []string{"gen_ai.run_guardrail.verdict.type", "gen_ai.security.decision.type"}},
				{attrGuardrailAction, []string{"gen_ai.run_guardrail.action.type", "gen_ai.security.action.type"}},
				{attrRisk, []string{"gen_ai.guardrail.risk.category", "gen_ai.run_guardrail.risk.category"}},
			},
		},
		{
			name: "vllm", scope: "vllm",
			spans: []dialectKind{{"llm_request", "chat"}},
			names: []dialectName{{attrResponseID, []string{"gen_ai.request.id"}}},
		},
		{
			name: "docker mcp gateway", scope: "github.com/docker/mcp-gateway",
			spans: []dialectKind{{"mcp.tool.call", operationTool}},
		},
		{
			name: "mcp servers",
			names: []dialectName{
				{attrMCPServer, []string{"fastmcp.server.name", "mcp.target", "mcp.server"}},
				{attrToolName, []string{"mcp.tool.name"}},
				{attrClient, []string{"src.addr"}},
				{attrHTTPStatus, []string{"http.status"}},
				{attrURLPath, []string{"http.path"}},
			},
		},
	}
}

// Operations that a proxy performs for its caller.
const (
	operationProxiedTool = "proxied tools/call"
	operationProxiedList = "proxied tools/list"
)

// speech finds the operation of a span in any dialect. It is immutable.
type speech struct {
	dialects []dialect
	kinds    []attribute // of each dialect, the attribute that names the kind
}

// firstSpeechAttribute is the attribute of the first dialect with a kind. maxDialects bounds the dialects that have one.
const (
	firstSpeechAttribute = attrCodeLast
	maxDialects          = 12
)

func newSpeech() *speech {
	s := &speech{dialects: allDialects()}
	keys := map[string]attribute{}
	for i := range s.dialects {
		kind := s.dialects[i].kind
		if _, ok := keys[kind]; !ok {
			keys[kind] = firstSpeechAttribute + attribute(len(keys))
		}
		s.kinds = append(s.kinds, keys[kind])
	}
	if len(keys) > maxDialects {
		panic("BUG: more dialects with a kind than maxDialects")
	}
	return s
}

// names adds the names of the dialects to those of the conventions.
func (s *speech) names(to *[numAttributes][]string) {
	for i := range s.dialects {
		d := &s.dialects[i]
		if d.kind != "" {
			to[s.kinds[i]] = []string{d.kind}
		}
		for _, n := range d.names {
			for _, name := range n.names {
				if !contains(to[n.attribute], name) {
					to[n.attribute] = append(to[n.attribute], name)
				}
			}
		}
	}
}

func contains(list []string, text string) bool {
	for _, s := range list {
		if s == text {
			return true
		}
	}
	return false
}

// scoped returns the index of the dialect whose scope it is, or -1.
func (s *speech) scoped(scope string) int {
	for i := range s.dialects {
		if d := &s.dialects[i]; d.scope != "" && len(scope) >= len(d.scope) && strings.EqualFold(scope[:len(d.scope)], d.scope) {
			return i
		}
	}
	return -1
}

// operation returns the operation of a span by the attribute that names its kind. first selects the dialects in which that
// attribute counts more than gen_ai.operation.name. known is true if a dialect knows the kind, even as no activity.
func (s *speech) operation(el *formats.Element, a *attributes, first bool) (op string, known bool) {
	for i := range s.dialects {
		d := &s.dialects[i]
		if d.kind == "" || d.first != first {
			continue
		}
		value := a.at(s.kinds[i])
		if !value.Present() {
			continue
		}
		if op, ok := kindIn(d.kinds, el.Text(value)); ok {
			known = true
			if op != "" {
				return op, true
			}
		}
	}
	return "", known
}

// span returns the operation of a span by its name. scoped is the index of the dialect of its scope, or -1.
func (s *speech) span(name string, scoped int) (op string, known bool) {
	for i := range s.dialects {
		if d := &s.dialects[i]; len(d.spans) > 0 && (d.scope == "" || i == scoped) {
			if op, ok := kindIn(d.spans, name); ok {
				return op, true
			}
		}
	}
	return "", false
}

// kindIn returns the operation of a value.
func kindIn(kinds []dialectKind, value string) (op string, ok bool) {
	for i := range kinds {
		if matches(kinds[i].value, value) {
			return kinds[i].operation, true
		}
	}
	return "", false
}

// matches reports whether a text matches a pattern with at most two *, in any case.
func matches(pattern, text string) bool {
	before, after, ok := strings.Cut(pattern, "*")
	if !ok {
		return strings.EqualFold(pattern, text)
	}
	if len(text) < len(before)+len(after) || !strings.EqualFold(text[:len(before)], before) {
		return false
	}
	if middle, _, ok := strings.Cut(after, "*"); ok {
		return strings.Contains(text[len(before):], middle)
	}
	return strings.EqualFold(text[len(text)-len(after):], after)
}
