package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// GCPAudit is a log entry of Google Cloud Audit Logs: admin activity, data access, system event and policy denied.
func GCPAudit() formats.Format {
	return formats.Format{
		Name:     "gcp_audit",
		Aliases:  []string{"gcp"},
		Datasets: []string{"gcp.audit"},
		Tells: []formats.Tell{
			{Keys: []string{"protoPayload", "logName"}},
			{Keys: []string{"protoPayload", "resource"}}, // exports that leave out the log's name
		},
		Open: newGCP,
	}
}

type gcp struct {
	id, time, received, kind, service, method, name, code, granted                  int
	subject, email, keyName, delegation, oauthClient                                int
	ip, ipUpper, userAgent, resourceType, project, location, zone, trace, operation int
	delegate                                                                        *formats.Shape
	permission                                                                      *formats.Shape
}

// Places in the shape of one identity that delegated.
const (
	delegateEmail = iota
	delegateSubject
)

func newGCP(p *formats.Paths) formats.Reader {
	at := func(keys ...string) int { return p.Add(append([]string{"protoPayload"}, keys...)...) }
	return &gcp{
		id: p.Add("insertId"), time: p.Add("timestamp"), received: p.Add("receiveTimestamp"), kind: at("@type"),
		service: at("serviceName"), method: at("methodName"), name: at("resourceName"), code: at("status", "code"), granted: at("authorizationInfo"),
		subject: at("authenticationInfo", "principalSubject"), email: at("authenticationInfo", "principalEmail"),
		keyName: at("authenticationInfo", "serviceAccountKeyName"), delegation: at("authenticationInfo", "serviceAccountDelegationInfo"),
		oauthClient: at("authenticationInfo", "oauthInfo", "oauthClientId"),
		ip:          at("requestMetadata", "callerIp"), ipUpper: at("requestMetadata", "callerIP"), userAgent: at("requestMetadata", "callerSuppliedUserAgent"),
		resourceType: p.Add("resource", "type"), project: p.Add("resource", "labels", "project_id"),
		location: p.Add("resource", "labels", "location"), zone: p.Add("resource", "labels", "zone"), trace: p.Add("trace"), operation: p.Add("operation", "id"),
		delegate:   formats.NewShape([]string{"firstPartyPrincipal", "principalEmail"}, []string{"principalSubject"}),
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

// call sets what was called, and on what.
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

// The gRPC codes of refusals.
const (
	grpcPermissionDenied = 7
	grpcUnauthenticated  = 16
)

// outcome reads the status; a permission that was expressly not granted is a refusal too.
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

// refused says that one of the permissions was not granted.
func (g *gcp) refused(r *formats.Record) (refused bool) {
	list := r.At(g.granted)
	r.Index.Each(list.Src, list.Span, func(elem scan.Span) bool {
		g.permission.Select(r, formats.Node{Src: list.Src, Span: elem})
		refused = g.permission.At(0).Kind == scan.False
		return !refused
	})
	return refused
}

// source sets where the call came from. Google hides the addresses of its own networks behind words.
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

// The raw fields that name a principal, as ai_agent.uid_source shows them.
const (
	sourcePrincipalSubject = "protoPayload.authenticationInfo.principalSubject"
	sourcePrincipalEmail   = "protoPayload.authenticationInfo.principalEmail"
)

// principal tells who called: an agent's own identity, a service account, a person.
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
