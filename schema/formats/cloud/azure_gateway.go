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
func (g *azureGateway) at(el *formats.Element, place int) formats.Node {
	if n := g.properties.at(el, place); n.Present() {
		return n
	}
	return g.properties.at(el, place+apimPascal)
}

func (g *azureGateway) read(el *formats.Element, a *azure, category string) {
	g.properties.open(el)
	g.chat.reset()
	a.source(el)
	el.CopyText(schema.UserAgentOriginal, g.at(el, apimUserAgent))
	switch category {
	case "GatewayLlmLogs":
		g.model(el)
		el.CopyText(schema.CloudRegion, el.At(a.location))
		g.chat.emit(el)
		return
	case "GatewayMCPLogs":
		g.tool(el)
	default:
		g.call(el)
	}
	el.CopyText(schema.CloudRegion, el.At(a.location))
	g.caller(el)
	g.chat.emit(el)
}

// call sets the fields of an API call. A call whose path is that of a model's API is an llm event.
func (g *azureGateway) call(el *formats.Element) {
	method, url := el.Text(g.at(el, apimMethod)), el.Text(g.at(el, apimURL))
	host, path := formats.SplitURL(url)
	op := operationOfPath(path)
	el.SetWorkflow(el.Text(g.at(el, apimOperation)))
	if op == "" {
		el.SetAPICall(method)
	} else {
		el.SetClass(formats.ClassLLM, op)
		el.SetText(schema.GenAIOperationName, op)
		el.SetText(schema.GenAIRequestModel, segmentAfter(path, "deployments"))
		g.chat.request(el, g.at(el, apimRequestBody))
		answer := g.at(el, apimResponseBody)
		if !answer.Present() {
			answer = g.at(el, apimBackendBody)
		}
		g.chat.response(el, answer)
	}
	el.SetText(schema.HTTPRequestMethod, method)
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyText(schema.HTTPRoute, g.at(el, apimOperation))
	el.CopyText(schema.ServiceTargetName, g.at(el, apimAPI))
	el.CopyInt(schema.HTTPRequestBytes, g.at(el, apimRequestSize))
	el.CopyInt(schema.HTTPResponseBytes, g.at(el, apimResponseSize))
	g.outcome(el)
}

// outcome sets the outcome from the HTTP status, else from isRequestSuccess.
func (g *azureGateway) outcome(el *formats.Element) {
	code, success := g.at(el, apimStatus), el.At(g.success)
	if !success.Present() {
		success = g.at(el, apimSuccess)
	}
	status, ok := scan.Int(code.Src, code.Span)
	switch {
	case ok:
		el.SetHTTPStatus(status)
	case success.True():
		el.SetOutcome(formats.Success)
	case success.Present():
		el.SetOutcome(formats.Failure)
	default:
		el.SetOutcome(formats.Unknown)
	}
	if !ok || status > 0 {
		el.CopyInt(schema.HTTPResponseStatusCode, code)
	}
	el.CopyFirstText(schema.ErrorType, g.at(el, apimError), g.at(el, apimErrorType))
}

// caller sets the fields of the caller: the subscription whose key was used, else the product together with the address.
func (g *azureGateway) caller(el *formats.Element) {
	subscription := el.Text(g.at(el, apimSubscription))
	el.SetAgent("properties.apimSubscriptionId", subscription)
	if product := el.Text(g.at(el, apimProduct)); product != "" && el.Event.Has(schema.SourceIP) {
		el.SetAgent("properties.productId|callerIpAddress", el.Arena.Concat(product, "|", el.Event.Text(schema.SourceIP)))
	}
	el.SetAgentByAddress(el.Text(g.at(el, apimUserAgent)))
	el.CopyText(schema.UserID, g.at(el, apimUser))
	if subscription != "" {
		el.SetText(schema.CredentialUID, subscription)
		el.SetText(schema.CredentialType, "api_key")
	}
}

// model sets the fields of a model's call. API Management splits long messages into several records, each of which has a
// list of messages of its own.
func (g *azureGateway) model(el *formats.Element) {
	el.SetClass(formats.ClassLLM, opChat)
	el.SetText(schema.GenAIOperationName, opChat)
	el.CopyFirstText(schema.GenAIRequestModel, g.at(el, apimDeployment), g.at(el, apimModel))
	el.CopyText(schema.GenAIResponseModel, g.at(el, apimModel))
	el.CopyInt(schema.GenAIUsageInputTokens, g.at(el, apimPromptTokens))
	el.CopyInt(schema.GenAIUsageOutputTokens, g.at(el, apimCompletionTokens))
	el.CopyText(schema.GenAIResponseID, g.at(el, apimRequestID))
	el.SetOutcome(formats.Success)
	g.chat.conversation.Request(el, messages(el, g.at(el, apimRequestMessages)))
	if answer := messages(el, g.at(el, apimResponseMessages)); answer.Kind == scan.Array {
		g.chat.response(el, answer)
	} else {
		g.chat.conversation.Response(el, answer)
	}
}

// messages returns the list that is encoded in a string, as API Management writes messages. Any other value is part of a
// message's text and is returned as it is, even if it looks like JSON.
func messages(el *formats.Element, n formats.Node) formats.Node {
	if list, ok := el.Unwrap(n); ok && list.Kind == scan.Array {
		return list
	}
	return n
}

// tool sets the fields of a call of an MCP server.
func (g *azureGateway) tool(el *formats.Element) {
	method := el.Text(g.at(el, apimMethod))
	el.SetTool(method, formats.MCPPhase(method, false))
	el.SetText(schema.MCPMethodName, method)
	el.CopyText(schema.MCPServerName, g.at(el, apimServer))
	el.CopyText(schema.GenAIToolName, g.at(el, apimTool))
	el.CopyText(schema.MCPSessionID, g.at(el, apimSession))
	el.CopyText(schema.SessionID, g.at(el, apimSession))
	el.CopyText(schema.ClientAppName, g.at(el, apimClient))
	el.SetOutcome(formats.Success)
	if failed := g.at(el, apimErrorType); failed.Present() && el.Text(failed) != "" {
		el.SetOutcome(formats.Failure)
		el.CopyText(schema.ErrorType, failed)
	}
}
