package schema

// Agent is the row of one agent in the inventory: all that events up to now have shown of it. Its JSON names are a contract.
type Agent struct {
	Tenant      string  `json:"tenant,omitempty"`
	AgentUID    string  `json:"agent_uid"`
	AgentName   string  `json:"agent_name,omitempty"`       // the latest of the names
	AgentSource string  `json:"agent_uid_source,omitempty"` // the latest of the rungs of the identity ladder
	Owner       string  `json:"owner,omitempty"`            // by the registry of the site
	Registered  bool    `json:"registered"`                 // the registry of the site has it
	FirstSeen   Instant `json:"first_seen"`
	LastSeen    Instant `json:"last_seen"`
	// NewestUse is the first_seen of the value that was the last one to be new.
	NewestUse Instant `json:"newest_use"`
	Totals
	Uses    Uses    `json:"uses"`
	Omitted Omitted `json:"omitted,omitzero"`
	Pos     uint64  `json:"pos"`  // number of the checkpoint that holds the row; a higher one replaces it
	Part    uint8   `json:"part"` // range of hashes that moves between processes as a whole
}

// Credential is the row of one credential in the inventory.
type Credential struct {
	Tenant         string  `json:"tenant,omitempty"`
	CredentialUID  string  `json:"credential_uid"`
	CredentialType string  `json:"credential_type,omitempty"` // the latest
	FirstSeen      Instant `json:"first_seen"`
	LastSeen       Instant `json:"last_seen"`
	NewestUse      Instant `json:"newest_use"`
	Totals
	Uses    Uses    `json:"uses"`
	Omitted Omitted `json:"omitted,omitzero"`
	Pos     uint64  `json:"pos"`
	Part    uint8   `json:"part"`
}

// ToolType tells the things apart that share the type Tool.
type ToolType string

// The types of tools.
const (
	ToolTool   ToolType = "tool"       // a tool that agents call
	ToolServer ToolType = "mcp_server" // an MCP server
	ToolModel  ToolType = "model"      // a model
)

// Tool is the row of one tool, MCP server or model in the inventory, with the agents behind it.
type Tool struct {
	Tenant    string   `json:"tenant,omitempty"`
	Type      ToolType `json:"type"`
	Name      string   `json:"name"`
	FirstSeen Instant  `json:"first_seen"`
	LastSeen  Instant  `json:"last_seen"`
	NewestUse Instant  `json:"newest_use"`
	Totals
	Uses    Uses    `json:"uses"`
	Omitted Omitted `json:"omitted,omitzero"`
	Pos     uint64  `json:"pos"`
	Part    uint8   `json:"part"`
}

// Activity is the row of one action of one agent in one minute of event time.
type Activity struct {
	Tenant   string  `json:"tenant,omitempty"`
	AgentUID string  `json:"agent_uid"`
	Minute   Instant `json:"minute"` // its beginning
	Class    string  `json:"class"`  // event.class
	Action   string  `json:"action"` // event.action; OmittedAction for those over the limit of a minute
	Totals
	Pos  uint64 `json:"pos"`
	Part uint8  `json:"part"`
}

// OmittedAction is the Action of the events of an agent's minute whose own actions are over the limit.
const OmittedAction = "(other actions)"
