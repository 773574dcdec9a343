package formats

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// The values of event.outcome and of disposition.
const (
	Success = "success"
	Failure = "failure"
	Unknown = "unknown"
	Allowed = "allowed"
	Blocked = "blocked"
)

// The values of event.class.
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

// Block says that a control refused the activity.
func (r *Record) Block() {
	r.SetOutcome(Failure)
	r.Put(schema.Disposition, Blocked)
}

// SetStatus sets the outcome from an HTTP status: 401 and 403 are refusals, every other one from 400 on and none at all
// (0: the connection was cut) are failures only.
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

// Denied says that an error code of a cloud's API means that authorization was refused: AccessDenied...,
// UnauthorizedOperation and their like, whatever stands before or behind.
func Denied(code string) bool {
	for _, part := range [...]string{"AccessDenied", "UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized", "Forbidden"} {
		if strings.Contains(code, part) {
			return true
		}
	}
	return false
}

// typeOfMethod is what an HTTP method does.
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

// SetCall makes the event a plain API call: its action is the method.
func (r *Record) SetCall(method string) {
	r.SetClass(ClassAPI, method)
	r.SetCallType(method)
}

// SetCallType sets what an API call does from its method.
func (r *Record) SetCallType(method string) {
	if r.Wants(schema.EventType) {
		r.Event.SetText(schema.EventType, typeOfMethod(method))
	}
}
