package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// MaxBody is the maximum length of a body in bytes. Receivers are promised less than 20 KB.
const MaxBody = 20_000

// message is the body of FormatAIDR. It depends only on the entry and the configuration, so it is the same at all attempts and
// after restarts.
type message struct {
	Type      connectors.EntryType `json:"type"`
	Timestamp schema.Instant       `json:"timestamp"`
	Data      any                  `json:"data"` // finding, response, approval or endpoint, whichever is set
	Links     *links               `json:"links,omitempty"`

	finding  *data
	response *schema.ResponseRecord
	approval *schema.Approval
	endpoint *schema.Endpoint
	entry    *connectors.Entry
}

// links are addresses for people. The addresses of actions are signed: an owner of one may take that action, after a confirmation.
type links struct {
	Console     string `json:"console,omitempty"` // the page of the finding or of the response
	Runbook     string `json:"runbook,omitempty"` // the page for the rule
	Acknowledge string `json:"acknowledge,omitempty"`
	Close       string `json:"close,omitempty"`
	Approve     string `json:"approve,omitempty"` // of a proposed containment
}

type data struct {
	*schema.Finding
	Omitted *Omitted `json:"cut,omitempty"`
}

// Omitted describes, in the body itself, how a finding that is too large was reduced. The whole finding is in ClickHouse
// and in the output of `aidr findings show`.
type Omitted struct {
	TextBytes int      `json:"text_bytes"`        // texts in the evidence were truncated to this length
	Events    int      `json:"events,omitempty"`  // number of events of the evidence that were left out
	Others    int      `json:"others,omitempty"`  // all other texts were truncated to this length, and lists were shortened
	Fields    []string `json:"dropped,omitempty"` // fields that were left out
}

// Body returns the body of the entry in FormatAIDR. After an error the entry can never be sent, because the finding cannot be
// encoded as JSON.
func Body(e *connectors.Entry) ([]byte, error) { return fit(e, pages{}, renderMessage) }

// newMessage returns the message of an entry.
func newMessage(e *connectors.Entry, p pages) *message {
	m := &message{Type: e.Type, response: e.Response, approval: e.Approval, endpoint: e.Endpoint, entry: e}
	page := responsesPage
	switch {
	case e.Finding != nil:
		m.Timestamp, page = changeTime(e.Finding), findingsPage
		m.setFinding(data{Finding: e.Finding})
	case e.Response != nil:
		m.Timestamp, m.Data = responseTime(e.Response), e.Response
	case e.Approval != nil:
		m.Timestamp, m.Data, page = e.Approval.Asked, e.Approval, approvalsPage
	case e.Endpoint != nil:
		m.Timestamp, m.Data, page = e.Endpoint.Since, e.Endpoint, endpointsPage
	}
	m.Links = p.links(e, page, m.Timestamp)
	return m
}

// Pages of the console, below links.base.
const (
	findingsPage  = "/findings/"
	responsesPage = "/responses/"
	approvalsPage = "/approvals/"
	endpointsPage = "/endpoints/"
)

// consolePage returns the address of a page of the console about something.
func consolePage(base, page string, id schema.ID) string {
	return strings.TrimSuffix(base, "/") + page + id.String()
}

// FindingPage returns the address of the console's page about a finding.
func FindingPage(base string, id schema.ID) string { return consolePage(base, findingsPage, id) }

// setFinding sets the finding, whole or reduced.
func (m *message) setFinding(d data) { m.finding, m.Data = &d, &d }

// fit returns the body of the entry. If that of a finding is too large, texts in the evidence are truncated first, then events
// of the evidence are left out, then the rest is reduced. The texts of responses are bounded by package schema; their history,
// receipts and sources of proof are left out if they are too long.
func fit(e *connectors.Entry, p pages, render func(*message) ([]byte, error)) ([]byte, error) {
	m := newMessage(e, p)
	out, err := render(m)
	if err != nil || len(out) <= MaxBody {
		return out, wrapEncode(e, err)
	}
	if e.Finding != nil {
		return fitFinding(m, render)
	}
	if e.Response != nil {
		short := *e.Response
		short.Receipts, short.History, short.Proof.Sources, short.Aliases, short.Credentials, short.Spared = nil, nil, nil, nil, nil, nil
		m.response, m.Data = &short, &short
		if out, err = render(m); err != nil || len(out) <= MaxBody {
			return out, wrapEncode(e, err)
		}
	}
	return nil, fmt.Errorf("encode %s %s: %d bytes, want at most %d", e.Type, e.ID(), len(out), MaxBody)
}

// fitFinding is fit for a finding whose body is too large.
func fitFinding(m *message, render func(*message) ([]byte, error)) ([]byte, error) {
	f := m.finding.Finding
	m.setFinding(data{Finding: reduction{}.apply(f)})
	out, err := render(m)
	if err != nil {
		return nil, wrapEncode(m.entry, err)
	}
	for _, r := range reductions(len(f.Evidence), len(out) <= MaxBody) {
		m.setFinding(data{Finding: r.apply(f), Omitted: &r.Omitted})
		if out, err = render(m); err != nil || len(out) <= MaxBody {
			return out, wrapEncode(m.entry, err)
		}
	}
	return nil, fmt.Errorf("encode finding %s: %d bytes after every reduction, want at most %d", f.ID, len(out), MaxBody)
}

// wrapEncode adds the entry to an error of encoding it.
func wrapEncode(e *connectors.Entry, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("encode %s %s: %w", e.Type, e.ID(), err)
}

// responseTime returns the time of the latest change of a response, by the wall clock of its process.
func responseTime(r *schema.ResponseRecord) schema.Instant {
	t := max(r.Since, r.Ended)
	if n := len(r.History); n > 0 {
		t = max(t, r.History[n-1].Time)
	}
	return t
}

// changeTime returns the time of the change, as far as it follows from the finding alone. The wall clock of an attempt
// would give each attempt a different body.
func changeTime(f *schema.Finding) schema.Instant {
	if f.DetectedAt == nil {
		return f.LastSeen
	}
	return max(*f.DetectedAt, f.LastSeen)
}

// encode returns the JSON of a value on one line. The keys of maps are sorted.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// reduction is one way of making a finding smaller.
type reduction struct {
	Omitted
	events int // number of events of the evidence that are kept
	list   int // number of elements of other lists and maps that are kept, if Others is set
}

const (
	maxText   = 2048 // bytes of a text in the evidence; halved down to minText until the body fits
	minText   = 64
	maxEvents = 8 // the most that a finding has

	otherText = 256 // bytes of all other texts, at the first reduction of them
	otherList = 32  // elements of all other lists

	// lastText and lastList are those of the last reduction. A byte takes at most six bytes in JSON (\u0001), and with
	// these limits even the largest finding is certain to fit.
	lastText = 48
	lastList = 4

	ellipsis = "..." // marks a truncated text
)

// reductions returns the reductions of a finding with n events, from the smallest to the largest. fitsWithoutEvents
// reports whether the body fits once all events are left out. If it does not, reducing the evidence alone is pointless,
// and only the reductions of everything else are returned.
func reductions(n int, fitsWithoutEvents bool) []reduction {
	var out []reduction
	most := min(n, maxEvents)
	if fitsWithoutEvents {
		for text := maxText; text >= minText; text /= 2 {
			out = append(out, reduction{Omitted{TextBytes: text, Events: n - most}, most, 0})
		}
		for events := most - 1; events >= 0; events-- {
			out = append(out, reduction{Omitted{TextBytes: minText, Events: n - events}, events, 0})
		}
	}
	dropped := []string{"baseline"}
	out = append(out, reduction{Omitted{TextBytes: minText, Events: n, Others: otherText, Fields: dropped}, 0, otherList})
	dropped = []string{"baseline", "guide", "response", "threshold", "value"}
	return append(out, reduction{Omitted{TextBytes: minText, Events: n, Others: lastText, Fields: dropped}, 0, lastList})
}

// apply returns a reduced copy of f. It does not change f, which is shared with other sinks.
func (r reduction) apply(f *schema.Finding) *schema.Finding {
	out := *f
	out.Evidence = make([]schema.Evidence, 0, r.events)
	first := (r.events + 1) / 2 // the first and the last events are the most informative
	for i := range f.Evidence {
		if i < first || i >= len(f.Evidence)-(r.events-first) {
			out.Evidence = append(out.Evidence, truncateEvidence(f.Evidence[i], r.TextBytes))
		}
	}
	if r.Others > 0 {
		r.reduceOthers(&out)
	}
	return &out
}

func truncateEvidence(e schema.Evidence, n int) schema.Evidence {
	for _, s := range []*string{
		&e.EventID, &e.Topic, &e.Dataset, &e.Class, &e.Action, &e.Tool, &e.ToolServer, &e.Target, &e.Resource, &e.Outcome,
		&e.CredentialUID, &e.SourceIP, &e.Workflow, &e.Step,
	} {
		*s = truncate(*s, n)
	}
	fields := make(map[string]any, len(e.Fields))
	for name, v := range e.Fields {
		fields[name] = truncateValue(v, n)
	}
	e.Fields = fields
	return e
}

// truncateValue returns a copy of v in which all texts, however deeply nested, are truncated.
func truncateValue(v any, n int) any {
	switch v := v.(type) {
	case string:
		return truncate(v, n)
	case []string:
		out := make([]string, len(v))
		for i := range v {
			out[i] = truncate(v[i], n)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = truncateValue(v[i], n)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = truncateValue(v[k], n)
		}
		return out
	}
	return v
}

// reduceOthers reduces everything but the evidence. f is a shallow copy: its lists and maps are replaced, not changed.
func (r reduction) reduceOthers(f *schema.Finding) {
	for _, s := range []*string{
		&f.RuleID, &f.Kind, &f.Title, &f.Tenant, &f.AgentUID, &f.AgentName, &f.AgentSource, &f.SessionID, &f.WithdrawnReason,
		&f.Summary, &f.Explanation,
	} {
		*s = truncate(*s, r.Others)
	}
	f.Status = schema.Status(truncate(string(f.Status), r.Others))
	f.Severity = schema.Severity(truncate(string(f.Severity), r.Others))
	f.Tags, f.Reasons = r.reduceList(f.Tags), r.reduceList(f.Reasons)
	f.Key = r.reduceKey(f.Key)
	f.Response = slices.Clone(f.Response[:min(len(f.Response), r.list)])
	for i := range f.Response {
		response := &f.Response[i]
		for _, s := range []*string{
			&response.Action, &response.Target, &response.State, &response.Mode, &response.TTL, &response.Result,
		} {
			*s = truncate(*s, r.Others)
		}
	}
	if f.Guide != nil {
		f.Guide = r.reduceGuide(f.Guide)
	}
	for _, name := range r.Fields {
		switch name {
		case "guide":
			f.Guide = nil
		case "baseline":
			f.Baseline = nil
		case "response":
			f.Response = nil
		case "threshold":
			f.Threshold = ""
		case "value":
			f.Value = ""
		}
	}
}

// reduceGuide returns a reduced copy of a guide.
func (r reduction) reduceGuide(g *schema.Guide) *schema.Guide {
	out := *g
	for _, s := range []*string{&out.Description, &out.Runbook, &out.Owner, &out.Console} {
		*s = truncate(*s, r.Others)
	}
	out.WhatToDo = r.reduceList(g.WhatToDo)
	if g.Targets != nil {
		t := *g.Targets
		for _, s := range []*string{&t.Tenant, &t.Agent, &t.Session} {
			*s = truncate(*s, r.Others)
		}
		t.Credentials, t.Tools, t.Servers, t.Resources = r.reduceList(t.Credentials), r.reduceList(t.Tools), r.reduceList(t.Servers), r.reduceList(t.Resources)
		out.Targets = &t
	}
	return &out
}

// reduceKey keeps the first names of a group key in sorted order, because the body must be the same each time, and the
// order of a map is random.
func (r reduction) reduceKey(key map[string]string) map[string]string {
	names := slices.Sorted(maps.Keys(key))
	out := map[string]string{}
	for _, name := range names[:min(len(names), r.list)] {
		out[truncate(name, r.Others)] = truncate(key[name], r.Others)
	}
	return out
}

func (r reduction) reduceList(list []string) []string {
	out := slices.Clone(list[:min(len(list), r.list)])
	for i := range out {
		out[i] = truncate(out[i], r.Others)
	}
	return out
}

// truncate returns s if it has at most n bytes, and otherwise a prefix of at most n bytes followed by an ellipsis. The
// prefix does not end within a character; only in a text that is not UTF-8 may it end anywhere.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	prefix := schema.Truncate(s, n)
	if len(prefix) < n-utf8.UTFMax { // longer than any character, so s is not UTF-8
		prefix = s[:n]
	}
	return prefix + ellipsis
}
