package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// FindingLine is a finding with the work of people on it, as the API shows it.
type FindingLine struct {
	*schema.Finding
	Triage *schema.Triage `json:"triage,omitempty"` // nil: nobody has looked at it
}

// triageTable returns the triage of the running process or, if none runs, that of the store.
func (h *handler) triageTable() (*triage.Table, error) {
	if h.rt.Triage != nil {
		return h.rt.Triage()
	}
	h.triageOnce.Do(func() { h.triage, h.triageErr = triage.Open(h.store, clock.Clock{}, nil) })
	return h.triage, h.triageErr
}

// triageOpen selects findings that need a look: new and acknowledged ones, and closed ones that went on.
const triageOpen = "open"

// lineOf returns a finding with its triage. A triage that cannot be read is left out: the finding counts more.
func lineOf(t *triage.Table, f *schema.Finding) FindingLine {
	if t == nil {
		return FindingLine{Finding: f}
	}
	x, _ := t.Of(f)
	return FindingLine{f, x}
}

// withTriage restricts a condition, which may be nil, to the triage that the query names.
func (h *handler) withTriage(r *http.Request, match func(*schema.Finding) bool) (func(*schema.Finding) bool, error) {
	want := r.URL.Query().Get("triage")
	if want == "" {
		return match, nil
	}
	names := []string{triageOpen}
	for _, s := range schema.TriageStatuses() {
		names = append(names, string(s))
	}
	if err := oneOf(r, "triage", names...); err != nil {
		return nil, err
	}
	table, err := h.triageTable()
	if err != nil {
		return nil, err
	}
	return func(f *schema.Finding) bool {
		if match != nil && !match(f) {
			return false
		}
		status, again := schema.TriageNew, int64(0)
		if t, err := table.Of(f); err == nil && t != nil {
			status, again = t.Status, t.Again
		}
		if want == triageOpen {
			return status != schema.TriageClosed || again > 0
		}
		return want == string(status)
	}, nil
}

func actorOf(r *http.Request) triage.Actor {
	c := callerOf(r.Context())
	return triage.Actor{Name: c.Name, Token: c.Token, Sees: c.Sees}
}

// changeTriage acknowledges, closes, assigns, reopens or notes a finding.
func (h *handler) changeTriage(w http.ResponseWriter, r *http.Request) {
	var b triage.Request
	id, err := schema.ParseID(r.PathValue("id"))
	if err != nil {
		err = fmt.Errorf("finding %q: %w", schema.Truncate(r.PathValue("id"), 64), err)
	} else {
		err = decodeBody(w, r, &b)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	table, err := h.triageTable()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	t, err := table.Change(id, b, actorOf(r))
	if err != nil {
		refuse(w, triageFailure(err), err)
		return
	}
	reply(w, t)
}

func triageFailure(err error) int {
	switch {
	case errors.Is(err, triage.ErrNotFound), errors.Is(err, triage.ErrNoSnooze):
		return http.StatusNotFound
	case errors.Is(err, triage.ErrConflict):
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

// SnoozeRequest is the body of a request for a snooze.
type SnoozeRequest struct {
	triage.SnoozeSpec
	For    string `json:"for"` // such as 4h
	Reason string `json:"reason"`
}

func (h *handler) listSnoozes(w http.ResponseWriter, r *http.Request) {
	table, err := h.triageTable()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	enc := lines(w)
	for _, s := range table.Snoozes(actorOf(r)) {
		if enc.Encode(s) != nil {
			return
		}
	}
}

func (h *handler) snooze(w http.ResponseWriter, r *http.Request) {
	var b SnoozeRequest
	if err := decodeBody(w, r, &b); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	lasts, ok := doc.ParseDuration(b.For)
	if !ok {
		refuse(w, http.StatusBadRequest, fmt.Errorf("for: %q is not a duration such as 4h or 2d: a snooze has an end", schema.Truncate(b.For, 64)))
		return
	}
	table, err := h.triageTable()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	s, err := table.Snooze(b.SnoozeSpec, lasts, strings.TrimSpace(b.Reason), actorOf(r))
	if err != nil {
		refuse(w, triageFailure(err), err)
		return
	}
	reply(w, s)
}

func (h *handler) wake(w http.ResponseWriter, r *http.Request) {
	var b reasonBody
	if err := decodeBody(w, r, &b); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	table, err := h.triageTable()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	s, err := table.Wake(r.PathValue("id"), b.Reason, actorOf(r))
	if err != nil {
		refuse(w, triageFailure(err), err)
		return
	}
	reply(w, s)
}
