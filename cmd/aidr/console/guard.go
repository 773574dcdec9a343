package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/schema"
)

// policy is the Content-Security-Policy of every response.
const policy = "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const (
	// pageTime bounds a request for a page: its queries and sending it.
	pageTime = 30 * time.Second
	// maxForm is the largest body of an action, in bytes. The largest field is a rule.
	maxForm = 128 << 10
)

// setHeaders sets the headers of every response. Assets may be cached, because their names carry their versions.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
}

// secured returns a handler that refuses requests for other hosts, and changes that pages of other origins send.
func (c *Console) secured(h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if !c.isHost(r.Host) {
			http.Error(w, fmt.Sprintf("The host %q is not one of this console: add it to console.hosts.", schema.Truncate(r.Host, 100)), http.StatusMisdirectedRequest)
			return
		}
		if err := cross.Check(r); err != nil {
			c.opts.Log.Warn("console: a change from a page of another origin was refused", "origin", schema.Truncate(r.Header.Get("Origin"), 100))
			http.Error(w, "A page of another origin sent this request.", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		h.ServeHTTP(w, r)
	})
}

// cookieName returns the name of the session's cookie. Browsers send cookies of one host to all its ports, so that several
// consoles of one machine need several names.
func (c *Console) cookieName() string {
	if c.opts.TLS != nil {
		return "__Host-aidr"
	}
	return "aidr-" + c.address[strings.LastIndexByte(c.address, ':')+1:]
}

func (c *Console) setCookie(w http.ResponseWriter, secret string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: c.cookieName(), Value: secret, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.opts.TLS != nil,
	})
}

// errProxy is returned for a request with the header of the proxy that does not come from the proxy.
var errProxy = errors.New("the request has the user header of the proxy, and its connection lacks the proxy's certificate")

// sessionOf returns the session of a request, nil if it has none.
func (c *Console) sessionOf(r *http.Request) (*session, error) {
	if p := c.opts.Proxy; p != nil && len(r.Header.Values(p.Header)) > 0 {
		return c.proxied(r, p)
	}
	cookie, err := r.Cookie(c.cookieName())
	if err != nil {
		return nil, nil
	}
	return c.sessions.find(cookie.Value), nil
}

// proxied returns the session of a request that a proxy authenticated. It lasts as long as the request.
func (c *Console) proxied(r *http.Request, p *Proxy) (*session, error) {
	users := r.Header.Values(p.Header)
	proven := false
	if r.TLS != nil {
		for _, chain := range r.TLS.VerifiedChains {
			proven = proven || chain[0].Subject.CommonName == p.Name
		}
	}
	if !proven || len(users) != 1 || strings.TrimSpace(users[0]) == "" || schema.CheckTargetText("user", users[0]) != nil {
		return nil, errProxy
	}
	who := Caller{Caller: access.Caller{Name: "proxy:" + schema.Truncate(users[0], 200), Scopes: p.Scopes, Tenant: p.Tenant}}
	now := c.opts.Now()
	return &session{who: who, expires: now.Add(pageTime), ctx: r.Context(), end: func() {}, used: now}, nil
}

// guarded returns the handler of a route. It refuses callers without the scope of the route.
func (c *Console) guarded(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !rt.stream {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pageTime)) // an error means that the writer has no deadlines
		}
		q := &request{console: c, w: w, r: r, route: rt}
		var err error
		if q.session, err = c.sessionOf(r); err != nil {
			q.refused(err.Error())
			q.fail(http.StatusForbidden, err)
			return
		}
		if rt.public {
			q.finish(rt.serve(q))
			return
		}
		switch {
		case q.session == nil:
			q.login()
			return
		case !q.session.who.may(rt.scope):
			err := fmt.Errorf("%s lacks the scope %s", q.session.who.Name, rt.scope)
			q.refused(err.Error())
			q.fail(http.StatusForbidden, err)
			return
		}
		q.finish(rt.serve(q))
	}
}
