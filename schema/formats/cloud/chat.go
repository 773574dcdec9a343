package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// chat reads the bodies of models' calls in a cloud's log. A body may be JSON, JSON encoded in a string, or a stream of
// server-sent events.
type chat struct {
	conversation *llm.Conversation
	usage        *llm.Usage
	stream       *llm.Stream
	body         *formats.Shape
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
		conversation: llm.NewConversation(),
		usage:        llm.NewUsage(),
		stream:       llm.NewStream(),
		body:         formats.NewShape([][]string{chatID: {"id"}, chatModel: {"model"}, chatTools: {"tools"}, chatUsage: {"usage"}}...),
	}
}

// reset begins a new call.
func (c *chat) reset() { c.conversation.Reset() }

// request reads the request's body. A string that is not JSON is the prompt itself.
func (c *chat) request(r *formats.Record, n formats.Node) {
	body, ok := r.Inside(n)
	if !ok {
		c.conversation.Request(r, n)
		return
	}
	if body.Kind == scan.Object {
		c.body.Select(r, body)
		r.SetFirst(schema.GenAIRequestModel, c.body.At(chatModel))
		llm.SetTools(r, c.body.At(chatTools))
	}
	c.conversation.Request(r, body)
}

// response reads the response's body: an object, a list of messages, a stream, or the text of the answer.
func (c *chat) response(r *formats.Record, n formats.Node) {
	if n.Kind == scan.String && llm.IsEvents(r.Text(n)) {
		c.streamed(r, r.Text(n))
		return
	}
	body, ok := r.Inside(n)
	switch {
	case !ok:
		c.conversation.Response(r, n)
	case body.Kind == scan.Array:
		r.Index.Each(body.Src, body.Span, func(elem scan.Span) bool {
			c.conversation.Response(r, formats.Node{Src: body.Src, Span: elem})
			return true
		})
	default:
		c.body.Select(r, body)
		r.SetText(schema.GenAIResponseID, c.body.At(chatID))
		r.SetFirst(schema.GenAIResponseModel, c.body.At(chatModel))
		c.usage.Reset()
		c.usage.Read(r, c.body.At(chatUsage))
		c.usage.Set(r)
		c.conversation.Response(r, body)
	}
}

// streamed assembles the response from a stream of server-sent events.
func (c *chat) streamed(r *formats.Record, text string) {
	c.stream.Reset()
	c.stream.Events(r, text)
	r.Put(schema.GenAIResponseID, c.stream.ID)
	r.Put(schema.GenAIResponseModel, c.stream.Model)
	c.stream.Usage.Set(r)
	c.stream.Fill(r, c.conversation)
}

// emit emits the event of the call and the events of its tools.
func (c *chat) emit(r *formats.Record) {
	c.conversation.Fill(r)
	c.conversation.Emit(r)
}

// Values of gen_ai.operation.name.
const (
	opChat       = "chat"
	opCompletion = "text_completion"
	opEmbeddings = "embeddings"
)

// operationOfPath returns the gen_ai.operation.name of a call, by the end of its path; "" if the call is not one of a model.
// Ends that are common in other APIs count only if the path contains a segment typical of models' APIs.
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
