// Package webhook delivers findings to one HTTP endpoint, signed as Standard Webhooks 1.0 says:
//
//	POST /hook HTTP/1.1
//	Content-Type: application/json
//	webhook-id: fnd_<finding id>_<revision>_<endpoint>     the same over all attempts and restarts
//	webhook-timestamp: 1767225600                          of this attempt
//	webhook-signature: v1,<base64> v1a,<base64>            over "<id>.<timestamp>.<body>", one per secret
//
//	{"type":"finding.opened","timestamp":"...","data":{<schema.Finding>}}
//
// Only 2xx is success. A 4xx goes to the dead letters at once, all else is tried again after the times of
// Config.Retries; 410 disables the endpoint. A breaker stops trying where every attempt fails. The receiver is hostile
// or becomes so: addresses are checked when they are dialled, redirects are not followed, answers are bounded in size
// and time.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Sink is one endpoint. Write must not overlap; Health may be called at any time.
type Sink struct {
	config  Config
	signer  *Signer
	client  *http.Client
	breaker breaker
	bucket  bucket

	mu     sync.Mutex
	gone   bool // answered 410
	health connectors.Health
}

// New checks the configuration and returns all that is wrong with it at once. It connects to nothing.
func New(c Config) (*Sink, error) {
	signer, err := NewSigner(c.Secrets...)
	if err := errors.Join(c.complete(), err); err != nil {
		return nil, fmt.Errorf("webhook %q: %w", c.Name, err)
	}
	return &Sink{config: c, signer: signer, client: newClient(c), bucket: newBucket(c.Rate, c.Burst, time.Now())}, nil
}

// Name is the endpoint's name.
func (s *Sink) Name() string { return s.config.Name }

// String describes the endpoint without its URL, whose path may be a secret.
func (s *Sink) String() string { return fmt.Sprintf("webhook %q", s.config.Name) }

// Profile implements connectors.Sink.
func (s *Sink) Profile() connectors.Profile {
	return connectors.Profile{
		Dead:        schema.DeadDelivery,
		OutboxCap:   s.config.OutboxCap,
		UpdateEvery: max(0, s.config.UpdateEvery),
		Wants:       s.wants,
	}
}

// wants reports whether the endpoint gets the entry: not of a shadow rule, passing the filter, and the rule names this
// endpoint in notify or names none. Where the filter fails the endpoint gets it: better one too many than one lost.
func (s *Sink) wants(e connectors.Entry) bool {
	if e.Finding == nil || e.Finding.Shadow || !notifies(e.Finding, s.config.Name) {
		return false
	}
	switch e.Type {
	case connectors.FindingOpened, connectors.FindingUpdated, connectors.FindingSettled, connectors.FindingWithdrawn:
	default:
		return false
	}
	if s.config.Filter == nil {
		return true
	}
	passes, err := s.config.Filter(e.Finding)
	return passes || err != nil
}

func notifies(f *schema.Finding, name string) bool {
	named := false
	for i := range f.Response {
		if r := &f.Response[i]; r.Action == "notify" {
			if r.Target == name {
				return true
			}
			named = true
		}
	}
	return !named
}

// Write delivers the entries; see connectors.Sink. Entries that the endpoint does not want count as delivered.
func (s *Sink) Write(ctx context.Context, entries []connectors.Entry) error {
	if until, why := s.breaker.closedUntil(time.Now()); !until.IsZero() {
		return fmt.Errorf("deliver to %v: not before %s: %s", s, until.UTC().Format(time.RFC3339), why)
	}
	w := &delivery{sink: s}
	w.run(ctx, s.lines(entries))
	if w.tried == 0 && w.held > 0 {
		return fmt.Errorf("deliver to %v: %w", s, errors.Join(errHeld, ctx.Err()))
	}
	if len(w.failed) > 0 {
		return &connectors.Partial{Entries: w.failed}
	}
	return nil
}

var errHeld = errors.New("nothing was tried")

// lines parts the entries by finding, in order of their first: what is of one finding goes out one after the other.
func (s *Sink) lines(entries []connectors.Entry) [][]*connectors.Entry {
	var out [][]*connectors.Entry
	at := map[schema.ID]int{}
	for i := range entries {
		e := &entries[i]
		if !s.wants(*e) {
			continue
		}
		n, ok := at[e.Finding.ID]
		if !ok {
			n = len(out)
			at[e.Finding.ID] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], e)
	}
	return out
}

// Health is degraded from the first attempt that fails until one succeeds, and for good after a 410.
func (s *Sink) Health() connectors.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

func (s *Sink) isGone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// note keeps what Health shows.
func (s *Sink) note(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
	case a.verdict == verdictGone:
		s.gone = true
		s.health = connectors.Health{Degraded: true, Reason: "disabled: it answered 410 Gone; a restart tries it again", Since: time.Now()}
	case a.verdict == verdictRetry:
		if !s.health.Degraded {
			s.health.Since = time.Now()
		}
		s.health.Degraded, s.health.Reason = true, a.reason+": "+a.detail
	default: // a refused entry too: the endpoint is there
		s.health = connectors.Health{}
	}
}

// Close gives the connections back.
func (s *Sink) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
