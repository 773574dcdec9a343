package llm

import "github.com/aidr-engine/aidr/schema/formats"

// OpenAI reads records that an operator's own proxy logs of OpenAI's API and of the APIs that copy it: the bodies of
// request and response in one record, or a response alone. The bodies show which provider's API it is, so the format
// may also give the datasets of the other providers.
func OpenAI() formats.Format {
	return formats.Format{
		Name:     "openai_api",
		Aliases:  []string{"openai_chat_raw", "openai"},
		Datasets: []string{anthropicDataset, bedrockDataset, geminiDataset, ollamaDataset, openAIDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"request", "response"}},
			{Keys: []string{"type", "response"}, Path: []string{"type"}, Text: "response.completed"},
			{Keys: []string{"type", "response"}, Path: []string{"type"}, Text: "response.failed"},
			{Keys: []string{"type", "response"}, Path: []string{"type"}, Text: "response.incomplete"},
			{Keys: []string{"type", "response"}, Path: []string{"type"}, Text: "response.done"},
			{Keys: []string{"type", "item"}, Path: []string{"type"}, Text: "conversation.item.create"},
			{Keys: []string{"type", "item"}, Path: []string{"type"}, Text: "conversation.item.created"},
			{Keys: []string{"type", "item"}, Path: []string{"type"}, Text: "conversation.item.added"},
			{Keys: []string{"type", "item"}, Path: []string{"type"}, Text: "conversation.item.done"},
			{Keys: []string{"type", "transcript"}, Path: []string{"type"}, Text: transcribed},
			{Keys: []string{"type", "response"}, Path: []string{"type"}, Text: "response.created"},
			{Keys: []string{"type", "response"}, Path: []string{"type"}, Text: "response.in_progress"},
			{Keys: []string{"type", "item"}, Path: []string{"type"}, Text: "response.output_item.added"},
			{Keys: []string{"type", "item"}, Path: []string{"type"}, Text: "response.output_item.done"},
			{Keys: []string{"type", "delta"}, Path: []string{"type"}, Text: "response.output_text.delta"},
			{Keys: []string{"type", "session"}, Path: []string{"type"}, Text: "session.created"},
			{Keys: []string{"type", "session"}, Path: []string{"type"}, Text: "session.updated"},
			{Keys: []string{"type", "session"}, Path: []string{"type"}, Text: "session.update"},
			{Keys: []string{"object", "choices"}, Path: []string{"object"}, Text: "chat.completion"},
			{Keys: []string{"object", "choices"}, Path: []string{"object"}, Text: "text_completion"},
			{Keys: []string{"object", "output"}, Path: []string{"object"}, Text: "response"},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, recordPair) },
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
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, anthropicDataset, recordPair) },
	}
}

// OpenAIRequest reads bodies of requests alone. No record ever holds the model's answer, so the calls of the
// assistant's last message, which the next request repeats, count as new in that request.
func OpenAIRequest() formats.Format {
	return formats.Format{
		Name:       "openai_request",
		Datasets:   []string{anthropicDataset, openAIDataset},
		Families:   []string{formats.FamilyLLM},
		Signatures: []formats.Signature{{Keys: []string{"model", "messages"}}, {Keys: []string{"model", "input"}}},
		NewReader:  func(p *formats.Paths) formats.Reader { return openAPI(p, openAIDataset, recordRequest) },
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
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, anthropicDataset, recordRequest) },
	}
}

// Gemini reads records of Gemini's and Vertex AI's API generateContent: the bodies of request and response in one
// record, a response alone, or the list of responses of a stream.
func Gemini() formats.Format {
	return formats.Format{
		Name:     "gemini_api",
		Aliases:  []string{"gemini", "vertex_ai"},
		Datasets: []string{geminiDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"candidates", "usageMetadata"}},
			{Keys: []string{"candidates", "modelVersion"}},
			{Keys: []string{"candidates", "usage_metadata"}},
			{Keys: []string{"candidates", "model_version"}},
			{Keys: []string{"promptFeedback", "usageMetadata"}},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, geminiDataset, recordResponse) },
	}
}

// GeminiRequest reads bodies of requests to generateContent alone.
func GeminiRequest() formats.Format {
	return formats.Format{
		Name:     "gemini_request",
		Datasets: []string{geminiDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"contents", "generationConfig"}},
			{Keys: []string{"contents", "generation_config"}},
			{Keys: []string{"contents", "systemInstruction"}},
			{Keys: []string{"contents", "system_instruction"}},
			{Keys: []string{"contents", "safetySettings"}},
			{Keys: []string{"contents", "tools"}},
			{Keys: []string{"contents", "config"}},
			{Keys: []string{"contents", "model"}},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, geminiDataset, recordRequest) },
	}
}

// BedrockRequest reads bodies of requests to Bedrock's Converse API alone.
func BedrockRequest() formats.Format {
	return formats.Format{
		Name:     "bedrock_request",
		Aliases:  []string{"bedrock_converse"},
		Datasets: []string{bedrockDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"modelId", "messages"}},
			{Keys: []string{"messages", "inferenceConfig"}},
			{Keys: []string{"messages", "toolConfig"}},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, bedrockDataset, recordRequest) },
	}
}

// Bedrock reads answers of Bedrock's Converse API alone. Records of request and response are those of OpenAI.
func Bedrock() formats.Format {
	return formats.Format{
		Name:       "bedrock_api",
		Datasets:   []string{bedrockDataset},
		Families:   []string{formats.FamilyLLM},
		Signatures: []formats.Signature{{Keys: []string{"output", "stopReason", "usage"}}, {Keys: []string{"output", "stopReason", "metrics"}}},
		NewReader:  func(p *formats.Paths) formats.Reader { return openAPI(p, bedrockDataset, recordResponse) },
	}
}

// Ollama reads answers of Ollama's own API alone. Its API in the form of OpenAI's is read as that.
func Ollama() formats.Format {
	return formats.Format{
		Name:     "ollama_api",
		Aliases:  []string{"ollama"},
		Datasets: []string{ollamaDataset},
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"model", "created_at", "message", "done"}},
			{Keys: []string{"model", "created_at", "response", "done"}},
		},
		NewReader: func(p *formats.Paths) formats.Reader { return openAPI(p, ollamaDataset, recordResponse) },
	}
}
