package console

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/store"
)

// Config is the configuration of a console.
type Config struct {
	Listen  string        // host:port
	Hosts   []string      // names that the Host header may have, in addition to those of loopback and to the host of Listen
	Session time.Duration // life of a session; 0: DefaultSession
	Idle    time.Duration // life of a session without requests; 0: DefaultIdle
	TLS     *tls.Config   // nil: plain HTTP, on loopback only
	Proxy   *Proxy        // nil: no proxy authenticates users
}

// Proxy is a proxy that authenticates people and sends their names.
type Proxy struct {
	Header string         // name of the header with the user
	Name   string         // common name of the subject of the proxy's client certificate
	Scopes []access.Scope // of its users
	Tenant string         // the only one that they see; "" means all
}

// The defaults of Config: a shift, and a break in it.
const (
	DefaultSession = 12 * time.Hour
	DefaultIdle    = 2 * time.Hour
)

// Options are the options of New.
type Options struct {
	Config
	// Control returns the control API of the open state directory, or nil while it is not open, as in a standby.
	Control func() http.Handler
	// Authenticate returns the caller of a token of the control API. If it is nil, only links open sessions.
	Authenticate func(token string) (Caller, bool)
	// Audit adds an entry to the audit: of a login, a logout, or a request that was refused. nil: there is no audit.
	Audit   func(store.AuditEntry)
	Log     *slog.Logger
	Version string
	Now     func() time.Time // nil: the wall clock
}

// Caller is who uses a session: the caller of the control API, and a channel that is closed when its right to use it ends.
type Caller struct {
	access.Caller
	Ended <-chan struct{} // nil: it ends with the session only
}

// may reports whether the caller has a scope.
func (c *Caller) may(scope access.Scope) bool { return scope == "" || c.May(scope) }

// Console serves the pages. All methods may be called concurrently.
type Console struct {
	opts     Options
	sessions *sessions
	hubs     *hubs
	tails    tails
	handler  http.Handler
	address  string // of the listener
	refusals refusals
}

// New returns a console. It fails if its address may not be served in plain HTTP.
func New(opts Options) (*Console, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Session == 0 {
		opts.Session = DefaultSession
	}
	if opts.Idle == 0 {
		opts.Idle = DefaultIdle
	}
	if opts.TLS == nil && !loopback(opts.Listen) {
		return nil, fmt.Errorf("console.listen %q is not an address of loopback: pages and sessions would be readable on the way: "+
			"set console.tls, or listen on 127.0.0.1 behind a proxy", opts.Listen)
	}
	if p := opts.Proxy; p != nil && (opts.TLS == nil || opts.TLS.ClientCAs == nil) {
		return nil, errors.New("console.proxy needs console.tls with client_ca: only its certificate proves that a request comes from it")
	}
	c := &Console{opts: opts, sessions: newSessions(opts.Session, opts.Idle, opts.Now), address: opts.Listen}
	c.tails.all = map[tailKey]*tail{}
	c.hubs = newHubs(c.versions)
	c.handler = c.secured(c.mux())
	return c, nil
}

// loopback reports whether an address is one of this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Listen opens the listener, which Serve then serves.
func (c *Console) Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", c.opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the listener of the console (console.listen): %w", err)
	}
	c.address = l.Addr().String()
	return l, nil
}

// Server returns the server of the console. refused is called for each connection over the limit.
func (c *Console) Server(refused func()) *api.Server {
	return api.NewServer(c, api.ServerOptions{Log: c.opts.Log, TLS: c.opts.TLS, Refused: refused})
}

// Close ends all sessions and streams.
func (c *Console) Close() {
	c.sessions.close()
	c.tails.close()
}

// Address returns the address of the listener as a browser writes it, such as http://127.0.0.1:8472.
func (c *Console) Address() string {
	scheme := "http"
	if c.opts.TLS != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(c.address)
	if err != nil {
		return scheme + "://" + c.address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
		if len(c.opts.Hosts) > 0 {
			host = c.opts.Hosts[0]
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Link returns a link that opens the console once, within LinkTime, as a caller.
func (c *Console) Link(who access.Caller) (api.ConsoleLink, error) {
	token, err := c.sessions.link(Caller{Caller: who})
	if err != nil {
		return api.ConsoleLink{}, err
	}
	return api.ConsoleLink{URL: c.Address() + "/open?link=" + token, Seconds: int(LinkTime.Seconds())}, nil
}

// isHost reports whether a Host header names this console. Names of loopback are always allowed on a listener of loopback.
func (c *Console) isHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	same := func(h string) bool { return strings.EqualFold(h, name) }
	own, _, _ := net.SplitHostPort(c.address)
	if ip, err := netip.ParseAddr(own); same(own) && err == nil && !ip.IsUnspecified() {
		return true
	}
	if ip, err := netip.ParseAddr(name); (same("localhost") || err == nil && ip.IsLoopback()) && loopback(c.address) {
		return true
	}
	return slices.ContainsFunc(c.opts.Hosts, same)
}
