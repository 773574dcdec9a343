package api

import (
	"errors"
	"net/http"
)

// errTokenLink refuses a link to a token: the session would outlive the token's end.
var errTokenLink = errors.New("a token opens the console at its login page, so that the session ends with the token")

// ErrNoConsole is returned for a request for a link if the process serves no console.
var ErrNoConsole = errors.New("this aidr serves no console: set console.listen in its configuration")

// ConsoleLink is a link that opens the console once, as the caller that asked for it.
type ConsoleLink struct {
	URL     string `json:"url"`
	Seconds int    `json:"seconds"` // how long it can be opened
}

// consoleLink makes a link to the console for the caller.
func (h *handler) consoleLink(w http.ResponseWriter, r *http.Request) {
	if h.rt.ConsoleLink == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoConsole)
		return
	}
	if callerOf(r.Context()).Token != "" {
		refuse(w, http.StatusForbidden, errTokenLink)
		return
	}
	link, err := h.rt.ConsoleLink(callerOf(r.Context()))
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, link)
}

// InProcess returns a Client whose requests a handler of this process serves. The caller of each request is that of its context.
func InProcess(h http.Handler) *Client {
	return &Client{http: &http.Client{Transport: inProcess{h}}}
}
