package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

const (
	// DefaultTimeout bounds one attempt from the look-up of the name to the last byte of the answer.
	DefaultTimeout = 15 * time.Second

	// DefaultConcurrency is how many attempts run at a time: findings of one rule do not wait for one slow answer each.
	DefaultConcurrency = 8
	maxConcurrency     = 64

	// DefaultUpdateEvery is how often a finding that grows is told again.
	DefaultUpdateEvery = time.Minute

	maxNameBytes = 64 // the name is part of webhook-id, which is a header
)

// DefaultRetries returns the pauses after the first, second ... failed attempt; after the last the entry is dead.
func DefaultRetries() []time.Duration {
	return []time.Duration{
		time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// Config is one endpoint. Name, URL and one secret have no default.
type Config struct {
	Name    string
	URL     string            // http or https; its path may be a secret and is never told
	Secrets []string          // whsec_... (HMAC-SHA256) or whsk_... (ed25519); each signs, for rotation
	Headers map[string]string // added to each request; values are secrets

	AllowNetworks []netip.Prefix                      // beyond public addresses: 127.0.0.0/8, 10.1.0.0/16 ...
	Filter        func(*schema.Finding) (bool, error) // nil: all

	Timeout     time.Duration   // default DefaultTimeout
	Retries     []time.Duration // nil: DefaultRetries; empty: one attempt
	Concurrency int             // default DefaultConcurrency
	Rate        float64         // attempts a second, 0: no limit
	Burst       int             // attempts that may come at once after a pause; default: those of one second, at least 1
	UpdateEvery time.Duration   // default DefaultUpdateEvery, negative: no limit
	OutboxCap   int64           // bytes that may wait, 0: the engine's default
}

// complete fills defaults and returns everything that cannot be, without the values of secrets.
func (c *Config) complete() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if c.Name == "" || len(c.Name) > maxNameBytes {
		bad("name: %d bytes long, want 1 to %d", len(c.Name), maxNameBytes)
	}
	if err := checkURL(c.URL); err != nil {
		bad("url: %w", err)
	}
	if len(c.Secrets) == 0 {
		bad("secret: there is none: want whsec_ and 24 to 64 random bytes in base64")
	}
	for name, value := range c.Headers {
		if err := checkHeader(name, value); err != nil {
			bad("headers: %w", err)
		}
	}
	if c.Timeout < 0 || c.Concurrency < 0 || c.Concurrency > maxConcurrency || c.Rate < 0 || c.Burst < 0 || c.OutboxCap < 0 {
		bad("timeout, concurrency, rate, burst or outbox cap: below 0, or concurrency above %d", maxConcurrency)
	}
	for _, d := range c.Retries {
		if d <= 0 {
			bad("retries: %v: want pauses above 0", d)
		}
	}
	c.defaults()
	return errors.Join(wrong...)
}

func (c *Config) defaults() {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Retries == nil {
		c.Retries = DefaultRetries()
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Burst == 0 {
		c.Burst = max(1, int(min(c.Rate, 1e6)))
	}
	if c.UpdateEvery == 0 {
		c.UpdateEvery = DefaultUpdateEvery
	}
}

// checkURL never quotes the URL: Slack's, and others', hold the secret in the path.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("it cannot be parsed: want https://HOST/PATH")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("scheme %q: want https, or http", u.Scheme)
	case u.Hostname() == "":
		return errors.New("it has no host: want https://HOST/PATH")
	case u.User != nil:
		return errors.New("it holds a user: put an Authorization header into headers")
	}
	return nil
}

// checkHeader refuses what would change the message itself; values are not quoted.
func checkHeader(name, value string) error {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if name == "" || strings.Trim(name, token) != "" {
		return fmt.Errorf("%q is no header's name", name)
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Host", "Trailer", "Te", "Upgrade":
		return fmt.Errorf("%q is set by AIDR", name)
	}
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return fmt.Errorf("%q: its value holds a control character", name)
		}
	}
	return nil
}
