package cloud

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// OCSF returns the format of events that another system already normalised to the Open Cybersecurity Schema Framework.
func OCSF() formats.Format {
	return formats.Format{
		Name:       "ocsf",
		Datasets:   []string{"ocsf"},
		Families:   []string{formats.FamilyAudit, formats.FamilyGateway, formats.FamilyLLM}, // an event may be about anything
		Signatures: []formats.Signature{{Keys: []string{"class_uid", "metadata"}}},
		Scope:      formats.ScopePlatform,
		NewReader:  newOCSF,
	}
}

type ocsf struct {
	time, timeText, duration    int // time, time_dt, duration
	class, version              int // class_uid, metadata.version
	activity, activityName      int // activity_id, activity_name
	typeName, operation         int // type_name, api.operation
	status, statusCode          int // status_id, status_code
	disposition, httpStatus     int // disposition_id, http_response.code
	method, userAgent           int // http_request: http_method, user_agent
	address, service            int // src_endpoint: ip, svc_name
	finding                     int // finding_info.title
	agentID, appID              int // ai_agent.uid, actor.app_uid
	userID, userName, userEmail int // actor.user: uid, name, email_addr
	userType, credential        int // actor.user: type_id, credential_uid
	model, resources            int // ai_model, resources
	copies                      copies
	resource                    *formats.Shape
}

// ocsfCopies lists the fields that OCSF has too.
var ocsfCopies = []copied{
	{schema.EventID, []string{"metadata.original_event_uid", "metadata.uid"}},
	{schema.TraceID, []string{"trace.uid", "metadata.trace_uid"}},
	{schema.SpanID, []string{"trace.span.uid"}},
	{schema.SpanParentID, []string{"trace.span.parent_uid"}},
	{schema.SessionID, []string{"actor.session.uid"}},
	{schema.OrganizationID, []string{"metadata.tenant_uid"}},
	{schema.AIAgentInstanceUID, []string{"ai_agent.instance_uid"}},
	{schema.AIAgentName, []string{"ai_agent.name"}},
	{schema.AIAgentVersion, []string{"ai_agent.version"}},
	{schema.AIAgentType, []string{"ai_agent.type"}},
	{schema.UserID, []string{"actor.user.uid", "user.uid"}},
	{schema.UserName, []string{"actor.user.name", "user.name"}},
	{schema.UserEmail, []string{"actor.user.email_addr", "user.email_addr"}},
	{schema.CredentialUID, []string{"actor.user.credential_uid"}},
	{schema.ClientAppID, []string{"actor.app_uid"}},
	{schema.ClientAppName, []string{"message_context.application", "actor.app_name"}},
	{schema.SourceASNumber, []string{"src_endpoint.autonomous_system.number"}},
	{schema.SourceGeoCountryISOCode, []string{"src_endpoint.location.country"}},
	{schema.UserAgentOriginal, []string{"http_request.user_agent"}},
	{schema.ServiceTargetName, []string{"api.service.name"}},
	{schema.CloudProvider, []string{"cloud.provider"}},
	{schema.CloudAccountID, []string{"cloud.account.uid"}},
	{schema.CloudRegion, []string{"cloud.region"}},
	{schema.HTTPRequestMethod, []string{"http_request.http_method"}},
	{schema.URLDomain, []string{"http_request.url.hostname"}},
	{schema.URLPath, []string{"http_request.url.path"}},
	{schema.HTTPRequestBytes, []string{"http_request.length"}},
	{schema.HTTPResponseBytes, []string{"http_response.length"}},
	{schema.HTTPRequestID, []string{"http_request.uid"}},
	{schema.GenAIProviderName, []string{"ai_model.ai_provider"}},
	{schema.GenAIRequestModel, []string{"ai_model.name"}},
	{schema.GenAIConversationID, []string{"message_context.uid"}},
	{schema.GenAIUsageInputTokens, []string{"message_context.prompt_tokens"}},
	{schema.GenAIUsageOutputTokens, []string{"message_context.completion_tokens"}},
	{schema.MessageContextPromptText, []string{"message_context.prompt_text"}},
	{schema.MessageContextResponseText, []string{"message_context.response_text"}},
}

// Places in the shape of a resource.
const (
	ocsfResourceID = iota
	ocsfResourceType
	ocsfResourceName
)

func newOCSF(p *formats.Paths) formats.Reader {
	return &ocsf{
		time: p.Add("time"), timeText: p.Add("time_dt"), duration: p.Add("duration"),
		class: p.Add("class_uid"), version: p.Add("metadata", "version"),
		activity: p.Add("activity_id"), activityName: p.Add("activity_name"),
		typeName: p.Add("type_name"), operation: p.Add("api", "operation"),
		status: p.Add("status_id"), statusCode: p.Add("status_code"),
		disposition: p.Add("disposition_id"), httpStatus: p.Add("http_response", "code"),
		method: p.Add("http_request", "http_method"), userAgent: p.Add("http_request", "user_agent"),
		address: p.Add("src_endpoint", "ip"), service: p.Add("src_endpoint", "svc_name"),
		finding: p.Add("finding_info", "title"),
		agentID: p.Add("ai_agent", "uid"), appID: p.Add("actor", "app_uid"),
		userID: p.Add("actor", "user", "uid"), userName: p.Add("actor", "user", "name"), userEmail: p.Add("actor", "user", "email_addr"),
		userType: p.Add("actor", "user", "type_id"), credential: p.Add("actor", "user", "credential_uid"),
		model: p.Add("ai_model"), resources: p.Add("resources"),
		copies:   newCopies(p, ocsfCopies, false),
		resource: formats.NewShape([][]string{ocsfResourceID: {"uid"}, ocsfResourceType: {"type"}, ocsfResourceName: {"name"}}...),
	}
}

// Values of class_uid whose events are not of the class audit.
const (
	ocsfAuthentication = 3002
	ocsfHTTP           = 4002
	ocsfAPI            = 6003
)

func (o *ocsf) Read(el *formats.Element) {
	el.SetDataset("ocsf")
	n := el.At(o.class)
	class, ok := scan.Int(n.Src, n.Span)
	if !ok || !el.At(o.version).Present() {
		el.Refuse(formats.ReasonUnknownFormat)
		return
	}
	if !el.SetTime(el.At(o.time), el.At(o.timeText)) {
		return
	}
	el.CopyDuration(el.At(o.duration), nsPerMilli)
	o.copies.read(el)
	o.call(el, class)
	o.outcome(el)
	if !setAddress(el, el.At(o.address)) {
		el.CopySource(el.At(o.service))
	}
	o.caller(el)
	el.SetAgentByAddress(el.Text(el.At(o.userAgent)))
	o.resource.Select(el, el.FirstItem(el.At(o.resources)))
	el.CopyText(schema.ResourceID, o.resource.At(ocsfResourceID))
	el.CopyText(schema.ResourceType, o.resource.At(ocsfResourceType))
	el.CopyText(schema.ResourceName, o.resource.At(ocsfResourceName))
	el.Emit()
}

// call sets the class, action and type of the event from OCSF's class and activity.
func (o *ocsf) call(el *formats.Element, class int64) {
	operation := el.FirstText(el.At(o.operation), el.At(o.activityName), el.At(o.typeName))
	activity := el.Text(el.At(o.activity))
	switch {
	case class == ocsfAPI && el.At(o.model).Present():
		el.SetClass(formats.ClassLLM, operation)
		el.SetText(schema.GenAIOperationName, operation)
	case class == ocsfAPI:
		el.SetClass(formats.ClassAPI, operation)
		el.SetText(schema.EventType, crud(activity))
	case class == ocsfHTTP:
		method := el.Text(el.At(o.method))
		el.SetAPICall(method)
		el.SetClass(classHTTP, firstOf(method, operation))
	case class == ocsfAuthentication:
		el.SetClass(formats.ClassAuth, operation)
	default:
		el.SetClass(formats.ClassAudit, firstOf(el.Text(el.At(o.finding)), operation))
		el.SetText(schema.EventType, typeOfOperation(el.Text(el.At(o.activityName))))
	}
}

// crud returns the event.type of an activity of the class API Activity.
func crud(activity string) string {
	switch activity {
	case "1":
		return typeCreate
	case "2":
		return typeRead
	case "3":
		return typeUpdate
	case "4":
		return typeDelete
	}
	return ""
}

// outcome sets the outcome from the status, else from the HTTP status, and the disposition.
func (o *ocsf) outcome(el *formats.Element) {
	code := el.At(o.httpStatus)
	http, ok := scan.Int(code.Src, code.Span)
	el.CopyInt(schema.HTTPResponseStatusCode, code)
	switch status := el.Text(el.At(o.status)); {
	case status == "1":
		el.SetOutcome(formats.Success)
	case status == "2":
		el.SetOutcome(formats.Failure)
		el.CopyText(schema.ErrorType, el.At(o.statusCode))
		if formats.IsDenied(el.Text(el.At(o.statusCode))) {
			el.SetBlocked()
		}
	case ok && http > 0:
		el.SetHTTPStatus(http)
	default:
		el.SetOutcome(formats.Unknown)
	}
	if http == 401 || http == 403 {
		el.SetBlocked()
	}
	switch el.Text(el.At(o.disposition)) {
	case "1":
		el.SetText(schema.Disposition, formats.Allowed)
	case "2":
		el.SetBlocked()
	}
}

// caller sets the fields of the caller: the agent if the event declares one, an application, or a user.
func (o *ocsf) caller(el *formats.Element) {
	el.SetAgent("ai_agent.uid", el.Text(el.At(o.agentID)))
	kind := el.Text(el.At(o.userType))
	if kind == "4" {
		el.SetAgent("actor.user.credential_uid", el.Text(el.At(o.credential)))
	}
	el.SetAgent("actor.app_uid", el.Text(el.At(o.appID)))
	user := el.FirstText(el.At(o.userID), el.At(o.userName), el.At(o.userEmail))
	if el.Event.Has(schema.AIAgentUID) && (kind == "" || kind == "1") {
		el.SetText(schema.OnBehalfOfID, user)
	}
	el.SetAgent("actor.user.uid", el.Text(el.At(o.userID)))
	el.SetAgent("actor.user.name", el.Text(el.At(o.userName)))
	el.SetAgent("actor.user.email_addr", el.Text(el.At(o.userEmail)))
	switch kind {
	case "1", "2": // user, administrator
		el.SetText(schema.UserType, "human")
	case "3":
		el.SetText(schema.UserType, "system")
	case "4":
		el.SetText(schema.UserType, "service")
	}
}
