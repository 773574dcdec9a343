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
		Families: []string{formats.FamilyAudit},
		Signatures: []formats.Signature{
			{Keys: []string{"CreationTime", "Operation", "Workload"}},
			{Keys: []string{"CreationTime", "Operation", "RecordType"}},
		},
		Scope:     formats.ScopePlatform,
		NewReader: newM365,
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

func (m *m365) Read(el *formats.Element) {
	el.SetDataset("m365.audit")
	if !el.SetTime(el.At(m.time)) {
		return
	}
	m.copilot.open(el)
	el.CopyText(schema.EventID, el.At(m.id))
	operation := el.Text(el.At(m.operation))
	m.class(el, operation)
	m.outcome(el, operation)
	setAddress(el, el.At(m.clientIP), el.At(m.clientAddress), el.At(m.actorAddress))
	m.caller(el)
	el.SetAgentByAddress(el.Text(el.At(m.userAgent)))
	el.CopyText(schema.UserAgentOriginal, el.At(m.userAgent))
	el.CopyText(schema.ServiceTargetName, el.At(m.workload))
	el.CopyText(schema.OrganizationID, el.At(m.organization))
	el.CopyText(schema.GenAIConversationID, m.copilot.at(el, copilotThread))
	el.CopyFirstText(schema.SessionID, m.copilot.at(el, copilotThread), el.At(m.session), el.At(m.accessSession))
	m.resource(el)
	m.detections(el)
	el.Emit()
}

// class sets the event's class: auth for sign-ins, llm for interactions with Copilot, else audit.
func (m *m365) class(el *formats.Element, operation string) {
	switch {
	case strings.HasPrefix(operation, "UserLog"): // UserLoggedIn, UserLoginFailed
		el.SetClass(formats.ClassAuth, operation)
	case strings.HasPrefix(operation, "CopilotInteraction"):
		el.SetClass(formats.ClassLLM, operation)
		el.SetText(schema.GenAIOperationName, opChat)
	default:
		el.SetClass(formats.ClassAudit, operation)
		el.SetText(schema.EventType, typeOfOperation(operation))
	}
}

// outcome sets the outcome from the result and from the end of the operation's name.
func (m *m365) outcome(el *formats.Element, operation string) {
	switch result := el.Text(el.At(m.result)); {
	case strings.HasSuffix(operation, "Failed"), strings.EqualFold(result, "false"), strings.HasPrefix(result, "Fail"):
		el.SetOutcome(formats.Failure)
		el.CopyFirstText(schema.ErrorType, el.At(m.logonError), el.At(m.errorNumber))
	case result == "", strings.EqualFold(result, "true"), strings.HasPrefix(result, "Succe"), result == "PartiallySucceeded":
		el.SetOutcome(formats.Success)
	default:
		el.SetOutcome(formats.Unknown)
	}
}

// caller sets the fields of the caller: an agent if the record names one, an application, or the user.
func (m *m365) caller(el *formats.Element) {
	user, key := el.Text(el.At(m.user)), el.Text(el.At(m.userKey))
	agent := el.FirstText(el.At(m.agentID), m.copilot.at(el, copilotAgentID))
	el.SetAgent("AgentId", agent)
	el.CopyFirstText(schema.AIAgentName, el.At(m.agentName), m.copilot.at(el, copilotAgentName))
	el.CopyText(schema.AIAgentVersion, el.At(m.agentVersion))
	app := el.FirstText(el.At(m.clientAppID), el.At(m.appID))
	kind := userKind(el.Text(el.At(m.userType)))
	if kind == "service" {
		el.SetAgent("AppId", app)
	}
	if el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, user)
	}
	el.SetAgent("UserId", user)
	el.SetAgent("UserKey", key)
	el.SetText(schema.UserType, kind)
	el.CopyText(schema.UserID, el.At(m.user))
	if strings.IndexByte(user, '@') > 0 {
		el.SetText(schema.UserEmail, user)
	}
	el.SetText(schema.ClientAppID, app)
	el.CopyText(schema.ClientAppName, m.copilot.at(el, copilotHost))
}

// userKind returns the user.type of a UserType.
func userKind(number string) string {
	switch number {
	case "0", "2", "3", "9", "10": // regular, administrator, data center administrator, technician of a partner, guest
		return "human"
	case "4", "7", "8": // system, policies
		return "system"
	case "5", "6": // application, service principal
		return "service"
	case "":
		return ""
	}
	return "unknown"
}

// resource sets the resource: the first object that Copilot read, else its first context, else the object of the operation.
func (m *m365) resource(el *formats.Element) {
	m.accessed.Select(el, el.FirstItem(m.copilot.at(el, copilotAccessed)))
	if id := m.accessed.At(accessedID); id.Present() {
		el.CopyText(schema.ResourceID, id)
		el.CopyText(schema.ResourceName, m.accessed.At(accessedName))
		el.CopyText(schema.ResourceType, m.accessed.At(accessedType))
		return
	}
	m.accessed.Select(el, el.FirstItem(m.copilot.at(el, copilotContexts)))
	el.CopyFirstText(schema.ResourceID, m.accessed.At(accessedID), el.At(m.object))
	el.CopyFirstText(schema.ResourceType, m.accessed.At(accessedType), el.At(m.itemType))
}

// detections sets the finding of Copilot's own guard: a jailbreak in the prompt, or an injection in an object that it read.
func (m *m365) detections(el *formats.Element) {
	if !el.Wanted(schema.GuardrailName) && !el.Wanted(schema.GuardrailVerdict) && !el.Wanted(schema.GuardrailRiskCategory) {
		return
	}
	risk := ""
	messages := m.copilot.at(el, copilotMessages)
	el.Index.Each(messages.Src, messages.Span, func(elem scan.Span) bool {
		m.message.Select(el, formats.Node{Src: messages.Src, Span: elem})
		if m.message.At(0).True() {
			risk = "jailbreak"
		}
		return risk == ""
	})
	read := m.copilot.at(el, copilotAccessed)
	el.Index.Each(read.Src, read.Span, func(elem scan.Span) bool {
		if risk == "" {
			m.accessed.Select(el, formats.Node{Src: read.Src, Span: elem})
			if m.accessed.At(accessedInjection).True() {
				risk = "prompt_injection"
			}
		}
		return risk == ""
	})
	if risk != "" {
		el.SetText(schema.GuardrailName, "copilot")
		el.SetText(schema.GuardrailVerdict, "detected")
		el.SetText(schema.GuardrailRiskCategory, risk)
	}
}
