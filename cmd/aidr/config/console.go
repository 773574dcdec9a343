package config

import (
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/rules/doc"
)

// Console configures the web console. Without an address it is off.
type Console struct {
	At Place
	// Address host:port of the console, such as 127.0.0.1:8472. Addresses beyond this machine need tls.
	Listen string `key:"listen"`
	// Names, without ports, under which browsers reach the console, in addition to its address.
	Hosts []string `key:"hosts"`
	// TLS of the listener. With client_ca, a client certificate is asked for, and required of the proxy only.
	TLS *ServerTLS `key:"tls"`
	// How long a session lasts at most.
	Session time.Duration `key:"session"`
	// How long a session lasts without a request.
	Idle time.Duration `key:"idle"`
	// Folder into which the console writes drafts of rules, each named after its id. Without it, people copy a patch.
	Drafts string `key:"drafts"`
	// Proxy that authenticates people and sends their names.
	Proxy *ConsoleProxy `key:"proxy"`
}

// ConsoleProxy configures the proxy in front of the console. A request with its header that does not come with its certificate is
// refused.
type ConsoleProxy struct {
	// Header with the name of the user.
	Header string `key:"header,required"`
	// Common name of the proxy's client certificate.
	Name string `key:"name,required"`
	// What its users may do: scopes, or the roles viewer, analyst, responder and admin.
	Scopes []access.Scope `key:"scopes,required" type:"list of texts"`
	// The only tenant that its users see; all tenants if it is left out.
	Tenant string `key:"tenant"`
}

// console reads the section.
func (r *reader) console(n *doc.Node) (c Console) {
	f := n.Fields()
	c = Console{
		At: placeOf(r.origin, n), Listen: r.address(f.Get("listen")), Hosts: r.texts(f.Get("hosts")),
		Drafts: absolute(r.text(f.Get("drafts"))), Session: duration(f.Get("session"), 0, time.Minute, 7*day), Idle: duration(f.Get("idle"), 0, time.Minute, 7*day),
	}
	if t := f.Get("tls"); t != nil {
		c.TLS = r.serverTLS(t)
	}
	if p := f.Get("proxy"); p != nil {
		pf := p.Fields()
		c.Proxy = &ConsoleProxy{Header: r.filled(pf, "header"), Name: r.filled(pf, "name"), Tenant: r.text(pf.Get("tenant"))}
		scopes := pf.Need("scopes")
		if names := r.texts(scopes); scopes != nil {
			var err error
			if c.Proxy.Scopes, err = access.ParseScopes(names); err != nil {
				scopes.Fail("%v", err)
			}
		}
		pf.Done()
		if c.TLS == nil || c.TLS.ClientCA == "" {
			p.Fail("needs console.tls with client_ca: only a certificate proves that a request comes from the proxy")
		}
	}
	if c.TLS == nil && !loopback(c.Listen) {
		f.Get("listen").Fail("%q is reachable from other machines: set console.tls, or listen on 127.0.0.1", doc.Short(c.Listen))
	}
	f.Done()
	return c
}
