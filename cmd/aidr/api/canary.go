package api

import (
	"errors"
	"net/http"
	"time"
)

// Canary is the state of the canary.
type Canary struct {
	Every     string        `json:"every"`
	Within    string        `json:"within"`
	Endpoints []string      `json:"endpoints,omitempty"` // that get its findings
	Sent      time.Time     `json:"sent,omitzero"`       // when the latest event was made
	Waiting   int           `json:"waiting"`             // events that are not complete
	Missing   string        `json:"missing,omitempty"`   // what did not come in time; "": nothing
	Last      *CanaryFlight `json:"last,omitempty"`      // the latest event that is complete
}

// CanaryFlight is the way of one event of the canary.
type CanaryFlight struct {
	Event     string               `json:"event"`
	Sent      time.Time            `json:"sent"`
	Found     time.Time            `json:"found"` // when the checkpoint with its finding was durable
	Delivered map[string]time.Time `json:"delivered,omitempty"`
}

// errNoCanary is returned if the configuration has no canary.
var errNoCanary = errors.New("there is no canary: set canary in the configuration, and restart")

func (h *handler) canary(w http.ResponseWriter, _ *http.Request) {
	if h.rt.Canary == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	c := h.rt.Canary()
	if c == nil {
		refuse(w, http.StatusNotFound, errNoCanary)
		return
	}
	reply(w, c)
}

// sendCanary makes an event at once.
func (h *handler) sendCanary(w http.ResponseWriter, r *http.Request) {
	if h.rt.Canary != nil && h.rt.SendCanary != nil && h.rt.Canary() != nil {
		h.rt.SendCanary()
	}
	h.canary(w, r)
}
