package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// azureWeb reads the access and firewall logs of Application Gateway and Front Door.
type azureWeb struct {
	properties *block
}

// Places in the properties, under the keys of both services.
const (
	webTime = iota
	webMethod
	webURI
	webQuery
	webStatus
	webStatusFrontDoor
	webAgent
	webClientUpper
	webClient
	webReceived
	webSent
	webRequestBytes
	webResponseBytes
	webTaken
	webHost
	webOriginalHost
	webHostName
	webHostLower
	webRule
	webRoute
	webBackend
	webOrigin
	webTransaction
	webTracking
	webError
	webRuleName
	webRuleID
	webRuleSet
	webAction
	webMessage
	webPolicy
)

var webPaths = [][]string{
	webTime:            {"timeStamp"},
	webMethod:          {"httpMethod"},
	webURI:             {"requestUri"},
	webQuery:           {"requestQuery"},
	webStatus:          {"httpStatus"},
	webStatusFrontDoor: {"httpStatusCode"},
	webAgent:           {"userAgent"},
	webClientUpper:     {"clientIP"},
	webClient:          {"clientIp"},
	webReceived:        {"receivedBytes"},
	webSent:            {"sentBytes"},
	webRequestBytes:    {"requestBytes"},
	webResponseBytes:   {"responseBytes"},
	webTaken:           {"timeTaken"},
	webHost:            {"host"},
	webOriginalHost:    {"originalHost"},
	webHostName:        {"hostName"},
	webHostLower:       {"hostname"},
	webRule:            {"ruleName"},
	webRoute:           {"routingRuleName"},
	webBackend:         {"backendPoolName"},
	webOrigin:          {"originName"},
	webTransaction:     {"transactionId"},
	webTracking:        {"trackingReference"},
	webError:           {"errorInfo"},
	webRuleName:        {"ruleSetType"},
	webRuleID:          {"ruleId"},
	webRuleSet:         {"ruleGroup"},
	webAction:          {"action"},
	webMessage:         {"message"},
	webPolicy:          {"policy"},
}

func newAzureWeb(p *formats.Paths) *azureWeb {
	return &azureWeb{properties: newBlock(p, []string{"properties"}, webPaths)}
}

// webDataset returns the dataset of a category of Application Gateway or Front Door, or "" for another one.
func webDataset(category string) string {
	switch category {
	case "ApplicationGatewayAccessLog", "ApplicationGatewayFirewallLog":
		return "azure.application_gateway"
	case "FrontDoorAccessLog", "FrontdoorAccessLog", "FrontDoorWebApplicationFirewallLog", "FrontdoorWebApplicationFirewallLog":
		return "azure.front_door"
	}
	return ""
}

func (w *azureWeb) read(el *formats.Element, a *azure, dataset, category, resource string) {
	w.properties.open(el)
	at := func(place int) formats.Node { return w.properties.at(el, place) }
	if !a.start(el, dataset, resource, el.At(a.timeStamp), at(webTime)) {
		return
	}
	method := el.Text(at(webMethod))
	el.SetAPICall(method)
	el.SetText(schema.HTTPRequestMethod, method)
	host, path := formats.SplitURL(el.Text(at(webURI)))
	if host == "" {
		host = formats.Host(el.FirstText(at(webOriginalHost), at(webHostName), at(webHost), at(webHostLower)))
	}
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyFirstInt(schema.HTTPRequestBytes, at(webReceived), at(webRequestBytes))
	el.CopyFirstInt(schema.HTTPResponseBytes, at(webSent), at(webResponseBytes))
	el.CopyDuration(at(webTaken), nsPerSecond)
	el.CopyFirstText(schema.ServiceTargetName, at(webBackend), at(webOrigin))
	el.CopyFirstText(schema.HTTPRequestID, at(webTransaction), at(webTracking))
	a.source(el, at(webClientUpper), at(webClient))
	el.CopyText(schema.UserAgentOriginal, at(webAgent))
	el.SetAgentByAddress(el.Text(at(webAgent)))
	el.CopyText(schema.CloudRegion, el.At(a.location))
	if strings.HasSuffix(category, "FirewallLog") {
		w.firewall(el)
	} else {
		w.access(el)
	}
	el.Emit()
}

// nsPerSecond is the unit of the durations of web servers, in ns.
const nsPerSecond = 1e9

// access sets the outcome of a request.
func (w *azureWeb) access(el *formats.Element) {
	el.CopyFirstText(schema.HTTPRoute, w.properties.at(el, webRule), w.properties.at(el, webRoute))
	el.SetOutcome(formats.Unknown)
	for _, place := range [...]int{webStatus, webStatusFrontDoor} {
		n := w.properties.at(el, place)
		if status, ok := scan.Int(n.Src, n.Span); ok {
			el.SetHTTPStatus(status)
			el.CopyInt(schema.HTTPResponseStatusCode, n)
		}
	}
	if info := el.Text(w.properties.at(el, webError)); info != "NoError" {
		el.SetText(schema.ErrorType, info)
	}
}

// firewall sets the verdict of a firewall's rule. A rule that only counts or logs leaves the outcome unknown.
func (w *azureWeb) firewall(el *formats.Element) {
	action := el.Text(w.properties.at(el, webAction))
	el.SetOutcome(formats.Unknown)
	switch {
	case hasPrefixFold(action, "block"), hasPrefixFold(action, "deny"):
		el.SetBlocked()
	case hasPrefixFold(action, "allow"):
		el.SetOutcome(formats.Success)
		el.SetText(schema.Disposition, formats.Allowed)
	}
	el.CopyFirstText(schema.GuardrailName, w.properties.at(el, webRule), w.properties.at(el, webRuleID))
	el.SetText(schema.GuardrailAction, lower(el, action))
	el.CopyFirstText(schema.GuardrailRiskCategory, w.properties.at(el, webRuleSet), w.properties.at(el, webRuleName))
	if !el.Event.Has(schema.EventAction) {
		el.SetClass(formats.ClassAPI, "request") // the log of the firewall lacks the method
	}
}

// maxAction is the length in bytes of the longest action that lower converts.
const maxAction = 32

// lower returns a word of ASCII in lower case. A longer text is returned as it is.
func lower(el *formats.Element, word string) string {
	var buf [maxAction]byte
	if len(word) > len(buf) {
		return word
	}
	for i := range len(word) {
		buf[i] = word[i]
		if isUpper(word[i]) {
			buf[i] |= 0x20
		}
	}
	return el.Arena.Copy(buf[:len(word)])
}
