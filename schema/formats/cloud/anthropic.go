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
		Name:     "anthropic_activity",
		Datasets: []string{"anthropic.activity"},
		Tells:    []formats.Tell{{Keys: []string{"created_at", "organization_id", "type", "actor"}}},
		Open:     newAnthropic,
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

func (a *anthropic) Read(r *formats.Record) {
	r.Begin("anthropic.activity")
	if !r.Start(r.At(a.time)) {
		return
	}
	r.SetText(schema.EventID, r.At(a.id))
	kind := r.Text(r.At(a.kind))
	class := formats.ClassAudit
	for _, word := range [...]string{"login", "logout", "signed_in", "signed_out", "sso_"} {
		if strings.Contains(kind, word) {
			class = formats.ClassAuth
		}
	}
	r.SetClass(class, kind)
	r.Put(schema.EventType, typeOfVerb(lastPart(kind, '_')))
	r.SetOutcome(formats.Success)
	if strings.Contains(kind, "failed") {
		r.SetOutcome(formats.Failure)
	}
	setAddress(r, r.At(a.address))
	a.caller(r)
	r.AgentByAddress(r.Text(r.At(a.userAgent)))
	r.SetText(schema.UserAgentOriginal, r.At(a.userAgent))
	r.SetText(schema.OrganizationID, r.At(a.organization))
	r.Put(schema.ServiceTargetName, "anthropic")
	a.resource(r)
	r.Emit()
}

// caller sets the fields of the actor: a key, a directory, or a person.
func (a *anthropic) caller(r *formats.Record) {
	key := r.FirstText(r.At(a.key), r.At(a.adminKey))
	r.Agent("actor.api_key_id", r.Text(r.At(a.key)))
	r.Agent("actor.admin_api_key_id", r.Text(r.At(a.adminKey)))
	r.Agent("actor.directory_id", r.Text(r.At(a.directory)))
	user := r.Text(r.At(a.userID))
	if r.Event.Has(schema.AIAgentUID) {
		r.Put(schema.OnBehalfOfID, user)
		r.Put(schema.UserType, "service")
	}
	r.Agent("actor.user_id", user)
	r.Agent("actor.email_address", r.Text(r.At(a.email)))
	if strings.Contains(r.Text(r.At(a.actorType)), "user") {
		r.Put(schema.UserType, "human")
	}
	r.SetText(schema.UserID, r.At(a.userID))
	r.SetText(schema.UserEmail, r.At(a.email))
	if key != "" {
		r.Put(schema.CredentialUID, key)
		r.Put(schema.CredentialType, "api_key")
	}
}

// resource sets the object of the activity: resource_id or target_id, else the first field whose key ends in _id, with the
// name from the _name key of the same prefix.
func (a *anthropic) resource(r *formats.Record) {
	if id := r.At(a.resourceID); id.Present() {
		r.SetText(schema.ResourceID, id)
		r.SetText(schema.ResourceType, r.At(a.resourceType))
		return
	}
	if id := r.At(a.targetID); id.Present() {
		r.SetText(schema.ResourceID, id)
		r.SetText(schema.ResourceType, r.At(a.targetType))
		return
	}
	whole, prefix, named := r.At(a.record), "", !r.Wants(schema.ResourceName)
	isName := func(key string, v scan.Span) {
		if name, ok := strings.CutSuffix(key, "_name"); ok && name == prefix {
			r.SetText(schema.ResourceName, formats.Node{Src: whole.Src, Span: v})
			named = true
		}
	}
	r.Index.Members(whole.Src, whole.Span, &r.Arena, func(key string, v scan.Span) bool {
		if prefix != "" {
			isName(key, v)
			return true
		}
		name, isID := strings.CutSuffix(key, "_id")
		if isID && v.Kind == scan.String && name != "organization" {
			prefix = name
			r.SetText(schema.ResourceID, formats.Node{Src: whole.Src, Span: v})
			r.Put(schema.ResourceType, name)
		}
		return prefix == "" || !named // the name usually follows the id
	})
	if prefix == "" || named {
		return
	}
	r.Index.Members(whole.Src, whole.Span, &r.Arena, func(key string, v scan.Span) bool {
		isName(key, v)
		return true
	})
}
