package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// join returns the texts joined by newlines. A single text is returned as it is. Texts beyond MaxText are not joined,
// because the field that they are for is truncated there.
func join(r *formats.Record, texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	joined := texts[0]
	if len(texts) == 1 {
		return joined
	}
	n := 0
	for i, t := range texts {
		n += len(t) + 1
		if n > formats.MaxText {
			texts = texts[:i+1]
			break
		}
	}
	return r.Join(texts, "\n")
}

// Fill sets the fields of the llm event that come from the conversation: the new prompt, the answer, the reasons why
// the model stopped, and the hash of the system instructions.
func (c *Conversation) Fill(r *formats.Record) {
	if r.Wants(schema.MessageContextPromptText) {
		r.SetContent(schema.MessageContextPromptText, join(r, c.prompt))
	}
	if r.Wants(schema.MessageContextResponseText) {
		r.SetContent(schema.MessageContextResponseText, join(r, c.answer))
	}
	if len(c.finish) > 0 && r.Wants(schema.GenAIResponseFinishReasons) {
		r.StartList()
		for _, reason := range c.finish {
			r.ListItem(reason)
		}
		r.PutList(schema.GenAIResponseFinishReasons)
	}
	if len(c.system) > 0 && r.Wants(schema.GenAISystemInstructionsHash) {
		r.Event.SetText(schema.GenAISystemInstructionsHash, r.Hash(c.system, "\n"))
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
)

// Emit emits the llm event that r holds, then a tool_result for each new result, at the record's time because results
// were there when the request began, then a tool_call for each call, at the end of the llm event.
func (c *Conversation) Emit(r *formats.Record) {
	end := r.End()
	r.Emit()
	if len(c.Results)+len(c.Calls) == 0 {
		return
	}
	r.Event.ClearAll(&onlyLLM)
	for i := range c.Results {
		if r.Full() {
			return
		}
		c.emitResult(r, &c.Results[i])
	}
	r.Event.SetTime(schema.Time, end)
	for i := range c.Calls {
		if r.Full() {
			return
		}
		c.emitCall(r, &c.Calls[i])
	}
}

// The actions of tool events taken from a model's log. Events of a tool that ran have tools/call or execute_tool.
const (
	actionToolCall   = "tool_call"
	actionToolResult = "tool_result"
)

func (c *Conversation) emitResult(r *formats.Record, res *ToolResult) {
	r.Event.ClearAll(&onlyTool)
	r.SetClass(formats.ClassTool, actionToolResult)
	r.SetOutcome(formats.Success)
	if res.Failed {
		r.SetOutcome(formats.Failure)
	}
	r.Put(schema.GenAIToolName, res.Name)
	r.Put(schema.GenAIToolCallID, res.ID)
	if res.Text != "" {
		r.SetContent(schema.GenAIToolCallResult, res.Text)
	} else {
		r.SetAsIs(schema.GenAIToolCallResult, res.Value)
	}
	r.Emit()
}

// emitCall emits a call that the model requested. Its outcome is not known yet.
func (c *Conversation) emitCall(r *formats.Record, call *ToolCall) {
	r.Event.ClearAll(&onlyTool)
	r.SetClass(formats.ClassTool, actionToolCall)
	r.SetOutcome(formats.Unknown)
	r.Put(schema.GenAIToolName, call.Name)
	r.Put(schema.GenAIToolCallID, call.ID)
	r.SetDyn(schema.GenAIToolCallArguments, call.Arguments)
	r.Emit()
}

// SetTools sets the number of tools offered to the model and the hash of their definitions. White space between tokens
// does not change the hash.
func SetTools(r *formats.Record, tools formats.Node) {
	if tools.Kind != scan.Array {
		return
	}
	if r.Wants(schema.GenAIToolDefinitionsCount) {
		n := 0
		r.Index.Each(tools.Src, tools.Span, func(scan.Span) bool { n++; return true })
		r.Event.SetInt(schema.GenAIToolDefinitionsCount, int64(n))
	}
	if r.Wants(schema.GenAIToolDefinitionsHash) {
		r.Event.SetText(schema.GenAIToolDefinitionsHash, r.HashJSON(tools))
	}
}

// Answer adds an assistant's message to the model's answer.
func (c *Conversation) Answer(r *formats.Record, message formats.Node) {
	if message.Kind == scan.Object {
		c.readAnswer(r, message)
	}
}
