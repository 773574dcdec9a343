package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// M365 returns the format of the unified audit log of Microsoft 365, including the records of Copilot and its agents.
func M365() formats.Format {
	return formats.Format{
		Name:     "m365_audit",
		Aliases:  []string{"m365", "office365"},
		Datasets: []string{"m365.audit"},
		Tells: []formats.Tell{
			{Keys: []string{"CreationTime", "Operation", "Workload"}},
			{Keys: []string{"CreationTime", "Operation", "RecordType"}},
		},
		Open: newM365,
	}
}

type m365 struct {
	time, id                        int // CreationTime, Id
	operation, workload             int // Operation, Workload
	organization                    int // OrganizationId
	result, errorNumber, logonError int // ResultStatus, ErrorNumber, LogonError
	user, userKey, userType         int // UserId, UserKey, UserType
	clientIP, clientAddress         int // ClientIP, ClientIPAddress
	actorAddress, userAgent         int // ActorIpAddress, UserAgent
	agentID, agentName              int // AgentId, AgentName
	agentVersion                    int // AgentVersion
	appID, clientAppID              int // AppId, ClientAppId
	session, accessSession          int // SessionId, AppAccessContext.AADSessionId
	object, itemType                int // ObjectId, ItemType
	copilot                         *block
	accessed, message               *formats.Shape
}

// Places in CopilotEventData.
const (
	copilotThread = iota
	copilotHost
	copilotContexts
	copilotAccessed
	copilotMessages
	copilotAgentID
	copilotAgentName
)

var copilotPaths = [][]string{
	copilotThread:    {"ThreadId"},
	copilotHost:      {"AppHost"},
	copilotContexts:  {"Contexts"},
	copilotAccessed:  {"AccessedResources"},
	copilotMessages:  {"Messages"},
	copilotAgentID:   {"AgentId"},
	copilotAgentName: {"AgentName"},
}

// Places in the shape of an object that Copilot read.
const (
	accessedID = iota
	accessedName
	accessedType
	accessedInjection
)

func newM365(p *formats.Paths) formats.Reader {
	return &m365{
		time: p.Add("CreationTime"), id: p.Add("Id"),
		operation: p.Add("Operation"), workload: p.Add("Workload"),
		organization: p.Add("OrganizationId"),
		result:       p.Add("ResultStatus"), errorNumber: p.Add("ErrorNumber"), logonError: p.Add("LogonError"),
		user: p.Add("UserId"), userKey: p.Add("UserKey"), userType: p.Add("UserType"),
		clientIP: p.Add("ClientIP"), clientAddress: p.Add("ClientIPAddress"),
		actorAddress: p.Add("ActorIpAddress"), userAgent: p.Add("UserAgent"),
		agentID: p.Add("AgentId"), agentName: p.Add("AgentName"),
		agentVersion: p.Add("AgentVersion"),
		appID:        p.Add("AppId"), clientAppID: p.Add("ClientAppId"),
		session: p.Add("SessionId"), accessSession: p.Add("AppAccessContext", "AADSessionId"),
		object: p.Add("ObjectId"), itemType: p.Add("ItemType"),
		copilot: newBlock(p, []string{"CopilotEventData"}, copilotPaths),
		accessed: formats.NewShape([][]string{
			accessedID: {"Id"}, accessedName: {"Name"}, accessedType: {"Type"}, accessedInjection: {"XPIADetected"},
		}...),
		message: formats.NewShape([]string{"JailbreakDetected"}),
	}
}

func (m *m365) Read(r *formats.Record) {
	r.Begin("m365.audit")
	if !r.Start(r.At(m.time)) {
		return
	}
	m.copilot.open(r)
	r.SetText(schema.EventID, r.At(m.id))
	operation := r.Text(r.At(m.operation))
	m.class(r, operation)
	m.outcome(r, operation)
	setAddress(r, r.At(m.clientIP), r.At(m.clientAddress), r.At(m.actorAddress))
	m.caller(r)
	r.AgentByAddress(r.Text(r.At(m.userAgent)))
	r.SetText(schema.UserAgentOriginal, r.At(m.userAgent))
	r.SetText(schema.ServiceTargetName, r.At(m.workload))
	r.SetText(schema.OrganizationID, r.At(m.organization))
	r.SetText(schema.GenAIConversationID, m.copilot.at(r, copilotThread))
	r.SetFirst(schema.SessionID, m.copilot.at(r, copilotThread), r.At(m.session), r.At(m.accessSession))
	m.resource(r)
	m.detections(r)
	r.Emit()
}

// class sets the event's class: auth for sign-ins, llm for interactions with Copilot, else audit.
func (m *m365) class(r *formats.Record, operation string) {
	switch {
	case strings.HasPrefix(operation, "UserLog"): // UserLoggedIn, UserLoginFailed
		r.SetClass(formats.ClassAuth, operation)
	case strings.HasPrefix(operation, "CopilotInteraction"):
		r.SetClass(formats.ClassLLM, operation)
		r.Put(schema.GenAIOperationName, opChat)
	default:
		r.SetClass(formats.ClassAudit, operation)
		r.Put(schema.EventType, typeOfOperation(operation))
	}
}

// outcome sets the outcome from the result and from the end of the operation's name.
func (m *m365) outcome(r *formats.Record, operation string) {
	switch result := r.Text(r.At(m.result)); {
	case strings.HasSuffix(operation, "Failed"), strings.EqualFold(result, "false"), strings.HasPrefix(result, "Fail"):
		r.SetOutcome(formats.Failure)
		r.SetFirst(schema.ErrorType, r.At(m.logonError), r.At(m.errorNumber))
	case result == "", strings.EqualFold(result, "true"), strings.HasPrefix(result, "Succe"), result == "PartiallySucceeded":
		r.SetOutcome(formats.Success)
	default:
		r.SetOutcome(formats.Unknown)
	}
}

// caller sets the fields of the caller: an agent if the record names one, an application, or the user.
func (m *m365) caller(r *formats.Record) {
	user, key := r.Text(r.At(m.user)), r.Text(r.At(m.userKey))
	agent := r.FirstText(r.At(m.agentID), m.copilot.at(r, copilotAgentID))
	r.Agent("AgentId", agent)
	r.SetFirst(schema.AIAgentName, r.At(m.agentName), m.copilot.at(r, copilotAgentName))
	r.SetText(schema.AIAgentVersion, r.At(m.agentVersion))
	app := r.FirstText(r.At(m.clientAppID), r.At(m.appID))
	kind := userKind(r.Text(r.At(m.userType)))
	if kind == "service" {
		r.Agent("AppId", app)
	}
	if r.Event.Has(schema.AIAgentUID) {
		r.Put(schema.OnBehalfOfID, user)
	}
	r.Agent("UserId", user)
	r.Agent("UserKey", key)
	r.Put(schema.UserType, kind)
	r.SetText(schema.UserID, r.At(m.user))
	if strings.IndexByte(user, '@') > 0 {
		r.Put(schema.UserEmail, user)
	}
	r.Put(schema.ClientAppID, app)
	r.SetText(schema.ClientAppName, m.copilot.at(r, copilotHost))
}

// userKind returns the user.type of a UserType.
func userKind(number string) string {
	switch number {
	case "0", "2", "3": // regular, administrator, data center administrator
		return "human"
	case "4", "7", "8": // system, policies
		return "system"
	case "5", "6": // application, service principal
		return "service"
	}
	return ""
}

// resource sets the resource: the first object that Copilot read, else its first context, else the object of the operation.
func (m *m365) resource(r *formats.Record) {
	m.accessed.Select(r, r.First(m.copilot.at(r, copilotAccessed)))
	if id := m.accessed.At(accessedID); id.Present() {
		r.SetText(schema.ResourceID, id)
		r.SetText(schema.ResourceName, m.accessed.At(accessedName))
		r.SetText(schema.ResourceType, m.accessed.At(accessedType))
		return
	}
	m.accessed.Select(r, r.First(m.copilot.at(r, copilotContexts)))
	r.SetFirst(schema.ResourceID, m.accessed.At(accessedID), r.At(m.object))
	r.SetFirst(schema.ResourceType, m.accessed.At(accessedType), r.At(m.itemType))
}

// detections sets the finding of Copilot's own guard: a jailbreak in the prompt, or an injection in an object that it read.
func (m *m365) detections(r *formats.Record) {
	if !r.Wants(schema.GuardrailName) && !r.Wants(schema.GuardrailVerdict) && !r.Wants(schema.GuardrailRiskCategory) {
		return
	}
	risk := ""
	messages := m.copilot.at(r, copilotMessages)
	r.Index.Each(messages.Src, messages.Span, func(elem scan.Span) bool {
		m.message.Select(r, formats.Node{Src: messages.Src, Span: elem})
		if m.message.At(0).True() {
			risk = "jailbreak"
		}
		return risk == ""
	})
	read := m.copilot.at(r, copilotAccessed)
	r.Index.Each(read.Src, read.Span, func(elem scan.Span) bool {
		if risk == "" {
			m.accessed.Select(r, formats.Node{Src: read.Src, Span: elem})
			if m.accessed.At(accessedInjection).True() {
				risk = "prompt_injection"
			}
		}
		return risk == ""
	})
	if risk != "" {
		r.Put(schema.GuardrailName, "copilot")
		r.Put(schema.GuardrailVerdict, "detected")
		r.Put(schema.GuardrailRiskCategory, risk)
	}
}
