package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/sasl"
)

// OAuth configures the tokens of the mechanism OAUTHBEARER.
type OAuth struct {
	// Provider issues the tokens: one of the Provider constants; ProviderClient if it is empty.
	Provider string

	// TokenURL, ClientID and ClientSecret are for ProviderClient. AssertionFile is a file with a signed JWT that takes
	// the place of the secret, as Kubernetes writes for workload identity; it is read for each token. ClientID also
	// chooses one of several managed identities of Azure.
	TokenURL, ClientID, ClientSecret, AssertionFile string
	// Scope is required for ProviderAzure, and Audience is an additional parameter that some servers of ProviderClient
	// need.
	Scope, Audience string
	// CA is a file with the authorities that are trusted for TokenURL instead of those of the system.
	CA string

	// Region is the region of the cluster, and Role the ARN of a role that is assumed, for ProviderAWS. Without a
	// region the one of the environment counts.
	Region, Role string

	// Extensions are sent with each token. Confluent Cloud needs logicalCluster and identityPoolId.
	Extensions map[string]string
}

// The providers of tokens.
const (
	ProviderClient = "client_credentials" // a token endpoint, with the credentials of a client (RFC 6749, section 4.4)
	ProviderAWS    = "aws"                // MSK: a request that is signed with the AWS credentials of the process
	ProviderAzure  = "azure"              // the managed identity of a virtual machine or container in Azure
	ProviderGCP    = "gcp"                // the application default credentials of Google Cloud
)

// Providers returns the names of all providers, the default first.
func Providers() []string { return []string{ProviderClient, ProviderAWS, ProviderAzure, ProviderGCP} }

const mechanismOAuth = "OAUTHBEARER"

func (o *OAuth) validate() error {
	if o == nil {
		return errors.New("sasl: no oauth: OAUTHBEARER needs the section oauth, which names the provider of the tokens")
	}
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sasl oauth: "+format, args...)) }
	switch o.provider() {
	case ProviderClient:
		o.validateClient(add)
	case ProviderAzure:
		if o.Scope == "" {
			add("no scope: name the namespace, as in https://NAMESPACE.servicebus.windows.net/.default")
		}
	case ProviderAWS, ProviderGCP:
	default:
		add("provider %q: use one of %s", o.Provider, strings.Join(Providers(), ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(o.Extensions)) {
		if !extensionKey.MatchString(key) || key == "auth" || !extensionValue.MatchString(o.Extensions[key]) {
			add("extension %q: a name has letters only and is not auth, and a value is printable ASCII (RFC 7628)", key)
		}
	}
	return errors.Join(errs...)
}

// validateClient reports the problems of the settings of ProviderClient.
func (o *OAuth) validateClient(add func(format string, args ...any)) {
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		add("token url: not a URL: write the token endpoint, such as https://login.example.com/oauth2/token")
	} else if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		add("token url: http sends the secret in clear text: use https")
	}
	if o.ClientID == "" {
		add("no client id")
	}
	if (o.ClientSecret == "") == (o.AssertionFile == "") {
		add("give either a client secret or an assertion file")
	}
}

// The syntax of extensions in RFC 7628, section 3.1, without the line breaks that it allows in values.
var (
	extensionKey   = regexp.MustCompile(`^[A-Za-z]+$`)
	extensionValue = regexp.MustCompile(`^[\x20-\x7e\t]*$`)
)

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (o *OAuth) provider() string {
	if o.Provider == "" {
		return ProviderClient
	}
	return o.Provider
}

// token is a bearer token. Its text is a credential.
type token struct {
	text    string
	expires time.Time
}

// String hides the token from logs and errors.
func (token) String() string { return "[token]" }

// LogValue hides the token from structured logs.
func (token) LogValue() slog.Value { return slog.StringValue("[token]") }

const (
	// tokenTimeout bounds the request for a token; it is less than the time that a connection has for its handshake.
	tokenTimeout = 8 * time.Second
	// tokenMargin is how long before its expiry a token is replaced, so that a broker with another clock still takes
	// it. A token with a short life is replaced after four fifths of it.
	tokenMargin = time.Minute
	// tokenLife is the life of a token whose provider does not name one.
	tokenLife = 5 * time.Minute
	// tokenPause is the least time between two failed requests for a token. All connections share it.
	tokenPause = time.Second
)

// tokens caches the token of a source. It is safe for concurrent use.
type tokens struct {
	fetch func(ctx context.Context) (token, error)
	now   func() time.Time // time.Now except in tests

	mu      sync.Mutex
	current token
	refresh time.Time // when current is replaced
	err     error     // of the last request, if it failed
	retry   time.Time // when a request is tried again after err
}

// get returns a token that is valid. While its provider fails, a token is used to its end.
func (t *tokens) get(ctx context.Context) (token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Before(t.refresh) {
		return t.current, nil
	}
	if t.err == nil || !now.Before(t.retry) {
		ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
		defer cancel()
		var fresh token
		if fresh, t.err = t.fetch(ctx); t.err == nil {
			t.keep(fresh, now)
			return t.current, nil
		}
		t.retry = now.Add(tokenPause)
	}
	if now.Before(t.current.expires) {
		return t.current, nil
	}
	return token{}, fmt.Errorf("get token for the brokers: %w", t.err)
}

func (t *tokens) keep(fresh token, now time.Time) {
	if fresh.expires.IsZero() {
		fresh.expires = now.Add(tokenLife)
	}
	life := fresh.expires.Sub(now)
	t.current, t.refresh = fresh, fresh.expires.Add(-min(tokenMargin, life/5))
}

// oauthBearer is the SASL mechanism of RFC 7628. It is safe for concurrent use.
type oauthBearer struct {
	tokens     *tokens
	extensions string // in the form of the initial response
}

// newOAuthBearer returns the mechanism for valid settings.
func newOAuthBearer(o *OAuth) (sasl.Mechanism, error) {
	fetch, err := o.fetcher()
	if err != nil {
		return nil, err
	}
	m := &oauthBearer{tokens: &tokens{fetch: fetch, now: time.Now}}
	for _, key := range slices.Sorted(maps.Keys(o.Extensions)) {
		m.extensions += key + "=" + o.Extensions[key] + separator
	}
	return m, nil
}

// separator ends each pair of keys and values of the initial response.
const separator = "\x01"

// Name implements sasl.Mechanism.
func (m *oauthBearer) Name() string { return mechanismOAuth }

// Start implements sasl.Mechanism. Each new connection calls it.
func (m *oauthBearer) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	t, err := m.tokens.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	if strings.Contains(t.text, separator) {
		return nil, nil, errors.New("get token for the brokers: the token holds a control character: check the token endpoint")
	}
	return bearerAnswer{}, []byte("n,," + separator + "auth=Bearer " + t.text + separator + m.extensions + separator), nil
}

// bearerAnswer reads the broker's answer to a token. It has no state.
type bearerAnswer struct{}

// Next implements sasl.StateMachine. A broker that refuses a token sends JSON with a status, and no token.
func (bearerAnswer) Next(_ context.Context, challenge []byte) (done bool, response []byte, err error) {
	if len(challenge) == 0 {
		return true, nil, nil
	}
	return false, nil, fmt.Errorf("the broker refuses the token: %s: check the audience, the scope and the issuer that it expects",
		printable(string(challenge)))
}

// maxServerText is the length up to which a text of a broker or token endpoint is quoted, in bytes: an error code and a
// sentence.
const maxServerText = 300

// printable returns a text of a server for an error, on one line and without control characters.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxServerText {
		text = text[:wholeRunes(text[:maxServerText])] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}
