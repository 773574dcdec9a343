// Code generated from field.tsv by go test ./schema -run TestFieldsAreCurrent -update; DO NOT EDIT.

package schema

// The fields of an event, in the order of the table. Numbers are never stored; names are.
const (
	// time: When the activity started, UTC.
	Time Field = iota
	// event.id: The producer's own id of the record; ids that callers choose are never stored here.
	EventID
	// event.ingested: When the record was read. No rule can see it.
	EventIngested
	// event.duration: How long the activity took, in nanoseconds.
	EventDuration
	// event.dataset: Log that the event comes from, such as litellm or aws.cloudtrail.
	EventDataset
	// event.class: Kind of activity: api, http, llm, tool, auth, audit or guardrail.
	EventClass
	// event.action: Operation, such as chat, tools/call or s3:GetObject.
	EventAction
	// event.type: Create, read, update, delete and the like.
	EventType
	// event.outcome: success, failure or unknown.
	EventOutcome
	// disposition: Decision of a control: allowed or blocked.
	Disposition
	// error.type: Error code as the producer gave it.
	ErrorType
	// event.truncated: True if a text was truncated to the size cap.
	EventTruncated
	// event.raw_ref: Position of the record: topic/partition/offset/index. No rule can see it.
	EventRawRef
	// trace.id: Trace the activity belongs to.
	TraceID
	// span.id: Span of the activity.
	SpanID
	// span.parent_id: Parent span.
	SpanParentID
	// session.id: Agent session, MCP session or conversation.
	SessionID
	// organization.id: Tenant as the producer names it.
	OrganizationID
	// ai_agent.uid: Stable id of the agent, the key of baselines and shards.
	AIAgentUID
	// ai_agent.uid_source: Raw field that the agent id was taken from (the rung of the identity ladder).
	AIAgentUIDSource
	// ai_agent.declared_uid: Agent id that the caller declares and that its principal does not confirm.
	AIAgentDeclaredUID
	// ai_agent.instance_uid: One run or role session of the agent.
	AIAgentInstanceUID
	// ai_agent.name: Name of the agent.
	AIAgentName
	// ai_agent.version: Version of the agent.
	AIAgentVersion
	// ai_agent.type: Framework of the agent.
	AIAgentType
	// ai_agent.workflow: What the agent was set to do: the producer's name of it, else a hash of its instructions and tools.
	AIAgentWorkflow
	// user.id: User id.
	UserID
	// user.name: User name.
	UserName
	// user.email: User's e-mail address.
	UserEmail
	// user.type: human, service, ai_agent, system or unknown.
	UserType
	// on_behalf_of.id: User that delegated the activity to the agent (RFC 8693 sense).
	OnBehalfOfID
	// credential.uid: Key id, or hex of the SHA-256 of the secret; never the secret.
	CredentialUID
	// credential.type: api_key, jwt, sigv4, mtls or session.
	CredentialType
	// client.app.id: OAuth client or consumer application.
	ClientAppID
	// client.app.name: Name of the client application.
	ClientAppName
	// source.ip: Address the call came from.
	SourceIP
	// source.domain: Name of the calling service, if its address is not known.
	SourceDomain
	// source.as.number: Autonomous system of source.ip (enrichment).
	SourceASNumber
	// source.geo.country_iso_code: Country of source.ip (enrichment).
	SourceGeoCountryISOCode
	// user_agent.original: User agent as sent.
	UserAgentOriginal
	// service.target.name: Service that was called.
	ServiceTargetName
	// resource.id: Resource acted on.
	ResourceID
	// resource.type: Type of the resource.
	ResourceType
	// resource.name: Name of the resource.
	ResourceName
	// cloud.provider: aws, azure or gcp.
	CloudProvider
	// cloud.account.id: Account, subscription or project.
	CloudAccountID
	// cloud.region: Region.
	CloudRegion
	// http.request.method: HTTP method.
	HTTPRequestMethod
	// url.domain: Host of the URL.
	URLDomain
	// url.path: Path of the URL, without the query string.
	URLPath
	// http.route: Route template, of low cardinality.
	HTTPRoute
	// http.response.status_code: HTTP status code.
	HTTPResponseStatusCode
	// http.request.bytes: Size of the request in bytes.
	HTTPRequestBytes
	// http.response.bytes: Size of the response in bytes.
	HTTPResponseBytes
	// http.request.id: Id of the request, as the gateway or caller gave it.
	HTTPRequestID
	// gen_ai.operation.name: chat, text_completion, embeddings, execute_tool and the like.
	GenAIOperationName
	// gen_ai.provider.name: Provider of the model.
	GenAIProviderName
	// gen_ai.request.model: Model that was asked for.
	GenAIRequestModel
	// gen_ai.response.model: Model that answered.
	GenAIResponseModel
	// gen_ai.response.id: Id of the response.
	GenAIResponseID
	// gen_ai.conversation.id: Conversation.
	GenAIConversationID
	// gen_ai.usage.input_tokens: Input tokens, cached ones included.
	GenAIUsageInputTokens
	// gen_ai.usage.output_tokens: Output tokens.
	GenAIUsageOutputTokens
	// gen_ai.usage.cache_read.input_tokens: Input tokens read from a cache.
	GenAIUsageCacheReadInputTokens
	// gen_ai.usage.reasoning.output_tokens: Output tokens spent on reasoning.
	GenAIUsageReasoningOutputTokens
	// gen_ai.usage.cost: Cost in USD.
	GenAIUsageCost
	// gen_ai.response.finish_reasons: Why the model stopped, one per choice.
	GenAIResponseFinishReasons
	// gen_ai.system_instructions.hash: Hex of the SHA-256 of the system instructions.
	GenAISystemInstructionsHash
	// message_context.prompt_text: New text of the user in this call.
	MessageContextPromptText
	// message_context.response_text: Text of the model's answer.
	MessageContextResponseText
	// gen_ai.tool.name: Tool that was called.
	GenAIToolName
	// gen_ai.tool.call.id: Id of the call; the JSON-RPC id for MCP.
	GenAIToolCallID
	// gen_ai.tool.call.arguments: Arguments of the call.
	GenAIToolCallArguments
	// gen_ai.tool.call.result: Result of the call.
	GenAIToolCallResult
	// gen_ai.tool.called: True if the record shows a tool being called.
	GenAIToolCalled
	// gen_ai.tool.returned: True if the record shows what a tool call returned.
	GenAIToolReturned
	// gen_ai.tool.definitions.hash: Hex of the SHA-256 of the tool definitions offered.
	GenAIToolDefinitionsHash
	// gen_ai.tool.definitions.count: Number of tools offered.
	GenAIToolDefinitionsCount
	// mcp.method.name: MCP method.
	MCPMethodName
	// mcp.session.id: MCP session.
	MCPSessionID
	// mcp.server.name: MCP server.
	MCPServerName
	// mcp.resource.uri: MCP resource.
	MCPResourceURI
	// guardrail.name: Name of the guardrail.
	GuardrailName
	// guardrail.verdict: Verdict of the guardrail.
	GuardrailVerdict
	// guardrail.action: Action of the guardrail.
	GuardrailAction
	// guardrail.risk.category: Category of the risk that the guardrail detected.
	GuardrailRiskCategory
	// rule.id: Rule that triggered; only rules with over see it.
	RuleID
	// rule.severity: Severity of that rule.
	RuleSeverity
	// rule.tag: Tags of that rule.
	RuleTag
	// rule.tactic: Tactics of the tags of that rule, those of techniques included.
	RuleTactic
	// rule.opens: True if the trigger opened a finding of that rule.
	RuleOpens
	// provenance.value: Value that came out of an untrusted result, as the trigger of a provenance rule has it.
	ProvenanceValue
	// provenance.argument: Argument of the call that held the value.
	ProvenanceArgument
	// provenance.source: Tool whose result brought the value.
	ProvenanceSource
)

// NumFields is the number of fields.
const NumFields = 94

var fieldInfo = [NumFields]FieldInfo{
	Time: {
		Name: "time", Type: TypeTimestamp,
		Doc:  "When the activity started, UTC.",
		OCSF: "time", ECS: "@timestamp", OTel: "start time / Timestamp",
	},
	EventID: {
		Name: "event.id", Type: TypeString,
		Doc:  "The producer's own id of the record; ids that callers choose are never stored here.",
		OCSF: "metadata.original_event_uid", ECS: "event.id", OTel: "log.record.uid",
	},
	EventIngested: {
		Name: "event.ingested", Type: TypeTimestamp,
		Doc:  "When the record was read. No rule can see it.",
		OCSF: "metadata.processed_time", ECS: "event.ingested", OTel: "ObservedTimestamp",
	},
	EventDuration: {
		Name: "event.duration", Type: TypeInt,
		Doc:  "How long the activity took, in nanoseconds.",
		OCSF: "duration (ms)", ECS: "event.duration", OTel: "end - start",
	},
	EventDataset: {
		Name: "event.dataset", Type: TypeString,
		Doc:  "Log that the event comes from, such as litellm or aws.cloudtrail.",
		OCSF: "metadata.log_name", ECS: "event.dataset", OTel: "scope name",
	},
	EventClass: {
		Name: "event.class", Type: TypeString,
		Doc:  "Kind of activity: api, http, llm, tool, auth, audit or guardrail.",
		OCSF: "class_uid + profile", ECS: "event.category", OTel: "span kind",
	},
	EventAction: {
		Name: "event.action", Type: TypeString,
		Doc:  "Operation, such as chat, tools/call or s3:GetObject.",
		OCSF: "api.operation", ECS: "event.action", OTel: "gen_ai.operation.name / mcp.method.name",
	},
	EventType: {
		Name: "event.type", Type: TypeString,
		Doc:  "Create, read, update, delete and the like.",
		OCSF: "activity_id", ECS: "event.type", OTel: "",
	},
	EventOutcome: {
		Name: "event.outcome", Type: TypeString,
		Doc:  "success, failure or unknown.",
		OCSF: "status_id", ECS: "event.outcome", OTel: "status.code",
	},
	Disposition: {
		Name: "disposition", Type: TypeString,
		Doc:  "Decision of a control: allowed or blocked.",
		OCSF: "disposition_id", ECS: "", OTel: "gen_ai.guardrail.action.type (proposal)",
	},
	ErrorType: {
		Name: "error.type", Type: TypeString,
		Doc:  "Error code as the producer gave it.",
		OCSF: "status_code", ECS: "error.code", OTel: "error.type",
	},
	EventTruncated: {
		Name: "event.truncated", Type: TypeBool,
		Doc:  "True if a text was truncated to the size cap.",
		OCSF: "metadata.is_truncated", ECS: "", OTel: "",
	},
	EventRawRef: {
		Name: "event.raw_ref", Type: TypeString,
		Doc:  "Position of the record: topic/partition/offset/index. No rule can see it.",
		OCSF: "raw_data_hash", ECS: "", OTel: "messaging.kafka.offset",
	},
	TraceID: {
		Name: "trace.id", Type: TypeString,
		Doc:  "Trace the activity belongs to.",
		OCSF: "trace.uid", ECS: "trace.id", OTel: "TraceId",
	},
	SpanID: {
		Name: "span.id", Type: TypeString,
		Doc:  "Span of the activity.",
		OCSF: "trace.span.uid", ECS: "span.id", OTel: "SpanId",
	},
	SpanParentID: {
		Name: "span.parent_id", Type: TypeString,
		Doc:  "Parent span.",
		OCSF: "trace.span.parent_uid", ECS: "parent.id", OTel: "ParentSpanId",
	},
	SessionID: {
		Name: "session.id", Type: TypeString,
		Doc:  "Agent session, MCP session or conversation.",
		OCSF: "actor.session.uid", ECS: "", OTel: "session.id",
	},
	OrganizationID: {
		Name: "organization.id", Type: TypeString,
		Doc:  "Tenant as the producer names it.",
		OCSF: "metadata.tenant_uid", ECS: "organization.id", OTel: "",
	},
	AIAgentUID: {
		Name: "ai_agent.uid", Type: TypeString,
		Doc:  "Stable id of the agent, the key of baselines and shards.",
		OCSF: "ai_agent.uid", ECS: "gen_ai.agent.id", OTel: "gen_ai.agent.id",
	},
	AIAgentUIDSource: {
		Name: "ai_agent.uid_source", Type: TypeString,
		Doc:  "Raw field that the agent id was taken from (the rung of the identity ladder).",
		OCSF: "", ECS: "", OTel: "",
	},
	AIAgentDeclaredUID: {
		Name: "ai_agent.declared_uid", Type: TypeString,
		Doc:  "Agent id that the caller declares and that its principal does not confirm.",
		OCSF: "", ECS: "", OTel: "gen_ai.agent.id",
	},
	AIAgentInstanceUID: {
		Name: "ai_agent.instance_uid", Type: TypeString,
		Doc:  "One run or role session of the agent.",
		OCSF: "ai_agent.instance_uid", ECS: "", OTel: "service.instance.id",
	},
	AIAgentName: {
		Name: "ai_agent.name", Type: TypeString,
		Doc:  "Name of the agent.",
		OCSF: "ai_agent.name", ECS: "gen_ai.agent.name", OTel: "gen_ai.agent.name",
	},
	AIAgentVersion: {
		Name: "ai_agent.version", Type: TypeString,
		Doc:  "Version of the agent.",
		OCSF: "ai_agent.version", ECS: "", OTel: "gen_ai.agent.version",
	},
	AIAgentType: {
		Name: "ai_agent.type", Type: TypeString,
		Doc:  "Framework of the agent.",
		OCSF: "ai_agent.type", ECS: "", OTel: "telemetry.sdk / scope",
	},
	AIAgentWorkflow: {
		Name: "ai_agent.workflow", Type: TypeString,
		Doc:  "What the agent was set to do: the producer's name of it, else a hash of its instructions and tools.",
		OCSF: "", ECS: "", OTel: "",
	},
	UserID: {
		Name: "user.id", Type: TypeString,
		Doc:  "User id.",
		OCSF: "actor.user.uid", ECS: "user.id", OTel: "user.id",
	},
	UserName: {
		Name: "user.name", Type: TypeString,
		Doc:  "User name.",
		OCSF: "actor.user.name", ECS: "user.name", OTel: "user.name",
	},
	UserEmail: {
		Name: "user.email", Type: TypeString,
		Doc:  "User's e-mail address.",
		OCSF: "actor.user.email_addr", ECS: "user.email", OTel: "user.email",
	},
	UserType: {
		Name: "user.type", Type: TypeString,
		Doc:  "human, service, ai_agent, system or unknown.",
		OCSF: "actor.user.type_id (no agent value)", ECS: "", OTel: "",
	},
	OnBehalfOfID: {
		Name: "on_behalf_of.id", Type: TypeString,
		Doc:  "User that delegated the activity to the agent (RFC 8693 sense).",
		OCSF: "actor.user when ai_agent is set", ECS: "user.effective.id", OTel: "",
	},
	CredentialUID: {
		Name: "credential.uid", Type: TypeString,
		Doc:  "Key id, or hex of the SHA-256 of the secret; never the secret.",
		OCSF: "actor.user.credential_uid", ECS: "", OTel: "",
	},
	CredentialType: {
		Name: "credential.type", Type: TypeString,
		Doc:  "api_key, jwt, sigv4, mtls or session.",
		OCSF: "api.token.type_id", ECS: "", OTel: "",
	},
	ClientAppID: {
		Name: "client.app.id", Type: TypeString,
		Doc:  "OAuth client or consumer application.",
		OCSF: "actor.app_uid", ECS: "", OTel: "",
	},
	ClientAppName: {
		Name: "client.app.name", Type: TypeString,
		Doc:  "Name of the client application.",
		OCSF: "message_context.application", ECS: "", OTel: "",
	},
	SourceIP: {
		Name: "source.ip", Type: TypeString,
		Doc:  "Address the call came from.",
		OCSF: "src_endpoint.ip", ECS: "source.ip", OTel: "client.address",
	},
	SourceDomain: {
		Name: "source.domain", Type: TypeString,
		Doc:  "Name of the calling service, if its address is not known.",
		OCSF: "src_endpoint.svc_name", ECS: "source.domain", OTel: "client.address",
	},
	SourceASNumber: {
		Name: "source.as.number", Type: TypeInt,
		Doc:  "Autonomous system of source.ip (enrichment).",
		OCSF: "src_endpoint.autonomous_system", ECS: "source.as.number", OTel: "",
	},
	SourceGeoCountryISOCode: {
		Name: "source.geo.country_iso_code", Type: TypeString,
		Doc:  "Country of source.ip (enrichment).",
		OCSF: "src_endpoint.location.country", ECS: "source.geo.country_iso_code", OTel: "geo.country.iso_code",
	},
	UserAgentOriginal: {
		Name: "user_agent.original", Type: TypeString,
		Doc:  "User agent as sent.",
		OCSF: "http_request.user_agent", ECS: "user_agent.original", OTel: "user_agent.original",
	},
	ServiceTargetName: {
		Name: "service.target.name", Type: TypeString,
		Doc:  "Service that was called.",
		OCSF: "api.service.name", ECS: "service.target.name", OTel: "peer.service / server.address",
	},
	ResourceID: {
		Name: "resource.id", Type: TypeString,
		Doc:  "Resource acted on.",
		OCSF: "resources[].uid", ECS: "- (cloud.* / orchestrator.resource)", OTel: "cloud.resource_id",
	},
	ResourceType: {
		Name: "resource.type", Type: TypeString,
		Doc:  "Type of the resource.",
		OCSF: "resources[].type", ECS: "orchestrator.resource.type", OTel: "",
	},
	ResourceName: {
		Name: "resource.name", Type: TypeString,
		Doc:  "Name of the resource.",
		OCSF: "resources[].name", ECS: "orchestrator.resource.name", OTel: "",
	},
	CloudProvider: {
		Name: "cloud.provider", Type: TypeString,
		Doc:  "aws, azure or gcp.",
		OCSF: "cloud.provider", ECS: "cloud.provider", OTel: "cloud.provider",
	},
	CloudAccountID: {
		Name: "cloud.account.id", Type: TypeString,
		Doc:  "Account, subscription or project.",
		OCSF: "cloud.account.uid", ECS: "cloud.account.id", OTel: "cloud.account.id",
	},
	CloudRegion: {
		Name: "cloud.region", Type: TypeString,
		Doc:  "Region.",
		OCSF: "cloud.region", ECS: "cloud.region", OTel: "cloud.region",
	},
	HTTPRequestMethod: {
		Name: "http.request.method", Type: TypeString,
		Doc:  "HTTP method.",
		OCSF: "http_request.http_method", ECS: "http.request.method", OTel: "http.request.method",
	},
	URLDomain: {
		Name: "url.domain", Type: TypeString,
		Doc:  "Host of the URL.",
		OCSF: "http_request.url.hostname", ECS: "url.domain", OTel: "server.address",
	},
	URLPath: {
		Name: "url.path", Type: TypeString,
		Doc:  "Path of the URL, without the query string.",
		OCSF: "http_request.url.path", ECS: "url.path", OTel: "url.path",
	},
	HTTPRoute: {
		Name: "http.route", Type: TypeString,
		Doc:  "Route template, of low cardinality.",
		OCSF: "", ECS: "", OTel: "http.route",
	},
	HTTPResponseStatusCode: {
		Name: "http.response.status_code", Type: TypeInt,
		Doc:  "HTTP status code.",
		OCSF: "http_response.code", ECS: "http.response.status_code", OTel: "http.response.status_code",
	},
	HTTPRequestBytes: {
		Name: "http.request.bytes", Type: TypeInt,
		Doc:  "Size of the request in bytes.",
		OCSF: "http_request.length", ECS: "http.request.bytes", OTel: "http.request.size",
	},
	HTTPResponseBytes: {
		Name: "http.response.bytes", Type: TypeInt,
		Doc:  "Size of the response in bytes.",
		OCSF: "http_response.length", ECS: "http.response.bytes", OTel: "http.response.size",
	},
	HTTPRequestID: {
		Name: "http.request.id", Type: TypeString,
		Doc:  "Id of the request, as the gateway or caller gave it.",
		OCSF: "http_request.uid", ECS: "http.request.id", OTel: "",
	},
	GenAIOperationName: {
		Name: "gen_ai.operation.name", Type: TypeString,
		Doc:  "chat, text_completion, embeddings, execute_tool and the like.",
		OCSF: "api.operation", ECS: "gen_ai.operation.name", OTel: "gen_ai.operation.name",
	},
	GenAIProviderName: {
		Name: "gen_ai.provider.name", Type: TypeString,
		Doc:  "Provider of the model.",
		OCSF: "ai_model.ai_provider", ECS: "gen_ai.system", OTel: "gen_ai.provider.name",
	},
	GenAIRequestModel: {
		Name: "gen_ai.request.model", Type: TypeString,
		Doc:  "Model that was asked for.",
		OCSF: "ai_model.name", ECS: "gen_ai.request.model", OTel: "gen_ai.request.model",
	},
	GenAIResponseModel: {
		Name: "gen_ai.response.model", Type: TypeString,
		Doc:  "Model that answered.",
		OCSF: "ai_model.name/version", ECS: "gen_ai.response.model", OTel: "gen_ai.response.model",
	},
	GenAIResponseID: {
		Name: "gen_ai.response.id", Type: TypeString,
		Doc:  "Id of the response.",
		OCSF: "api.response.uid? (none exact)", ECS: "gen_ai.response.id", OTel: "gen_ai.response.id",
	},
	GenAIConversationID: {
		Name: "gen_ai.conversation.id", Type: TypeString,
		Doc:  "Conversation.",
		OCSF: "message_context.uid", ECS: "", OTel: "gen_ai.conversation.id",
	},
	GenAIUsageInputTokens: {
		Name: "gen_ai.usage.input_tokens", Type: TypeInt,
		Doc:  "Input tokens, cached ones included.",
		OCSF: "message_context.prompt_tokens", ECS: "gen_ai.usage.input_tokens", OTel: "gen_ai.usage.input_tokens",
	},
	GenAIUsageOutputTokens: {
		Name: "gen_ai.usage.output_tokens", Type: TypeInt,
		Doc:  "Output tokens.",
		OCSF: "message_context.completion_tokens", ECS: "gen_ai.usage.output_tokens", OTel: "gen_ai.usage.output_tokens",
	},
	GenAIUsageCacheReadInputTokens: {
		Name: "gen_ai.usage.cache_read.input_tokens", Type: TypeInt,
		Doc:  "Input tokens read from a cache.",
		OCSF: "", ECS: "", OTel: "gen_ai.usage.cache_read.input_tokens",
	},
	GenAIUsageReasoningOutputTokens: {
		Name: "gen_ai.usage.reasoning.output_tokens", Type: TypeInt,
		Doc:  "Output tokens spent on reasoning.",
		OCSF: "", ECS: "", OTel: "gen_ai.usage.reasoning.output_tokens",
	},
	GenAIUsageCost: {
		Name: "gen_ai.usage.cost", Type: TypeDouble,
		Doc:  "Cost in USD.",
		OCSF: "", ECS: "", OTel: "",
	},
	GenAIResponseFinishReasons: {
		Name: "gen_ai.response.finish_reasons", Type: TypeList,
		Doc:  "Why the model stopped, one per choice.",
		OCSF: "", ECS: "gen_ai.response.finish_reasons", OTel: "gen_ai.response.finish_reasons",
	},
	GenAISystemInstructionsHash: {
		Name: "gen_ai.system_instructions.hash", Type: TypeString,
		Doc:  "Hex of the SHA-256 of the system instructions.",
		OCSF: "ai_agent.charter hash", ECS: "(gen_ai.system_instructions)", OTel: "(gen_ai.system_instructions)",
	},
	MessageContextPromptText: {
		Name: "message_context.prompt_text", Type: TypeString,
		Doc:  "New text of the user in this call.",
		OCSF: "message_context.prompt_text", ECS: "(gen_ai.input.messages)", OTel: "(gen_ai.input.messages)",
	},
	MessageContextResponseText: {
		Name: "message_context.response_text", Type: TypeString,
		Doc:  "Text of the model's answer.",
		OCSF: "message_context.response_text", ECS: "(gen_ai.output.messages)", OTel: "(gen_ai.output.messages)",
	},
	GenAIToolName: {
		Name: "gen_ai.tool.name", Type: TypeString,
		Doc:  "Tool that was called.",
		OCSF: "api.operation", ECS: "gen_ai.tool.name", OTel: "gen_ai.tool.name",
	},
	GenAIToolCallID: {
		Name: "gen_ai.tool.call.id", Type: TypeString,
		Doc:  "Id of the call; the JSON-RPC id for MCP.",
		OCSF: "api.request.uid", ECS: "gen_ai.tool.call.id", OTel: "gen_ai.tool.call.id / jsonrpc.request.id",
	},
	GenAIToolCallArguments: {
		Name: "gen_ai.tool.call.arguments", Type: TypeDyn,
		Doc:  "Arguments of the call.",
		OCSF: "api.request.data", ECS: "gen_ai.tool.call.arguments", OTel: "gen_ai.tool.call.arguments",
	},
	GenAIToolCallResult: {
		Name: "gen_ai.tool.call.result", Type: TypeDyn,
		Doc:  "Result of the call.",
		OCSF: "api.response.data", ECS: "gen_ai.tool.call.result", OTel: "gen_ai.tool.call.result",
	},
	GenAIToolCalled: {
		Name: "gen_ai.tool.called", Type: TypeBool,
		Doc:  "True if the record shows a tool being called.",
		OCSF: "", ECS: "", OTel: "",
	},
	GenAIToolReturned: {
		Name: "gen_ai.tool.returned", Type: TypeBool,
		Doc:  "True if the record shows what a tool call returned.",
		OCSF: "", ECS: "", OTel: "",
	},
	GenAIToolDefinitionsHash: {
		Name: "gen_ai.tool.definitions.hash", Type: TypeString,
		Doc:  "Hex of the SHA-256 of the tool definitions offered.",
		OCSF: "", ECS: "(gen_ai.tool.definitions)", OTel: "(gen_ai.tool.definitions)",
	},
	GenAIToolDefinitionsCount: {
		Name: "gen_ai.tool.definitions.count", Type: TypeInt,
		Doc:  "Number of tools offered.",
		OCSF: "", ECS: "", OTel: "",
	},
	MCPMethodName: {
		Name: "mcp.method.name", Type: TypeString,
		Doc:  "MCP method.",
		OCSF: "api.operation", ECS: "", OTel: "mcp.method.name",
	},
	MCPSessionID: {
		Name: "mcp.session.id", Type: TypeString,
		Doc:  "MCP session.",
		OCSF: "actor.session.uid", ECS: "", OTel: "mcp.session.id",
	},
	MCPServerName: {
		Name: "mcp.server.name", Type: TypeString,
		Doc:  "MCP server.",
		OCSF: "api.service.name", ECS: "", OTel: "server.address",
	},
	MCPResourceURI: {
		Name: "mcp.resource.uri", Type: TypeString,
		Doc:  "MCP resource.",
		OCSF: "resources[].uid", ECS: "", OTel: "mcp.resource.uri",
	},
	GuardrailName: {
		Name: "guardrail.name", Type: TypeString,
		Doc:  "Name of the guardrail.",
		OCSF: "", ECS: "", OTel: "gen_ai.guardrail.component.name (proposal)",
	},
	GuardrailVerdict: {
		Name: "guardrail.verdict", Type: TypeString,
		Doc:  "Verdict of the guardrail.",
		OCSF: "verdict", ECS: "", OTel: "gen_ai.guardrail.verdict.type (proposal)",
	},
	GuardrailAction: {
		Name: "guardrail.action", Type: TypeString,
		Doc:  "Action of the guardrail.",
		OCSF: "action_id", ECS: "", OTel: "gen_ai.guardrail.action.type (proposal)",
	},
	GuardrailRiskCategory: {
		Name: "guardrail.risk.category", Type: TypeString,
		Doc:  "Category of the risk that the guardrail detected.",
		OCSF: "attacks", ECS: "", OTel: "gen_ai.security.risk.category (proposal)",
	},
	RuleID: {
		Name: "rule.id", Type: TypeString,
		Doc:  "Rule that triggered; only rules with over see it.",
		OCSF: "", ECS: "", OTel: "",
	},
	RuleSeverity: {
		Name: "rule.severity", Type: TypeString,
		Doc:  "Severity of that rule.",
		OCSF: "", ECS: "", OTel: "",
	},
	RuleTag: {
		Name: "rule.tag", Type: TypeList,
		Doc:  "Tags of that rule.",
		OCSF: "", ECS: "", OTel: "",
	},
	RuleTactic: {
		Name: "rule.tactic", Type: TypeList,
		Doc:  "Tactics of the tags of that rule, those of techniques included.",
		OCSF: "", ECS: "", OTel: "",
	},
	RuleOpens: {
		Name: "rule.opens", Type: TypeBool,
		Doc:  "True if the trigger opened a finding of that rule.",
		OCSF: "", ECS: "", OTel: "",
	},
	ProvenanceValue: {
		Name: "provenance.value", Type: TypeString,
		Doc:  "Value that came out of an untrusted result, as the trigger of a provenance rule has it.",
		OCSF: "", ECS: "", OTel: "",
	},
	ProvenanceArgument: {
		Name: "provenance.argument", Type: TypeString,
		Doc:  "Argument of the call that held the value.",
		OCSF: "", ECS: "", OTel: "",
	},
	ProvenanceSource: {
		Name: "provenance.source", Type: TypeString,
		Doc:  "Tool whose result brought the value.",
		OCSF: "", ECS: "", OTel: "",
	},
}
