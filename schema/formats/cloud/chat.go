package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// chat reads the bodies of calls of models that a cloud's log holds, as JSON, as JSON inside a string, or as a stream of
// server-sent events.
type chat struct {
	said   *llm.Conversation
	usage  *llm.Usage
	stream *llm.Stream
	body   *formats.Shape
}

// Places in the shape of a body.
const (
	chatID = iota
	chatModel
	chatTools
	chatUsage
)

func newChat() *chat {
	return &chat{
		said: llm.NewConversation(), usage: llm.NewUsage(), stream: llm.NewStream(),
		body: formats.NewShape([]string{"id"}, []string{"model"}, []string{"tools"}, []string{"usage"}),
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
		c.body.Select(r, body)
		r.SetFirst(schema.GenAIRequestModel, c.body.At(chatModel))
		llm.SetTools(r, c.body.At(chatTools))
	}
	c.said.Request(r, body)
}

// response reads what the model answered: a body, a list of messages, a stream, or a text.
func (c *chat) response(r *formats.Record, n formats.Node) {
	if n.Kind == scan.String && llm.IsEvents(r.Text(n)) {
		c.streamed(r, r.Text(n))
		return
	}
	body, ok := r.Inside(n)
	switch {
	case !ok:
		c.said.Response(r, n)
	case body.Kind == scan.Array:
		r.Index.Each(body.Src, body.Span, func(elem scan.Span) bool {
			c.said.Response(r, formats.Node{Src: body.Src, Span: elem})
			return true
		})
	default:
		c.body.Select(r, body)
		r.SetText(schema.GenAIResponseID, c.body.At(chatID))
		r.SetFirst(schema.GenAIResponseModel, c.body.At(chatModel))
		c.usage.Reset()
		c.usage.Read(r, c.body.At(chatUsage))
		c.usage.Set(r)
		c.said.Response(r, body)
	}
}

// streamed puts an answer together that came in pieces.
func (c *chat) streamed(r *formats.Record, text string) {
	c.stream.Reset()
	c.stream.Events(r, text)
	r.Put(schema.GenAIResponseID, c.stream.ID)
	r.Put(schema.GenAIResponseModel, c.stream.Model)
	c.stream.Usage.Set(r)
	c.stream.Fill(r, c.said)
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

// operationOfPath returns what a call of a model does, by the end of its path; "" where it is no call of one. Ends that
// other APIs have too count below a path that only those of models have.
func operationOfPath(path string) string {
	switch {
	case strings.HasSuffix(path, "/chat/completions"), strings.HasSuffix(path, "/v1/messages"), strings.HasSuffix(path, "/converse"):
		return opChat
	case !strings.Contains(path, "/openai/") && !strings.Contains(path, "/v1/") && !strings.Contains(path, "/deployments/"):
		return ""
	case strings.HasSuffix(path, "/responses"):
		return opChat
	case strings.HasSuffix(path, "/completions"):
		return opCompletion
	case strings.HasSuffix(path, "/embeddings"):
		return opEmbeddings
	}
	return ""
}
