package gateway

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// toolServer reads the log of Kong's MCP plugin, ai.mcp: the calls that it passed on (rpc) and the decisions of its access
// lists (audit). A denied call is only in audit, an allowed call in both.
type toolServer struct {
	session, serverID int // ai.mcp: mcp_session_id, mcp_server_id
	service           int // service.name
	rpc, audit        int // ai.mcp: rpc, audit
	call              *formats.Shape
	decision          *formats.Shape
	messages          *llm.RPC
	allowed           []string                   // names in audit that were allowed, sorted
	saved             [len(perCall)]schema.Value // the record's values of perCall
}

// Places in the shape of a call.
const (
	rpcID = iota
	rpcMethod
	rpcTool
	rpcLatency
	rpcError
	rpcRequest
	rpcResponse
)

// Places in the shape of a decision.
const (
	auditPrimitive = iota
	auditName
	auditAction
	auditConsumer
	auditConsumerName
)

func newToolServer(p *formats.Paths) *toolServer {
	return &toolServer{
		session: p.Add("ai", "mcp", "mcp_session_id"), serverID: p.Add("ai", "mcp", "mcp_server_id"),
		service: p.Add("service", "name"),
		rpc:     p.Add("ai", "mcp", "rpc"), audit: p.Add("ai", "mcp", "audit"),
		call: formats.NewShape([][]string{
			rpcID: {"id"}, rpcMethod: {"method"}, rpcTool: {"tool_name"}, rpcLatency: {"latency"}, rpcError: {"error"},
			rpcRequest: {"payload", "request"}, rpcResponse: {"payload", "response"},
		}...),
		decision: formats.NewShape([][]string{
			auditPrimitive: {"primitive"}, auditName: {"primitive_name"}, auditAction: {"action"},
			auditConsumer: {"consumer", "id"}, auditConsumerName: {"consumer", "name"},
		}...),
		messages: llm.NewRPC(),
	}
}

// identify sets the agent to the consumer of the first decision that has one, unless the agent is already known.
func (t *toolServer) identify(el *formats.Element) {
	audit := el.At(t.audit)
	el.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(el, formats.Node{Src: audit.Src, Span: elem})
		el.SetAgent("ai.mcp.audit.consumer.id", el.Text(t.decision.At(auditConsumer)))
		return !el.Event.Has(schema.AIAgentUID)
	})
}

// read emits an event for each call and for each denied call, and reports whether there were any.
func (t *toolServer) read(el *formats.Element) bool {
	rpc, audit := el.At(t.rpc), el.At(t.audit)
	el.CopyText(schema.MCPSessionID, el.At(t.session))
	el.CopyText(schema.SessionID, el.At(t.session))
	if rpc.Kind != scan.Array && audit.Kind != scan.Array {
		return false
	}
	el.CopyFirstText(schema.MCPServerName, el.At(t.service), el.At(t.serverID))
	t.save(el)
	t.readAllowed(el, audit)
	calls := 0
	el.Index.Each(rpc.Src, rpc.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			calls++
			t.restore(el)
			t.readCall(el, formats.Node{Src: rpc.Src, Span: elem})
		}
		return !el.LimitExceeded()
	})
	el.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(el, formats.Node{Src: audit.Src, Span: elem})
		if action := el.Text(t.decision.At(auditAction)); action == "deny" || action == "denied" {
			calls++
			t.restore(el)
			t.readDenied(el)
		}
		return !el.LimitExceeded()
	})
	return calls > 0
}

// perCall lists the fields that a call sets. They are restored to the record's own values before the next call.
var perCall = [...]schema.Field{
	schema.EventDuration, schema.EventOutcome, schema.Disposition, schema.TraceID, schema.SpanParentID,
	schema.ErrorType, schema.EventTruncated, schema.MCPMethodName, schema.MCPResourceURI, schema.ResourceName,
	schema.ClientAppName, schema.GenAIToolName, schema.GenAIToolCallID, schema.GenAIToolCallArguments,
	schema.GenAIToolCallResult, schema.GenAIToolDefinitionsHash, schema.GenAIToolDefinitionsCount,
	schema.MessageContextPromptText,
}

// save remembers the record's own values of the fields that calls set.
func (t *toolServer) save(el *formats.Element) {
	for i, f := range perCall {
		t.saved[i] = el.Event.Value(f)
	}
}

// restore removes the values of the previous call from the event.
func (t *toolServer) restore(el *formats.Element) {
	for i, f := range perCall {
		el.Event.Set(f, t.saved[i])
	}
}

// readAllowed collects the names that the access lists allowed.
func (t *toolServer) readAllowed(el *formats.Element, audit formats.Node) {
	t.allowed = t.allowed[:0]
	el.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(el, formats.Node{Src: audit.Src, Span: elem})
		if name := el.Text(t.decision.At(auditName)); name != "" && el.Text(t.decision.At(auditAction)) == "allow" {
			t.allowed = append(t.allowed, name)
		}
		return len(t.allowed) < formats.MaxEvents
	})
	slices.Sort(t.allowed) // thousands of calls may be looked up among thousands of names
}

// readCall emits the event of a call that was passed on. The bodies, if logged, are JSON encoded in strings.
func (t *toolServer) readCall(el *formats.Element, n formats.Node) {
	t.call.Select(el, n)
	method, tool := el.Text(t.call.At(rpcMethod)), el.Text(t.call.At(rpcTool))
	outcome := el.Event.Text(schema.EventOutcome)
	if request, ok := el.Unwrap(t.call.At(rpcRequest)); ok && t.messages.Message(el, request) {
		if method == "" {
			method = el.Event.Text(schema.EventAction)
		}
		if tool == "" {
			tool = t.messages.Tool(el)
		}
	}
	failed := el.Text(t.call.At(rpcError)) != ""
	answered := failed
	if response, ok := el.Unwrap(t.call.At(rpcResponse)); ok && t.messages.Message(el, response) {
		answered = true
		if outcome != formats.Failure {
			outcome = el.Event.Text(schema.EventOutcome)
		}
	}
	el.SetTool(method, formats.MCPPhase(method, answered))
	el.SetOutcome(outcome)
	el.SetText(schema.MCPMethodName, method)
	el.SetText(schema.GenAIToolName, tool)
	el.CopyText(schema.GenAIToolCallID, t.call.At(rpcID))
	el.CopyDuration(t.call.At(rpcLatency), nsPerMilli)
	if failed {
		el.SetOutcome(formats.Failure)
		el.CopyText(schema.ErrorType, t.call.At(rpcError))
	}
	if _, allowed := slices.BinarySearch(t.allowed, tool); tool != "" && allowed {
		el.SetText(schema.Disposition, formats.Allowed)
	}
	el.Emit()
}

// readDenied emits the event of a call that the access lists refused. A decision without a name is about the list of tools.
func (t *toolServer) readDenied(el *formats.Element) {
	name := el.Text(t.decision.At(auditName))
	method := "tools/list"
	switch primitive := el.Text(t.decision.At(auditPrimitive)); {
	case primitive == "resource":
		method = "resources/read"
		el.SetText(schema.MCPResourceURI, name)
	case primitive == "prompt":
		method = "prompts/get"
		el.SetText(schema.ResourceName, name)
	case name != "":
		method = formats.ActionMCPCall
		el.SetText(schema.GenAIToolName, name)
	}
	el.SetTool(method, formats.MCPPhase(method, false))
	el.SetText(schema.MCPMethodName, method)
	el.SetBlocked()
	el.Emit()
}
