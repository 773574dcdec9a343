package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// MCP reads JSON-RPC messages between an MCP client and a server, bare or in the envelope that a connector puts around
// each message (ts, direction, session_id, server, agent, message). A request and its response are two records and give
// two events.
func MCP() formats.Format {
	return formats.Format{
		Name:     "mcp_jsonrpc",
		Aliases:  []string{"mcp"},
		Datasets: []string{"mcp.jsonrpc"},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"jsonrpc"}, Path: []string{"jsonrpc"}, Text: "2.0"},
			{Keys: []string{"message", "direction"}, Path: []string{"message", "jsonrpc"}, Text: "2.0"},
			{Keys: []string{"message", "session_id", "server"}, Path: []string{"message", "jsonrpc"}, Text: "2.0"},
			{Keys: []string{"message", "direction", "session_id", "server"}}, // also a batch, or a message as text
		},
		NewReader: openMCP,
	}
}

// mcp reads MCP messages. Its int fields are places in a record.
type mcp struct {
	whole, message      int // the record itself, message
	ts, timestamp       int // ts, timestamp
	session, mcpSession int // session_id, mcp_session_id
	server              int // server
	agent, client, user int // agent, client, user
	rpc                 *RPC
	bareShape           *formats.Shape // of the record as a message
	messageShape        *formats.Shape // of the message in its envelope
}

func openMCP(p *formats.Paths) formats.Reader {
	m := &mcp{
		message: p.Add("message"), whole: p.Add(),
		ts: p.Add("ts"), timestamp: p.Add("timestamp"), session: p.Add("session_id"), mcpSession: p.Add("mcp_session_id"),
		server: p.Add("server"), agent: p.Add("agent"), client: p.Add("client"), user: p.Add("user"),
		rpc: NewRPC(), bareShape: p.AddShape(nil, rpcPaths()...), messageShape: p.AddShape([]string{"message"}, rpcPaths()...),
	}
	for _, list := range [...]string{"content", "contents"} {
		p.Index("result", list)
		p.Index("message", "result", list)
	}
	return m
}

func (m *mcp) Read(el *formats.Element) {
	el.SetDataset("mcp.jsonrpc")
	if !el.SetTime(el.At(m.ts), el.At(m.timestamp)) {
		return
	}
	m.identify(el)
	if el.At(m.message).Kind == scan.Object {
		m.messageShape.SelectFromElement(el)
		m.emit(el, m.messageShape)
		return
	}
	message, enveloped := el.Unwrap(el.At(m.message))
	if !enveloped {
		m.bareShape.SelectFromElement(el)
		m.emit(el, m.bareShape)
		return
	}
	if message.Kind == scan.Array { // a batch, as in protocol versions before 2025-06-18
		el.Index.Each(message.Src, message.Span, func(elem scan.Span) bool {
			m.emit(el, m.rpc.selected(el, formats.Node{Src: message.Src, Span: elem}))
			return !el.LimitExceeded()
		})
		return
	}
	m.emit(el, m.rpc.selected(el, message))
}

// identify names the caller from the envelope. The messages themselves are not a trustworthy source of names.
func (m *mcp) identify(el *formats.Element) {
	el.SetAgent("agent", el.Text(el.At(m.agent)))
	el.SetAgent("client", el.Text(el.At(m.client)))
	el.SetAgent("user", el.Text(el.At(m.user)))
	el.CopyText(schema.UserID, el.At(m.user))
	el.CopyText(schema.MCPServerName, el.At(m.server))
	el.CopyFirstText(schema.MCPSessionID, el.At(m.session), el.At(m.mcpSession))
	el.CopyFirstText(schema.SessionID, el.At(m.session), el.At(m.mcpSession))
}

// perMessage lists the fields that one message sets.
var perMessage = schema.Fields(
	schema.EventAction, schema.EventOutcome, schema.ErrorType, schema.EventTruncated, schema.TraceID, schema.SpanParentID,
	schema.MCPMethodName, schema.MCPResourceURI, schema.ResourceName, schema.ClientAppName, schema.GenAIToolName,
	schema.GenAIToolCallID, schema.GenAIToolCallArguments, schema.GenAIToolCallResult, schema.GenAIToolDefinitionsHash,
	schema.GenAIToolDefinitionsCount, schema.MessageContextPromptText, schema.MessageContextResponseText,
)

// emit emits the message selected by a shape of rpcPaths. A nil shape means that the message is not an object.
func (m *mcp) emit(el *formats.Element, message *formats.Shape) {
	el.Event.ClearAll(&perMessage)
	if !m.rpc.take(el, message) {
		el.Refuse(formats.ReasonUnknownFormat)
		return
	}
	el.Emit()
}

// RPC reads JSON-RPC messages of MCP. It belongs to one worker.
type RPC struct {
	scratch *formats.Shape
	shape   *formats.Shape // of the current message: scratch, or a shape of the record's
	item    *formats.Shape
	chat    *Conversation
	texts   []string
}

// Places in a shape of rpcPaths.
const (
	rpcID = iota
	rpcMethod
	rpcParams
	rpcName
	rpcArguments
	rpcURI
	rpcTraceparent
	rpcClientName
	rpcMessages
	rpcResult
	rpcError
	rpcErrorCode
	resultContent
	resultStructured
	resultIsError
	resultTools
	resultContents
	resultServerName
)

// Places in the shape of one item of a result.
const (
	itemText = iota
	itemResourceText
)

// rpcPaths returns the paths that are read of a message, each at its place.
func rpcPaths() [][]string {
	return [][]string{
		rpcID:            {"id"},
		rpcMethod:        {"method"},
		rpcParams:        {"params"},
		rpcName:          {"params", "name"},
		rpcArguments:     {"params", "arguments"},
		rpcURI:           {"params", "uri"},
		rpcTraceparent:   {"params", "_meta", "traceparent"},
		rpcClientName:    {"params", "clientInfo", "name"},
		rpcMessages:      {"params", "messages"},
		rpcResult:        {"result"},
		rpcError:         {"error"},
		rpcErrorCode:     {"error", "code"},
		resultContent:    {"result", "content"},
		resultStructured: {"result", "structuredContent"},
		resultIsError:    {"result", "isError"},
		resultTools:      {"result", "tools"},
		resultContents:   {"result", "contents"},
		resultServerName: {"result", "serverInfo", "name"},
	}
}

// NewRPC returns an RPC for one worker.
func NewRPC() *RPC {
	scratch := formats.NewShape(rpcPaths()...)
	return &RPC{
		scratch: scratch, shape: scratch,
		item: formats.NewShape([][]string{itemText: {"text"}, itemResourceText: {"resource", "text"}}...),
		chat: NewConversation(),
	}
}

// Message sets the fields of one message: the method of a request or notification, the result of a response. It returns
// false if n is not a message.
func (c *RPC) Message(el *formats.Element, n formats.Node) bool { return c.take(el, c.selected(el, n)) }

// selected returns the shape of a message, or nil if n is not an object.
func (c *RPC) selected(el *formats.Element, n formats.Node) *formats.Shape {
	if n.Kind != scan.Object {
		return nil
	}
	c.scratch.Select(el, n)
	return c.scratch
}

// take is like Message, for a message that a shape of rpcPaths has already selected.
func (c *RPC) take(el *formats.Element, message *formats.Shape) bool {
	if message == nil {
		return false
	}
	c.shape = message
	el.CopyText(schema.GenAIToolCallID, c.shape.At(rpcID))
	switch {
	case c.shape.At(rpcMethod).Kind == scan.String:
		c.request(el, el.Text(c.shape.At(rpcMethod)))
	case c.shape.At(rpcResult).Kind != scan.Absent:
		el.SetTool(formats.ActionToolResult, formats.Returned)
		c.result(el, c.shape.At(rpcResult))
	case c.shape.At(rpcError).Present():
		el.SetTool(formats.ActionToolResult, formats.Returned)
		c.failure(el)
	default:
		el.CountFaultNamed("method")
		return false
	}
	return true
}

// Tool returns the name in the parameters of the last request.
func (c *RPC) Tool(el *formats.Element) string { return el.Text(c.shape.At(rpcName)) }

// request sets the fields of a request. Its outcome is unknown, because it is in the response.
func (c *RPC) request(el *formats.Element, method string) {
	el.SetTool(method, formats.MCPPhase(method, false))
	el.SetOutcome(formats.Unknown)
	el.SetText(schema.MCPMethodName, method)
	el.CopyTraceparent(c.shape.At(rpcTraceparent))
	switch method {
	case formats.ActionMCPCall:
		el.CopyText(schema.GenAIToolName, c.shape.At(rpcName))
		el.CopyUnwrapped(schema.GenAIToolCallArguments, c.shape.At(rpcArguments))
	case "resources/read", "resources/subscribe", "resources/unsubscribe", "notifications/resources/updated":
		el.CopyText(schema.MCPResourceURI, c.shape.At(rpcURI))
	case "prompts/get":
		el.CopyText(schema.ResourceName, c.shape.At(rpcName))
		el.CopyUnwrapped(schema.GenAIToolCallArguments, c.shape.At(rpcArguments))
	case "initialize":
		el.CopyText(schema.ClientAppName, c.shape.At(rpcClientName))
	case "sampling/createMessage":
		c.chat.Reset()
		c.chat.Request(el, c.shape.At(rpcMessages))
		c.chat.Fill(el)
	default:
		el.CopyUnwrapped(schema.GenAIToolCallArguments, c.shape.At(rpcParams))
	}
}

// result sets the fields of a successful response.
func (c *RPC) result(el *formats.Element, n formats.Node) {
	el.SetOutcome(formats.Success)
	if n.Kind == scan.Object && c.shape.At(resultIsError).True() {
		el.SetOutcome(formats.Failure)
	}
	switch tools := c.shape.At(resultTools); {
	case n.Kind != scan.Object:
		el.CopyUnwrapped(schema.GenAIToolCallResult, n)
	case tools.Kind == scan.Array:
		el.SetClass(formats.ClassTool, "tools/list")
		SetTools(el, tools)
	case c.shape.At(resultServerName).Kind == scan.String:
		el.SetClass(formats.ClassTool, "initialize")
		if !el.Event.Has(schema.MCPServerName) {
			el.CopyText(schema.MCPServerName, c.shape.At(resultServerName))
		}
	default:
		c.content(el, n)
	}
}

// content sets the result to the texts in it, else to its structured content, else to the whole result.
func (c *RPC) content(el *formats.Element, n formats.Node) {
	list, structured := c.shape.At(resultContent), c.shape.At(resultStructured)
	if list.Kind != scan.Array {
		list = c.shape.At(resultContents)
	}
	c.texts = c.texts[:0]
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		c.item.Select(el, formats.Node{Src: list.Src, Span: elem})
		c.texts = appendText(c.texts, el.FirstText(c.item.At(itemText), c.item.At(itemResourceText)))
		return true
	})
	switch {
	case len(c.texts) > 0:
		el.SetUnwrapped(schema.GenAIToolCallResult, join(el, c.texts))
	case structured.Present():
		el.CopyJSON(schema.GenAIToolCallResult, structured)
	default:
		el.CopyJSON(schema.GenAIToolCallResult, n)
	}
}

// failure sets the fields of an error response.
func (c *RPC) failure(el *formats.Element) {
	el.SetOutcome(formats.Failure)
	el.CopyText(schema.ErrorType, c.shape.At(rpcErrorCode))
	el.CopyJSON(schema.GenAIToolCallResult, c.shape.At(rpcError))
}
