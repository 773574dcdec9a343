package llm

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The datasets of OpenTelemetry.
const (
	otelDataset       = "otel.gen_ai"
	otelHTTPDataset   = "otel.http" // spans of plain HTTP calls
	claudeCodeDataset = "otel.claude_code"
)

// OTLPName is the name of the format OTLP.
const OTLPName = "otlp"

// OTLP reads OpenTelemetry's protocol, spans and logs: the GenAI conventions of all versions, OpenInference,
// OpenLLMetry, MCP, and the logs of coding agents. Protobuf is converted to this JSON first, by AppendOTLP. Each span
// or log record is an element; those that are not about an agent give no event.
func OTLP() formats.Format {
	return formats.Format{
		Name:       OTLPName,
		Aliases:    []string{"otel", "otlp_proto", "otlp_json"},
		Datasets:   []string{claudeCodeDataset, otelDataset, otelHTTPDataset},
		Families:   []string{formats.FamilyLLM},
		Apart:      map[string][]string{otelHTTPDataset: {formats.FamilyGateway}},
		Signatures: []formats.Signature{{Keys: []string{"resourceSpans"}}, {Keys: []string{"resourceLogs"}}},
		NewReader:  openOTLP,
	}
}

// otlp reads OTLP requests. Its int fields are places in a record, or in a span or log record.
type otlp struct {
	resourceSpans, resourceLogs int // resourceSpans, resourceLogs

	// Of a span.
	traceID, spanID, parentID int // traceId, spanId, parentSpanId
	name, kind, status        int // name, kind, status.code
	statusCode                int // status_code, in Phoenix's spans
	start, end                int // startTimeUnixNano, endTimeUnixNano
	attributes, events        int // attributes, events

	// Of a log record, beside traceId, spanId and attributes.
	time, observed int // timeUnixNano, observedTimeUnixNano
	body, bodyText int // body, body.stringValue
	eventName      int // eventName

	resource, scope, event *formats.Shape
	shared                 *attributes // of the current resource and scope
	attrs                  *attributes // of the current element, falling back to shared
	chat                   *Conversation
	scopeName              string // of the current scope
	framework              string // the agent framework that scopeName implies, or ""
	gateway                bool   // scopeName is that of a gateway or server that many agents share
	said                   *speech
	traces                 *traces
	details                *formats.Shape // of an attribute that holds all counts
	exchange               *formats.Shape // of a log record's body that holds messages
	// Of costs, of the configuration in a request, of LiteLLM's metadata of a tool call.
	total, config, metadata, parameters *formats.Shape
	scoped                              int // the dialect of the current scope, or -1
	named                               struct{ service, agent, uid string }
	// What the name of the last scope that had one implies, and whether the last service is a gateway.
	lastScope, lastService remembered
	implied                struct {
		framework string
		scoped    int
		gateway   bool
	}
	served   bool
	logs     bool                      // the elements are log records
	part     [eventPlaces]formats.Node // of the event of one message
	message  *formats.Shape
	messages []spanEvent // of the current span
	text     []byte      // of messages that are composed
}

// Places in the shape of a resource.
const (
	resourceAttributes = iota
	resourceScopeSpans
	resourceScopeLogs
	resourceLibrarySpans
)

// Places in the shape of a scope.
const (
	scopeName = iota
	scopeLibraryName
	scopeAttributes
	scopeSpans
	scopeLogRecords
)

// Places in the shape of a span's event.
const (
	spanEventName = iota
	spanEventAttributes
)

func openOTLP(p *formats.Paths) formats.Reader {
	said := newSpeech()
	known := newNames(said)
	shared := newAttributes(known, nil)
	return &otlp{
		resourceSpans: p.AddIndexed("resourceSpans"), resourceLogs: p.AddIndexed("resourceLogs"),
		traceID: p.Add("traceId"), spanID: p.Add("spanId"), parentID: p.Add("parentSpanId"),
		kind: p.Add("kind"), start: p.Add("startTimeUnixNano"), end: p.Add("endTimeUnixNano"),
		attributes: p.AddIndexed("attributes"), name: p.Add("name"), status: p.Add("status", "code"), events: p.Add("events"),
		statusCode: p.Add("status_code"),
		time:       p.Add("timeUnixNano"), observed: p.Add("observedTimeUnixNano"),
		body: p.Add("body"), bodyText: p.Add("body", "stringValue"), eventName: p.Add("eventName"),
		resource: formats.NewShape([][]string{
			resourceAttributes:   {"resource", "attributes"},
			resourceScopeSpans:   {"scopeSpans"},
			resourceScopeLogs:    {"scopeLogs"},
			resourceLibrarySpans: {"instrumentationLibrarySpans"},
		}...),
		scope: formats.NewShape([][]string{
			scopeName:        {"scope", "name"},
			scopeLibraryName: {"instrumentationLibrary", "name"},
			scopeAttributes:  {"scope", "attributes"},
			scopeSpans:       {"spans"},
			scopeLogRecords:  {"logRecords"},
		}...),
		event:  formats.NewShape([][]string{spanEventName: {"name"}, spanEventAttributes: {"attributes"}}...),
		shared: shared, attrs: newAttributes(known, shared), chat: NewConversation(),
		message: formats.NewShape(eventKeys()...), said: said, traces: newTraces(),
		details: formats.NewShape(detailPaths()...), total: formats.NewShape([]string{"total"}),
		config:     formats.NewShape([][]string{configTools: {"tools"}, configInner: {"config", "tools"}}...),
		parameters: formats.NewShape([][]string{parameterServer: {"mcp_server_name"}, parameterTool: {"mcp_tool_name"}}...),
		exchange:   formats.NewShape([][]string{exchangeInput: {"input", "messages"}, exchangeOutput: {"output", "messages"}}...),
		metadata: formats.NewShape([][]string{
			metadataName: {"name"}, metadataArguments: {"arguments"}, metadataServer: {"mcp_server_name"},
		}...),
	}
}

// Split calls yield with each span and each log record.
func (o *otlp) Split(el *formats.Element, yield func(formats.Node) bool) {
	spans, logs := el.At(o.resourceSpans), el.At(o.resourceLogs)
	el.SetDataset(otelDataset)
	o.logs = false
	o.forget()
	o.traces.begin(spans)
	if o.eachScope(el, spans, yield) {
		o.logs = true
		o.eachScope(el, logs, yield)
	}
}

// eachScope walks the scopes of all resources. It returns false if yield did.
func (o *otlp) eachScope(el *formats.Element, resources formats.Node, yield func(formats.Node) bool) bool {
	more := true
	o.resource.Each(el, resources, func(formats.Node) bool {
		el.Charge(scopeCost)
		scopes := o.resource.At(resourceScopeSpans)
		if o.logs {
			scopes = o.resource.At(resourceScopeLogs)
		} else if !scopes.Present() {
			scopes = o.resource.At(resourceLibrarySpans)
		}
		attributes, first := o.resource.At(resourceAttributes), true
		el.Index.Each(scopes.Src, scopes.Span, func(elem scan.Span) bool {
			if first { // once for all scopes, which may be thousands, and so may be the attributes
				first = false
				o.shared.reset()
				o.shared.read(el, attributes)
				o.shared.save()
			}
			more = o.eachElement(el, formats.Node{Src: scopes.Src, Span: elem}, yield)
			return more
		})
		return more
	})
	return more
}

// scopeCost is the cost of a resource or a scope without any elements.
const scopeCost = formats.ElementCost / 4

// eachElement yields the spans or log records of one scope. It returns false if yield did, or if the record became too
// expensive.
func (o *otlp) eachElement(el *formats.Element, scope formats.Node, yield func(formats.Node) bool) bool {
	el.Charge(scopeCost)
	o.scope.Select(el, scope)
	name := o.scope.At(scopeName)
	if !name.Present() {
		name = o.scope.At(scopeLibraryName)
	}
	o.setScope(el.Text(name))
	list := o.scope.At(scopeSpans)
	if o.logs {
		list = o.scope.At(scopeLogRecords)
	}
	o.shared.restore()
	o.shared.read(el, o.scope.At(scopeAttributes))
	more := !el.LimitExceeded()
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		more = more && yield(formats.Node{Src: list.Src, Span: elem})
		return more
	})
	return more
}

// forget begins a new record: nothing is kept of the texts of the last one.
func (o *otlp) forget() {
	o.named.uid = ""
	o.setScope("")
}

// setScope sets the current scope. The scopes of one record are often the same.
func (o *otlp) setScope(name string) {
	if o.scopeName = name; name == "" {
		o.framework, o.scoped, o.gateway = "", -1, false
		return
	}
	if !o.lastScope.is(name) {
		o.lastScope.keep(name)
		o.implied.framework, o.implied.scoped, o.implied.gateway = framework(name), o.said.scoped(name), isGateway(name)
	}
	o.framework, o.scoped, o.gateway = o.implied.framework, o.implied.scoped, o.implied.gateway
}

func (o *otlp) Read(el *formats.Element) {
	el.SetDataset(otelDataset)
	o.messages = o.messages[:0] // a log record has no events of its own, and must not be read with those of an earlier span
	o.attrs.reset()
	o.attrs.read(el, el.At(o.attributes))
	if o.logs {
		o.readLog(el)
		return
	}
	o.readSpan(el)
}

// readSpan reads a span. The attributes decide which kind of activity it is.
func (o *otlp) readSpan(el *formats.Element) {
	o.readEvents(el)
	op := o.operation(el)
	method := o.attrs.at(attrHTTPMethod)
	kind := spanKind(el.Text(el.At(o.kind)))
	if op == "" && (!method.Present() || kind != spanClient && kind != spanServer) {
		el.Skip(formats.SkipNotActivity)
		return
	}
	if op == "" {
		el.SetDataset(otelHTTPDataset)
	}
	if !o.begin(el, el.At(o.start)) {
		return
	}
	if end := el.At(o.end); !zero(end) {
		if to, ok := instant(end); ok && to >= el.Time() && !zero(el.At(o.start)) {
			el.Event.SetInt(schema.EventDuration, to-el.Time())
		}
	}
	if trace, span := el.Event.Text(schema.TraceID), el.Event.Text(schema.SpanID); trace != "" && span != "" {
		el.Event.SetText(schema.EventID, el.Arena.Concat(trace, "-", span))
	}
	o.spanOutcome(el)
	if op == "" {
		o.http(el, el.Text(method), kind)
		return
	}
	o.identify(el, kind, op)
	o.workflow(el, op)
	o.act(el, op, kind == spanClient)
}

// begin sets the time and the ids of the trace. An element that is an activity costs as much as its context: the
// attributes of the resource and the scope, which are fields of each of its events.
func (o *otlp) begin(el *formats.Element, times ...formats.Node) bool {
	el.Charge(o.shared.size + len(o.scopeName))
	if ns, ok := nanos(times[0]); ok {
		el.SetTimeNanos(ns)
	} else if !start(el, times) {
		return false
	}
	// The event's id is made of these two, so they are set whether they are wanted or not.
	el.Event.SetText(schema.TraceID, traceID(el, el.At(o.traceID)))
	el.Event.SetText(schema.SpanID, traceID(el, el.At(o.spanID)))
	el.SetText(schema.SpanParentID, traceID(el, el.At(o.parentID)))
	return true
}

// traceID returns the id of a trace or span in lower-case hex. Exporters that use protobuf's own JSON mapping instead
// of OTLP's write base64, which only the length reveals. An id of zeros counts as absent.
func traceID(el *formats.Element, n formats.Node) string {
	text := strings.TrimPrefix(el.Text(n), "0x")
	if len(text) == 24 || len(text) == 12 {
		var b [18]byte
		if size, err := base64.StdEncoding.Decode(b[:], []byte(text)); err == nil && (size == 16 || size == 8) {
			var h [32]byte
			text = el.Arena.Copy(h[:hex.Encode(h[:], b[:size])])
		}
	}
	if plainID(text) {
		return text
	}
	if strings.Trim(text, "0") == "" {
		return ""
	}
	return strings.ToLower(text) // returns the same string if it is lower case already
}

// plainID reports whether an id has the form of nearly all ids: whole words of 8 bytes of ASCII, without the characters
// from @ to _, and not all zeros. Such an id needs no change.
func plainID(text string) bool {
	const ones, zeros = 0x0101010101010101, 0x3030303030303030
	other, word := uint64(0), uint64(0)
	for ; len(text) >= 8; text = text[8:] {
		word = binary.LittleEndian.Uint64([]byte(text))
		if (word|word<<1&^(word<<2))&(ones*0x80) != 0 {
			return false // a byte of 0x80 or more, or one from 0x40 to 0x5f
		}
		other |= word ^ zeros
	}
	return text == "" && other != 0
}

// The kinds of spans that are one end of a call between services.
const (
	spanServer = 2
	spanClient = 3
)

// spanKind parses a kind, written as a number or, by some exporters, as a name.
func spanKind(text string) int {
	switch text {
	case "2", "SPAN_KIND_SERVER", "SERVER", "SpanKind.SERVER":
		return spanServer
	case "3", "SPAN_KIND_CLIENT", "CLIENT", "SpanKind.CLIENT":
		return spanClient
	}
	return 0
}

// operation returns the operation of a span by the name that current conventions give it, or "" if the span is about
// neither an agent nor a model.
func (o *otlp) operation(el *formats.Element) string {
	a := o.attrs
	if op, _ := o.said.operation(el, a, true); op != "" {
		return op
	}
	if a.at(attrMCPMethod).Present() {
		return operationMCP
	}
	if op := el.Text(a.at(attrOperation)); op != "" {
		return currentOperation(op)
	}
	op, known := o.said.operation(el, a, false)
	if op == "" && !known {
		op, known = o.said.span(el.Text(el.At(o.name)), o.scoped)
	}
	switch {
	case op != "" || known:
		return op
	case a.at(attrProvider).Present() && a.at(attrRequestModel).Present(): // conventions that had no operation names yet
		return "chat"
	case a.at(attrToolName).Present() && a.at(attrService).Present() && a.rank(attrToolName) == 0:
		return operationTool
	}
	return ""
}

// currentOperation returns the current name of an operation, given any name that a framework uses. It returns "" for the
// steps of an agent, whose calls have spans of their own.
func currentOperation(op string) string {
	switch op {
	case "chat.completions", "chat_completions", "completion", "message_creation":
		return "chat"
	case "text.completions":
		return "text_completion"
	case "tool_call", "tool", "execute_function", "run_tool":
		return operationTool
	case "apply_guardrail", "run_guardrail":
		return operationGuardrail
	case "agent_workflow", "workflow", "invoke_swarm", "invoke_graph", "invoke_team", "agent.run", "run_agent":
		return operationAgent
	case "execute_event_loop_cycle", "event_loop_cycle", "chain", "task":
		return ""
	}
	return op
}

// Operations other than calls of a model.
const (
	operationMCP       = "mcp"
	operationTool      = "execute_tool"
	operationAgent     = "invoke_agent"
	operationGuardrail = "guardrail"
)

// spanOutcome sets the outcome from the status, the error and the HTTP status of a span.
func (o *otlp) spanOutcome(el *formats.Element) {
	el.SetOutcome(formats.Success)
	failed := o.attrs.at(attrErrorType)
	switch status := el.FirstText(el.At(o.status), el.At(o.statusCode)); {
	case status == "2", status == "STATUS_CODE_ERROR", status == "ERROR", failed.Present(), el.Text(o.attrs.at(attrLevel)) == "ERROR":
		el.SetOutcome(formats.Failure)
	}
	el.CopyText(schema.ErrorType, failed)
	el.CopyInt(schema.HTTPResponseStatusCode, o.attrs.at(attrHTTPStatus))
	status := o.attrs.at(attrHTTPStatus)
	if code, ok := scan.Int(status.Src, status.Span); ok && code >= 400 {
		el.SetHTTPStatus(code)
	}
	if kind := el.Text(failed); kind == "401" || kind == "403" || formats.IsDenied(kind) {
		el.SetBlocked()
	}
}

// identify names the agent of a span: by the id that it declares, else by the service and the name of the agent that began
// the trace, if the request holds the beginning, else by the service, else by the user. A gateway or a server is shared by
// many agents, so there the principal that its span names comes first, and the service is not the agent. A server span
// about an agent itself, which the process runs, is not such a span.
func (o *otlp) identify(el *formats.Element, kind int, op string) {
	a := o.attrs
	o.caller(el)
	service := o.service(el)
	gateway := o.gateway || o.isGateway(service)
	k := o.kin(el, gateway || kind == spanServer)
	if gateway || kind == spanServer && op == operationMCP {
		o.principal(el, k.told[inheritedKey])
		service = ""
	} else if kind == spanServer && op != operationAgent && op != "create_agent" {
		o.principal(el, k.told[inheritedKey])
	}
	el.DeclareAgent("gen_ai.agent.id", k.told[inheritedID])
	switch {
	case service != "" && k.name != "":
		el.SetAgent("service.name+gen_ai.agent.name", o.nameOf(el, service, k.name))
	case service == "" && k.told[inheritedName] != "":
		el.SetAgent("gen_ai.agent.name", k.told[inheritedName])
	}
	el.SetAgent("service.name", service)
	el.SetAgent("user.id", el.FirstText(a.at(attrUserID), a.at(attrEndUser)))
	el.SetAgentByAddress(el.Text(a.at(attrUserAgent)))
	if !el.Event.Has(schema.AIAgentName) {
		el.SetText(schema.AIAgentName, k.told[inheritedName])
	}
	a.setText(el, schema.AIAgentVersion, attrAgentVersion, attrServiceVersion)
	a.setText(el, schema.AIAgentInstanceUID, attrServiceInstance)
	el.SetText(schema.AIAgentType, o.framework)
	a.setText(el, schema.SessionID, attrSession, attrConversation, attrMCPSession)
	if !el.Event.Has(schema.SessionID) {
		el.SetText(schema.SessionID, k.told[inheritedSession])
	}
	a.setText(el, schema.GenAIConversationID, attrConversation)
}

// workflow names the workflow: by its name, else by that of the managed prompt, else by that of the agent.
func (o *otlp) workflow(el *formats.Element, op string) {
	if !el.Wanted(schema.AIAgentWorkflow) {
		return
	}
	el.SetWorkflow(el.Text(o.attrs.at(attrWorkflow)))
	if op != operationMCP { // whose prompt is the request's object
		el.SetWorkflow(el.Text(o.attrs.at(attrPromptName)))
	}
	el.SetWorkflow(el.Text(o.attrs.at(attrAgentName)))
}

// kin returns what the span declares about its agent, or takes from its trace. shared reports that many agents may share the
// process.
func (o *otlp) kin(el *formats.Element, shared bool) kin {
	a := o.attrs
	own := [numInherited]string{
		inheritedName: el.Text(a.at(attrAgentName)), inheritedID: el.Text(a.at(attrAgentID)), inheritedKey: el.Text(a.at(attrKeyHash)),
		inheritedSession: el.FirstText(a.at(attrSession), a.at(attrConversation), a.at(attrMCPSession)),
	}
	return o.traces.of(el, own, traceID(el, el.At(o.parentID)) == "", shared)
}

// nameOf returns the name of an agent of a service. The elements of a batch are often of one agent, so the last name is
// kept.
func (o *otlp) nameOf(el *formats.Element, service, agent string) string {
	if n := &o.named; n.uid == "" || n.service != service || n.agent != agent {
		n.service, n.agent, n.uid = service, agent, el.Arena.Concat(service, "/", agent)
	}
	return o.named.uid
}

// principal names the agent by the credential or the account that a gateway's or server's span names.
func (o *otlp) principal(el *formats.Element, key string) {
	a := o.attrs
	el.SetAgent("metadata.user_api_key_hash", key)
	el.SetText(schema.CredentialUID, key)
	if key != "" {
		el.SetText(schema.CredentialType, "api_key")
	}
	el.SetAgent("enduser.id", el.Text(a.at(attrEndUser)))
	el.SetAgent("jwt.sub", el.Text(a.at(attrSubject)))
	el.SetAgent("user.id", el.Text(a.at(attrUserID)))
	if alias := el.Text(a.at(attrKeyAlias)); key != "" {
		el.SetText(schema.AIAgentName, alias)
	}
}

// isGateway is the function isGateway, which remembers the last service.
func (o *otlp) isGateway(service string) bool {
	if !o.lastService.is(service) {
		o.lastService.keep(service)
		o.served = isGateway(service)
	}
	return o.served
}

// isGateway reports whether the service of that name is a gateway or server that many agents share.
func isGateway(service string) bool {
	if service == "" || strings.IndexByte("laekfcvdmt", service[0]) < 0 { // most services: none of these begins so
		return false
	}
	for _, known := range [...]string{"litellm", "agentgateway", "envoy", "kong", "fastmcp", "copilot-chat", "vllm",
		"docker-mcp-gateway", "mcp-gateway", "mcpgateway", "toolhive"} {
		if rest, ok := strings.CutPrefix(service, known); ok && (rest == "" || strings.IndexByte("-_./: ", rest[0]) >= 0) {
			return true
		}
	}
	return false
}

// caller sets the context of any activity: user, address, organization, cloud.
func (o *otlp) caller(el *formats.Element) {
	a := o.attrs
	el.SetSourceIP(el.Text(a.at(attrClient)), "")
	a.setText(el, schema.UserID, attrUserID, attrEndUser)
	a.setText(el, schema.OnBehalfOfID, attrOnBehalf)
	a.setText(el, schema.UserName, attrUserName)
	a.setText(el, schema.UserEmail, attrUserEmail)
	a.setText(el, schema.OrganizationID, attrOrganization)
	a.setText(el, schema.UserAgentOriginal, attrUserAgent)
	a.setText(el, schema.CloudProvider, attrCloudProvider)
	a.setText(el, schema.CloudAccountID, attrCloudAccount)
	a.setText(el, schema.CloudRegion, attrCloudRegion)
}

// service returns the service's name, or "" for the default name that SDKs make up.
func (o *otlp) service(el *formats.Element) string {
	name := el.Text(o.attrs.at(attrService))
	if strings.HasPrefix(name, "unknown_service") {
		return ""
	}
	return name
}

// framework returns the agent framework that the name of a scope implies, or "".
func framework(scope string) string {
	last := scope[strings.LastIndexByte(scope, '.')+1:]
	for _, f := range [...]string{"langchain", "langgraph", "crewai", "autogen", "llama_index", "openai_agents", "google_adk", "smolagents",
		"semantic_kernel", "pydantic_ai", "haystack", "agno", "dspy", "strands"} {
		if len(last) >= len(f) && strings.EqualFold(last[:len(f)], f) {
			return f
		}
	}
	return ""
}

// http emits a plain HTTP call. A client span is a call by the service itself, a server span is a call by one of its
// callers.
func (o *otlp) http(el *formats.Element, method string, kind int) {
	a := o.attrs
	el.SetClass("http", method)
	el.SetText(schema.HTTPRequestMethod, method)
	host, path := formats.SplitURL(el.Text(a.at(attrURL)))
	el.SetText(schema.URLDomain, host)
	if path == "" {
		_, path = formats.SplitURL(el.Text(a.at(attrURLPath)))
	}
	el.SetText(schema.URLPath, path)
	a.setText(el, schema.HTTPRoute, attrRoute)
	el.SetWorkflow(el.Text(a.at(attrRoute)))
	el.CopyInt(schema.HTTPRequestBytes, a.at(attrRequestBytes))
	el.CopyInt(schema.HTTPResponseBytes, a.at(attrResponseBytes))
	if kind != spanServer {
		o.identify(el, kind, "")
		a.setText(el, schema.ServiceTargetName, attrServer)
		el.Emit()
		return
	}
	o.caller(el)
	o.principal(el, el.Text(a.at(attrKeyHash)))
	el.SetAgentByAddress(el.Text(a.at(attrUserAgent)))
	el.SetText(schema.ServiceTargetName, o.service(el))
	a.setText(el, schema.SessionID, attrSession)
	el.Emit()
}
