package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10 // of an answer
)

// errDenied is the cause of an attempt that was not made.
var errDenied = errors.New("this address is not public: add its network to allow_networks if the endpoint is meant to be there")

// deniedNetworks are those that no endpoint of somebody else's can be in: what is reachable there is reachable because
// AIDR stands where it stands. Loopback, private, link-local (metadata of most clouds) and multicast are told by netip
// itself.
func deniedNetworks() []netip.Prefix {
	list := []string{
		"0.0.0.0/8",        // this network
		"100.64.0.0/10",    // carrier-grade NAT; metadata of some clouds
		"168.63.129.16/32", // Azure's agent and metadata: a public address that is not
		"192.0.0.0/24",     // protocol assignments; metadata of some clouds
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"240.0.0.0/4",      // reserved, broadcast
		"::/96",            // IPv4-compatible, unspecified
		"64:ff9b::/96",     // NAT64: any IPv4 address behind it
		"64:ff9b:1::/48",   // NAT64 of one's own
		"100::/64",         // discard
		"2001::/23",        // protocol assignments, Teredo: any IPv4 address behind it
		"2001:db8::/32",    // documentation
		"2002::/16",        // 6to4: any IPv4 address behind it
		"3fff::/20",        // documentation
		"5f00::/16",        // segment routing
		"fec0::/10",        // site-local, given up
		"::ffff:0:0:0/96",  // IPv4-translated
	}
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// guard decides which addresses may be dialled. It is immutable.
type guard struct {
	allow, deny []netip.Prefix
}

func newGuard(allow []netip.Prefix) *guard {
	g := &guard{deny: deniedNetworks()}
	for _, p := range allow {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 { // addresses are compared as IPv4
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		g.allow = append(g.allow, p.Masked())
	}
	return g
}

// check returns errDenied for an address that is neither public nor allowed.
func (g *guard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(a) {
			return nil
		}
	}
	denied := !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast()
	for _, p := range g.deny {
		denied = denied || p.Contains(a)
	}
	if denied {
		return fmt.Errorf("dial %s: %w", a, errDenied)
	}
	return nil
}

// control is called with the address that was resolved, before a connection to it is opened: a name that was harmless a
// moment ago is looked at as it is now.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, errDenied)
	}
	return g.check(a.Addr())
}

// newClient returns a client that takes nothing from the environment (no proxy: it would see the address instead of
// us), follows no redirect, and unpacks nothing.
func newClient(c Config) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, ControlContext: newGuard(c.AllowNetworks).control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    tlsTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxConnsPerHost:        c.Concurrency,
			MaxIdleConnsPerHost:    c.Concurrency,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
