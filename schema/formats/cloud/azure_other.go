package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// azureHubs reads the audit log of Event Hubs, whose keys are at the top and in Pascal case.
type azureHubs struct {
	activity, id, status int // ActivityName, ActivityId, Status
	resource, address    int // ResourceId, ClientIp
	authType, authKey    int // AuthType, AuthKey
	authID, time         int // AuthId, EventTimestamp
}

func newAzureHubs(p *formats.Paths) *azureHubs {
	return &azureHubs{
		activity: p.Add("ActivityName"), id: p.Add("ActivityId"), status: p.Add("Status"),
		resource: p.Add("ResourceId"), address: p.Add("ClientIp"),
		authType: p.Add("AuthType"), authKey: p.Add("AuthKey"),
		authID: p.Add("AuthId"), time: p.Add("EventTimestamp"),
	}
}

func (h *azureHubs) read(el *formats.Element, a *azure) {
	if !a.start(el, "azure.activity", el.Text(el.At(h.resource)), el.At(h.time)) {
		return
	}
	action := el.Text(el.At(h.activity))
	el.SetClass(formats.ClassAudit, action)
	el.SetText(schema.EventType, typeOfOperation(lastPart(action, '.')))
	switch status := el.Text(el.At(h.status)); {
	case strings.EqualFold(status, "success"):
		el.SetOutcome(formats.Success)
	case status == "":
		el.SetOutcome(formats.Unknown)
	case isRefusal(status) || strings.HasSuffix(action, "Authorization"):
		el.SetBlocked()
	default:
		el.SetOutcome(formats.Failure)
	}
	setAddress(el, el.At(h.address))
	el.SetAgent("AuthId", el.Text(el.At(h.authID)))
	el.SetAgent("AuthKey", el.Text(el.At(h.authKey)))
	el.SetAgentByAddress("")
	el.CopyFirstText(schema.CredentialUID, el.At(h.authKey), el.At(h.authID))
	if strings.EqualFold(el.Text(el.At(h.authType)), "SAS") {
		el.SetText(schema.CredentialType, "api_key")
	}
	el.CopyText(schema.TraceID, el.At(h.id))
	el.Emit()
}

// azureDefender reads the tables that Microsoft Defender XDR streams: the actions of applications, identities and devices.
type azureDefender struct {
	properties *block
}

// Places in the properties.
const (
	defenderTime = iota
	defenderAction
	defenderActivity
	defenderApplication
	defenderAccount
	defenderAccountID
	defenderAccountName
	defenderUPN
	defenderAccountType
	defenderAddress
	defenderRemote
	defenderAgent
	defenderObject
	defenderObjectName
	defenderObjectType
	defenderOAuth
	defenderReport
	defenderFailure
	defenderTarget
	defenderDevice
)

var defenderPaths = [][]string{
	defenderTime:        {"Timestamp"},
	defenderAction:      {"ActionType"},
	defenderActivity:    {"ActivityType"},
	defenderApplication: {"Application"},
	defenderAccount:     {"AccountObjectId"},
	defenderAccountID:   {"AccountId"},
	defenderAccountName: {"AccountDisplayName"},
	defenderUPN:         {"AccountUpn"},
	defenderAccountType: {"AccountType"},
	defenderAddress:     {"IPAddress"},
	defenderRemote:      {"RemoteIP"},
	defenderAgent:       {"UserAgent"},
	defenderObject:      {"ObjectId"},
	defenderObjectName:  {"ObjectName"},
	defenderObjectType:  {"ObjectType"},
	defenderOAuth:       {"OAuthAppId"},
	defenderReport:      {"ReportId"},
	defenderFailure:     {"FailureReason"},
	defenderTarget:      {"TargetDeviceName"},
	defenderDevice:      {"DeviceId"},
}

func newAzureDefender(p *formats.Paths) *azureDefender {
	return &azureDefender{properties: newBlock(p, []string{"properties"}, defenderPaths)}
}

// defenderTable is the prefix of the categories of Defender's tables.
const defenderTable = "AdvancedHunting-"

func (f *azureDefender) read(el *formats.Element, a *azure, category, resource string) {
	f.properties.open(el)
	at := func(place int) formats.Node { return f.properties.at(el, place) }
	if !a.start(el, "azure.defender", resource, at(defenderTime)) {
		return
	}
	if own := at(defenderTime); own.Present() { // the record's own time is that of its delivery
		el.SetTimeFrom(own)
	}
	action, table := el.Text(at(defenderAction)), strings.TrimPrefix(category, defenderTable)
	class := formats.ClassAudit
	if table == "IdentityLogonEvents" || table == "DeviceLogonEvents" || strings.HasPrefix(table, "AADSignInEvents") {
		class = formats.ClassAuth
	}
	el.SetClass(class, firstOf(action, table))
	el.SetText(schema.EventType, typeOfOperation(firstOf(el.Text(at(defenderActivity)), action)))
	switch reason := el.Text(at(defenderFailure)); {
	case strings.HasSuffix(action, "Failed") || strings.HasSuffix(action, "Failure"):
		el.SetOutcome(formats.Failure)
		el.SetText(schema.ErrorType, reason)
	case strings.HasSuffix(action, "Blocked"):
		el.SetBlocked()
	default:
		el.SetOutcome(formats.Success)
	}
	a.source(el, at(defenderAddress), at(defenderRemote))
	f.caller(el)
	el.CopyText(schema.UserAgentOriginal, at(defenderAgent))
	el.CopyFirstText(schema.ServiceTargetName, at(defenderApplication), at(defenderTarget))
	el.CopyText(schema.ResourceID, at(defenderObject))
	el.CopyText(schema.ResourceName, at(defenderObjectName))
	el.CopyText(schema.ResourceType, at(defenderObjectType))
	el.Emit()
}

// caller names the agent by its application, else by the account, else by the device.
func (f *azureDefender) caller(el *formats.Element) {
	at := func(place int) formats.Node { return f.properties.at(el, place) }
	account := el.FirstText(at(defenderAccount), at(defenderAccountID))
	kind := el.Text(at(defenderAccountType))
	app := el.Text(at(defenderOAuth))
	if app == "0" {
		app = ""
	}
	el.SetAgent("properties.OAuthAppId", app)
	if el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, account)
	}
	el.SetAgent("properties.AccountObjectId", account)
	el.SetAgent("properties.AccountUpn", el.Text(at(defenderUPN)))
	el.SetAgent("properties.DeviceId", el.Text(at(defenderDevice)))
	el.SetAgentByAddress(el.Text(at(defenderAgent)))
	el.SetText(schema.UserID, account)
	el.CopyText(schema.UserName, at(defenderAccountName))
	el.CopyText(schema.UserEmail, at(defenderUPN))
	el.SetText(schema.ClientAppID, app)
	switch kind {
	case "Regular", "Admin", "DcAdmin":
		el.SetText(schema.UserType, "human")
	case "System":
		el.SetText(schema.UserType, "system")
	case "Application", "ServicePrincipal":
		el.SetText(schema.UserType, "service")
	}
}
