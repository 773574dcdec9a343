package webhook

import (
	"context"
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

// Test sends one entry to the endpoint as a delivery would, once, whatever its type, the filter and the breaker.
func (s *Sink) Test(ctx context.Context, e *connectors.Entry) (*Exchange, error) {
	body, err := fit(e, s.config.Links, s.form.render)
	if err != nil {
		return nil, err
	}
	req, err := s.request(ctx, ID(e, s.config.Name), request{s.config.URL, body}, time.Now())
	if err != nil {
		return nil, err
	}
	x := &Exchange{Method: req.Method, Headers: req.Header.Clone(), Body: body}
	for _, headers := range []map[string]string{s.form.headers, s.config.Headers} {
		for name := range headers {
			x.Headers.Set(name, hidden)
		}
	}
	began := time.Now()
	a := s.attempt(ctx, e)
	x.Took, x.Delivered, x.Status, x.Detail = time.Since(began), a.verdict == verdictDelivered, a.reason, a.detail
	return x, nil
}
