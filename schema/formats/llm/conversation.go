// Package llm reads what model gateways and MCP connectors log, and the shapes of chats that many formats hold: OpenAI
// messages and responses, Anthropic blocks.
package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// ToolCall is a call that the model asks for.
type ToolCall struct {
	ID, Name  string
	Arguments formats.Node // any JSON value, often a string that holds an object
}

// ToolResult is what came back from a tool. Text is used where it is not "", else Value.
type ToolResult struct {
	ID, Name string
	Text     string
	Value    formats.Node
	Failed   bool
}

// Conversation is what is new in one exchange with a model. Every request repeats the history; what is new in it shows
// from the record alone: what stands after the last message of the assistant. It belongs to one worker, and what it
// holds is valid until the next Reset.
type Conversation struct {
	Results []ToolResult // tool results that the request brought
	Calls   []ToolCall   // calls in the response
	prompt  []string
	answer  []string
	system  []string
	finish  []string

	messages []turn
	asked    []ToolCall // calls of the last assistant messages, which name the tools of the results
	last     int        // the index in messages of the assistant's last, -1 where there is none
	lastAsk  [2]int     // which of asked are its calls
	unasked  bool       // asked is not read yet

	message *formats.Shape          // of the message in hand: one of keep, or spare
	keep    [maxKept]*formats.Shape // of the first messages of the request that were selected
	kept    int                     // how many they are
	spare   *formats.Shape          // of all others

	body, call, part, responseShape, choice *formats.Shape
}

// maxKept is how many messages of a request stay selected, 8: what is new in one is mostly less, and the answers to
// parallel calls are looked at twice.
const maxKept = 8

// turn is one message of a request. Of the history, which every request repeats, most are never read.
type turn struct {
	node, content formats.Node
	role          role
	known         bool           // content and role are
	shape         *formats.Shape // in which it stays selected, nil where that is none
}

type role uint8

const (
	user role = iota
	assistant
	system
	tool
)

// NewConversation returns one for a worker.
func NewConversation() *Conversation {
	c := &Conversation{
		body: formats.NewShape(BodyPaths()...), spare: formats.NewShape(messagePaths()...),
		call: formats.NewShape([]string{"id"}, []string{"function", "name"}, []string{"function", "arguments"}, []string{"name"},
			[]string{"arguments"}, []string{"custom", "name"}, []string{"custom", "input"}, []string{"parameters"}),
		part: formats.NewShape([]string{"type"}, []string{"text"}, []string{"id"}, []string{"name"}, []string{"input"},
			[]string{"tool_use_id"}, []string{"content"}, []string{"is_error"}, []string{"refusal"}, []string{"arguments"}, []string{"response"},
			[]string{"result"}, []string{"json"}, []string{"guardContent", "text", "text"}, []string{"toolUse", "toolUseId"}, []string{"toolUse", "name"},
			[]string{"toolUse", "input"}, []string{"toolResult"}, []string{"toolResult", "toolUseId"}, []string{"toolResult", "content"},
			[]string{"toolResult", "status"}),
		responseShape: formats.NewShape(AnswerPaths()...),
		choice: formats.NewShape([]string{"message"}, []string{"finish_reason"}, []string{"text"}, []string{"outputText"}, []string{"completionReason"},
			[]string{"stop_reason"}, []string{"data", "text"}, []string{"finishReason", "reason"}),
	}
	c.message = c.spare
	for i := range c.keep {
		c.keep[i] = formats.NewShape(messagePaths()...)
	}
	return c
}

// BodyPaths are what of a request's body is read, in the order of the places. The shape of a reader that reads more of it
// begins with them.
func BodyPaths() [][]string {
	return [][]string{{"messages"}, {"input"}, {"prompt"}, {"inputText"}, {"message"}, {"system"}, {"instructions"}, {"preamble"}, {"role"}, {"content"}}
}

// AnswerPaths are what of a response's body is read; the same holds for them.
func AnswerPaths() [][]string {
	return [][]string{{"choices"}, {"output"}, {"content"}, {"stop_reason"}, {"text"}, {"response"}, {"output", "message"}, {"stopReason"},
		{"results"}, {"generations"}, {"generation"}, {"completion"}, {"outputs"}, {"completions"}, {"tool_calls"}, {"message"}, {"finish_reason"}}
}

// messagePaths are what of a message is read.
func messagePaths() [][]string {
	return [][]string{{"role"}, {"type"}, {"content"}, {"tool_calls"}, {"tool_call_id"}, {"name"}, {"function_call"}, {"call_id"}, {"arguments"},
		{"output"}, {"input"}, {"parts"}, {"finish_reason"}}
}

// Places of the shapes.
const (
	bodyMessages = iota
	bodyInput
	bodyPrompt
	bodyInputText // Titan
	bodyMessage   // Cohere, beside a history
	bodySystem
	bodyInstructions
	bodyPreamble
	bodyRole
	bodyContent
	BodyPlaces // how many they are
)

const (
	messageRole = iota
	messageType
	messageContent
	messageCalls
	messageCallID
	messageName
	messageFunctionCall
	messageItemCallID
	messageArguments
	messageOutput
	messageInput
	messageParts
	messageFinishReason
)

const (
	callID = iota
	callFunctionName
	callFunctionArguments
	callName
	callArguments
	callCustomName
	callCustomInput
	callParameters // Cohere
)

const (
	partType = iota
	partText
	partID
	partName
	partInput
	partToolUseID
	partContent
	partIsError
	partRefusal
	partArguments
	partResponse
	partResult
	partJSON
	partGuardText // Converse, from here on
	partToolUseUseID
	partToolUseName
	partToolUseInput
	partToolResult
	partToolResultID
	partToolResultContent
	partToolResultStatus
)

const (
	responseChoices = iota
	responseOutput
	responseContent
	responseStopReason
	responseText
	responseInner
	responseOutputMessage // Converse, and Nova
	AnswerStop            // why the model stopped
	responseResults       // Titan
	responseGenerations   // Cohere
	responseGeneration    // Llama
	responseCompletion    // Claude before messages
	responseOutputs       // Mistral
	responseCompletions   // Jurassic
	responseToolCalls     // Cohere
	responseMessage
	responseFinishReason
	AnswerPlaces // how many they are
)

const (
	choiceMessage = iota
	choiceFinishReason
	choiceText
	choiceOutputText
	choiceCompletionReason
	choiceStopReason
	choiceDataText
	choiceReason
)

// Reset empties the conversation.
func (c *Conversation) Reset() {
	c.Results, c.Calls = c.Results[:0], c.Calls[:0]
	c.prompt, c.answer, c.system, c.finish = c.prompt[:0], c.answer[:0], c.system[:0], c.finish[:0]
	c.messages, c.asked = c.messages[:0], c.asked[:0]
	c.last, c.lastAsk, c.unasked, c.kept = -1, [2]int{}, false, 0
}

// SelectedBody reads a request's body, which a shape that begins with BodyPaths has selected: what it holds of messages,
// input or prompt, and the system instructions beside them. It is false for an object that holds none.
func (c *Conversation) SelectedBody(r *formats.Record, body *formats.Shape) bool {
	if body.At(bodyRole).Present() || body.At(bodyContent).Present() {
		return false // one message
	}
	messages := body.At(bodyMessages)
	for place := bodyInput; place <= bodyMessage && !messages.Present(); place++ {
		messages = body.At(place)
	}
	for place := bodySystem; place <= bodyPreamble; place++ {
		c.System(r, body.At(place))
	}
	if messages.Kind != scan.Array && messages.Kind != scan.String {
		return false
	}
	c.Request(r, messages)
	return true
}

// maxItems bounds the results and the calls that are kept of one record: one more than a record may give, so that what is
// left out shows as a fan-out, and the search for a result's call stays short whatever a caller sends.
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

// Request reads the messages of a request: an array of messages or items, one of them, a body, or a text.
func (c *Conversation) Request(r *formats.Record, messages formats.Node) {
	switch messages.Kind {
	case scan.String:
		c.prompt = appendText(c.prompt, r.Text(messages))
	case scan.Object:
		c.body.Select(r, messages)
		c.selectedRequest(r, messages, c.body)
	case scan.Array:
		r.Index.Each(messages.Src, messages.Span, func(elem scan.Span) bool {
			n := formats.Node{Src: messages.Src, Span: elem}
			switch n.Kind {
			case scan.Object:
				c.messages = append(c.messages, turn{node: n})
			case scan.String: // a list of inputs, as for embeddings
				c.prompt = appendText(c.prompt, r.Text(n))
			}
			return true
		})
		c.news(r)
	}
}

// selectedRequest is Request of an object that a shape which begins with BodyPaths has selected.
func (c *Conversation) selectedRequest(r *formats.Record, n formats.Node, body *formats.Shape) {
	if c.SelectedBody(r, body) {
		return
	}
	c.messages = append(c.messages, turn{node: n})
	c.news(r)
}

// news takes what is new in the messages.
func (c *Conversation) news(r *formats.Record) {
	if c.unasked { // of a request before this one
		c.ask(r)
	}
	c.last, c.unasked = c.lastAssistant(r), true
	from := c.last + 1
	if wantsSystem(r) {
		from = 0
	}
	for i := from; i < len(c.messages); i++ {
		switch t := c.turn(r, i); {
		case t.role == system:
			c.System(r, t.content)
		case i > c.last:
			c.read(r, t)
		}
	}
}

// turn returns a message with its role and its content.
func (c *Conversation) turn(r *formats.Record, i int) *turn {
	t := &c.messages[i]
	if !t.known {
		c.hold(r, t)
		t.content, t.role, t.known = c.content(), c.role(r), true
	}
	return t
}

// hold makes a message of the request the one in hand.
func (c *Conversation) hold(r *formats.Record, t *turn) {
	if t.shape != nil {
		c.message = t.shape
		return
	}
	c.message = c.spare
	if c.kept < maxKept {
		t.shape = c.keep[c.kept]
		c.message = t.shape
		c.kept++
	}
	c.message.Select(r, t.node)
}

// hand makes another message the one in hand.
func (c *Conversation) hand(r *formats.Record, message formats.Node) {
	c.message = c.spare
	c.message.Select(r, message)
}

// System adds system instructions.
func (c *Conversation) System(r *formats.Record, n formats.Node) {
	if wantsSystem(r) {
		c.texts(r, n, &c.system)
	}
}

// wantsSystem says that somebody asks for the system instructions, of which nothing but their hash is seen.
func wantsSystem(r *formats.Record) bool { return r.Wants(schema.GenAISystemInstructionsHash) }

// role tells the role of the message in hand.
func (c *Conversation) role(r *formats.Record) role {
	switch r.Text(c.message.At(messageRole)) {
	case "assistant", "model":
		return assistant
	case "system", "developer":
		return system
	case "tool", "function":
		return tool
	case "":
		switch r.Text(c.message.At(messageType)) { // items of the Responses API
		case "function_call_output", "custom_tool_call_output":
			return tool
		case "function_call", "custom_tool_call", "reasoning":
			return assistant
		}
	}
	return user
}

// lastAssistant returns the index of the assistant's last message, -1 where there is none.
func (c *Conversation) lastAssistant(r *formats.Record) int {
	for i := len(c.messages) - 1; i >= 0; i-- {
		if c.turn(r, i).role == assistant {
			return i
		}
	}
	return -1
}

// ask collects the calls of the assistant's messages up to the last that no message of another role stands between: they
// are what the results behind them answer.
func (c *Conversation) ask(r *formats.Record) {
	c.unasked = false
	c.lastAsk = [2]int{len(c.asked), len(c.asked)}
	for i := c.last; i >= 0 && c.turn(r, i).role == assistant; i-- {
		c.hold(r, &c.messages[i])
		if c.asked = c.calls(r, c.asked); i == c.last {
			c.lastAsk[1] = len(c.asked)
		}
	}
}

// Asked counts the calls of the last assistant's message of the request as new. It is for formats that never hold a
// response.
func (c *Conversation) Asked(r *formats.Record) {
	if c.unasked {
		c.ask(r)
	}
	for _, call := range c.asked[c.lastAsk[0]:c.lastAsk[1]] {
		c.Calls = addCall(c.Calls, call)
	}
}

// nameOf returns the name of the tool that the call id asked for. Another message may be in hand afterwards.
func (c *Conversation) nameOf(r *formats.Record, id string) string {
	if id == "" {
		return ""
	}
	if c.unasked {
		c.ask(r)
	}
	for _, call := range c.asked {
		if call.ID == id {
			return call.Name
		}
	}
	return ""
}

// read takes a message that is new in this request.
func (c *Conversation) read(r *formats.Record, t *turn) {
	if t.role != tool {
		c.parts(r, t.content)
		return
	}
	c.hold(r, t)
	if c.message.At(messageParts).Kind != scan.Array {
		c.result(r)
		return
	}
	r.Index.Each(t.content.Src, t.content.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			c.part.Select(r, formats.Node{Src: t.content.Src, Span: elem})
			c.blockResult(r)
		}
		return true
	})
}

// parts takes the content of a new message: the texts of a prompt, and results that stand among them.
func (c *Conversation) parts(r *formats.Record, content formats.Node) {
	if content.Kind != scan.Array {
		c.texts(r, content, &c.prompt)
		return
	}
	r.Index.Each(content.Src, content.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: content.Src, Span: elem}
		switch elem.Kind {
		case scan.String:
			c.prompt = appendText(c.prompt, r.Text(n))
		case scan.Object:
			c.part.Select(r, n)
			c.prompt = appendText(c.prompt, c.partText(r))
			c.blockResult(r)
		}
		return true
	})
}

// content returns the content of the message in hand: what OpenTelemetry calls parts, others content.
func (c *Conversation) content() formats.Node {
	if parts := c.message.At(messageParts); parts.Kind == scan.Array {
		return parts
	}
	return c.message.At(messageContent)
}

// result takes a message that holds what a tool gave: OpenAI's roles tool and function, and output items.
func (c *Conversation) result(r *formats.Record) {
	if len(c.Results) == maxItems {
		return
	}
	res := ToolResult{ID: r.FirstText(c.message.At(messageCallID), c.message.At(messageItemCallID)), Value: c.message.At(messageContent)}
	if !res.Value.Present() {
		res.Value = c.message.At(messageOutput)
	}
	own := r.Text(c.message.At(messageName))
	if res.Name = c.nameOf(r, res.ID); res.Name == "" {
		res.Name = own
	}
	res.Text = c.joined(r, res.Value)
	c.addResult(res)
}

// blockResult takes the selected part of a message, if it is a result: Anthropic's tool_result, Converse's toolResult,
// OpenTelemetry's tool_call_response.
func (c *Conversation) blockResult(r *formats.Record) {
	if len(c.Results) == maxItems {
		return
	}
	if res, ok := c.partResult(r); ok {
		res.Name = c.nameOf(r, res.ID)
		res.Text = c.joined(r, res.Value)
		c.addResult(res)
	}
}

// partResult returns the result that the selected part is; false where it is none.
func (c *Conversation) partResult(r *formats.Record) (res ToolResult, ok bool) {
	switch kind := r.Text(c.part.At(partType)); {
	case kind == "tool_result" || strings.HasSuffix(kind, "_tool_result"): // also of tools that the provider ran
		return ToolResult{ID: r.Text(c.part.At(partToolUseID)), Value: c.part.At(partContent), Failed: c.part.At(partIsError).True()}, true
	case kind == "tool_call_response":
		res = ToolResult{ID: r.Text(c.part.At(partID)), Value: c.part.At(partResponse)}
		if !res.Value.Present() {
			res.Value = c.part.At(partResult)
		}
		return res, true
	case kind == "" && c.part.At(partToolResult).Kind == scan.Object:
		failed := r.Text(c.part.At(partToolResultStatus)) == "error"
		return ToolResult{ID: r.Text(c.part.At(partToolResultID)), Value: c.part.At(partToolResultContent), Failed: failed}, true
	}
	return res, false
}
