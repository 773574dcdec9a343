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
	geminiDataset    = "gemini.api"
	bedrockDataset   = "bedrock.api"
	ollamaDataset    = "ollama.api"
)

// recordKind is the part of an exchange that the records of a format hold.
type recordKind uint8

const (
	recordPair     recordKind = iota // request and response, or a response alone
	recordRequest                    // the body of a request
	recordResponse                   // the body of a response
)

// api reads the bodies of requests and responses. Its int fields are places in a record.
type api struct {
	dataset string // unless the bodies show another
	kind    recordKind

	whole, request, response     int
	times                        [7]int
	ends                         [4]int
	date, stamp                  int // the time in the response's headers, and in the response
	durations                    [2]int
	statuses                     [3]int
	headerPlaces                 [2]int
	answerHeaders                int      // response_headers
	http                         exchange // of records whose request and response are whole HTTP messages
	url, path, clientIP, agentID int
	item, transcript, event      int // of an event of the Realtime API: item, transcript, type

	chat         *Conversation
	stream       *Stream
	usage        *Usage
	requestBody  *formats.Shape
	responseBody *formats.Shape
	answered     formats.Node // the response, or the JSON inside it
	realtime     bool         // the request is an item of the Realtime API, or what the user said
	isExchange   bool         // the record is one of http
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
	requestModelID
	requestConfigTools
	requestConverseTools
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
		requestModelID - BodyPlaces:          {"modelId"},             // Converse
		requestConfigTools - BodyPlaces:      {"config", "tools"},     // Gemini's SDKs
		requestConverseTools - BodyPlaces:    {"toolConfig", "tools"}, // Converse
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
	answerErrorStatus
	answerResponseID
	answerResponseIDSnake
	answerModelVersion
	answerModelVersionSnake
	answerUsageMetadata
	answerUsageMetadataSnake
	answerDone
	answerDuration
	answerBlockReason
	answerCreateTime
	answerPromptCount
	answerCount
)

// usageObjects is the set of the places of objects that hold the tokens used.
var usageObjects = formats.PlacesOf(answerUsageMetadata, answerUsageMetadataSnake, answerUsage)

// Sets of the places of an answer's id, of the model that gave it, and of values that only an answer has.
var (
	answerIDs    = formats.PlacesOf(answerID, answerResponseID, answerResponseIDSnake)
	answerModels = formats.PlacesOf(answerModel, answerModelVersion, answerModelVersionSnake)
	answerMarks  = formats.PlacesOf(responseCandidates, answerDone, responseOutputMessage, answerBlockReason)
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
		// Gemini
		answerErrorStatus - AnswerPlaces:        {"error", "status"},
		answerResponseID - AnswerPlaces:         {"responseId"},
		answerResponseIDSnake - AnswerPlaces:    {"response_id"},
		answerModelVersion - AnswerPlaces:       {"modelVersion"},
		answerModelVersionSnake - AnswerPlaces:  {"model_version"},
		answerUsageMetadata - AnswerPlaces:      {"usageMetadata"},
		answerUsageMetadataSnake - AnswerPlaces: {"usage_metadata"},
		answerBlockReason - AnswerPlaces:        {"promptFeedback", "blockReason"},
		answerCreateTime - AnswerPlaces:         {"createTime"},
		// Ollama
		answerDone - AnswerPlaces:        {"done"},
		answerDuration - AnswerPlaces:    {"total_duration"},
		answerPromptCount - AnswerPlaces: {"prompt_eval_count"},
		answerCount - AnswerPlaces:       {"eval_count"},
	}...)
}

func openAPI(p *formats.Paths, dataset string, kind recordKind) *api {
	a := &api{
		dataset: dataset, kind: kind, whole: p.Add(), request: p.AddIndexed("request"), response: p.AddIndexed("response"),
		url: p.Add("url"), path: p.Add("path"), clientIP: p.Add("client_ip"), agentID: p.Add("agent_id"),
		chat: NewConversation(), stream: NewStream(), usage: NewUsage(),
		responseBody: p.AddShape([]string{"response"}, responsePaths()...),
	}
	requestPath := []string{"request"}
	if kind == recordRequest {
		requestPath = nil
		for _, path := range BodyPaths() {
			p.Index(path...)
		}
	}
	if kind == recordResponse {
		a.responseBody = p.AddShape(nil, responsePaths()...)
		for _, key := range [...]string{"candidates", "output", "message", "usage", "usageMetadata", "usage_metadata"} {
			p.Index(key)
		}
	}
	a.requestBody = p.AddShape(requestPath, requestPaths()...)
	a.item, a.transcript, a.event = p.Add("item"), p.Add("transcript"), p.Add("type")
	for i, key := range [...]string{"timestamp", "@timestamp", "time", "ts", "start_time", "startTime", "created_at"} {
		a.times[i] = p.Add(key)
	}
	for i, key := range [...]string{"ended_at", "completed_at", "end_time", "endTime"} {
		a.ends[i] = p.Add(key)
	}
	a.date, a.stamp = p.Add("response_headers", "date"), p.Add("response", "timestamp")
	a.durations = [...]int{p.Add("duration_ms"), p.Add("latency_ms")}
	a.statuses = [...]int{p.Add("status"), p.Add("status_code"), p.Add("response_status")}
	a.headerPlaces = [...]int{p.Add("request_headers"), p.Add("headers")}
	a.answerHeaders = p.Add("response_headers")
	if kind == recordPair {
		a.http = openExchange(p)
	}
	return a
}

func (a *api) Read(el *formats.Element) {
	el.SetDataset(a.dataset)
	request, response := el.At(a.request), el.At(a.response)
	whole := el.At(a.whole)
	switch {
	case a.kind == recordRequest:
		request = whole // a response beside it makes the record a pair all the same
	case a.kind == recordResponse:
		request, response = formats.Node{}, whole
	case !request.Present() && !response.Present() && el.At(a.item).Kind == scan.Object:
		request = el.At(a.item)
	case !request.Present() && !response.Present() && el.At(a.transcript).Kind == scan.String:
		request = el.At(a.transcript)
	case !request.Present() && !response.Present():
		response = whole
	}
	if a.isExchange = a.kind == recordPair && a.http.fits(el); a.isExchange {
		request, response = el.At(a.http.request), el.At(a.http.response)
	}
	if isPiece(el.Text(el.At(a.event))) && !el.At(a.request).Present() {
		el.SetDataset(a.dataset)
		el.Skip(formats.SkipRepeated)
		return
	}
	// The request is the whole record if that is a request, else the value at "request", which the pass has selected.
	if request.Kind == scan.Object && request.Span != el.At(a.item).Span && !a.isExchange {
		a.requestBody.SelectFromElement(el)
	} else {
		request, _ = el.Unwrap(request)
		a.requestBody.Select(el, request)
	}
	streamed := a.answer(el, response)
	a.realtime = request.Present() && (request.Span == el.At(a.item).Span || request.Span == el.At(a.transcript).Span)
	el.SetDataset(a.datasetOf(el, streamed))
	if !a.isCall(el, streamed) {
		el.Refuse(formats.ReasonUnknownFormat)
		return
	}
	if a.kind == recordResponse && a.responseBody.At(answerDone).Kind == scan.False {
		el.Skip(formats.SkipRepeated) // a piece of a stream
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
	for set := a.requestBody.Held() & requestOffers; set != 0; set &= set - 1 {
		place := set.First()
		a.chat.Tools(el, a.requestBody.At(place))
		if el.Event.Text(schema.EventDataset) == geminiDataset {
			countFunctions(el, a.requestBody.At(place))
		}
	}
	if request.Kind == scan.Object {
		a.chat.selectedRequest(el, request, a.requestBody)
	} else {
		a.chat.Request(el, request)
	}
	if a.kind == recordRequest && response.Kind == scan.Absent {
		a.chat.AddHistoryCalls(el)
	}
	if streamed {
		a.stream.Fill(el, a.chat)
	} else if a.answered.Kind == scan.Object {
		a.chat.SelectedResponse(el, a.answered, a.responseBody)
	}
	if a.chat.heldBack() {
		el.SetBlocked()
	}
	a.chat.Fill(el)
	a.chat.Emit(el)
}

// transcribed is the event that holds what the user said.
const transcribed = "conversation.item.input_audio_transcription.completed"

// isPiece reports whether an event of a stream or of the Realtime API repeats a part of another: of the whole answer, or of
// the item that the client sent.
func isPiece(kind string) bool {
	switch kind {
	case "response.created", "response.in_progress", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
		"conversation.item.created", "conversation.item.added", "conversation.item.done", "session.created", "session.updated", "session.update":
		return true
	}
	return false
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
	if response.Kind == scan.Object && (a.kind == recordResponse || response.Span == el.At(a.response).Span) {
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
	for set := a.responseBody.Held() & usageObjects; set != 0; set &= set - 1 {
		a.usage.Read(el, a.responseBody.At(set.First()))
	}
	if done := a.responseBody.At(answerDone).Kind; done == scan.True || done == scan.False {
		a.usage.take(usageOllamaPrompt, a.responseBody.At(answerPromptCount)) // Ollama's counts are members of the answer
		a.usage.take(usageOllamaOutput, a.responseBody.At(answerCount))
	}
	return streamed
}

// datasetOf returns the dataset of the provider's API, judged by the top of the answer, which only the provider writes.
func (a *api) datasetOf(el *formats.Element, streamed bool) string {
	switch kind := el.Text(a.responseBody.At(answerType)); {
	// OpenAI's errors lack a type at the top.
	case streamed && a.stream.Anthropic, kind == "message", kind == "error":
		return anthropicDataset
	case streamed && a.stream.Gemini, a.responseBody.At(responseCandidates).Kind == scan.Array, a.requestBody.At(bodyContents).Present():
		return geminiDataset
	case a.requestBody.At(requestModelID).Present(), a.responseBody.At(AnswerStop).Present():
		return bedrockDataset
	case a.kind == recordRequest && strings.HasPrefix(el.Text(a.requestBody.At(requestModel)), "claude-"):
		return anthropicDataset
	case a.responseBody.At(answerDone).Present(), streamed && a.stream.Ollama:
		return ollamaDataset
	}
	return a.dataset
}

// isCall reports whether the record is a call of a model: its request has messages, input or prompt, or its answer is
// marked as one.
func (a *api) isCall(el *formats.Element, streamed bool) bool {
	if a.realtime {
		return true
	}
	if a.requestBody.HasAny(requestMessages) {
		return true
	}
	switch el.Text(a.responseBody.At(answerObject)) {
	case "chat.completion", "text_completion", "response", "realtime.response":
		return true
	}
	if a.responseBody.HasAny(answerMarks) {
		return true
	}
	return streamed && (a.stream.ID != "" || a.stream.Gemini || a.stream.Ollama) || el.Text(a.responseBody.At(answerType)) == "message"
}

// start sets the time and the duration. The time is the proxy's: of the beginning, else of the end, else of the answer; else the creation time that the provider gives the
// answer.
func (a *api) start(el *formats.Element, streamed bool) bool {
	for _, place := range a.durations {
		if d := el.At(place); d.Present() {
			el.CopyDuration(d, nsPerMilli)
			break
		}
	}
	if !el.Event.Has(schema.EventDuration) {
		el.CopyDuration(a.responseBody.At(answerDuration), 1)
	}
	for _, place := range a.times {
		if el.SetTimeFrom(el.At(place)) {
			return true
		}
	}
	for _, place := range a.ends {
		if el.SetTimeFrom(el.At(place)) {
			el.SetTimeNanos(el.Time() - el.Event.Int(schema.EventDuration))
			return true
		}
	}
	for _, place := range [...]int{a.stamp, a.date} {
		if el.SetTimeFrom(el.At(place)) {
			return true
		}
	}
	if el.SetTimeFrom(dateIn(el, el.At(a.answerHeaders))) || a.isExchange && el.SetTimeFrom(dateIn(el, el.At(a.http.responseHeaders))) {
		return true
	}
	return el.SetTime(a.responseBody.At(answerCreated), a.responseBody.At(answerCreatedAt), a.responseBody.At(answerCreateTime), a.stream.Created)
}

const nsPerMilli = 1e6

// identify names the caller: by its key, else by the agent that the record names, else by the user named in the request.
func (a *api) identify(el *formats.Element) {
	if a.isExchange {
		a.headers.read(el, el.At(a.http.requestHeaders))
	} else {
		a.headers.read(el, el.At(a.headerPlaces[0]), el.At(a.headerPlaces[1]))
	}
	el.SetSourceIP(el.Text(el.At(a.clientIP)), a.headers.forwarded)
	key := a.headers.key
	hash := el.HashSecret(key)
	el.SetAgent(a.headers.keyHeader, hash)
	el.DeclareAgent("agent_id", el.Text(el.At(a.agentID)))
	if a.requestBody.HasAny(requestUsers) {
		a.identifyUser(el)
	}
	el.SetAgentByAddress(a.headers.userAgent)

	if hash != "" {
		el.SetText(schema.CredentialUID, hash)
		el.SetText(schema.CredentialType, formats.TokenType(key))
	}
	el.SetText(schema.UserAgentOriginal, a.headers.userAgent)
	el.CopyTraceparent(a.headers.traceparent)
	if a.requestBody.HasAny(requestSessions) {
		a.converses(el)
	}
}

// Sets of the places of a request that list tools, that name the user, and that name the session or the conversation.
var (
	requestMessages = formats.PlacesOf(bodyMessages, bodyInput, bodyPrompt, bodyContents)
	requestOffers   = formats.PlacesOf(requestTools, requestConfigTools, requestConverseTools)
	requestUsers    = formats.PlacesOf(requestUser, requestSafety, requestUserID)
	requestSessions = formats.PlacesOf(
		requestSession, requestSessionID, requestMetaConversation, requestConversation, requestConversationID)
)

// identifyUser names the user for whom the caller made the request.
func (a *api) identifyUser(el *formats.Element) {
	user, safety, id := a.requestBody.At(requestUser), a.requestBody.At(requestSafety), a.requestBody.At(requestUserID)
	el.SetAgent("request.user", el.Text(user))
	el.SetAgent("request.safety_identifier", el.Text(safety))
	el.SetAgent("request.metadata.user_id", el.Text(id))
	el.CopyFirstText(schema.OnBehalfOfID, user, safety, id)
}

// converses sets the session and the conversation.
func (a *api) converses(el *formats.Element) {
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
	op, dataset := "chat", el.Event.Text(schema.EventDataset)
	model := el.FirstText(a.requestBody.At(requestModel), a.requestBody.At(requestModelID))
	prompt := a.requestBody.At(bodyPrompt) // an object names a stored prompt
	switch object := el.Text(a.responseBody.At(answerObject)); {
	case object == "list", a.requestBody.At(bodyInput).Present() && strings.Contains(model, "embed") && !strings.ContainsAny(model, " {"):
		op = "embeddings"
	case dataset == geminiDataset:
		op = "generate_content"
	case prompt.Present() && prompt.Kind != scan.Object, object == "text_completion":
		op = "text_completion"
	}
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	host, path := "", ""
	url := el.FirstText(el.At(a.url), el.At(a.path))
	if a.isExchange && url == "" {
		url = el.Text(el.At(a.http.url))
	}
	if url != "" {
		host, path = formats.SplitURL(url)
		el.SetText(schema.ServiceTargetName, host)
		el.SetText(schema.URLDomain, host)
		el.SetText(schema.URLPath, path)
	}
	if el.Wanted(schema.GenAIProviderName) {
		el.SetText(schema.GenAIProviderName, providerOf(host, dataset))
	}
	el.CopyFirstText(schema.GenAIRequestModel, a.requestBody.At(requestModel), a.requestBody.At(requestModelID))
	switch short, ok := strings.CutPrefix(model, "models/"); {
	case model == "" && path != "":
		el.SetText(schema.GenAIRequestModel, modelInPath(path))
	case ok:
		el.SetText(schema.GenAIRequestModel, short)
	}
	if streamed {
		el.Event.SetText(schema.EventID, a.stream.ID)
		el.SetText(schema.GenAIResponseID, a.stream.ID)
		el.SetText(schema.GenAIResponseModel, a.stream.Model)
		a.stream.Usage.Set(el)
		return
	}
	if a.responseBody.HasAny(answerIDs) {
		id, camel, snake := a.responseBody.At(answerID), a.responseBody.At(answerResponseID), a.responseBody.At(answerResponseIDSnake)
		el.CopyFirstText(schema.EventID, id, camel, snake)
		el.CopyFirstText(schema.GenAIResponseID, id, camel, snake)
	}
	if !a.responseBody.HasAny(answerModels) {
		a.usage.Set(el)
		return
	}
	el.CopyFirstText(schema.GenAIResponseModel,
		a.responseBody.At(answerModel), a.responseBody.At(answerModelVersion), a.responseBody.At(answerModelVersionSnake))
	a.usage.Set(el)
}

// providerOf returns the provider at a host, else that of the dataset, by OpenTelemetry's name.
func providerOf(host, dataset string) string {
	switch {
	case strings.HasSuffix(host, ".openai.azure.com"), strings.HasSuffix(host, ".cognitiveservices.azure.com"):
		return "azure.ai.openai"
	case strings.HasSuffix(host, ".services.ai.azure.com"), strings.HasSuffix(host, ".models.ai.azure.com"):
		return "azure.ai.inference"
	case strings.HasSuffix(host, "aiplatform.googleapis.com"):
		return "gcp.vertex_ai"
	case strings.HasPrefix(host, "bedrock-runtime."), dataset == bedrockDataset:
		return "aws.bedrock"
	case dataset == geminiDataset:
		return "gcp.gemini"
	}
	provider, _, _ := strings.Cut(dataset, ".")
	return provider
}

// modelInPath returns the model that the path of a URL names: after models/ in Gemini's API, after model/ in Bedrock's,
// after deployments/ in Azure's. It returns "" for any other path.
func modelInPath(path string) string {
	for _, before := range [...]string{"/models/", "/deployments/", "/model/"} {
		_, rest, ok := strings.Cut(path, before)
		if !ok {
			continue
		}
		if end := strings.IndexAny(rest, "/?"); end >= 0 {
			rest = rest[:end]
		}
		if model, method, ok := strings.Cut(rest, ":"); ok && (strings.HasSuffix(method, "enerateContent") || strings.HasSuffix(method, "redict")) {
			return model
		}
		return rest
	}
	return ""
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
		if !n.Present() {
			continue
		}
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			el.Event.SetInt(schema.HTTPResponseStatusCode, status)
			el.SetHTTPStatus(status)
			break
		}
	}
	if a.isExchange {
		a.http.outcome(el)
	}
	failed := a.responseBody.At(answerError)
	if failed.Present() || streamed && a.stream.Failed {
		el.SetOutcome(formats.Failure)
		body := a.responseBody
		if status := body.At(answerErrorStatus); status.Kind == scan.String { // Gemini's code is the HTTP status, Azure's status is
			el.CopyText(schema.ErrorType, status)
		}
		if !el.Event.Has(schema.ErrorType) {
			el.CopyFirstText(schema.ErrorType, body.At(answerErrorCode), body.At(answerErrorType))
		}
	}
	if reason := a.responseBody.At(answerBlockReason); reason.Present() { // the provider's filter held the prompt back
		el.SetBlocked()
		el.CopyText(schema.ErrorType, reason)
	}
}
