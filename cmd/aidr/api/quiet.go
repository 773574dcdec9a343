package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// quietSpan is the time over which a Quiet counts.
const quietSpan = 30 * 24 * time.Hour

// Quiet is what a snooze, or an exception for the same findings, would have hidden: the findings of the local store of 30 days.
type Quiet struct {
	Since    schema.Instant          `json:"since"`
	Until    schema.Instant          `json:"until"`
	Findings int                     `json:"findings"` // that it would have hidden
	Others   int                     `json:"others"`   // findings of the same rule or agent that it would not have hidden
	Severity map[schema.Severity]int `json:"severities,omitempty"`
	// TruePositives is the number of those hidden that people closed as true positives.
	TruePositives int         `json:"true_positives"`
	Agents        int         `json:"agents"`
	Days          []int       `json:"days"`   // hidden findings by day, the oldest first
	Latest        []schema.ID `json:"latest"` // at most 20
	Truncated     bool        `json:"truncated"`
}

// snoozePreview sends the Quiet of a spec, and changes nothing.
func (h *handler) snoozePreview(w http.ResponseWriter, r *http.Request) {
	var spec triage.SnoozeSpec
	err := decodeBody(w, r, &spec)
	if err == nil && spec.Rule == "" && spec.Agent == "" && spec.Finding.IsZero() {
		err = errors.New("name a rule, an agent or a finding")
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
	until := schema.InstantOf(h.now())
	q := &Quiet{Since: until.Sub(quietSpan), Until: until, Severity: map[schema.Severity]int{}, Days: make([]int, 30), Latest: []schema.ID{}}
	agents, read := map[findingOf]bool{}, 0
	f := store.FindingFilter{Since: q.Since, Until: until, Rule: spec.Rule, Limit: maxReported + 1, Match: ofTenant(r, nil)}
	err = h.store.Findings(f, func(x *schema.Finding) bool {
		if read++; read > maxReported {
			q.Truncated = true
			return false
		}
		if !spec.Matches(x) {
			if spec.Rule == x.RuleID || spec.Rule == "" && spec.Agent == x.AgentUID {
				q.Others++
			}
			return true
		}
		q.Findings++
		q.Severity[x.Severity]++
		agents[findingOf{x.Tenant, x.AgentUID}] = true
		q.Days[min(int((x.GroupStart-q.Since)/schema.Instant(24*time.Hour)), len(q.Days)-1)]++
		if len(q.Latest) < maxQueuedIDs {
			q.Latest = append(q.Latest, x.ID)
		}
		if t, err := table.Of(x); err == nil && t != nil && t.Verdict == schema.TruePositive {
			q.TruePositives++
		}
		return true
	})
	q.Agents = len(agents)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, q)
}
