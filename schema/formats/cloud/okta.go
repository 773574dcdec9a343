package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// Okta returns the format of Okta's System Log.
func Okta() formats.Format {
	return formats.Format{
		Name:     "okta_system",
		Aliases:  []string{"okta", "okta_system_log"},
		Datasets: []string{"okta.system"},
		Tells:    []formats.Tell{{Keys: []string{"eventType", "published", "actor", "outcome"}}},
		Open:     newOkta,
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
		chain:     p.Open("request", "ipChain"), asNumber: p.Add("securityContext", "asNumber"),
		actorID: p.Add("actor", "id"), actorType: p.Add("actor", "type"),
		actorName: p.Add("actor", "displayName"), actorEmail: p.Add("actor", "alternateId"),
		transaction: p.Add("transaction", "id"), apiToken: p.Add("transaction", "detail", "requestApiTokenId"),
		session:   p.Add("authenticationContext", "externalSessionId"),
		requestID: p.Add("debugContext", "debugData", "requestId"), uri: p.Add("debugContext", "debugData", "requestUri"),
		target: p.Open("target"),
		hop:    formats.NewShape([]string{"ip"}),
		object: formats.NewShape([][]string{
			targetID: {"id"}, targetType: {"type"}, targetName: {"displayName"}, targetAlternate: {"alternateId"},
		}...),
	}
}

func (o *okta) Read(r *formats.Record) {
	r.Begin("okta.system")
	if !r.Start(r.At(o.time)) {
		return
	}
	r.SetText(schema.EventID, r.At(o.id))
	o.call(r)
	o.outcome(r)
	o.hop.Select(r, r.First(r.At(o.chain)))
	setAddress(r, r.At(o.address), o.hop.At(0))
	o.caller(r)
	r.AgentByAddress(o.known(r, o.userAgent))
	r.Put(schema.UserAgentOriginal, o.known(r, o.userAgent))
	r.SetInt(schema.SourceASNumber, r.At(o.asNumber))
	r.Put(schema.SessionID, o.known(r, o.session))
	r.SetText(schema.TraceID, r.At(o.transaction))
	r.SetText(schema.HTTPRequestID, r.At(o.requestID))
	_, path := formats.SplitURL(r.Text(r.At(o.uri)))
	r.Put(schema.URLPath, path)
	r.Put(schema.ServiceTargetName, "okta")
	r.Emit()
}

// known returns the text at a place, "" if it is one of the words that Okta writes for an unknown value.
func (o *okta) known(r *formats.Record, place int) string {
	if text := r.Text(r.At(place)); !strings.EqualFold(text, "unknown") && text != "null" {
		return text
	}
	return ""
}

// call sets the action and the resource, which is the first target.
func (o *okta) call(r *formats.Record) {
	kind := r.Text(r.At(o.kind))
	class := formats.ClassAudit
	for _, prefix := range [...]string{"user.session.", "user.authentication.", "user.mfa.", "app.oauth2.", "policy.evaluate_sign_on"} {
		if strings.HasPrefix(kind, prefix) {
			class = formats.ClassAuth
		}
	}
	r.SetClass(class, kind)
	r.Put(schema.EventType, typeOfOperation(lastPart(kind, '.')))
	o.object.Select(r, r.First(r.At(o.target)))
	r.SetText(schema.ResourceID, o.object.At(targetID))
	r.SetText(schema.ResourceType, o.object.At(targetType))
	r.SetFirst(schema.ResourceName, o.object.At(targetName), o.object.At(targetAlternate))
}

// outcome sets the outcome from outcome.result and the reason of a failure.
func (o *okta) outcome(r *formats.Record) {
	result := r.Text(r.At(o.result))
	switch result {
	case "SUCCESS", "ALLOW":
		r.SetOutcome(formats.Success)
		return
	case "DENY":
		r.Block()
	case "FAILURE", "ABANDONED", "RATE_LIMIT":
		r.SetOutcome(formats.Failure)
		if reason := r.Text(r.At(o.reason)); formats.Denied(reason) || strings.EqualFold(reason, "access_denied") {
			r.Block()
		}
	default: // CHALLENGE, SKIPPED, UNKNOWN
		r.SetOutcome(formats.Unknown)
		return
	}
	r.SetText(schema.ErrorType, r.At(o.reason))
}

// caller sets the fields of the caller: the actor if it is an application, else the call's OAuth client or API token, else the
// person.
func (o *okta) caller(r *formats.Record) {
	id, kind, email := r.Text(r.At(o.actorID)), r.Text(r.At(o.actorType)), r.Text(r.At(o.actorEmail))
	token := r.Text(r.At(o.apiToken))
	person := kind == "User"
	switch {
	case person:
		r.Put(schema.UserType, "human")
	case kind == "SystemPrincipal":
		r.Put(schema.UserType, "system")
	case kind != "":
		r.Put(schema.UserType, "service")
	}
	if !person {
		r.Agent("actor.id", id)
		r.Put(schema.AIAgentName, o.known(r, o.actorName))
	}
	r.Agent("client.id", o.known(r, o.clientID))
	r.Agent("transaction.detail.requestApiTokenId", token)
	if person && r.Event.Has(schema.AIAgentUID) {
		r.Put(schema.OnBehalfOfID, id)
	}
	r.Agent("actor.id", id)
	r.SetText(schema.UserID, r.At(o.actorID))
	r.Put(schema.UserName, o.known(r, o.actorName))
	if strings.IndexByte(email, '@') > 0 {
		r.Put(schema.UserEmail, email)
	}
	if token != "" {
		r.Put(schema.CredentialUID, token)
		r.Put(schema.CredentialType, "api_key")
	}
	r.Put(schema.ClientAppID, o.known(r, o.clientID))
}
