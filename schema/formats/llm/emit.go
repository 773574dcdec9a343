package llm

import (
	"slices"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// join returns the texts joined by newlines. A single text is returned as it is. The texts of one element are at most as long
// as the element, and the field that they are for keeps head and tail of a text that is too long.
func join(el *formats.Element, texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	joined := texts[0]
	if len(texts) == 1 {
		return joined
	}
	return el.Join(texts, "\n")
}

// Fill sets the fields of the llm event that come from the conversation: the new prompt, the answer, the reasons why
// the model stopped, the judgement of guardrails, the hash of the system instructions, and the workflow unless the producer named it.
func (c *Conversation) Fill(el *formats.Element) {
	if slices.Contains(c.finish, guardrailIntervened) && !el.Event.Has(schema.GuardrailVerdict) {
		el.SetText(schema.GuardrailVerdict, guardrailIntervened)
	}
	c.Guard.Set(el)
	if el.Wanted(schema.MessageContextPromptText) {
		el.SetContent(schema.MessageContextPromptText, join(el, c.prompt))
	}
	if el.Wanted(schema.MessageContextResponseText) {
		el.SetContent(schema.MessageContextResponseText, join(el, c.answer))
	}
	if len(c.finish) > 0 && el.Wanted(schema.GenAIResponseFinishReasons) {
		el.BeginList()
		for _, reason := range c.finish {
			el.AddListItem(reason)
		}
		el.EndList(schema.GenAIResponseFinishReasons)
	}
	el.HashWorkflow(c.system[:c.leading], c.offered)
	if len(c.system) > 0 && el.Wanted(schema.GenAISystemInstructionsHash) {
		el.Event.SetText(schema.GenAISystemInstructionsHash, el.Hash(c.system, "\n"))
	}
}

// onlyLLM lists the fields that the llm event has and the events of its tools do not.
var onlyLLM = schema.Fields(
	schema.EventDuration, schema.EventType, schema.Disposition, schema.ErrorType, schema.EventTruncated,
	schema.HTTPResponseStatusCode, schema.HTTPRequestBytes, schema.HTTPResponseBytes,
	schema.GenAIUsageInputTokens, schema.GenAIUsageOutputTokens, schema.GenAIUsageCacheReadInputTokens,
	schema.GenAIUsageReasoningOutputTokens, schema.GenAIUsageCost, schema.GenAIResponseFinishReasons,
	schema.GenAIOperationName, schema.GenAISystemInstructionsHash, schema.GenAIToolDefinitionsHash,
	schema.GenAIToolDefinitionsCount, schema.MessageContextPromptText, schema.MessageContextResponseText,
	schema.GuardrailName, schema.GuardrailVerdict, schema.GuardrailAction, schema.GuardrailRiskCategory,
)

// onlyTool lists the fields of a single tool event.
var onlyTool = schema.Fields(
	schema.EventTruncated, schema.GenAIToolName, schema.GenAIToolCallID, schema.GenAIToolCallArguments, schema.GenAIToolCallResult,
	schema.GenAIToolDefinitionsHash, schema.GenAIToolDefinitionsCount,
	schema.MCPServerName, schema.MCPMethodName, schema.ErrorType, schema.Disposition,
)

// Emit emits the llm event that r holds, then a tool_result for each new result, at the record's time because results
// were there when the request began, then a tool_call for each call, at the end of the llm event.
func (c *Conversation) Emit(el *formats.Element) {
	end := el.End()
	el.Emit()
	if len(c.Results)+len(c.Calls) == 0 {
		return
	}
	el.Event.ClearAll(&onlyLLM)
	for i := range c.Results {
		if el.LimitExceeded() {
			return
		}
		c.emitResult(el, &c.Results[i])
	}
	el.Event.SetTime(schema.Time, int64(end))
	for i := range c.Calls {
		if el.LimitExceeded() {
			return
		}
		c.emitCall(el, &c.Calls[i])
	}
}

// actionToolDecision is the action of the answer to a request for approval of a call.
const actionToolDecision = "tool_decision"

// methodList is the method by which a provider asks an MCP server for its tools.
const methodList = "tools/list"

func (c *Conversation) emitResult(el *formats.Element, res *ToolResult) {
	el.Event.ClearAll(&onlyTool)
	el.SetTool(formats.ActionToolResult, formats.Returned)
	el.SetOutcome(formats.Success)
	if res.Failed {
		el.SetOutcome(formats.Failure)
	}
	el.SetText(schema.GenAIToolName, res.Name)
	el.SetText(schema.GenAIToolCallID, res.ID)
	if res.Decision != "" {
		el.SetClass(formats.ClassTool, actionToolDecision)
		el.SetText(schema.Disposition, res.Decision)
		if res.Decision == formats.Blocked {
			el.SetBlocked()
		}
		el.Emit()
		return
	}
	if res.Text != "" {
		el.SetUnwrapped(schema.GenAIToolCallResult, res.Text)
	} else {
		el.CopyUnwrapped(schema.GenAIToolCallResult, res.Value)
	}
	el.Emit()
}

// emitCall emits a call that the model requested. Its outcome is not known yet, unless the provider ran the tool.
func (c *Conversation) emitCall(el *formats.Element, call *ToolCall) {
	el.Event.ClearAll(&onlyTool)
	switch {
	case call.Method == methodList:
		el.SetTool(call.Method, 0)
	case call.Returned:
		el.SetTool(actionOf(call), formats.Called|formats.Returned)
	default:
		el.SetTool(actionOf(call), formats.Called)
	}
	el.SetText(schema.MCPMethodName, call.Method)
	el.SetOutcome(formats.Unknown)
	if call.Outcome != "" {
		el.SetOutcome(call.Outcome)
	}
	el.SetText(schema.ErrorType, call.ErrorType)
	el.SetText(schema.MCPServerName, call.Server)
	el.SetText(schema.GenAIToolName, call.Name)
	el.SetText(schema.GenAIToolCallID, call.ID)
	el.CopyUnwrapped(schema.GenAIToolCallArguments, call.Arguments)
	SetTools(el, call.Tools)
	if call.Returned {
		if call.Text != "" {
			el.SetUnwrapped(schema.GenAIToolCallResult, call.Text)
		} else {
			el.CopyUnwrapped(schema.GenAIToolCallResult, call.Value)
		}
	}
	el.Emit()
}

// actionOf returns the action of a call: the method if the provider called an MCP server.
func actionOf(call *ToolCall) string {
	if call.Method != "" {
		return call.Method
	}
	return formats.ActionToolCall
}

// SetTools sets the number of tools offered to the model and the hash of their definitions. White space between tokens
// does not change the hash.
func SetTools(el *formats.Element, tools formats.Node) {
	if tools.Kind != scan.Array {
		return
	}
	if el.Wanted(schema.GenAIToolDefinitionsCount) {
		n := 0
		el.Index.Each(tools.Src, tools.Span, func(scan.Span) bool { n++; return true })
		el.Event.SetInt(schema.GenAIToolDefinitionsCount, int64(n))
	}
	if el.Wanted(schema.GenAIToolDefinitionsHash) {
		el.Event.SetText(schema.GenAIToolDefinitionsHash, el.HashJSON(tools))
	}
}

// Tools sets the fields of the tools offered to the model, as SetTools does, and keeps their names for the workflow. It is to
// be called after Reset.
func (c *Conversation) Tools(el *formats.Element, tools formats.Node) {
	SetTools(el, tools)
	if tools.Kind == scan.Array && el.WantsWorkflowHash() {
		c.offer.Each(el, tools, func(formats.Node) bool {
			c.addOffered(el)
			return len(c.offered) < formats.MaxOffered
		})
	}
}

// addOffered keeps the name of the selected tool, or those of the functions that it declares.
func (c *Conversation) addOffered(el *formats.Element) {
	for _, place := range [...]int{offerDeclarations, offerDeclared} {
		list := c.offer.At(place)
		if list.Kind != scan.Array {
			continue
		}
		c.call.Each(el, list, func(formats.Node) bool {
			c.offered = appendText(c.offered, el.Text(c.call.At(callName)))
			return len(c.offered) < formats.MaxOffered
		})
		return
	}
	o := c.offer
	c.offered = appendText(c.offered, el.FirstText(o.At(offerFunctionName), o.At(offerName), o.At(offerSpecName), o.At(offerServer), o.At(offerType)))
}

// countFunctions corrects the number of tools for Gemini, whose tools are lists of functions.
func countFunctions(el *formats.Element, tools formats.Node) {
	if tools.Kind != scan.Array || !el.Wanted(schema.GenAIToolDefinitionsCount) {
		return
	}
	n := int64(0)
	el.Index.Each(tools.Src, tools.Span, func(elem scan.Span) bool {
		listed := false
		el.Index.Members(tools.Src, elem, &el.Arena, func(key string, v scan.Span) bool {
			if (key == "functionDeclarations" || key == "function_declarations") && v.Kind == scan.Array {
				listed = true
				el.Index.Each(tools.Src, v, func(scan.Span) bool { n++; return true })
			}
			return true
		})
		if !listed {
			n++
		}
		return true
	})
	el.Event.SetInt(schema.GenAIToolDefinitionsCount, n)
}

// Answer adds an assistant's message to the model's answer.
func (c *Conversation) Answer(el *formats.Element, message formats.Node) {
	if message.Kind == scan.Object {
		c.readAnswer(el, message)
	}
}
