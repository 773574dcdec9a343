package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// azureActivity reads the activity log, Entra's audit log, and all resource logs that do not belong to another dataset.
type azureActivity struct {
	claims, claim                 [claimCount]int // identity: claims.*, claim.*
	principal, principalType      int             // identity.authorization.evidence: principalId, principalType
	requesterApp, requesterObject int             // identity.requester: appId, objectId
	requesterUPN, tokenHash       int             // identity: requester.upn, tokenHash
	properties                    *block
	target                        *formats.Shape
}

// Claims of the caller's token. The activity log has them in identity.claims, Key Vault in identity.claim.
const (
	claimApp = iota
	claimAppSecret
	claimOID
	claimObject
	claimScope
	claimSCP
	claimUPN
	claimName
	claimEmail
	claimKind
	claimAddress
	claimCount
)

var claimKeys = [claimCount]string{
	claimApp:       "appid",
	claimAppSecret: "appidacr",
	claimOID:       "oid",
	claimObject:    "http://schemas.microsoft.com/identity/claims/objectidentifier",
	claimScope:     "http://schemas.microsoft.com/identity/claims/scope",
	claimSCP:       "scp",
	claimUPN:       "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
	claimName:      "name",
	claimEmail:     "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
	claimKind:      "idtyp",
	claimAddress:   "ipaddr",
}

// Places in the properties of Entra's audit log and of storage logs.
const (
	activityApp = iota
	activityAppName
	activityAppPrincipal
	activityUser
	activityUPN
	activityUserAddress
	activityResult
	activityTargets
	activityOperation
	activityAgentHeader
	activityAgent
	activityKey
)

var activityPaths = [][]string{
	activityApp:          {"initiatedBy", "app", "appId"},
	activityAppName:      {"initiatedBy", "app", "displayName"},
	activityAppPrincipal: {"initiatedBy", "app", "servicePrincipalId"},
	activityUser:         {"initiatedBy", "user", "id"},
	activityUPN:          {"initiatedBy", "user", "userPrincipalName"},
	activityUserAddress:  {"initiatedBy", "user", "ipAddress"},
	activityResult:       {"result"},
	activityTargets:      {"targetResources"},
	activityOperation:    {"operationType"},
	activityAgentHeader:  {"userAgentHeader"},
	activityAgent:        {"userAgent"},
	activityKey:          {"objectKey"},
}

// Places in the shape of a target of Entra's audit log.
const (
	activityTargetID = iota
	activityTargetName
	activityTargetType
)

func newAzureActivity(p *formats.Paths) *azureActivity {
	c := &azureActivity{
		principal:     p.Add("identity", "authorization", "evidence", "principalId"),
		principalType: p.Add("identity", "authorization", "evidence", "principalType"),
		requesterApp:  p.Add("identity", "requester", "appId"), requesterObject: p.Add("identity", "requester", "objectId"),
		requesterUPN: p.Add("identity", "requester", "upn"), tokenHash: p.Add("identity", "tokenHash"),
		properties: newBlock(p, []string{"properties"}, activityPaths),
		target: formats.NewShape([][]string{
			activityTargetID: {"id"}, activityTargetName: {"displayName"}, activityTargetType: {"type"},
		}...),
	}
	for i, key := range claimKeys {
		c.claims[i] = p.Add("identity", "claims", key)
		c.claim[i] = p.Add("identity", "claim", key)
	}
	return c
}

// text returns the text of a claim.
func (c *azureActivity) text(r *formats.Record, claim int) string {
	return r.FirstText(r.At(c.claims[claim]), r.At(c.claim[claim]))
}

func (c *azureActivity) read(r *formats.Record, a *azure) {
	c.properties.open(r)
	action := r.Text(r.At(a.operation))
	r.SetClass(formats.ClassAudit, action)
	kind := typeOfVerb(r.Text(c.properties.at(r, activityOperation)))
	if kind == "" {
		kind = typeOfAction(action)
	}
	r.Put(schema.EventType, kind)
	c.outcome(r, a)
	a.source(r, c.properties.at(r, activityUserAddress), r.At(c.claims[claimAddress]))
	userAgent := r.FirstText(c.properties.at(r, activityAgent), c.properties.at(r, activityAgentHeader))
	c.caller(r)
	r.AgentByAddress(userAgent)
	r.Put(schema.UserAgentOriginal, userAgent)
	r.SetText(schema.CloudRegion, r.At(a.location))
	c.resource(r)
	r.Emit()
}

// typeOfAction returns the event.type of an operation, by its last segment or, if that is "action", the segment before it.
// In Entra's audit log, an operation is a sentence.
func typeOfAction(name string) string {
	last := lastPart(name, '/')
	if strings.EqualFold(last, "action") && len(name) > len(last) {
		last = lastPart(name[:len(name)-len(last)-1], '/')
	}
	return typeOfOperation(last)
}

// outcome sets the outcome from properties.result, which only Entra's audit log has, else from the keys common to all logs.
func (c *azureActivity) outcome(r *formats.Record, a *azure) {
	switch result := r.Text(c.properties.at(r, activityResult)); {
	case strings.EqualFold(result, "success"):
		r.SetOutcome(formats.Success)
	case strings.EqualFold(result, "failure"):
		r.SetOutcome(formats.Failure)
	default:
		a.outcome.read(r)
	}
}

// portal is the id of the application that is the Azure portal.
const portal = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"

// caller sets the fields of the caller: an application, which may act for a person, or a person.
func (c *azureActivity) caller(r *formats.Record) {
	object := r.FirstText(r.At(c.claims[claimObject]), r.At(c.claim[claimObject]), r.At(c.claims[claimOID]), r.At(c.claim[claimOID]))
	upn := r.FirstText(r.At(c.claims[claimUPN]), r.At(c.claim[claimUPN]), r.At(c.requesterUPN), c.properties.at(r, activityUPN))
	requester, user := r.Text(r.At(c.requesterObject)), r.Text(c.properties.at(r, activityUser))
	person := c.isPerson(r, upn, user)
	app := c.text(r, claimApp)
	// A public client, such as a command line tool, works without a secret. Its id only shows which program a person used, so it does
	// not identify an agent.
	if public := c.text(r, claimAppSecret) == "0" || app == portal; !person || !public {
		r.Agent("identity.claims.appid", app)
		r.Agent("identity.requester.appId", r.Text(r.At(c.requesterApp)))
		r.Agent("properties.initiatedBy.app.appId", r.Text(c.properties.at(r, activityApp)))
		r.SetText(schema.AIAgentName, c.properties.at(r, activityAppName))
	}
	id := firstOf(firstOf(object, requester), firstOf(user, upn))
	if person && r.Event.Has(schema.AIAgentUID) {
		r.Put(schema.OnBehalfOfID, firstOf(upn, id))
	}
	r.Agent("properties.initiatedBy.app.servicePrincipalId", r.Text(c.properties.at(r, activityAppPrincipal)))
	r.Agent("identity.claims.oid", object)
	r.Agent("identity.requester.objectId", requester)
	r.Agent("properties.initiatedBy.user.id", user)
	r.Agent("identity.authorization.evidence.principalId", r.Text(r.At(c.principal)))
	r.Agent("identity.claims.upn", upn)
	r.Agent("identity.claims.emailaddress", c.text(r, claimEmail))
	c.names(r, person, id, upn)
}

// isPerson reports whether the caller's token was issued for a person, to whichever application.
func (c *azureActivity) isPerson(r *formats.Record, upn, user string) bool {
	if c.text(r, claimKind) == "app" {
		return false
	}
	return upn != "" || user != "" || c.text(r, claimScope) != "" || c.text(r, claimSCP) != "" ||
		r.Text(r.At(c.principalType)) == "User"
}

// names sets the user fields, and the application and credential of the call.
func (c *azureActivity) names(r *formats.Record, person bool, id, upn string) {
	app := r.FirstText(r.At(c.claims[claimApp]), r.At(c.claim[claimApp]), r.At(c.requesterApp), c.properties.at(r, activityApp))
	switch {
	case person:
		r.Put(schema.UserType, "human")
	case app != "" || r.Text(r.At(c.principalType)) == "ServicePrincipal":
		r.Put(schema.UserType, "service")
	}
	r.Put(schema.UserID, id)
	r.Put(schema.UserName, c.text(r, claimName))
	r.Put(schema.UserEmail, firstOf(upn, c.text(r, claimEmail)))
	r.Put(schema.ClientAppID, app)
	r.SetText(schema.CredentialUID, r.At(c.tokenHash))
}

// firstOf returns a, or b if a is empty.
func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// resource sets the resource from the first target in Entra's audit log, and the resource's name from the key of a storage
// object.
func (c *azureActivity) resource(r *formats.Record) {
	c.target.Select(r, r.First(c.properties.at(r, activityTargets)))
	if id := c.target.At(activityTargetID); id.Present() {
		r.SetText(schema.ResourceID, id)
		r.SetText(schema.ResourceName, c.target.At(activityTargetName))
		r.SetText(schema.ResourceType, c.target.At(activityTargetType))
	}
	if key := r.Text(c.properties.at(r, activityKey)); key != "" {
		r.Put(schema.ResourceName, strings.TrimPrefix(key, "/"))
	}
}
