package api

import (
	"fmt"
	"net/http"

	"github.com/aidr-engine/aidr/schema"
)

// RuleView is what people need to know of a rule when they look at its findings.
type RuleView struct {
	ID             string          `json:"id"`
	Version        int             `json:"version"`
	Title          string          `json:"title"`
	Description    string          `json:"description,omitempty"`
	Kind           string          `json:"kind"`
	Severity       schema.Severity `json:"severity"`
	Confidence     int             `json:"confidence"`
	Stage          string          `json:"stage"`
	Datasets       []string        `json:"datasets,omitempty"` // as the file names them: "@llm" is a family
	Tags           []string        `json:"tags,omitempty"`
	References     []string        `json:"references,omitempty"`
	FalsePositives []string        `json:"false_positives,omitempty"`
	Why            string          `json:"why,omitempty"`
	Triage         []string        `json:"triage,omitempty"` // what a person does about a finding, in order
	Expected       string          `json:"expected,omitempty"`
	Over           []string        `json:"over,omitempty"` // rules whose triggers are its items
	File           string          `json:"file"`
	Line           int             `json:"line"`
	Activity       string          `json:"activity"`         // active, shadow, idle, draft or disabled
	Reason         string          `json:"reason,omitempty"` // why it is idle
	Remedy         string          `json:"remedy,omitempty"`
	Needs          []string        `json:"needs,omitempty"` // datasets of which it needs one, and which no source carries
}

// rules sends a RuleView of each rule, sorted by id.
func (h *handler) rules(w http.ResponseWriter, r *http.Request) {
	if h.rt.Rules == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	enc := lines(w)
	for _, v := range h.rt.Rules() {
		if enc.Encode(v) != nil {
			return
		}
	}
}

// rule sends the RuleView of one rule.
func (h *handler) rule(w http.ResponseWriter, r *http.Request) {
	if h.rt.Rules == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	id := r.PathValue("id")
	for _, v := range h.rt.Rules() {
		if v.ID == id {
			reply(w, v)
			return
		}
	}
	refuse(w, http.StatusNotFound, fmt.Errorf("rule %q is not among the rules that run now: aidr rules ls lists them", schema.Truncate(id, 100)))
}
