package formats

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Values of event.outcome (the first three) and of disposition.
const (
	Success = "success"
	Failure = "failure"
	Unknown = "unknown"

	Allowed = "allowed"
	Blocked = "blocked"
)

// Values of event.class that readers in several packages set.
const (
	ClassAPI   = "api"
	ClassLLM   = "llm"
	ClassTool  = "tool"
	ClassAuth  = "auth"
	ClassAudit = "audit"
)

// SetClass sets event.class and event.action.
func (r *Record) SetClass(class, action string) {
	r.Event.SetText(schema.EventClass, class)
	r.Event.SetText(schema.EventAction, action)
}

// SetOutcome sets event.outcome.
func (r *Record) SetOutcome(outcome string) { r.Event.SetText(schema.EventOutcome, outcome) }

// Block marks the activity as refused by a control: the outcome is failure and the disposition is blocked.
func (r *Record) Block() {
	r.SetOutcome(Failure)
	r.Put(schema.Disposition, Blocked)
}

// SetStatus sets the outcome from an HTTP status. 401 and 403 are refusals. Any other status from 400 on is a failure, and
// so is the lack of one: 0 means that the connection broke.
func (r *Record) SetStatus(status int64) {
	switch {
	case status == 401 || status == 403:
		r.Block()
	case status >= 400 || status < 100:
		r.SetOutcome(Failure)
	default:
		r.SetOutcome(Success)
	}
}

// Denied reports whether an error code of a cloud's API means that authorization was refused. It looks for words such as
// AccessDenied anywhere in the code, because services add prefixes and suffixes.
func Denied(code string) bool {
	for _, part := range [...]string{"AccessDenied", "UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized", "Forbidden"} {
		if strings.Contains(code, part) {
			return true
		}
	}
	return false
}

// typeOfMethod returns the event.type of an HTTP method, or "".
func typeOfMethod(method string) string {
	switch method {
	case "GET", "HEAD", "OPTIONS":
		return "read"
	case "POST":
		return "create"
	case "PUT", "PATCH":
		return "update"
	case "DELETE":
		return "delete"
	}
	return ""
}

// SetCall makes the event an API call whose action and type come from the HTTP method.
func (r *Record) SetCall(method string) {
	r.SetClass(ClassAPI, method)
	r.SetCallType(method)
}

// SetCallType sets event.type from an HTTP method.
func (r *Record) SetCallType(method string) {
	if r.Wants(schema.EventType) {
		r.Event.SetText(schema.EventType, typeOfMethod(method))
	}
}
