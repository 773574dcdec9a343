package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// principal reads the userIdentity of CloudTrail.
type principal struct {
	kind, id, arn           int // userIdentity: type, principalId, arn
	account, userName       int // userIdentity: accountId, userName
	accessKey, credentialID int // userIdentity: accessKeyId, credentialId
	invokedBy, onBehalfOf   int // userIdentity: invokedBy, onBehalfOf.userId
	issuerARN, issuerName   int // userIdentity.sessionContext.sessionIssuer: arn, userName
	sourceIdentity          int // userIdentity.sessionContext.sourceIdentity
}

func newPrincipal(p *formats.Paths) principal {
	at := func(keys ...string) int { return p.Add(append([]string{"userIdentity"}, keys...)...) }
	return principal{
		kind: at("type"), id: at("principalId"), arn: at("arn"),
		account: at("accountId"), userName: at("userName"),
		accessKey: at("accessKeyId"), credentialID: at("credentialId"),
		invokedBy: at("invokedBy"), onBehalfOf: at("onBehalfOf", "userId"),
		issuerARN:      at("sessionContext", "sessionIssuer", "arn"),
		issuerName:     at("sessionContext", "sessionIssuer", "userName"),
		sourceIdentity: at("sessionContext", "sourceIdentity"),
	}
}

// Values of ai_agent.uid_source.
const (
	sourceIssuer    = "userIdentity.sessionContext.sessionIssuer.arn"
	sourceARN       = "userIdentity.arn"
	sourcePrincipal = "userIdentity.principalId"
	sourceUserName  = "userIdentity.userName"
	sourceInvokedBy = "userIdentity.invokedBy"
	sourceOnBehalf  = "userIdentity.onBehalfOf.userId"
	sourceAccount   = "userIdentity.accountId"
)

// read sets the fields of the caller. The caller chooses the name of a session, so that name is never part of the agent's id.
func (p *principal) read(el *formats.Element) {
	arn, issuer := el.Text(el.At(p.arn)), el.Text(el.At(p.issuerARN))
	id, session := el.Text(el.At(p.id)), ""
	name := el.Text(el.At(p.userName))
	switch kind := el.Text(el.At(p.kind)); kind {
	case "AWSService":
		el.SetText(schema.UserType, "service")
		el.SetAgent(sourceInvokedBy, el.Text(el.At(p.invokedBy)))
	case "IdentityCenterUser":
		el.SetText(schema.UserType, "human")
		el.SetAgent(sourceOnBehalf, el.Text(el.At(p.onBehalfOf)))
	case "Unknown": // sign-ins of IAM Identity Center, whose principalId is the account
		user := el.Text(el.At(p.onBehalfOf))
		if user != "" {
			el.SetText(schema.UserType, "human")
			el.SetAgent(sourceOnBehalf, user)
		} else {
			el.SetText(schema.UserType, "unknown")
		}
		if id == el.Text(el.At(p.account)) {
			id = user
		}
	case "Root", "SAMLUser":
		el.SetText(schema.UserType, "human")
	case "AWSAccount":
		id, session, _ = strings.Cut(id, ":") // AROAEXAMPLE:session
	}
	if name := formats.SessionName(arn); name != "" {
		session = name
	}
	role := ""
	if issuer == "" {
		role = formats.RoleOfSession(el, arn)
	}
	el.SetAgent(sourceIssuer, issuer)
	el.SetAgent(sourceARN, role)
	el.SetAgent(sourceARN, arn)
	el.SetAgent(sourcePrincipal, id)
	el.SetAgent(sourceUserName, name)
	el.SetAgent(sourceInvokedBy, el.Text(el.At(p.invokedBy)))
	el.SetAgent(sourceAccount, el.Text(el.At(p.account)))

	el.SetText(schema.AIAgentInstanceUID, session)
	p.names(el, name, role)
	if user := el.Text(el.At(p.onBehalfOf)); id == "" || id == user {
		el.SetText(schema.UserID, user)
	} else {
		el.CopyText(schema.UserID, el.At(p.id))
	}
	el.CopyFirstText(schema.OnBehalfOfID, el.At(p.onBehalfOf), el.At(p.sourceIdentity))
	if credential := el.FirstText(el.At(p.accessKey), el.At(p.credentialID)); credential != "" {
		el.SetText(schema.CredentialUID, credential)
		el.SetText(schema.CredentialType, "sigv4")
	}
}

// names sets the readable names of the caller: the user's name, and the agent's name, which for a role is the role's.
func (p *principal) names(el *formats.Element, name, role string) {
	el.SetText(schema.UserName, name)
	issuer := el.Text(el.At(p.issuerName))
	switch {
	case issuer != "":
		name = issuer
	case role != "":
		name = role[strings.LastIndexByte(role, '/')+1:]
	}
	el.SetText(schema.AIAgentName, name)
	if strings.HasPrefix(name, "AWSReservedSSO_") { // roles that IAM Identity Center gives to people
		el.SetText(schema.UserType, "human")
	}
}
