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
		Families: []string{formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: append([]string{"mcp_server"}, keys...)},
			{Keys: []string{"log_type", "mcp_server"}},
			{Keys: []string{"log_type", "identity"}, Path: []string{"log_type"}, Text: "mcp_server_access"},
		},
		NewReader: openMCPGateway,
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

func (m *mcpGateway) Read(el *formats.Element) {
	el.SetDataset("mcp.gateway_audit")
	if !el.SetTime(el.At(m.timestamp)) {
		return
	}
	el.CopyText(schema.EventID, el.At(m.requestID))
	el.CopyText(schema.TraceID, el.At(m.correlationID))
	m.identify(el)
	method := el.Text(el.At(m.method))
	action := method
	if action == "" {
		action = "access"
	}
	shown := formats.MCPPhase(method, false)
	if method == "" && el.Text(el.At(m.tool)) != "" {
		shown = formats.Called
	}
	el.SetTool(action, shown)
	el.SetText(schema.MCPMethodName, method)
	el.CopyText(schema.GenAIToolName, el.At(m.tool))
	el.CopyText(schema.GenAIToolCallID, el.At(m.rpcID))
	el.CopyText(schema.MCPResourceURI, el.At(m.resource))
	el.CopyText(schema.ResourceName, el.At(m.prompt))
	el.CopyFirstText(schema.MCPServerName, el.At(m.server), el.At(m.serverPath))
	el.CopyText(schema.MCPSessionID, el.At(m.session))
	el.CopyText(schema.SessionID, el.At(m.session))
	host, _ := formats.SplitURL(el.Text(el.At(m.target)))
	el.SetText(schema.ServiceTargetName, host)
	el.CopyDuration(el.At(m.duration), nsPerMilli)
	m.outcome(el)
	el.Emit()
}

// identify names the caller: by the id under which the gateway registered an agent or client, else by the user name,
// which for an agent is the name of its account.
func (m *mcpGateway) identify(el *formats.Element) {
	el.SetSourceIP(el.Text(el.At(m.clientIP)), "")
	el.SetAgent("identity.agent_id", el.Text(el.At(m.agentID)))
	el.SetAgent("identity.client_id", el.Text(el.At(m.clientID)))
	el.SetAgent("identity.username", el.Text(el.At(m.username)))
	el.SetAgent("identity.user_id", el.Text(el.At(m.userID)))
	el.SetAgentByAddress(el.Text(el.At(m.userAgent)))
	el.CopyText(schema.UserName, el.At(m.username))
	el.CopyText(schema.UserID, el.At(m.userID))
	el.CopyText(schema.ClientAppID, el.At(m.clientID))
	el.CopyText(schema.UserAgentOriginal, el.At(m.userAgent))
	switch el.FirstText(el.At(m.authMethod), el.At(m.credential)) {
	case "jwt_bearer", "jwt", "oauth2", "bearer_token":
		el.SetText(schema.CredentialType, "jwt")
	case "api_key", "static_token":
		el.SetText(schema.CredentialType, "api_key")
	case "session", "session_cookie", "cookie":
		el.SetText(schema.CredentialType, "session")
	case "mtls":
		el.SetText(schema.CredentialType, "mtls")
	}
}

// outcome sets the outcome from the status word and the error code.
func (m *mcpGateway) outcome(el *formats.Element) {
	el.CopyInt(schema.HTTPResponseStatusCode, el.At(m.httpStatus))
	switch el.Text(el.At(m.status)) {
	case "success", "ok":
		el.SetOutcome(formats.Success)
	case "denied", "forbidden", "unauthorized", "blocked":
		el.SetBlocked()
	case "error", "failure", "failed", "timeout":
		el.SetOutcome(formats.Failure)
	default:
		el.SetOutcome(formats.Unknown)
	}
	if status := el.Event.Int(schema.HTTPResponseStatusCode); status == 401 || status == 403 {
		el.SetBlocked()
	}
	if code := el.Text(el.At(m.errorCode)); code != "" {
		el.SetText(schema.ErrorType, code)
		el.SetOutcome(formats.Failure)
		if code == "401" || code == "403" || formats.IsDenied(code) {
			el.SetBlocked()
		}
	}
}
