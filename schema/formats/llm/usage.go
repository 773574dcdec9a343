package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Usage is the tokens that a call of a model took, in the words of any provider. It belongs to one worker, and what it
// holds is valid until the next Reset.
type Usage struct {
	shape *formats.Shape
	found [usagePlaces]formats.Node
	any   bool // something was read
}

// What of a usage object is read; the names of one count stand in a row.
const (
	usagePromptTokens = iota // OpenAI, cached ones included
	usagePromptTokenCount
	usageInputTextTokenCount
	usageInputTokens // OpenAI's responses and Anthropic
	usageConverseInput
	usageCompletionTokens
	usageGenerationTokenCount
	usageTotalOutputText
	usageOutputTokens
	usageConverseOutput
	usagePromptCached
	usageInputCached
	usageCacheRead // Anthropic and Converse: beside the input tokens, not among them
	usageConverseCacheRead
	usageCacheReadCount
	usageCacheCreation
	usageConverseCacheWrite
	usageCacheWriteCount
	usageCompletionReasoning
	usageOutputReasoning
	usagePlaces
)

// NewUsage returns one for a worker.
func NewUsage() *Usage {
	return &Usage{shape: formats.NewShape([]string{"prompt_tokens"}, []string{"prompt_token_count"}, []string{"inputTextTokenCount"},
		[]string{"input_tokens"}, []string{"inputTokens"}, []string{"completion_tokens"}, []string{"generation_token_count"},
		[]string{"totalOutputTextTokenCount"}, []string{"output_tokens"}, []string{"outputTokens"},
		[]string{"prompt_tokens_details", "cached_tokens"}, []string{"input_tokens_details", "cached_tokens"}, []string{"cache_read_input_tokens"},
		[]string{"cacheReadInputTokens"}, []string{"cacheReadInputTokenCount"}, []string{"cache_creation_input_tokens"},
		[]string{"cacheWriteInputTokens"}, []string{"cacheWriteInputTokenCount"}, []string{"completion_tokens_details", "reasoning_tokens"},
		[]string{"output_tokens_details", "reasoning_tokens"})}
}

// Reset empties it.
func (u *Usage) Reset() {
	if u.any {
		clear(u.found[:])
	}
	u.any = false
}

// Read takes what a usage object says. What a later one says counts: streams correct themselves.
func (u *Usage) Read(r *formats.Record, n formats.Node) {
	if n.Kind != scan.Object {
		return
	}
	u.any = true
	u.shape.Select(r, n)
	for i := range u.found {
		if u.shape.Has(i) {
			u.found[i] = u.shape.At(i)
		}
	}
}

// Set sets the fields. The input tokens are those with the cached ones, whose providers that count them apart are summed.
func (u *Usage) Set(r *formats.Record) {
	if !u.any {
		return
	}
	u.setInput(r)
	r.SetFirstInt(schema.GenAIUsageOutputTokens, u.found[usageCompletionTokens:usageConverseOutput+1]...)
	r.SetFirstInt(schema.GenAIUsageCacheReadInputTokens, u.found[usagePromptCached:usageCacheReadCount+1]...)
	r.SetFirstInt(schema.GenAIUsageReasoningOutputTokens, u.found[usageCompletionReasoning:usageOutputReasoning+1]...)
}

func (u *Usage) setInput(r *formats.Record) {
	r.SetFirstInt(schema.GenAIUsageInputTokens, u.found[usagePromptTokens:usageConverseInput+1]...)
	if !r.Event.Has(schema.GenAIUsageInputTokens) || u.found[usagePromptTokens].Present() {
		return
	}
	AddInput(r, u.found[usageCacheRead:usageCacheWriteCount+1]...)
}

// AddInput adds counts to the input tokens that are set; what is no count, or too large to add, is left out.
func AddInput(r *formats.Record, counts ...formats.Node) {
	sum := r.Event.Int(schema.GenAIUsageInputTokens)
	for _, n := range counts {
		if v, ok := scan.Int(n.Src, n.Span); ok && v > 0 && sum+v > sum {
			sum += v
		}
	}
	r.Event.SetInt(schema.GenAIUsageInputTokens, sum)
}
