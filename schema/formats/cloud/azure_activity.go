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
	uri                           int             // uri: of a storage request
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
	activityObject
	activityURI
	activityClient
	activityRequest
	activityReceived
	activitySent
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
	activityObject:       {"id"},
	activityURI:          {"requestUri"},
	activityClient:       {"clientInfo"},
	activityRequest:      {"clientRequestId"},
	activityReceived:     {"requestBodySize"},
	activitySent:         {"responseBodySize"},
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
		uri:        p.Add("uri"),
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
func (c *azureActivity) text(el *formats.Element, claim int) string {
	return el.FirstText(el.At(c.claims[claim]), el.At(c.claim[claim]))
}

func (c *azureActivity) read(el *formats.Element, a *azure) {
	c.properties.open(el)
	action := el.Text(el.At(a.operation))
	el.SetClass(formats.ClassAudit, action)
	kind := typeOfVerb(el.Text(c.properties.at(el, activityOperation)))
	if kind == "" {
		kind = typeOfAction(action)
	}
	el.SetText(schema.EventType, kind)
	c.outcome(el, a)
	a.source(el, c.properties.at(el, activityUserAddress), el.At(c.claims[claimAddress]))
	userAgent := el.FirstText(c.properties.at(el, activityAgent), c.properties.at(el, activityAgentHeader))
	vault := hasProvider(el.Text(el.At(a.resource)), "Microsoft.KeyVault")
	if vault {
		userAgent = firstOf(userAgent, el.Text(c.properties.at(el, activityClient)))
	}
	c.caller(el)
	el.SetAgentByAddress(userAgent)
	el.SetText(schema.UserAgentOriginal, userAgent)
	el.CopyText(schema.CloudRegion, el.At(a.location))
	c.resource(el, vault)
	el.Emit()
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
func (c *azureActivity) outcome(el *formats.Element, a *azure) {
	switch result := el.Text(c.properties.at(el, activityResult)); {
	case strings.EqualFold(result, "success"):
		el.SetOutcome(formats.Success)
	case strings.EqualFold(result, "failure"):
		el.SetOutcome(formats.Failure)
	default:
		a.outcome.read(el)
	}
}

// portal is the id of the application that is the Azure portal.
const portal = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c"

// caller sets the fields of the caller: an application, which may act for a person, or a person.
func (c *azureActivity) caller(el *formats.Element) {
	object := el.FirstText(el.At(c.claims[claimObject]), el.At(c.claim[claimObject]), el.At(c.claims[claimOID]), el.At(c.claim[claimOID]))
	upn := el.FirstText(el.At(c.claims[claimUPN]), el.At(c.claim[claimUPN]), el.At(c.requesterUPN), c.properties.at(el, activityUPN))
	requester, user := el.Text(el.At(c.requesterObject)), el.Text(c.properties.at(el, activityUser))
	person := c.isPerson(el, upn, user)
	app := c.text(el, claimApp)
	// A public client, such as a command line tool, works without a secret. Its id only shows which program a person
	// used, so it does not identify an agent.
	if public := c.text(el, claimAppSecret) == "0" || app == portal; !person || !public {
		el.SetAgent("identity.claims.appid", app)
		el.SetAgent("identity.requester.appId", el.Text(el.At(c.requesterApp)))
		el.SetAgent("properties.initiatedBy.app.appId", el.Text(c.properties.at(el, activityApp)))
		el.CopyText(schema.AIAgentName, c.properties.at(el, activityAppName))
	}
	id := firstOf(firstOf(object, requester), firstOf(user, upn))
	if person && el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, firstOf(upn, id))
	}
	el.SetAgent("properties.initiatedBy.app.servicePrincipalId", el.Text(c.properties.at(el, activityAppPrincipal)))
	el.SetAgent("identity.claims.oid", object)
	el.SetAgent("identity.requester.objectId", requester)
	el.SetAgent("properties.initiatedBy.user.id", user)
	el.SetAgent("identity.authorization.evidence.principalId", el.Text(el.At(c.principal)))
	el.SetAgent("identity.claims.upn", upn)
	el.SetAgent("identity.claims.emailaddress", c.text(el, claimEmail))
	el.SetAgent("identity.tokenHash", el.Text(el.At(c.tokenHash))) // of an account's key or of a shared access signature
	c.names(el, person, id, upn)
}

// isPerson reports whether the caller's token was issued for a person, to whichever application.
func (c *azureActivity) isPerson(el *formats.Element, upn, user string) bool {
	if c.text(el, claimKind) == "app" {
		return false
	}
	return upn != "" || user != "" || c.text(el, claimScope) != "" || c.text(el, claimSCP) != "" ||
		el.Text(el.At(c.principalType)) == "User"
}

// names sets the user fields, and the application and credential of the call.
func (c *azureActivity) names(el *formats.Element, person bool, id, upn string) {
	app := el.FirstText(el.At(c.claims[claimApp]), el.At(c.claim[claimApp]), el.At(c.requesterApp), c.properties.at(el, activityApp))
	switch {
	case person:
		el.SetText(schema.UserType, "human")
	case app != "" || el.Text(el.At(c.principalType)) == "ServicePrincipal":
		el.SetText(schema.UserType, "service")
	}
	el.SetText(schema.UserID, id)
	el.SetText(schema.UserName, c.text(el, claimName))
	el.SetText(schema.UserEmail, firstOf(upn, c.text(el, claimEmail)))
	el.SetText(schema.ClientAppID, app)
	el.CopyText(schema.CredentialUID, el.At(c.tokenHash))
}

// firstOf returns a, or b if a is empty.
func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// resource sets the resource from the first target in Entra's audit log, the resource's name from the key of a storage
// object, and both from the URL of an object in a key vault.
func (c *azureActivity) resource(el *formats.Element, vault bool) {
	c.target.Select(el, el.FirstItem(c.properties.at(el, activityTargets)))
	if id := c.target.At(activityTargetID); id.Present() {
		el.CopyText(schema.ResourceID, id)
		el.CopyText(schema.ResourceName, c.target.At(activityTargetName))
		el.CopyText(schema.ResourceType, c.target.At(activityTargetType))
	}
	if key := el.Text(c.properties.at(el, activityKey)); key != "" {
		el.SetText(schema.ResourceName, strings.TrimPrefix(key, "/"))
	}
	host, path := formats.SplitURL(el.FirstText(c.properties.at(el, activityURI), el.At(c.uri)))
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyInt(schema.HTTPRequestBytes, c.properties.at(el, activityReceived))
	el.CopyInt(schema.HTTPResponseBytes, c.properties.at(el, activitySent))
	if vault {
		vaultObject(el, el.FirstText(c.properties.at(el, activityObject), c.properties.at(el, activityURI)))
	}
}

// vaultObject sets the resource to the secret, key or certificate that a URL names, without its version:
// https://kv.vault.azure.net/secrets/db/0123. A list of them, or the vault itself, has no name there.
func vaultObject(el *formats.Element, url string) {
	host, path := formats.SplitURL(url)
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, _, _ := strings.Cut(rest, "/")
	if host == "" || name == "" {
		return
	}
	el.SetText(schema.ResourceID, el.Arena.Concat("https://", host, "/", kind, "/", name))
	el.SetText(schema.ResourceType, el.Arena.Concat("Microsoft.KeyVault/vaults/", kind))
	el.SetText(schema.ResourceName, name)
}
