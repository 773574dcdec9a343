package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// azureSignIn reads the sign-ins of Entra: of people, of service principals, of managed identities and of agents.
type azureSignIn struct {
	properties *block
	result     int // resultType
}

// Places in the properties.
const (
	signInAgentType = iota
	signInPrincipal
	signInPrincipalName
	signInApp
	signInAppName
	signInUser
	signInUserName
	signInUPN
	signInAddress
	signInUserAgent
	signInResource
	signInCode
	signInAccess
	signInSession
	signInKey
	signInTime
	signInKeyless
)

var signInPaths = [][]string{
	signInAgentType:     {"agent", "agentType"},
	signInPrincipal:     {"servicePrincipalId"},
	signInPrincipalName: {"servicePrincipalName"},
	signInApp:           {"appId"},
	signInAppName:       {"appDisplayName"},
	signInUser:          {"userId"},
	signInUserName:      {"userDisplayName"},
	signInUPN:           {"userPrincipalName"},
	signInAddress:       {"ipAddress"},
	signInUserAgent:     {"userAgent"},
	signInResource:      {"resourceDisplayName"},
	signInCode:          {"status", "errorCode"},
	signInAccess:        {"conditionalAccessStatus"},
	signInSession:       {"sessionId"},
	signInKey:           {"servicePrincipalCredentialKeyId"},
	signInTime:          {"createdDateTime"},
	signInKeyless:       {"federatedCredentialId"},
}

func newAzureSignIn(p *formats.Paths) *azureSignIn {
	return &azureSignIn{properties: newBlock(p, []string{"properties"}, signInPaths), result: p.Add("resultType")}
}

func (s *azureSignIn) read(el *formats.Element, a *azure) {
	el.SetClass(formats.ClassAuth, el.Text(el.At(a.operation)))
	s.outcome(el)
	a.source(el, s.properties.at(el, signInAddress))
	s.caller(el)
	userAgent := s.properties.at(el, signInUserAgent)
	el.SetAgentByAddress(el.Text(userAgent))
	el.CopyText(schema.UserAgentOriginal, userAgent)
	el.CopyText(schema.ServiceTargetName, s.properties.at(el, signInResource))
	el.CopyText(schema.SessionID, s.properties.at(el, signInSession))
	el.Emit()
}

// outcome sets the outcome from the error code, which is 0 for success. A sign-in that conditional access refused is
// blocked.
func (s *azureSignIn) outcome(el *formats.Element) {
	code := el.Text(el.At(s.result))
	if code == "" || code == "None" {
		code = el.Text(s.properties.at(el, signInCode))
	}
	switch {
	case code == "0" || hasPrefixFold(code, "success"):
		el.SetOutcome(formats.Success)
		return
	case code == "":
		el.SetOutcome(formats.Unknown)
		return
	case strings.EqualFold(el.Text(s.properties.at(el, signInAccess)), "failure"):
		el.SetBlocked()
	default:
		el.SetOutcome(formats.Failure)
	}
	el.SetText(schema.ErrorType, code)
}

// caller sets the fields of the identity that signed in: an agent, if Entra marks it as one, an application, or a person.
func (s *azureSignIn) caller(el *formats.Element) {
	principal, app := el.Text(s.properties.at(el, signInPrincipal)), el.Text(s.properties.at(el, signInApp))
	user := el.Text(s.properties.at(el, signInUser))
	upn := el.Text(s.properties.at(el, signInUPN))
	if user == noUser {
		user = ""
	}
	kind := el.Text(s.properties.at(el, signInAgentType))
	switch {
	case kind != "" && !strings.EqualFold(kind, "notAgentic"):
		el.SetText(schema.UserType, "ai_agent")
		el.SetText(schema.AIAgentType, kind)
		el.SetAgent("properties.servicePrincipalId", principal)
		el.SetAgent("properties.appId", app)
		el.CopyFirstText(schema.AIAgentName, s.properties.at(el, signInPrincipalName), s.properties.at(el, signInAppName))
		el.SetText(schema.OnBehalfOfID, user)
	case user == "" && upn == "":
		el.SetText(schema.UserType, "service")
		el.SetAgent("properties.appId", app)
		el.SetAgent("properties.servicePrincipalId", principal)
		el.CopyFirstText(schema.AIAgentName, s.properties.at(el, signInPrincipalName), s.properties.at(el, signInAppName))
	default:
		el.SetText(schema.UserType, "human")
		el.SetAgent("properties.userId", user)
		el.SetAgent("properties.userPrincipalName", upn)
		el.SetText(schema.AIAgentName, upn)
	}
	if user == "" {
		user = principal
	}
	el.SetText(schema.UserID, user)
	el.CopyText(schema.UserName, s.properties.at(el, signInUserName))
	el.SetText(schema.UserEmail, upn)
	el.SetText(schema.ClientAppID, app)
	el.CopyText(schema.ClientAppName, s.properties.at(el, signInAppName))
	el.CopyFirstText(schema.CredentialUID, s.properties.at(el, signInKey), s.properties.at(el, signInKeyless))
}

// noUser is the user id that Entra writes for a sign-in without a user.
const noUser = "00000000-0000-0000-0000-000000000000"
