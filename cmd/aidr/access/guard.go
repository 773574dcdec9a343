package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Client is a client certificate that may use the listener, by the common name of its subject.
type Client struct {
	Name   string
	Scopes []Scope
	Tenant string // "": all
}

// Guard authenticates the requests of a listener.
type Guard struct {
	// Tokens returns the tokens, or nil while the state directory is not open.
	Tokens func() *Tokens
	// Clients are the client certificates that may use the listener. The connection has verified them.
	Clients []Client
	// Hosts are names, without ports, that requests may have in their Host header, in addition to localhost and to addresses. A
	// page whose name an attacker points at this listener has another one.
	Hosts []string
	// Origins are the origins of pages that may use the listener, such as https://console.example.com, in addition to its own.
	Origins []string
	// Refused counts the requests that WrapPublic refuses, by reason. It may be nil.
	Refused func(reason string)
}

// Wrap returns a handler that adds to the context of each request its Caller, or why it is denied. The context is done once
// the token of the request is revoked or expires.
func (g *Guard) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		ctx := r.Context()
		if reason, err := g.sameSite(r); err != nil {
			h.ServeHTTP(w, r.WithContext(deny(ctx, reason, http.StatusForbidden, err)))
			return
		}
		caller, valid, err := g.caller(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="aidr"`)
			h.ServeHTTP(w, r.WithContext(deny(ctx, "unauthenticated", http.StatusUnauthorized, err)))
			return
		}
		if valid != nil {
			var cancel context.CancelFunc
			if caller.Expires != 0 {
				ctx, cancel = context.WithDeadline(ctx, time.Unix(0, int64(caller.Expires)))
			} else {
				ctx, cancel = context.WithCancel(ctx)
			}
			defer cancel()
			defer context.AfterFunc(valid, cancel)()
		}
		h.ServeHTTP(w, r.WithContext(With(ctx, caller)))
	})
}

// WrapPublic returns a handler that checks the Host of requests, and the Origin of those that change something, and
// authenticates none: for call-backs, which carry a signature of their own. A link may be opened from any page.
func (g *Guard) WrapPublic(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reason, err := g.sameSite(r)
		if r.Method == http.MethodGet && g.isHost(r.Host) {
			err = nil
		}
		if err != nil {
			if g.Refused != nil {
				g.Refused(reason)
			}
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// sameSite refuses a request that a browser sends for a page of another site, or to a name that is not of this listener.
func (g *Guard) sameSite(r *http.Request) (reason string, err error) {
	if !g.isHost(r.Host) {
		return "host", fmt.Errorf("the host %q is not one of this listener: add it to control.hosts", cut(r.Host))
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Header.Get("Origin") == "" {
		return "origin", errors.New("a page of another site sends this request")
	}
	for _, origin := range r.Header.Values("Origin") {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		if !slices.Contains(g.Origins, origin) && !sameOrigin(origin, scheme, r.Host) {
			return "origin", fmt.Errorf("the origin %q is not one of this listener: add it to control.origins", cut(origin))
		}
	}
	return "", nil
}

func sameOrigin(origin, scheme, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, host)
}

func cut(s string) string { return s[:min(len(s), 100)] }

// isHost reports whether a Host header names this listener: an address, localhost, or a configured name.
func (g *Guard) isHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return strings.EqualFold(name, "localhost") || slices.ContainsFunc(g.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// caller returns the caller of a request. valid is the context of its token, nil if it has none.
func (g *Guard) caller(r *http.Request) (c Caller, valid context.Context, err error) {
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		secret, isBearer := strings.CutPrefix(values[0], "Bearer ")
		tokens := g.Tokens()
		switch {
		case len(values) > 1 || !isBearer:
			return c, nil, errors.New("the header Authorization is not one `Bearer aidr_...`")
		case tokens == nil:
			return c, nil, errors.New("tokens cannot be checked: this process has no state directory open, as a standby")
		}
		if c, valid, ok := tokens.Authenticate(secret); ok {
			return c, valid, nil
		}
		return c, nil, errors.New("the token is not valid: it is unknown, expired or revoked")
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 { // they differ in authorities only
		name := r.TLS.VerifiedChains[0][0].Subject.CommonName
		at := slices.IndexFunc(g.Clients, func(x Client) bool { return x.Name == name })
		if at < 0 {
			return c, nil, fmt.Errorf("the certificate %q is not in control.clients", cut(name))
		}
		x := &g.Clients[at]
		return Caller{Name: "certificate:" + x.Name, Credential: name, Scopes: x.Scopes, Tenant: x.Tenant}, nil, nil
	}
	return c, nil, errors.New("the request is not authenticated: send Authorization: Bearer with a token of `aidr token create`")
}
