package gateway

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// toolServer reads what Kong's MCP plugin logs: the calls that it passed on (rpc) and what its access lists decided
// (audit). A denied call is only in the second, an allowed one in both.
type toolServer struct {
	session, serverID, service int
	rpc, audit                 int
	call                       *formats.Shape
	decision                   *formats.Shape
	messages                   *llm.RPC
	allowed                    []string // names in audit that were allowed
	kept                       [len(perCall)]schema.Value
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

func openToolServer(p *formats.Paths) *toolServer {
	return &toolServer{
		session: p.Add("ai", "mcp", "mcp_session_id"), serverID: p.Add("ai", "mcp", "mcp_server_id"),
		service: p.Add("service", "name"), rpc: p.Add("ai", "mcp", "rpc"), audit: p.Add("ai", "mcp", "audit"),
		call: formats.NewShape([]string{"id"}, []string{"method"}, []string{"tool_name"}, []string{"latency"}, []string{"error"},
			[]string{"payload", "request"}, []string{"payload", "response"}),
		decision: formats.NewShape([]string{"primitive"}, []string{"primitive_name"}, []string{"action"}, []string{"consumer", "id"},
			[]string{"consumer", "name"}),
		messages: llm.NewRPC(),
	}
}

// identify takes the consumer that a decision was made for, where the record names none.
func (t *toolServer) identify(r *formats.Record) {
	audit := r.At(t.audit)
	r.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(r, formats.Node{Src: audit.Src, Span: elem})
		r.Agent("ai.mcp.audit.consumer.id", r.Text(t.decision.At(auditConsumer)))
		return !r.Event.Has(schema.AIAgentUID)
	})
}

// read makes an event of each call and of each denied one; false where there are none.
func (t *toolServer) read(r *formats.Record) bool {
	rpc, audit := r.At(t.rpc), r.At(t.audit)
	r.SetText(schema.MCPSessionID, r.At(t.session))
	r.SetText(schema.SessionID, r.At(t.session))
	if rpc.Kind != scan.Array && audit.Kind != scan.Array {
		return false
	}
	r.SetFirst(schema.MCPServerName, r.At(t.service), r.At(t.serverID))
	t.keep(r)
	t.readAllowed(r, audit)
	calls := 0
	r.Index.Each(rpc.Src, rpc.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			calls++
			t.begin(r)
			t.readCall(r, formats.Node{Src: rpc.Src, Span: elem})
		}
		return !r.Full()
	})
	r.Index.Each(audit.Src, audit.Span, func(elem scan.Span) bool {
		t.decision.Select(r, formats.Node{Src: audit.Src, Span: elem})
		if action := r.Text(t.decision.At(auditAction)); action == "deny" || action == "denied" {
			calls++
			t.begin(r)
			t.readDenied(r)
		}
		return !r.Full()
	})
	return calls > 0
}

// perCall are the fields that one call sets; those that the record has too are put back before the next.
var perCall = [...]schema.Field{
	schema.EventDuration, schema.EventOutcome, schema.Disposition, schema.TraceID, schema.SpanParentID,
	schema.ErrorType, schema.EventTruncated, schema.MCPMethodName, schema.MCPResourceURI, schema.ResourceName,
	schema.ClientAppName, schema.GenAIToolName, schema.GenAIToolCallID, schema.GenAIToolCallArguments,
	schema.GenAIToolCallResult, schema.GenAIToolDefinitionsHash, schema.GenAIToolDefinitionsCount,
	schema.MessageContextPromptText,
}

// keep remembers what the record has of the fields that calls set.
func (t *toolServer) keep(r *formats.Record) {
	for i, f := range perCall {
		t.kept[i] = r.Event.Value(f)
	}
}

// begin undoes what the call before set.
func (t *toolServer) begin(r *formats.Record) {
	for i, f := range perCall {
		r.Event.Set(f, t.kept[i])
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

// readCall is a call that was passed on. The bodies, where they are logged, are JSON texts.
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

// readDenied is a call, or a look at the list of tools, that the access lists refused.
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
