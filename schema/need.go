package schema

// Need is a fact that rules need of events and that a producer may have to switch on. The numbers are part of the format of
// stored counts: needs are added at the end.
type Need uint8

// The needs. Arguments and results are needed of the events that a call was made in, or that a result came back in.
const (
	NeedAgent     Need = iota // ai_agent.uid
	NeedSession               // session.id, mcp.session.id or gen_ai.conversation.id
	NeedTool                  // gen_ai.tool.name
	NeedArguments             // gen_ai.tool.call.arguments of calls
	NeedResult                // gen_ai.tool.call.result of results
	NeedOutcome               // event.outcome that is known
	NumNeeds
)

var needNames = [NumNeeds]string{"agent", "session", "tool", "arguments", "result", "outcome"}

// String returns the name of the need in tables, JSON and SQL.
func (n Need) String() string { return needNames[n] }

// Needs returns all needs.
func Needs() []Need {
	return []Need{NeedAgent, NeedSession, NeedTool, NeedArguments, NeedResult, NeedOutcome}
}

// NeedSet is a set of needs, one bit each.
type NeedSet uint8

// Has reports whether the set has a need.
func (s NeedSet) Has(n Need) bool { return s&(1<<n) != 0 }

// everyEvent are the needs of every event, whatever it is.
const everyEvent NeedSet = 1<<NeedAgent | 1<<NeedSession | 1<<NeedTool | 1<<NeedOutcome

// NeedsOf returns the facts that an event should carry and, of these, the ones that it lacks. It is what `aidr formats coverage`
// counts, and the table source_quality_1h. It is called for each event and allocates nothing.
func NeedsOf(e *Event) (should, lacks NeedSet) {
	should = everyEvent
	if e.Value(GenAIToolCalled).Bool() {
		should |= 1 << NeedArguments
	}
	if e.Value(GenAIToolReturned).Bool() {
		should |= 1 << NeedResult
	}
	if !e.Has(AIAgentUID) {
		lacks |= 1 << NeedAgent
	}
	if !e.Has(SessionID) && !e.Has(MCPSessionID) && !e.Has(GenAIConversationID) {
		lacks |= 1 << NeedSession
	}
	if !e.Has(GenAIToolName) {
		lacks |= 1 << NeedTool
	}
	if !e.Has(GenAIToolCallArguments) {
		lacks |= 1 << NeedArguments
	}
	if !e.Has(GenAIToolCallResult) {
		lacks |= 1 << NeedResult
	}
	if outcome := e.Text(EventOutcome); outcome == "" || outcome == "unknown" {
		lacks |= 1 << NeedOutcome
	}
	return should, lacks & should
}

// NeedFields returns the fields that NeedsOf reads. Decoding has to extract them.
func NeedFields() FieldSet {
	return Fields(AIAgentUID, SessionID, MCPSessionID, GenAIConversationID, GenAIToolName, GenAIToolCalled, GenAIToolReturned,
		GenAIToolCallArguments, GenAIToolCallResult, EventOutcome)
}
