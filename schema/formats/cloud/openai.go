package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// OpenAIAudit returns the format of the audit log of an OpenAI organization: changes of keys, users and projects. The log
// does not include prompts.
func OpenAIAudit() formats.Format {
	return formats.Format{
		Name:       "openai_audit",
		Datasets:   []string{"openai.audit"},
		Families:   []string{formats.FamilyAudit},
		Signatures: []formats.Signature{{Keys: []string{"effective_at", "type", "actor"}}},
		Scope:      formats.ScopePlatform,
		NewReader:  newOpenAI,
	}
}

type openAI struct {
	record                int // the whole element
	id, kind, time        int // id, type, effective_at
	project               int // project.id
	userID, userEmail     int // actor.session.user: id, email
	address, userAgent    int // actor.session: ip_address, user_agent
	country               int // actor.session.ip_address_details.country
	keyID, serviceAccount int // actor.api_key: id, service_account.id
	keyUser, keyEmail     int // actor.api_key.user: id, email

	knownTypes map[string]*spellings // the object's keys, by event type
	unknown    *formats.Shape        // for the object of a type that is not in knownTypes
	object     *formats.Shape        // the shape that find applied to the current element's object
}

// Places in the shape of the object that was acted on.
const (
	objectID = iota
	objectName
	objectError
)

var objectPaths = [][]string{objectID: {"id"}, objectName: {"data", "name"}, objectError: {"error_code"}}

// spelling is a key under which an event may have its object.
type spelling struct {
	place int
	shape *formats.Shape
}

// spellings are the two keys for an event type: api_key.created and api_key_created.
type spellings struct{ dotted, snake spelling }

// openAITypes lists the event types in the clients that are generated from the API's description. The API's reference (admin,
// audit logs) lists more by now; their objects are found too, by a walk over the element.
var openAITypes = []string{
	"api_key.created", "api_key.updated", "api_key.deleted", "certificate.created", "certificate.updated",
	"certificate.deleted", "certificates.activated", "certificates.deactivated", "checkpoint.permission.created",
	"checkpoint.permission.deleted", "external_key.registered", "external_key.removed", "group.created", "group.updated",
	"group.deleted", "invite.sent", "invite.accepted", "invite.deleted", "ip_allowlist.created", "ip_allowlist.updated",
	"ip_allowlist.deleted", "ip_allowlist.config.activated", "ip_allowlist.config.deactivated", "login.succeeded",
	"login.failed", "logout.succeeded", "logout.failed", "organization.updated", "project.created", "project.updated",
	"project.archived", "project.deleted", "rate_limit.updated", "rate_limit.deleted", "resource.deleted",
	"role.created", "role.updated", "role.deleted", "role.assignment.created", "role.assignment.deleted", "scim.enabled",
	"scim.disabled", "service_account.created", "service_account.updated", "service_account.deleted", "tunnel.created",
	"tunnel.updated", "tunnel.deleted", "user.added", "user.updated", "user.deleted",
}

func newOpenAI(p *formats.Paths) formats.Reader {
	at := func(keys ...string) int { return p.Add(append([]string{"actor"}, keys...)...) }
	o := &openAI{
		record: p.Add(),
		id:     p.Add("id"), kind: p.Add("type"), time: p.Add("effective_at"),
		project: p.Add("project", "id"),
		userID:  at("session", "user", "id"), userEmail: at("session", "user", "email"),
		address: at("session", "ip_address"), userAgent: at("session", "user_agent"),
		country: at("session", "ip_address_details", "country"),
		keyID:   at("api_key", "id"), serviceAccount: at("api_key", "service_account", "id"),
		keyUser: at("api_key", "user", "id"), keyEmail: at("api_key", "user", "email"),
		knownTypes: map[string]*spellings{},
		unknown:    formats.NewShape(objectPaths...),
	}
	for _, kind := range openAITypes {
		at := func(key string) spelling { return spelling{p.Add(key), p.AddShape([]string{key}, objectPaths...)} }
		o.knownTypes[kind] = &spellings{at(kind), at(strings.ReplaceAll(kind, ".", "_"))}
	}
	return o
}

func (o *openAI) Read(el *formats.Element) {
	el.SetDataset("openai.audit")
	if !el.SetTime(el.At(o.time)) {
		return
	}
	kind := el.Text(el.At(o.kind))
	el.CopyText(schema.EventID, el.At(o.id))
	o.find(el, kind)
	o.call(el, kind)
	setAddress(el, el.At(o.address))
	o.caller(el)
	el.SetAgentByAddress(el.Text(el.At(o.userAgent)))
	el.CopyText(schema.UserAgentOriginal, el.At(o.userAgent))
	el.CopyText(schema.SourceGeoCountryISOCode, el.At(o.country))
	el.CopyText(schema.CloudAccountID, el.At(o.project))
	el.SetText(schema.ServiceTargetName, "openai")
	el.Emit()
}

// find selects the object that the event is about. The object's key is the event's type, such as api_key.created, or the
// type with underscores. For known types, the pass over the element has already selected the object.
func (o *openAI) find(el *formats.Element, kind string) {
	if keys := o.knownTypes[kind]; keys != nil {
		dotted, snake := el.At(keys.dotted.place).Present(), el.At(keys.snake.place).Present()
		if dotted != snake { // if both are present, the one that comes last counts: the walk below finds it
			o.object = keys.dotted.shape
			if snake {
				o.object = keys.snake.shape
			}
			o.object.SelectFromElement(el)
			return
		}
	}
	whole := el.At(o.record)
	object := formats.Node{Src: whole.Src}
	el.Index.Members(whole.Src, whole.Span, &el.Arena, func(key string, v scan.Span) bool {
		if kind != "" && sameWords(key, kind) {
			object.Span = v
		}
		return true
	})
	o.object = o.unknown
	o.object.Select(el, object)
}

// sameWords reports whether a key is an event's type, perhaps with underscores: api_key_created for api_key.created.
func sameWords(key, kind string) bool {
	if len(key) != len(kind) {
		return false
	}
	for i := range len(key) {
		if key[i] != kind[i] && (key[i] != '_' || kind[i] != '.') {
			return false
		}
	}
	return true
}

// call sets the action, the outcome and the resource.
func (o *openAI) call(el *formats.Element, kind string) {
	class := formats.ClassAudit
	if strings.HasPrefix(kind, "login.") || strings.HasPrefix(kind, "logout.") {
		class = formats.ClassAuth
	}
	el.SetClass(class, kind)
	el.SetText(schema.EventType, typeOfVerb(lastPart(kind, '.')))
	el.SetOutcome(formats.Success)
	if strings.HasSuffix(kind, ".failed") {
		el.SetOutcome(formats.Failure)
		el.CopyText(schema.ErrorType, o.object.At(objectError))
	}
	if dot := strings.LastIndexByte(kind, '.'); dot > 0 && o.object.At(objectID).Present() {
		el.SetText(schema.ResourceType, kind[:dot])
	}
	el.CopyText(schema.ResourceID, o.object.At(objectID))
	el.CopyText(schema.ResourceName, o.object.At(objectName))
}

// caller sets the fields of the actor: a service account, a person's key, or a person.
func (o *openAI) caller(el *formats.Element) {
	key := el.Text(el.At(o.keyID))
	user := el.FirstText(el.At(o.userID), el.At(o.keyUser))
	el.SetAgent("actor.api_key.service_account.id", el.Text(el.At(o.serviceAccount)))
	el.SetAgent("actor.api_key.id", key)
	if el.Event.Has(schema.AIAgentUID) {
		el.SetText(schema.OnBehalfOfID, user)
	}
	el.SetAgent("actor.session.user.id", user)
	el.SetAgent("actor.session.user.email", el.Text(el.At(o.userEmail)))
	el.CopyFirstText(schema.UserID, el.At(o.userID), el.At(o.keyUser))
	el.CopyFirstText(schema.UserEmail, el.At(o.userEmail), el.At(o.keyEmail))
	el.CopyText(schema.CredentialUID, el.At(o.keyID))
	switch {
	case el.At(o.serviceAccount).Present():
		el.SetText(schema.UserType, "service")
	case user != "":
		el.SetText(schema.UserType, "human")
	}
	if key != "" {
		el.SetText(schema.CredentialType, "api_key")
	} else if user != "" {
		el.SetText(schema.CredentialType, "session")
	}
}
