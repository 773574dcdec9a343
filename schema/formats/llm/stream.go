package llm

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Stream assembles a streamed answer: OpenAI's chunks and response events, Anthropic's events, the events of Converse
// and of Bedrock's other models. It belongs to one worker, and its contents are valid until the next Reset.
type Stream struct {
	ID, Model string
	Created   formats.Node
	Failed    bool // an event reports that an error ended the stream
	Anthropic bool // the events are Anthropic's
	Gemini    bool // the events are Gemini's
	Ollama    bool // the events are Ollama's
	Usage     *Usage
	guard     Guard

	texts  []streamText
	calls  []streamCall
	parts  []formats.Node // parts of Gemini's answers, and blocks and items of others, that are not text
	finish []string
	whole  formats.Node // the whole answer, which the last event of some streams repeats

	chunk, choice, call, candidate *formats.Shape
}

// streamText is the text of one choice or block.
type streamText struct {
	index int64
	text  []byte
}

// streamCall is a call whose arguments arrive in pieces.
type streamCall struct {
	choice, index int64
	id, name      string
	arguments     []byte
}

// Places in a shape of chunkPaths.
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
	chunkMessageID
	chunkMessageModel
	chunkMessageUsage
	chunkBlockType
	chunkBlockID
	chunkBlockName
	chunkDelta
	chunkDeltaText
	chunkDeltaJSON
	chunkDeltaStop
	chunkResponse
	chunkItem
	chunkBlockIndex
	chunkStartID
	chunkStartName
	chunkDeltaInput
	chunkStopReason
	chunkStarted
	chunkDeltaed
	chunkStopped
	chunkMetadata
	chunkOutputText
	chunkGeneration
	chunkText
	chunkCompletion
	chunkCompletionReason
	chunkStop
	chunkFinish
	chunkBlock
	chunkCandidates
	chunkUsageMetadata
	chunkUsageMetadataSnake
	chunkModelVersion
	chunkModelVersionSnake
	chunkResponseID
	chunkResponseIDSnake
	chunkDone
	chunkDoneReason
	chunkOllamaContent
	chunkOllamaCalls
	chunkOllamaMessage
	chunkTrace
	chunkInvokeTrace
	chunkPromptFilters
)

// chunkPaths returns the paths that are read of one event, each at its place.
func chunkPaths() [][]string {
	return [][]string{
		chunkType:      {"type"},
		chunkID:        {"id"},
		chunkModel:     {"model"},
		chunkCreated:   {"created"},
		chunkCreatedAt: {"created_at"},
		chunkIndex:     {"index"},
		chunkUsage:     {"usage"},
		chunkChoices:   {"choices"},
		chunkError:     {"error"},
		// Anthropic
		chunkMessageID:    {"message", "id"},
		chunkMessageModel: {"message", "model"},
		chunkMessageUsage: {"message", "usage"},
		chunkBlockType:    {"content_block", "type"},
		chunkBlockID:      {"content_block", "id"},
		chunkBlockName:    {"content_block", "name"},
		chunkDelta:        {"delta"},
		chunkDeltaText:    {"delta", "text"},
		chunkDeltaJSON:    {"delta", "partial_json"},
		chunkDeltaStop:    {"delta", "stop_reason"},
		// OpenAI's Responses API
		chunkResponse: {"response"},
		chunkItem:     {"item"},
		// Converse
		chunkBlockIndex: {"contentBlockIndex"},
		chunkStartID:    {"start", "toolUse", "toolUseId"},
		chunkStartName:  {"start", "toolUse", "name"},
		chunkDeltaInput: {"delta", "toolUse", "input"},
		chunkStopReason: {"stopReason"},
		chunkStarted:    {"contentBlockStart"},
		chunkDeltaed:    {"contentBlockDelta"},
		chunkStopped:    {"messageStop"},
		chunkMetadata:   {"metadata"},
		// Bedrock's other models
		chunkOutputText:       {"outputText"},
		chunkGeneration:       {"generation"},
		chunkText:             {"text"},
		chunkCompletion:       {"completion"},
		chunkCompletionReason: {"completionReason"},
		chunkStop:             {"stop_reason"},
		chunkFinish:           {"finish_reason"},
		chunkBlock:            {"content_block"},
		// Gemini
		chunkCandidates:         {"candidates"},
		chunkUsageMetadata:      {"usageMetadata"},
		chunkUsageMetadataSnake: {"usage_metadata"},
		chunkModelVersion:       {"modelVersion"},
		chunkModelVersionSnake:  {"model_version"},
		chunkResponseID:         {"responseId"},
		chunkResponseIDSnake:    {"response_id"},
		// Ollama
		chunkDone:          {"done"},
		chunkDoneReason:    {"done_reason"},
		chunkOllamaContent: {"message", "content"},
		chunkOllamaCalls:   {"message", "tool_calls"},
		chunkOllamaMessage: {"message"},
		// Guardrails of Bedrock, and content filters of Azure OpenAI
		chunkTrace:         {"trace", "guardrail"},
		chunkInvokeTrace:   {"amazon-bedrock-trace", "guardrail"},
		chunkPromptFilters: {"prompt_filter_results"},
	}
}

// Places in a shape of chunkChoicePaths.
const (
	chunkChoiceIndex = iota
	chunkChoiceText
	chunkChoiceContent
	chunkChoiceRefusal
	chunkChoiceCalls
	chunkChoiceFinish
	chunkChoiceFilters
)

// chunkChoicePaths returns the paths that are read of a choice in an OpenAI chunk, each at its place.
func chunkChoicePaths() [][]string {
	return [][]string{
		chunkChoiceIndex:   {"index"},
		chunkChoiceText:    {"text"},
		chunkChoiceContent: {"delta", "content"},
		chunkChoiceRefusal: {"delta", "refusal"},
		chunkChoiceCalls:   {"delta", "tool_calls"},
		chunkChoiceFinish:  {"finish_reason"},
		chunkChoiceFilters: {"content_filter_results"}, // Azure OpenAI
	}
}

// Places in a shape of piecePaths.
const (
	pieceIndex = iota
	pieceID
	pieceName
	pieceArguments
)

// piecePaths returns the paths that are read of a piece of a call in an OpenAI chunk, each at its place.
func piecePaths() [][]string {
	return [][]string{
		pieceIndex:     {"index"},
		pieceID:        {"id"},
		pieceName:      {"function", "name"},
		pieceArguments: {"function", "arguments"},
	}
}

// NewStream returns a Stream for one worker.
func NewStream() *Stream {
	return &Stream{
		Usage: NewUsage(),
		chunk: formats.NewShape(chunkPaths()...), choice: formats.NewShape(chunkChoicePaths()...), call: formats.NewShape(piecePaths()...),
		candidate: formats.NewShape(candidatePaths()...),
	}
}

// Reset empties the stream.
func (s *Stream) Reset() {
	s.ID, s.Model, s.Created, s.Failed, s.whole = "", "", formats.Node{}, false, formats.Node{}
	s.Anthropic, s.Gemini, s.Ollama = false, false, false
	s.texts, s.calls, s.parts, s.finish = s.texts[:0], s.calls[:0], s.parts[:0], s.finish[:0]
	s.guard.Reset()
	s.Usage.Reset()
}

// IsEvents reports whether a text is a body of server-sent events, or of one JSON object a line, as Ollama streams.
func IsEvents(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return strings.HasPrefix(text, "data:") || strings.HasPrefix(text, "event:") || isLines(text)
}

// isLines reports whether a text consists of several objects, each on a line of its own.
func isLines(text string) bool {
	line, rest, ok := strings.Cut(text, "\n")
	return ok && strings.HasPrefix(line, "{") && strings.HasSuffix(strings.TrimRight(line, "\r"), "}") && strings.HasPrefix(rest, "{")
}

// Events reads a body of server-sent events. Each data line is one JSON object, or [DONE] at the end. Lines that are
// not JSON are reported as faults.
func (s *Stream) Events(el *formats.Element, body string) {
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(line, "data:")
		data = strings.TrimSpace(data)
		ok = ok || strings.HasPrefix(data, "{")
		if !ok || data == "" || data == "[DONE]" {
			continue
		}
		v, err := scan.Valid(data)
		if err != nil {
			el.CountFaultNamed("response")
			continue
		}
		s.Event(el, formats.Node{Src: data, Span: v})
	}
}

// Event reads one event.
func (s *Stream) Event(el *formats.Element, n formats.Node) { s.event(el, n, 0) }

// event reads an event that is inside inner others.
func (s *Stream) event(el *formats.Element, n formats.Node, inner int) {
	if n.Kind != scan.Object {
		return
	}
	s.chunk.Select(el, n)
	s.head(el)
	kind := el.Text(s.at(chunkType))
	choices, response, item := s.at(chunkChoices), s.at(chunkResponse), s.at(chunkItem)
	switch {
	case choices.Kind == scan.Array:
		s.choices(el, choices)
	case s.at(chunkCandidates).Kind == scan.Array, s.at(chunkUsageMetadata).Present():
		s.gemini(el, s.at(chunkCandidates))
	case s.at(chunkDone).Present():
		s.ollama(el, n)
	case strings.HasPrefix(kind, "response."):
		s.response(el, kind, response, item)
	case kind != "" && el.Text(s.at(chunkCompletion)) == "":
		s.anthropic(el, kind)
	case s.wrapped().Kind == scan.Object && inner < maxInner:
		s.event(el, s.wrapped(), inner+1)
	default:
		s.Usage.Read(el, n)
		s.converse(el)
		s.native(el)
	}
}

func (s *Stream) at(place int) formats.Node { return s.chunk.At(place) }

// wrapped returns the content of a Converse event that is wrapped in an object under the event's name.
func (s *Stream) wrapped() formats.Node {
	for _, place := range [...]int{chunkStarted, chunkDeltaed, chunkStopped, chunkMetadata} {
		if n := s.at(place); n.Kind == scan.Object {
			return n
		}
	}
	return formats.Node{}
}

// head reads the parts of an event that describe the whole answer.
func (s *Stream) head(el *formats.Element) {
	if s.ID == "" {
		s.ID = el.FirstText(s.at(chunkID), s.at(chunkMessageID), s.at(chunkResponseID), s.at(chunkResponseIDSnake))
	}
	if s.Model == "" {
		s.Model = el.FirstText(s.at(chunkModel), s.at(chunkMessageModel), s.at(chunkModelVersion), s.at(chunkModelVersionSnake))
	}
	for _, place := range [...]int{chunkCreated, chunkCreatedAt} {
		if created := s.at(place); created.Present() && !s.Created.Present() {
			s.Created = created
		}
	}
	s.Failed = s.Failed || s.at(chunkError).Present()
	for _, place := range [...]int{chunkTrace, chunkInvokeTrace} {
		if n := s.at(place); n.Kind == scan.Object {
			s.guard.Assessments(el, n)
		}
	}
	if n := s.at(chunkPromptFilters); n.Kind == scan.Array {
		s.guard.Filters(el, n)
	}
	s.Usage.Read(el, s.at(chunkMessageUsage))
	for _, place := range [...]int{chunkUsage, chunkUsageMetadata, chunkUsageMetadataSnake} {
		s.Usage.Read(el, s.at(place))
	}
}

// choices reads the choices of an OpenAI chunk.
func (s *Stream) choices(el *formats.Element, list formats.Node) {
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		if elem.Kind != scan.Object {
			return true
		}
		s.choice.Select(el, formats.Node{Src: list.Src, Span: elem})
		index := number(s.choice.At(chunkChoiceIndex))
		for _, place := range [...]int{chunkChoiceText, chunkChoiceContent, chunkChoiceRefusal} {
			s.text(index, el.Text(s.choice.At(place)))
		}
		s.finish = appendText(s.finish, el.Text(s.choice.At(chunkChoiceFinish)))
		if filters := s.choice.At(chunkChoiceFilters); filters.Kind == scan.Object {
			s.guard.Filters(el, filters)
		}
		calls := s.choice.At(chunkChoiceCalls)
		el.Index.Each(calls.Src, calls.Span, func(elem scan.Span) bool {
			s.call.Select(el, formats.Node{Src: calls.Src, Span: elem})
			id, name, arguments := el.Text(s.call.At(pieceID)), el.Text(s.call.At(pieceName)), el.Text(s.call.At(pieceArguments))
			s.piece(index, number(s.call.At(pieceIndex)), id, name, arguments)
			return true
		})
		return true
	})
}

// response reads an event of OpenAI's Responses API. The first event holds the head of the answer, the last one all of
// it.
func (s *Stream) response(el *formats.Element, kind string, response, item formats.Node) {
	switch kind {
	case "response.completed", "response.incomplete", "response.failed":
		s.whole = response
		s.Failed = s.Failed || kind == "response.failed"
	case "response.output_text.delta":
		s.text(number(s.at(chunkIndex)), el.Text(s.at(chunkDelta)))
	case "response.output_item.done":
		if item.Kind == scan.Object { // counts if the stream ends early, without the whole answer
			s.part(item)
		}
	}
	if response.Kind == scan.Object {
		s.chunk.Select(el, response)
		s.head(el)
	}
}

// anthropic reads an event of Anthropic's API.
func (s *Stream) anthropic(el *formats.Element, kind string) {
	index := number(s.at(chunkIndex))
	switch kind {
	case "message_start":
		s.Anthropic = true
	case "content_block_start":
		switch t := el.Text(s.at(chunkBlockType)); {
		case t == "tool_use" || t == "server_tool_use":
			s.piece(0, index, el.Text(s.at(chunkBlockID)), el.Text(s.at(chunkBlockName)), "")
		case t == "mcp_tool_use":
			s.piece(0, index, el.Text(s.at(chunkBlockID)), el.Text(s.at(chunkBlockName)), "")
			s.part(s.at(chunkBlock)) // it names the server
		case strings.HasSuffix(t, "_tool_result"):
			s.part(s.at(chunkBlock))
		}
	case "content_block_delta":
		s.text(index, el.Text(s.at(chunkDeltaText)))
		if json := el.Text(s.at(chunkDeltaJSON)); json != "" {
			s.piece(0, index, "", "", json)
		}
	case "message_delta":
		s.finish = appendText(s.finish, el.Text(s.at(chunkDeltaStop)))
	case "error":
		s.Failed = true
	}
}

// converse reads an event of the Converse API.
func (s *Stream) converse(el *formats.Element) {
	index := number(s.at(chunkBlockIndex))
	s.text(index, el.Text(s.at(chunkDeltaText)))
	if name := el.Text(s.at(chunkStartName)); name != "" {
		s.piece(0, index, el.Text(s.at(chunkStartID)), name, "")
	}
	if input := el.Text(s.at(chunkDeltaInput)); input != "" {
		s.piece(0, index, "", "", input)
	}
	s.finish = appendText(s.finish, el.Text(s.at(chunkStopReason)))
}

// native reads an event of one of Bedrock's other models.
func (s *Stream) native(el *formats.Element) {
	s.text(0, el.FirstText(s.at(chunkOutputText), s.at(chunkGeneration), s.at(chunkText), s.at(chunkCompletion)))
	s.finish = appendText(s.finish, el.FirstText(s.at(chunkCompletionReason), s.at(chunkStop), s.at(chunkFinish)))
}

// Places in a shape of candidatePaths.
const (
	candidateIndex = iota
	candidateParts
	candidateFinish
	candidateFinishSnake
)

// candidatePaths returns the paths that are read of one answer of Gemini's, each at its place.
func candidatePaths() [][]string {
	return [][]string{
		candidateIndex:       {"index"},
		candidateParts:       {"content", "parts"},
		candidateFinish:      {"finishReason"},
		candidateFinishSnake: {"finish_reason"},
	}
}

// gemini reads an event of Gemini's API, which is a whole answer with one piece of the text, or with whole calls.
func (s *Stream) gemini(el *formats.Element, candidates formats.Node) {
	s.Gemini = true
	el.Index.Each(candidates.Src, candidates.Span, func(elem scan.Span) bool {
		s.candidate.Select(el, formats.Node{Src: candidates.Src, Span: elem})
		index, parts := number(s.candidate.At(candidateIndex)), s.candidate.At(candidateParts)
		s.finish = appendText(s.finish, el.FirstText(s.candidate.At(candidateFinish), s.candidate.At(candidateFinishSnake)))
		el.Index.Each(parts.Src, parts.Span, func(elem scan.Span) bool {
			if elem.Kind == scan.Object {
				s.geminiPart(el, index, formats.Node{Src: parts.Src, Span: elem})
			}
			return true
		})
		return true
	})
}

func (s *Stream) geminiPart(el *formats.Element, index int64, part formats.Node) {
	text, thought := "", false
	el.Index.Members(part.Src, part.Span, &el.Arena, func(key string, v scan.Span) bool {
		switch key {
		case "text":
			text = el.Text(formats.Node{Src: part.Src, Span: v})
		case "thought":
			thought = v.Kind == scan.True
		}
		return true
	})
	if text == "" {
		s.part(part)
	} else if !thought {
		s.text(index, text)
	}
}

// part keeps a part of the answer that is not text.
func (s *Stream) part(n formats.Node) {
	if len(s.parts) < maxItems {
		s.parts = append(s.parts, n)
	}
}

// ollama reads an event of Ollama's API. Calls come whole, and the last event holds the counts.
func (s *Stream) ollama(el *formats.Element, n formats.Node) {
	s.Ollama = true
	s.Usage.Read(el, n)
	s.text(0, el.FirstText(s.at(chunkOllamaContent), s.at(chunkResponse)))
	s.finish = appendText(s.finish, el.Text(s.at(chunkDoneReason)))
	if calls := s.at(chunkOllamaCalls); calls.Kind == scan.Array {
		s.part(s.at(chunkOllamaMessage))
	}
}

// fillParts adds the parts that are not text to the conversation.
func (s *Stream) fillParts(el *formats.Element, c *Conversation) {
	for _, n := range s.parts {
		switch {
		case s.Gemini:
			c.part.Select(el, n)
			c.answerPart(el)
		case s.Anthropic:
			c.part.Select(el, n)
			if call, ok := c.partCall(el); ok {
				for i := range c.Calls {
					if c.Calls[i].ID == call.ID {
						c.Calls[i].Server, c.Calls[i].Method = call.Server, call.Method
					}
				}
				continue
			}
			c.answerPart(el)
		case s.Ollama:
			c.selectMessage(el, n)
			c.Calls, _ = c.messageCalls(el, c.Calls)
		default:
			c.readItem(el, n)
		}
	}
}

// number returns a small count, or 0 if n is not a number.
func number(n formats.Node) int64 {
	v, ok := scan.Int(n.Src, n.Span)
	if !ok {
		return 0
	}
	return v
}

// maxPieces bounds the choices, blocks and calls of one stream. Anything beyond is added to the last of them. The bound
// keeps the search for a piece's call short, whatever is sent.
const maxPieces = 256

// text appends to the text of a choice or block. Buffers of earlier streams are reused.
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

// piece appends to a call. A piece that brings a new id begins another call at the same index.
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

// Fill adds the assembled answer to the conversation.
func (s *Stream) Fill(el *formats.Element, c *Conversation) {
	if s.whole.Kind == scan.Object {
		c.Response(el, s.whole)
		return
	}
	for i := range s.texts {
		c.answer = append(c.answer, el.Arena.Copy(s.texts[i].text))
	}
	c.finish = append(c.finish, s.finish...)
	c.Guard.merge(&s.guard)
	for i := range s.calls {
		call := &s.calls[i]
		c.Calls = addCall(c.Calls, ToolCall{ID: call.id, Name: call.name, Arguments: argumentsOf(el, call.arguments)})
	}
	s.fillParts(el, c)
}

// argumentsOf returns arguments that arrived in pieces: parsed if they are JSON, else as a string.
func argumentsOf(el *formats.Element, arguments []byte) formats.Node {
	text := el.Arena.Copy(arguments)
	v, err := scan.Valid(text)
	if err == nil {
		return formats.Node{Src: text, Span: v}
	}
	return el.Quote(text)
}

// Stopped reports whether the stream ended for the given reason.
func (s *Stream) Stopped(reason string) bool { return slices.Contains(s.finish, reason) }
