package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Usage holds the tokens used by a call of a model, under the names of any provider. It belongs to one worker, and its
// contents are valid until the next Reset.
type Usage struct {
	shape *formats.Shape
	found [usagePlaces]formats.Node
	held  formats.Places // those of found that were read
}

// Places in a shape of usagePaths. The names of one count are adjacent.
const (
	usagePromptTokens = iota
	usagePromptTokenCount
	usageGeminiPrompt
	usageOllamaPrompt
	usageInputTextTokenCount
	usageInputTokens
	usageConverseInput
	usageCompletionTokens
	usageGenerationTokenCount
	usageGeminiOutput
	usageGeminiOutputSnake
	usageOllamaOutput
	usageTotalOutputText
	usageOutputTokens
	usageConverseOutput
	usagePromptCached
	usageInputCached
	usageGeminiCached
	usageGeminiCachedSnake
	usageCacheRead
	usageConverseCacheRead
	usageCacheReadCount
	usageCacheCreation
	usageConverseCacheWrite
	usageCacheWriteCount
	usageCompletionReasoning
	usageOutputReasoning
	usageGeminiThoughts
	usageGeminiThoughtsSnake
	usagePlaces
)

// usagePaths returns the paths that are read of a usage object, each at its place.
func usagePaths() [][]string {
	return [][]string{
		// Input tokens.
		usagePromptTokens:        {"prompt_tokens"}, // OpenAI, including cached tokens
		usagePromptTokenCount:    {"prompt_token_count"},
		usageGeminiPrompt:        {"promptTokenCount"}, // including cached tokens
		usageOllamaPrompt:        {"prompt_eval_count"},
		usageInputTextTokenCount: {"inputTextTokenCount"},
		usageInputTokens:         {"input_tokens"}, // OpenAI's Responses API and Anthropic
		usageConverseInput:       {"inputTokens"},
		// Output tokens.
		usageCompletionTokens:     {"completion_tokens"},
		usageGenerationTokenCount: {"generation_token_count"},
		usageGeminiOutput:         {"candidatesTokenCount"}, // without the tokens of reasoning
		usageGeminiOutputSnake:    {"candidates_token_count"},
		usageOllamaOutput:         {"eval_count"},
		usageTotalOutputText:      {"totalOutputTextTokenCount"},
		usageOutputTokens:         {"output_tokens"},
		usageConverseOutput:       {"outputTokens"},
		// Input tokens read from a cache. OpenAI counts them among the input tokens, Anthropic and Converse beside them.
		usagePromptCached:      {"prompt_tokens_details", "cached_tokens"},
		usageInputCached:       {"input_tokens_details", "cached_tokens"},
		usageGeminiCached:      {"cachedContentTokenCount"},
		usageGeminiCachedSnake: {"cached_content_token_count"},
		usageCacheRead:         {"cache_read_input_tokens"},
		usageConverseCacheRead: {"cacheReadInputTokens"},
		usageCacheReadCount:    {"cacheReadInputTokenCount"},
		// Input tokens written to a cache.
		usageCacheCreation:      {"cache_creation_input_tokens"},
		usageConverseCacheWrite: {"cacheWriteInputTokens"},
		usageCacheWriteCount:    {"cacheWriteInputTokenCount"},
		// Output tokens of reasoning.
		usageCompletionReasoning: {"completion_tokens_details", "reasoning_tokens"},
		usageOutputReasoning:     {"output_tokens_details", "reasoning_tokens"},
		usageGeminiThoughts:      {"thoughtsTokenCount"},
		usageGeminiThoughtsSnake: {"thoughts_token_count"},
	}
}

// NewUsage returns a Usage for one worker.
func NewUsage() *Usage { return &Usage{shape: formats.NewShape(usagePaths()...)} }

// Reset empties the usage.
func (u *Usage) Reset() {
	for ; u.held != 0; u.held &= u.held - 1 {
		u.found[u.held.First()] = formats.Node{}
	}
}

// Read reads a usage object. Its counts replace those read earlier, because streams correct themselves.
func (u *Usage) Read(el *formats.Element, n formats.Node) {
	if n.Kind != scan.Object {
		return
	}
	u.shape.Select(el, n)
	for set := u.shape.Held(); set != 0; set &= set - 1 {
		u.take(set.First(), u.shape.At(set.First()))
	}
}

// take sets the count at a place, if there is one.
func (u *Usage) take(place int, n formats.Node) {
	if n.Present() {
		u.found[place] = n
		u.held |= 1 << place
	}
}

// Sets of the places of a usage object, by the count that they hold.
var (
	usageInput     = formats.PlacesBetween(usagePromptTokens, usageConverseInput)
	usageOutput    = formats.PlacesBetween(usageCompletionTokens, usageConverseOutput)
	usageCached    = formats.PlacesBetween(usagePromptCached, usageCacheReadCount)
	usageReasoning = formats.PlacesBetween(usageCompletionReasoning, usageGeminiThoughtsSnake)
)

// Set sets the token fields. The input tokens include cached tokens; if a provider counts those separately, they are
// added.
func (u *Usage) Set(el *formats.Element) {
	if u.held&usageInput != 0 || el.Event.Has(schema.GenAIUsageInputTokens) {
		u.setInput(el)
	}
	if u.held&usageOutput != 0 {
		el.CopyFirstInt(schema.GenAIUsageOutputTokens, u.found[usageCompletionTokens:usageConverseOutput+1]...)
	}
	if u.held&usageCached != 0 {
		el.CopyFirstInt(schema.GenAIUsageCacheReadInputTokens, u.found[usagePromptCached:usageCacheReadCount+1]...)
	}
	if u.held&usageReasoning != 0 {
		el.CopyFirstInt(schema.GenAIUsageReasoningOutputTokens, u.found[usageCompletionReasoning:usageGeminiThoughtsSnake+1]...)
	}
}

func (u *Usage) setInput(el *formats.Element) {
	el.CopyFirstInt(schema.GenAIUsageInputTokens, u.found[usagePromptTokens:usageConverseInput+1]...)
	if !el.Event.Has(schema.GenAIUsageInputTokens) || u.found[usagePromptTokens].Present() {
		return
	}
	AddInput(el, u.found[usageCacheRead:usageCacheWriteCount+1]...)
}

// AddInput adds counts to the input tokens, if these are set. Counts that are not positive or would overflow are left
// out.
func AddInput(el *formats.Element, counts ...formats.Node) {
	sum := el.Event.Int(schema.GenAIUsageInputTokens)
	for _, n := range counts {
		if v, ok := scan.Int(n.Src, n.Span); ok && v > 0 && sum+v > sum {
			sum += v
		}
	}
	el.Event.SetInt(schema.GenAIUsageInputTokens, sum)
}
