package api

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxStoryFindings is the largest number of findings whose evidence a Story joins, the latest first.
	maxStoryFindings = 500
	// storyAround is how far from the findings of a session those of its agent belong to the Story.
	storyAround = 15 * time.Minute
)

// Story is what an agent, or a session, did: the events in the evidence of findings, each once, in order of time. Events that no
// finding has as evidence are not part of it, because the local store keeps no events.
type Story struct {
	Session  string         `json:"session_id,omitempty"`
	Agents   []StoryAgent   `json:"agents"`
	Since    schema.Instant `json:"since"` // of the events
	Until    schema.Instant `json:"until"`
	Datasets []string       `json:"datasets"` // of the events, sorted
	Findings []StoryFinding `json:"findings"` // the oldest first
	Events   []StoryEvent   `json:"events"`
	// Total is the number of events that the findings counted. Evidence holds a part of them.
	Total     int64 `json:"events_counted"`
	Truncated bool  `json:"truncated"` // more than 500 findings match
}

// StoryAgent names an agent of a Story.
type StoryAgent struct {
	Tenant    string `json:"tenant,omitempty"`
	AgentUID  string `json:"agent_uid"`
	AgentName string `json:"agent_name,omitempty"`
}

// StoryFinding is a finding of a Story.
type StoryFinding struct {
	ID         schema.ID          `json:"id"`
	RuleID     string             `json:"rule_id"`
	Title      string             `json:"title"`
	Severity   schema.Severity    `json:"severity"`
	Kind       string             `json:"kind"`
	Session    string             `json:"session_id,omitempty"`
	Provenance *schema.Provenance `json:"provenance,omitempty"`
}

// StoryEvent is one event of a Story.
type StoryEvent struct {
	schema.Evidence
	Findings []int `json:"findings"` // indexes into Story.Findings
}

// story sends the Story of the session, or of the agent, in the query. Without since and until it is that of the findings.
func (h *handler) story(w http.ResponseWriter, r *http.Request) {
	f, _, err := h.findingFilter(r)
	session := r.URL.Query().Get("session")
	if err == nil && session == "" && f.Agent == "" {
		err = errors.New("name a session or an agent")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	found, truncated, err := h.storyFindings(f, session)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	s := joinStory(found)
	s.Session, s.Truncated = session, truncated
	reply(w, s)
}

// storyFindings returns the findings of a story. Those of a session come with those of its agents around it, because other sources
// than the model's do not log the session.
func (h *handler) storyFindings(f store.FindingFilter, session string) (found []*schema.Finding, truncated bool, err error) {
	f.Limit = maxStoryFindings
	if session != "" {
		match := f.Match
		f.Match = func(x *schema.Finding) bool { return ofSession(x, session) && (match == nil || match(x)) }
	}
	add := func(x *schema.Finding) bool {
		found = append(found, x)
		return true
	}
	if err := h.store.Findings(f, add); err != nil {
		return nil, false, err
	}
	truncated = len(found) == maxStoryFindings
	if session == "" || len(found) == 0 {
		return found, truncated, nil
	}
	agents := map[findingOf]bool{}
	first, last := found[0].FirstSeen, found[0].LastSeen
	for _, x := range found {
		agents[findingOf{x.Tenant, x.AgentUID}] = x.AgentUID != ""
		first, last = min(first, x.FirstSeen), max(last, x.LastSeen)
	}
	around := store.FindingFilter{Since: first.Sub(storyAround), Until: last.Add(storyAround), Limit: maxStoryFindings,
		Match: func(x *schema.Finding) bool {
			return agents[findingOf{x.Tenant, x.AgentUID}] && !ofSession(x, session) && x.SessionID == ""
		}}
	return found, truncated, h.store.Findings(around, add)
}

// ofSession reports whether a finding is about a session.
func ofSession(f *schema.Finding, session string) bool {
	return f.SessionID == session || f.Key["session.id"] == session
}

// joinStory joins the evidence of findings.
func joinStory(found []*schema.Finding) *Story {
	s := &Story{Agents: []StoryAgent{}, Datasets: []string{}, Findings: []StoryFinding{}, Events: []StoryEvent{}}
	slices.SortFunc(found, func(a, b *schema.Finding) int {
		return cmp.Or(cmp.Compare(a.FirstSeen, b.FirstSeen), cmp.Compare(a.RuleID, b.RuleID), slices.Compare(a.ID[:], b.ID[:]))
	})
	known := map[schema.ID]int{}
	for n, f := range found {
		s.Findings = append(s.Findings, StoryFinding{f.ID, f.RuleID, f.Title, f.Severity, f.Kind, f.SessionID, f.Provenance})
		s.Total += f.Count
		if a := (StoryAgent{f.Tenant, f.AgentUID, f.AgentName}); f.AgentUID != "" && !slices.Contains(s.Agents, a) {
			s.Agents = append(s.Agents, a)
		}
		for _, e := range f.Evidence {
			at, ok := known[e.Identity]
			if !ok {
				at = len(s.Events)
				known[e.Identity] = at
				s.Events = append(s.Events, StoryEvent{Evidence: e})
			}
			s.Events[at].merge(&e, n)
		}
	}
	slices.SortStableFunc(s.Events, func(a, b StoryEvent) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), slices.Compare(a.Identity[:], b.Identity[:]))
	})
	for i, e := range s.Events {
		if i == 0 {
			s.Since = e.Time
		}
		s.Until = e.Time
		if !slices.Contains(s.Datasets, e.Dataset) && e.Dataset != "" {
			s.Datasets = append(s.Datasets, e.Dataset)
		}
	}
	slices.Sort(s.Datasets)
	return s
}

// merge adds the fields that another finding has of the same event.
func (e *StoryEvent) merge(o *schema.Evidence, finding int) {
	if !slices.Contains(e.Findings, finding) {
		e.Findings = append(e.Findings, finding)
	}
	fields := make(map[string]any, len(e.Fields)+len(o.Fields))
	for name, v := range e.Fields {
		fields[name] = v
	}
	for name, v := range o.Fields {
		fields[name] = v
	}
	e.Fields = fields
}
