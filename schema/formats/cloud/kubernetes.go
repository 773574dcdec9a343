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
		Families: []string{formats.FamilyAudit},
		Signatures: []formats.Signature{
			{Keys: []string{"apiVersion", "verb"}, Path: []string{"apiVersion"}, Text: "audit.k8s.io/v1"},
			{Keys: []string{"apiVersion", "verb"}, Path: []string{"apiVersion"}, Text: "audit.k8s.io/v1beta1"},
			{Keys: []string{"kind", "verb", "objectRef"}, Path: []string{"kind"}, Text: "Event"}, // exports without the version
		},
		Scope: formats.ScopePlatform,
		NewReader: func(p *formats.Paths) formats.Reader {
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

func (k *kubernetes) Read(el *formats.Element) {
	k.read(el, formats.Node{})
}

// read reads the audit event. outer is the time of the enclosing record, for an event without one.
func (k *kubernetes) read(el *formats.Element, outer formats.Node) {
	el.SetDataset("kubernetes.audit")
	switch el.Text(k.event.at(el, k8sStage)) {
	case "ResponseComplete", "Panic", "":
	default:
		el.Skip(formats.SkipEarlierStage) // the last stage is another record
		return
	}
	if !el.SetTime(k.event.at(el, k8sReceived), k.event.at(el, k8sStaged), outer) {
		return
	}
	k.duration(el)
	el.CopyText(schema.EventID, k.event.at(el, k8sID))
	k.call(el)
	k.outcome(el)
	k.caller(el)
	el.Emit()
}

// duration sets the duration, from the receipt of the request to the end of the response.
func (k *kubernetes) duration(el *formats.Element) {
	from, to := k.event.at(el, k8sReceived), k.event.at(el, k8sStaged)
	start, ok := scan.Time(from.Src, from.Span)
	end, ok2 := scan.Time(to.Src, to.Span)
	if ok && ok2 && end >= start {
		el.Event.SetInt(schema.EventDuration, end-start)
	}
}

// call sets the action, which is verb:resource, and the object.
func (k *kubernetes) call(el *formats.Element) {
	verb, resource, sub := el.Text(k.event.at(el, k8sVerb)), el.Text(k.event.at(el, k8sResource)), el.Text(k.event.at(el, k8sSubresource))
	action := verb
	switch {
	case resource != "" && sub != "":
		resource = el.Arena.Concat(resource, "/", sub)
		fallthrough
	case resource != "":
		action = el.Arena.Concat(verb, ":", resource)
	}
	el.SetClass(formats.ClassAudit, action)
	el.SetText(schema.EventType, typeOfVerb(verb))
	el.SetText(schema.ResourceType, resource)
	name, namespace := el.Text(k.event.at(el, k8sName)), el.Text(k.event.at(el, k8sNamespace))
	if name != "" && namespace != "" {
		name = el.Arena.Concat(namespace, "/", name)
	}
	el.SetText(schema.ResourceName, name)
	_, path := formats.SplitURL(el.Text(k.event.at(el, k8sURI)))
	el.SetText(schema.URLPath, path)
}

// outcome sets the outcome from the authorizer's decision, else from the status.
func (k *kubernetes) outcome(el *formats.Element) {
	status := k.event.at(el, k8sCode)
	code, ok := scan.Int(status.Src, status.Span)
	forbidden := el.Text(k.event.at(el, k8sDecision)) == "forbid"
	failed := el.Text(k.event.at(el, k8sStage)) == "Panic" || el.Text(k.event.at(el, k8sStatus)) == "Failure"
	switch {
	case forbidden:
		el.SetBlocked()
	case ok && code != 0:
		el.SetHTTPStatus(code)
	case failed:
		el.SetOutcome(formats.Failure)
	default:
		el.SetOutcome(formats.Unknown)
	}
	el.CopyInt(schema.HTTPResponseStatusCode, status)
	if forbidden || failed || code >= 400 {
		el.CopyText(schema.ErrorType, k.event.at(el, k8sReason))
	}
}

// caller sets the fields of the caller. On EKS the user's name may contain the name of a session, which the caller
// chooses; the role's ARN does not.
func (k *kubernetes) caller(el *formats.Element) {
	el.CopySource(el.FirstItem(k.event.at(el, k8sAddresses)))
	userAgent, user := el.Text(k.event.at(el, k8sUserAgent)), el.Text(k.event.at(el, k8sUser))
	el.SetText(schema.UserAgentOriginal, userAgent)
	switch {
	case user == "system:anonymous": // all callers without a name
	case strings.HasPrefix(user, "system:"):
		el.SetAgent("user.username", user)
	default:
		el.SetAgent("user.extra.canonicalArn", el.Text(el.FirstItem(k.event.at(el, k8sARN))))
		el.SetAgent("user.username", user)
	}
	el.SetAgentByAddress(userAgent)
	switch {
	case strings.HasPrefix(user, "system:serviceaccount:"):
		el.SetText(schema.UserType, "service")
		el.SetText(schema.AIAgentName, lastPart(user, ':'))
	case strings.HasPrefix(user, "system:"):
		el.SetText(schema.UserType, "system")
	}
	el.CopyText(schema.UserName, k.event.at(el, k8sUser))
	el.CopyText(schema.UserID, k.event.at(el, k8sUserID))
	el.CopyFirstText(schema.AIAgentInstanceUID, el.FirstItem(k.event.at(el, k8sPod)), el.FirstItem(k.event.at(el, k8sSession)))
	el.CopyFirstText(schema.CredentialUID, el.FirstItem(k.event.at(el, k8sCredential)), el.FirstItem(k.event.at(el, k8sAccessKey)))
	el.CopyText(schema.OnBehalfOfID, k.event.at(el, k8sImpersonated))
}
