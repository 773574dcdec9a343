package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// BedrockInvocation returns the format of Amazon Bedrock's model invocation log. Its bodies are those of the Converse API or
// of the model's own API. The body of a streamed response is the list of the stream's events.
func BedrockInvocation() formats.Format {
	return formats.Format{
		Name:     "aws_bedrock_invocation",
		Aliases:  []string{"bedrock"},
		Datasets: []string{"aws.bedrock_invocation"},
		Tells:    []formats.Tell{{Keys: []string{"schemaType"}, Path: []string{"schemaType"}, Text: "ModelInvocationLog"}},
		Open:     newBedrock,
	}
}

type bedrock struct {
	timestamp, account, region int // timestamp, accountId, region
	requestID, operation       int // requestId, operation
	model, arn, errorCode      int // modelId, identity.arn, errorCode
	session, sessionID, agent  int // requestMetadata: session, session_id, agent
	input, inputTokens         int // input: inputBodyJson, inputTokenCount
	cacheRead, cacheWrite      int // input: cacheReadInputTokenCount, cacheWriteInputTokenCount
	output, outputTokens       int // output: outputBodyJson, outputTokenCount

	chat     *llm.Conversation
	stream   *llm.Stream
	usage    *llm.Usage
	request  *formats.Shape
	response *formats.Shape
}

// Places in the shape of a request's body, after those of llm.BodyPaths.
const (
	requestToolConfig = llm.BodyPlaces + iota
	requestTools
	requestGuardrail
	requestTexts
)

// Places in the shape of a response's body, after those of llm.AnswerPaths.
const (
	responseID = llm.AnswerPlaces + iota
	responseModel
	responseUsage
	responseLatency
	responseGuardrailAction
)

func newBedrock(p *formats.Paths) formats.Reader {
	return &bedrock{
		timestamp: p.Add("timestamp"), account: p.Add("accountId"), region: p.Add("region"),
		requestID: p.Add("requestId"), operation: p.Add("operation"),
		model: p.Add("modelId"), arn: p.Add("identity", "arn"), errorCode: p.Add("errorCode"),
		session:   p.Add("requestMetadata", "session"),
		sessionID: p.Add("requestMetadata", "session_id"),
		agent:     p.Add("requestMetadata", "agent"),
		input:     p.Open("input", "inputBodyJson"), inputTokens: p.Add("input", "inputTokenCount"),
		cacheRead: p.Add("input", "cacheReadInputTokenCount"), cacheWrite: p.Add("input", "cacheWriteInputTokenCount"),
		output: p.Open("output", "outputBodyJson"), outputTokens: p.Add("output", "outputTokenCount"),
		chat: llm.NewConversation(), stream: llm.NewStream(), usage: llm.NewUsage(),
		request: p.Shape([]string{"input", "inputBodyJson"}, append(llm.BodyPaths(), []string{"toolConfig", "tools"}, []string{"tools"},
			[]string{"guardrailConfig", "guardrailIdentifier"}, []string{"texts"})...),
		response: p.Shape([]string{"output", "outputBodyJson"}, append(llm.AnswerPaths(), []string{"id"}, []string{"model"}, []string{"usage"},
			[]string{"metrics", "latencyMs"}, []string{"amazon-bedrock-guardrailAction"})...),
	}
}

func (b *bedrock) Read(r *formats.Record) {
	r.Begin("aws.bedrock_invocation")
	if !r.Start(r.At(b.timestamp)) {
		return
	}
	r.SetText(schema.EventID, r.At(b.requestID))
	r.SetText(schema.HTTPRequestID, r.At(b.requestID)) // CloudTrail's requestID
	b.identify(r)
	input, output := bodyAt(r, b.input, b.request), bodyAt(r, b.output, b.response)
	b.chat.Reset()
	b.readRequest(r, input)
	b.readResponse(r, output)
	b.outcome(r)
	b.chat.Fill(r)
	b.chat.Emit(r)
}

// bodyAt returns the body at a place, decoded if it is encoded in a string, and applies the shape to it.
func bodyAt(r *formats.Record, place int, shape *formats.Shape) formats.Node {
	body := r.At(place)
	if body.Kind == scan.Object {
		shape.Take(r)
		return body
	}
	body, _ = r.Inside(body)
	shape.Select(r, body)
	return body
}

// identify sets the fields of the caller: the role, of which the session is an instance, or the user. The caller chooses the
// metadata of a request, so it supplies the session and the agent's name but never the agent's id.
func (b *bedrock) identify(r *formats.Record) {
	arn := r.Text(r.At(b.arn))
	role := RoleOfSession(r, arn)
	r.Agent("identity.arn", role)
	r.Agent("identity.arn", arn)
	r.Put(schema.AIAgentInstanceUID, SessionName(arn))
	r.SetText(schema.AIAgentName, r.At(b.agent))
	if role != "" && !r.Event.Has(schema.AIAgentName) {
		r.Put(schema.AIAgentName, role[strings.LastIndexByte(role, '/')+1:])
	}
	r.Put(schema.UserID, arn)
	r.Put(schema.CredentialType, "sigv4")
	r.Put(schema.CloudProvider, "aws")
	r.SetText(schema.CloudAccountID, r.At(b.account))
	r.SetText(schema.CloudRegion, r.At(b.region))
	r.SetFirst(schema.SessionID, r.At(b.session), r.At(b.sessionID))
	r.SetFirst(schema.GenAIConversationID, r.At(b.session), r.At(b.sessionID))
}

// readRequest reads the request's body, to which b.request has been applied.
func (b *bedrock) readRequest(r *formats.Record, input formats.Node) {
	model := r.Text(r.At(b.model))
	op := bedrockOperation(r.Text(r.At(b.operation)), model)
	r.SetClass(formats.ClassLLM, op)
	r.Put(schema.GenAIOperationName, op)
	r.Put(schema.GenAIProviderName, "aws.bedrock")
	r.SetText(schema.GenAIRequestModel, r.At(b.model))
	tools := b.request.At(requestToolConfig)
	if !tools.Present() {
		tools = b.request.At(requestTools)
	}
	llm.SetTools(r, tools)
	if input.Kind == scan.Object {
		b.chat.SelectedBody(r, b.request)
	}
	if texts := b.request.At(requestTexts); texts.Kind == scan.Array { // Cohere's embeddings
		b.chat.Request(r, texts)
	}
}

// bedrockOperation returns OpenTelemetry's name of an operation, or the operation itself if OpenTelemetry does not name it.
func bedrockOperation(operation, model string) string {
	switch operation {
	case "Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "":
		if strings.Contains(model, "embed") {
			return "embeddings"
		}
		return "chat"
	}
	return operation
}

// readResponse reads the response's body. The token counts outside the bodies are the billed ones; if they are missing, the
// body's own counts are used.
func (b *bedrock) readResponse(r *formats.Record, output formats.Node) {
	b.stream.Reset()
	b.usage.Reset()
	r.SetInt(schema.GenAIUsageInputTokens, r.At(b.inputTokens))
	r.SetInt(schema.GenAIUsageOutputTokens, r.At(b.outputTokens))
	r.SetInt(schema.GenAIUsageCacheReadInputTokens, r.At(b.cacheRead))
	counted := r.Event.Has(schema.GenAIUsageInputTokens)
	if counted {
		llm.AddInput(r, r.At(b.cacheRead), r.At(b.cacheWrite))
	}
	if output.Kind == scan.Array {
		r.Index.Each(output.Src, output.Span, func(elem scan.Span) bool {
			b.stream.Event(r, formats.Node{Src: output.Src, Span: elem})
			return true
		})
		b.stream.Fill(r, b.chat)
		r.Put(schema.GenAIResponseID, b.stream.ID)
		r.Put(schema.GenAIResponseModel, b.stream.Model)
	} else {
		if output.Kind == scan.Object {
			b.chat.SelectedResponse(r, output, b.response)
		} else {
			b.chat.Response(r, output)
		}
		b.usage.Read(r, output) // older models have their counts at the top of the body
		b.usage.Read(r, b.response.At(responseUsage))
		r.SetText(schema.GenAIResponseID, b.response.At(responseID))
		r.SetText(schema.GenAIResponseModel, b.response.At(responseModel))
		r.SetDuration(b.response.At(responseLatency), nsPerMilli)
	}
	switch {
	case counted:
	case output.Kind == scan.Array:
		b.stream.Usage.Set(r)
	default:
		b.usage.Set(r)
	}
}

// nsPerMilli is the unit of durations in milliseconds, in ns.
const nsPerMilli = 1e6

// outcome sets the outcome from the error code, and blocked if a guardrail intervened.
func (b *bedrock) outcome(r *formats.Record) {
	r.SetOutcome(formats.Success)
	if code := r.Text(r.At(b.errorCode)); code != "" {
		r.SetOutcome(formats.Failure)
		r.Put(schema.ErrorType, code)
		if formats.Denied(code) {
			r.Block()
		}
	}
	r.SetText(schema.GuardrailName, b.request.At(requestGuardrail))
	if r.Text(b.response.At(llm.AnswerStop)) == guardrailIntervened || r.Text(b.response.At(responseGuardrailAction)) == "INTERVENED" ||
		b.stream.Stopped(guardrailIntervened) {
		r.Put(schema.GuardrailVerdict, guardrailIntervened)
		r.Put(schema.GuardrailAction, formats.Blocked)
		r.Block()
	}
}

// guardrailIntervened is the stop reason of a response that a guardrail blocked or masked.
const guardrailIntervened = "guardrail_intervened"
