package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// MCPGatewayAudit is the audit log of a gateway before MCP servers: who called which method of which server, and what
// became of it. It holds neither arguments nor results.
func MCPGatewayAudit() formats.Format {
	keys := []string{"log_type", "mcp_request"}
	return formats.Format{
		Name:     "mcp_gateway_audit",
		Aliases:  []string{"mcp_gateway"},
		Datasets: []string{"mcp.gateway_audit"},
		Tells: []formats.Tell{
			{Keys: append([]string{"mcp_server"}, keys...)},
			{Keys: []string{"log_type", "mcp_server"}},
			{Keys: []string{"log_type", "identity"}, Path: []string{"log_type"}, Text: "mcp_server_access"},
		},
		Open: openMCPGateway,
	}
}

// mcpGateway holds the places of a record's values.
type mcpGateway struct {
	timestamp, requestID, correlationID, clientIP, userAgent    int
	username, userID, clientID, agentID, authMethod, credential int
	server, serverPath, target                                  int
	method, tool, resource, prompt, session, rpcID              int
	status, duration, errorCode, httpStatus                     int
}

func openMCPGateway(p *formats.Paths) formats.Reader {
	identity := func(key string) int { return p.Add("identity", key) }
	request := func(key string) int { return p.Add("mcp_request", key) }
	response := func(key string) int { return p.Add("mcp_response", key) }
	return &mcpGateway{
		timestamp: p.Add("timestamp"), requestID: p.Add("request_id"), correlationID: p.Add("correlation_id"), clientIP: p.Add("client_ip"),
		userAgent: p.Add("user_agent"), username: identity("username"), userID: identity("user_id"), clientID: identity("client_id"),
		agentID: identity("agent_id"), authMethod: identity("auth_method"), credential: identity("credential_type"),
		server: p.Add("mcp_server", "name"), serverPath: p.Add("mcp_server", "path"), target: p.Add("mcp_server", "proxy_target"),
		method: request("method"), tool: request("tool_name"), resource: request("resource_uri"), prompt: request("prompt_name"),
		session: request("mcp_session_id"), rpcID: request("jsonrpc_id"), status: response("status"), duration: response("duration_ms"),
		errorCode: response("error_code"), httpStatus: response("status_code"),
	}
}

func (m *mcpGateway) Read(r *formats.Record) {
	r.Begin("mcp.gateway_audit")
	if !r.Start(r.At(m.timestamp)) {
		return
	}
	r.SetText(schema.EventID, r.At(m.requestID))
	r.SetText(schema.TraceID, r.At(m.correlationID))
	m.identify(r)
	method := r.Text(r.At(m.method))
	action := method
	if action == "" {
		action = "access"
	}
	r.SetClass(formats.ClassTool, action)
	r.Put(schema.MCPMethodName, method)
	r.SetText(schema.GenAIToolName, r.At(m.tool))
	r.SetText(schema.GenAIToolCallID, r.At(m.rpcID))
	r.SetText(schema.MCPResourceURI, r.At(m.resource))
	r.SetText(schema.ResourceName, r.At(m.prompt))
	r.SetFirst(schema.MCPServerName, r.At(m.server), r.At(m.serverPath))
	r.SetText(schema.MCPSessionID, r.At(m.session))
	r.SetText(schema.SessionID, r.At(m.session))
	host, _ := formats.SplitURL(r.Text(r.At(m.target)))
	r.Put(schema.ServiceTargetName, host)
	r.SetDuration(r.At(m.duration), nsPerMilli)
	m.outcome(r)
	r.Emit()
}

// identify tells who calls: an agent or client that the gateway knows by an id, else the user's name, which for agents is
// the name of their account.
func (m *mcpGateway) identify(r *formats.Record) {
	r.SetSource(r.Text(r.At(m.clientIP)), "")
	r.Agent("identity.agent_id", r.Text(r.At(m.agentID)))
	r.Agent("identity.client_id", r.Text(r.At(m.clientID)))
	r.Agent("identity.username", r.Text(r.At(m.username)))
	r.Agent("identity.user_id", r.Text(r.At(m.userID)))
	r.AgentByAddress(r.Text(r.At(m.userAgent)))
	r.SetText(schema.UserName, r.At(m.username))
	r.SetText(schema.UserID, r.At(m.userID))
	r.SetText(schema.ClientAppID, r.At(m.clientID))
	r.SetText(schema.UserAgentOriginal, r.At(m.userAgent))
	switch r.FirstText(r.At(m.authMethod), r.At(m.credential)) {
	case "jwt_bearer", "jwt", "oauth2", "bearer_token":
		r.Put(schema.CredentialType, "jwt")
	case "api_key", "static_token":
		r.Put(schema.CredentialType, "api_key")
	case "session", "session_cookie", "cookie":
		r.Put(schema.CredentialType, "session")
	case "mtls":
		r.Put(schema.CredentialType, "mtls")
	}
}

// outcome reads the status, in words, and the error's code.
func (m *mcpGateway) outcome(r *formats.Record) {
	r.SetInt(schema.HTTPResponseStatusCode, r.At(m.httpStatus))
	switch r.Text(r.At(m.status)) {
	case "success", "ok":
		r.SetOutcome(formats.Success)
	case "denied", "forbidden", "unauthorized", "blocked":
		r.Block()
	case "error", "failure", "failed", "timeout":
		r.SetOutcome(formats.Failure)
	default:
		r.SetOutcome(formats.Unknown)
	}
	if status := r.Event.Int(schema.HTTPResponseStatusCode); status == 401 || status == 403 {
		r.Block()
	}
	if code := r.Text(r.At(m.errorCode)); code != "" {
		r.Put(schema.ErrorType, code)
		r.SetOutcome(formats.Failure)
		if code == "401" || code == "403" || formats.Denied(code) {
			r.Block()
		}
	}
}
