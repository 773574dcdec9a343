package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Response reads the model's answer: OpenAI's choices or output items, Anthropic's message, the answers of Converse and
// of Bedrock's other models, OpenTelemetry's list of messages, or a text. A text is never parsed, because the model
// wrote it.
func (c *Conversation) Response(el *formats.Element, n formats.Node) {
	switch n.Kind {
	case scan.String:
		c.answer = appendText(c.answer, el.Text(n))
		return
	case scan.Array:
		el.Index.Each(n.Src, n.Span, func(elem scan.Span) bool {
			switch n := (formats.Node{Src: n.Src, Span: elem}); elem.Kind {
			case scan.Object:
				c.readAnswer(el, n)
			case scan.String:
				c.answer = appendText(c.answer, el.Text(n))
			}
			return true
		})
		return
	case scan.Object:
	default:
		return
	}
	c.responseShape.Select(el, n)
	c.SelectedResponse(el, n, c.responseShape)
}

// maxInner is the number of answers inside answers, or of events inside events, that are opened. Each of them is read
// again, and no gateway wraps one more than once.
const maxInner = 4

// SelectedResponse is like Response, for an object that a shape beginning with AnswerPaths has already selected.
func (c *Conversation) SelectedResponse(el *formats.Element, n formats.Node, body *formats.Shape) {
	choices, output := body.At(responseChoices), body.At(responseOutput)
	inner, message := body.At(responseInner), body.At(responseOutputMessage)
	content, stop := body.At(responseContent), body.At(responseStopReason)
	c.guarded(el, body)
	switch {
	case choices.Kind == scan.Array:
		c.eachObject(el, choices, func(n formats.Node) { c.readChoice(el, n) })
	case output.Kind == scan.Array:
		c.eachObject(el, output, func(n formats.Node) { c.readItem(el, n) })
	case body.At(responseReplies).Kind == scan.Array:
		c.Response(el, body.At(responseReplies))
	case body.At(responseCandidates).Kind == scan.Array:
		c.eachObject(el, body.At(responseCandidates), func(n formats.Node) { c.readChoice(el, n) })
	case message.Kind == scan.Object:
		c.finish = appendText(c.finish, el.Text(body.At(AnswerStop)))
		c.readAnswer(el, message)
	case content.Present():
		c.finish = appendText(c.finish, el.Text(stop))
		c.readAnswer(el, n)
	case inner.Kind == scan.Object && c.inner < maxInner: // the answer of a pass-through endpoint
		c.inner++
		c.Response(el, inner)
		c.inner--
	default:
		c.readNative(el, n, body)
	}
}

// answerJudged is the set of the places of the findings of guardrails and filters.
var answerJudged = formats.PlacesBetween(answerTrace, answerAssessments)

// guarded reads the judgements of guardrails on the selected answer.
func (c *Conversation) guarded(el *formats.Element, body *formats.Shape) {
	if !body.HasAny(answerJudged) {
		return
	}
	for _, place := range [...]int{answerTrace, answerInvokeTrace, answerAssessments} {
		if n := body.At(place); n.Kind >= scan.Object {
			c.Guard.Assessments(el, n)
		}
	}
	for _, place := range [...]int{answerPromptFilters, answerContentFilters, answerErrorFilters, answerErrorFilterList} {
		if n := body.At(place); n.Kind >= scan.Object {
			c.Guard.Filters(el, n)
		}
	}
}

// guardrailIntervened is the reason why a Converse model stopped if a guardrail held back or masked its answer.
const guardrailIntervened = "guardrail_intervened"

// heldBack reports whether a filter of the provider's stopped the answer.
func (c *Conversation) heldBack() bool {
	for _, reason := range c.finish {
		switch reason {
		case guardrailIntervened:
			if !c.Guard.Found() || c.Guard.Blocked() { // else it masked a part of the text
				return true
			}
		case "content_filter", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII":
			return true
		}
	}
	return false
}

// readNative reads an answer in a form that only one family of models has. body has selected the answer n.
func (c *Conversation) readNative(el *formats.Element, n formats.Node, body *formats.Shape) {
	message := body.At(responseMessage)
	c.finish = appendText(c.finish, el.FirstText(body.At(responseFinishReason), body.At(responseStopReason), body.At(responseDoneReason)))
	c.answer = appendText(c.answer, el.FirstText(body.At(responseText), body.At(responseInner), body.At(responseGeneration), body.At(responseCompletion)))
	lists := [...]formats.Node{body.At(responseResults), body.At(responseGenerations), body.At(responseOutputs), body.At(responseCompletions)}
	calls := body.At(responseToolCalls).Kind == scan.Array
	for _, list := range lists {
		c.eachObject(el, list, func(n formats.Node) { c.readChoice(el, n) })
	}
	if calls {
		c.selectMessage(el, n)
		c.Calls = c.calls(el, c.Calls)
	}
	if message.Kind == scan.Object {
		c.readAnswer(el, message)
	}
}

func (c *Conversation) eachObject(el *formats.Element, list formats.Node, yield func(formats.Node)) {
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			yield(formats.Node{Src: list.Src, Span: elem})
		}
		return true
	})
}

// readChoice reads one of several answers: a choice of OpenAI's, or its counterpart in another API.
func (c *Conversation) readChoice(el *formats.Element, n formats.Node) {
	c.choice.Select(el, n)
	message := c.choice.At(choiceMessage)
	if filters := c.choice.At(choiceFilters); filters.Kind == scan.Object {
		c.Guard.Filters(el, filters)
	}
	if content := c.choice.At(choiceContent); content.Kind == scan.Object && message.Kind != scan.Object {
		message = content
	}
	c.finish = appendText(c.finish, el.FirstText(
		c.choice.At(choiceFinishReason), c.choice.At(choiceCompletionReason), c.choice.At(choiceStopReason),
		c.choice.At(choiceReason), c.choice.At(choiceFinish)))
	c.answer = appendText(c.answer, el.FirstText(c.choice.At(choiceText), c.choice.At(choiceOutputText), c.choice.At(choiceDataText)))
	if message.Kind == scan.Object {
		c.readAnswer(el, message)
	}
}

// readItem reads one output item of the Responses API.
func (c *Conversation) readItem(el *formats.Element, n formats.Node) {
	c.selectMessage(el, n)
	switch kind := el.Text(c.message.At(messageType)); {
	case kind == "message" || kind == "":
		c.texts(el, c.message.At(messageContent), &c.answer)
	case isFunctionCall(kind):
		c.Calls = c.calls(el, c.Calls)
	case isCallItem(kind):
		c.Calls = addCall(c.Calls, c.callItem(el, n, kind))
	case strings.HasSuffix(kind, suffixOutput):
		c.callOutput(el)
	}
}

// readAnswer reads a message of the assistant.
func (c *Conversation) readAnswer(el *formats.Element, message formats.Node) {
	c.selectMessage(el, message)
	c.finish = appendText(c.finish, el.Text(c.message.At(messageFinishReason)))
	content := c.content()
	var whole bool
	if c.Calls, whole = c.messageCalls(el, c.Calls); whole || content.Kind != scan.Array {
		c.texts(el, content, &c.answer)
		return
	}
	el.Index.Each(content.Src, content.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: content.Src, Span: elem}
		switch elem.Kind {
		case scan.String:
			c.answer = appendText(c.answer, el.Text(n))
		case scan.Object:
			c.part.Select(el, n)
			c.answer = appendText(c.answer, c.partText(el))
			c.answerPart(el)
		}
		return true
	})
}

// answerPart adds the call or the result in the selected part of an answer.
func (c *Conversation) answerPart(el *formats.Element) {
	if call, ok := c.partCall(el); ok {
		c.Calls = addCall(c.Calls, call)
	} else if res, ok := c.partResult(el); ok {
		res.Text = c.joined(el, res.Value)
		c.returned(res)
	}
}

// calls appends the tool calls of the selected message, in any form. The message is the assistant's, or an item that is
// a call.
func (c *Conversation) calls(el *formats.Element, to []ToolCall) []ToolCall {
	content := c.content()
	var whole bool
	if to, whole = c.messageCalls(el, to); whole {
		return to
	}
	c.eachObject(el, content, func(n formats.Node) {
		c.part.Select(el, n)
		if call, ok := c.partCall(el); ok {
			to = addCall(to, call)
		}
	})
	return to
}

// messageCalls appends the calls of the selected message that are outside the parts of its content. whole reports that
// the message is itself a call, so its content holds no others.
func (c *Conversation) messageCalls(el *formats.Element, to []ToolCall) (calls []ToolCall, whole bool) {
	list, legacy := c.message.At(messageCalls), c.message.At(messageFunctionCall)
	if kind := el.Text(c.message.At(messageType)); isFunctionCall(kind) {
		call := ToolCall{
			ID: el.Text(c.message.At(messageItemCallID)), Name: el.Text(c.message.At(messageName)), Arguments: c.message.At(messageArguments),
		}
		if !call.Arguments.Present() {
			call.Arguments = c.message.At(messageInput)
		}
		return addCall(to, call), true
	}
	c.eachObject(el, list, func(n formats.Node) {
		c.call.Select(el, n)
		call := ToolCall{ID: el.Text(c.call.At(callID)), Arguments: c.call.At(callFunctionArguments)}
		call.Name = el.FirstText(c.call.At(callFunctionName), c.call.At(callCustomName), c.call.At(callName))
		for _, at := range [...]int{callCustomInput, callArguments, callParameters} {
			if !call.Arguments.Present() {
				call.Arguments = c.call.At(at)
			}
		}
		to = addCall(to, call)
	})
	if legacy.Kind == scan.Object && list.Kind != scan.Array {
		c.call.Select(el, legacy)
		to = addCall(to, ToolCall{Name: el.Text(c.call.At(callName)), Arguments: c.call.At(callArguments)})
	}
	return to, false
}

// partCall returns the selected part as a call; ok is false if it is not a call.
func (c *Conversation) partCall(el *formats.Element) (call ToolCall, ok bool) {
	switch el.Text(c.part.At(partType)) {
	case "tool_use", "server_tool_use":
		return ToolCall{ID: el.Text(c.part.At(partID)), Name: el.Text(c.part.At(partName)), Arguments: c.part.At(partInput)}, true
	case "mcp_tool_use":
		return ToolCall{
			ID: el.Text(c.part.At(partID)), Name: el.Text(c.part.At(partName)), Arguments: c.part.At(partInput),
			Server: el.Text(c.part.At(partServerName)), Method: formats.ActionMCPCall,
		}, true
	case "tool-call":
		return c.callOfSDK(el), true
	case "tool_call", "server_tool_call":
		return ToolCall{ID: el.Text(c.part.At(partID)), Name: el.Text(c.part.At(partName)), Arguments: c.part.At(partArguments)}, true
	case "":
		if name := el.Text(c.part.At(partToolUseName)); name != "" {
			return ToolCall{ID: el.Text(c.part.At(partToolUseUseID)), Name: name, Arguments: c.part.At(partToolUseInput)}, true
		}
		return c.functionCall(el)
	}
	return call, false
}

// callOfSDK returns the selected part as a call of the Vercel AI SDK.
func (c *Conversation) callOfSDK(el *formats.Element) ToolCall {
	call := ToolCall{ID: el.Text(c.part.At(partCallIDCamel)), Name: el.Text(c.part.At(partToolName)), Arguments: c.part.At(partInput)}
	if !call.Arguments.Present() {
		call.Arguments = c.part.At(partArgs)
	}
	return call
}

// toolCalls adds a list of calls of the Vercel AI SDK to the answer.
func (c *Conversation) toolCalls(el *formats.Element, list formats.Node) {
	list, _ = el.Unwrap(list)
	c.eachObject(el, list, func(n formats.Node) {
		c.part.Select(el, n)
		if call := c.callOfSDK(el); call.Name != "" {
			c.Calls = addCall(c.Calls, call)
		}
	})
}

// texts appends the texts of a message's content, which is a string or a list of parts. Parts that are not text are
// skipped.
func (c *Conversation) texts(el *formats.Element, content formats.Node, to *[]string) {
	switch content.Kind {
	case scan.String:
		*to = appendText(*to, el.Text(content))
	case scan.Array:
		el.Index.Each(content.Src, content.Span, func(elem scan.Span) bool {
			n := formats.Node{Src: content.Src, Span: elem}
			switch elem.Kind {
			case scan.String:
				*to = appendText(*to, el.Text(n))
			case scan.Object:
				c.part.Select(el, n)
				*to = appendText(*to, c.partText(el))
			}
			return true
		})
	case scan.Object: // a single part, as in MCP's sampling, or the content of Gemini's API
		c.part.Select(el, content)
		if parts := c.part.At(partParts); parts.Kind == scan.Array {
			c.texts(el, parts, to)
			return
		}
		*to = appendText(*to, c.partText(el))
	}
}

// partText returns the text of the selected part, or "" if the part is not text.
func (c *Conversation) partText(el *formats.Element) string {
	switch el.Text(c.part.At(partType)) {
	case "text", "input_text", "output_text", "":
		if c.part.At(partThought).Kind == scan.True {
			return "" // the model's reasoning
		}
		return el.FirstText(c.part.At(partText), c.part.At(partContent), c.part.At(partGuardText))
	case "audio", "output_audio", "input_audio":
		return el.Text(c.part.At(partTranscript))
	case "refusal":
		return el.Text(c.part.At(partRefusal))
	}
	return ""
}

// resultText is joined, for a result of the request, which is not read unless it is wanted.
func (c *Conversation) resultText(el *formats.Element, content formats.Node) string {
	if !el.Wanted(schema.GenAIToolCallResult) {
		return ""
	}
	return c.joined(el, content)
}

// joined returns the texts of a tool's result as one text, or "" if the result is not text.
func (c *Conversation) joined(el *formats.Element, content formats.Node) string {
	if content.Kind == scan.String {
		return el.Text(content)
	}
	if content.Kind != scan.Array {
		return ""
	}
	from := len(c.system) // borrow the tail of system as a buffer
	c.texts(el, content, &c.system)
	text := join(el, c.system[from:])
	c.system = c.system[:from]
	return text
}

func appendText(to []string, text string) []string {
	if text == "" {
		return to
	}
	return append(to, text)
}
