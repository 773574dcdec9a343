package llm

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// attribute identifies the meaning of an attribute, whichever of its names an instrumentation uses.
type attribute uint8

const (
	attrOperation attribute = iota
	attrTraceloopName
	attrProvider
	attrRequestModel
	attrResponseModel
	attrResponseID
	attrFinishReasons
	attrInputTokens
	attrOutputTokens
	attrCacheRead
	attrReasoning
	attrCost
	attrAgentID
	attrAgentName
	attrAgentVersion
	attrWorkflow
	attrConversation
	attrSession
	attrUserID
	attrEndUser
	attrSubject
	attrKeyHash
	attrKeyAlias
	attrOnBehalf
	attrUserName
	attrUserEmail
	attrOrganization
	attrToolName
	attrToolCallID
	attrToolArguments
	attrToolResult
	attrToolDefinitions
	attrSystem
	attrInputMessages
	attrOutputMessages
	attrInputValue
	attrInputMIME
	attrOutputValue
	attrOutputMIME
	attrOutputText
	attrRequestBody // of the model's own API
	attrResponseBody
	attrMessageEvents
	attrToolCalls
	attrToolStatus
	attrUsageDetails
	attrCostDetails
	attrLevel
	attrMCPMethod
	attrMCPSession
	attrMCPResource
	attrMCPServer
	attrMCPMetadata
	attrRPCID
	attrPromptName
	attrErrorType
	attrServer
	attrClient
	attrUserAgent
	attrHTTPMethod
	attrHTTPStatus
	attrURLPath
	attrURL
	attrRoute
	attrRequestBytes
	attrResponseBytes
	attrService
	attrServiceInstance
	attrServiceVersion
	attrCloudProvider
	attrCloudAccount
	attrCloudRegion
	attrEventName
	attrRecordUID
	attrGuardrail
	attrVerdict
	attrGuardrailAction
	attrRisk
	attrCodeAccount // from here on: the logs of coding agents, whose names are short
	attrCodeConversation
	attrCodeTool
	attrCodeCallID
	attrCodeSuccess
	attrCodeDuration
	attrCodeInput
	attrCodeOutput
	attrCodeParameters
	attrCodeServer
	attrCodeBody
	attrCodeToMode
	attrCodeActiveMode
	attrCodeFromMode
	attrCodeTrigger
	attrCodeSandbox
	attrCodeSandboxed
	attrCodeApproval
	attrCodeServers
	attrCodeState
	attrCodeTransport
	attrCodeModel
	attrCodeCost
	attrCodeInputTokens
	attrCodeOutputTokens
	attrCodeCacheRead
	attrCodeCacheCreation
	attrCodeReasoning
	attrCodePrompt
	attrCodeResponse
	attrCodeDecision
	attrCodeError
	attrCodeStatus
	attrCodeRequestID
	attrCodeVersion
	attrCodeKind
	attrCodeLast  // from here on: the kinds of the dialects
	numAttributes = attrCodeLast + maxDialects
)

// attributeNames returns the names of each attribute, the current convention's name first. If one span has several of
// them, the first of these counts.
func attributeNames() [numAttributes][]string {
	return [numAttributes][]string{
		attrOperation:     {"gen_ai.operation.name"},
		attrTraceloopName: {"traceloop.entity.name"},
		attrProvider:      {"gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor"},
		attrRequestModel:  {"gen_ai.request.model", "llm.request.model", "llm.model_name", "embedding.model_name"},
		attrResponseModel: {"gen_ai.response.model", "llm.response.model"},
		attrResponseID:    {"gen_ai.response.id"},
		attrFinishReasons: {"gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.response.finish_reason", "finish_reasons"},
		attrInputTokens:   {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens", "llm.token_count.prompt"},
		attrOutputTokens: {
			"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens", "llm.token_count.completion",
		},
		attrCacheRead: {
			"gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "llm.token_count.prompt_details.cache_read",
		},
		attrReasoning: {
			"gen_ai.usage.reasoning.output_tokens",
			"gen_ai.usage.reasoning_tokens",
			"llm.usage.reasoning_tokens",
			"llm.token_count.completion_details.reasoning",
		},
		attrCost:            {"gen_ai.usage.cost", "llm.cost.total"},
		attrAgentID:         {"gen_ai.agent.id"},
		attrAgentName:       {"gen_ai.agent.name", "agent.name"},
		attrAgentVersion:    {"gen_ai.agent.version"},
		attrWorkflow:        {"gen_ai.workflow.name", "traceloop.workflow.name"},
		attrConversation:    {"gen_ai.conversation.id", "gen_ai.thread.id"},
		attrSession:         {"session.id", "traceloop.association.properties.session_id"},
		attrUserID:          {"user.id"},
		attrEndUser:         {"enduser.id"},
		attrSubject:         {"jwt.sub"},
		attrUserName:        {"user.name"},
		attrUserEmail:       {"user.email"},
		attrOrganization:    {"organization.id"},
		attrToolName:        {"gen_ai.tool.name", "tool.name"},
		attrToolCallID:      {"gen_ai.tool.call.id", "tool.id"},
		attrToolArguments:   {"gen_ai.tool.call.arguments", "tool.parameters"},
		attrToolResult:      {"gen_ai.tool.call.result"},
		attrToolDefinitions: {"gen_ai.tool.definitions"},
		attrSystem:          {"gen_ai.system_instructions"},
		attrInputMessages:   {"gen_ai.input.messages", "gen_ai.prompt"},
		attrOutputMessages:  {"gen_ai.output.messages", "gen_ai.completion"},
		attrInputValue:      {"input.value", "traceloop.entity.input"},
		attrInputMIME:       {"input.mime_type"},
		attrOutputValue:     {"output.value", "traceloop.entity.output"},
		attrOutputMIME:      {"output.mime_type"},
		attrMCPMethod:       {"mcp.method.name"},
		attrMCPSession:      {"mcp.session.id"},
		attrMCPResource:     {"mcp.resource.uri"},
		attrMCPServer:       {"mcp.server.name"},
		attrRPCID:           {"jsonrpc.request.id", "mcp.request.id"},
		attrPromptName:      {"gen_ai.prompt.name", "mcp.prompt.name"},
		attrErrorType:       {"error.type"},
		attrServer:          {"server.address", "peer.service", "net.peer.name", "net.host.name"},
		attrClient:          {"client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr"},
		attrUserAgent:       {"user_agent.original", "http.user_agent"},
		attrHTTPMethod:      {"http.request.method", "http.method"},
		attrHTTPStatus:      {"http.response.status_code", "http.status_code"},
		attrURLPath:         {"url.path", "http.target"},
		attrURL:             {"url.full", "http.url"},
		attrRoute:           {"http.route"},
		attrRequestBytes:    {"http.request.size", "http.request.body.size", "http.request_content_length"},
		attrResponseBytes:   {"http.response.size", "http.response.body.size", "http.response_content_length"},
		attrService:         {"service.name"},
		attrServiceInstance: {"service.instance.id"},
		attrServiceVersion:  {"service.version"},
		attrCloudProvider:   {"cloud.provider"},
		attrCloudAccount:    {"cloud.account.id"},
		attrCloudRegion:     {"cloud.region"},
		attrEventName:       {"event.name"},
		attrRecordUID:       {"log.record.uid"},
		attrGuardrail:       {"gen_ai.guardrail.component.name", "gen_ai.guardrail.name"},
		attrVerdict:         {"gen_ai.guardrail.verdict.type"},
		attrGuardrailAction: {"gen_ai.guardrail.action.type"},
		attrRisk:            {"gen_ai.security.risk.category"},

		attrCodeAccount:       {"user.account_uuid", "user.account_id"},
		attrCodeConversation:  {"conversation.id"},
		attrCodeTool:          {"tool_name", "function_name"},
		attrCodeCallID:        {"tool_use_id", "call_id"},
		attrCodeSuccess:       {"success"},
		attrCodeDuration:      {"duration_ms"},
		attrCodeInput:         {"tool_input", "function_args", "arguments"},
		attrCodeOutput:        {"tool_output", "output", "function_output"},
		attrCodeParameters:    {"tool_parameters"},
		attrCodeServer:        {"mcp_server_name", "mcp_server", "server_name"},
		attrCodeBody:          {"body"},
		attrCodeToMode:        {"to_mode", "approval_mode", "new_mode", "permission_mode"},
		attrCodeActiveMode:    {"active_approval_mode"},
		attrCodeFromMode:      {"from_mode"},
		attrCodeTrigger:       {"trigger"},
		attrCodeSandbox:       {"sandbox_policy", "sandbox_mode"},
		attrCodeSandboxed:     {"sandbox_enabled", "sandbox"},
		attrCodeApproval:      {"approval_policy"},
		attrCodeServers:       {"mcp_servers"},
		attrCodeState:         {"outcome", "status"},
		attrCodeTransport:     {"transport_type"},
		attrCodeModel:         {"model"},
		attrCodeCost:          {"cost_usd"},
		attrCodeInputTokens:   {"input_tokens", "input_token_count"},
		attrCodeOutputTokens:  {"output_tokens", "output_token_count"},
		attrCodeCacheRead:     {"cache_read_tokens", "cached_token_count", "cached_content_token_count"},
		attrCodeCacheCreation: {"cache_creation_tokens"},
		attrCodeReasoning:     {"reasoning_token_count", "thoughts_token_count"},
		attrCodePrompt:        {"prompt"},
		attrCodeResponse:      {"response_text", "response"},
		attrCodeDecision:      {"decision"},
		attrCodeError:         {"error", "error.message", "error_type"},
		attrCodeStatus:        {"status_code"},
		attrCodeRequestID:     {"request_id"},
		attrCodeVersion:       {"app.version"},
		attrCodeKind:          {"event.kind"},
	}
}

// attributes holds the attributes of a span, log record, resource or scope. An attribute that is missing there is
// looked up in outer. Scalars are kept as their JSON values. Lists and maps are kept in OTLP's form and converted to
// plain JSON on demand.
type attributes struct {
	names   *names
	shape   *formats.Shape
	src     string // the text that all values are spans of
	values  [numAttributes]attrValue
	present attributeSet // the attributes that have a value
	filled  []attribute  // the attributes whose values reset must clear
	size    int          // bytes of all values
	saved   []savedValue
	saving  bool // values that change are added to saved
	// isPlain is set if the values of the element are plain JSON.
	isPlain bool
	outer   *attributes // of the enclosing scope and resource, or nil
	lists   *indexed
	text    []byte // buffer of plain
}

// attributeSet is a set of attributes. Most attributes are absent from most elements, so it answers most look-ups.
type attributeSet [(numAttributes + 63) / 64]uint64

func (s *attributeSet) has(at attribute) bool { return s[at/64]&(1<<(at%64)) != 0 }
func (s *attributeSet) add(at attribute)      { s[at/64] |= 1 << (at % 64) }
func (s *attributeSet) remove(at attribute)   { s[at/64] &^= 1 << (at % 64) }

// attrValue is the value of one attribute. If several of its names are present, the value is that of the lowest rank.
type attrValue struct {
	value  scan.Span
	src    string // the text that value is a span of, if it is not that of the attributes
	rank   uint8
	nested bool
}

func (v *attrValue) present() bool { return v.value.Kind > scan.Null }

// size returns the number of bytes of the value.
func (v *attrValue) size() int { return int(v.value.End - v.value.Start) }

// savedValue is the value that an attribute had before it changed.
type savedValue struct {
	attribute attribute
	value     attrValue
}

// Places in the shape of an attribute.
const (
	attributeKey = iota
	attributeValue
	valueString
	valueInt
	valueBool
	valueDouble
	valueArray
	valueList
	valueBytes
)

func newAttributes(known *names, outer *attributes) *attributes {
	return &attributes{
		names: known, lists: newIndexed(), outer: outer,
		shape: formats.NewShape([][]string{
			attributeKey:   {"key"},
			attributeValue: {"value"},
			valueString:    {"value", "stringValue"},
			valueInt:       {"value", "intValue"},
			valueBool:      {"value", "boolValue"},
			valueDouble:    {"value", "doubleValue"},
			valueArray:     {"value", "arrayValue", "values"},
			valueList:      {"value", "kvlistValue", "values"},
			valueBytes:     {"value", "bytesValue"},
		}...),
	}
}

func (a *attributes) reset() {
	for _, at := range a.filled {
		a.values[at] = attrValue{}
	}
	a.present, a.filled, a.saved, a.saving, a.size = attributeSet{}, a.filled[:0], a.saved[:0], false, 0
	a.lists.reset()
}

// save remembers the values as they are now, for restore. It costs nothing: the values are saved when they change.
func (a *attributes) save() { a.saving = true }

// restore returns the attributes to the values at the call of save. Its cost is that of the attributes read since then.
func (a *attributes) restore() {
	for _, s := range slices.Backward(a.saved) {
		v := &a.values[s.attribute]
		a.size += s.value.size() - v.size()
		if *v = s.value; !v.present() {
			a.present.remove(s.attribute)
			a.filled = a.filled[:len(a.filled)-1] // attributes are filled in the order in which they are saved
		}
	}
	a.saved = a.saved[:0]
}

// lookup returns the value of an attribute and the text that the value is a span of. If the attribute is missing here,
// the value is that in outer.
func (a *attributes) lookup(at attribute) (v *attrValue, src string) {
	if a.present.has(at) || a.outer == nil {
		return &a.values[at], a.src
	}
	v = &a.outer.values[at]
	if v.src != "" {
		return v, v.src
	}
	return v, a.outer.src
}

// read reads a list of attributes. If a key occurs twice, its last value counts and the duplicate is reported as a
// fault. All lists read until the next reset must be in one text.
func (a *attributes) read(el *formats.Element, list formats.Node) {
	if list.Kind == scan.Object {
		a.readPlain(el, list)
		return
	}
	if list.Kind != scan.Array {
		return
	}
	a.src = list.Src
	noted, ok := el.Index.Inside(list.Span)
	if !ok {
		el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
			a.take(el, elem)
			return true
		})
		return
	}
	for ; len(noted) > 0; noted = noted[noted[0].Size():] {
		if key, value, ok := a.plainPair(noted[:noted[0].Size()]); ok {
			a.set(el, key, value, false)
			continue
		}
		a.take(el, noted[0].Span)
	}
}

// readPlain reads attributes that are the members of an object, with plain values.
func (a *attributes) readPlain(el *formats.Element, object formats.Node) {
	if a.src != "" && a.src != object.Src && len(a.filled) > 0 {
		return // all attributes of an element are in one text
	}
	a.src = object.Src
	el.Index.Members(object.Src, object.Span, &el.Arena, func(key string, v scan.Span) bool {
		a.set(el, key, v, false)
		return true
	})
}

// plainPair is a fast path of pair for the form that nearly all attributes have: an object of a key, a text without
// escapes, and a value, which is an object of one scalar, in this order. For any other form ok is false. The names
// prove that both are objects, because only a member of an object has a name.
func (a *attributes) plainPair(noted []scan.IndexEntry) (key string, value scan.Span, ok bool) {
	return plainPair(a.src, noted)
}

func plainPair(src string, noted []scan.IndexEntry) (key string, value scan.Span, ok bool) {
	if len(noted) != 4 {
		return "", value, false
	}
	name, outer, inner := &noted[1], &noted[2], &noted[3]
	if outer.Size() != 2 || outer.Name(src) != "value" || name.Name(src) != "key" ||
		name.Kind != scan.String || name.Escaped() || plainRank(inner.Name(src)) >= plainLists {
		return "", value, false
	}
	return src[name.Start+1 : name.End-1], inner.Span, true
}

// take reads an attribute of any form.
func (a *attributes) take(el *formats.Element, elem scan.Span) {
	if elem.Kind != scan.Object {
		el.CountFaultNamed("attributes")
		return
	}
	key, value, nested := a.pair(el, formats.Node{Src: a.src, Span: elem})
	a.set(el, key, value, nested)
}

// pair returns an attribute's key and value. nested reports whether the value is an OTLP list or map. An object of a
// single scalar is recognised without the shape.
func (a *attributes) pair(el *formats.Element, n formats.Node) (key string, value scan.Span, nested bool) {
	var name, outer, inner scan.Span
	el.Index.Members(n.Src, n.Span, &el.Arena, func(key string, v scan.Span) bool {
		switch key {
		case "key":
			name = v
		case "value":
			outer = v
		}
		return true
	})
	key = el.Text(formats.Node{Src: n.Src, Span: name})
	alternatives, rank := 0, notPlain
	el.Index.Members(n.Src, outer, &el.Arena, func(key string, v scan.Span) bool {
		alternatives++
		rank, inner = plainRank(key), v
		return true
	})
	if alternatives == 1 && rank < plainLists {
		return key, inner, false
	}
	a.shape.Select(el, n)
	value, nested = a.value()
	return key, value, nested
}

// set stores an attribute's value. An attribute without a value is ignored.
func (a *attributes) set(el *formats.Element, key string, value scan.Span, nested bool) {
	if value.Kind <= scan.Null {
		return
	}
	known, ok := a.names.find(key)
	if !ok {
		if !nested && a.outer != nil { // only elements have messages
			a.lists.add(key, formats.Node{Src: a.src, Span: value})
		}
		return
	}
	s := &a.values[known.attribute]
	a.present.add(known.attribute)
	switch there := s.present(); {
	case there && known.rank > s.rank:
		return
	case !there:
		a.filled = append(a.filled, known.attribute)
	case known.rank == s.rank:
		el.CountFaultNamed(key)
	}
	if a.saving {
		a.saved = append(a.saved, savedValue{known.attribute, *s})
	}
	a.size -= s.size()
	*s = attrValue{value: value, rank: known.rank, nested: nested}
	if a.outer == nil && value.Escaped() {
		// Thousands of elements may look at an attribute of their resource: its text is spelled once for all of them.
		s.src = el.Arena.Concat(`"`, el.Text(formats.Node{Src: a.src, Span: value}), `"`)
		s.value = scan.Span{End: int32(len(s.src)), Kind: scan.String}
	}
	a.size += s.size()
}

// value returns the selected attribute's value. nested reports whether the value is an OTLP list or map.
func (a *attributes) value() (value scan.Span, nested bool) {
	for _, place := range [...]int{valueString, valueInt, valueBool, valueDouble} {
		if n := a.shape.At(place); n.Present() {
			return n.Span, false
		}
	}
	for _, place := range [...]int{valueArray, valueList, valueBytes} {
		if a.shape.At(place).Present() {
			return a.shape.At(attributeValue).Span, true
		}
	}
	return scan.Span{}, false
}

// at returns the value of an attribute, or an absent node if it is a list or map.
func (a *attributes) at(i attribute) formats.Node {
	if !a.present.has(i) && (a.outer == nil || !a.outer.present.has(i)) {
		return formats.Node{}
	}
	if s, src := a.lookup(i); !s.nested {
		return formats.Node{Src: src, Span: s.value}
	}
	return formats.Node{}
}

// rank returns the rank of the name that an attribute has, 0 for the conventions' own.
func (a *attributes) rank(i attribute) uint8 {
	s, _ := a.lookup(i)
	return s.rank
}

// has reports whether an attribute has a value of any kind.
func (a *attributes) has(i attribute) bool {
	s, _ := a.lookup(i)
	return s.present()
}

// plain returns the value of an attribute as plain JSON.
func (a *attributes) plain(el *formats.Element, i attribute) formats.Node {
	s, src := a.lookup(i)
	n := formats.Node{Src: src, Span: s.value}
	if !s.nested {
		return n
	}
	a.text = appendPlain(a.text[:0], el, a.shape, n, 0)
	return el.Parse(a.text)
}

// plainBody returns any OTLP value as plain JSON.
func (a *attributes) plainBody(el *formats.Element, value formats.Node) formats.Node {
	if a.isPlain {
		return value
	}
	a.text = appendPlain(a.text[:0], el, a.shape, value, 0)
	return el.Parse(a.text)
}

// setText sets a text field from the first of the attributes that is present.
func (a *attributes) setText(el *formats.Element, f schema.Field, list ...attribute) {
	if !el.Wanted(f) {
		return
	}
	for _, at := range list {
		if n := a.at(at); n.Present() && !el.Event.Has(f) {
			el.CopyText(f, n)
		}
	}
}
