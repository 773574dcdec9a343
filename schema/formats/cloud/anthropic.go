package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// AnthropicActivity returns the format of the activity feed of an Anthropic organization: changes of keys, projects, MCP
// servers and users. The feed does not include prompts.
func AnthropicActivity() formats.Format {
	return formats.Format{
		Name:       "anthropic_activity",
		Datasets:   []string{"anthropic.activity"},
		Families:   []string{formats.FamilyAudit},
		Signatures: []formats.Signature{{Keys: []string{"created_at", "organization_id", "type", "actor"}}},
		Scope:      formats.ScopePlatform,
		NewReader:  newAnthropic,
	}
}

type anthropic struct {
	record                   int // the whole element
	id, kind, time           int // id, type, created_at
	organization             int // organization_id
	resourceID, resourceType int // resource_id, resource_type
	targetID, targetType     int // target_id, target_type
	actorType, userID, email int // actor: type, user_id, email_address
	address, userAgent       int // actor: ip_address, user_agent
	key, adminKey, directory int // actor: api_key_id, admin_api_key_id, directory_id
}

func newAnthropic(p *formats.Paths) formats.Reader {
	return &anthropic{
		record: p.Add(),
		id:     p.Add("id"), kind: p.Add("type"), time: p.Add("created_at"),
		organization: p.Add("organization_id"),
		resourceID:   p.Add("resource_id"), resourceType: p.Add("resource_type"),
		targetID: p.Add("target_id"), targetType: p.Add("target_type"),
		actorType: p.Add("actor", "type"), userID: p.Add("actor", "user_id"), email: p.Add("actor", "email_address"),
		address: p.Add("actor", "ip_address"), userAgent: p.Add("actor", "user_agent"),
		key: p.Add("actor", "api_key_id"), adminKey: p.Add("actor", "admin_api_key_id"), directory: p.Add("actor", "directory_id"),
	}
}

func (a *anthropic) Read(el *formats.Element) {
	el.SetDataset("anthropic.activity")
	if !el.SetTime(el.At(a.time)) {
		return
	}
	el.CopyText(schema.EventID, el.At(a.id))
	kind := el.Text(el.At(a.kind))
	class := formats.ClassAudit
	for _, word := range [...]string{"login", "logout", "signed_in", "signed_out", "sso_"} {
		if strings.Contains(kind, word) {
			class = formats.ClassAuth
		}
	}
	el.SetClass(class, kind)
	el.SetText(schema.EventType, typeOfVerb(lastPart(kind, '_')))
	el.SetOutcome(formats.Success)
	if strings.Contains(kind, "failed") {
		el.SetOutcome(formats.Failure)
	}
	setAddress(el, el.At(a.address))
	a.caller(el)
	el.SetAgentByAddress(el.Text(el.At(a.userAgent)))
	el.CopyText(schema.UserAgentOriginal, el.At(a.userAgent))
	el.CopyText(schema.OrganizationID, el.At(a.organization))
	el.SetText(schema.ServiceTargetName, "anthropic")
	a.resource(el)
	el.Emit()
}

// caller sets the fields of the actor: a key, a directory, or a person.
func (a *anthropic) caller(el *formats.Element) {
	key := el.FirstText(el.At(a.key), el.At(a.adminKey))
	el.SetAgent("actor.api_key_id", el.Text(el.At(a.key)))
	el.SetAgent("actor.admin_api_key_id", el.Text(el.At(a.adminKey)))
	el.SetAgent("actor.directory_id", el.Text(el.At(a.directory)))
	user := el.Text(el.At(a.userID))
	if el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, user)
		el.SetText(schema.UserType, "service")
	}
	el.SetAgent("actor.user_id", user)
	el.SetAgent("actor.email_address", el.Text(el.At(a.email)))
	if strings.Contains(el.Text(el.At(a.actorType)), "user") {
		el.SetText(schema.UserType, "human")
	}
	el.CopyText(schema.UserID, el.At(a.userID))
	el.CopyText(schema.UserEmail, el.At(a.email))
	if key != "" {
		el.SetText(schema.CredentialUID, key)
		el.SetText(schema.CredentialType, "api_key")
	}
}

// resource sets the object of the activity: resource_id or target_id, else the first field whose key ends in _id, with the
// name from the _name key of the same prefix.
func (a *anthropic) resource(el *formats.Element) {
	if id := el.At(a.resourceID); id.Present() {
		el.CopyText(schema.ResourceID, id)
		el.CopyText(schema.ResourceType, el.At(a.resourceType))
		return
	}
	if id := el.At(a.targetID); id.Present() {
		el.CopyText(schema.ResourceID, id)
		el.CopyText(schema.ResourceType, el.At(a.targetType))
		return
	}
	whole, prefix, named := el.At(a.record), "", !el.Wanted(schema.ResourceName)
	isName := func(key string, v scan.Span) {
		if name, ok := strings.CutSuffix(key, "_name"); ok && name == prefix {
			el.CopyText(schema.ResourceName, formats.Node{Src: whole.Src, Span: v})
			named = true
		}
	}
	el.Index.Members(whole.Src, whole.Span, &el.Arena, func(key string, v scan.Span) bool {
		if prefix != "" {
			isName(key, v)
			return true
		}
		name, isID := strings.CutSuffix(key, "_id")
		if isID && v.Kind == scan.String && name != "organization" {
			prefix = name
			el.CopyText(schema.ResourceID, formats.Node{Src: whole.Src, Span: v})
			el.SetText(schema.ResourceType, name)
		}
		return prefix == "" || !named // the name usually follows the id
	})
	if prefix == "" || named {
		return
	}
	el.Index.Members(whole.Src, whole.Span, &el.Arena, func(key string, v scan.Span) bool {
		isName(key, v)
		return true
	})
}
