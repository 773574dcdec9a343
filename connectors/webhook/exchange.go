package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// Exchange is one request that a person asked for, with its outcome.
type Exchange struct {
	Method  string
	Headers http.Header // of the request; values of the configuration, which are secrets, are replaced
	Body    []byte
	Took    time.Duration
	// Delivered reports whether the endpoint accepted the message. Status is that of its answer, or the reason if there was no
	// answer, and Detail describes a failure.
	Delivered      bool
	Status, Detail string
}

// hidden replaces the values of headers that are secrets.
const hidden = "***"

// Test sends one entry to the endpoint as a delivery would, once, whatever its type, the filter and the breaker, and returns the
// request that was sent. The error is that of an entry of which no request can be made.
func (s *Sink) Test(ctx context.Context, e *connectors.Entry) (*Exchange, error) {
	if f := e.Finding; f != nil && f.Guide != nil && f.Guide.Console == "" && s.config.Links != "" { // as when a finding is committed
		copied, guide := *f, *f.Guide
		guide.Console, copied.Guide = FindingPage(s.config.Links, f.ID), &guide
		test := *e
		test.Finding = &copied
		e = &test
	}
	x := &Exchange{}
	began := time.Now()
	a := s.attempt(ctx, e, func(req *http.Request, body []byte) {
		x.Method, x.Headers, x.Body = req.Method, req.Header.Clone(), body
		for _, headers := range []map[string]string{s.form.headers, s.config.Headers} {
			for name := range headers {
				x.Headers.Set(name, hidden)
			}
		}
	})
	if x.Method == "" {
		return nil, errors.New(a.detail)
	}
	x.Took, x.Delivered, x.Status, x.Detail = time.Since(began), a.verdict == verdictDelivered, a.reason, a.detail
	return x, nil
}
