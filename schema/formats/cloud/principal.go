package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// principal is the userIdentity of CloudTrail.
type principal struct {
	kind, id, arn, account, accessKey, userName, invokedBy          int
	issuerARN, issuerName, sourceIdentity, onBehalfOf, credentialID int
}

func newPrincipal(p *formats.Paths) principal {
	at := func(keys ...string) int { return p.Add(append([]string{"userIdentity"}, keys...)...) }
	return principal{
		kind: at("type"), id: at("principalId"), arn: at("arn"), account: at("accountId"), accessKey: at("accessKeyId"),
		userName: at("userName"), invokedBy: at("invokedBy"),
		issuerARN: at("sessionContext", "sessionIssuer", "arn"), issuerName: at("sessionContext", "sessionIssuer", "userName"),
		sourceIdentity: at("sessionContext", "sourceIdentity"), onBehalfOf: at("onBehalfOf", "userId"), credentialID: at("credentialId"),
	}
}

// The raw fields that name an agent, as ai_agent.uid_source shows them.
const (
	sourceIssuer    = "userIdentity.sessionContext.sessionIssuer.arn"
	sourceARN       = "userIdentity.arn"
	sourcePrincipal = "userIdentity.principalId"
	sourceUserName  = "userIdentity.userName"
	sourceInvokedBy = "userIdentity.invokedBy"
	sourceOnBehalf  = "userIdentity.onBehalfOf.userId"
	sourceAccount   = "userIdentity.accountId"
)

// read tells who called. A session's name is the caller's choice and never part of the agent's id.
func (p *principal) read(r *formats.Record) {
	arn, issuer := r.Text(r.At(p.arn)), r.Text(r.At(p.issuerARN))
	id, session := r.Text(r.At(p.id)), ""
	name := r.Text(r.At(p.userName))
	switch kind := r.Text(r.At(p.kind)); kind {
	case "AWSService":
		r.Put(schema.UserType, "service")
		r.Agent(sourceInvokedBy, r.Text(r.At(p.invokedBy)))
	case "IdentityCenterUser":
		r.Put(schema.UserType, "human")
		r.Agent(sourceOnBehalf, r.Text(r.At(p.onBehalfOf)))
	case "Root", "SAMLUser":
		r.Put(schema.UserType, "human")
	case "AWSAccount":
		id, session = cutSession(id)
	}
	if name := SessionName(arn); name != "" {
		session = name
	}
	role := ""
	if issuer == "" {
		role = RoleOfSession(r, arn)
	}
	r.Agent(sourceIssuer, issuer)
	r.Agent(sourceARN, role)
	r.Agent(sourceARN, arn)
	r.Agent(sourcePrincipal, id)
	r.Agent(sourceUserName, name)
	r.Agent(sourceInvokedBy, r.Text(r.At(p.invokedBy)))
	r.Agent(sourceAccount, r.Text(r.At(p.account)))

	r.Put(schema.AIAgentInstanceUID, session)
	p.names(r, name, role)
	r.SetText(schema.UserID, r.At(p.id))
	r.SetFirst(schema.OnBehalfOfID, r.At(p.onBehalfOf), r.At(p.sourceIdentity))
	if credential := r.FirstText(r.At(p.accessKey), r.At(p.credentialID)); credential != "" {
		r.Put(schema.CredentialUID, credential)
		r.Put(schema.CredentialType, "sigv4")
	}
}

// names sets what people call the caller: the user's name, for a role that of the role.
func (p *principal) names(r *formats.Record, name, role string) {
	r.Put(schema.UserName, name)
	issuer := r.Text(r.At(p.issuerName))
	switch {
	case issuer != "":
		name = issuer
	case role != "":
		name = role[strings.LastIndexByte(role, '/')+1:]
	}
	r.Put(schema.AIAgentName, name)
	if strings.HasPrefix(name, "AWSReservedSSO_") { // the roles that people get through IAM Identity Center
		r.Put(schema.UserType, "human")
	}
}

// SessionName returns the session's name in the ARN of a role's or a federated user's session, "" for other ARNs.
func SessionName(arn string) string {
	if _, name, ok := strings.Cut(arn, ":federated-user/"); ok {
		return name
	}
	if _, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		if slash := strings.LastIndexByte(rest, '/'); slash >= 0 {
			return rest[slash+1:]
		}
	}
	return ""
}

// RoleOfSession returns the ARN of the role in the ARN of one of its sessions, "" for other ARNs. A session's ARN does
// not tell the role's path.
func RoleOfSession(r *formats.Record, arn string) string {
	head, rest, ok := strings.Cut(arn, ":assumed-role/")
	slash := strings.LastIndexByte(rest, '/')
	if !ok || slash < 0 {
		return ""
	}
	partition, account, _ := strings.Cut(head, ":sts:")
	return r.Arena.Concat(partition, ":iam:", account, ":role/", rest[:slash])
}

// cutSession splits a principal id of a role's session: AROAEXAMPLE:session.
func cutSession(id string) (role, session string) {
	role, session, _ = strings.Cut(id, ":")
	return role, session
}
