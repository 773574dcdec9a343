package formats

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Phase is a set of the phases of a tool call that a record shows: gen_ai.tool.called and gen_ai.tool.returned. A call that
// failed or was refused is a call, and an error that came back is a result.
type Phase uint8

// The phases of a tool call. A record of a tool that ran shows both.
const (
	// Called is for a record of the call: a model asks for it, a client sends it, or a tool ran.
	Called Phase = 1 << iota
	// Returned is for a record of a tool's result. The contents of an MCP resource or prompt count too: they reach
	// the model in the same way, and a bare MCP response does not show which of the three it is.
	Returned
)

// The actions of tool events: of a model's request, of a result in a model's request, of a call over MCP, of a
// prompt that an MCP server gives, and of a tool's run.
const (
	ActionToolCall    = "tool_call"
	ActionToolResult  = "tool_result"
	ActionMCPCall     = "tools/call"
	ActionPrompt      = "prompts/get"
	ActionExecuteTool = "execute_tool"
)

// phases lists the fields of the phases.
var phases = schema.Fields(schema.GenAIToolCalled, schema.GenAIToolReturned)

// SetTool makes the event one of a tool, with the phases that the record shows of its call.
func (el *Element) SetTool(action string, shown Phase) {
	el.SetClass(ClassTool, action)
	el.SetPhase(shown)
}

// SetPhase sets the phases that the record shows of a tool's call, after SetClass.
func (el *Element) SetPhase(shown Phase) {
	if shown&Called != 0 {
		el.setTrue(schema.GenAIToolCalled)
	}
	if shown&Returned != 0 {
		el.setTrue(schema.GenAIToolReturned)
	}
}

// setTrue sets a bool field. The field is absent from events for which it is false.
func (el *Element) setTrue(f schema.Field) {
	if el.Wanted(f) {
		el.Event.Set(f, schema.BoolValue(true))
	}
}

// MCPPhase returns the phases that a record of an MCP request shows. answered is true if the record holds the response too.
func MCPPhase(method string, answered bool) Phase {
	switch {
	case method == ActionMCPCall && answered:
		return Called | Returned
	case method == ActionMCPCall:
		return Called
	case answered && (method == "resources/read" || method == ActionPrompt):
		return Returned
	}
	return 0
}

// isMCPMethod reports whether an action is a method of MCP: one with a slash, or one of the two methods without.
func isMCPMethod(action string) bool {
	return strings.IndexByte(action, '/') > 0 || action == "initialize" || action == "ping"
}

// OfTool reports whether an event with this action and class concerns a single tool, so that a name in its record is that of
// a tool. All actions do but the methods of MCP other than tools/call: in prompts/get, for example, it is that of a prompt.
func OfTool(class, action string) bool {
	return class == ClassTool && (action == ActionMCPCall || !isMCPMethod(action))
}

// ToolPhase returns the phases that an event of class tool shows in a format that only names the action. arguments and result
// are true if the record holds these. An action with a slash is a method of MCP.
func ToolPhase(action string, arguments, result bool) Phase {
	var shown Phase
	switch {
	case isMCPMethod(action):
		shown = MCPPhase(action, result)
	case action == ActionToolResult && !arguments:
		shown = Returned
	case action == ActionToolResult || action == ActionExecuteTool:
		shown = Called | Returned
	default:
		shown = Called
	}
	if result && shown&Called != 0 {
		shown |= Returned
	}
	return shown
}
