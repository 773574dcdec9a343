package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// DefaultTimeout bounds one attempt, from the resolution of the name to the last byte of the answer.
	DefaultTimeout = 15 * time.Second

	// DefaultConcurrency is the number of attempts that run at the same time. With one, each finding would wait for the
	// slow answer to the previous one.
	DefaultConcurrency = 8
	maxConcurrency     = 64

	// DefaultUpdateEvery is the least time between two updates of one growing finding.
	DefaultUpdateEvery = time.Minute

	maxNameBytes = 64 // the name is part of webhook-id, which is a header
)

// DefaultRetries returns the pauses after the first, second and later failed attempts. The attempt after the last pause
// is the last: if it fails, the entry becomes a dead letter.
func DefaultRetries() []time.Duration {
	return []time.Duration{
		time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// Config is the configuration of one endpoint. Name and URL are required, and what the format needs; everything else
// has a default.
type Config struct {
	Name    string            // part of every webhook-id
	Format  Format            // of the bodies; "" means FormatAIDR
	URL     string            // http or https; the path may be a secret, so the URL is never logged
	Secrets []string          // whsec_... (HMAC-SHA256) or whsk_... (ed25519); each of them signs, for rotation. See Format.Signed
	Headers map[string]string // added to each request; the values are secrets

	TLS   *connectors.TLS // private authorities and the client's certificate; nil: the authorities of the system
	Links string          // the address of the console, to which bodies link; "" means no links
	// Callback returns the signed address of an action on a finding or a response, which is valid until an instant; "" if
	// the action has no address. It depends only on its arguments, because a body is the same at all attempts. nil: no addresses.
	Callback func(action CallbackAction, id schema.ID, until schema.Instant) string
	// Interactive makes buttons of Slack's messages call back (control.slack) instead of opening Callback's addresses.
	Interactive bool

	Template   string // of FormatTemplate
	Channel    string // of FormatSlack, with a Token: the id of the channel
	Token      string // of FormatSlack or FormatSplunkHEC
	RoutingKey string // of FormatPagerDuty: the integration key of the service
	Index      string // of FormatSplunkHEC; "" means the token's default

	AllowNetworks []netip.Prefix                       // allowed in addition to public addresses: 127.0.0.0/8, 10.1.0.0/16 ...
	Filter        func(connectors.Entry) (bool, error) // reports whether an entry is delivered; nil means that every entry is

	Timeout     time.Duration   // of one attempt; 0 means DefaultTimeout
	Retries     []time.Duration // pauses between attempts; nil means DefaultRetries; empty means one attempt
	Concurrency int             // attempts at the same time; 0 means DefaultConcurrency
	Rate        float64         // attempts a second; 0 means no limit
	Burst       int             // attempts that may start at once after a pause; 0 means as many as in one second, at least 1
	UpdateEvery time.Duration   // least time between two updates of a finding; 0 means DefaultUpdateEvery; negative means no limit
	OutboxCap   int64           // bytes that may wait for the endpoint; 0 means the engine's default

	// Observe is called after each attempt with the HTTP status of the answer, or the reason if there was no answer (one of
	// connectors.Reason...), and the duration. It may be nil, and must not block.
	Observe func(status string, took time.Duration)
	// Attempted is called after each attempt. It may be nil, and must not block.
	Attempted func(*schema.Attempt)
}

// complete fills in the defaults and returns all errors of the configuration, without the values of secrets.
func (c *Config) complete() error {
	var wrong []error
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if c.Name == "" || len(c.Name) > maxNameBytes {
		bad("name: %d bytes long, want 1 to %d", len(c.Name), maxNameBytes)
	}
	if err := checkURL(c.URL); err != nil {
		bad("url: %w", err)
	}
	if err := c.checkFormat(); err != nil {
		bad("%w", err)
	}
	if err := c.TLS.Validate(); err != nil {
		bad("%w", err)
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

// checkURL checks the URL of an endpoint. Its errors do not quote the URL, because the URLs of Slack and others hold a
// secret in the path.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("cannot be parsed: want https://HOST/PATH")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("scheme %q: want https, or http", u.Scheme)
	case u.Hostname() == "":
		return errors.New("no host: want https://HOST/PATH")
	case u.User != nil:
		return errors.New("contains a user: put an Authorization header into headers")
	}
	return nil
}

// checkHeader refuses headers that the protocol sets and bytes that would end a header. Its errors do not quote values,
// because they are secrets.
func checkHeader(name, value string) error {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if name == "" || strings.Trim(name, token) != "" {
		return fmt.Errorf("%q is not a valid name of a header", name)
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Content-Length", "Content-Type",
		"Transfer-Encoding", "Connection", "Host", "Trailer", "Te", "Upgrade":
		return fmt.Errorf("%q is set by AIDR", name)
	}
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return fmt.Errorf("%q: the value contains a control character", name)
		}
	}
	return nil
}
