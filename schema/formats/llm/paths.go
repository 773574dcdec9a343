package llm

// Places in a shape of BodyPaths.
const (
	bodyMessages = iota
	bodyInput
	bodyPrompt
	bodyInputText
	bodyMessage
	bodyContents
	bodySystem
	bodyInstructions
	bodyPreamble
	bodySystemInstruction
	bodySystemCamel
	bodyConfigSystem
	bodyConfigSystemCamel
	bodyRole
	bodyContent
	BodyPlaces // BodyPlaces is the number of BodyPaths.
)

// BodyPaths returns the paths that are read of a request's body, each at its place. A reader that reads more of the body
// appends its name paths.
func BodyPaths() [][]string {
	return [][]string{
		bodyMessages:     {"messages"},
		bodyInput:        {"input"},
		bodyPrompt:       {"prompt"},
		bodyInputText:    {"inputText"}, // Titan
		bodyMessage:      {"message"},   // Cohere, beside a history
		bodyContents:     {"contents"},  // Gemini
		bodySystem:       {"system"},
		bodyInstructions: {"instructions"},
		bodyPreamble:     {"preamble"},
		// Gemini's API, and the request of its SDKs, in which the system instruction is part of a configuration.
		bodySystemInstruction: {"system_instruction"},
		bodySystemCamel:       {"systemInstruction"},
		bodyConfigSystem:      {"config", "system_instruction"},
		bodyConfigSystemCamel: {"config", "systemInstruction"},
		bodyRole:              {"role"},
		bodyContent:           {"content"},
	}
}

// Places in a shape of messagePaths.
const (
	messageRole = iota
	messageType
	messageContent
	messageCalls
	messageCallID
	messageName
	messageFunctionCall
	messageItemCallID
	messageArguments
	messageOutput
	messageInput
	messageParts
	messageFinishReason
	messageStatus
	messageContentParts
	messageID
)

// messagePaths returns the paths that are read of a message, each at its place.
func messagePaths() [][]string {
	return [][]string{
		messageRole:         {"role"},
		messageType:         {"type"},
		messageContent:      {"content"},
		messageCalls:        {"tool_calls"},
		messageCallID:       {"tool_call_id"},
		messageName:         {"name"},
		messageFunctionCall: {"function_call"},
		messageItemCallID:   {"call_id"},
		messageArguments:    {"arguments"},
		messageOutput:       {"output"},
		messageInput:        {"input"},
		messageParts:        {"parts"},
		messageFinishReason: {"finish_reason"},
		messageStatus:       {"status"},
		messageID:           {"id"},
		messageContentParts: {"content", "parts"}, // Gemini's SDKs
	}
}

// Places in a shape of callPaths.
const (
	callID = iota
	callFunctionName
	callFunctionArguments
	callName
	callArguments
	callCustomName
	callCustomInput
	callParameters
)

// callPaths returns the paths that are read of a tool call, each at its place.
func callPaths() [][]string {
	return [][]string{
		callID:                {"id"},
		callFunctionName:      {"function", "name"},
		callFunctionArguments: {"function", "arguments"},
		callName:              {"name"},
		callArguments:         {"arguments"},
		callCustomName:        {"custom", "name"},
		callCustomInput:       {"custom", "input"},
		callParameters:        {"parameters"}, // Cohere
	}
}

// Places in a shape of offerPaths.
const (
	offerFunctionName = iota
	offerName
	offerSpecName
	offerServer
	offerType
	offerDeclarations
	offerDeclared
)

// offerPaths returns the paths that are read of a tool on offer, each at its place.
func offerPaths() [][]string {
	return [][]string{
		offerFunctionName: {"function", "name"},
		offerName:         {"name"},
		offerSpecName:     {"toolSpec", "name"},     // Converse
		offerServer:       {"server_label"},         // a whole MCP server
		offerType:         {"type"},                 // a tool that the provider runs
		offerDeclarations: {"functionDeclarations"}, // Gemini
		offerDeclared:     {"function_declarations"},
	}
}

// Places in a shape of partPaths.
const (
	partType = iota
	partText
	partID
	partName
	partInput
	partToolUseID
	partContent
	partIsError
	partRefusal
	partArguments
	partResponse
	partResult
	partJSON
	partGuardText
	partToolUseUseID
	partToolUseName
	partToolUseInput
	partToolResult
	partToolResultID
	partToolResultContent
	partToolResultStatus
	partServerName
	partContentError
	partThought
	partParts
	partFunctionCall
	partFunctionCallSnake
	partFunctionResponse
	partFunctionResponseSnake
	partCode
	partCodeSnake
	partCodeResult
	partCodeResultSnake
	partCallIDCamel
	partToolName
	partArgs
	partOutput
	partOutputValue
	partToolCall
	partTranscript
)

// partPaths returns the paths that are read of one part of a message's content, each at its place.
func partPaths() [][]string {
	return [][]string{
		partType:      {"type"},
		partText:      {"text"},
		partID:        {"id"},
		partName:      {"name"},
		partInput:     {"input"},
		partToolUseID: {"tool_use_id"},
		partContent:   {"content"},
		partIsError:   {"is_error"},
		partRefusal:   {"refusal"},
		partArguments: {"arguments"},
		partResponse:  {"response"},
		partResult:    {"result"},
		partJSON:      {"json"},
		// Converse
		partGuardText:         {"guardContent", "text", "text"},
		partToolUseUseID:      {"toolUse", "toolUseId"},
		partToolUseName:       {"toolUse", "name"},
		partToolUseInput:      {"toolUse", "input"},
		partToolResult:        {"toolResult"},
		partToolResultID:      {"toolResult", "toolUseId"},
		partToolResultContent: {"toolResult", "content"},
		partToolResultStatus:  {"toolResult", "status"},
		// Anthropic's tools that its servers run
		partServerName:   {"server_name"},
		partContentError: {"content", "error_code"},
		// Gemini
		partThought:               {"thought"},
		partParts:                 {"parts"},
		partFunctionCall:          {"functionCall"},
		partFunctionCallSnake:     {"function_call"},
		partFunctionResponse:      {"functionResponse"},
		partFunctionResponseSnake: {"function_response"},
		partCode:                  {"executableCode"},
		partCodeSnake:             {"executable_code"},
		partCodeResult:            {"codeExecutionResult"},
		partCodeResultSnake:       {"code_execution_result"},
		// The Vercel AI SDK
		partCallIDCamel: {"toolCallId"},
		partToolName:    {"toolName"},
		partArgs:        {"args"},
		partOutput:      {"output"},
		partOutputValue: {"output", "value"},
		partToolCall:    {"tool_call"},  // Haystack
		partTranscript:  {"transcript"}, // OpenAI's Realtime API
	}
}

// Places in a shape of AnswerPaths.
const (
	responseChoices = iota
	responseOutput
	responseContent
	responseStopReason
	responseText
	responseInner
	responseOutputMessage
	AnswerStop // AnswerStop is the place of the reason why a Converse model stopped.
	responseResults
	responseGenerations
	responseGeneration
	responseCompletion
	responseOutputs
	responseCompletions
	responseToolCalls
	responseMessage
	responseFinishReason
	responseCandidates
	responseDoneReason
	responseReplies
	answerTrace
	answerInvokeTrace
	answerPromptFilters
	answerContentFilters
	answerErrorFilters
	answerErrorFilterList
	answerAssessments
	AnswerPlaces // AnswerPlaces is the number of AnswerPaths.
)

// AnswerPaths returns the paths that are read of a response's body, each at its place. A reader that reads more of the
// body appends its name paths.
func AnswerPaths() [][]string {
	return [][]string{
		responseChoices:       {"choices"},
		responseOutput:        {"output"},
		responseContent:       {"content"},
		responseStopReason:    {"stop_reason"},
		responseText:          {"text"},
		responseInner:         {"response"},
		responseOutputMessage: {"output", "message"}, // Converse and Nova
		AnswerStop:            {"stopReason"},
		responseResults:       {"results"},     // Titan
		responseGenerations:   {"generations"}, // Cohere
		responseGeneration:    {"generation"},  // Llama
		responseCompletion:    {"completion"},  // Claude before messages
		responseOutputs:       {"outputs"},     // Mistral
		responseCompletions:   {"completions"}, // Jurassic
		responseToolCalls:     {"tool_calls"},  // Cohere
		responseMessage:       {"message"},
		responseFinishReason:  {"finish_reason"},
		responseCandidates:    {"candidates"},  // Gemini
		responseDoneReason:    {"done_reason"}, // Ollama
		responseReplies:       {"replies"},     // Haystack
		// Guardrails of Bedrock, and content filters of Azure OpenAI.
		answerTrace:           {"trace", "guardrail"},
		answerInvokeTrace:     {"amazon-bedrock-trace", "guardrail"},
		answerPromptFilters:   {"prompt_filter_results"},
		answerContentFilters:  {"content_filters"},
		answerErrorFilters:    {"error", "innererror", "content_filter_result"},
		answerErrorFilterList: {"error", "content_filter_results"},
		answerAssessments:     {"assessments"},
	}
}

// Places in a shape of choicePaths.
const (
	choiceMessage = iota
	choiceFinishReason
	choiceText
	choiceOutputText
	choiceCompletionReason
	choiceStopReason
	choiceDataText
	choiceReason
	choiceContent
	choiceFinish
	choiceFilters
)

// choicePaths returns the paths that are read of one of several answers, each at its place.
func choicePaths() [][]string {
	return [][]string{
		choiceMessage:          {"message"},
		choiceFinishReason:     {"finish_reason"},
		choiceText:             {"text"},
		choiceOutputText:       {"outputText"},
		choiceCompletionReason: {"completionReason"},
		choiceStopReason:       {"stop_reason"},
		choiceDataText:         {"data", "text"},
		choiceReason:           {"finishReason", "reason"},
		choiceContent:          {"content"},                // Gemini
		choiceFinish:           {"finishReason"},           // Gemini
		choiceFilters:          {"content_filter_results"}, // Azure OpenAI
	}
}
