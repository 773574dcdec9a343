package site

// Kind is a kind of thing that an agent uses and that its entry in the registry may restrict.
type Kind uint8

// The kinds.
const (
	Tool Kind = iota
	MCPServer
	Model
	Route
	Destination
	CloudAction
	Network
	Workflow
	Scope
	Credential
	NumKinds // the number of kinds
)

// kindInfo describes the kinds. name is the singular word in agent.allows_NAME, key the list in an entry, and value the
// value of an event that is compared.
var kindInfo = [NumKinds]struct{ name, key, value string }{
	Tool:        {"tool", "tools", "`gen_ai.tool.name`"},
	MCPServer:   {"mcp_server", "mcp_servers", "`mcp.server.name`"},
	Model:       {"model", "models", "`gen_ai.request.model`"},
	Route:       {"route", "routes", "`http.route`, else `url.path`"},
	Destination: {"destination", "destinations", "`url.domain`"},
	CloudAction: {"cloud_action", "cloud_actions", "`event.action` of an audit record, such as `s3:GetObject`"},
	Network:     {"network", "networks", "`source.ip`"},
	Workflow:    {"workflow", "workflows", "`ai_agent.workflow`"},
	Scope:       {"scope", "scopes", "`service.target.name` and `event.type` with a colon between, such as `s3.amazonaws.com:read`"},
	Credential:  {"credential", "credentials", "`credential.uid`"},
}

// Kinds returns all kinds, in the order in which they are listed everywhere.
func Kinds() []Kind {
	out := make([]Kind, NumKinds)
	for k := range out {
		out[k] = Kind(k)
	}
	return out
}

// String returns the singular word of the kind: tool, mcp_server, model ...
func (k Kind) String() string { return kindInfo[k].name }

// Key returns the key of the kind's list in an entry: tools, mcp_servers, models ...
func (k Kind) Key() string { return kindInfo[k].key }

// KindNamed returns the kind with the singular word; ok is false if there is none.
func KindNamed(name string) (k Kind, ok bool) {
	for k := range NumKinds {
		if kindInfo[k].name == name {
			return k, true
		}
	}
	return 0, false
}
