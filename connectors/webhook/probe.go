package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// probeTimeout bounds Probe if the timeout of the endpoint is longer.
const probeTimeout = 10 * time.Second

// Probe implements connectors.Prober: it resolves the host, judges the addresses as a delivery would, and sends a HEAD
// request. It delivers nothing, so an endpoint that accepts only
// signed deliveries may answer with 401, 404 or 405.
func (s *Sink) Probe(ctx context.Context) []connectors.Answer {
	ctx, cancel := context.WithTimeout(ctx, min(s.config.Timeout, probeTimeout))
	defer cancel()
	answer := func(a connectors.Answer) []connectors.Answer {
		a.Text = strings.Join(strings.Fields(a.Text), " ")
		return []connectors.Answer{a}
	}
	refused, err := s.probeAddresses(ctx)
	if err != nil {
		return answer(connectors.Answer{Text: err.Error(), Failed: true})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.config.URL, nil)
	if err != nil {
		return answer(connectors.Answer{Text: "the URL cannot be requested", Failed: true}) // err holds the URL, which may be a secret
	}
	req.Header.Set("User-Agent", "aidr-webhook/1")
	for name, value := range s.config.Headers {
		req.Header.Set(name, value)
	}
	asked := time.Now()
	resp, err := s.client.Do(req)
	answered := time.Now()
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // it holds the URL
			err = u.Err
		}
		return answer(connectors.Answer{Text: err.Error(), Failed: true})
	}
	defer resp.Body.Close()
	a := connectors.Answer{Text: fmt.Sprintf("answers %d to a HEAD request", resp.StatusCode)}
	switch status := resp.StatusCode; {
	case status >= 300 && status <= 399:
		a.Warning, a.Text = true, a.Text+": redirects are not followed: configure the address that it names"
	case status >= 400 && status <= 499 && status != http.StatusGone:
		a.Text += ", which is not a signed delivery"
	case status == http.StatusGone:
		a.Warning, a.Text = true, a.Text+": the same answer to a delivery disables the endpoint"
	case status >= 500:
		a.Warning, a.Text = true, a.Text+": the endpoint fails"
	}
	if len(refused) > 0 {
		a.Warning, a.Text = true, a.Text+"; some of its addresses are never dialled: "+strings.Join(refused, ", ")
	}
	out := answer(a)
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if c := connectors.ClockAnswer(theirs, asked, answered, time.Second); c.Warning {
			c.Text += "; receivers refuse signatures whose time is minutes off"
			out = append(out, c)
		}
	}
	return out
}

// probeAddresses resolves the host and returns the addresses that are not dialled. If all are, that is an error.
func (s *Sink) probeAddresses(ctx context.Context) (refused []string, err error) {
	u, err := url.Parse(s.config.URL)
	if err != nil {
		return nil, errors.New("the URL cannot be parsed")
	}
	if err := Refused(u.Hostname(), s.config.AllowNetworks); err != nil {
		return nil, err
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname()); err != nil {
		return nil, err
	}
	g := newGuard(s.config.AllowNetworks)
	for _, a := range addrs {
		if err := g.check(a); err != nil {
			refused = append(refused, a.Unmap().String())
		}
	}
	if len(refused) == len(addrs) {
		return nil, fmt.Errorf("%s resolves to %s: %w", u.Hostname(), strings.Join(refused, ", "), errDenied)
	}
	return refused, nil
}
