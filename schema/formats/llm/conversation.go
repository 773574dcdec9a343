// Package llm reads the logs of model gateways and of MCP connectors. It also reads the forms of chat that many formats
// embed: OpenAI messages and responses, and Anthropic content blocks.
package llm

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// ToolCall is a tool call requested by the model. If the provider ran the tool itself, it also holds what came back.
type ToolCall struct {
	ID, Name  string
	Arguments formats.Node // any JSON value, often a string that holds an object
	Server    string       // the MCP server that the provider called, or ""
	Method    string       // the MCP method, or ""
	Outcome   string       // formats.Success or formats.Failure, "" if it is unknown
	ErrorType string
	Returned  bool // the record shows what came back
	// Of the result, Value is used only if Text is empty.
	Text  string
	Value formats.Node
	Tools formats.Node // the definitions that a server listed
}

// ToolResult is the result of a tool call. Value is used only if Text is empty.
type ToolResult struct {
	ID, Name string
	Text     string
	Value    formats.Node
	Failed   bool
	Decision string // formats.Allowed or formats.Blocked if this is not a result, but the answer to a request for approval
}

// Conversation collects the new part of one exchange with a model. Every request repeats the whole history; the new
// part follows the assistant's last message, so the record alone shows it. A Conversation belongs to one
// worker, and its contents are valid until the next Reset.
type Conversation struct {
	Results []ToolResult // tool results in the request
	Calls   []ToolCall   // calls in the response
	Guard   Guard        // what guardrails found in the request or the response
	prompt  []string
	answer  []string
	system  []string
	leading int      // number of texts of system in front of all other messages
	begun   bool     // leading is known
	offered []string // names of the tools on offer, only if the workflow's hash is wanted
	finish  []string

	messages     []turn
	historyCalls []ToolCall // calls of the assistant's last messages in the history; they name the tools of the results
	last         int        // index in messages of the assistant's last message, or -1
	lastCalls    [2]int     // the range of historyCalls that belongs to that message
	callsPending bool       // historyCalls has yet to be collected
	byID         []int32    // historyCalls sorted by their ids, if there are more than fewCalls

	message  *formats.Shape              // the selected message: an element of selected, or scratch
	selected [maxSelected]*formats.Shape // the first messages of the request that were selected
	used     int                         // how many elements of selected are in use
	scratch  *formats.Shape              // for all other messages

	body, call, part, responseShape, choice, offer *formats.Shape
	item, function                                 *formats.Shape // of the kinds of items and parts that few records have

	buffer []byte // of arguments that are composed

	inner int // levels of answers inside answers around the current one
}

// maxSelected is how many messages of a request stay selected. Most requests have fewer new messages than that, and the
// answers to parallel calls are looked at twice.
const maxSelected = 8

// turn is one message of a request. Most messages belong to the history, which every request repeats, and are never
// read.
type turn struct {
	node, content formats.Node
	role          role
	known         bool           // content and role are set
	shape         *formats.Shape // the shape in which the message stays selected, or nil
}

type role uint8

const (
	user role = iota
	assistant
	system
	tool
)

// NewConversation returns a Conversation for one worker.
func NewConversation() *Conversation {
	c := &Conversation{
		body: formats.NewShape(BodyPaths()...), scratch: formats.NewShape(messagePaths()...),
		call: formats.NewShape(callPaths()...), part: formats.NewShape(partPaths()...),
		responseShape: formats.NewShape(AnswerPaths()...), choice: formats.NewShape(choicePaths()...),
		offer: formats.NewShape(offerPaths()...),
		item:  formats.NewShape(itemPaths()...), function: formats.NewShape(functionPaths()...),
	}
	c.message = c.scratch
	for i := range c.selected {
		c.selected[i] = formats.NewShape(messagePaths()...)
	}
	return c
}

// Reset empties the conversation.
func (c *Conversation) Reset() {
	c.Results, c.Calls = c.Results[:0], c.Calls[:0]
	c.Guard.Reset()
	c.prompt, c.answer, c.system, c.finish = c.prompt[:0], c.answer[:0], c.system[:0], c.finish[:0]
	c.messages, c.historyCalls, c.byID = c.messages[:0], c.historyCalls[:0], c.byID[:0]
	c.leading, c.begun, c.offered = 0, false, c.offered[:0]
	c.last, c.lastCalls, c.callsPending, c.used = -1, [2]int{}, false, 0
}

// bodySystems is the set of the places of system instructions beside the messages.
var bodySystems = formats.PlacesBetween(bodySystem, bodyConfigSystemCamel)

// SelectedBody reads a request's body that has been selected by a shape beginning with BodyPaths: its messages, input
// or prompt, and the system instructions beside them. It returns false if they are all missing.
func (c *Conversation) SelectedBody(el *formats.Element, body *formats.Shape) bool {
	if body.At(bodyRole).Present() || body.At(bodyContent).Present() {
		return false // a single message
	}
	messages := body.At(bodyMessages)
	for place := bodyInput; place <= bodyContents && !messages.Present(); place++ {
		messages = body.At(place)
	}
	if body.HasAny(bodySystems) {
		for place := bodySystem; place <= bodyConfigSystemCamel; place++ {
			c.System(el, body.At(place))
		}
	}
	if contents := body.At(bodyContents); contents.Kind == scan.Object && contents.Span == messages.Span {
		c.messages = append(c.messages, turn{node: contents})
		c.readNew(el)
		return true
	}
	if messages.Kind != scan.Array && messages.Kind != scan.String {
		return false
	}
	c.Request(el, messages)
	return true
}

// maxItems bounds the results and the calls kept of one record. It is one more than a record may yield, so that
// anything left out shows as a fan-out, and it keeps the search for a result's call short whatever a caller sends.
const maxItems = formats.MaxEvents + 1

func (c *Conversation) addResult(res ToolResult) {
	if len(c.Results) < maxItems {
		c.Results = append(c.Results, res)
	}
}

func addCall(to []ToolCall, call ToolCall) []ToolCall {
	if len(to) < maxItems {
		to = append(to, call)
	}
	return to
}

// Request reads the messages of a request. They may be an array of messages or items, a single one of these, a whole
// body, or a text.
func (c *Conversation) Request(el *formats.Element, messages formats.Node) {
	switch messages.Kind {
	case scan.String:
		c.prompt = appendText(c.prompt, el.Text(messages))
	case scan.Object:
		c.body.Select(el, messages)
		c.selectedRequest(el, messages, c.body)
	case scan.Array:
		el.Index.Each(messages.Src, messages.Span, func(elem scan.Span) bool {
			n := formats.Node{Src: messages.Src, Span: elem}
			switch n.Kind {
			case scan.Object:
				c.messages = append(c.messages, turn{node: n})
			case scan.String: // a list of inputs, as for embeddings
				c.prompt = appendText(c.prompt, el.Text(n))
			}
			return true
		})
		c.readNew(el)
	}
}

// selectedRequest is like Request, for an object that a shape beginning with BodyPaths has already selected.
func (c *Conversation) selectedRequest(el *formats.Element, n formats.Node, body *formats.Shape) {
	if c.SelectedBody(el, body) {
		return
	}
	c.messages = append(c.messages, turn{node: n})
	c.readNew(el)
}

// readNew reads the new messages, those after the assistant's last one. System messages count wherever they are in the
// history.
func (c *Conversation) readNew(el *formats.Element) {
	if c.callsPending { // left over from the previous request
		c.collectCalls(el)
	}
	c.last, c.callsPending = c.lastAssistant(el), true
	from := c.last + 1
	if wantsSystem(el) {
		from = c.readLeading(el)
	}
	if el.Wanted(schema.GenAISystemInstructionsHash) {
		for i := from; i <= c.last; i++ {
			if t := c.turn(el, i); t.role == system {
				c.System(el, t.content)
			}
		}
	}
	for i := max(from, c.last+1); i < len(c.messages); i++ {
		if t := c.turn(el, i); t.role == system {
			c.System(el, t.content)
		} else {
			c.readTurn(el, t)
		}
	}
}

// readLeading reads the system messages in front of all others, of the first request that has messages, and returns their
// number.
func (c *Conversation) readLeading(el *formats.Element) (n int) {
	for !c.begun && n < len(c.messages) && c.turn(el, n).role == system {
		c.System(el, c.messages[n].content)
		n++
	}
	c.begun = c.begun || len(c.messages) > 0
	return n
}

// turn returns the i'th message with its role and content set.
func (c *Conversation) turn(el *formats.Element, i int) *turn {
	t := &c.messages[i]
	if !t.known {
		c.selectTurn(el, t)
		t.content, t.role, t.known = c.content(), c.role(el), true
	}
	return t
}

// selectTurn makes t the selected message. The first maxSelected messages of a request keep a shape of their name.
func (c *Conversation) selectTurn(el *formats.Element, t *turn) {
	if t.shape != nil {
		c.message = t.shape
		return
	}
	c.message = c.scratch
	if c.used < maxSelected {
		t.shape = c.selected[c.used]
		c.message = t.shape
		c.used++
	}
	c.message.Select(el, t.node)
}

// selectMessage makes a message that is not a turn of the request the selected one.
func (c *Conversation) selectMessage(el *formats.Element, message formats.Node) {
	c.message = c.scratch
	c.message.Select(el, message)
}

// System adds system instructions.
func (c *Conversation) System(el *formats.Element, n formats.Node) {
	if !wantsSystem(el) {
		return
	}
	c.texts(el, n, &c.system)
	if !c.begun {
		c.leading = len(c.system)
	}
}

// wantsSystem reports whether the system instructions are wanted. Only hashes of them are ever emitted.
func wantsSystem(el *formats.Element) bool {
	return el.Wanted(schema.GenAISystemInstructionsHash) || el.WantsWorkflowHash()
}

// role returns the role of the selected message.
func (c *Conversation) role(el *formats.Element) role {
	switch el.Text(c.message.At(messageRole)) {
	case "assistant", "model":
		return assistant
	case "system", "developer":
		return system
	case "tool", "function":
		return tool
	case "":
		return roleOfItem(el.Text(c.message.At(messageType)))
	}
	return user
}

// lastAssistant returns the index of the assistant's last message, or -1.
func (c *Conversation) lastAssistant(el *formats.Element) int {
	for i := len(c.messages) - 1; i >= 0; i-- {
		if c.turn(el, i).role == assistant {
			return i
		}
	}
	return -1
}

// collectCalls fills historyCalls from the assistant's last message and the assistant messages directly before it: the
// results that follow answer these calls.
func (c *Conversation) collectCalls(el *formats.Element) {
	c.callsPending = false
	c.lastCalls = [2]int{len(c.historyCalls), len(c.historyCalls)}
	items := true
	for i := c.last; i >= 0 && c.turn(el, i).role == assistant; i-- {
		c.selectTurn(el, &c.messages[i])
		kind := el.Text(c.message.At(messageType))
		items = items && isCallItem(kind) // the items of one answer follow one another
		if isCallItem(kind) && !isFunctionCall(kind) {
			c.historyCalls = addCall(c.historyCalls, c.callItem(el, c.messages[i].node, kind))
		} else {
			c.historyCalls = c.calls(el, c.historyCalls)
		}
		if i == c.last || items {
			c.lastCalls[1] = len(c.historyCalls)
		}
	}
}

// AddHistoryCalls adds the calls of the assistant's last message in the request to the new calls. It is for formats
// whose records never hold a response.
func (c *Conversation) AddHistoryCalls(el *formats.Element) {
	if c.callsPending {
		c.collectCalls(el)
	}
	for _, call := range c.historyCalls[c.lastCalls[0]:c.lastCalls[1]] {
		c.Calls = addCall(c.Calls, call)
	}
}

// nameOf returns the name of the tool that the call id asked for. It may change the selected message.
func (c *Conversation) nameOf(el *formats.Element, id string) string {
	if id == "" {
		return ""
	}
	if c.callsPending {
		c.collectCalls(el)
	}
	if len(c.historyCalls) > fewCalls {
		return c.nameByID(id)
	}
	for i := range c.historyCalls {
		if c.historyCalls[i].ID == id {
			return c.historyCalls[i].Name
		}
	}
	return ""
}

// fewCalls is the number of calls up to which a linear search is fast enough for each of several results. Few models make
// more at once.
const fewCalls = 16

// nameByID is like nameOf, with a binary search: a hostile record has thousands of results and thousands of calls. If
// several calls have the id, the first counts.
func (c *Conversation) nameByID(id string) string {
	if len(c.byID) != len(c.historyCalls) {
		c.byID = c.byID[:0]
		for i := range c.historyCalls {
			c.byID = append(c.byID, int32(i))
		}
		slices.SortFunc(c.byID, func(a, b int32) int {
			return cmp.Or(strings.Compare(c.historyCalls[a].ID, c.historyCalls[b].ID), int(a-b))
		})
	}
	at, ok := slices.BinarySearchFunc(c.byID, id, func(i int32, id string) int { return strings.Compare(c.historyCalls[i].ID, id) })
	if !ok {
		return ""
	}
	return c.historyCalls[c.byID[at]].Name
}

// readTurn reads a new message of the request.
func (c *Conversation) readTurn(el *formats.Element, t *turn) {
	if t.role != tool {
		c.readContent(el, t.content)
		return
	}
	c.selectTurn(el, t)
	if c.message.At(messageParts).Kind != scan.Array && !c.holdsResults(el, t.content) {
		if el.Text(c.message.At(messageType)) == itemApprovalResponse {
			c.approval(el, t.node)
			return
		}
		c.result(el)
		return
	}
	el.Index.Each(t.content.Src, t.content.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			c.part.Select(el, formats.Node{Src: t.content.Src, Span: elem})
			c.blockResult(el)
		}
		return true
	})
}

// holdsResults reports whether the content of a tool's message is a list of results, as in the Vercel AI SDK.
func (c *Conversation) holdsResults(el *formats.Element, content formats.Node) bool {
	first := el.FirstItem(content)
	if first.Kind != scan.Object {
		return false
	}
	c.part.Select(el, first)
	_, ok := c.partResult(el)
	return ok
}

// readContent reads the content of a new message: the texts of a prompt, and the tool results among them.
func (c *Conversation) readContent(el *formats.Element, content formats.Node) {
	if content.Kind != scan.Array {
		c.texts(el, content, &c.prompt)
		return
	}
	el.Index.Each(content.Src, content.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: content.Src, Span: elem}
		switch elem.Kind {
		case scan.String:
			c.prompt = appendText(c.prompt, el.Text(n))
		case scan.Object:
			c.part.Select(el, n)
			c.prompt = appendText(c.prompt, c.partText(el))
			c.blockResult(el)
		}
		return true
	})
}

// messageAllParts is the set of the places of a message's parts.
var messageAllParts = formats.PlacesOf(messageParts, messageContentParts)

// content returns the content of the selected message, which OpenTelemetry and Gemini call parts.
func (c *Conversation) content() formats.Node {
	if !c.message.HasAny(messageAllParts) {
		return c.message.At(messageContent)
	}
	if parts := c.message.At(messageParts); parts.Kind == scan.Array {
		return parts
	}
	if parts := c.message.At(messageContentParts); parts.Kind == scan.Array {
		return parts
	}
	return c.message.At(messageContent)
}

// result reads the selected message as a tool result: OpenAI's roles tool and function, and output items.
func (c *Conversation) result(el *formats.Element) {
	if len(c.Results) == maxItems {
		return
	}
	id := el.FirstText(c.message.At(messageCallID), c.message.At(messageItemCallID), c.message.At(messageID))
	res := ToolResult{ID: id, Value: c.message.At(messageContent)}
	if !res.Value.Present() {
		res.Value = c.message.At(messageOutput)
	}
	name := el.Text(c.message.At(messageName))
	if res.Name = c.nameOf(el, res.ID); res.Name == "" {
		res.Name = name
	}
	res.Text = c.resultText(el, res.Value)
	res.Failed = isFailure(el.Text(c.message.At(messageStatus)))
	c.addResult(res)
}

// blockResult adds the selected part of a message if it is a tool result: Anthropic's tool_result, Converse's
// toolResult, OpenTelemetry's tool_call_response.
func (c *Conversation) blockResult(el *formats.Element) {
	if len(c.Results) == maxItems {
		return
	}
	if res, ok := c.partResult(el); ok {
		if name := c.nameOf(el, res.ID); name != "" {
			res.Name = name
		}
		res.Text = c.resultText(el, res.Value)
		c.addResult(res)
	}
}

// partResult returns the selected part as a tool result; ok is false if it is not a tool result.
func (c *Conversation) partResult(el *formats.Element) (res ToolResult, ok bool) {
	switch kind := el.Text(c.part.At(partType)); {
	case kind == "tool_result" || strings.HasSuffix(kind, "_tool_result"): // also of tools that the provider ran
		failed := c.part.At(partIsError).True() || c.part.At(partContentError).Present()
		return ToolResult{ID: el.Text(c.part.At(partToolUseID)), Value: c.part.At(partContent), Failed: failed}, true
	case kind == "tool-result":
		res = ToolResult{ID: el.Text(c.part.At(partCallIDCamel)), Name: el.Text(c.part.At(partToolName)), Value: c.part.At(partOutputValue)}
		for _, place := range [...]int{partOutput, partResult} {
			if !res.Value.Present() {
				res.Value = c.part.At(place)
			}
		}
		return res, true
	case kind == "tool_call_response":
		res = ToolResult{ID: el.Text(c.part.At(partID)), Value: c.part.At(partResponse)}
		if !res.Value.Present() {
			res.Value = c.part.At(partResult)
		}
		return res, true
	case kind == "" && c.part.At(partToolResult).Kind == scan.Object:
		failed := el.Text(c.part.At(partToolResultStatus)) == "error"
		return ToolResult{ID: el.Text(c.part.At(partToolResultID)), Value: c.part.At(partToolResultContent), Failed: failed}, true
	case kind == "":
		return c.functionResult(el)
	}
	return res, false
}
