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
	allowed           []string                   // names in audit that were allowed
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
func (t *toolServer) identify(r *formats.Record) {
	audit := r.At(t.audit)
	r.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(r, formats.Node{Src: audit.Src, Span: elem})
		r.Agent("ai.mcp.audit.consumer.id", r.Text(t.decision.At(auditConsumer)))
		return !r.Event.Has(schema.AIAgentUID)
	})
}

// read emits an event for each call and for each denied call, and reports whether there were any.
func (t *toolServer) read(r *formats.Record) bool {
	rpc, audit := r.At(t.rpc), r.At(t.audit)
	r.SetText(schema.MCPSessionID, r.At(t.session))
	r.SetText(schema.SessionID, r.At(t.session))
	if rpc.Kind != scan.Array && audit.Kind != scan.Array {
		return false
	}
	r.SetFirst(schema.MCPServerName, r.At(t.service), r.At(t.serverID))
	t.save(r)
	t.readAllowed(r, audit)
	calls := 0
	r.Index.Each(rpc.Src, rpc.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			calls++
			t.restore(r)
			t.readCall(r, formats.Node{Src: rpc.Src, Span: elem})
		}
		return !r.Full()
	})
	r.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(r, formats.Node{Src: audit.Src, Span: elem})
		if action := r.Text(t.decision.At(auditAction)); action == "deny" || action == "denied" {
			calls++
			t.restore(r)
			t.readDenied(r)
		}
		return !r.Full()
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
func (t *toolServer) save(r *formats.Record) {
	for i, f := range perCall {
		t.saved[i] = r.Event.Value(f)
	}
}

// restore removes the values of the previous call from the event.
func (t *toolServer) restore(r *formats.Record) {
	for i, f := range perCall {
		r.Event.Set(f, t.saved[i])
	}
}

// readAllowed collects the names that the access lists allowed.
func (t *toolServer) readAllowed(r *formats.Record, audit formats.Node) {
	t.allowed = t.allowed[:0]
	r.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(r, formats.Node{Src: audit.Src, Span: elem})
		if name := r.Text(t.decision.At(auditName)); name != "" && r.Text(t.decision.At(auditAction)) == "allow" {
			t.allowed = append(t.allowed, name)
		}
		return len(t.allowed) < formats.MaxEvents
	})
}

// readCall emits the event of a call that was passed on. The bodies, if logged, are JSON encoded in strings.
func (t *toolServer) readCall(r *formats.Record, n formats.Node) {
	t.call.Select(r, n)
	method, tool := r.Text(t.call.At(rpcMethod)), r.Text(t.call.At(rpcTool))
	outcome := r.Event.Text(schema.EventOutcome)
	if request, ok := r.Inside(t.call.At(rpcRequest)); ok && t.messages.Message(r, request) {
		if method == "" {
			method = r.Event.Text(schema.EventAction)
		}
		if tool == "" {
			tool = t.messages.Tool(r)
		}
	}
	if response, ok := r.Inside(t.call.At(rpcResponse)); ok && t.messages.Message(r, response) && outcome != formats.Failure {
		outcome = r.Event.Text(schema.EventOutcome)
	}
	r.SetClass(formats.ClassTool, method)
	r.SetOutcome(outcome)
	r.Put(schema.MCPMethodName, method)
	r.Put(schema.GenAIToolName, tool)
	r.SetText(schema.GenAIToolCallID, t.call.At(rpcID))
	r.SetDuration(t.call.At(rpcLatency), nsPerMilli)
	if failed := t.call.At(rpcError); r.Text(failed) != "" {
		r.SetOutcome(formats.Failure)
		r.SetText(schema.ErrorType, failed)
	}
	if tool != "" && slices.Contains(t.allowed, tool) {
		r.Put(schema.Disposition, formats.Allowed)
	}
	r.Emit()
}

// readDenied emits the event of a call that the access lists refused. A decision without a name is about the list of tools.
func (t *toolServer) readDenied(r *formats.Record) {
	name := r.Text(t.decision.At(auditName))
	method := "tools/list"
	switch primitive := r.Text(t.decision.At(auditPrimitive)); {
	case primitive == "resource":
		method = "resources/read"
		r.Put(schema.MCPResourceURI, name)
	case primitive == "prompt":
		method = "prompts/get"
		r.Put(schema.ResourceName, name)
	case name != "":
		method = "tools/call"
		r.Put(schema.GenAIToolName, name)
	}
	r.SetClass(formats.ClassTool, method)
	r.Put(schema.MCPMethodName, method)
	r.Block()
	r.Emit()
}
