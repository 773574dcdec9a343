package api

import (
	"net/http"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Coverage is which rules can fire on the datasets of which sources, by tag.
type Coverage struct {
	Columns []CoverageColumn    `json:"columns"`
	Rows    []rules.CoverageRow `json:"rows"`
	// Sampled is the number of events of all sources of which the fields are known: a sample since the start of the process.
	Sampled int64 `json:"sampled_events"`
	// More is the number of datasets that are left out, those with the fewest events.
	More int `json:"more_columns,omitempty"`
}

// CoverageColumn is a dataset of a source.
type CoverageColumn struct {
	rules.CoverageColumn
	// Missing are the fields that rules which read the dataset need, and that no event of it had; nil with fewer events than tell.
	Missing []string `json:"missing_fields,omitempty"`
}

// coverage sends the Coverage of the rules that run now.
func (h *handler) coverage(w http.ResponseWriter, r *http.Request) {
	if h.rt.Coverage == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	reply(w, h.rt.Coverage())
}

// EventLine is an event of a tail, redacted as in findings. Its JSON names are a contract.
type EventLine struct {
	Source  string         `json:"source"`
	Dataset string         `json:"dataset"`
	Time    schema.Instant `json:"time"`
	Event   string         `json:"event"` // as JSON, in the format aidr
}

// EventTail is what a tail passes on: events, and how many were read.
type EventTail struct {
	Events []EventLine `json:"events,omitempty"`
	Looked int64       `json:"looked"` // events of the sample since the tail began, whether they match or not
	Passed int64       `json:"passed"` // events that were read since then
}

// tailEvents sends the events that are read, as far as they match the query's filter, until the client disconnects: a sample, if
// there are more than the engine shows.
func (h *handler) tailEvents(w http.ResponseWriter, r *http.Request) {
	if h.rt.TailEvents == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	enc, flush := lines(w), http.NewResponseController(w)
	caller, sent := callerOf(r.Context()), false
	err := h.rt.TailEvents(r.Context(), r.URL.Query().Get("filter"), caller.Sees, func(t EventTail) bool {
		sent = true
		return enc.Encode(t) == nil && flush.Flush() == nil
	})
	if err != nil && !sent {
		refuse(w, http.StatusBadRequest, err)
	}
}
