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

// SetClass sets event.class and event.action. SetTool also sets the phases of a tool's call, which SetClass clears.
func (el *Element) SetClass(class, action string) {
	el.Event.ClearAll(&phases)
	el.Event.SetText(schema.EventClass, class)
	el.Event.SetText(schema.EventAction, action)
}

// SetOutcome sets event.outcome.
func (el *Element) SetOutcome(outcome string) { el.Event.SetText(schema.EventOutcome, outcome) }

// SetBlocked marks the activity as refused by a control: the outcome is failure and the disposition is blocked.
func (el *Element) SetBlocked() {
	el.SetOutcome(Failure)
	el.SetText(schema.Disposition, Blocked)
}

// StatusUnauthenticated is the HTTP status of a call whose caller has no valid credential. An id that such a caller declares
// names nobody.
const StatusUnauthenticated = 401

// SetHTTPStatus sets the outcome from an HTTP status. 401 and 403 are refusals. Any other status from 400 on is a
// failure, and so is the lack of one: 0 means that the connection broke.
func (el *Element) SetHTTPStatus(status int64) {
	switch {
	case status == StatusUnauthenticated || status == 403:
		el.SetBlocked()
	case status >= 400 || status < 100:
		el.SetOutcome(Failure)
	default:
		el.SetOutcome(Success)
	}
}

// IsDenied reports whether an error code of a cloud's API means that authorization was refused. It looks for words such as
// AccessDenied anywhere in the code, because services add prefixes and suffixes.
func IsDenied(code string) bool {
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

// SetAPICall makes the event an API call whose action and type come from the HTTP method.
func (el *Element) SetAPICall(method string) {
	el.SetClass(ClassAPI, method)
	el.SetMethodType(method)
}

// SetMethodType sets event.type from an HTTP method.
func (el *Element) SetMethodType(method string) {
	if el.Wanted(schema.EventType) {
		el.Event.SetText(schema.EventType, typeOfMethod(method))
	}
}
