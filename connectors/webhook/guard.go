package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	dialTimeout    = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10 // of an answer
)

// errDenied is the cause of an attempt to dial an address that is neither public nor allowed.
var errDenied = errors.New("the address is not public: if the endpoint is meant to be there, add its network to allow_networks")

// deniedNetworks returns the networks that cannot hold a third-party endpoint. An address in them is reachable only
// because of the place where AIDR runs, such as a cloud's metadata service. Loopback, private, link-local (metadata of
// most clouds) and multicast addresses are not listed: the methods of netip.Addr recognise them.
func deniedNetworks() []netip.Prefix {
	list := []string{
		"0.0.0.0/8",        // this network
		"100.64.0.0/10",    // carrier-grade NAT; metadata of some clouds
		"168.63.129.16/32", // Azure's agent and metadata service, although the address looks public
		"192.0.0.0/24",     // protocol assignments; metadata of some clouds
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"240.0.0.0/4",      // reserved, broadcast
		"::/96",            // IPv4-compatible, unspecified
		"64:ff9b::/96",     // NAT64: leads to any IPv4 address
		"64:ff9b:1::/48",   // NAT64 within one network
		"100::/64",         // discard
		"2001::/23",        // protocol assignments, Teredo: leads to any IPv4 address
		"2001:db8::/32",    // documentation
		"2002::/16",        // 6to4: leads to any IPv4 address
		"3fff::/20",        // documentation
		"5f00::/16",        // segment routing
		"fec0::/10",        // site-local, deprecated
		"::ffff:0:0:0/96",  // IPv4-translated
	}
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// guard decides which addresses may be dialled. It is immutable. Allowed networks take precedence over denied ones.
type guard struct {
	allow, deny []netip.Prefix
}

func newGuard(allow []netip.Prefix) *guard {
	g := &guard{deny: deniedNetworks()}
	for _, p := range allow {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 { // check compares such addresses as IPv4
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

// Refused returns the reason why no endpoint with this host is ever dialled, or nil if the host has to be resolved first or
// an address of it may be dialled. It resolves nothing: it judges literal addresses, in every notation that a resolver
// accepts, and names of this machine. allow is Config.AllowNetworks.
func Refused(host string, allow []netip.Prefix) error {
	g := newGuard(allow)
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case name == "localhost", strings.HasSuffix(name, ".localhost"), name == "localhost.localdomain",
		name == "ip6-localhost", name == "ip6-loopback":
		err := g.check(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		if err != nil && g.check(netip.IPv6Loopback()) == nil {
			return nil
		}
		return err
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return g.check(a)
	}
	if a, ok := numericAddr(name); ok {
		return g.check(a)
	}
	return nil
}

// numericAddr parses an IPv4 address of one to four decimal, octal (0...) or hexadecimal (0x...) numbers, of which the last
// fills all remaining bytes, as inet_aton does: 2130706433, 0x7f.1 and 127.0.0.1 are one address.
func numericAddr(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var sum uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 0, 32)
		limit, shift := uint64(1)<<8, 8*(3-i)
		if i == len(parts)-1 {
			limit, shift = uint64(1)<<(8*(4-i)), 0
		}
		if err != nil || n >= limit || strings.ContainsAny(p, "_bo") && !strings.HasPrefix(p, "0x") {
			return netip.Addr{}, false
		}
		sum |= n << shift
	}
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}), true
}

// control checks the address that a dialer is about to connect to. It runs after the name was resolved, so a name cannot
// pass the check with one address and be dialled with another (DNS rebinding).
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, errDenied)
	}
	return g.check(a.Addr())
}

// newClient returns a client that does not follow redirects, does not decompress answers, and uses no proxy from the
// environment: a proxy would resolve and dial the address, so the guard would not see it.
func newClient(c Config) (*http.Client, error) {
	settings := c.TLS
	if settings == nil {
		settings = &connectors.TLS{}
	}
	secure, err := settings.Config()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, ControlContext: newGuard(c.AllowNetworks).control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        secure,
			TLSHandshakeTimeout:    tlsTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxConnsPerHost:        c.Concurrency,
			MaxIdleConnsPerHost:    c.Concurrency,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
