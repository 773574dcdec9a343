package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// GCPAudit returns the format of Google Cloud Audit Logs: admin activity, data access, system event and policy denied.
func GCPAudit() formats.Format {
	return formats.Format{
		Name:     "gcp_audit",
		Aliases:  []string{"gcp"},
		Datasets: []string{"gcp.audit"},
		Families: []string{formats.FamilyAudit},
		Signatures: []formats.Signature{
			{Keys: []string{"protoPayload", "logName"}},
			{Keys: []string{"protoPayload", "resource"}}, // exports without the log's name
		},
		Scope:     formats.ScopePlatform,
		NewReader: newGCP,
	}
}

type gcp struct {
	id, time, received      int // insertId, timestamp, receiveTimestamp
	kind                    int // protoPayload.@type
	service, method, name   int // protoPayload: serviceName, methodName, resourceName
	code, permissions       int // protoPayload: status.code, authorizationInfo
	subject, email          int // protoPayload.authenticationInfo: principalSubject, principalEmail
	keyName, delegation     int // protoPayload.authenticationInfo: serviceAccountKeyName, serviceAccountDelegationInfo
	oauthClient             int // protoPayload.authenticationInfo.oauthInfo.oauthClientId
	ip, ipUpper             int // protoPayload.requestMetadata: callerIp, callerIP
	userAgent               int // protoPayload.requestMetadata.callerSuppliedUserAgent
	resourceType            int // resource.type
	project, location, zone int // resource.labels: project_id, location, zone
	trace, operation        int // trace, operation.id
	delegate                *formats.Shape
	permission              *formats.Shape
}

// Places in the shape of an identity that delegated the call.
const (
	delegateEmail = iota
	delegateSubject
	delegateClaim
)

func newGCP(p *formats.Paths) formats.Reader {
	at := func(keys ...string) int { return p.Add(append([]string{"protoPayload"}, keys...)...) }
	return &gcp{
		id: p.Add("insertId"), time: p.Add("timestamp"), received: p.Add("receiveTimestamp"),
		kind:    at("@type"),
		service: at("serviceName"), method: at("methodName"), name: at("resourceName"),
		code: at("status", "code"), permissions: at("authorizationInfo"),
		subject: at("authenticationInfo", "principalSubject"), email: at("authenticationInfo", "principalEmail"),
		keyName:     at("authenticationInfo", "serviceAccountKeyName"),
		delegation:  at("authenticationInfo", "serviceAccountDelegationInfo"),
		oauthClient: at("authenticationInfo", "oauthInfo", "oauthClientId"),
		ip:          at("requestMetadata", "callerIp"), ipUpper: at("requestMetadata", "callerIP"),
		userAgent:    at("requestMetadata", "callerSuppliedUserAgent"),
		resourceType: p.Add("resource", "type"),
		project:      p.Add("resource", "labels", "project_id"),
		location:     p.Add("resource", "labels", "location"),
		zone:         p.Add("resource", "labels", "zone"),
		trace:        p.Add("trace"), operation: p.Add("operation", "id"),
		delegate: formats.NewShape([][]string{
			delegateEmail: {"firstPartyPrincipal", "principalEmail"}, delegateSubject: {"principalSubject"},
			delegateClaim: {"thirdPartyPrincipal", "thirdPartyClaims", "sub"},
		}...),
		permission: formats.NewShape([]string{"granted"}),
	}
}

func (g *gcp) Read(el *formats.Element) {
	el.SetDataset("gcp.audit")
	if kind := el.Text(el.At(g.kind)); kind != "" && !strings.HasSuffix(kind, "google.cloud.audit.AuditLog") {
		el.Refuse(formats.ReasonUnknownFormat) // App Engine's request logs have a protoPayload too
		return
	}
	if !el.SetTime(el.At(g.time), el.At(g.received)) {
		return
	}
	el.CopyText(schema.EventID, el.At(g.id))
	g.call(el)
	g.outcome(el)
	g.source(el)
	g.principal(el)
	el.SetAgentByAddress(el.Text(el.At(g.userAgent)))
	el.SetText(schema.CloudProvider, "gcp")
	el.CopyText(schema.CloudAccountID, el.At(g.project))
	el.CopyFirstText(schema.CloudRegion, el.At(g.location), el.At(g.zone))
	el.SetText(schema.TraceID, lastPart(el.Text(el.At(g.trace)), '/')) // projects/p/traces/id
	el.CopyText(schema.HTTPRequestID, el.At(g.operation))
	el.Emit()
}

// call sets the action and the resource.
func (g *gcp) call(el *formats.Element) {
	service, method, name := el.Text(el.At(g.service)), el.Text(el.At(g.method)), el.Text(el.At(g.name))
	class := formats.ClassAudit
	if service == "login.googleapis.com" {
		class = formats.ClassAuth
	}
	el.SetClass(class, method)
	el.SetText(schema.EventType, typeOfOperation(lastPart(method, '.')))
	el.SetText(schema.ServiceTargetName, service)
	el.SetText(schema.ResourceID, name)
	el.CopyText(schema.ResourceType, el.At(g.resourceType))
	el.SetText(schema.ResourceName, lastPart(name, '/'))
	if service == "aiplatform.googleapis.com" {
		el.SetText(schema.GenAIProviderName, "gcp.vertex_ai")
		if _, model, ok := strings.Cut(name, "/models/"); ok {
			el.SetText(schema.GenAIRequestModel, model)
		}
	}
}

// gRPC codes that mean a refusal.
const (
	grpcPermissionDenied = 7
	grpcUnauthenticated  = 16
)

// outcome sets the outcome from the status. A permission that was explicitly not granted is a refusal too.
func (g *gcp) outcome(el *formats.Element) {
	status := el.At(g.code)
	code, ok := scan.Int(status.Src, status.Span)
	switch {
	case status.Present() && !ok:
		el.CountFault(schema.ErrorType)
		el.SetOutcome(formats.Unknown)
	case code == grpcPermissionDenied || code == grpcUnauthenticated || g.refused(el):
		el.SetBlocked()
	case code != 0 || strings.HasSuffix(el.Text(el.At(g.method)), "loginFailure"):
		el.SetOutcome(formats.Failure)
	default:
		el.SetOutcome(formats.Success)
	}
	if code != 0 {
		el.CopyText(schema.ErrorType, status)
	}
}

// refused reports whether one of the permissions was explicitly not granted.
func (g *gcp) refused(el *formats.Element) (refused bool) {
	list := el.At(g.permissions)
	el.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		g.permission.Select(el, formats.Node{Src: list.Src, Span: elem})
		refused = g.permission.At(0).Kind == scan.False
		return !refused
	})
	return refused
}

// source sets the caller's address. Google writes a word instead of an address of its own networks.
func (g *gcp) source(el *formats.Element) {
	ip := el.At(g.ip)
	if !ip.Present() {
		ip = el.At(g.ipUpper)
	}
	switch el.Text(ip) {
	case "private", "gce-internal-ip":
	default:
		el.CopySource(ip)
	}
	el.CopyText(schema.UserAgentOriginal, el.At(g.userAgent))
}

// Values of ai_agent.uid_source.
const (
	sourcePrincipalSubject = "protoPayload.authenticationInfo.principalSubject"
	sourcePrincipalEmail   = "protoPayload.authenticationInfo.principalEmail"
)

// principal sets the fields of the caller: an agent with an identity of its own, a service account, or a person.
func (g *gcp) principal(el *formats.Element) {
	subject, email := el.Text(el.At(g.subject)), el.Text(el.At(g.email))
	agent := strings.HasPrefix(subject, "principal://agents.")
	if agent {
		el.SetAgent(sourcePrincipalSubject, subject)
		el.SetText(schema.AIAgentName, lastPart(subject, '/'))
	}
	el.SetAgent(sourcePrincipalEmail, email)
	el.SetAgent(sourcePrincipalSubject, subject)
	el.SetText(schema.AIAgentName, email)
	el.CopyText(schema.UserEmail, el.At(g.email))
	if email == "" {
		email = subject
	}
	el.SetText(schema.UserID, email)
	switch {
	case agent:
		el.SetText(schema.UserType, "ai_agent")
	case strings.HasSuffix(email, ".gserviceaccount.com"), strings.Contains(email, "/workloadIdentityPools/"), strings.HasPrefix(email, "serviceAccount:"):
		el.SetText(schema.UserType, "service")
	case strings.IndexByte(email, '@') > 0, strings.Contains(email, "/workforcePools/"):
		el.SetText(schema.UserType, "human")
	}
	el.CopyText(schema.ClientAppID, el.At(g.oauthClient))
	el.CopyText(schema.CredentialUID, el.At(g.keyName))
	g.delegate.Select(el, el.FirstItem(el.At(g.delegation)))
	el.CopyFirstText(schema.OnBehalfOfID, g.delegate.At(delegateEmail), g.delegate.At(delegateSubject), g.delegate.At(delegateClaim))
}
