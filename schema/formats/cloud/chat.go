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
func (c *chat) request(el *formats.Element, n formats.Node) {
	body, ok := el.Unwrap(n)
	if !ok {
		c.conversation.Request(el, n)
		return
	}
	if body.Kind == scan.Object {
		c.body.Select(el, body)
		el.CopyFirstText(schema.GenAIRequestModel, c.body.At(chatModel))
		c.conversation.Tools(el, c.body.At(chatTools))
	}
	c.conversation.Request(el, body)
}

// response reads the response's body: an object, a list of messages, a stream, or the text of the answer.
func (c *chat) response(el *formats.Element, n formats.Node) {
	if n.Kind == scan.String && llm.IsEvents(el.Text(n)) {
		c.streamed(el, el.Text(n))
		return
	}
	body, ok := el.Unwrap(n)
	switch {
	case !ok:
		c.conversation.Response(el, n)
	case body.Kind == scan.Array:
		el.Index.Each(body.Src, body.Span, func(elem scan.Span) bool {
			c.conversation.Response(el, formats.Node{Src: body.Src, Span: elem})
			return true
		})
	default:
		c.body.Select(el, body)
		el.CopyText(schema.GenAIResponseID, c.body.At(chatID))
		el.CopyFirstText(schema.GenAIResponseModel, c.body.At(chatModel))
		c.usage.Reset()
		c.usage.Read(el, c.body.At(chatUsage))
		c.usage.Set(el)
		c.conversation.Response(el, body)
	}
}

// streamed assembles the response from a stream of server-sent events.
func (c *chat) streamed(el *formats.Element, text string) {
	c.stream.Reset()
	c.stream.Events(el, text)
	el.SetText(schema.GenAIResponseID, c.stream.ID)
	el.SetText(schema.GenAIResponseModel, c.stream.Model)
	c.stream.Usage.Set(el)
	c.stream.Fill(el, c.conversation)
}

// emit emits the event of the call and the events of its tools.
func (c *chat) emit(el *formats.Element) {
	c.conversation.Fill(el)
	c.conversation.Emit(el)
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
