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
}

func newAzureSignIn(p *formats.Paths) *azureSignIn {
	return &azureSignIn{properties: newBlock(p, []string{"properties"}, signInPaths), result: p.Add("resultType")}
}

func (s *azureSignIn) read(r *formats.Record, a *azure) {
	s.properties.open(r)
	r.SetClass(formats.ClassAuth, r.Text(r.At(a.operation)))
	s.outcome(r)
	a.source(r, s.properties.at(r, signInAddress))
	s.caller(r)
	userAgent := s.properties.at(r, signInUserAgent)
	r.AgentByAddress(r.Text(userAgent))
	r.SetText(schema.UserAgentOriginal, userAgent)
	r.SetText(schema.ServiceTargetName, s.properties.at(r, signInResource))
	r.SetText(schema.SessionID, s.properties.at(r, signInSession))
	r.Emit()
}

// outcome sets the outcome from the error code, which is 0 for success. A sign-in that conditional access refused is
// blocked.
func (s *azureSignIn) outcome(r *formats.Record) {
	code := r.Text(r.At(s.result))
	if code == "" || code == "None" {
		code = r.Text(s.properties.at(r, signInCode))
	}
	switch {
	case code == "0" || hasPrefixFold(code, "success"):
		r.SetOutcome(formats.Success)
		return
	case code == "":
		r.SetOutcome(formats.Unknown)
		return
	case strings.EqualFold(r.Text(s.properties.at(r, signInAccess)), "failure"):
		r.Block()
	default:
		r.SetOutcome(formats.Failure)
	}
	r.Put(schema.ErrorType, code)
}

// caller sets the fields of the identity that signed in: an agent, if Entra marks it as one, an application, or a person.
func (s *azureSignIn) caller(r *formats.Record) {
	principal, app := r.Text(s.properties.at(r, signInPrincipal)), r.Text(s.properties.at(r, signInApp))
	user := r.Text(s.properties.at(r, signInUser))
	upn := r.Text(s.properties.at(r, signInUPN))
	if user == noUser {
		user = ""
	}
	kind := r.Text(s.properties.at(r, signInAgentType))
	switch {
	case kind != "" && !strings.EqualFold(kind, "notAgentic"):
		r.Put(schema.UserType, "ai_agent")
		r.Put(schema.AIAgentType, kind)
		r.Agent("properties.servicePrincipalId", principal)
		r.Agent("properties.appId", app)
		r.SetFirst(schema.AIAgentName, s.properties.at(r, signInPrincipalName), s.properties.at(r, signInAppName))
		r.Put(schema.OnBehalfOfID, user)
	case user == "" && upn == "":
		r.Put(schema.UserType, "service")
		r.Agent("properties.appId", app)
		r.Agent("properties.servicePrincipalId", principal)
		r.SetFirst(schema.AIAgentName, s.properties.at(r, signInPrincipalName), s.properties.at(r, signInAppName))
	default:
		r.Put(schema.UserType, "human")
		r.Agent("properties.userId", user)
		r.Agent("properties.userPrincipalName", upn)
		r.Put(schema.AIAgentName, upn)
	}
	if user == "" {
		user = principal
	}
	r.Put(schema.UserID, user)
	r.SetText(schema.UserName, s.properties.at(r, signInUserName))
	r.Put(schema.UserEmail, upn)
	r.Put(schema.ClientAppID, app)
	r.SetText(schema.ClientAppName, s.properties.at(r, signInAppName))
	r.SetText(schema.CredentialUID, s.properties.at(r, signInKey))
}

// noUser is the user id that Entra writes for a sign-in without a user.
const noUser = "00000000-0000-0000-0000-000000000000"
