package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// auditList sends the entries of the audit that the query selects, the oldest first: by class, who, action, object, since,
// until, after (a number) and limit, of which the latest count.
func (h *handler) auditList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	since, until, err := span(r)
	var most int
	if err == nil {
		most, err = limit(r)
	}
	var after uint64
	if s := q.Get("after"); err == nil && s != "" {
		after, err = strconv.ParseUint(s, 10, 64)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	caller := callerOf(r.Context())
	matches := func(a *store.AuditEntry) bool {
		return is(q.Get("class"), string(a.Class)) && is(q.Get("who"), a.Who) && is(q.Get("action"), a.Action) && is(q.Get("object"), a.Object) &&
			is(q.Get("rule"), a.Rule) && (since == 0 || a.Time >= since) && (until == 0 || a.Time < until) && caller.Sees(a.Tenant)
	}
	skip := 0
	if most > 0 { // the latest: count first, so that memory holds none
		n := 0
		err := h.store.AuditFrom(after+1, func(a *store.AuditEntry) bool {
			if matches(a) {
				n++
			}
			return true
		})
		if err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		skip = max(n-most, 0)
	}
	enc := lines(w)
	err = h.store.AuditFrom(after+1, func(a *store.AuditEntry) bool {
		if !matches(a) {
			return true
		}
		if skip > 0 {
			skip--
			return true
		}
		return enc.Encode(a) == nil
	})
	if err != nil {
		enc.Encode(failure{err.Error()})
	}
}

// auditVerify checks the chain of the audit. The query may name heads that were noted earlier, as known=SEQ:HASH.
func (h *handler) auditVerify(w http.ResponseWriter, r *http.Request) {
	var known []store.AuditHead
	for _, text := range r.URL.Query()["known"] {
		head, err := ParseHead(text)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		known = append(known, head)
	}
	report, err := h.store.VerifyAudit(known...)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, report)
}

// ParseHead parses the head of the audit, as SEQ:HASH.
func ParseHead(text string) (head store.AuditHead, err error) {
	number, hash, ok := strings.Cut(text, ":")
	head.Seq, err = strconv.ParseUint(number, 10, 64)
	if err != nil || !ok || head.Seq == 0 || len(hash) != 64 {
		return head, fmt.Errorf("known: %q is not SEQ:HASH as `aidr audit verify` prints it", schema.Truncate(text, 100))
	}
	head.Hash = strings.ToLower(hash)
	return head, nil
}

// audited adds an entry about a change that a request made to the audit. The change is made already, so an error is logged.
func (h *handler) audited(r *http.Request, a store.AuditEntry) {
	c := callerOf(r.Context())
	a.Time, a.Who, a.Token = schema.InstantOf(h.now()), c.Name, c.Token
	a.Reason = schema.Truncate(r.URL.Query().Get("reason"), schema.MaxReason)
	if err := h.store.Apply(&store.Change{Audit: []store.AuditEntry{a}}); err != nil && h.rt.Log != nil {
		h.rt.Log.Warn("a change is not in the audit", "action", a.Action, "object", a.Object, "who", a.Who, "error", err)
	}
}

// asJSON returns a value of ours as JSON.
func asJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// errNoAudit is returned by `aidr audit verify` for a broken chain.
var errNoAudit = errors.New("the chain of the audit is broken")

// Broken returns the error of a report, nil if the chain is whole.
func Broken(r *store.AuditReport) error {
	if r.Broken == 0 {
		return nil
	}
	return fmt.Errorf("%w at entry %d: %s", errNoAudit, r.Broken, r.Why)
}
