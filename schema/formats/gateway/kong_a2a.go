package gateway

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// agentCalls reads the log of Kong's A2A plugin, ai.a2a: the calls that one agent makes to another. The bodies, if logged,
// are JSON encoded in strings.
type agentCalls struct {
	rpc     int // ai.a2a.rpc
	call    *formats.Shape
	request *formats.Shape
	answer  *formats.Shape
	chat    *llm.Conversation
	saved   [len(perAgentCall)]schema.Value // the record's values of perAgentCall
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
	a2aBareMessage   // the REST binding does without JSON-RPC's envelope
)

// Places in the shape of an answer.
const (
	a2aResult = iota
	a2aResultParts
	a2aArtifacts
	a2aStatusMessage
)

func newAgentCalls(p *formats.Paths) *agentCalls {
	return &agentCalls{
		rpc: p.Add("ai", "a2a", "rpc"),
		call: formats.NewShape([][]string{
			a2aID: {"id"}, a2aMethod: {"method"}, a2aLatency: {"latency"}, a2aTaskState: {"task_state"}, a2aContext: {"context_id"},
			a2aError: {"error"}, a2aSize: {"response_body_size"},
			a2aRequest: {"payload", "request"}, a2aResponse: {"payload", "response"},
		}...),
		request: formats.NewShape([][]string{a2aParamsMessage: {"params", "message"}, a2aBareMessage: {"message"}}...),
		answer: formats.NewShape([][]string{
			a2aResult: {"result"}, a2aResultParts: {"result", "parts"}, a2aArtifacts: {"result", "artifacts"},
			a2aStatusMessage: {"result", "status", "message"},
		}...),
		chat: llm.NewConversation(),
	}
}

// perAgentCall lists the fields that a call sets. They are restored to the record's own values before the next call.
var perAgentCall = [...]schema.Field{
	schema.EventDuration, schema.EventOutcome, schema.Disposition, schema.ErrorType, schema.EventTruncated, schema.EventType,
	schema.SessionID, schema.HTTPResponseBytes, schema.GenAIOperationName, schema.GenAIConversationID,
	schema.MessageContextPromptText, schema.MessageContextResponseText, schema.GenAISystemInstructionsHash,
}

// read emits an event for each call, and reports whether there were any.
func (a *agentCalls) read(el *formats.Element) bool {
	rpc := el.At(a.rpc)
	if rpc.Kind != scan.Array {
		return false
	}
	for i, f := range perAgentCall {
		a.saved[i] = el.Event.Value(f)
	}
	calls := 0
	el.Index.Each(rpc.Src, rpc.Span, func(elem scan.Span) bool {
		if elem.Kind == scan.Object {
			calls++
			for i, f := range perAgentCall {
				el.Event.Set(f, a.saved[i])
			}
			a.readCall(el, formats.Node{Src: rpc.Src, Span: elem})
		}
		return !el.LimitExceeded()
	})
	return calls > 0
}

func (a *agentCalls) readCall(el *formats.Element, n formats.Node) {
	a.call.Select(el, n)
	at := a.call.At
	switch method := el.Text(at(a2aMethod)); method {
	case "message/send", "message/stream", "SendMessage", "SendStreamingMessage", "message:send", "message:stream":
		el.SetClass(formats.ClassLLM, "invoke_agent")
		el.SetText(schema.GenAIOperationName, "invoke_agent")
	default: // tasks/get and similar calls
		el.SetClass(formats.ClassAPI, method)
	}
	el.CopyDuration(at(a2aLatency), nsPerMilli)
	el.CopyInt(schema.HTTPResponseBytes, at(a2aSize))
	el.CopyText(schema.SessionID, at(a2aContext))
	el.CopyText(schema.GenAIConversationID, at(a2aContext))
	a.outcome(el)
	a.chat.Reset()
	if request, ok := el.Unwrap(at(a2aRequest)); ok {
		a.request.Select(el, request)
		for _, place := range [...]int{a2aParamsMessage, a2aBareMessage} {
			if message := a.request.At(place); message.Kind == scan.Object {
				a.chat.Request(el, message)
				break
			}
		}
	}
	if response, ok := el.Unwrap(at(a2aResponse)); ok {
		a.readAnswer(el, response)
	}
	a.chat.Fill(el)
	el.Emit()
}

// readAnswer reads the agent's answer: a message, or a task with its artifacts and the message of its status.
func (a *agentCalls) readAnswer(el *formats.Element, response formats.Node) {
	a.answer.Select(el, response)
	if a.answer.At(a2aResultParts).Kind == scan.Array {
		a.chat.Answer(el, a.answer.At(a2aResult))
		return
	}
	artifacts, status := a.answer.At(a2aArtifacts), a.answer.At(a2aStatusMessage)
	el.Index.Each(artifacts.Src, artifacts.Span, func(elem scan.Span) bool {
		a.chat.Answer(el, formats.Node{Src: artifacts.Src, Span: elem})
		return true
	})
	a.chat.Answer(el, status)
}

// outcome sets the outcome if the task failed, which the HTTP status does not show.
func (a *agentCalls) outcome(el *formats.Element) {
	switch el.Text(a.call.At(a2aTaskState)) {
	case "failed", "rejected", "canceled", "TASK_STATE_FAILED", "TASK_STATE_REJECTED", "TASK_STATE_CANCELED", "TASK_STATE_CANCELLED":
		el.SetOutcome(formats.Failure)
	}
	if failed := a.call.At(a2aError); el.Text(failed) != "" {
		el.SetOutcome(formats.Failure)
		el.CopyText(schema.ErrorType, failed)
	}
}
