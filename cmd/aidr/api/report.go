package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// shiftSpan is the time that a Report covers if the query has no since: a shift.
	shiftSpan = 12 * time.Hour
	// maxReported is the largest number of findings of a Report, the latest first, and of entries of the audit: half a second.
	maxReported = 20_000
	// maxReportedKeys is the number of group keys of a Report, those with the most findings first.
	maxReportedKeys = 20
	// maxReportedActions is the number of kinds of actions of a Report.
	maxReportedActions = 200
)

// Report is a report of a shift: the findings of a time, the work of people on them, and the actions of people and automation. Times
// of findings are those of group_start, times of actions are those of the wall clock.
type Report struct {
	Since     schema.Instant          `json:"since"`
	Until     schema.Instant          `json:"until"`
	Findings  int                     `json:"findings"`
	Truncated bool                    `json:"truncated"` // there are more than 20,000 findings, or entries of the audit: the oldest are left out
	Severity  map[schema.Severity]int `json:"severities,omitempty"`
	ReportCount
	Rules   []ReportRule   `json:"rules"`   // those with the most findings first
	Keys    []ReportKey    `json:"keys"`    // the group keys with the most findings, at most 20
	Actions []ReportAction `json:"actions"` // by class, action and origin, the latest first
}

// ReportCount counts findings by the work of people on them.
type ReportCount struct {
	Unseen         int `json:"unseen"` // neither acknowledged nor closed
	Acknowledged   int `json:"acknowledged"`
	TruePositives  int `json:"true_positives"`
	FalsePositives int `json:"false_positives"`
	Benign         int `json:"benign"`
	Tests          int `json:"tests"`
	Withdrawn      int `json:"withdrawn"` // by detection, whatever people did
}

// Precision returns the share of incidents among the findings that people judged, without tests; ok is false without verdicts.
func (c *ReportCount) Precision() (share float64, ok bool) {
	judged := c.TruePositives + c.FalsePositives + c.Benign
	if judged == 0 {
		return 0, false
	}
	return float64(c.TruePositives) / float64(judged), true
}

// ReportRule is one rule in a Report.
type ReportRule struct {
	RuleID   string          `json:"rule_id"`
	Title    string          `json:"title"`
	Severity schema.Severity `json:"severity"` // the highest of its findings
	Shadow   bool            `json:"shadow,omitempty"`
	Findings int             `json:"findings"`
	Agents   int             `json:"agents"`
	Events   int64           `json:"events"` // sum of the findings' counts
	ReportCount
	// Share is Precision as it is printed; nil without verdicts.
	Share *float64 `json:"precision"`
}

// ReportKey is one group key of a rule in a Report.
type ReportKey struct {
	RuleID    string            `json:"rule_id"`
	Tenant    string            `json:"tenant,omitempty"`
	AgentUID  string            `json:"agent_uid,omitempty"`
	AgentName string            `json:"agent_name,omitempty"`
	Key       map[string]string `json:"key"`
	Findings  int               `json:"findings"`
	Events    int64             `json:"events"`
	Latest    schema.ID         `json:"latest"` // the latest finding
}

// ReportAction counts the entries of the audit with one class, action and origin.
type ReportAction struct {
	Class  schema.AuditClass `json:"class"`
	Action string            `json:"action"`
	Who    string            `json:"who"`
	Count  int               `json:"count"`
	Last   schema.Instant    `json:"last"`
}

// report sends a Report of the time that the query names, by default of the last 12 hours.
func (h *handler) report(w http.ResponseWriter, r *http.Request) {
	f, table, err := h.findingFilter(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	out := &Report{Since: f.Since, Until: f.Until, Severity: map[schema.Severity]int{}, Rules: []ReportRule{}, Keys: []ReportKey{}, Actions: []ReportAction{}}
	if out.Until == 0 {
		out.Until = schema.InstantOf(h.now())
	}
	if out.Since == 0 {
		out.Since = out.Until.Sub(shiftSpan)
	}
	if out.Since >= out.Until {
		refuse(w, http.StatusBadRequest, fmt.Errorf("since: %s is not before until, %s", out.Since, out.Until))
		return
	}
	f.Since, f.Until = out.Since, out.Until
	if err = out.addFindings(h.store, f, table); err == nil {
		caller := callerOf(r.Context())
		err = out.addActions(h.store, caller.Sees)
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, out)
}

// add counts a finding.
func (c *ReportCount) add(table *triage.Table, f *schema.Finding) {
	if f.Status == schema.StatusWithdrawn {
		c.Withdrawn++
	}
	t, err := table.Of(f)
	switch {
	case err != nil || t == nil || t.Status == schema.TriageNew:
		c.Unseen++
	case t.Status == schema.TriageAcknowledged:
		c.Acknowledged++
	case t.Verdict == schema.TruePositive:
		c.TruePositives++
	case t.Verdict == schema.FalsePositive:
		c.FalsePositives++
	case t.Verdict == schema.Benign:
		c.Benign++
	default:
		c.Tests++
	}
}

// addFindings counts the findings, by rule and by key.
func (out *Report) addFindings(s *store.Store, f store.FindingFilter, table *triage.Table) error {
	rules, agents, keys := map[string]*ReportRule{}, map[string]map[findingOf]bool{}, map[string]*ReportKey{}
	f.Limit = maxReported + 1
	err := s.Findings(f, func(x *schema.Finding) bool {
		if out.Findings == maxReported {
			out.Truncated = true
			return false
		}
		out.Findings++
		out.Severity[x.Severity]++
		out.ReportCount.add(table, x)
		rule := rules[x.RuleID]
		if rule == nil {
			rule = &ReportRule{RuleID: x.RuleID, Title: x.Title, Severity: x.Severity, Shadow: x.Shadow}
			rules[x.RuleID], agents[x.RuleID] = rule, map[findingOf]bool{}
		}
		rule.Findings++
		rule.Events += x.Count
		rule.add(table, x)
		if x.Severity.Rank() > rule.Severity.Rank() {
			rule.Severity = x.Severity
		}
		if x.AgentUID != "" {
			agents[x.RuleID][findingOf{x.Tenant, x.AgentUID}] = true
		}
		name := keyName(x)
		key := keys[name]
		if key == nil {
			key = &ReportKey{RuleID: x.RuleID, Tenant: x.Tenant, AgentUID: x.AgentUID, AgentName: x.AgentName, Key: x.Key, Latest: x.ID}
			keys[name] = key
		}
		key.Findings++
		key.Events += x.Count
		return true
	})
	for id, rule := range rules {
		rule.Agents = len(agents[id])
		if share, ok := rule.Precision(); ok {
			rule.Share = &share
		}
		out.Rules = append(out.Rules, *rule)
	}
	slices.SortFunc(out.Rules, func(a, b ReportRule) int {
		return cmp.Or(cmp.Compare(b.Findings, a.Findings), cmp.Compare(a.RuleID, b.RuleID))
	})
	for _, key := range keys {
		out.Keys = append(out.Keys, *key)
	}
	slices.SortFunc(out.Keys, func(a, b ReportKey) int {
		return cmp.Or(cmp.Compare(b.Findings, a.Findings), cmp.Compare(b.Events, a.Events), cmp.Compare(a.RuleID, b.RuleID), slices.Compare(a.Latest[:], b.Latest[:]))
	})
	out.Keys = out.Keys[:min(len(out.Keys), maxReportedKeys)]
	return err
}

// keyName returns a text that is equal for findings of one rule and group key.
func keyName(f *schema.Finding) string {
	key, err := json.Marshal([]any{f.RuleID, f.Tenant, f.Key})
	if err != nil {
		panic("BUG: a group key has texts only: " + err.Error())
	}
	return string(key)
}

// addActions counts the entries of the audit. Their times grow, except over changes of the clock, so that the search ends at the first
// entry that is older than an hour before Since.
func (out *Report) addActions(s *store.Store, sees func(tenant string) bool) error {
	type kind struct {
		class       schema.AuditClass
		action, who string
	}
	at, read := map[kind]int{}, 0
	err := s.LatestAudit(func(a *store.AuditEntry) bool {
		if read++; read > maxReported {
			out.Truncated = true
			return false
		}
		if a.Time < out.Since.Sub(time.Hour) {
			return false
		}
		if a.Time < out.Since || a.Time >= out.Until || !sees(a.Tenant) {
			return true
		}
		k := kind{a.Class, a.Action, a.Who}
		i, known := at[k]
		if !known {
			if len(out.Actions) == maxReportedActions {
				out.Truncated = true
				return true
			}
			i = len(out.Actions)
			at[k] = i
			out.Actions = append(out.Actions, ReportAction{Class: a.Class, Action: a.Action, Who: a.Who, Last: a.Time})
		}
		out.Actions[i].Count++
		return true
	})
	return err
}
