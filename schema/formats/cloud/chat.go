package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// chat reads the bodies of calls of models that a cloud's log holds, as JSON or as JSON inside a string.
type chat struct {
	said *llm.Conversation
	body *formats.Shape
}

// Places in the shape of a body.
const (
	chatID = iota
	chatModel
	chatTools
	chatPromptTokens
	chatInputTokens
	chatCompletionTokens
	chatOutputTokens
	chatCached
	chatReasoning
)

func openChat() *chat {
	return &chat{
		said: llm.NewConversation(),
		body: formats.NewShape([]string{"id"}, []string{"model"}, []string{"tools"}, []string{"usage", "prompt_tokens"}, []string{"usage", "input_tokens"},
			[]string{"usage", "completion_tokens"}, []string{"usage", "output_tokens"}, []string{"usage", "prompt_tokens_details", "cached_tokens"},
			[]string{"usage", "completion_tokens_details", "reasoning_tokens"}),
	}
}

func (c *chat) reset() { c.said.Reset() }

// request reads what the model was asked; a text that is no JSON is the prompt itself.
func (c *chat) request(r *formats.Record, n formats.Node) {
	body, ok := r.Inside(n)
	if !ok {
		c.said.Request(r, n)
		return
	}
	if body.Kind == scan.Object {
		c.body.Select(body)
		r.SetFirst(schema.GenAIRequestModel, c.body.At(chatModel))
		llm.SetTools(r, c.body.At(chatTools))
	}
	c.said.Request(r, body)
}

// response reads what the model answered: a body, a list of messages, or a text.
func (c *chat) response(r *formats.Record, n formats.Node) {
	body, ok := r.Inside(n)
	switch {
	case !ok:
		c.said.Response(r, n)
	case body.Kind == scan.Array:
		scan.Each(body.Src, body.Span, func(elem scan.Span) bool {
			c.said.Response(r, formats.Node{Src: body.Src, Span: elem})
			return true
		})
	default:
		c.body.Select(body)
		r.SetText(schema.GenAIResponseID, c.body.At(chatID))
		r.SetFirst(schema.GenAIResponseModel, c.body.At(chatModel))
		r.SetFirstInt(schema.GenAIUsageInputTokens, c.body.At(chatPromptTokens), c.body.At(chatInputTokens))
		r.SetFirstInt(schema.GenAIUsageOutputTokens, c.body.At(chatCompletionTokens), c.body.At(chatOutputTokens))
		r.SetInt(schema.GenAIUsageCacheReadInputTokens, c.body.At(chatCached))
		r.SetInt(schema.GenAIUsageReasoningOutputTokens, c.body.At(chatReasoning))
		c.said.Response(r, body)
	}
}

// emit hands over the event of the call and those of its tools.
func (c *chat) emit(r *formats.Record) {
	c.said.Fill(r)
	c.said.Emit(r)
}

// Operations of models, as OpenTelemetry names them.
const (
	opChat       = "chat"
	opCompletion = "text_completion"
	opEmbeddings = "embeddings"
)

// operationOfPath returns what a call of a model does, by the end of its path; "" where it is no call of one.
func operationOfPath(path string) string {
	switch {
	case strings.HasSuffix(path, "/chat/completions"), strings.HasSuffix(path, "/responses"), strings.HasSuffix(path, "/v1/messages"),
		strings.HasSuffix(path, "/converse"):
		return opChat
	case strings.HasSuffix(path, "/completions"):
		return opCompletion
	case strings.HasSuffix(path, "/embeddings"):
		return opEmbeddings
	}
	return ""
}
