// Package webhook delivers findings to one HTTP endpoint. Requests are signed as Standard Webhooks 1.0 specifies:
//
//	POST /hook HTTP/1.1
//	Content-Type: application/json
//	webhook-id: fnd_<finding id>_<revision>_<endpoint>     the same at all attempts and after restarts; rsp_ and apr_ for
//	                                                       responses and approvals
//	webhook-timestamp: 1767225600                          the time of this attempt
//	webhook-signature: v1,<base64> v1a,<base64>            of "<id>.<timestamp>.<body>", one for each secret
//
//	{"type":"finding.opened","timestamp":"...","data":{<schema.Finding>}}
//
// Only 2xx is success. After a 4xx other than 429 the entry becomes a dead letter at once; 410 also disables the
// endpoint until an operator enables it. Everything else is tried again on the schedule of Config.Retries, which counts
// per entry and survives restarts. While every attempt fails, a breaker stops trying. The receiver is not trusted:
// addresses are checked when they are dialled, redirects are not followed, and answers are bounded in size and time.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Sink is a connectors.Sink for one endpoint. Calls of Write must not overlap; Health may be called at any time.
type Sink struct {
	config  Config
	signer  *Signer
	client  *http.Client
	breaker *breaker
	limiter *rate.Limiter
	form    *form
	notes   connectors.Notes // in memory until Profile.Keep was called

	mu     sync.Mutex
	gone   bool // the endpoint answered 410 Gone
	health connectors.Health
}

// New returns a sink for the endpoint. It does not connect. An error names all mistakes of the configuration.
func New(c Config) (*Sink, error) {
	signer, err := NewSigner(c.Secrets...)
	if err := errors.Join(c.complete(), err); err != nil {
		return nil, fmt.Errorf("webhook %q: %w", c.Name, err)
	}
	client, err := newClient(c)
	if err != nil {
		return nil, fmt.Errorf("webhook %q: %w", c.Name, err)
	}
	s := &Sink{
		config: c, signer: signer, client: client, breaker: newBreaker(), limiter: newLimiter(c.Rate, c.Burst), notes: newMemoryNotes(),
	}
	if s.form, err = newForm(s); err != nil {
		return nil, fmt.Errorf("webhook %q: %w", c.Name, err)
	}
	return s, nil
}

// Name returns the endpoint's name.
func (s *Sink) Name() string { return s.config.Name }

// String returns a description of the endpoint without the URL, whose path may be a secret.
func (s *Sink) String() string { return fmt.Sprintf("webhook %q", s.config.Name) }

// Profile describes a sink of deliveries that may discard the oldest entries over OutboxCap, gets a growing finding at
// most once in UpdateEvery, and filters entries.
func (s *Sink) Profile() connectors.Profile {
	return connectors.Profile{
		Dead:        schema.DeadDelivery,
		OutboxCap:   s.config.OutboxCap,
		UpdateEvery: max(0, s.config.UpdateEvery),
		Wants:       s.wants,
		Keep:        func(n connectors.Notes) { s.notes = n },
		Enable:      s.enable,
	}
}

// enable ends the state after 410 Gone.
func (s *Sink) enable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		s.gone, s.health = false, connectors.Health{}
	}
}

// wants reports whether the entry is to be delivered: a finding if its rule is not a shadow rule and the rule's notify names
// this endpoint or no endpoint, a response if it is a decision that people look for, that another endpoint is disabled, and all if they pass the filter. If the
// filter fails with an error, the entry is delivered, because one message too many is better than a lost one.
func (s *Sink) wants(e connectors.Entry) bool {
	switch e.Type {
	case connectors.FindingOpened, connectors.FindingUpdated, connectors.FindingSettled, connectors.FindingWithdrawn:
		if e.Finding == nil || e.Finding.Shadow || !notifies(e.Finding, s.config.Name) {
			return false
		}
	case connectors.AgentContained, connectors.AgentReleased, connectors.ApprovalAsked:
		if e.Response == nil && e.Approval == nil {
			return false
		}
	case connectors.EndpointDisabled:
		if e.Endpoint == nil || e.Endpoint.Name == s.config.Name {
			return false
		}
	default:
		return false
	}
	if s.form.wants != nil && !s.form.wants(e.Type) {
		return false
	}
	if s.config.Filter == nil {
		return true
	}
	passes, err := s.config.Filter(e)
	return passes || err != nil
}

// notifies reports whether the response of a finding names the endpoint in notify, or lacks notify.
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

// Write delivers the entries; see connectors.Sink. Entries that the endpoint does not want count as delivered. If the
// breaker is open or no entry could be tried, the error is not a Partial: the endpoint as a whole is unavailable.
func (s *Sink) Write(ctx context.Context, entries []connectors.Entry) error {
	if until, reason := s.breaker.openUntil(time.Now()); !until.IsZero() {
		return fmt.Errorf("deliver to %v: no attempt before %s: %s", s, until.UTC().Format(time.RFC3339), reason)
	}
	d := &delivery{sink: s}
	d.run(ctx, s.groupByFinding(entries))
	if d.tried == 0 && d.untried > 0 {
		return fmt.Errorf("deliver to %v: %w", s, errors.Join(errUntried, ctx.Err()))
	}
	if len(d.failed) == 0 {
		return nil
	}
	p := &connectors.Partial{Entries: d.failed}
	if s.isGone() {
		p.Disabled = disabledReason
	}
	return p
}

// disabledReason is why an endpoint is disabled.
const disabledReason = "it answered 410 Gone"

var errUntried = errors.New("no attempt was made")

// groupByFinding returns the entries that the endpoint wants, grouped by what they are about. The groups are in the order of their
// first entries; within a group the order of the entries is kept.
func (s *Sink) groupByFinding(entries []connectors.Entry) [][]*connectors.Entry {
	var out [][]*connectors.Entry
	index := map[schema.ID]int{} // of a finding's group in out
	for i := range entries {
		e := &entries[i]
		if !s.wants(*e) {
			continue
		}
		n, ok := index[e.ID()]
		if !ok {
			n = len(out)
			index[e.ID()] = n
			out = append(out, nil)
		}
		out[n] = append(out[n], e)
	}
	return out
}

// Health is degraded from the first failed attempt until an attempt succeeds, and after 410 Gone until the sink is enabled.
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

// updateHealth sets Health after an attempt.
func (s *Sink) updateHealth(a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.gone:
	case a.verdict == verdictGone:
		s.gone = true
		s.health = connectors.Health{
			Degraded: true, Reason: "disabled because " + disabledReason, Since: time.Now(),
		}
	case a.verdict == verdictRetry:
		if !s.health.Degraded {
			s.health.Since = time.Now()
		}
		s.health.Degraded, s.health.Reason = true, a.reason+": "+a.detail
	default: // also if the entry was refused: the endpoint is available
		s.health = connectors.Health{}
	}
}

// Close closes idle connections.
func (s *Sink) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
