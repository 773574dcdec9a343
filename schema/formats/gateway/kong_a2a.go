package gateway

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// agentCalls reads what Kong's A2A plugin logs: the calls of one agent by another. The bodies, where they are logged, are
// JSON texts.
type agentCalls struct {
	rpc     int
	call    *formats.Shape
	request *formats.Shape
	answer  *formats.Shape
	chat    *llm.Conversation
	kept    [len(perAgentCall)]schema.Value
}

// Places in the shape of a call.
const (
	a2aID = iota
	a2aMethod
	a2aLatency
	a2aTaskState
	a2aContext
	a2aError
	a2aSize
	a2aRequest
	a2aResponse
)

// Places in the shape of a request.
const (
	a2aParamsMessage = iota
	a2aBareMessage   // REST has it without JSON-RPC around
)

// Places in the shape of an answer.
const (
	a2aResult = iota
	a2aResultParts
	a2aArtifacts
	a2aStatusMessage
)

func openAgentCalls(p *formats.Paths) *agentCalls {
	return &agentCalls{
		rpc: p.Add("ai", "a2a", "rpc"),
		call: formats.NewShape([]string{"id"}, []string{"method"}, []string{"latency"}, []string{"task_state"}, []string{"context_id"},
			[]string{"error"}, []string{"response_body_size"}, []string{"payload", "request"}, []string{"payload", "response"}),
		request: formats.NewShape([]string{"params", "message"}, []string{"message"}),
		answer: formats.NewShape([]string{"result"}, []string{"result", "parts"}, []string{"result", "artifacts"},
			[]string{"result", "status", "message"}),
		chat: llm.NewConversation(),
	}
}

// perAgentCall are the fields that one call sets; those that the record has too are put back before the next.
var perAgentCall = [...]schema.Field{
	schema.EventDuration, schema.EventOutcome, schema.Disposition, schema.ErrorType, schema.EventTruncated, schema.EventType,
	schema.SessionID, schema.HTTPResponseBytes, schema.GenAIOperationName, schema.GenAIConversationID,
	schema.MessageContextPromptText, schema.MessageContextResponseText, schema.GenAISystemInstructionsHash,
}

// read makes an event of each call; false where there are none.
func (a *agentCalls) read(r *formats.Record) bool {
	rpc := r.At(a.rpc)
	if rpc.Kind != scan.Array {
		return false
	}
	for i, f := range perAgentCall {
		a.kept[i] = r.Event.Value(f)
	}
	calls := 0
	r.Index.Each(rpc.Src, rpc.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			calls++
			for i, f := range perAgentCall {
				r.Event.Set(f, a.kept[i])
			}
			a.readCall(r, formats.Node{Src: rpc.Src, Span: elem})
		}
		return !r.Full()
	})
	return calls > 0
}

func (a *agentCalls) readCall(r *formats.Record, n formats.Node) {
	a.call.Select(r, n)
	at := a.call.At
	switch method := r.Text(at(a2aMethod)); method {
	case "message/send", "message/stream", "SendMessage", "SendStreamingMessage", "message:send", "message:stream":
		r.SetClass(formats.ClassLLM, "invoke_agent")
		r.Put(schema.GenAIOperationName, "invoke_agent")
	default: // tasks/get and its like
		r.SetClass(formats.ClassAPI, method)
	}
	r.SetDuration(at(a2aLatency), nsPerMilli)
	r.SetInt(schema.HTTPResponseBytes, at(a2aSize))
	r.SetText(schema.SessionID, at(a2aContext))
	r.SetText(schema.GenAIConversationID, at(a2aContext))
	a.outcome(r)
	a.chat.Reset()
	if request, ok := r.Inside(at(a2aRequest)); ok {
		a.request.Select(r, request)
		for _, place := range [...]int{a2aParamsMessage, a2aBareMessage} {
			if message := a.request.At(place); message.Kind == scan.Object {
				a.chat.Request(r, message)
				break
			}
		}
	}
	if response, ok := r.Inside(at(a2aResponse)); ok {
		a.readAnswer(r, response)
	}
	a.chat.Fill(r)
	r.Emit()
}

// readAnswer takes what the agent answered: a message, or a task with its artifacts and the message of its status.
func (a *agentCalls) readAnswer(r *formats.Record, response formats.Node) {
	a.answer.Select(r, response)
	if a.answer.At(a2aResultParts).Kind == scan.Array {
		a.chat.Answer(r, a.answer.At(a2aResult))
		return
	}
	artifacts, status := a.answer.At(a2aArtifacts), a.answer.At(a2aStatusMessage)
	r.Index.Each(artifacts.Src, artifacts.Span, func(elem scan.Span) bool {
		a.chat.Answer(r, formats.Node{Src: artifacts.Src, Span: elem})
		return true
	})
	a.chat.Answer(r, status)
}

// outcome is what became of the task, which HTTP does not tell.
func (a *agentCalls) outcome(r *formats.Record) {
	switch r.Text(a.call.At(a2aTaskState)) {
	case "failed", "rejected", "canceled", "TASK_STATE_FAILED", "TASK_STATE_REJECTED", "TASK_STATE_CANCELED", "TASK_STATE_CANCELLED":
		r.SetOutcome(formats.Failure)
	}
	if failed := a.call.At(a2aError); r.Text(failed) != "" {
		r.SetOutcome(formats.Failure)
		r.SetText(schema.ErrorType, failed)
	}
}
