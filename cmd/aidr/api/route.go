package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// route is one route of the control API.
type route struct {
	pattern string
	scope   access.Scope
	// tenants reports whether the route shows and changes only what belongs to the tenant of its caller. Callers of one tenant
	// may not use the others.
	tenants bool
	serve   http.HandlerFunc
}

// routes returns all routes.
func (h *handler) routes() []route {
	const read, triage, contain, approve, rules, admin = access.Read, access.Triage, access.Contain, access.Approve, access.Rules, access.Admin
	return []route{
		{"GET /v1/status", read, false, h.status},
		{"GET /v1/metrics", read, false, h.metrics},
		{"GET /v1/log", admin, false, h.logTail},
		{"GET /v1/whoami", "", true, h.whoami},
		{"GET /v1/findings", read, true, h.findings},
		{"GET /v1/findings/queue", read, true, h.queue},
		{"GET /v1/findings/tail", read, true, h.tail},
		{"GET /v1/findings/report", read, true, h.report},
		{"GET /v1/findings/{id}", read, true, h.finding},
		{"POST /v1/findings/{id}/triage", triage, true, h.changeTriage},
		{"POST /v1/findings/{id}/raw", triage, true, h.raw},
		{"GET /v1/snoozes", read, true, h.listSnoozes},
		{"POST /v1/snoozes/dry-run", read, true, h.snoozePreview},
		{"POST /v1/snoozes", triage, true, h.snooze},
		{"POST /v1/snoozes/{id}/wake", triage, true, h.wake},
		{"GET /v1/dead-letters", read, false, h.deadLetters},
		{"GET /v1/dead-letters/{seq}", read, false, h.deadLetter},
		{"POST /v1/dead-letters/{seq}/replay", admin, false, h.replayDead},
		{"DELETE /v1/dead-letters/{seq}", admin, false, h.dropDead},
		{"POST /v1/dead-letters/replay", admin, false, h.replaySelected},
		{"DELETE /v1/dead-letters", admin, false, h.dropSelected},
		{"POST /v1/sinks/{name}/enable", admin, false, h.enableSink},
		{"GET /v1/rules/top", read, false, h.topRules},
		{"GET /v1/rules", read, true, h.rules},
		{"GET /v1/rules/coverage", read, false, h.coverage},
		{"GET /v1/events/tail", triage, true, h.tailEvents},
		{"GET /v1/rules/{id}", read, true, h.rule},
		{"GET /v1/rules/{id}/text", read, true, h.ruleText},
		{"POST /v1/rules/try", rules, false, h.tryRule},
		{"POST /v1/rules/draft", rules, false, h.draftRule},
		{"GET /v1/story", read, true, h.story},
		{"POST /v1/console/link", "", true, h.consoleLink},
		{"GET /v1/state", read, false, h.state},
		{"GET /v1/state/rules", read, false, h.stateRules},
		{"GET /v1/state/keys", read, false, h.stateKeys},
		{"GET /v1/state/audit", read, false, h.stateAudit},
		{"GET /v1/canary", read, false, h.canary},
		{"POST /v1/canary", admin, false, h.sendCanary},
		{"GET /v1/audit", read, true, h.auditList},
		{"GET /v1/audit/verify", read, false, h.auditVerify},
		{"POST /v1/state/clear", rules, false, h.clearState},
		{"POST /v1/state/try", rules, false, h.tryItems},
		{"POST /v1/state/copy", admin, false, h.copyState},
		{"GET /v1/containments", read, true, h.control(false, h.contained)},
		{"POST /v1/containments", contain, true, h.control(true, h.contain)},
		{"POST /v1/containments/dry-run", read, true, h.control(false, h.dryRun)},
		{"POST /v1/containments/confirm", admin, false, h.control(true, h.confirm)},
		{"POST /v1/containments/{id}/release", contain, true, h.control(true, h.release)},
		{"POST /v1/approvals/{id}", approve, true, h.control(true, h.approve)},
		{"POST /v1/automation", admin, false, h.control(true, h.automation)},
		{"GET /v1/responses", read, true, h.control(false, h.responses)},
		{"GET /v1/responses/{id}", read, true, h.control(false, h.response)},
		{"GET /v1/flows", read, true, h.flows},
		{"GET /v1/inventory/{list}", read, true, h.entities},
		{"GET /v1/inventory/{list}/one", read, true, h.entity},
		{"GET /v1/inventory/{list}/tail", read, true, h.followEntities},
		{"POST /v1/privacy/erase", admin, false, h.erase},
		{"GET /v1/tokens", admin, true, h.listTokens},
		{"POST /v1/tokens", admin, true, h.createToken},
		{"POST /v1/tokens/{id}/revoke", admin, true, h.revokeToken},
		{"/v1/", "", true, h.unknown},
	}
}

// unknown answers requests for which there is no route: a mistake, or an attempt.
func (h *handler) unknown(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, fmt.Errorf("there is no request %s %s", r.Method, schema.Truncate(r.URL.Path, 100)))
}

// guarded returns a handler that checks the caller of a route, and audits each request that is refused: those that are not
// authenticated or lack the scope, and those that change something and fail.
func (h *handler) guarded(x route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, known := access.From(r.Context())
		rw := &refusalWriter{ResponseWriter: w}
		switch denied := access.DeniedOf(r.Context()); {
		case denied != nil:
			refuse(rw, denied.Code, denied.Err)
			h.refused(r, access.Caller{}, denied.Reason, rw.why)
		case !known:
			refuse(rw, http.StatusUnauthorized, errors.New("the request is not authenticated"))
			h.refused(r, caller, "unauthenticated", rw.why)
		case x.scope != "" && !caller.May(x.scope):
			refuse(rw, http.StatusForbidden, fmt.Errorf("%s lacks the scope %s", caller.Name, x.scope))
			h.refused(r, caller, "scope", rw.why)
		case !x.tenants && caller.Tenant != "":
			refuse(rw, http.StatusForbidden, fmt.Errorf("%s is limited to the tenant %q, and this request is about all tenants", caller.Name, caller.Tenant))
			h.refused(r, caller, "tenant", rw.why)
		default:
			x.serve(rw, r)
			if rw.why != nil && (r.Method != http.MethodGet || x.scope == "") {
				h.refused(r, caller, "invalid", rw.why)
			}
		}
	}
}

// refusalWriter notes the error that refuse sends.
type refusalWriter struct {
	http.ResponseWriter
	why error
}

// Unwrap is for http.ResponseController.
func (w *refusalWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// maxRefusals is the number of refused requests that the audit keeps of one minute. More are counted in one entry, so that
// nobody can fill the disk with requests that are refused.
const maxRefusals = 60

// refusals counts the requests that were refused in one minute.
type refusals struct {
	mu             sync.Mutex
	minute         int64
	count, dropped int
}

// actionRefused is the action of the audit entry of a refused request.
const actionRefused = "refused"

// refused counts a request that was refused, and adds it to the audit.
func (h *handler) refused(r *http.Request, caller access.Caller, reason string, why error) {
	if h.rt.Refused != nil {
		h.rt.Refused(reason)
	}
	now := h.now()
	entry := store.AuditEntry{Time: schema.InstantOf(now), Class: schema.AuditAccess, Action: actionRefused, Who: "aidr"}
	var entries []store.AuditEntry
	h.refusals.mu.Lock()
	if minute := now.Unix() / 60; minute != h.refusals.minute {
		if h.refusals.dropped > 0 {
			entry.Reason = fmt.Sprintf("%d more requests of one minute were refused", h.refusals.dropped)
			entries = append(entries, entry)
		}
		h.refusals.minute, h.refusals.count, h.refusals.dropped = minute, 0, 0
	}
	if h.refusals.count++; h.refusals.count > maxRefusals {
		h.refusals.dropped++
	} else {
		entry.Who, entry.Token, entry.Tenant, entry.Object = caller.Name, caller.Token, caller.Tenant, remoteOf(r)
		if entry.Who == "" {
			entry.Who = "unknown"
		}
		entry.Reason = schema.Truncate(plainText(fmt.Sprintf("%s %s: %s", r.Method, schema.Truncate(r.URL.Path, 100), why)), schema.MaxReason)
		entries = append(entries, entry)
	}
	h.refusals.mu.Unlock()
	if len(entries) == 0 {
		return
	}
	if err := h.store.Apply(&store.Change{Audit: entries}); err != nil && h.rt.Log != nil {
		h.rt.Log.Warn("a refused request is not in the audit", "request", entry.Reason, "who", entry.Who, "error", err)
	}
}

// remoteOf returns the address of the peer, "" for a unix socket.
func remoteOf(r *http.Request) string {
	if r.RemoteAddr == "@" {
		return ""
	}
	return schema.Truncate(r.RemoteAddr, 64)
}

// plainText replaces control characters and bytes that are not UTF-8: a path may hold any.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func (h *handler) now() time.Time {
	if h.rt.Now != nil {
		return h.rt.Now()
	}
	return time.Now()
}

// API is the control API of one open store. It serves requests whose context has a Caller.
type API struct {
	http.Handler
	h *handler
}

// Tokens returns the tokens of the store.
func (a *API) Tokens() (*access.Tokens, error) { return a.h.openTokens() }

func (h *handler) openTokens() (*access.Tokens, error) {
	h.tokensOnce.Do(func() { h.tokens, h.tokensErr = access.OpenTokens(h.store, h.now) })
	return h.tokens, h.tokensErr
}

// callerOf returns the caller of a request that guarded has let pass.
func callerOf(ctx context.Context) access.Caller {
	c, _ := access.From(ctx)
	return c
}
