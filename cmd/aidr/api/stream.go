package api

import (
	"io"
	"net/http"
)

// inProcess is a transport that serves requests with a handler in this process. Responses are not held in memory: the
// handler waits for their reader.
type inProcess struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, to := io.Pipe()
	w := &response{header: http.Header{}, body: to, started: make(chan int, 1)}
	go func() {
		h.ServeHTTP(w, r)
		w.start(http.StatusOK)
		to.Close()
	}()
	select {
	case code := <-w.started:
		return &http.Response{Status: http.StatusText(code), StatusCode: code, Header: w.header, Request: r, Body: body}, nil
	case <-r.Context().Done():
		body.Close()
		return nil, r.Context().Err()
	}
}

// response is an http.ResponseWriter whose body is read while the handler writes it.
type response struct {
	header  http.Header
	body    *io.PipeWriter
	code    int
	started chan int // receives the status code once
}

func (r *response) start(code int) {
	if r.code == 0 {
		r.code = code
		r.started <- code
	}
}

// Header implements http.ResponseWriter.
func (r *response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *response) WriteHeader(code int) { r.start(code) }

// Write implements http.ResponseWriter. It fails if the reader has closed the body.
func (r *response) Write(b []byte) (int, error) {
	r.start(http.StatusOK)
	return r.body.Write(b)
}

// Flush implements http.Flusher: nothing is buffered.
func (r *response) Flush() { r.start(http.StatusOK) }
