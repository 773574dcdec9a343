package cloud

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// OCSF returns the format of events that another system already normalised to the Open Cybersecurity Schema Framework.
func OCSF() formats.Format {
	return formats.Format{
		Name:     "ocsf",
		Datasets: []string{"ocsf"},
		Tells:    []formats.Tell{{Keys: []string{"class_uid", "metadata"}}},
		Open:     newOCSF,
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

func (o *ocsf) Read(r *formats.Record) {
	r.Begin("ocsf")
	n := r.At(o.class)
	class, ok := scan.Int(n.Src, n.Span)
	if !ok || !r.At(o.version).Present() {
		r.Refuse(formats.UnknownFormat)
		return
	}
	if !r.Start(r.At(o.time), r.At(o.timeText)) {
		return
	}
	r.SetDuration(r.At(o.duration), nsPerMilli)
	o.copies.read(r)
	o.call(r, class)
	o.outcome(r)
	if !setAddress(r, r.At(o.address)) {
		r.SetCaller(r.At(o.service))
	}
	o.caller(r)
	r.AgentByAddress(r.Text(r.At(o.userAgent)))
	o.resource.Select(r, r.First(r.At(o.resources)))
	r.SetText(schema.ResourceID, o.resource.At(ocsfResourceID))
	r.SetText(schema.ResourceType, o.resource.At(ocsfResourceType))
	r.SetText(schema.ResourceName, o.resource.At(ocsfResourceName))
	r.Emit()
}

// call sets the class, action and type of the event from OCSF's class and activity.
func (o *ocsf) call(r *formats.Record, class int64) {
	operation := r.FirstText(r.At(o.operation), r.At(o.activityName), r.At(o.typeName))
	activity := r.Text(r.At(o.activity))
	switch {
	case class == ocsfAPI && r.At(o.model).Present():
		r.SetClass(formats.ClassLLM, operation)
		r.Put(schema.GenAIOperationName, operation)
	case class == ocsfAPI:
		r.SetClass(formats.ClassAPI, operation)
		r.Put(schema.EventType, crud(activity))
	case class == ocsfHTTP:
		method := r.Text(r.At(o.method))
		r.SetCall(method)
		r.SetClass(classHTTP, firstOf(method, operation))
	case class == ocsfAuthentication:
		r.SetClass(formats.ClassAuth, operation)
	default:
		r.SetClass(formats.ClassAudit, firstOf(r.Text(r.At(o.finding)), operation))
		r.Put(schema.EventType, typeOfOperation(r.Text(r.At(o.activityName))))
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
func (o *ocsf) outcome(r *formats.Record) {
	code := r.At(o.httpStatus)
	http, ok := scan.Int(code.Src, code.Span)
	r.SetInt(schema.HTTPResponseStatusCode, code)
	switch status := r.Text(r.At(o.status)); {
	case status == "1":
		r.SetOutcome(formats.Success)
	case status == "2":
		r.SetOutcome(formats.Failure)
		r.SetText(schema.ErrorType, r.At(o.statusCode))
		if formats.Denied(r.Text(r.At(o.statusCode))) {
			r.Block()
		}
	case ok && http > 0:
		r.SetStatus(http)
	default:
		r.SetOutcome(formats.Unknown)
	}
	if http == 401 || http == 403 {
		r.Block()
	}
	switch r.Text(r.At(o.disposition)) {
	case "1":
		r.Put(schema.Disposition, formats.Allowed)
	case "2":
		r.Block()
	}
}

// caller sets the fields of the caller: the agent if the event declares one, an application, or a user.
func (o *ocsf) caller(r *formats.Record) {
	r.Agent("ai_agent.uid", r.Text(r.At(o.agentID)))
	kind := r.Text(r.At(o.userType))
	if kind == "4" {
		r.Agent("actor.user.credential_uid", r.Text(r.At(o.credential)))
	}
	r.Agent("actor.app_uid", r.Text(r.At(o.appID)))
	user := r.FirstText(r.At(o.userID), r.At(o.userName), r.At(o.userEmail))
	if r.Event.Has(schema.AIAgentUID) && (kind == "" || kind == "1") {
		r.Put(schema.OnBehalfOfID, user)
	}
	r.Agent("actor.user.uid", r.Text(r.At(o.userID)))
	r.Agent("actor.user.name", r.Text(r.At(o.userName)))
	r.Agent("actor.user.email_addr", r.Text(r.At(o.userEmail)))
	switch kind {
	case "1", "2": // user, administrator
		r.Put(schema.UserType, "human")
	case "3":
		r.Put(schema.UserType, "system")
	case "4":
		r.Put(schema.UserType, "service")
	}
}
