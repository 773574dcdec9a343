package cloud

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// azureGateway reads the logs of API Management: calls of APIs, of models and of MCP servers. Records of the latter two do
// not have the caller; it is in the record of the API call that has the same trace.id.
type azureGateway struct {
	properties *block
	success    int // isRequestSuccess
	chat       *chat
}

// Places in the properties. The documentation has the keys in Pascal case, the logs have them in camel case: both are read.
const (
	apimMethod = iota
	apimURL
	apimStatus
	apimRequestSize
	apimResponseSize
	apimAPI
	apimOperation
	apimProduct
	apimSubscription
	apimUser
	apimError
	apimRequestBody
	apimResponseBody
	apimBackendBody
	apimUserAgent
	apimSuccess
	apimModel
	apimDeployment
	apimPromptTokens
	apimCompletionTokens
	apimRequestMessages
	apimResponseMessages
	apimRequestID
	apimServer
	apimTool
	apimSession
	apimClient
	apimErrorType
	apimPascal // the first place of the keys in Pascal case, which follow in the same order
)

var apimKeys = [apimPascal][2]string{
	apimMethod:           {"method", "Method"},
	apimURL:              {"url", "Url"},
	apimStatus:           {"responseCode", "ResponseCode"},
	apimRequestSize:      {"requestSize", "RequestSize"},
	apimResponseSize:     {"responseSize", "ResponseSize"},
	apimAPI:              {"apiId", "ApiId"},
	apimOperation:        {"operationId", "OperationId"},
	apimProduct:          {"productId", "ProductId"},
	apimSubscription:     {"apimSubscriptionId", "ApimSubscriptionId"},
	apimUser:             {"userId", "UserId"},
	apimError:            {"lastErrorReason", "LastErrorReason"},
	apimRequestBody:      {"requestBody", "RequestBody"},
	apimResponseBody:     {"responseBody", "ResponseBody"},
	apimBackendBody:      {"backendResponseBody", "BackendResponseBody"},
	apimUserAgent:        {"userAgent", "UserAgent"},
	apimSuccess:          {"isRequestSuccess", "IsRequestSuccess"},
	apimModel:            {"modelName", "ModelName"},
	apimDeployment:       {"deploymentName", "DeploymentName"},
	apimPromptTokens:     {"promptTokens", "PromptTokens"},
	apimCompletionTokens: {"completionTokens", "CompletionTokens"},
	apimRequestMessages:  {"requestMessages", "RequestMessages"},
	apimResponseMessages: {"responseMessages", "ResponseMessages"},
	apimRequestID:        {"requestId", "RequestId"},
	apimServer:           {"serverName", "ServerName"},
	apimTool:             {"toolName", "ToolName"},
	apimSession:          {"sessionId", "SessionId"},
	apimClient:           {"clientName", "ClientName"},
	apimErrorType:        {"errorType", "ErrorType"},
}

func newAzureGateway(p *formats.Paths) *azureGateway {
	var paths [][]string
	for spelling := range 2 {
		for _, key := range apimKeys {
			paths = append(paths, []string{key[spelling]})
		}
	}
	return &azureGateway{
		properties: newBlock(p, []string{"properties"}, paths),
		success:    p.Add("isRequestSuccess"),
		chat:       newChat(),
	}
}

// at returns a property, from its key in either case.
func (g *azureGateway) at(r *formats.Record, place int) formats.Node {
	if n := g.properties.at(r, place); n.Present() {
		return n
	}
	return g.properties.at(r, place+apimPascal)
}

func (g *azureGateway) read(r *formats.Record, a *azure, category string) {
	g.properties.open(r)
	g.chat.reset()
	a.source(r)
	r.SetText(schema.UserAgentOriginal, g.at(r, apimUserAgent))
	switch category {
	case "GatewayLlmLogs":
		g.model(r)
		r.SetText(schema.CloudRegion, r.At(a.location))
		g.chat.emit(r)
		return
	case "GatewayMCPLogs":
		g.tool(r)
	default:
		g.call(r)
	}
	r.SetText(schema.CloudRegion, r.At(a.location))
	g.caller(r)
	g.chat.emit(r)
}

// call sets the fields of an API call. A call whose path is that of a model's API is an llm event.
func (g *azureGateway) call(r *formats.Record) {
	method, url := r.Text(g.at(r, apimMethod)), r.Text(g.at(r, apimURL))
	host, path := formats.SplitURL(url)
	op := operationOfPath(path)
	if op == "" {
		r.SetCall(method)
	} else {
		r.SetClass(formats.ClassLLM, op)
		r.Put(schema.GenAIOperationName, op)
		r.Put(schema.GenAIRequestModel, segmentAfter(path, "deployments"))
		g.chat.request(r, g.at(r, apimRequestBody))
		answer := g.at(r, apimResponseBody)
		if !answer.Present() {
			answer = g.at(r, apimBackendBody)
		}
		g.chat.response(r, answer)
	}
	r.Put(schema.HTTPRequestMethod, method)
	r.Put(schema.URLDomain, host)
	r.Put(schema.URLPath, path)
	r.SetText(schema.HTTPRoute, g.at(r, apimOperation))
	r.SetText(schema.ServiceTargetName, g.at(r, apimAPI))
	r.SetInt(schema.HTTPRequestBytes, g.at(r, apimRequestSize))
	r.SetInt(schema.HTTPResponseBytes, g.at(r, apimResponseSize))
	g.outcome(r)
}

// outcome sets the outcome from the HTTP status, else from isRequestSuccess.
func (g *azureGateway) outcome(r *formats.Record) {
	code, success := g.at(r, apimStatus), r.At(g.success)
	if !success.Present() {
		success = g.at(r, apimSuccess)
	}
	status, ok := scan.Int(code.Src, code.Span)
	switch {
	case ok:
		r.SetStatus(status)
	case success.True():
		r.SetOutcome(formats.Success)
	case success.Present():
		r.SetOutcome(formats.Failure)
	default:
		r.SetOutcome(formats.Unknown)
	}
	if !ok || status > 0 {
		r.SetInt(schema.HTTPResponseStatusCode, code)
	}
	r.SetFirst(schema.ErrorType, g.at(r, apimError), g.at(r, apimErrorType))
}

// caller sets the fields of the caller: the subscription whose key was used, else the product together with the address.
func (g *azureGateway) caller(r *formats.Record) {
	subscription := r.Text(g.at(r, apimSubscription))
	r.Agent("properties.apimSubscriptionId", subscription)
	if product := r.Text(g.at(r, apimProduct)); product != "" && r.Event.Has(schema.SourceIP) {
		r.Agent("properties.productId|callerIpAddress", r.Arena.Concat(product, "|", r.Event.Text(schema.SourceIP)))
	}
	r.AgentByAddress(r.Text(g.at(r, apimUserAgent)))
	r.SetText(schema.UserID, g.at(r, apimUser))
	if subscription != "" {
		r.Put(schema.CredentialUID, subscription)
		r.Put(schema.CredentialType, "api_key")
	}
}

// model sets the fields of a model's call. API Management splits long messages into several records, each of which has a
// list of messages of its own.
func (g *azureGateway) model(r *formats.Record) {
	r.SetClass(formats.ClassLLM, opChat)
	r.Put(schema.GenAIOperationName, opChat)
	r.SetFirst(schema.GenAIRequestModel, g.at(r, apimDeployment), g.at(r, apimModel))
	r.SetText(schema.GenAIResponseModel, g.at(r, apimModel))
	r.SetInt(schema.GenAIUsageInputTokens, g.at(r, apimPromptTokens))
	r.SetInt(schema.GenAIUsageOutputTokens, g.at(r, apimCompletionTokens))
	r.SetText(schema.GenAIResponseID, g.at(r, apimRequestID))
	r.SetOutcome(formats.Success)
	g.chat.conversation.Request(r, messages(r, g.at(r, apimRequestMessages)))
	if answer := messages(r, g.at(r, apimResponseMessages)); answer.Kind == scan.Array {
		g.chat.response(r, answer)
	} else {
		g.chat.conversation.Response(r, answer)
	}
}

// messages returns the list that is encoded in a string, as API Management writes messages. Any other value is part of a
// message's text and is returned as it is, even if it looks like JSON.
func messages(r *formats.Record, n formats.Node) formats.Node {
	if list, ok := r.Inside(n); ok && list.Kind == scan.Array {
		return list
	}
	return n
}

// tool sets the fields of a call of an MCP server.
func (g *azureGateway) tool(r *formats.Record) {
	method := r.Text(g.at(r, apimMethod))
	r.SetClass(formats.ClassTool, method)
	r.Put(schema.MCPMethodName, method)
	r.SetText(schema.MCPServerName, g.at(r, apimServer))
	r.SetText(schema.GenAIToolName, g.at(r, apimTool))
	r.SetText(schema.MCPSessionID, g.at(r, apimSession))
	r.SetText(schema.SessionID, g.at(r, apimSession))
	r.SetText(schema.ClientAppName, g.at(r, apimClient))
	r.SetOutcome(formats.Success)
	if failed := g.at(r, apimErrorType); failed.Present() && r.Text(failed) != "" {
		r.SetOutcome(formats.Failure)
		r.SetText(schema.ErrorType, failed)
	}
}
