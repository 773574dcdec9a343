package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// azureGraph reads the activity logs of Microsoft Graph and of its predecessor, Azure AD Graph: the HTTP requests of
// applications, on their own behalf or on a person's.
type azureGraph struct {
	properties *block
}

// Places in the properties.
const (
	graphTime = iota
	graphApp
	graphUser
	graphPrincipal
	graphAddress
	graphCaller
	graphMethod
	graphMethodOld
	graphURI
	graphStatus
	graphStatusOld
	graphRequest
	graphAgent
	graphSize
	graphSession
	graphSignIn
	graphDuration
	graphToken
	graphAuth
)

var graphPaths = [][]string{
	graphTime:      {"timeGenerated"},
	graphApp:       {"appId"},
	graphUser:      {"userId"},
	graphPrincipal: {"servicePrincipalId"},
	graphAddress:   {"ipAddress"},
	graphCaller:    {"callerIpAddress"},
	graphMethod:    {"requestMethod"},
	graphMethodOld: {"httpMethod"},
	graphURI:       {"requestUri"},
	graphStatus:    {"responseStatusCode"},
	graphStatusOld: {"httpStatusCode"},
	graphRequest:   {"requestId"},
	graphAgent:     {"userAgent"},
	graphSize:      {"responseSizeBytes"},
	graphSession:   {"sessionId"},
	graphSignIn:    {"signInActivityId"},
	graphDuration:  {"durationMs"},
	graphToken:     {"uniqueTokenId"},
	graphAuth:      {"clientAuthMethod"},
}

func newAzureGraph(p *formats.Paths) *azureGraph {
	return &azureGraph{properties: newBlock(p, []string{"properties"}, graphPaths)}
}

func (g *azureGraph) read(el *formats.Element, a *azure, resource string) {
	g.properties.open(el)
	at := func(place int) formats.Node { return g.properties.at(el, place) }
	if !a.start(el, "azure.graph_activity", resource, at(graphTime)) {
		return
	}
	method := el.FirstText(at(graphMethod), at(graphMethodOld))
	el.SetAPICall(method)
	el.SetText(schema.HTTPRequestMethod, method)
	host, path := formats.SplitURL(el.Text(at(graphURI)))
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.SetText(schema.ServiceTargetName, firstOf(host, "graph.windows.net"))
	el.CopyInt(schema.HTTPResponseBytes, at(graphSize))
	el.CopyText(schema.HTTPRequestID, at(graphRequest))
	if !el.Event.Has(schema.EventDuration) {
		el.CopyDuration(at(graphDuration), nsPerMilli)
	}
	g.outcome(el, a)
	a.source(el, at(graphAddress), at(graphCaller))
	el.CopyText(schema.UserAgentOriginal, at(graphAgent))
	el.CopyText(schema.CloudRegion, el.At(a.location))
	g.caller(el)
	el.Emit()
}

// outcome sets the outcome from the HTTP status, which the record's own keys have if the properties do not.
func (g *azureGraph) outcome(el *formats.Element, a *azure) {
	for _, n := range [...]formats.Node{
		g.properties.at(el, graphStatus), g.properties.at(el, graphStatusOld), el.At(a.outcome.signature),
	} {
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 0 {
			el.SetHTTPStatus(status)
			el.CopyInt(schema.HTTPResponseStatusCode, n)
			return
		}
	}
	el.SetOutcome(formats.Unknown)
}

// caller sets the fields of the caller: the application, with the person for whom it acts.
func (g *azureGraph) caller(el *formats.Element) {
	at := func(place int) formats.Node { return g.properties.at(el, place) }
	app, user, principal := el.Text(at(graphApp)), el.Text(at(graphUser)), el.Text(at(graphPrincipal))
	if user == noUser {
		user = ""
	}
	el.SetAgent("properties.appId", app)
	el.SetAgent("properties.servicePrincipalId", principal)
	if el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, user)
	}
	el.SetAgent("properties.userId", user)
	el.SetAgentByAddress(el.Text(at(graphAgent)))
	switch {
	case user != "":
		el.SetText(schema.UserType, "human")
	case app != "" || principal != "":
		el.SetText(schema.UserType, "service")
	}
	el.SetText(schema.UserID, firstOf(user, principal))
	el.SetText(schema.ClientAppID, app)
	el.CopyFirstText(schema.SessionID, at(graphSession), at(graphSignIn))
	el.CopyText(schema.CredentialUID, at(graphToken))
	if auth := el.Text(at(graphAuth)); auth == "1" || auth == "2" { // a client secret or a certificate
		el.SetText(schema.CredentialType, [...]string{"api_key", "mtls"}[auth[0]-'1'])
	}
}

// isGraphLog reports whether a category is one of the activity logs of Graph.
func isGraphLog(category string) bool {
	return strings.HasSuffix(category, "GraphActivityLogs")
}
