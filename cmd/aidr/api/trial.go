package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aidr-engine/aidr/cmd/aidr/backtest"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// RuleText is the text of the file of a rule.
type RuleText struct {
	ID   string `json:"id"`
	File string `json:"file"`
	Text string `json:"text"`
	// Drafts reports whether this process may write drafts.
	Drafts bool `json:"drafts"`
}

// RuleTrial is the text of a rule that is tried.
type RuleTrial struct {
	Text  string `json:"text"`
	Hours int    `json:"hours,omitempty"` // how far back the rule runs; 0: the text is only checked
}

// RuleTried is what the rule of a text is, and what it would have found.
type RuleTried struct {
	ID       string   `json:"id,omitempty"` // "" if the text has none
	Stage    string   `json:"stage,omitempty"`
	Valid    bool     `json:"valid"` // no problem is more than a warning
	Problems []string `json:"problems,omitempty"`
	Live     string   `json:"live,omitempty"` // the text of the rule that runs now with this id; "" if there is none
	Drafts   bool     `json:"drafts"`
	// Report is of the run; its left side is the text, its right side the rule that runs now. nil if the rule did not run.
	Report  *backtest.Report `json:"report,omitempty"`
	Sources []string         `json:"sources,omitempty"` // that were read
	Missing string           `json:"missing,omitempty"` // why there is no run, or why a source was not read
}

// RuleDraft is a draft that was written.
type RuleDraft struct {
	ID       string `json:"id"`
	File     string `json:"file"`
	Replaced bool   `json:"replaced"`
}

// ErrNoDrafts is returned for a draft if no folder is configured.
var ErrNoDrafts = errors.New("console.drafts is not set: with a folder there, drafts are written into it; without, copy the patch")

// ruleText sends the text of a rule.
func (h *handler) ruleText(w http.ResponseWriter, r *http.Request) {
	if h.rt.RuleText == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	t, err := h.rt.RuleText(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusNotFound, err)
		return
	}
	reply(w, t)
}

// tryRule checks the text of a rule, and runs it over the last hours.
func (h *handler) tryRule(w http.ResponseWriter, r *http.Request) {
	var b RuleTrial
	if err := decodeBody(w, r, &b); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if h.rt.TryRule == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	t, err := h.rt.TryRule(r.Context(), b)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	reply(w, t)
}

// draftRule writes a draft.
func (h *handler) draftRule(w http.ResponseWriter, r *http.Request) {
	var b RuleTrial
	if err := decodeBody(w, r, &b); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	if h.rt.DraftRule == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoDrafts)
		return
	}
	d, err := h.rt.DraftRule(r.Context(), b.Text)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	action := "rule.draft"
	h.audited(r, store.AuditEntry{Class: schema.AuditRules, Action: action, Rule: d.ID, Object: d.File, After: asJSON(d)})
	reply(w, d)
}

// TrialFunc runs a trial; see Runtime.TryRule.
type TrialFunc func(ctx context.Context, t RuleTrial) (*RuleTried, error)

// TrialHours is the largest number of hours of a trial: a week. Its time of CPU is limited anyway.
const TrialHours = 7 * 24

// Check returns an error for a trial that is out of bounds.
func (t *RuleTrial) Check() error {
	if t.Hours < 0 || t.Hours > TrialHours {
		return fmt.Errorf("hours: %d is not between 0 and %d", t.Hours, TrialHours)
	}
	return nil
}
