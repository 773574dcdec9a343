package llm

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Stream puts the pieces of a streamed answer together: OpenAI's chunks and response events, Anthropic's events,
// Converse's, and those of Bedrock's other models. It belongs to one worker, and what it holds is valid until the next
// Reset.
type Stream struct {
	ID, Model string
	Created   formats.Node
	Failed    bool // the stream says that an error ended it
	Anthropic bool // the events are Anthropic's
	Usage     *Usage

	texts  []streamText
	calls  []streamCall
	finish []string
	whole  formats.Node // the answer itself, which the last event of some streams repeats

	chunk, choice, call *formats.Shape
}

// streamText is the text of one choice or block.
type streamText struct {
	index int64
	text  []byte
}

// streamCall is a call whose arguments come in pieces.
type streamCall struct {
	choice, index int64
	id, name      string
	arguments     []byte
}

// What of one event is read.
const (
	chunkType = iota
	chunkID
	chunkModel
	chunkCreated
	chunkCreatedAt
	chunkIndex
	chunkUsage
	chunkChoices
	chunkError
	chunkMessageID // Anthropic
	chunkMessageModel
	chunkMessageUsage
	chunkBlockType
	chunkBlockID
	chunkBlockName
	chunkDelta
	chunkDeltaText
	chunkDeltaJSON
	chunkDeltaStop
	chunkResponse // OpenAI's responses
	chunkItem
	chunkBlockIndex // Converse
	chunkStartID
	chunkStartName
	chunkDeltaInput
	chunkStopReason
	chunkStarted
	chunkDeltaed
	chunkStopped
	chunkMetadata
	chunkOutputText // the others of Bedrock
	chunkGeneration
	chunkText
	chunkCompletion
	chunkCompletionReason
	chunkStop
	chunkFinish
)

const (
	choiceIndex = iota
	choiceText2
	choiceDeltaContent
	choiceDeltaRefusal
	choiceDeltaCalls
	choiceFinish
)

const (
	pieceIndex = iota
	pieceID
	pieceName
	pieceArguments
)

// NewStream returns one for a worker.
func NewStream() *Stream {
	return &Stream{
		Usage: NewUsage(),
		chunk: formats.NewShape([]string{"type"}, []string{"id"}, []string{"model"}, []string{"created"}, []string{"created_at"}, []string{"index"},
			[]string{"usage"},
			[]string{"choices"}, []string{"error"}, []string{"message", "id"}, []string{"message", "model"}, []string{"message", "usage"},
			[]string{"content_block", "type"}, []string{"content_block", "id"}, []string{"content_block", "name"}, []string{"delta"},
			[]string{"delta", "text"}, []string{"delta", "partial_json"}, []string{"delta", "stop_reason"}, []string{"response"}, []string{"item"},
			[]string{"contentBlockIndex"}, []string{"start", "toolUse", "toolUseId"}, []string{"start", "toolUse", "name"},
			[]string{"delta", "toolUse", "input"}, []string{"stopReason"}, []string{"contentBlockStart"}, []string{"contentBlockDelta"},
			[]string{"messageStop"}, []string{"metadata"}, []string{"outputText"}, []string{"generation"}, []string{"text"},
			[]string{"completion"}, []string{"completionReason"}, []string{"stop_reason"}, []string{"finish_reason"}),
		choice: formats.NewShape([]string{"index"}, []string{"text"}, []string{"delta", "content"}, []string{"delta", "refusal"},
			[]string{"delta", "tool_calls"}, []string{"finish_reason"}),
		call: formats.NewShape([]string{"index"}, []string{"id"}, []string{"function", "name"}, []string{"function", "arguments"}),
	}
}

// Reset empties it.
func (s *Stream) Reset() {
	s.ID, s.Model, s.Created, s.Failed, s.Anthropic, s.whole = "", "", formats.Node{}, false, false, formats.Node{}
	s.texts, s.calls, s.finish = s.texts[:0], s.calls[:0], s.finish[:0]
	s.Usage.Reset()
}

// IsEvents says that a text is a body of server-sent events.
func IsEvents(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return strings.HasPrefix(text, "data:") || strings.HasPrefix(text, "event:")
}

// Events reads a body of server-sent events: each line of data is one JSON object, or the end's mark. What is no JSON is
// counted.
func (s *Stream) Events(r *formats.Record, body string) {
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(line, "data:")
		data = strings.TrimSpace(data)
		if !ok || data == "" || data == "[DONE]" {
			continue
		}
		v, err := scan.Valid(data)
		if err != nil {
			r.FaultNamed("response")
			continue
		}
		s.Event(r, formats.Node{Src: data, Span: v})
	}
}

// Event reads one event.
func (s *Stream) Event(r *formats.Record, n formats.Node) {
	if n.Kind != scan.Object {
		return
	}
	s.chunk.Select(r, n)
	s.head(r)
	kind := r.Text(s.at(chunkType))
	choices, response, item := s.at(chunkChoices), s.at(chunkResponse), s.at(chunkItem)
	switch {
	case choices.Kind == scan.Array:
		s.choices(r, choices)
	case strings.HasPrefix(kind, "response."):
		s.response(r, kind, response, item)
	case kind != "" && r.Text(s.at(chunkCompletion)) == "":
		s.anthropic(r, kind)
	case s.wrapped().Kind == scan.Object:
		s.Event(r, s.wrapped()) // the scanner bounds the depth
	default:
		s.Usage.Read(r, n)
		s.converse(r)
		s.native(r)
	}
}

func (s *Stream) at(place int) formats.Node { return s.chunk.At(place) }

// wrapped returns what one of Converse's events holds where its name stands around it.
func (s *Stream) wrapped() formats.Node {
	for _, place := range [...]int{chunkStarted, chunkDeltaed, chunkStopped, chunkMetadata} {
		if n := s.at(place); n.Kind == scan.Object {
			return n
		}
	}
	return formats.Node{}
}

// head takes what an event says of the whole.
func (s *Stream) head(r *formats.Record) {
	if id := r.FirstText(s.at(chunkID), s.at(chunkMessageID)); s.ID == "" {
		s.ID = id
	}
	if model := r.FirstText(s.at(chunkModel), s.at(chunkMessageModel)); s.Model == "" {
		s.Model = model
	}
	for _, place := range [...]int{chunkCreated, chunkCreatedAt} {
		if created := s.at(place); created.Present() && !s.Created.Present() {
			s.Created = created
		}
	}
	s.Failed = s.Failed || s.at(chunkError).Present()
	s.Usage.Read(r, s.at(chunkMessageUsage))
	s.Usage.Read(r, s.at(chunkUsage))
}

// choices takes an OpenAI chunk.
func (s *Stream) choices(r *formats.Record, list formats.Node) {
	r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		if elem.Kind != scan.Object {
			return true
		}
		s.choice.Select(r, formats.Node{Src: list.Src, Span: elem})
		index := number(s.choice.At(choiceIndex))
		for _, place := range [...]int{choiceText2, choiceDeltaContent, choiceDeltaRefusal} {
			s.text(index, r.Text(s.choice.At(place)))
		}
		s.finish = appendText(s.finish, r.Text(s.choice.At(choiceFinish)))
		calls := s.choice.At(choiceDeltaCalls)
		r.Index.Each(calls.Src, calls.Span, func(elem scan.Span) bool {
			s.call.Select(r, formats.Node{Src: calls.Src, Span: elem})
			s.piece(index, number(s.call.At(pieceIndex)), r.Text(s.call.At(pieceID)), r.Text(s.call.At(pieceName)), r.Text(s.call.At(pieceArguments)))
			return true
		})
		return true
	})
}

// response takes an event of OpenAI's responses: the last one holds the answer itself, the first its head.
func (s *Stream) response(r *formats.Record, kind string, response, item formats.Node) {
	switch kind {
	case "response.completed", "response.incomplete", "response.failed":
		s.whole = response
		s.Failed = s.Failed || kind == "response.failed"
	case "response.output_text.delta":
		s.text(number(s.at(chunkIndex)), r.Text(s.at(chunkDelta)))
	}
	if response.Kind == scan.Object {
		s.chunk.Select(r, response)
		s.head(r)
	}
}

// anthropic takes one of Anthropic's events.
func (s *Stream) anthropic(r *formats.Record, kind string) {
	index := number(s.at(chunkIndex))
	switch kind {
	case "message_start":
		s.Anthropic = true
	case "content_block_start":
		if t := r.Text(s.at(chunkBlockType)); t == "tool_use" || t == "server_tool_use" || t == "mcp_tool_use" {
			s.piece(0, index, r.Text(s.at(chunkBlockID)), r.Text(s.at(chunkBlockName)), "")
		}
	case "content_block_delta":
		s.text(index, r.Text(s.at(chunkDeltaText)))
		if json := r.Text(s.at(chunkDeltaJSON)); json != "" {
			s.piece(0, index, "", "", json)
		}
	case "message_delta":
		s.finish = appendText(s.finish, r.Text(s.at(chunkDeltaStop)))
	case "error":
		s.Failed = true
	}
}

// converse takes one of the Converse API's events.
func (s *Stream) converse(r *formats.Record) {
	index := number(s.at(chunkBlockIndex))
	s.text(index, r.Text(s.at(chunkDeltaText)))
	if name := r.Text(s.at(chunkStartName)); name != "" {
		s.piece(0, index, r.Text(s.at(chunkStartID)), name, "")
	}
	if input := r.Text(s.at(chunkDeltaInput)); input != "" {
		s.piece(0, index, "", "", input)
	}
	s.finish = appendText(s.finish, r.Text(s.at(chunkStopReason)))
}

// native takes one of the events of Bedrock's other models.
func (s *Stream) native(r *formats.Record) {
	s.text(0, r.FirstText(s.at(chunkOutputText), s.at(chunkGeneration), s.at(chunkText), s.at(chunkCompletion)))
	s.finish = appendText(s.finish, r.FirstText(s.at(chunkCompletionReason), s.at(chunkStop), s.at(chunkFinish)))
}

// number is a small count, 0 where there is none.
func number(n formats.Node) int64 {
	v, ok := scan.Int(n.Src, n.Span)
	if !ok {
		return 0
	}
	return v
}

// maxPieces bounds the choices, blocks and calls of one stream: what lies beyond joins the last. A search for a piece's
// call stays short, whatever is sent.
const maxPieces = 256

// text adds to the text of a choice or block. The slices of an earlier stream are used again.
func (s *Stream) text(index int64, text string) {
	if text == "" {
		return
	}
	at := len(s.texts) - 1
	for at >= 0 && s.texts[at].index != index {
		at--
	}
	if at < 0 && len(s.texts) < maxPieces {
		at = len(s.texts)
		if at < cap(s.texts) {
			s.texts = s.texts[:at+1]
		} else {
			s.texts = append(s.texts, streamText{})
		}
		s.texts[at].index, s.texts[at].text = index, s.texts[at].text[:0]
	}
	if at < 0 {
		at = len(s.texts) - 1
	}
	s.texts[at].text = append(s.texts[at].text, text...)
}

// piece adds to a call. One that brings an id or a name begins a call where its place had another.
func (s *Stream) piece(choice, index int64, id, name, arguments string) {
	at := len(s.calls) - 1
	for at >= 0 && (s.calls[at].choice != choice || s.calls[at].index != index || id != "" && s.calls[at].id != "" && s.calls[at].id != id) {
		at--
	}
	if at < 0 && len(s.calls) < maxPieces {
		at = len(s.calls)
		if at < cap(s.calls) {
			s.calls = s.calls[:at+1]
		} else {
			s.calls = append(s.calls, streamCall{})
		}
		s.calls[at] = streamCall{choice: choice, index: index, arguments: s.calls[at].arguments[:0]}
	}
	if at < 0 {
		at = len(s.calls) - 1
	}
	call := &s.calls[at]
	if call.id == "" {
		call.id = id
	}
	if call.name == "" {
		call.name = name
	}
	call.arguments = append(call.arguments, arguments...)
}

// Fill puts what was read into the conversation.
func (s *Stream) Fill(r *formats.Record, c *Conversation) {
	if s.whole.Kind == scan.Object {
		c.Response(r, s.whole)
		return
	}
	for i := range s.texts {
		c.answer = append(c.answer, r.Arena.Hold(s.texts[i].text))
	}
	c.finish = append(c.finish, s.finish...)
	for i := range s.calls {
		call := &s.calls[i]
		c.Calls = addCall(c.Calls, ToolCall{ID: call.id, Name: call.name, Arguments: argumentsOf(r, call.arguments)})
	}
}

// argumentsOf is the node of arguments that came in pieces: the JSON that they spell, else their text.
func argumentsOf(r *formats.Record, arguments []byte) formats.Node {
	text := r.Arena.Hold(arguments)
	v, err := scan.Valid(text)
	if err == nil {
		return formats.Node{Src: text, Span: v}
	}
	return r.Quote(text)
}

// Stopped says that the stream ended for this reason.
func (s *Stream) Stopped(reason string) bool { return slices.Contains(s.finish, reason) }
