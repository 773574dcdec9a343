package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The datasets of the models' own APIs.
const (
	openAIDataset    = "openai.api"
	anthropicDataset = "anthropic.api"
)

// OpenAI is what a proxy of one's own logs of OpenAI's API and of those that copy it: the request's and the response's
// body in one record, or a response alone. Whose API a pair is of shows from the response.
func OpenAI() formats.Format {
	return formats.Format{
		Name:     "openai_api",
		Aliases:  []string{"openai_chat_raw", "openai"},
		Datasets: []string{anthropicDataset, openAIDataset},
		Tells: []formats.Tell{
			{Keys: []string{"request", "response"}},
			{Keys: []string{"object", "choices"}, Path: []string{"object"}, Text: "chat.completion"},
			{Keys: []string{"object", "choices"}, Path: []string{"object"}, Text: "text_completion"},
			{Keys: []string{"object", "output"}, Path: []string{"object"}, Text: "response"},
		},
		Open: func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, false) },
	}
}

// Anthropic is the same of Anthropic's API.
func Anthropic() formats.Format {
	return formats.Format{
		Name:     "anthropic_api",
		Aliases:  []string{"anthropic_messages", "anthropic"},
		Datasets: []string{anthropicDataset},
		Tells: []formats.Tell{
			{Keys: []string{"request", "response"}, Path: []string{"response", "type"}, Text: "message"},
			{Keys: []string{"type", "role", "content", "stop_reason"}, Path: []string{"type"}, Text: "message"},
		},
		Open: func(p *formats.Paths) formats.Reader { return openAPI(p, anthropicDataset, false) },
	}
}

// OpenAIRequest is requests' bodies alone: nothing ever says what the model answered, so that the calls of the last
// assistant's message, which the next request repeats, count as new in it.
func OpenAIRequest() formats.Format {
	return formats.Format{
		Name:     "openai_request",
		Datasets: []string{openAIDataset},
		Tells:    []formats.Tell{{Keys: []string{"model", "messages"}}},
		Open:     func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, true) },
	}
}

// AnthropicRequest is the same of Anthropic's API, which asks for max_tokens.
func AnthropicRequest() formats.Format {
	return formats.Format{
		Name:     "anthropic_request",
		Datasets: []string{anthropicDataset},
		Tells: []formats.Tell{
			{Keys: []string{"model", "messages", "max_tokens", "system"}},
			{Keys: []string{"model", "messages", "max_tokens", "anthropic_version"}},
		},
		Open: func(p *formats.Paths) formats.Reader { return openAPI(p, anthropicDataset, true) },
	}
}

// api holds the places of a record's values.
type api struct {
	dataset string // where the response does not tell it
	alone   bool   // requests without responses

	bare, request, response      int
	answered                     formats.Node // the response, or what is inside it
	stamps                       [7]int
	durations                    [2]int
	statuses                     [3]int
	headers                      [2]int
	url, path, clientIP, agentID int

	chat         *Conversation
	stream       *Stream
	usage        *Usage
	requestBody  *formats.Shape
	responseBody *formats.Shape
	seen         headers
}

// What of a request's body is read, behind BodyPaths.
const (
	requestModel = BodyPlaces + iota
	requestTools
	requestUser
	requestSafety
	requestSession
	requestSessionID
	requestUserID
	requestConversation
	requestConversationID
	requestMetaConversation
)

// What of a response's body is read, behind AnswerPaths.
const (
	answerID = AnswerPlaces + iota
	answerObject
	answerType
	answerModel
	answerCreated
	answerCreatedAt
	answerUsage
	answerError
	answerErrorCode
	answerErrorType
)

func openAPI(p *formats.Paths, dataset string, alone bool) *api {
	a := &api{
		dataset: dataset, alone: alone, bare: p.Add(), request: p.Open("request"), response: p.Open("response"),
		url: p.Add("url"), path: p.Add("path"), clientIP: p.Add("client_ip"), agentID: p.Add("agent_id"),
		chat: NewConversation(), stream: NewStream(), usage: NewUsage(),
		responseBody: p.Shape([]string{"response"}, append(AnswerPaths(), []string{"id"}, []string{"object"}, []string{"type"}, []string{"model"},
			[]string{"created"}, []string{"created_at"}, []string{"usage"}, []string{"error"}, []string{"error", "code"}, []string{"error", "type"})...),
	}
	asked := []string{"request"}
	if alone {
		asked = nil
		for _, path := range BodyPaths() {
			p.Note(path...)
		}
	}
	a.requestBody = p.Shape(asked, append(BodyPaths(), []string{"model"}, []string{"tools"}, []string{"user"}, []string{"safety_identifier"},
		[]string{"metadata", "session"}, []string{"metadata", "session_id"}, []string{"metadata", "user_id"}, []string{"conversation"},
		[]string{"conversation", "id"}, []string{"metadata", "conversation_id"})...)
	for i, key := range [...]string{"timestamp", "@timestamp", "time", "ts", "start_time", "startTime", "created_at"} {
		a.stamps[i] = p.Add(key)
	}
	a.durations = [...]int{p.Add("duration_ms"), p.Add("latency_ms")}
	a.statuses = [...]int{p.Add("status"), p.Add("status_code"), p.Add("response_status")}
	a.headers = [...]int{p.Add("request_headers"), p.Add("headers")}
	return a
}

func (a *api) Read(r *formats.Record) {
	r.Begin(a.dataset)
	request, response := r.At(a.request), r.At(a.response)
	whole := r.At(a.bare)
	switch {
	case a.alone:
		request = whole // a response beside it makes a pair of it all the same
	case !request.Present() && !response.Present():
		response = whole
	}
	if request.Kind == scan.Object { // the whole for alone, else what stands at the path
		a.requestBody.Take(r)
	} else {
		request, _ = r.Inside(request)
		a.requestBody.Select(r, request)
	}
	streamed := a.answer(r, response)
	r.Begin(a.datasetOf(r, streamed))
	if !a.known(r, streamed) {
		r.Refuse(formats.UnknownFormat)
		return
	}
	if !a.start(r, streamed) {
		return
	}
	a.identify(r)
	a.model(r, streamed)
	a.outcome(r, response, streamed)
	a.chat.Reset()
	if request.Kind == scan.Object {
		a.chat.selectedRequest(r, request, a.requestBody)
	} else {
		a.chat.Request(r, request)
	}
	if a.alone && response.Kind == scan.Absent {
		a.chat.Asked(r)
	}
	if streamed {
		a.stream.Fill(r, a.chat)
	} else if a.answered.Kind == scan.Object {
		a.chat.SelectedResponse(r, a.answered, a.responseBody)
	}
	a.chat.Fill(r)
	a.chat.Emit(r)
}

// answer reads a response's head. A text of server-sent events, and a list of them, is a stream: it says so.
func (a *api) answer(r *formats.Record, response formats.Node) (streamed bool) {
	a.usage.Reset()
	a.stream.Reset()
	if response.Kind == scan.String {
		if text := r.Text(response); IsEvents(text) {
			a.stream.Events(r, text)
			streamed = true
		}
	}
	body := response
	if response.Kind == scan.Object && response.Span == r.At(a.response).Span {
		a.responseBody.Take(r)
	} else {
		body, _ = r.Inside(response)
		a.responseBody.Select(r, body) // of what is no object nothing is found
	}
	a.answered = body
	if body.Kind == scan.Array {
		r.Index.Each(body.Src, body.Span, func(elem scan.Span) bool {
			a.stream.Event(r, formats.Node{Src: body.Src, Span: elem})
			return true
		})
		streamed = true
	}
	a.usage.Read(r, a.responseBody.At(answerUsage))
	return streamed
}

// datasetOf tells whose API it is, from what only the provider's answer has at its top.
func (a *api) datasetOf(r *formats.Record, streamed bool) string {
	switch kind := r.Text(a.responseBody.At(answerType)); {
	case streamed && a.stream.Anthropic, kind == "message", kind == "error": // OpenAI's errors have no type at the top
		return anthropicDataset
	}
	return a.dataset
}

// known says that a record is a call of a model: a request that has what models are asked, or an answer that says so.
func (a *api) known(r *formats.Record, streamed bool) bool {
	for _, place := range [...]int{bodyMessages, bodyInput, bodyPrompt} {
		if a.requestBody.At(place).Present() {
			return true
		}
	}
	switch r.Text(a.responseBody.At(answerObject)) {
	case "chat.completion", "text_completion", "response":
		return true
	}
	return streamed && a.stream.ID != "" || r.Text(a.responseBody.At(answerType)) == "message"
}

// start sets the time: what the proxy says, else when the provider says that the answer was made.
func (a *api) start(r *formats.Record, streamed bool) bool {
	for _, place := range a.durations {
		if d := r.At(place); d.Present() {
			r.SetDuration(d, nsPerMilli)
			break
		}
	}
	for _, place := range a.stamps {
		if r.StartBy(r.At(place)) {
			return true
		}
	}
	return r.Start(a.responseBody.At(answerCreated), a.responseBody.At(answerCreatedAt), a.stream.Created)
}

const nsPerMilli = 1e6

// identify tells who calls: an agent that the proxy names, the key, the user that the request names.
func (a *api) identify(r *formats.Record) {
	a.seen.read(r, r.At(a.headers[0]), r.At(a.headers[1]))
	r.SetSource(r.Text(r.At(a.clientIP)), a.seen.forwarded)
	r.Agent("agent_id", r.Text(r.At(a.agentID)))
	key := a.seen.key
	hash := r.Secret(key)
	r.Agent(a.seen.keyHeader, hash)
	user := a.requestBody.At(requestUser)
	r.Agent("request.user", r.Text(user))
	r.Agent("request.safety_identifier", r.Text(a.requestBody.At(requestSafety)))
	r.Agent("request.metadata.user_id", r.Text(a.requestBody.At(requestUserID)))
	r.AgentByAddress(a.seen.userAgent)

	if hash != "" {
		r.Put(schema.CredentialUID, hash)
		r.Put(schema.CredentialType, formats.TokenType(key))
	}
	r.SetFirst(schema.OnBehalfOfID, user, a.requestBody.At(requestSafety), a.requestBody.At(requestUserID))
	r.Put(schema.UserAgentOriginal, a.seen.userAgent)
	r.SetTraceparent(a.seen.traceparent)
	session := [...]formats.Node{a.requestBody.At(requestSession), a.requestBody.At(requestSessionID), a.requestBody.At(requestMetaConversation)}
	conversation := a.requestBody.At(requestConversationID)
	if !conversation.Present() && a.requestBody.At(requestConversation).Kind == scan.String {
		conversation = a.requestBody.At(requestConversation)
	}
	r.SetFirst(schema.SessionID, session[0], session[1], conversation, session[2])
	r.SetFirst(schema.GenAIConversationID, conversation, session[2])
}

// model sets which model was asked for what, and what it took.
func (a *api) model(r *formats.Record, streamed bool) {
	op := "chat"
	switch {
	case r.Text(a.responseBody.At(answerObject)) == "list":
		op = "embeddings"
	case a.requestBody.At(bodyPrompt).Present() || r.Text(a.responseBody.At(answerObject)) == "text_completion":
		op = "text_completion"
	}
	r.SetClass(formats.ClassLLM, op)
	r.Put(schema.GenAIOperationName, op)
	provider, _, _ := strings.Cut(r.Event.Text(schema.EventDataset), ".")
	r.Put(schema.GenAIProviderName, provider)
	host, path := formats.SplitURL(r.FirstText(r.At(a.url), r.At(a.path)))
	r.Put(schema.ServiceTargetName, host)
	r.Put(schema.URLDomain, host)
	r.Put(schema.URLPath, path)
	r.SetText(schema.GenAIRequestModel, a.requestBody.At(requestModel))
	SetTools(r, a.requestBody.At(requestTools))
	if streamed {
		r.Event.SetText(schema.EventID, a.stream.ID)
		r.Put(schema.GenAIResponseID, a.stream.ID)
		r.Put(schema.GenAIResponseModel, a.stream.Model)
		a.stream.Usage.Set(r)
		return
	}
	r.SetText(schema.EventID, a.responseBody.At(answerID))
	r.SetText(schema.GenAIResponseID, a.responseBody.At(answerID))
	r.SetText(schema.GenAIResponseModel, a.responseBody.At(answerModel))
	a.usage.Set(r)
}

// outcome is the response's: the status where the proxy logs it, else whether the answer is an error. A request alone
// does not tell.
func (a *api) outcome(r *formats.Record, response formats.Node, streamed bool) {
	r.SetOutcome(formats.Unknown)
	if response.Present() {
		r.SetOutcome(formats.Success)
	}
	for _, place := range a.statuses {
		n := r.At(place)
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			r.Event.SetInt(schema.HTTPResponseStatusCode, status)
			r.SetStatus(status)
			break
		}
	}
	failed := a.responseBody.At(answerError)
	if failed.Present() || streamed && a.stream.Failed {
		r.SetOutcome(formats.Failure)
		r.SetFirst(schema.ErrorType, a.responseBody.At(answerErrorCode), a.responseBody.At(answerErrorType))
	}
}
