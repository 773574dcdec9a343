package webhook

import (
	"bytes"
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
)

const (
	// maxAnswer is how much of an answer's body is read, so that the connection can be used again; it is dropped.
	maxAnswer = 64 << 10

	// answerTimeout bounds the reading of it: the status has already said everything.
	answerTimeout = 2 * time.Second

	// maxRetryAfter is the longest pause that an endpoint may ask for.
	maxRetryAfter = time.Hour

	// maxDetail is the length in bytes of what an error says.
	maxDetail = 300
)

// verdict is what an answer means for the entry.
type verdict int

const (
	verdictDelivered verdict = iota
	verdictRetry             // the endpoint is away, or asks for time
	verdictDead              // it will never take this entry
	verdictGone              // it takes nothing any more
)

// answer is the outcome of one attempt.
type answer struct {
	verdict verdict
	reason  string        // short and stable: http_500, timeout
	detail  string        // for people; no secret, nothing of the answer's body
	after   time.Duration // what Retry-After asked for, 0 where it did not
}

// attempt makes one request and judges the answer.
func (s *Sink) attempt(ctx context.Context, e *connectors.Entry) answer {
	body, err := Body(e)
	if err != nil {
		return answer{verdict: verdictDead, reason: "unencodable", detail: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	req, err := s.request(ctx, ID(e, s.config.Name), body, time.Now())
	if err != nil {
		return answer{verdict: verdictDead, reason: "bad_request", detail: tell(err)}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return judgeError(err)
	}
	defer resp.Body.Close()
	stop := time.AfterFunc(answerTimeout, cancel)
	defer stop.Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // what fails here does not change the status
	return judge(resp.StatusCode, resp.Header, time.Now())
}

// request makes the request of one attempt.
func (s *Sink) request(ctx context.Context, id string, body []byte, at time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "aidr-webhook/1")
	for name, value := range s.config.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderID, id)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(HeaderSignature, s.signer.Sign(id, at, body))
	return req, nil
}

// judge says what a status means.
func judge(status int, h http.Header, now time.Time) answer {
	a := answer{reason: "http_" + strconv.Itoa(status), detail: strings.TrimSpace(fmt.Sprintf("answered %d %s", status, http.StatusText(status)))}
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
		a.detail += ": redirects are not followed: configure the address that it names"
	default:
		a.verdict = verdictRetry
	}
	return a
}

// retryAfter reads Retry-After, seconds or a date; 0 where there is none that can be read.
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

// judgeError says what it means that there is no answer.
func judgeError(err error) answer {
	a := answer{verdict: verdictRetry, reason: "network", detail: tell(err)}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errDenied):
		a.reason = "denied_address"
	case errors.As(err, &dns):
		a.reason = "dns"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		a.reason = "timeout"
	}
	return a
}

// tell renders an error without the URL, which http.Client puts into it, and on one short line: parts of it are the
// receiver's words.
func tell(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	return cutText(text, maxDetail)
}
