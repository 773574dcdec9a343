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
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"request", "response"}},
			{Keys: []string{"object", "choices"}, Path: []string{"object"}, Text: "chat.completion"},
			{Keys: []string{"object", "choices"}, Path: []string{"object"}, Text: "text_completion"},
			{Keys: []string{"object", "output"}, Path: []string{"object"}, Text: "response"},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, false) },
	}
}

// Anthropic reads the same kind of records of Anthropic's API.
func Anthropic() formats.Format {
	return formats.Format{
		Name:     "anthropic_api",
		Aliases:  []string{"anthropic_messages", "anthropic"},
		Datasets: []string{anthropicDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"request", "response"}, Path: []string{"response", "type"}, Text: "message"},
			{Keys: []string{"type", "role", "content", "stop_reason"}, Path: []string{"type"}, Text: "message"},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, anthropicDataset, false) },
	}
}

// OpenAIRequest reads bodies of requests alone. No record ever holds the model's answer, so the calls of the
// assistant's last message, which the next request repeats, count as new in that request.
func OpenAIRequest() formats.Format {
	return formats.Format{
		Name:       "openai_request",
		Datasets:   []string{openAIDataset},
		Families:   []string{formats.FamilyLLM},
		Signatures: []formats.Signature{{Keys: []string{"model", "messages"}}},
		NewReader:  func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, true) },
	}
}

// AnthropicRequest reads bodies of requests to Anthropic's API, which requires max_tokens.
func AnthropicRequest() formats.Format {
	return formats.Format{
		Name:     "anthropic_request",
		Datasets: []string{anthropicDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"model", "messages", "max_tokens", "system"}},
			{Keys: []string{"model", "messages", "max_tokens", "anthropic_version"}},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, anthropicDataset, true) },
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
	requestPromptID
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
		requestPromptID - BodyPlaces:         {"prompt", "id"},
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
		dataset: dataset, requestOnly: requestOnly, whole: p.Add(), request: p.AddIndexed("request"), response: p.AddIndexed("response"),
		url: p.Add("url"), path: p.Add("path"), clientIP: p.Add("client_ip"), agentID: p.Add("agent_id"),
		chat: NewConversation(), stream: NewStream(), usage: NewUsage(),
		responseBody: p.AddShape([]string{"response"}, responsePaths()...),
	}
	requestPath := []string{"request"}
	if requestOnly {
		requestPath = nil
		for _, path := range BodyPaths() {
			p.Index(path...)
		}
	}
	a.requestBody = p.AddShape(requestPath, requestPaths()...)
	for i, key := range [...]string{"timestamp", "@timestamp", "time", "ts", "start_time", "startTime", "created_at"} {
		a.times[i] = p.Add(key)
	}
	a.durations = [...]int{p.Add("duration_ms"), p.Add("latency_ms")}
	a.statuses = [...]int{p.Add("status"), p.Add("status_code"), p.Add("response_status")}
	a.headerPlaces = [...]int{p.Add("request_headers"), p.Add("headers")}
	return a
}

func (a *api) Read(el *formats.Element) {
	el.SetDataset(a.dataset)
	request, response := el.At(a.request), el.At(a.response)
	whole := el.At(a.whole)
	switch {
	case a.requestOnly:
		request = whole // a response beside it makes the record a pair all the same
	case !request.Present() && !response.Present():
		response = whole
	}
	if request.Kind == scan.Object { // the whole record if requestOnly, else the value at "request"
		a.requestBody.SelectFromElement(el)
	} else {
		request, _ = el.Unwrap(request)
		a.requestBody.Select(el, request)
	}
	streamed := a.answer(el, response)
	el.SetDataset(a.datasetOf(el, streamed))
	if !a.isCall(el, streamed) {
		el.Refuse(formats.ReasonUnknownFormat)
		return
	}
	if !a.start(el, streamed) {
		return
	}
	a.identify(el)
	a.model(el, streamed)
	a.outcome(el, response, streamed)
	a.chat.Reset()
	el.SetWorkflow(el.Text(a.requestBody.At(requestPromptID)))
	a.chat.Tools(el, a.requestBody.At(requestTools))
	if request.Kind == scan.Object {
		a.chat.selectedRequest(el, request, a.requestBody)
	} else {
		a.chat.Request(el, request)
	}
	if a.requestOnly && response.Kind == scan.Absent {
		a.chat.AddHistoryCalls(el)
	}
	if streamed {
		a.stream.Fill(el, a.chat)
	} else if a.answered.Kind == scan.Object {
		a.chat.SelectedResponse(el, a.answered, a.responseBody)
	}
	a.chat.Fill(el)
	a.chat.Emit(el)
}

// answer reads the head of a response. It reports whether the response is a stream: a text of server-sent events, or a
// list of events.
func (a *api) answer(el *formats.Element, response formats.Node) (streamed bool) {
	a.usage.Reset()
	a.stream.Reset()
	if response.Kind == scan.String {
		if text := el.Text(response); IsEvents(text) {
			a.stream.Events(el, text)
			streamed = true
		}
	}
	body := response
	if response.Kind == scan.Object && response.Span == el.At(a.response).Span {
		a.responseBody.SelectFromElement(el)
	} else {
		body, _ = el.Unwrap(response)
		a.responseBody.Select(el, body) // selects nothing if body is not an object
	}
	a.answered = body
	if body.Kind == scan.Array {
		el.Index.Each(body.Src, body.Span, func(elem scan.Span) bool {
			a.stream.Event(el, formats.Node{Src: body.Src, Span: elem})
			return true
		})
		streamed = true
	}
	a.usage.Read(el, a.responseBody.At(answerUsage))
	return streamed
}

// datasetOf returns the dataset of the provider's API, judged by the top of the answer, which only the provider writes.
func (a *api) datasetOf(el *formats.Element, streamed bool) string {
	switch kind := el.Text(a.responseBody.At(answerType)); {
	// OpenAI's errors lack a type at the top.
	case streamed && a.stream.Anthropic, kind == "message", kind == "error":
		return anthropicDataset
	}
	return a.dataset
}

// isCall reports whether the record is a call of a model: its request has messages, input or prompt, or its answer is
// marked as one.
func (a *api) isCall(el *formats.Element, streamed bool) bool {
	for _, place := range [...]int{bodyMessages, bodyInput, bodyPrompt} {
		if a.requestBody.At(place).Present() {
			return true
		}
	}
	switch el.Text(a.responseBody.At(answerObject)) {
	case "chat.completion", "text_completion", "response":
		return true
	}
	return streamed && a.stream.ID != "" || el.Text(a.responseBody.At(answerType)) == "message"
}

// start sets the time and the duration. The time is the proxy's, else the creation time that the provider gives the
// answer.
func (a *api) start(el *formats.Element, streamed bool) bool {
	for _, place := range a.durations {
		if d := el.At(place); d.Present() {
			el.CopyDuration(d, nsPerMilli)
			break
		}
	}
	for _, place := range a.times {
		if el.SetTimeFrom(el.At(place)) {
			return true
		}
	}
	return el.SetTime(a.responseBody.At(answerCreated), a.responseBody.At(answerCreatedAt), a.stream.Created)
}

const nsPerMilli = 1e6

// identify names the caller: by its key, else by the agent that the record names, else by the user named in the request.
func (a *api) identify(el *formats.Element) {
	a.headers.read(el, el.At(a.headerPlaces[0]), el.At(a.headerPlaces[1]))
	el.SetSourceIP(el.Text(el.At(a.clientIP)), a.headers.forwarded)
	key := a.headers.key
	hash := el.HashSecret(key)
	el.SetAgent(a.headers.keyHeader, hash)
	el.DeclareAgent("agent_id", el.Text(el.At(a.agentID)))
	user := a.requestBody.At(requestUser)
	el.SetAgent("request.user", el.Text(user))
	el.SetAgent("request.safety_identifier", el.Text(a.requestBody.At(requestSafety)))
	el.SetAgent("request.metadata.user_id", el.Text(a.requestBody.At(requestUserID)))
	el.SetAgentByAddress(a.headers.userAgent)

	if hash != "" {
		el.SetText(schema.CredentialUID, hash)
		el.SetText(schema.CredentialType, formats.TokenType(key))
	}
	el.CopyFirstText(schema.OnBehalfOfID, user, a.requestBody.At(requestSafety), a.requestBody.At(requestUserID))
	el.SetText(schema.UserAgentOriginal, a.headers.userAgent)
	el.CopyTraceparent(a.headers.traceparent)
	session := [...]formats.Node{a.requestBody.At(requestSession), a.requestBody.At(requestSessionID), a.requestBody.At(requestMetaConversation)}
	conversation := a.requestBody.At(requestConversationID)
	if !conversation.Present() && a.requestBody.At(requestConversation).Kind == scan.String {
		conversation = a.requestBody.At(requestConversation)
	}
	el.CopyFirstText(schema.SessionID, session[0], session[1], conversation, session[2])
	el.CopyFirstText(schema.GenAIConversationID, conversation, session[2])
}

// model sets the operation, the models, the provider and the token usage.
func (a *api) model(el *formats.Element, streamed bool) {
	op := "chat"
	prompt := a.requestBody.At(bodyPrompt) // an object names a stored prompt
	switch object := el.Text(a.responseBody.At(answerObject)); {
	case object == "list":
		op = "embeddings"
	case prompt.Present() && prompt.Kind != scan.Object, object == "text_completion":
		op = "text_completion"
	}
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	provider, _, _ := strings.Cut(el.Event.Text(schema.EventDataset), ".")
	el.SetText(schema.GenAIProviderName, provider)
	host, path := formats.SplitURL(el.FirstText(el.At(a.url), el.At(a.path)))
	el.SetText(schema.ServiceTargetName, host)
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyText(schema.GenAIRequestModel, a.requestBody.At(requestModel))
	if streamed {
		el.Event.SetText(schema.EventID, a.stream.ID)
		el.SetText(schema.GenAIResponseID, a.stream.ID)
		el.SetText(schema.GenAIResponseModel, a.stream.Model)
		a.stream.Usage.Set(el)
		return
	}
	el.CopyText(schema.EventID, a.responseBody.At(answerID))
	el.CopyText(schema.GenAIResponseID, a.responseBody.At(answerID))
	el.CopyText(schema.GenAIResponseModel, a.responseBody.At(answerModel))
	a.usage.Set(el)
}

// outcome sets the outcome of the response: by its HTTP status if the proxy logs one, else by whether the answer is an
// error. The outcome of a request alone is unknown.
func (a *api) outcome(el *formats.Element, response formats.Node, streamed bool) {
	el.SetOutcome(formats.Unknown)
	if response.Present() {
		el.SetOutcome(formats.Success)
	}
	for _, place := range a.statuses {
		n := el.At(place)
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			el.Event.SetInt(schema.HTTPResponseStatusCode, status)
			el.SetHTTPStatus(status)
			break
		}
	}
	failed := a.responseBody.At(answerError)
	if failed.Present() || streamed && a.stream.Failed {
		el.SetOutcome(formats.Failure)
		el.CopyFirstText(schema.ErrorType, a.responseBody.At(answerErrorCode), a.responseBody.At(answerErrorType))
	}
}
