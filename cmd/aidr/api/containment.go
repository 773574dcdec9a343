package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// commitTime bounds how long a change waits until it is durable. After it, the change still counts, and the answer reports that it is not durable.
const commitTime = 10 * time.Second

// control is one request about the table.
type control struct {
	r      *http.Request
	w      http.ResponseWriter
	table  *contain.Table
	caller access.Caller
	who    contain.Actor
	lines  *json.Encoder
}

// refusal is an error with the status of its response.
type refusal struct {
	code int
	error
}

// control returns a handler of a request about the table. change reports whether it changes the table, so that its response
// waits until the change is durable.
func (h *handler) control(change bool, serve func(*control) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		table, commit, err := h.containmentTable()
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, err)
			return
		}
		caller := callerOf(r.Context())
		c := &control{r: r, w: w, table: table, caller: caller, who: contain.Actor{Name: caller.Name, Credential: caller.Credential}}
		out, err := serve(c)
		switch {
		case err != nil:
			refuse(w, failureCode(err), err)
			return
		case c.lines != nil:
			return // everything was sent
		case change:
			if err := h.durable(r.Context(), commit); err != nil {
				refuse(w, http.StatusAccepted, fmt.Errorf("done, and not durable yet: %w: a crash now would undo it", err))
				return
			}
		}
		reply(w, out)
	}
}

func (h *handler) durable(ctx context.Context, commit func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTime)
	defer cancel()
	return commit(ctx)
}

func failureCode(err error) int {
	var r refusal
	switch {
	case errors.As(err, &r):
		return r.code
	case errors.Is(err, contain.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, contain.ErrOwnCredential):
		return http.StatusForbidden
	case errors.Is(err, contain.ErrNever), errors.Is(err, contain.ErrTooMany):
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

// containmentTable returns the table of the running process or, if none runs, that of the store, and the function that makes its
// changes durable.
func (h *handler) containmentTable() (*contain.Table, func(context.Context) error, error) {
	if h.rt.Containment != nil {
		return h.rt.Containment()
	}
	h.stopped.Do(func() { h.table, h.tableErr = contain.New(h.store, contain.Options{}) })
	return h.table, func(context.Context) error { return commitStopped(h.store, h.table) }, h.tableErr
}

// commitStopped makes the changes of a table durable while no engine runs: in a checkpoint that is otherwise the last one.
func commitStopped(s *store.Store, t *contain.Table) error {
	seq, state, ok, err := s.Last()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the state directory has no checkpoint yet: start `aidr run` first")
	}
	c := &store.Checkpoint{Seq: seq + 1, State: state}
	t.Take(c)
	if err := s.Commit(c); err != nil {
		return err
	}
	t.Saved()
	return nil
}

// body decodes the JSON of a request.
func (c *control) body(into any) error { return decodeBody(c.w, c.r, into) }

// ContainRequest is the body of a request for a containment.
type ContainRequest struct {
	Scope     schema.ContainmentScope `json:"scope"`
	Target    schema.Target           `json:"target"`
	State     schema.ContainmentState `json:"state,omitempty"`
	Mode      schema.ContainmentMode  `json:"mode,omitempty"`
	PerMinute int                     `json:"per_minute,omitempty"`
	TTL       string                  `json:"ttl,omitempty"` // such as 30m
	Reason    string                  `json:"reason"`
	FindingID schema.ID               `json:"finding_id,omitzero"`
	Key       string                  `json:"key,omitempty"` // idempotency key; also as the header Idempotency-Key
	Force     bool                    `json:"force,omitempty"`
}

func (c *control) containRequest() (contain.Request, error) {
	var b ContainRequest
	if err := c.body(&b); err != nil {
		return contain.Request{}, err
	}
	if b.Key == "" {
		b.Key = c.r.Header.Get("Idempotency-Key")
	}
	r := contain.Request{
		Scope: b.Scope, Target: b.Target, State: b.State, Mode: b.Mode, PerMinute: b.PerMinute, Reason: b.Reason, FindingID: b.FindingID,
		Key: b.Key, Force: b.Force,
	}
	if b.TTL != "" {
		ttl, ok := doc.ParseDuration(b.TTL)
		if !ok || ttl <= 0 {
			return r, fmt.Errorf("ttl %q is not a duration such as 30m, 12h or 7d", b.TTL)
		}
		r.TTL = ttl
	}
	if !c.caller.Sees(b.Target.Tenant) {
		return r, refusal{http.StatusForbidden, fmt.Errorf("%s is limited to the tenant %q: name it in target.tenant", c.caller.Name, c.caller.Tenant)}
	}
	return r, nil
}

func (h *handler) contain(c *control) (any, error) {
	r, err := c.containRequest()
	if err != nil {
		return nil, err
	}
	rec, _, err := c.table.Contain(r, c.who)
	if err == nil && !c.caller.Sees(rec.Target.Tenant) { // the idempotency key is that of a request about another tenant
		return nil, refusal{http.StatusConflict, errors.New("the idempotency key is in use")}
	}
	return rec, err
}

func (h *handler) dryRun(c *control) (any, error) {
	r, err := c.containRequest()
	if err != nil {
		return nil, err
	}
	return c.table.DryRun(r)
}

func (h *handler) contained(c *control) (any, error) {
	l := c.table.List()
	if c.caller.Tenant != "" {
		l.Responses = slices.DeleteFunc(l.Responses, func(r schema.ResponseRecord) bool { return !c.caller.Sees(r.Target.Tenant) })
		l.Approvals = slices.DeleteFunc(l.Approvals, func(a schema.Approval) bool { return !c.caller.Sees(a.Call.Tenant) })
	}
	return l, nil
}

// reasonBody is the body of a request that needs only a reason.
type reasonBody struct {
	Reason string `json:"reason"`
}

func (h *handler) release(c *control) (any, error) {
	id, err := c.id()
	if err != nil {
		return nil, err
	}
	var b reasonBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	return c.table.Release(id, c.who, b.Reason)
}

// checkTenant refuses a caller of one tenant that names a containment, proposal or approval of another one, as if there
// were none.
func (c *control) checkTenant(id schema.ID) error {
	if c.caller.Tenant == "" {
		return nil
	}
	l := c.table.List()
	if slices.ContainsFunc(l.Responses, func(r schema.ResponseRecord) bool { return r.ID == id && c.caller.Sees(r.Target.Tenant) }) ||
		slices.ContainsFunc(l.Approvals, func(a schema.Approval) bool { return a.ID == id && c.caller.Sees(a.Call.Tenant) }) {
		return nil
	}
	return fmt.Errorf("%s: %w", id, contain.ErrNotFound)
}

func (c *control) id() (schema.ID, error) {
	id, err := schema.ParseID(c.r.PathValue("id"))
	if err != nil {
		return id, fmt.Errorf("id %q: %w", schema.Truncate(c.r.PathValue("id"), 64), err)
	}
	if c.r.Method != http.MethodGet {
		err = c.checkTenant(id)
	}
	return id, err
}

// Answered is the response to an answer: the containment or the held call that was answered.
type Answered struct {
	Response *schema.ResponseRecord `json:"response,omitempty"`
	Approval *schema.Approval       `json:"approval,omitempty"`
}

func (h *handler) approve(c *control) (any, error) {
	id, err := c.id()
	if err != nil {
		return nil, err
	}
	var b struct {
		Approve *bool  `json:"approve"`
		Reason  string `json:"reason"`
	}
	if err := c.body(&b); err != nil {
		return nil, err
	}
	if b.Approve == nil {
		return nil, errors.New("approve is missing: true or false")
	}
	answer := c.table.Decline
	if *b.Approve {
		answer = c.table.Approve
	}
	var out Answered
	out.Response, out.Approval, err = answer(id, c.who, b.Reason)
	return out, err
}

func (h *handler) automation(c *control) (any, error) {
	var b struct {
		Paused *bool  `json:"paused"`
		Reason string `json:"reason"`
	}
	if err := c.body(&b); err != nil {
		return nil, err
	}
	if b.Paused == nil {
		return nil, errors.New("paused is missing: true or false")
	}
	p, _, err := c.table.SetPause(*b.Paused, c.who, b.Reason)
	return p, err
}

func (h *handler) confirm(c *control) (any, error) {
	var b reasonBody
	if err := c.body(&b); err != nil {
		return nil, err
	}
	if _, err := c.table.Confirm(c.who, b.Reason); err != nil {
		return nil, err
	}
	return c.table.List(), nil
}

// responses sends the ledger, the latest first, as lines.
func (h *handler) responses(c *control) (any, error) {
	q := c.r.URL.Query()
	if err := errors.Join(
		oneOf(c.r, "status", schema.ContainmentProposed, schema.ContainmentActive, schema.ContainmentReleased, schema.ContainmentExpired,
			schema.ContainmentRejected),
		oneOf(c.r, "stage", schema.StageAsked, schema.StageEnforced, schema.StageVerified, schema.StageFailed)); err != nil {
		return nil, err
	}
	since, until, err := span(c.r)
	if err != nil {
		return nil, err
	}
	most, err := limit(c.r)
	if err != nil {
		return nil, err
	}
	var list []*schema.ResponseRecord
	err = c.table.Ledger(func(r *schema.ResponseRecord) bool {
		if c.caller.Sees(r.Target.Tenant) && is(q.Get("status"), string(r.Status)) && is(q.Get("stage"), string(r.Stage)) && is(q.Get("rule"), r.RuleID) &&
			is(q.Get("agent"), r.Target.Agent) && (since == 0 || r.Since >= since) && (until == 0 || r.Since < until) {
			list = append(list, r)
		}
		return true
	})
	if err != nil {
		return nil, refusal{http.StatusInternalServerError, err}
	}
	slices.SortFunc(list, func(a, b *schema.ResponseRecord) int {
		if a.Since != b.Since {
			if a.Since > b.Since {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	if most > 0 {
		list = list[:min(len(list), most)]
	}
	c.lines = lines(c.w)
	for _, r := range list {
		if c.lines.Encode(r) != nil {
			break // the client has disconnected
		}
	}
	return nil, nil
}

// is reports whether a filter, "" for any, selects a value.
func is(filter, value string) bool { return filter == "" || filter == value }

func (h *handler) response(c *control) (any, error) {
	id, err := c.id()
	if err != nil {
		return nil, err
	}
	r, ok, err := c.table.Response(id)
	switch {
	case err != nil:
		return nil, refusal{http.StatusInternalServerError, err}
	case !ok || !c.caller.Sees(r.Target.Tenant):
		return nil, fmt.Errorf("response %s: %w", id, contain.ErrNotFound)
	}
	return r, nil
}
