package llm

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Response reads the model's answer: OpenAI's choices or output items, Anthropic's message, the answers of Converse and
// of Bedrock's other models, OpenTelemetry's list of messages, or a text. A text is never parsed, because the model
// wrote it.
func (c *Conversation) Response(r *formats.Record, n formats.Node) {
	switch n.Kind {
	case scan.String:
		c.answer = appendText(c.answer, r.Text(n))
		return
	case scan.Array:
		c.eachObject(r, n, func(n formats.Node) { c.readAnswer(r, n) })
		return
	case scan.Object:
	default:
		return
	}
	c.responseShape.Select(r, n)
	c.SelectedResponse(r, n, c.responseShape)
}

// SelectedResponse is like Response, for an object that a shape beginning with AnswerPaths has already selected.
func (c *Conversation) SelectedResponse(r *formats.Record, n formats.Node, body *formats.Shape) {
	choices, output := body.At(responseChoices), body.At(responseOutput)
	inner, message := body.At(responseInner), body.At(responseOutputMessage)
	content, stop := body.At(responseContent), body.At(responseStopReason)
	switch {
	case choices.Kind == scan.Array:
		c.eachObject(r, choices, func(n formats.Node) { c.readChoice(r, n) })
	case output.Kind == scan.Array:
		c.eachObject(r, output, func(n formats.Node) { c.readItem(r, n) })
	case message.Kind == scan.Object:
		c.finish = appendText(c.finish, r.Text(body.At(AnswerStop)))
		c.readAnswer(r, message)
	case content.Present():
		c.finish = appendText(c.finish, r.Text(stop))
		c.readAnswer(r, n)
	case inner.Kind == scan.Object: // the answer of a pass-through endpoint; the scanner bounds the depth
		c.Response(r, inner)
	default:
		c.readNative(r, n, body)
	}
}

// readNative reads an answer in a form that only one family of models has. body has selected the answer n.
func (c *Conversation) readNative(r *formats.Record, n formats.Node, body *formats.Shape) {
	at := body.At
	message := at(responseMessage)
	c.finish = appendText(c.finish, r.FirstText(at(responseFinishReason), at(responseStopReason)))
	c.answer = appendText(c.answer, r.FirstText(at(responseText), at(responseInner), at(responseGeneration), at(responseCompletion)))
	lists := [...]formats.Node{at(responseResults), at(responseGenerations), at(responseOutputs), at(responseCompletions)}
	calls := at(responseToolCalls).Kind == scan.Array
	for _, list := range lists {
		c.eachObject(r, list, func(n formats.Node) { c.readChoice(r, n) })
	}
	if calls {
		c.selectMessage(r, n)
		c.Calls = c.calls(r, c.Calls)
	}
	if message.Kind == scan.Object {
		c.readAnswer(r, message)
	}
}

func (c *Conversation) eachObject(r *formats.Record, list formats.Node, yield func(formats.Node)) {
	r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			yield(formats.Node{Src: list.Src, Span: elem})
		}
		return true
	})
}

// readChoice reads one of several answers: a choice of OpenAI's, or its counterpart in another API.
func (c *Conversation) readChoice(r *formats.Record, n formats.Node) {
	c.choice.Select(r, n)
	at := c.choice.At
	message := at(choiceMessage)
	c.finish = appendText(c.finish, r.FirstText(at(choiceFinishReason), at(choiceCompletionReason), at(choiceStopReason), at(choiceReason)))
	c.answer = appendText(c.answer, r.FirstText(at(choiceText), at(choiceOutputText), at(choiceDataText)))
	if message.Kind == scan.Object {
		c.readAnswer(r, message)
	}
}

// readItem reads one output item of the Responses API.
func (c *Conversation) readItem(r *formats.Record, n formats.Node) {
	c.selectMessage(r, n)
	switch r.Text(c.message.At(messageType)) {
	case "message", "":
		c.texts(r, c.message.At(messageContent), &c.answer)
	case "function_call", "custom_tool_call":
		c.Calls = c.calls(r, c.Calls)
	}
}

// readAnswer reads a message of the assistant.
func (c *Conversation) readAnswer(r *formats.Record, message formats.Node) {
	c.selectMessage(r, message)
	c.finish = appendText(c.finish, r.Text(c.message.At(messageFinishReason)))
	content := c.content()
	var whole bool
	if c.Calls, whole = c.messageCalls(r, c.Calls); whole || content.Kind != scan.Array {
		c.texts(r, content, &c.answer)
		return
	}
	r.Index.Each(content.Src, content.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: content.Src, Span: elem}
		switch elem.Kind {
		case scan.String:
			c.answer = appendText(c.answer, r.Text(n))
		case scan.Object:
			c.part.Select(r, n)
			c.answer = appendText(c.answer, c.partText(r))
			if call, ok := c.partCall(r); ok {
				c.Calls = addCall(c.Calls, call)
			}
		}
		return true
	})
}

// calls appends the tool calls of the selected message, in any form. The message is the assistant's, or an item that is
// a call.
func (c *Conversation) calls(r *formats.Record, to []ToolCall) []ToolCall {
	content := c.content()
	var whole bool
	if to, whole = c.messageCalls(r, to); whole {
		return to
	}
	c.eachObject(r, content, func(n formats.Node) {
		c.part.Select(r, n)
		if call, ok := c.partCall(r); ok {
			to = addCall(to, call)
		}
	})
	return to
}

// messageCalls appends the calls of the selected message that are outside the parts of its content. whole reports that
// the message is itself a call, so its content holds no others.
func (c *Conversation) messageCalls(r *formats.Record, to []ToolCall) (calls []ToolCall, whole bool) {
	list, legacy := c.message.At(messageCalls), c.message.At(messageFunctionCall)
	switch r.Text(c.message.At(messageType)) {
	case "function_call", "custom_tool_call":
		call := ToolCall{
			ID: r.Text(c.message.At(messageItemCallID)), Name: r.Text(c.message.At(messageName)), Arguments: c.message.At(messageArguments),
		}
		if !call.Arguments.Present() {
			call.Arguments = c.message.At(messageInput)
		}
		return addCall(to, call), true
	}
	c.eachObject(r, list, func(n formats.Node) {
		c.call.Select(r, n)
		call := ToolCall{ID: r.Text(c.call.At(callID)), Arguments: c.call.At(callFunctionArguments)}
		call.Name = r.FirstText(c.call.At(callFunctionName), c.call.At(callCustomName), c.call.At(callName))
		for _, at := range [...]int{callCustomInput, callArguments, callParameters} {
			if !call.Arguments.Present() {
				call.Arguments = c.call.At(at)
			}
		}
		to = addCall(to, call)
	})
	if legacy.Kind == scan.Object && list.Kind != scan.Array {
		c.call.Select(r, legacy)
		to = addCall(to, ToolCall{Name: r.Text(c.call.At(callName)), Arguments: c.call.At(callArguments)})
	}
	return to, false
}

// partCall returns the selected part as a call; ok is false if it is not a call.
func (c *Conversation) partCall(r *formats.Record) (call ToolCall, ok bool) {
	at := c.part.At
	switch r.Text(at(partType)) {
	case "tool_use", "server_tool_use", "mcp_tool_use":
		return ToolCall{ID: r.Text(at(partID)), Name: r.Text(at(partName)), Arguments: at(partInput)}, true
	case "tool_call", "server_tool_call":
		return ToolCall{ID: r.Text(at(partID)), Name: r.Text(at(partName)), Arguments: at(partArguments)}, true
	case "":
		name := r.Text(at(partToolUseName))
		return ToolCall{ID: r.Text(at(partToolUseUseID)), Name: name, Arguments: at(partToolUseInput)}, name != ""
	}
	return call, false
}

// texts appends the texts of a message's content, which is a string or a list of parts. Parts that are not text are
// skipped.
func (c *Conversation) texts(r *formats.Record, content formats.Node, to *[]string) {
	switch content.Kind {
	case scan.String:
		*to = appendText(*to, r.Text(content))
	case scan.Array:
		r.Index.Each(content.Src, content.Span, func(elem scan.Span) bool {
			n := formats.Node{Src: content.Src, Span: elem}
			switch elem.Kind {
			case scan.String:
				*to = appendText(*to, r.Text(n))
			case scan.Object:
				c.part.Select(r, n)
				*to = appendText(*to, c.partText(r))
			}
			return true
		})
	case scan.Object: // a single part, as in MCP's sampling
		c.part.Select(r, content)
		*to = appendText(*to, c.partText(r))
	}
}

// partText returns the text of the selected part, or "" if the part is not text.
func (c *Conversation) partText(r *formats.Record) string {
	switch r.Text(c.part.At(partType)) {
	case "text", "input_text", "output_text", "":
		return r.FirstText(c.part.At(partText), c.part.At(partContent), c.part.At(partGuardText))
	case "refusal":
		return r.Text(c.part.At(partRefusal))
	}
	return ""
}

// joined returns the texts of a tool's result as one text, or "" if the result is not text.
func (c *Conversation) joined(r *formats.Record, content formats.Node) string {
	if content.Kind == scan.String {
		return r.Text(content)
	}
	if content.Kind != scan.Array {
		return ""
	}
	from := len(c.system) // borrow the tail of system as a buffer
	c.texts(r, content, &c.system)
	text := join(r, c.system[from:])
	c.system = c.system[:from]
	return text
}

func appendText(to []string, text string) []string {
	if text == "" {
		return to
	}
	return append(to, text)
}
