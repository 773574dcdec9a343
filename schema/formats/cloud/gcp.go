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
		Tells: []formats.Tell{
			{Keys: []string{"protoPayload", "logName"}},
			{Keys: []string{"protoPayload", "resource"}}, // exports without the log's name
		},
		Open: newGCP,
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
		}...),
		permission: formats.NewShape([]string{"granted"}),
	}
}

func (g *gcp) Read(r *formats.Record) {
	r.Begin("gcp.audit")
	if kind := r.Text(r.At(g.kind)); kind != "" && !strings.HasSuffix(kind, "google.cloud.audit.AuditLog") {
		r.Refuse(formats.UnknownFormat) // App Engine's request logs have a protoPayload too
		return
	}
	if !r.Start(r.At(g.time), r.At(g.received)) {
		return
	}
	r.SetText(schema.EventID, r.At(g.id))
	g.call(r)
	g.outcome(r)
	g.source(r)
	g.principal(r)
	r.AgentByAddress(r.Text(r.At(g.userAgent)))
	r.Put(schema.CloudProvider, "gcp")
	r.SetText(schema.CloudAccountID, r.At(g.project))
	r.SetFirst(schema.CloudRegion, r.At(g.location), r.At(g.zone))
	r.Put(schema.TraceID, lastPart(r.Text(r.At(g.trace)), '/')) // projects/p/traces/id
	r.SetText(schema.HTTPRequestID, r.At(g.operation))
	r.Emit()
}

// call sets the action and the resource.
func (g *gcp) call(r *formats.Record) {
	service, method, name := r.Text(r.At(g.service)), r.Text(r.At(g.method)), r.Text(r.At(g.name))
	class := formats.ClassAudit
	if service == "login.googleapis.com" {
		class = formats.ClassAuth
	}
	r.SetClass(class, method)
	r.Put(schema.EventType, typeOfOperation(lastPart(method, '.')))
	r.Put(schema.ServiceTargetName, service)
	r.Put(schema.ResourceID, name)
	r.SetText(schema.ResourceType, r.At(g.resourceType))
	r.Put(schema.ResourceName, lastPart(name, '/'))
	if service == "aiplatform.googleapis.com" {
		r.Put(schema.GenAIProviderName, "gcp.vertex_ai")
		if _, model, ok := strings.Cut(name, "/models/"); ok {
			r.Put(schema.GenAIRequestModel, model)
		}
	}
}

// gRPC codes that mean a refusal.
const (
	grpcPermissionDenied = 7
	grpcUnauthenticated  = 16
)

// outcome sets the outcome from the status. A permission that was explicitly not granted is a refusal too.
func (g *gcp) outcome(r *formats.Record) {
	status := r.At(g.code)
	code, ok := scan.Int(status.Src, status.Span)
	switch {
	case status.Present() && !ok:
		r.Fault(schema.ErrorType)
		r.SetOutcome(formats.Unknown)
	case code == grpcPermissionDenied || code == grpcUnauthenticated || g.refused(r):
		r.Block()
	case code != 0 || strings.HasSuffix(r.Text(r.At(g.method)), "loginFailure"):
		r.SetOutcome(formats.Failure)
	default:
		r.SetOutcome(formats.Success)
	}
	if code != 0 {
		r.SetText(schema.ErrorType, status)
	}
}

// refused reports whether one of the permissions was explicitly not granted.
func (g *gcp) refused(r *formats.Record) (refused bool) {
	list := r.At(g.permissions)
	r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		g.permission.Select(r, formats.Node{Src: list.Src, Span: elem})
		refused = g.permission.At(0).Kind == scan.False
		return !refused
	})
	return refused
}

// source sets the caller's address. Google writes a word instead of an address of its own networks.
func (g *gcp) source(r *formats.Record) {
	ip := r.At(g.ip)
	if !ip.Present() {
		ip = r.At(g.ipUpper)
	}
	switch r.Text(ip) {
	case "private", "gce-internal-ip":
	default:
		r.SetCaller(ip)
	}
	r.SetText(schema.UserAgentOriginal, r.At(g.userAgent))
}

// Values of ai_agent.uid_source.
const (
	sourcePrincipalSubject = "protoPayload.authenticationInfo.principalSubject"
	sourcePrincipalEmail   = "protoPayload.authenticationInfo.principalEmail"
)

// principal sets the fields of the caller: an agent with an identity of its own, a service account, or a person.
func (g *gcp) principal(r *formats.Record) {
	subject, email := r.Text(r.At(g.subject)), r.Text(r.At(g.email))
	agent := strings.HasPrefix(subject, "principal://agents.")
	if agent {
		r.Agent(sourcePrincipalSubject, subject)
		r.Put(schema.AIAgentName, lastPart(subject, '/'))
	}
	r.Agent(sourcePrincipalEmail, email)
	r.Agent(sourcePrincipalSubject, subject)
	r.Put(schema.AIAgentName, email)
	r.SetText(schema.UserEmail, r.At(g.email))
	if email == "" {
		email = subject
	}
	r.Put(schema.UserID, email)
	switch {
	case agent:
		r.Put(schema.UserType, "ai_agent")
	case strings.HasSuffix(email, ".gserviceaccount.com"):
		r.Put(schema.UserType, "service")
	case strings.IndexByte(email, '@') > 0:
		r.Put(schema.UserType, "human")
	}
	r.SetText(schema.ClientAppID, r.At(g.oauthClient))
	r.SetText(schema.CredentialUID, r.At(g.keyName))
	g.delegate.Select(r, r.First(r.At(g.delegation)))
	r.SetFirst(schema.OnBehalfOfID, g.delegate.At(delegateEmail), g.delegate.At(delegateSubject))
}
