// Package access decides which callers may use the control API. A Caller is the origin of a request, with the scopes that it
// holds. Peers of the unix socket in the state directory hold all scopes. Callers of the listener control.listen
// authenticate with a Token, whose hash is in the state directory, or with a client certificate that the configuration maps
// to scopes; a Guard checks that, and that a request does not come from a page of another site.
//
//	request -> Guard (Host, Origin, credential) -> Caller or refusal in the context -> route of cmd/aidr/api (scope, tenant)
//
// A token is "aidr_" and 32 random bytes in base64url. It is shown once, when it is created; the state directory keeps its
// SHA-256. Revoking a token ends its requests under way, streams too.
package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Scope is a permission. Each route of the control API needs one.
type Scope string

// The scopes.
const (
	Read    Scope = "read"    // see findings, inventory, State, containments, audit
	Triage  Scope = "triage"  // acknowledge, assign, close and snooze findings
	Contain Scope = "contain" // contain and release
	Approve Scope = "approve" // answer proposals and held calls
	Rules   Scope = "rules"   // clear the State of rules, try items on it
	Admin   Scope = "admin"   // tokens, sinks, dead letters, automation, confirm that the table is complete
)

// All returns all scopes.
func All() []Scope { return []Scope{Read, Triage, Contain, Approve, Rules, Admin} }

// Role is a usual set of scopes.
type Role struct {
	Name   string
	Scopes []Scope
}

// Roles returns the roles, the least first.
func Roles() []Role {
	return []Role{
		{"viewer", []Scope{Read}},
		{"analyst", []Scope{Read, Triage}},
		{"responder", []Scope{Read, Triage, Contain, Approve}},
		{"admin", All()},
	}
}

// ParseScopes returns the scopes that a list of scopes and roles names, in the order of All. The name admin is the role.
func ParseScopes(names []string) ([]Scope, error) {
	held := map[Scope]bool{}
	for _, name := range names {
		at := slices.IndexFunc(Roles(), func(r Role) bool { return r.Name == name })
		switch {
		case at >= 0:
			for _, s := range Roles()[at].Scopes {
				held[s] = true
			}
		case slices.Contains(All(), Scope(name)):
			held[Scope(name)] = true
		default:
			return nil, fmt.Errorf("%q is neither a scope (%s) nor a role (viewer, analyst, responder, admin)", schema.Truncate(name, 64), joined(All()))
		}
	}
	if len(held) == 0 {
		return nil, fmt.Errorf("no scope is named: use a role (viewer, analyst, responder, admin) or scopes (%s)", joined(All()))
	}
	return slices.DeleteFunc(All(), func(s Scope) bool { return !held[s] }), nil
}

func joined(scopes []Scope) string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// Caller is the origin of a request, as the connection authenticated it.
type Caller struct {
	Name       string // such as "uid 1000", "token:soar" or "certificate:soar"
	Credential string // the id of the credential that authenticated it, as in events; "" for a peer of the socket
	Scopes     []Scope
	Tenant     string         // the only tenant that it sees and changes; "" means all
	Token      string         // id of the token; "" if it authenticated otherwise
	Expires    schema.Instant // of the token; 0: never
}

// Owner returns the caller that the owner of the state directory is: a user of this machine with all scopes.
func Owner(uid int) Caller { return Caller{Name: fmt.Sprintf("uid %d", uid), Scopes: All()} }

// May reports whether the caller holds a scope.
func (c *Caller) May(s Scope) bool { return slices.Contains(c.Scopes, s) }

// Sees reports whether the caller may see and change what belongs to a tenant.
func (c *Caller) Sees(tenant string) bool { return c.Tenant == "" || c.Tenant == tenant }

type (
	callerKey struct{}
	deniedKey struct{}
)

// With returns a context in which requests come from a caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of a request; ok is false if it is not authenticated.
func From(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// Denied is why a Guard refuses a request.
type Denied struct {
	Reason string // for the metric: unauthenticated, host, origin
	Code   int    // HTTP status
	Err    error
}

// DeniedOf returns why a Guard refuses a request, or nil.
func DeniedOf(ctx context.Context) *Denied {
	d, _ := ctx.Value(deniedKey{}).(*Denied)
	return d
}

func deny(ctx context.Context, reason string, code int, err error) context.Context {
	return context.WithValue(ctx, deniedKey{}, &Denied{reason, code, err})
}
