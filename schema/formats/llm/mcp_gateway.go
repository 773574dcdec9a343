package llm

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// MCPGatewayAudit reads the audit log of a gateway in front of MCP servers: the caller, the server, the method and the
// outcome of each call. The log holds neither arguments nor results.
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

// mcpGateway reads the gateway's records. Its int fields are places in a record.
type mcpGateway struct {
	timestamp, requestID, correlationID int // timestamp, request_id, correlation_id
	clientIP, userAgent                 int // client_ip, user_agent
	username, userID, clientID, agentID int // identity.{username, user_id, client_id, agent_id}
	authMethod, credential              int // identity.{auth_method, credential_type}
	server, serverPath, target          int // mcp_server.{name, path, proxy_target}
	method, tool, resource, prompt      int // mcp_request.{method, tool_name, resource_uri, prompt_name}
	session, rpcID                      int // mcp_request.{mcp_session_id, jsonrpc_id}
	status, duration                    int // mcp_response.{status, duration_ms}
	errorCode, httpStatus               int // mcp_response.{error_code, status_code}
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

// identify names the caller: by the id under which the gateway registered an agent or client, else by the user name,
// which for an agent is the name of its account.
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

// outcome sets the outcome from the status word and the error code.
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
