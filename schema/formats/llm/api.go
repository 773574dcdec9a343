package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The datasets of the model providers' own APIs.
const (
	openAIDataset    = "openai.api"
	anthropicDataset = "anthropic.api"
)

// OpenAI reads records that an operator's own proxy logs of OpenAI's API and of the APIs that copy it: the bodies of
// request and response in one record, or a response alone. The response shows which provider answered, so the format
// may also give Anthropic's dataset.
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

// Anthropic reads the same kind of records of Anthropic's API.
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

// OpenAIRequest reads bodies of requests alone. No record ever holds the model's answer, so the calls of the
// assistant's last message, which the next request repeats, count as new in that request.
func OpenAIRequest() formats.Format {
	return formats.Format{
		Name:     "openai_request",
		Datasets: []string{openAIDataset},
		Tells:    []formats.Tell{{Keys: []string{"model", "messages"}}},
		Open:     func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, true) },
	}
}

// AnthropicRequest reads bodies of requests to Anthropic's API, which requires max_tokens.
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

// api reads the bodies of requests and responses. Its int fields are places in a record.
type api struct {
	dataset     string // unless the response shows another
	requestOnly bool   // records are requests without responses

	whole, request, response     int
	times                        [7]int
	durations                    [2]int
	statuses                     [3]int
	headerPlaces                 [2]int
	url, path, clientIP, agentID int

	chat         *Conversation
	stream       *Stream
	usage        *Usage
	requestBody  *formats.Shape
	responseBody *formats.Shape
	answered     formats.Node // the response, or the JSON inside it
	headers      headers
}

// Places in a shape of requestPaths.
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

// requestPaths returns BodyPaths and the other paths that are read of a request's body.
func requestPaths() [][]string {
	return append(BodyPaths(), [][]string{
		requestModel - BodyPlaces:            {"model"},
		requestTools - BodyPlaces:            {"tools"},
		requestUser - BodyPlaces:             {"user"},
		requestSafety - BodyPlaces:           {"safety_identifier"},
		requestSession - BodyPlaces:          {"metadata", "session"},
		requestSessionID - BodyPlaces:        {"metadata", "session_id"},
		requestUserID - BodyPlaces:           {"metadata", "user_id"},
		requestConversation - BodyPlaces:     {"conversation"},
		requestConversationID - BodyPlaces:   {"conversation", "id"},
		requestMetaConversation - BodyPlaces: {"metadata", "conversation_id"},
	}...)
}

// Places in a shape of responsePaths.
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

// responsePaths returns AnswerPaths and the other paths that are read of a response's body.
func responsePaths() [][]string {
	return append(AnswerPaths(), [][]string{
		answerID - AnswerPlaces:        {"id"},
		answerObject - AnswerPlaces:    {"object"},
		answerType - AnswerPlaces:      {"type"},
		answerModel - AnswerPlaces:     {"model"},
		answerCreated - AnswerPlaces:   {"created"},
		answerCreatedAt - AnswerPlaces: {"created_at"},
		answerUsage - AnswerPlaces:     {"usage"},
		answerError - AnswerPlaces:     {"error"},
		answerErrorCode - AnswerPlaces: {"error", "code"},
		answerErrorType - AnswerPlaces: {"error", "type"},
	}...)
}

func openAPI(p *formats.Paths, dataset string, requestOnly bool) *api {
	a := &api{
		dataset: dataset, requestOnly: requestOnly, whole: p.Add(), request: p.Open("request"), response: p.Open("response"),
		url: p.Add("url"), path: p.Add("path"), clientIP: p.Add("client_ip"), agentID: p.Add("agent_id"),
		chat: NewConversation(), stream: NewStream(), usage: NewUsage(),
		responseBody: p.Shape([]string{"response"}, responsePaths()...),
	}
	requestPath := []string{"request"}
	if requestOnly {
		requestPath = nil
		for _, path := range BodyPaths() {
			p.Note(path...)
		}
	}
	a.requestBody = p.Shape(requestPath, requestPaths()...)
	for i, key := range [...]string{"timestamp", "@timestamp", "time", "ts", "start_time", "startTime", "created_at"} {
		a.times[i] = p.Add(key)
	}
	a.durations = [...]int{p.Add("duration_ms"), p.Add("latency_ms")}
	a.statuses = [...]int{p.Add("status"), p.Add("status_code"), p.Add("response_status")}
	a.headerPlaces = [...]int{p.Add("request_headers"), p.Add("headers")}
	return a
}

func (a *api) Read(r *formats.Record) {
	r.Begin(a.dataset)
	request, response := r.At(a.request), r.At(a.response)
	whole := r.At(a.whole)
	switch {
	case a.requestOnly:
		request = whole // a response beside it makes the record a pair all the same
	case !request.Present() && !response.Present():
		response = whole
	}
	if request.Kind == scan.Object { // the whole record if requestOnly, else the value at "request"
		a.requestBody.Take(r)
	} else {
		request, _ = r.Inside(request)
		a.requestBody.Select(r, request)
	}
	streamed := a.answer(r, response)
	r.Begin(a.datasetOf(r, streamed))
	if !a.isCall(r, streamed) {
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
	if a.requestOnly && response.Kind == scan.Absent {
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

// answer reads the head of a response. It reports whether the response is a stream: a text of server-sent events, or a
// list of events.
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
		a.responseBody.Select(r, body) // selects nothing if body is not an object
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

// datasetOf returns the dataset of the provider's API, judged by the top of the answer, which only the provider writes.
func (a *api) datasetOf(r *formats.Record, streamed bool) string {
	switch kind := r.Text(a.responseBody.At(answerType)); {
	// OpenAI's errors lack a type at the top.
	case streamed && a.stream.Anthropic, kind == "message", kind == "error":
		return anthropicDataset
	}
	return a.dataset
}

// isCall reports whether the record is a call of a model: its request has messages, input or prompt, or its answer is
// marked as one.
func (a *api) isCall(r *formats.Record, streamed bool) bool {
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

// start sets the time and the duration. The time is the proxy's, else the creation time that the provider gives the
// answer.
func (a *api) start(r *formats.Record, streamed bool) bool {
	for _, place := range a.durations {
		if d := r.At(place); d.Present() {
			r.SetDuration(d, nsPerMilli)
			break
		}
	}
	for _, place := range a.times {
		if r.StartBy(r.At(place)) {
			return true
		}
	}
	return r.Start(a.responseBody.At(answerCreated), a.responseBody.At(answerCreatedAt), a.stream.Created)
}

const nsPerMilli = 1e6

// identify names the caller: by the agent that the proxy names, else by the key, else by the user named in the request.
func (a *api) identify(r *formats.Record) {
	a.headers.read(r, r.At(a.headerPlaces[0]), r.At(a.headerPlaces[1]))
	r.SetSource(r.Text(r.At(a.clientIP)), a.headers.forwarded)
	r.Agent("agent_id", r.Text(r.At(a.agentID)))
	key := a.headers.key
	hash := r.Secret(key)
	r.Agent(a.headers.keyHeader, hash)
	user := a.requestBody.At(requestUser)
	r.Agent("request.user", r.Text(user))
	r.Agent("request.safety_identifier", r.Text(a.requestBody.At(requestSafety)))
	r.Agent("request.metadata.user_id", r.Text(a.requestBody.At(requestUserID)))
	r.AgentByAddress(a.headers.userAgent)

	if hash != "" {
		r.Put(schema.CredentialUID, hash)
		r.Put(schema.CredentialType, formats.TokenType(key))
	}
	r.SetFirst(schema.OnBehalfOfID, user, a.requestBody.At(requestSafety), a.requestBody.At(requestUserID))
	r.Put(schema.UserAgentOriginal, a.headers.userAgent)
	r.SetTraceparent(a.headers.traceparent)
	session := [...]formats.Node{a.requestBody.At(requestSession), a.requestBody.At(requestSessionID), a.requestBody.At(requestMetaConversation)}
	conversation := a.requestBody.At(requestConversationID)
	if !conversation.Present() && a.requestBody.At(requestConversation).Kind == scan.String {
		conversation = a.requestBody.At(requestConversation)
	}
	r.SetFirst(schema.SessionID, session[0], session[1], conversation, session[2])
	r.SetFirst(schema.GenAIConversationID, conversation, session[2])
}

// model sets the operation, the models, the provider and the token usage.
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

// outcome sets the outcome of the response: by its HTTP status if the proxy logs one, else by whether the answer is an
// error. The outcome of a request alone is unknown.
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
