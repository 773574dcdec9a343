package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxQueued is the largest number of findings that a Queue groups, the latest first: a tenth of a second.
	maxQueued = 5000
	// queueBuckets is the number of points of a series: enough for a small chart, and a divisor of a day in minutes.
	queueBuckets = 24
	// maxQueuedIDs is the number of findings of one rule that a QueueRule names, the latest first.
	maxQueuedIDs = 20
)

// queueSpans are the times that a Queue covers if the query has no since: the first that has all findings of the last.
var queueSpans = [...]time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// Queue is what waits for the people on duty: findings, grouped by agent, then by rule. Agents are sorted by the highest severity,
// then by the last finding.
type Queue struct {
	Since     schema.Instant          `json:"since"`
	Until     schema.Instant          `json:"until"`
	Bucket    schema.Instant          `json:"bucket_nanos"` // length of the intervals of each series
	Findings  int                     `json:"findings"`     // number of those that are grouped
	Truncated bool                    `json:"truncated"`    // older findings match and are left out
	Severity  map[schema.Severity]int `json:"severities,omitempty"`
	Agents    []QueueAgent            `json:"agents"`
}

// QueueCount counts findings.
type QueueCount struct {
	Severity  schema.Severity `json:"severity"` // the highest
	Findings  int             `json:"findings"`
	Open      int             `json:"open"`
	Unseen    int             `json:"unseen"` // findings that nobody has acknowledged, or that go on since they were closed
	Withdrawn int             `json:"withdrawn,omitempty"`
	FirstSeen schema.Instant  `json:"first_seen"`
	LastSeen  schema.Instant  `json:"last_seen"`
	Series    []int           `json:"series"` // findings by interval of their group_start, the oldest first
}

// QueueAgent is one agent in a Queue. The findings about no agent, such as those of the process itself, are those of the agent "".
type QueueAgent struct {
	Tenant    string `json:"tenant,omitempty"`
	AgentUID  string `json:"agent_uid,omitempty"`
	AgentName string `json:"agent_name,omitempty"`
	QueueCount
	Containment string      `json:"containment,omitempty"` // as in AgentLine
	Rules       []QueueRule `json:"rules"`                 // sorted as agents are
}

// QueueRule is one rule of an agent in a Queue.
type QueueRule struct {
	RuleID string `json:"rule_id"`
	Title  string `json:"title"`
	Kind   string `json:"kind"`
	Shadow bool   `json:"shadow,omitempty"`
	QueueCount
	Events  int64       `json:"events"`  // sum of the findings' counts
	Summary string      `json:"summary"` // of the latest finding
	IDs     []schema.ID `json:"ids"`     // the latest first, at most 20
	// UnseenIDs are those of findings that count as unseen, the latest first, at most 20.
	UnseenIDs []schema.ID `json:"unseen_ids,omitempty"`
}

// add counts a finding.
func (c *QueueCount) add(f *schema.Finding, unseen bool) {
	if c.Findings == 0 {
		c.Severity, c.FirstSeen, c.LastSeen, c.Series = f.Severity, f.FirstSeen, f.LastSeen, make([]int, queueBuckets)
	}
	if f.Severity.Rank() > c.Severity.Rank() {
		c.Severity = f.Severity
	}
	c.Findings++
	switch f.Status {
	case schema.StatusOpen:
		c.Open++
	case schema.StatusWithdrawn:
		c.Withdrawn++
	}
	if unseen {
		c.Unseen++
	}
	c.FirstSeen, c.LastSeen = min(c.FirstSeen, f.FirstSeen), max(c.LastSeen, f.LastSeen)
}

// compare orders by severity, the highest first, then by time, the latest first.
func (c *QueueCount) compare(o *QueueCount) int {
	return cmp.Or(cmp.Compare(o.Severity.Rank(), c.Severity.Rank()), cmp.Compare(o.LastSeen, c.LastSeen))
}

// queue sends a Queue of the findings that the query selects as /v1/findings does, except that closed findings are left out
// unless the query names their triage or they go on.
func (h *handler) queue(w http.ResponseWriter, r *http.Request) {
	if query := r.URL.Query(); !query.Has("triage") {
		query.Set("triage", triageOpen)
		r.URL.RawQuery = query.Encode()
	}
	f, table, err := h.findingFilter(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	q, err := h.queueOf(f, table, schema.InstantOf(time.Now()))
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, q)
}

// queueOf groups findings. now is the end of the series if the filter has none.
func (h *handler) queueOf(f store.FindingFilter, table *triage.Table, now schema.Instant) (*Queue, error) {
	q := &Queue{Since: f.Since, Until: f.Until, Severity: map[schema.Severity]int{}, Agents: []QueueAgent{}}
	if q.Until == 0 {
		q.Until = now
	}
	if q.Since == 0 {
		q.Since = q.Until.Sub(queueSpans[len(queueSpans)-1])
	}
	f.Limit = maxQueued + 1
	chosen := f.Since == 0
	f.Since = q.Since
	contained := &entityQuery{kinds: entityKinds["agents"]}
	if err := contained.findContained(h); err != nil {
		contained.contained = nil // the queue is of use without it, as in a standby
	}
	agents := map[findingOf]*QueueAgent{}
	rules := map[findingOf]map[string]*QueueRule{}
	var starts []queueStart
	err := h.store.Findings(f, func(x *schema.Finding) bool {
		if q.Findings == maxQueued {
			q.Truncated = true
			return false
		}
		q.Findings++
		q.Severity[x.Severity]++
		of := findingOf{x.Tenant, x.AgentUID}
		a := agents[of]
		if a == nil {
			a = &QueueAgent{Tenant: x.Tenant, AgentUID: x.AgentUID, AgentName: x.AgentName, Containment: strings.Join(contained.contained[of], ", ")}
			agents[of], rules[of] = a, map[string]*QueueRule{}
		}
		rule := rules[of][x.RuleID]
		if rule == nil {
			rule = &QueueRule{RuleID: x.RuleID, Title: x.Title, Kind: x.Kind, Shadow: x.Shadow, Summary: x.Summary}
			rules[of][x.RuleID] = rule
		}
		unseen := isUnseen(table, x)
		a.add(x, unseen)
		rule.add(x, unseen)
		if unseen && len(rule.UnseenIDs) < maxQueuedIDs {
			rule.UnseenIDs = append(rule.UnseenIDs, x.ID)
		}
		rule.Events += x.Count
		starts = append(starts, queueStart{x.GroupStart, a, rule})
		if len(rule.IDs) < maxQueuedIDs {
			rule.IDs = append(rule.IDs, x.ID)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	q.fillSeries(starts, chosen)
	for of, a := range agents {
		for _, rule := range rules[of] {
			a.Rules = append(a.Rules, *rule)
		}
		slices.SortFunc(a.Rules, func(x, y QueueRule) int { return cmp.Or(x.compare(&y.QueueCount), cmp.Compare(x.RuleID, y.RuleID)) })
		q.Agents = append(q.Agents, *a)
	}
	slices.SortFunc(q.Agents, func(x, y QueueAgent) int {
		return cmp.Or(x.compare(&y.QueueCount), cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.AgentUID, y.AgentUID))
	})
	return q, nil
}

// isUnseen reports whether nobody has acknowledged a finding, or it goes on since it was closed. A triage that cannot be read
// counts as missing.
func isUnseen(table *triage.Table, f *schema.Finding) bool {
	t, err := table.Of(f)
	return err != nil || t == nil || t.Status == schema.TriageNew || t.Status == schema.TriageClosed && t.Again > 0
}

// queueStart is the beginning of one finding.
type queueStart struct {
	at    schema.Instant
	agent *QueueAgent
	rule  *QueueRule
}

// fillSeries counts the findings, which are sorted by time, the latest first, by interval. If nobody chose the time, it is the
// shortest that has all of them.
func (q *Queue) fillSeries(starts []queueStart, chosen bool) {
	if chosen && len(starts) > 0 {
		for _, d := range queueSpans {
			if since := q.Until.Sub(d); since <= starts[len(starts)-1].at {
				q.Since = max(q.Since, since)
				break
			}
		}
	}
	q.Bucket = max(1, (q.Until-q.Since)/queueBuckets)
	for _, s := range starts {
		i := min(max(int((s.at-q.Since)/q.Bucket), 0), queueBuckets-1)
		s.agent.Series[i]++
		s.rule.Series[i]++
	}
}
