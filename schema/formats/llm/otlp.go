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
		Name:     OTLPName,
		Aliases:  []string{"otel", "otlp_proto", "otlp_json"},
		Datasets: []string{claudeCodeDataset, otelDataset, otelHTTPDataset},
		Tells:    []formats.Tell{{Keys: []string{"resourceSpans"}}, {Keys: []string{"resourceLogs"}}},
		Open:     openOTLP,
	}
}

// otlp reads OTLP requests. Its int fields are places in a record, or in a span or log record.
type otlp struct {
	resourceSpans, resourceLogs int // resourceSpans, resourceLogs

	// Of a span.
	traceID, spanID, parentID int // traceId, spanId, parentSpanId
	name, kind, status        int // name, kind, status.code
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
	scopeName              formats.Node
	logs                   bool // the elements are log records
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
	known := newNames()
	shared := newAttributes(known, nil)
	return &otlp{
		resourceSpans: p.Open("resourceSpans"), resourceLogs: p.Open("resourceLogs"),
		traceID: p.Add("traceId"), spanID: p.Add("spanId"), parentID: p.Add("parentSpanId"),
		kind: p.Add("kind"), start: p.Add("startTimeUnixNano"), end: p.Add("endTimeUnixNano"),
		attributes: p.Add("attributes"), name: p.Add("name"), status: p.Add("status", "code"), events: p.Add("events"),
		time: p.Add("timeUnixNano"), observed: p.Add("observedTimeUnixNano"),
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
	}
}

// Split calls yield with each span and each log record.
func (o *otlp) Split(r *formats.Record, yield func(formats.Node) bool) {
	spans, logs := r.At(o.resourceSpans), r.At(o.resourceLogs)
	r.Begin(otelDataset)
	o.logs = false
	if o.eachScope(r, spans, yield) {
		o.logs = true
		o.eachScope(r, logs, yield)
	}
}

// eachScope walks the scopes of all resources. It returns false if yield did.
func (o *otlp) eachScope(r *formats.Record, resources formats.Node, yield func(formats.Node) bool) bool {
	more := true
	o.resource.Each(r, resources, func(formats.Node) bool {
		scopes := o.resource.At(resourceScopeSpans)
		if o.logs {
			scopes = o.resource.At(resourceScopeLogs)
		} else if !scopes.Present() {
			scopes = o.resource.At(resourceLibrarySpans)
		}
		attributes := o.resource.At(resourceAttributes)
		r.Index.Each(scopes.Src, scopes.Span, func(elem scan.Span) bool {
			more = o.eachElement(r, attributes, formats.Node{Src: scopes.Src, Span: elem}, yield)
			return more
		})
		return more
	})
	return more
}

// eachElement yields the spans or log records of one scope. It returns false if yield did.
func (o *otlp) eachElement(r *formats.Record, resource, scope formats.Node, yield func(formats.Node) bool) bool {
	o.scope.Select(r, scope)
	o.scopeName = o.scope.At(scopeName)
	if !o.scopeName.Present() {
		o.scopeName = o.scope.At(scopeLibraryName)
	}
	list := o.scope.At(scopeSpans)
	if o.logs {
		list = o.scope.At(scopeLogRecords)
	}
	o.shared.reset()
	o.shared.read(r, resource)
	o.shared.read(r, o.scope.At(scopeAttributes))
	more := true
	r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		more = yield(formats.Node{Src: list.Src, Span: elem})
		return more
	})
	return more
}

func (o *otlp) Read(r *formats.Record) {
	r.Begin(otelDataset)
	o.attrs.reset()
	o.attrs.read(r, r.At(o.attributes))
	if o.logs {
		o.readLog(r)
		return
	}
	o.readSpan(r)
}

// readSpan reads a span. The attributes decide which kind of activity it is.
func (o *otlp) readSpan(r *formats.Record) {
	o.readEvents(r)
	op := o.operation(r)
	method := o.attrs.at(attrHTTPMethod)
	kind := spanKind(r.Text(r.At(o.kind)))
	if op == "" && (!method.Present() || kind != spanClient && kind != spanServer) {
		return // not an activity of an agent
	}
	if op == "" {
		r.Begin(otelHTTPDataset)
	}
	if !o.begin(r, r.At(o.start)) {
		return
	}
	if end := r.At(o.end); !zero(end) {
		if to, ok := instant(end); ok && to >= r.Time() && !zero(r.At(o.start)) {
			r.Event.SetInt(schema.EventDuration, to-r.Time())
		}
	}
	if trace, span := r.Event.Text(schema.TraceID), r.Event.Text(schema.SpanID); trace != "" && span != "" {
		r.Event.SetText(schema.EventID, r.Arena.Concat(trace, "-", span))
	}
	o.spanOutcome(r)
	if op == "" {
		o.http(r, r.Text(method), kind == spanServer)
		return
	}
	o.identify(r)
	o.act(r, op, kind == spanClient)
}

// begin sets the time and the ids of the trace.
func (o *otlp) begin(r *formats.Record, times ...formats.Node) bool {
	if ns, ok := nanos(times[0]); ok {
		r.StartAt(ns)
	} else if !start(r, times) {
		return false
	}
	// The event's id is made of these two, so they are set whether they are wanted or not.
	r.Event.SetText(schema.TraceID, traceID(r, r.At(o.traceID)))
	r.Event.SetText(schema.SpanID, traceID(r, r.At(o.spanID)))
	r.Put(schema.SpanParentID, traceID(r, r.At(o.parentID)))
	return true
}

// start sets the time from the first value that holds a time and is not 0.
func start(r *formats.Record, times []formats.Node) bool {
	for i := range times {
		if zero(times[i]) {
			times[i] = formats.Node{}
		}
	}
	return r.Start(times...)
}

// instant is like scan.Time, with a fast path for nanos.
func instant(n formats.Node) (ns int64, ok bool) {
	if ns, ok = nanos(n); ok {
		return ns, true
	}
	return scan.Time(n.Src, n.Span)
}

// nanos parses a time in the form that nearly all have: a text of 19 digits, in ns, from the year 2001 on, that fits
// into 64 bits. For any other form ok is false, even if scan.Time can parse it.
func nanos(n formats.Node) (ns int64, ok bool) {
	const digits = 19
	if n.Kind != scan.String || n.End-n.Start != digits+2 {
		return 0, false
	}
	text := n.Src[n.Start+1 : n.End-1]
	if text[0] < '1' || text[0] > '8' {
		return 0, false
	}
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		ns = ns*10 + int64(digit)
	}
	return ns, true
}

// zero reports whether a number is 0. OTLP writes 0 for a time that is not set.
func zero(n formats.Node) bool {
	if n.Kind == scan.String && int(n.End-n.Start) > len(`""`) && n.Src[n.Start+1]-'1' < 9 {
		return false // the first digit is not 0, so the number is not 0
	}
	v, ok := scan.Int(n.Src, n.Span)
	return ok && v == 0
}

// traceID returns the id of a trace or span in lower-case hex. Exporters that use protobuf's own JSON mapping instead
// of OTLP's write base64, which only the length reveals. An id of zeros counts as absent.
func traceID(r *formats.Record, n formats.Node) string {
	text := r.Text(n)
	if len(text) == 24 || len(text) == 12 {
		var b [18]byte
		if size, err := base64.StdEncoding.Decode(b[:], []byte(text)); err == nil && (size == 16 || size == 8) {
			var h [32]byte
			text = r.Arena.Hold(h[:hex.Encode(h[:], b[:size])])
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
	case "2", "SPAN_KIND_SERVER":
		return spanServer
	case "3", "SPAN_KIND_CLIENT":
		return spanClient
	}
	return 0
}

// readEvents reads the attributes of a span's GenAI events, where older instrumentations put prompts and answers.
func (o *otlp) readEvents(r *formats.Record) {
	events := r.At(o.events)
	r.Index.Each(events.Src, events.Span, func(elem scan.Span) bool {
		o.event.Select(r, formats.Node{Src: events.Src, Span: elem})
		if strings.HasPrefix(r.Text(o.event.At(spanEventName)), "gen_ai.") {
			o.attrs.read(r, o.event.At(spanEventAttributes))
		}
		return true
	})
}

// operation returns the operation of a span by the name that current conventions give it, or "" if the span is about
// neither an agent nor a model.
func (o *otlp) operation(r *formats.Record) string {
	if o.attrs.at(attrMCPMethod).Present() {
		return operationMCP
	}
	if op := r.Text(o.attrs.at(attrOperation)); op != "" {
		return op
	}
	switch r.Text(o.attrs.at(attrOpenInferenceKind)) {
	case "LLM":
		return "chat"
	case "EMBEDDING":
		return "embeddings"
	case "TOOL":
		return operationTool
	case "AGENT":
		return operationAgent
	case "RETRIEVER":
		return "retrieval"
	case "RERANKER":
		return "rerank"
	case "GUARDRAIL":
		return operationGuardrail
	}
	switch r.Text(o.attrs.at(attrTraceloopKind)) {
	case "tool":
		return operationTool
	case "agent":
		return operationAgent
	}
	switch op := r.Text(o.attrs.at(attrRequestType)); op {
	case "completion":
		return "text_completion"
	case "embedding":
		return "embeddings"
	case "chat", "rerank":
		return op
	}
	if o.attrs.at(attrProvider).Present() && o.attrs.at(attrRequestModel).Present() { // conventions that had no operation names yet
		return "chat"
	}
	return claudeSpan(r.Text(r.At(o.name)))
}

// Operations other than calls of a model.
const (
	operationMCP       = "mcp"
	operationTool      = "execute_tool"
	operationAgent     = "invoke_agent"
	operationGuardrail = "guardrail"
)

// claudeSpan returns the operation of one of Claude Code's own spans.
func claudeSpan(name string) string {
	switch name {
	case "claude_code.llm_request":
		return "chat"
	case "claude_code.tool":
		return operationTool
	}
	return ""
}

// spanOutcome sets the outcome from the status, the error and the HTTP status of a span.
func (o *otlp) spanOutcome(r *formats.Record) {
	r.SetOutcome(formats.Success)
	failed := o.attrs.at(attrErrorType)
	if status := r.Text(r.At(o.status)); status == "2" || status == "STATUS_CODE_ERROR" || failed.Present() {
		r.SetOutcome(formats.Failure)
	}
	r.SetText(schema.ErrorType, failed)
	r.SetInt(schema.HTTPResponseStatusCode, o.attrs.at(attrHTTPStatus))
	status := o.attrs.at(attrHTTPStatus)
	if code, ok := scan.Int(status.Src, status.Span); ok && code >= 400 {
		r.SetStatus(code)
	}
	if kind := r.Text(failed); kind == "401" || kind == "403" || formats.Denied(kind) {
		r.Block()
	}
}

// identify names the agent of a span: by the id that it declares, else by the service and the agent's name, else by the
// user.
func (o *otlp) identify(r *formats.Record) {
	a := o.attrs
	o.caller(r)
	agent, service := r.Text(a.at(attrAgentName)), o.service(r)
	r.Agent("gen_ai.agent.id", r.Text(a.at(attrAgentID)))
	switch {
	case service != "" && agent != "":
		r.Agent("service.name+gen_ai.agent.name", r.Arena.Concat(service, "/", agent))
	case agent != "":
		r.Agent("gen_ai.agent.name", agent)
	}
	r.Agent("service.name", service)
	r.Agent("user.id", r.Text(a.at(attrUserID)))
	r.AgentByAddress(r.Text(a.at(attrUserAgent)))
	r.Put(schema.AIAgentName, agent)
	a.setText(r, schema.AIAgentVersion, attrAgentVersion, attrServiceVersion)
	a.setText(r, schema.AIAgentInstanceUID, attrServiceInstance)
	if r.Wants(schema.AIAgentType) {
		r.Put(schema.AIAgentType, framework(r.Text(o.scopeName)))
	}
	a.setText(r, schema.SessionID, attrSession, attrConversation, attrMCPSession)
	a.setText(r, schema.GenAIConversationID, attrConversation)
}

// caller sets the context of any activity: user, address, organization, cloud.
func (o *otlp) caller(r *formats.Record) {
	a := o.attrs
	r.SetSource(r.Text(a.at(attrClient)), "")
	a.setText(r, schema.UserID, attrUserID)
	a.setText(r, schema.UserName, attrUserName)
	a.setText(r, schema.UserEmail, attrUserEmail)
	a.setText(r, schema.OrganizationID, attrOrganization)
	a.setText(r, schema.UserAgentOriginal, attrUserAgent)
	a.setText(r, schema.CloudProvider, attrCloudProvider)
	a.setText(r, schema.CloudAccountID, attrCloudAccount)
	a.setText(r, schema.CloudRegion, attrCloudRegion)
}

// service returns the service's name, or "" for the default name that SDKs make up.
func (o *otlp) service(r *formats.Record) string {
	name := r.Text(o.attrs.at(attrService))
	if strings.HasPrefix(name, "unknown_service") {
		return ""
	}
	return name
}

// framework returns the agent framework that the name of a scope implies, or "".
func framework(scope string) string {
	last := strings.ToLower(scope[strings.LastIndexByte(scope, '.')+1:])
	for _, f := range [...]string{"langchain", "langgraph", "crewai", "autogen", "llama_index", "openai_agents", "google_adk", "smolagents",
		"semantic_kernel", "pydantic_ai", "haystack", "agno", "dspy", "strands"} {
		if strings.HasPrefix(last, f) {
			return f
		}
	}
	return ""
}

// http emits a plain HTTP call. A client span is a call by the service itself, a server span is a call by one of its
// callers.
func (o *otlp) http(r *formats.Record, method string, server bool) {
	a := o.attrs
	r.SetClass("http", method)
	r.Put(schema.HTTPRequestMethod, method)
	host, path := formats.SplitURL(r.Text(a.at(attrURL)))
	r.Put(schema.URLDomain, host)
	if path == "" {
		_, path = formats.SplitURL(r.Text(a.at(attrURLPath)))
	}
	r.Put(schema.URLPath, path)
	a.setText(r, schema.HTTPRoute, attrRoute)
	r.SetInt(schema.HTTPRequestBytes, a.at(attrRequestBytes))
	r.SetInt(schema.HTTPResponseBytes, a.at(attrResponseBytes))
	if !server {
		o.identify(r)
		a.setText(r, schema.ServiceTargetName, attrServer)
		r.Emit()
		return
	}
	o.caller(r)
	r.Agent("user.id", r.Text(a.at(attrUserID)))
	r.AgentByAddress(r.Text(a.at(attrUserAgent)))
	r.Put(schema.ServiceTargetName, o.service(r))
	a.setText(r, schema.SessionID, attrSession)
	r.Emit()
}
