package webhook

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxAnswer is the number of bytes of an answer's body that are read and discarded. Reading lets the client reuse the
	// connection.
	maxAnswer = 64 << 10

	// answerTimeout bounds the reading of the answer's body. It is short because the status alone decides.
	answerTimeout = 2 * time.Second

	// maxRetryAfter is the longest pause that an endpoint may ask for.
	maxRetryAfter = time.Hour

	// maxDetail is the length in bytes of an error's text.
	maxDetail = 300
)

// verdict is the meaning of an answer for the entry.
type verdict int

const (
	verdictDelivered verdict = iota
	verdictRetry             // the endpoint is unavailable or asks for a pause
	verdictDead              // the endpoint will never accept this entry
	verdictGone              // the endpoint no longer accepts any entry
)

// answer is the outcome of one attempt.
type answer struct {
	verdict verdict
	reason  string        // one of connectors.Reason..., or http_ and the status
	detail  string        // for people; without secrets and without the answer's body
	after   time.Duration // the pause that Retry-After asked for; 0 if none
	status  string        // of HTTP; "" without an answer
}

// attempt makes one request, interprets the answer, and reports the attempt. sent is called with the request before it is sent, and
// its body; it may be nil, and must not change them.
func (s *Sink) attempt(ctx context.Context, e *connectors.Entry, sent func(*http.Request, []byte)) answer {
	began := time.Now()
	a := s.post(ctx, e, sent)
	if s.config.Attempted != nil {
		s.config.Attempted(&schema.Attempt{
			Endpoint: s.config.Name, Time: schema.InstantOf(began), WebhookID: ID(e, s.config.Name), Type: string(e.Type), ID: e.ID(),
			Version: e.Version(), Number: e.Attempt + 1, Status: cmp.Or(a.status, a.reason), Took: int64(time.Since(began)),
			Delivered: a.verdict == verdictDelivered, Error: a.detail,
		})
	}
	return a
}

// post makes one request and interprets the answer.
func (s *Sink) post(ctx context.Context, e *connectors.Entry, sent func(*http.Request, []byte)) (a answer) {
	r := request{url: s.config.URL}
	var err error
	if r.body, err = fit(e, s.config.pages(), s.form.render); err != nil {
		return answer{verdict: verdictDead, reason: connectors.ReasonUnencodable, detail: errorText(err)}
	}
	if s.form.adapt != nil {
		if err := s.form.adapt(e, &r); err != nil {
			return answer{verdict: verdictRetry, reason: connectors.ReasonNote, detail: errorText(err)}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	req, err := s.request(ctx, ID(e, s.config.Name), r, time.Now())
	if err != nil {
		return answer{verdict: verdictDead, reason: connectors.ReasonBadRequest, detail: errorText(err)}
	}
	if sent != nil {
		sent(req, r.body)
	}
	began := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		a := interpretError(err)
		s.observe(a.reason, began)
		return a
	}
	status := strconv.Itoa(resp.StatusCode)
	s.observe(status, began)
	defer func() { a.status = status }()
	defer resp.Body.Close()
	stop := time.AfterFunc(answerTimeout, cancel)
	defer stop.Stop()
	a = interpret(resp.StatusCode, resp.Header, time.Now())
	if s.form.answered == nil || a.verdict != verdictDelivered {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // an error here does not change the status
		return a
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	stop.Stop()
	if err != nil {
		return interpretError(err)
	}
	return s.form.answered(ctx, e, body)
}

// observe reports an attempt that began at an instant, if the configuration has an observer.
func (s *Sink) observe(status string, began time.Time) {
	if s.config.Observe != nil {
		s.config.Observe(status, time.Since(began))
	}
}

// request returns the request of one attempt that starts at the time at. The configuration cannot override the headers
// of the protocol.
func (s *Sink) request(ctx context.Context, id string, r request, at time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	s.setHeaders(req)
	req.Header.Set("Content-Type", s.form.contentType)
	req.Header.Set(HeaderID, id)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	if len(s.config.Secrets) > 0 {
		req.Header.Set(HeaderSignature, s.signer.Sign(id, at, r.body))
	}
	return req, nil
}

// setHeaders sets the headers of the configuration and of the format.
func (s *Sink) setHeaders(req *http.Request) {
	req.Header.Set("User-Agent", "aidr-webhook/1")
	for _, headers := range []map[string]string{s.form.headers, s.config.Headers} {
		for name, value := range headers {
			req.Header.Set(name, value)
		}
	}
}

// interpret returns the outcome of an attempt that was answered with a status.
func interpret(status int, h http.Header, now time.Time) answer {
	a := answer{
		reason: connectors.ReasonHTTP + strconv.Itoa(status),
		detail: strings.TrimSpace(fmt.Sprintf("answered %d %s", status, http.StatusText(status))),
	}
	switch {
	case status >= 200 && status <= 299:
		a.verdict = verdictDelivered
	case status == http.StatusGone:
		a.verdict = verdictGone
	case status == http.StatusTooManyRequests:
		a.verdict, a.after = verdictRetry, retryAfter(h, now)
	case status >= 400 && status <= 499:
		a.verdict = verdictDead
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		a.verdict, a.after = verdictRetry, retryAfter(h, now)
	case status >= 300 && status <= 399:
		a.verdict = verdictRetry
		a.detail += ": redirects are not followed: configure the URL of the redirect's target"
	default:
		a.verdict = verdictRetry
	}
	return a
}

// retryAfter returns the pause that the header Retry-After asks for, in seconds or as a date: at most maxRetryAfter, and
// 0 if the header is missing, malformed or in the past.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		d = time.Duration(min(n, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}

// interpretError returns the outcome of an attempt that was not answered.
func interpretError(err error) answer {
	a := answer{verdict: verdictRetry, reason: connectors.ReasonNetwork, detail: errorText(err)}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errDenied):
		a.reason = connectors.ReasonDeniedAddress
	case errors.As(err, &dns):
		a.reason = connectors.ReasonDNS
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		a.reason = connectors.ReasonTimeout
	}
	return a
}

// errorText returns the text of an error without the URL, which http.Client adds and whose path may be a secret. Parts
// of the text come from the receiver, so it is one short line of valid UTF-8 without control characters.
func errorText(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return truncate(oneLine(err.Error()), maxDetail)
}
