package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// Okta returns the format of Okta's System Log.
func Okta() formats.Format {
	return formats.Format{
		Name:       "okta_system",
		Aliases:    []string{"okta", "okta_system_log"},
		Datasets:   []string{"okta.system"},
		Families:   []string{formats.FamilyAudit},
		Signatures: []formats.Signature{{Keys: []string{"eventType", "published", "actor", "outcome"}}},
		Scope:      formats.ScopePlatform,
		NewReader:  newOkta,
	}
}

type okta struct {
	id, time, kind        int // uuid, published, eventType
	result, reason        int // outcome: result, reason
	address, clientID     int // client: ipAddress, id
	userAgent             int // client.userAgent.rawUserAgent
	chain, asNumber       int // request.ipChain, securityContext.asNumber
	actorID, actorType    int // actor: id, type
	actorName, actorEmail int // actor: displayName, alternateId
	transaction, apiToken int // transaction: id, detail.requestApiTokenId
	session               int // authenticationContext.externalSessionId
	requestID, uri        int // debugContext.debugData: requestId, requestUri
	target                int // target
	hop, object           *formats.Shape
}

// Places in the shape of a target.
const (
	targetID = iota
	targetType
	targetName
	targetAlternate
)

func newOkta(p *formats.Paths) formats.Reader {
	return &okta{
		id: p.Add("uuid"), time: p.Add("published"), kind: p.Add("eventType"),
		result: p.Add("outcome", "result"), reason: p.Add("outcome", "reason"),
		address: p.Add("client", "ipAddress"), clientID: p.Add("client", "id"),
		userAgent: p.Add("client", "userAgent", "rawUserAgent"),
		chain:     p.AddIndexed("request", "ipChain"), asNumber: p.Add("securityContext", "asNumber"),
		actorID: p.Add("actor", "id"), actorType: p.Add("actor", "type"),
		actorName: p.Add("actor", "displayName"), actorEmail: p.Add("actor", "alternateId"),
		transaction: p.Add("transaction", "id"), apiToken: p.Add("transaction", "detail", "requestApiTokenId"),
		session:   p.Add("authenticationContext", "externalSessionId"),
		requestID: p.Add("debugContext", "debugData", "requestId"), uri: p.Add("debugContext", "debugData", "requestUri"),
		target: p.AddIndexed("target"),
		hop:    formats.NewShape([]string{"ip"}),
		object: formats.NewShape([][]string{
			targetID: {"id"}, targetType: {"type"}, targetName: {"displayName"}, targetAlternate: {"alternateId"},
		}...),
	}
}

func (o *okta) Read(el *formats.Element) {
	el.SetDataset("okta.system")
	if !el.SetTime(el.At(o.time)) {
		return
	}
	el.CopyText(schema.EventID, el.At(o.id))
	o.call(el)
	o.outcome(el)
	o.hop.Select(el, el.FirstItem(el.At(o.chain)))
	setAddress(el, el.At(o.address), o.hop.At(0))
	o.caller(el)
	el.SetAgentByAddress(o.known(el, o.userAgent))
	el.SetText(schema.UserAgentOriginal, o.known(el, o.userAgent))
	el.CopyInt(schema.SourceASNumber, el.At(o.asNumber))
	el.SetText(schema.SessionID, o.known(el, o.session))
	el.CopyText(schema.TraceID, el.At(o.transaction))
	el.CopyText(schema.HTTPRequestID, el.At(o.requestID))
	_, path := formats.SplitURL(el.Text(el.At(o.uri)))
	el.SetText(schema.URLPath, path)
	el.SetText(schema.ServiceTargetName, "okta")
	el.Emit()
}

// known returns the text at a place, "" if it is one of the words that Okta writes for an unknown value.
func (o *okta) known(el *formats.Element, place int) string {
	if text := el.Text(el.At(place)); !strings.EqualFold(text, "unknown") && text != "null" {
		return text
	}
	return ""
}

// call sets the action and the resource, which is the first target.
func (o *okta) call(el *formats.Element) {
	kind := el.Text(el.At(o.kind))
	class := formats.ClassAudit
	for _, prefix := range [...]string{"user.session.", "user.authentication.", "user.mfa.", "app.oauth2.", "policy.evaluate_sign_on"} {
		if strings.HasPrefix(kind, prefix) {
			class = formats.ClassAuth
		}
	}
	el.SetClass(class, kind)
	el.SetText(schema.EventType, typeOfOperation(lastPart(kind, '.')))
	o.object.Select(el, el.FirstItem(el.At(o.target)))
	el.CopyText(schema.ResourceID, o.object.At(targetID))
	el.CopyText(schema.ResourceType, o.object.At(targetType))
	el.CopyFirstText(schema.ResourceName, o.object.At(targetName), o.object.At(targetAlternate))
}

// outcome sets the outcome from outcome.result and the reason of a failure.
func (o *okta) outcome(el *formats.Element) {
	result := el.Text(el.At(o.result))
	switch result {
	case "SUCCESS", "ALLOW":
		el.SetOutcome(formats.Success)
		return
	case "DENY":
		el.SetBlocked()
	case "FAILURE", "ABANDONED", "RATE_LIMIT":
		el.SetOutcome(formats.Failure)
		if reason := el.Text(el.At(o.reason)); formats.IsDenied(reason) || strings.EqualFold(reason, "access_denied") {
			el.SetBlocked()
		}
	default: // CHALLENGE, SKIPPED, UNKNOWN
		el.SetOutcome(formats.Unknown)
		return
	}
	el.CopyText(schema.ErrorType, el.At(o.reason))
}

// caller sets the fields of the caller: the actor if it is an application, else the call's OAuth client or API token,
// else the person.
func (o *okta) caller(el *formats.Element) {
	id, kind, email := el.Text(el.At(o.actorID)), el.Text(el.At(o.actorType)), el.Text(el.At(o.actorEmail))
	token := el.Text(el.At(o.apiToken))
	person := kind == "User"
	switch {
	case person:
		el.SetText(schema.UserType, "human")
	case kind == "SystemPrincipal":
		el.SetText(schema.UserType, "system")
	case kind != "":
		el.SetText(schema.UserType, "service")
	}
	if !person {
		el.SetAgent("actor.id", id)
		el.SetText(schema.AIAgentName, o.known(el, o.actorName))
	}
	el.SetAgent("client.id", o.known(el, o.clientID))
	el.SetAgent("transaction.detail.requestApiTokenId", token)
	if person && el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, id)
	}
	el.SetAgent("actor.id", id)
	el.CopyText(schema.UserID, el.At(o.actorID))
	el.SetText(schema.UserName, o.known(el, o.actorName))
	if strings.IndexByte(email, '@') > 0 {
		el.SetText(schema.UserEmail, email)
	}
	if token != "" {
		el.SetText(schema.CredentialUID, token)
		el.SetText(schema.CredentialType, "api_key")
	}
	el.SetText(schema.ClientAppID, o.known(el, o.clientID))
}
