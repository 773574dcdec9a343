package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The items of OpenAI's Responses API that are calls of tools. A kind is named after its tool, such as shell_call, and
// its result, if the caller ran the tool, comes back as another item, such as shell_call_output.
const (
	suffixCall           = "_call"
	suffixOutput         = "_call_output"
	itemListTools        = "mcp_list_tools"
	itemMCPCall          = "mcp_call"
	itemApprovalRequest  = "mcp_approval_request"
	itemApprovalResponse = "mcp_approval_response"
)

// isFunctionCall reports whether an item calls a function of the caller.
func isFunctionCall(kind string) bool { return kind == "function_call" || kind == "custom_tool_call" }

// isCallItem reports whether an item is a call of a tool, or the answer of a server that was asked for its tools.
func isCallItem(kind string) bool {
	return strings.HasSuffix(kind, suffixCall) || kind == itemApprovalRequest || kind == itemListTools
}

// roleOfItem returns the role of an item, which has none of its own.
func roleOfItem(kind string) role {
	switch {
	case strings.HasSuffix(kind, suffixOutput), kind == itemApprovalResponse:
		return tool
	case isCallItem(kind), kind == "reasoning", kind == "compaction":
		return assistant
	}
	return user
}

// Places in a shape of itemPaths.
const (
	itemID = iota
	itemCallID
	itemName
	itemServer
	itemStatus
	itemArguments
	itemAction
	itemOperation
	itemInput
	itemCode
	itemQueries
	itemPrompt
	itemOutput
	itemOutputs
	itemResults
	itemResult
	itemError
	itemErrorType
	itemErrorCode
	itemErrorContent
	itemTools
	itemApprovalID
	itemApprove
)

// itemPaths returns the paths that are read of an item that is a call, each at its place.
func itemPaths() [][]string {
	return [][]string{
		itemID:           {"id"},
		itemCallID:       {"call_id"},
		itemName:         {"name"},
		itemServer:       {"server_label"},
		itemStatus:       {"status"},
		itemArguments:    {"arguments"},
		itemAction:       {"action"},    // of a shell, a browser, a search
		itemOperation:    {"operation"}, // of a patch
		itemInput:        {"input"},
		itemCode:         {"code"},
		itemQueries:      {"queries"},
		itemPrompt:       {"revised_prompt"},
		itemOutput:       {"output"},
		itemOutputs:      {"outputs"},
		itemResults:      {"results"},
		itemResult:       {"result"},
		itemError:        {"error"},
		itemErrorType:    {"error", "type"},
		itemErrorCode:    {"error", "code"},
		itemErrorContent: {"error", "content"},
		itemTools:        {"tools"},
		itemApprovalID:   {"approval_request_id"},
		itemApprove:      {"approve"},
	}
}

// callItem returns an item that is a call of another tool than a function of the caller's.
func (c *Conversation) callItem(el *formats.Element, n formats.Node, kind string) ToolCall {
	c.item.Select(el, n)
	call := ToolCall{ID: el.FirstText(c.item.At(itemCallID), c.item.At(itemID)), Name: el.Text(c.item.At(itemName)), Server: el.Text(c.item.At(itemServer))}
	call.Arguments = c.argumentsOfItem(el)
	switch kind {
	case itemMCPCall:
		call.Method = formats.ActionMCPCall
	case itemListTools:
		call.Method, call.Tools = methodList, c.item.At(itemTools)
	case itemApprovalRequest:
		return call
	}
	if call.Name == "" && call.Method == "" {
		call.Name = strings.TrimSuffix(kind, suffixCall)
	}
	c.ranItem(el, kind, &call)
	return call
}

// argumentsOfItem returns the arguments of the selected item. A code, a list of queries or a prompt becomes an object
// with the item's key.
func (c *Conversation) argumentsOfItem(el *formats.Element) formats.Node {
	for _, place := range [...]int{itemArguments, itemAction, itemOperation, itemInput} {
		if n := c.item.At(place); n.Present() {
			return n
		}
	}
	for _, member := range [...]struct {
		place int
		key   string
	}{{itemCode, `{"code":`}, {itemQueries, `{"queries":`}, {itemPrompt, `{"prompt":`}} {
		if n := c.item.At(member.place); n.Present() {
			c.buffer = append(append(append(c.buffer[:0], member.key...), n.Raw()...), '}')
			return el.Parse(c.buffer)
		}
	}
	return formats.Node{}
}

// ranItem sets what the selected item shows about a tool that the provider ran: whether it succeeded, and its result.
// A tool of the caller's has a status too, but that is about the item.
func (c *Conversation) ranItem(el *formats.Element, kind string, call *ToolCall) {
	failed := c.item.At(itemError)
	for _, place := range [...]int{itemOutput, itemOutputs, itemResults, itemResult} {
		if n := c.item.At(place); n.Present() && !call.Returned {
			call.Returned, call.Value = true, n
		}
	}
	if kind == "image_generation_call" { // the image itself is not read
		call.Value = formats.Node{}
	}
	status := el.Text(c.item.At(itemStatus))
	if failed.Present() {
		call.Outcome, call.Returned = formats.Failure, true
		call.ErrorType = el.FirstText(c.item.At(itemErrorType), c.item.At(itemErrorCode))
		if call.Value = c.item.At(itemErrorContent); !call.Value.Present() {
			call.Value = failed
		}
	} else if isFailure(status) {
		call.Outcome = formats.Failure
	} else if status == "completed" && providerRan(kind) || call.Returned || kind == itemListTools {
		call.Outcome = formats.Success
	}
	call.Text = c.joined(el, call.Value)
}

// providerRan reports whether the provider itself runs the tool of such an item.
func providerRan(kind string) bool {
	switch kind {
	case itemMCPCall, "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "tool_search_call":
		return true
	}
	return false
}

// isFailure reports whether the status of an item is that of a failure.
func isFailure(status string) bool { return status == "failed" || status == "incomplete" }

// callOutput adds the result of a call, both of which are in one answer because the provider ran the tool. The item is
// the selected message.
func (c *Conversation) callOutput(el *formats.Element) {
	res := ToolResult{ID: el.FirstText(c.message.At(messageCallID), c.message.At(messageItemCallID)), Value: c.message.At(messageOutput)}
	res.Text = c.joined(el, res.Value)
	res.Failed = isFailure(el.Text(c.message.At(messageStatus)))
	c.returned(res)
}

// maxSearch is the number of calls that are searched for that of a result. In an answer a result follows its call.
const maxSearch = 64

// returned adds a result in an answer to its call, or to the results if the answer does not hold the call.
func (c *Conversation) returned(res ToolResult) {
	for i := len(c.Calls) - 1; i >= max(0, len(c.Calls)-maxSearch); i-- {
		call := &c.Calls[i]
		if call.ID != res.ID || call.Returned || res.ID == "" && call.Name != res.Name {
			continue
		}
		call.Returned, call.Text, call.Value, call.Outcome = true, res.Text, res.Value, formats.Success
		if res.Failed {
			call.Outcome = formats.Failure
		}
		return
	}
	c.addResult(res)
}

// approval adds the caller's answer to a server's request for approval.
func (c *Conversation) approval(el *formats.Element, n formats.Node) {
	c.item.Select(el, n)
	res := ToolResult{ID: el.Text(c.item.At(itemApprovalID)), Decision: formats.Blocked}
	switch approve := c.item.At(itemApprove); {
	case approve.True():
		res.Decision = formats.Allowed
	case approve.Kind != scan.False:
		return
	}
	res.Name = c.nameOf(el, res.ID)
	c.addResult(res)
}

// Places in a shape of functionPaths.
const (
	functionID = iota
	functionName
	functionArguments
	functionResponse
	functionCode
	functionOutput
	functionOutcome
	functionResponseError
	functionToolName
	functionPlainArguments
)

// functionPaths returns the paths that are read of a part of Gemini's API, below its kind, each at its place.
func functionPaths() [][]string {
	return [][]string{
		functionID:            {"id"},
		functionName:          {"name"},
		functionArguments:     {"args"},
		functionResponse:      {"response"},
		functionCode:          {"code"},
		functionOutput:        {"output"},
		functionOutcome:       {"outcome"},
		functionResponseError: {"response", "error"},
		// Haystack
		functionToolName:       {"tool_name"},
		functionPlainArguments: {"arguments"},
	}
}

// codeTool is the name of Gemini's tool that runs code of the model.
const codeTool = "code_execution"

// Sets of the places of a part's calls and results, in the forms that name no type.
var (
	partCalls   = formats.PlacesOf(partFunctionCall, partFunctionCallSnake, partToolCall, partCode, partCodeSnake)
	partResults = formats.PlacesOf(partFunctionResponse, partFunctionResponseSnake, partCodeResult, partCodeResultSnake)
)

// functionOf selects the first of the parts that is an object.
func (c *Conversation) functionOf(el *formats.Element, places ...int) bool {
	for _, place := range places {
		if n := c.part.At(place); n.Kind == scan.Object {
			c.function.Select(el, n)
			return true
		}
	}
	return false
}

// functionCall returns the selected part as a call of Gemini's API; ok is false if it is none.
func (c *Conversation) functionCall(el *formats.Element) (call ToolCall, ok bool) {
	if !c.part.HasAny(partCalls) {
		return call, false
	}
	if c.functionOf(el, partFunctionCall, partFunctionCallSnake) {
		call = ToolCall{ID: el.Text(c.function.At(functionID)), Name: el.Text(c.function.At(functionName)), Arguments: c.function.At(functionArguments)}
		return call, call.Name != ""
	}
	if c.functionOf(el, partToolCall) {
		call = ToolCall{
			ID: el.Text(c.function.At(functionID)), Name: el.Text(c.function.At(functionToolName)),
			Arguments: c.function.At(functionPlainArguments),
		}
		return call, call.Name != ""
	}
	if c.functionOf(el, partCode, partCodeSnake) && c.function.At(functionCode).Present() {
		c.buffer = append(append(append(c.buffer[:0], `{"code":`...), c.function.At(functionCode).Raw()...), '}')
		return ToolCall{ID: el.Text(c.function.At(functionID)), Name: codeTool, Arguments: el.Parse(c.buffer)}, true
	}
	return call, false
}

// functionResult returns the selected part as a result of Gemini's API; ok is false if it is none.
func (c *Conversation) functionResult(el *formats.Element) (res ToolResult, ok bool) {
	if !c.part.HasAny(partResults) {
		return res, false
	}
	if c.functionOf(el, partFunctionResponse, partFunctionResponseSnake) {
		res = ToolResult{ID: el.Text(c.function.At(functionID)), Name: el.Text(c.function.At(functionName)), Value: c.function.At(functionResponse)}
		res.Failed = c.function.At(functionResponseError).Present()
		return res, true
	}
	if c.functionOf(el, partCodeResult, partCodeResultSnake) {
		outcome := el.Text(c.function.At(functionOutcome))
		res = ToolResult{ID: el.Text(c.function.At(functionID)), Name: codeTool, Value: c.function.At(functionOutput)}
		res.Failed = outcome != "" && outcome != "OUTCOME_OK"
		return res, true
	}
	return res, false
}
