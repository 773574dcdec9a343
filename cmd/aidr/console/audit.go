package console

import (
	"fmt"
	"sync"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// The actions of the audit entries of the console. Actions on findings, containments and rules are audited by the control API.
const (
	actionLogin   = "console.login"
	actionLogout  = "console.logout"
	actionRefused = "refused"
)

// maxRefusals is the number of refused requests of one minute that the audit keeps, so that nobody can fill the disk with them.
const maxRefusals = 60

// refusals counts the refused requests of one minute.
type refusals struct {
	mu     sync.Mutex
	minute int64
	count  int
}

// admit reports whether the audit keeps one more refused request of the minute.
func (r *refusals) admit(minute int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute != r.minute {
		r.minute, r.count = minute, 0
	}
	r.count++
	return r.count <= maxRefusals
}

// audit adds an entry about access to the audit.
func (q *request) audit(who *Caller, action, reason string) {
	if q.console.opts.Audit == nil {
		return
	}
	q.console.opts.Audit(store.AuditEntry{
		Time: schema.InstantOf(q.console.opts.Now()), Class: schema.AuditAccess, Action: action, Who: who.Name, Token: who.Token, Tenant: who.Tenant,
		Object: schema.Truncate(q.r.RemoteAddr, 64), Reason: schema.Truncate(Plain(reason), schema.MaxReason),
	})
}

// refused logs a request that is refused, and adds it to the audit.
func (q *request) refused(why string) {
	who := &Caller{}
	who.Name = "unknown"
	if q.session != nil {
		who = &q.session.who
	}
	path := schema.Truncate(Plain(q.r.URL.Path), 100)
	q.console.opts.Log.Warn("console: refused", "path", path, "who", who.Name, "from", q.r.RemoteAddr, "reason", why)
	if q.console.refusals.admit(q.console.opts.Now().Unix() / 60) {
		q.audit(who, actionRefused, fmt.Sprintf("%s %s: %s", q.r.Method, path, why))
	}
}
