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
		Name:       "aws_bedrock_invocation",
		Aliases:    []string{"bedrock"},
		Datasets:   []string{"aws.bedrock_invocation"},
		Families:   []string{formats.FamilyLLM},
		Signatures: []formats.Signature{{Keys: []string{"schemaType"}, Path: []string{"schemaType"}, Text: "ModelInvocationLog"}},
		NewReader:  newBedrock,
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
		input:     p.AddIndexed("input", "inputBodyJson"), inputTokens: p.Add("input", "inputTokenCount"),
		cacheRead: p.Add("input", "cacheReadInputTokenCount"), cacheWrite: p.Add("input", "cacheWriteInputTokenCount"),
		output: p.AddIndexed("output", "outputBodyJson"), outputTokens: p.Add("output", "outputTokenCount"),
		chat: llm.NewConversation(), stream: llm.NewStream(), usage: llm.NewUsage(),
		request: p.AddShape([]string{"input", "inputBodyJson"}, append(llm.BodyPaths(), []string{"toolConfig", "tools"}, []string{"tools"},
			[]string{"guardrailConfig", "guardrailIdentifier"}, []string{"texts"})...),
		response: p.AddShape([]string{"output", "outputBodyJson"}, append(llm.AnswerPaths(), []string{"id"}, []string{"model"}, []string{"usage"},
			[]string{"metrics", "latencyMs"}, []string{"amazon-bedrock-guardrailAction"})...),
	}
}

func (b *bedrock) Read(el *formats.Element) {
	el.SetDataset("aws.bedrock_invocation")
	if !el.SetTime(el.At(b.timestamp)) {
		return
	}
	el.CopyText(schema.EventID, el.At(b.requestID))
	el.CopyText(schema.HTTPRequestID, el.At(b.requestID)) // CloudTrail's requestID
	b.identify(el)
	input, output := bodyAt(el, b.input, b.request), bodyAt(el, b.output, b.response)
	b.chat.Reset()
	b.readRequest(el, input)
	b.readResponse(el, output)
	b.outcome(el)
	b.chat.Fill(el)
	b.chat.Emit(el)
}

// bodyAt returns the body at a place, decoded if it is encoded in a string, and applies the shape to it.
func bodyAt(el *formats.Element, place int, shape *formats.Shape) formats.Node {
	body := el.At(place)
	if body.Kind == scan.Object {
		shape.SelectFromElement(el)
		return body
	}
	body, _ = el.Unwrap(body)
	shape.Select(el, body)
	return body
}

// identify sets the fields of the caller: the role, of which the session is an instance, or the user. The caller chooses the
// metadata of a request, so it supplies the session and the agent's name but never the agent's id.
func (b *bedrock) identify(el *formats.Element) {
	arn := el.Text(el.At(b.arn))
	role := formats.RoleOfSession(el, arn)
	el.SetAgent("identity.arn", role)
	el.SetAgent("identity.arn", arn)
	el.SetText(schema.AIAgentInstanceUID, formats.SessionName(arn))
	el.CopyText(schema.AIAgentName, el.At(b.agent))
	if role != "" && !el.Event.Has(schema.AIAgentName) {
		el.SetText(schema.AIAgentName, role[strings.LastIndexByte(role, '/')+1:])
	}
	el.SetText(schema.UserID, arn)
	el.SetText(schema.CredentialType, "sigv4")
	el.SetText(schema.CloudProvider, "aws")
	el.CopyText(schema.CloudAccountID, el.At(b.account))
	el.CopyText(schema.CloudRegion, el.At(b.region))
	el.CopyFirstText(schema.SessionID, el.At(b.session), el.At(b.sessionID))
	el.CopyFirstText(schema.GenAIConversationID, el.At(b.session), el.At(b.sessionID))
}

// readRequest reads the request's body, to which b.request has been applied.
func (b *bedrock) readRequest(el *formats.Element, input formats.Node) {
	model := el.Text(el.At(b.model))
	op := bedrockOperation(el.Text(el.At(b.operation)), model)
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	el.SetText(schema.GenAIProviderName, "aws.bedrock")
	el.CopyText(schema.GenAIRequestModel, el.At(b.model))
	if strings.Contains(model, ":prompt/") { // a managed prompt, which is called like a model
		el.SetWorkflow(model)
	}
	tools := b.request.At(requestToolConfig)
	if !tools.Present() {
		tools = b.request.At(requestTools)
	}
	b.chat.Tools(el, tools)
	if input.Kind == scan.Object {
		b.chat.SelectedBody(el, b.request)
	}
	if texts := b.request.At(requestTexts); texts.Kind == scan.Array { // Cohere's embeddings
		b.chat.Request(el, texts)
	}
}

// bedrockOperation returns OpenTelemetry's name of an operation, or the operation itself if OpenTelemetry does not name it.
func bedrockOperation(operation, model string) string {
	switch operation {
	case "Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "":
		if strings.Contains(model, "embed") && !strings.ContainsAny(model, " {") { // the name of a model, and no other text
			return "embeddings"
		}
		return "chat"
	}
	return operation
}

// readResponse reads the response's body. The token counts outside the bodies are the billed ones; if they are missing, the
// body's own counts are used.
func (b *bedrock) readResponse(el *formats.Element, output formats.Node) {
	b.stream.Reset()
	b.usage.Reset()
	el.CopyInt(schema.GenAIUsageInputTokens, el.At(b.inputTokens))
	el.CopyInt(schema.GenAIUsageOutputTokens, el.At(b.outputTokens))
	el.CopyInt(schema.GenAIUsageCacheReadInputTokens, el.At(b.cacheRead))
	counted := el.Event.Has(schema.GenAIUsageInputTokens)
	if counted {
		llm.AddInput(el, el.At(b.cacheRead), el.At(b.cacheWrite))
	}
	if output.Kind == scan.Array {
		el.Index.Each(output.Src, output.Span, func(elem scan.Span) bool {
			b.stream.Event(el, formats.Node{Src: output.Src, Span: elem})
			return true
		})
		b.stream.Fill(el, b.chat)
		el.SetText(schema.GenAIResponseID, b.stream.ID)
		el.SetText(schema.GenAIResponseModel, b.stream.Model)
	} else {
		if output.Kind == scan.Object {
			b.chat.SelectedResponse(el, output, b.response)
		} else {
			b.chat.Response(el, output)
		}
		b.usage.Read(el, output) // older models have their counts at the top of the body
		b.usage.Read(el, b.response.At(responseUsage))
		el.CopyText(schema.GenAIResponseID, b.response.At(responseID))
		el.CopyText(schema.GenAIResponseModel, b.response.At(responseModel))
		el.CopyDuration(b.response.At(responseLatency), nsPerMilli)
	}
	switch {
	case counted:
	case output.Kind == scan.Array:
		b.stream.Usage.Set(el)
	default:
		b.usage.Set(el)
	}
}

// nsPerMilli is the unit of durations in milliseconds, in ns.
const nsPerMilli = 1e6

// outcome sets the outcome from the error code, and blocked if a guardrail intervened.
func (b *bedrock) outcome(el *formats.Element) {
	el.SetOutcome(formats.Success)
	if code := el.Text(el.At(b.errorCode)); code != "" {
		el.SetOutcome(formats.Failure)
		el.SetText(schema.ErrorType, code)
		if formats.IsDenied(code) {
			el.SetBlocked()
		}
	}
	if b.chat.Guard.Found() && !b.chat.Guard.Blocked() { // it masked a part of the text, or only looked on
		return
	}
	el.CopyText(schema.GuardrailName, b.request.At(requestGuardrail))
	if el.Text(b.response.At(llm.AnswerStop)) == guardrailIntervened || el.Text(b.response.At(responseGuardrailAction)) == "INTERVENED" ||
		b.stream.Stopped(guardrailIntervened) {
		el.SetText(schema.GuardrailVerdict, guardrailIntervened)
		el.SetText(schema.GuardrailAction, formats.Blocked)
		el.SetBlocked()
	}
}

// guardrailIntervened is the stop reason of a response that a guardrail blocked or masked.
const guardrailIntervened = "guardrail_intervened"
