package api

import "net/http"

// metrics sends the metrics of the running process, in the text format of Prometheus.
func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	if h.rt.Metrics == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	h.rt.Metrics.ServeHTTP(w, r)
}

// logTail sends the end of the log of the running process.
func (h *handler) logTail(w http.ResponseWriter, _ *http.Request) {
	if h.rt.LogTail == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(h.rt.LogTail()) // a caller that is gone needs no answer
}
