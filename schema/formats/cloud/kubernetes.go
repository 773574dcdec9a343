package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Kubernetes returns the format of audit events of an API server. A request gives an audit event for each of its stages; only
// that of the last stage is read.
func Kubernetes() formats.Format {
	return formats.Format{
		Name:     "kubernetes_audit",
		Aliases:  []string{"kubernetes", "k8s", "k8s_audit"},
		Datasets: []string{"kubernetes.audit"},
		Tells: []formats.Tell{
			{Keys: []string{"apiVersion", "verb"}, Path: []string{"apiVersion"}, Text: "audit.k8s.io/v1"},
			{Keys: []string{"apiVersion", "verb"}, Path: []string{"apiVersion"}, Text: "audit.k8s.io/v1beta1"},
			{Keys: []string{"kind", "verb", "objectRef"}, Path: []string{"kind"}, Text: "Event"}, // exports without the version
		},
		Open: func(p *formats.Paths) formats.Reader {
			return &kubernetes{event: newBlock(p, nil, kubernetesPaths)}
		},
	}
}

// kubernetes reads an audit event, either an element of its own or one inside a record of Azure.
type kubernetes struct {
	event *block
}

// Places in an audit event.
const (
	k8sID = iota
	k8sStage
	k8sVerb
	k8sURI
	k8sUser
	k8sUserID
	k8sPod
	k8sCredential
	k8sARN
	k8sAccessKey
	k8sSession
	k8sImpersonated
	k8sAddresses
	k8sUserAgent
	k8sResource
	k8sSubresource
	k8sNamespace
	k8sName
	k8sCode
	k8sReason
	k8sStatus
	k8sReceived
	k8sStaged
	k8sDecision
)

var kubernetesPaths = [][]string{
	k8sID:           {"auditID"},
	k8sStage:        {"stage"},
	k8sVerb:         {"verb"},
	k8sURI:          {"requestURI"},
	k8sUser:         {"user", "username"},
	k8sUserID:       {"user", "uid"},
	k8sPod:          {"user", "extra", "authentication.kubernetes.io/pod-name"},
	k8sCredential:   {"user", "extra", "authentication.kubernetes.io/credential-id"},
	k8sARN:          {"user", "extra", "canonicalArn"}, // EKS
	k8sAccessKey:    {"user", "extra", "accessKeyId"},  // EKS
	k8sSession:      {"user", "extra", "sessionName"},  // EKS
	k8sImpersonated: {"impersonatedUser", "username"},
	k8sAddresses:    {"sourceIPs"},
	k8sUserAgent:    {"userAgent"},
	k8sResource:     {"objectRef", "resource"},
	k8sSubresource:  {"objectRef", "subresource"},
	k8sNamespace:    {"objectRef", "namespace"},
	k8sName:         {"objectRef", "name"},
	k8sCode:         {"responseStatus", "code"},
	k8sReason:       {"responseStatus", "reason"},
	k8sStatus:       {"responseStatus", "status"},
	k8sReceived:     {"requestReceivedTimestamp"},
	k8sStaged:       {"stageTimestamp"},
	k8sDecision:     {"annotations", "authorization.k8s.io/decision"},
}

func (k *kubernetes) Read(r *formats.Record) {
	k.read(r, formats.Node{})
}

// read reads the audit event. outer is the time of the enclosing record, for an event without one.
func (k *kubernetes) read(r *formats.Record, outer formats.Node) {
	r.Begin("kubernetes.audit")
	switch r.Text(k.event.at(r, k8sStage)) {
	case "ResponseComplete", "Panic", "":
	default:
		return // an earlier stage; the last stage is another record
	}
	if !r.Start(k.event.at(r, k8sReceived), k.event.at(r, k8sStaged), outer) {
		return
	}
	k.duration(r)
	r.SetText(schema.EventID, k.event.at(r, k8sID))
	k.call(r)
	k.outcome(r)
	k.caller(r)
	r.Emit()
}

// duration sets the duration, from the receipt of the request to the end of the response.
func (k *kubernetes) duration(r *formats.Record) {
	from, to := k.event.at(r, k8sReceived), k.event.at(r, k8sStaged)
	start, ok := scan.Time(from.Src, from.Span)
	end, ok2 := scan.Time(to.Src, to.Span)
	if ok && ok2 && end >= start {
		r.Event.SetInt(schema.EventDuration, end-start)
	}
}

// call sets the action, which is verb:resource, and the object.
func (k *kubernetes) call(r *formats.Record) {
	verb, resource, sub := r.Text(k.event.at(r, k8sVerb)), r.Text(k.event.at(r, k8sResource)), r.Text(k.event.at(r, k8sSubresource))
	action := verb
	switch {
	case resource != "" && sub != "":
		resource = r.Arena.Concat(resource, "/", sub)
		fallthrough
	case resource != "":
		action = r.Arena.Concat(verb, ":", resource)
	}
	r.SetClass(formats.ClassAudit, action)
	r.Put(schema.EventType, typeOfVerb(verb))
	r.Put(schema.ResourceType, resource)
	name, namespace := r.Text(k.event.at(r, k8sName)), r.Text(k.event.at(r, k8sNamespace))
	if name != "" && namespace != "" {
		name = r.Arena.Concat(namespace, "/", name)
	}
	r.Put(schema.ResourceName, name)
	_, path := formats.SplitURL(r.Text(k.event.at(r, k8sURI)))
	r.Put(schema.URLPath, path)
}

// outcome sets the outcome from the authorizer's decision, else from the status.
func (k *kubernetes) outcome(r *formats.Record) {
	status := k.event.at(r, k8sCode)
	code, ok := scan.Int(status.Src, status.Span)
	forbidden := r.Text(k.event.at(r, k8sDecision)) == "forbid"
	failed := r.Text(k.event.at(r, k8sStage)) == "Panic" || r.Text(k.event.at(r, k8sStatus)) == "Failure"
	switch {
	case forbidden:
		r.Block()
	case ok && code != 0:
		r.SetStatus(code)
	case failed:
		r.SetOutcome(formats.Failure)
	default:
		r.SetOutcome(formats.Unknown)
	}
	r.SetInt(schema.HTTPResponseStatusCode, status)
	if forbidden || failed || code >= 400 {
		r.SetText(schema.ErrorType, k.event.at(r, k8sReason))
	}
}

// caller sets the fields of the caller. On EKS the user's name may contain the name of a session, which the caller chooses; the
// role's ARN does not.
func (k *kubernetes) caller(r *formats.Record) {
	r.SetCaller(r.First(k.event.at(r, k8sAddresses)))
	userAgent, user := r.Text(k.event.at(r, k8sUserAgent)), r.Text(k.event.at(r, k8sUser))
	r.Put(schema.UserAgentOriginal, userAgent)
	switch {
	case user == "system:anonymous": // all callers without a name
	case strings.HasPrefix(user, "system:"):
		r.Agent("user.username", user)
	default:
		r.Agent("user.extra.canonicalArn", r.Text(r.First(k.event.at(r, k8sARN))))
		r.Agent("user.username", user)
	}
	r.AgentByAddress(userAgent)
	switch {
	case strings.HasPrefix(user, "system:serviceaccount:"):
		r.Put(schema.UserType, "service")
		r.Put(schema.AIAgentName, lastPart(user, ':'))
	case strings.HasPrefix(user, "system:"):
		r.Put(schema.UserType, "system")
	}
	r.SetText(schema.UserName, k.event.at(r, k8sUser))
	r.SetText(schema.UserID, k.event.at(r, k8sUserID))
	r.SetFirst(schema.AIAgentInstanceUID, r.First(k.event.at(r, k8sPod)), r.First(k.event.at(r, k8sSession)))
	r.SetFirst(schema.CredentialUID, r.First(k.event.at(r, k8sCredential)), r.First(k.event.at(r, k8sAccessKey)))
	r.SetText(schema.OnBehalfOfID, k.event.at(r, k8sImpersonated))
}
