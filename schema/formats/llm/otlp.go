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

// OTLP is OpenTelemetry's protocol, spans and logs: the GenAI conventions of all ages, OpenInference, OpenLLMetry, MCP,
// and the logs of coding agents. Protobuf is made this JSON before it comes here. Each span or log record is an element;
// one that is not about an agent gives no event.
func OTLP() formats.Format {
	return formats.Format{
		Name:     OTLPName,
		Aliases:  []string{"otel", "otlp_proto", "otlp_json"},
		Datasets: []string{claudeCodeDataset, otelDataset, otelHTTPDataset},
		Tells:    []formats.Tell{{Keys: []string{"resourceSpans"}}, {Keys: []string{"resourceLogs"}}},
		Open:     openOTLP,
	}
}

// otlp holds the places of a span's and a log record's values.
type otlp struct {
	resourceSpans, resourceLogs                              int
	traceID, spanID, parentID, kind, start, end, attributes  int
	name, status, events, time, observed, body, bodyText, ev int

	resource, scope, event *formats.Shape
	outer, own             *attributes
	chat                   *Conversation
	scopeName              formats.Node
	logs                   bool
}

// Places of the shapes.
const (
	resourceAttributes = iota
	resourceScopeSpans
	resourceScopeLogs
	resourceLibrarySpans
)

const (
	scopeName = iota
	scopeLibraryName
	scopeAttributes
	scopeSpans
	scopeLogRecords
)

const (
	spanEventName = iota
	spanEventAttributes
)

func openOTLP(p *formats.Paths) formats.Reader {
	known := newNames()
	outer := newAttributes(known, nil)
	return &otlp{
		resourceSpans: p.Open("resourceSpans"), resourceLogs: p.Open("resourceLogs"), traceID: p.Add("traceId"), spanID: p.Add("spanId"),
		parentID: p.Add("parentSpanId"), kind: p.Add("kind"), start: p.Add("startTimeUnixNano"), end: p.Add("endTimeUnixNano"),
		attributes: p.Add("attributes"), name: p.Add("name"), status: p.Add("status", "code"), events: p.Add("events"),
		time: p.Add("timeUnixNano"), observed: p.Add("observedTimeUnixNano"), body: p.Add("body"), bodyText: p.Add("body", "stringValue"),
		ev: p.Add("eventName"),
		resource: formats.NewShape([]string{"resource", "attributes"}, []string{"scopeSpans"}, []string{"scopeLogs"},
			[]string{"instrumentationLibrarySpans"}),
		scope: formats.NewShape([]string{"scope", "name"}, []string{"instrumentationLibrary", "name"}, []string{"scope", "attributes"},
			[]string{"spans"}, []string{"logRecords"}),
		event: formats.NewShape([]string{"name"}, []string{"attributes"}),
		outer: outer, own: newAttributes(known, outer), chat: NewConversation(),
	}
}

// Split yields each span and each log record.
func (o *otlp) Split(r *formats.Record, yield func(formats.Node) bool) {
	spans, logs := r.At(o.resourceSpans), r.At(o.resourceLogs)
	r.Begin(otelDataset)
	o.logs = false
	if o.eachScope(r, spans, yield) {
		o.logs = true
		o.eachScope(r, logs, yield)
	}
}

// eachScope walks the scopes of all resources; it is false when yield was.
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

// eachElement yields the spans or log records of one scope.
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
	o.outer.reset()
	o.outer.read(r, resource)
	o.outer.read(r, o.scope.At(scopeAttributes))
	more := true
	r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		more = yield(formats.Node{Src: list.Src, Span: elem})
		return more
	})
	return more
}

func (o *otlp) Read(r *formats.Record) {
	r.Begin(otelDataset)
	o.own.reset()
	o.own.read(r, r.At(o.attributes))
	if o.logs {
		o.readLog(r)
		return
	}
	o.readSpan(r)
}

// readSpan takes a span: its kind of activity is what its attributes say.
func (o *otlp) readSpan(r *formats.Record) {
	o.readEvents(r)
	op := o.operation(r)
	method := o.own.at(attrHTTPMethod)
	kind := spanKind(r.Text(r.At(o.kind)))
	if op == "" && (!method.Present() || kind != spanClient && kind != spanServer) {
		return // no activity of an agent
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
	// They are needed for the event's id, whether wanted or not.
	r.Event.SetText(schema.TraceID, traceID(r, r.At(o.traceID)))
	r.Event.SetText(schema.SpanID, traceID(r, r.At(o.spanID)))
	r.Put(schema.SpanParentID, traceID(r, r.At(o.parentID)))
	return true
}

// start sets the time from the first value that holds one, and is no 0.
func start(r *formats.Record, times []formats.Node) bool {
	for i := range times {
		if zero(times[i]) {
			times[i] = formats.Node{}
		}
	}
	return r.Start(times...)
}

// instant is scan.Time.
func instant(n formats.Node) (ns int64, ok bool) {
	if ns, ok = nanos(n); ok {
		return ns, true
	}
	return scan.Time(n.Src, n.Span)
}

// nanos is scan.Time of a time as nearly all are, a text of 19 digits that are ns from the year 2001 on, and fit.
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

// zero says that a number is 0, which OTLP's times are where there is none.
func zero(n formats.Node) bool {
	if n.Kind == scan.String && int(n.End-n.Start) > len(`""`) && n.Src[n.Start+1]-'1' < 9 {
		return false // whatever follows, the first digit is another
	}
	v, ok := scan.Int(n.Src, n.Span)
	return ok && v == 0
}

// traceID returns the id of a trace or a span in lower-case hex. Exporters that know protobuf's JSON but not OTLP's
// write base64; only its length tells it. All zeros is none.
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
	return strings.ToLower(text) // the same text where it is lower case
}

// plainID says that an id is as nearly all are: whole words of 8 bytes that are ASCII without the letters from @ to _,
// and not all of them zeros.
func plainID(text string) bool {
	const ones, zeros = 0x0101010101010101, 0x3030303030303030
	other, word := uint64(0), uint64(0)
	for ; len(text) >= 8; text = text[8:] {
		word = binary.LittleEndian.Uint64([]byte(text))
		if (word|word<<1&^(word<<2))&(ones*0x80) != 0 {
			return false // a byte of 0x80 or more, or one of 0x40 to 0x5f
		}
		other |= word ^ zeros
	}
	return text == "" && other != 0
}

// The kinds of spans that stand for a call between services.
const (
	spanServer = 2
	spanClient = 3
)

// spanKind reads a kind as a number, or as the name that some exporters write.
func spanKind(text string) int {
	switch text {
	case "2", "SPAN_KIND_SERVER":
		return spanServer
	case "3", "SPAN_KIND_CLIENT":
		return spanClient
	}
	return 0
}

// readEvents takes the attributes of a span's own GenAI events, where older instrumentations put what was said.
func (o *otlp) readEvents(r *formats.Record) {
	events := r.At(o.events)
	r.Index.Each(events.Src, events.Span, func(elem scan.Span) bool {
		o.event.Select(r, formats.Node{Src: events.Src, Span: elem})
		if strings.HasPrefix(r.Text(o.event.At(spanEventName)), "gen_ai.") {
			o.own.read(r, o.event.At(spanEventAttributes))
		}
		return true
	})
}

// operation says what a span did in the words of today's conventions; "" where it is not about an agent or a model.
func (o *otlp) operation(r *formats.Record) string {
	if o.own.at(attrMCPMethod).Present() {
		return operationMCP
	}
	if op := r.Text(o.own.at(attrOperation)); op != "" {
		return op
	}
	switch r.Text(o.own.at(attrOpenInferenceKind)) {
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
	switch r.Text(o.own.at(attrTraceloopKind)) {
	case "tool":
		return operationTool
	case "agent":
		return operationAgent
	}
	switch op := r.Text(o.own.at(attrRequestType)); op {
	case "completion":
		return "text_completion"
	case "embedding":
		return "embeddings"
	case "chat", "rerank":
		return op
	}
	if o.own.at(attrProvider).Present() && o.own.at(attrRequestModel).Present() { // conventions before operation names
		return "chat"
	}
	return claudeSpan(r.Text(r.At(o.name)))
}

// Operations that are no call of a model.
const (
	operationMCP       = "mcp"
	operationTool      = "execute_tool"
	operationAgent     = "invoke_agent"
	operationGuardrail = "guardrail"
)

// claudeSpan is what one of Claude Code's own spans did.
func claudeSpan(name string) string {
	switch name {
	case "claude_code.llm_request":
		return "chat"
	case "claude_code.tool":
		return operationTool
	}
	return ""
}

// spanOutcome reads the status, the error and the HTTP status of a span.
func (o *otlp) spanOutcome(r *formats.Record) {
	r.SetOutcome(formats.Success)
	failed := o.own.at(attrErrorType)
	if status := r.Text(r.At(o.status)); status == "2" || status == "STATUS_CODE_ERROR" || failed.Present() {
		r.SetOutcome(formats.Failure)
	}
	r.SetText(schema.ErrorType, failed)
	r.SetInt(schema.HTTPResponseStatusCode, o.own.at(attrHTTPStatus))
	status := o.own.at(attrHTTPStatus)
	if code, ok := scan.Int(status.Src, status.Span); ok && code >= 400 {
		r.SetStatus(code)
	}
	if kind := r.Text(failed); kind == "401" || kind == "403" || formats.Denied(kind) {
		r.Block()
	}
}

// identify tells whose span it is: the agent that it declares, else the service and the agent's name, else the user.
func (o *otlp) identify(r *formats.Record) {
	a := o.own
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

// caller sets what stands around any activity: user, address, tenant, cloud.
func (o *otlp) caller(r *formats.Record) {
	a := o.own
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

// service returns the service's name, "" for the one that SDKs make up.
func (o *otlp) service(r *formats.Record) string {
	name := r.Text(o.own.at(attrService))
	if strings.HasPrefix(name, "unknown_service") {
		return ""
	}
	return name
}

// framework is the framework that a scope's name tells, "" for others.
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

// http is a plain HTTP call: of the service by its client span, of a caller of it by its server span.
func (o *otlp) http(r *formats.Record, method string, server bool) {
	a := o.own
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
