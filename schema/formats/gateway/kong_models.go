package gateway

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// models reads the log of Kong's AI plugins about a call of a model. Since Kong 3.11 the block is ai.proxy; before, its key
// is the name of the plugin.
type models struct {
	payload int // ai.payload.request, the request in older versions of Kong
	audit   int // ai.audit.azure_content_safety
	plugin  *formats.Shape
	body    *formats.Shape
	chat    *llm.Conversation
}

// Places in the shape of a plugin's block.
const (
	pluginUsage = iota
	pluginMeta
	pluginPayload
	pluginRequest
	pluginResponse
	pluginPromptTokens
	pluginPromptToken
	pluginInputTokens
	pluginCompletionTokens
	pluginCompletionToken
	pluginOutputTokens
	pluginCachedTokens
	pluginReasoningTokens
	pluginCost
	pluginProvider
	pluginRequestModel
	pluginResponseModel
	pluginLakeraIn
	pluginLakeraOut
	pluginLakera
	pluginAWSGuardrails
)

var pluginPaths = [][]string{
	pluginUsage:            {"usage"},
	pluginMeta:             {"meta"},
	pluginPayload:          {"payload"},
	pluginRequest:          {"payload", "request"},
	pluginResponse:         {"payload", "response"},
	pluginPromptTokens:     {"usage", "prompt_tokens"},
	pluginPromptToken:      {"usage", "prompt_token"},
	pluginInputTokens:      {"usage", "input_tokens"},
	pluginCompletionTokens: {"usage", "completion_tokens"},
	pluginCompletionToken:  {"usage", "completion_token"},
	pluginOutputTokens:     {"usage", "output_tokens"},
	pluginCachedTokens:     {"usage", "prompt_tokens_details", "cached_tokens"},
	pluginReasoningTokens:  {"usage", "completion_tokens_details", "reasoning_tokens"},
	pluginCost:             {"usage", "cost"},
	pluginProvider:         {"meta", "provider_name"},
	pluginRequestModel:     {"meta", "request_model"},
	pluginResponseModel:    {"meta", "response_model"},
	pluginLakeraIn:         {"lakera-guard", "input_block_reason"},
	pluginLakeraOut:        {"lakera-guard", "output_block_reason"},
	pluginLakera:           {"lakera-guard"},
	pluginAWSGuardrails:    {"aws-guardrails", "guardrails_id"},
}

// Places in the shape of a request's or response's body.
const (
	bodyTools = iota
	bodyID
)

func newModels(p *formats.Paths) *models {
	return &models{
		payload: p.Add("ai", "payload", "request"),
		audit:   p.Add("ai", "audit", "azure_content_safety"),
		plugin:  formats.NewShape(pluginPaths...),
		body:    formats.NewShape([][]string{bodyTools: {"tools"}, bodyID: {"id"}}...),
		chat:    llm.NewConversation(),
	}
}

// find returns the block of the plugin that called the model: the proxy's block, else the first with usage, meta or
// payload.
func (m *models) find(el *formats.Element, ai formats.Node) (block formats.Node) {
	el.Index.Members(ai.Src, ai.Span, &el.Arena, func(key string, v scan.Span) bool {
		if v.Kind != scan.Object || !isPlugin(key) {
			return true
		}
		n := formats.Node{Src: ai.Src, Span: v}
		m.plugin.Select(el, n)
		if m.plugin.At(pluginUsage).Present() || m.plugin.At(pluginMeta).Present() || m.plugin.At(pluginPayload).Present() {
			if isProxy(key) {
				block = n
				return false
			}
			if !block.Present() {
				block = n
			}
		}
		return true
	})
	return block
}

// read emits the events of a model's call, and reports whether the record is one. refused is set if Kong itself answered.
func (m *models) read(el *formats.Element, ai formats.Node, uri string, refused bool) bool {
	block := m.find(el, ai)
	if !block.Present() && !el.At(m.payload).Present() {
		return false
	}
	m.plugin.Select(el, block)
	op := operationOf(uri)
	el.SetClass(formats.ClassLLM, op)
	el.SetText(schema.GenAIOperationName, op)
	el.CopyText(schema.GenAIProviderName, m.plugin.At(pluginProvider))
	el.CopyText(schema.GenAIRequestModel, m.plugin.At(pluginRequestModel))
	el.CopyText(schema.GenAIResponseModel, m.plugin.At(pluginResponseModel))
	el.CopyFirstInt(schema.GenAIUsageInputTokens, m.plugin.At(pluginPromptTokens), m.plugin.At(pluginPromptToken), m.plugin.At(pluginInputTokens))
	el.CopyFirstInt(schema.GenAIUsageOutputTokens, m.plugin.At(pluginCompletionTokens), m.plugin.At(pluginCompletionToken),
		m.plugin.At(pluginOutputTokens))
	el.CopyInt(schema.GenAIUsageCacheReadInputTokens, m.plugin.At(pluginCachedTokens))
	el.CopyInt(schema.GenAIUsageReasoningOutputTokens, m.plugin.At(pluginReasoningTokens))
	el.CopyDouble(schema.GenAIUsageCost, m.plugin.At(pluginCost))
	if refused {
		el.SetBlocked()
	}
	m.guards(el)
	request, response := m.plugin.At(pluginRequest), m.plugin.At(pluginResponse)
	if !request.Present() {
		request = el.At(m.payload)
	}
	m.chat.Reset()
	m.request(el, request)
	m.response(el, response)
	m.chat.Fill(el)
	m.chat.Emit(el)
	return true
}

// guards sets the fields of the guardrail.
func (m *models) guards(el *formats.Element) {
	reason := el.FirstText(m.plugin.At(pluginLakeraIn), m.plugin.At(pluginLakeraOut))
	switch {
	case reason != "":
		el.SetText(schema.GuardrailName, "lakera-guard")
		el.SetText(schema.GuardrailVerdict, formats.Blocked)
		el.SetText(schema.GuardrailAction, formats.Blocked)
		el.SetText(schema.GuardrailRiskCategory, reason)
		el.SetBlocked()
	case m.plugin.At(pluginLakera).Present():
		el.SetText(schema.GuardrailName, "lakera-guard")
	case m.plugin.At(pluginAWSGuardrails).Present():
		el.SetText(schema.GuardrailName, "aws-guardrails")
	case el.At(m.audit).Kind == scan.Object:
		el.SetText(schema.GuardrailName, "azure_content_safety")
		audit := el.At(m.audit)
		el.Index.Members(audit.Src, audit.Span, &el.Arena, func(category string, level scan.Span) bool {
			el.SetText(schema.GuardrailRiskCategory, category)
			el.CopyText(schema.GuardrailVerdict, formats.Node{Src: audit.Src, Span: level})
			return false
		})
	}
}

// request reads the request's body, JSON encoded in a string. A string that is not JSON is the prompt itself.
func (m *models) request(el *formats.Element, payload formats.Node) {
	body, ok := el.Unwrap(payload)
	if !ok {
		m.chat.Request(el, payload)
		return
	}
	m.body.Select(el, body)
	m.chat.Tools(el, m.body.At(bodyTools))
	m.chat.Request(el, body)
}

// response reads the response's body, JSON encoded in a string. A string that is not JSON is the answer itself.
func (m *models) response(el *formats.Element, payload formats.Node) {
	body, ok := el.Unwrap(payload)
	if !ok {
		m.chat.Response(el, payload)
		return
	}
	m.body.Select(el, body)
	el.CopyText(schema.GenAIResponseID, m.body.At(bodyID))
	m.chat.Response(el, body)
}
