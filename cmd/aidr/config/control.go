package config

import (
	"net"
	"net/url"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// Control configures the listener of the control API for callers on the network. Without an address, the API is on the unix
// socket in the state directory only.
type Control struct {
	At Place
	// Address host:port, such as 127.0.0.1:8474. Beyond loopback it needs TLS.
	Listen string `key:"listen"`
	// TLS of the listener. With client_ca, a client certificate with the name of a client authenticates it.
	TLS *ServerTLS `key:"tls"`
	// Names, without ports, under which callers reach the listener. Addresses and localhost need not be named.
	Hosts []string `key:"hosts"`
	// Origins of other pages that may call the listener from a browser, such as https://console.example.com.
	Origins []string `key:"origins"`
	// Client certificates that may call. Other callers need a token of `aidr token create`.
	Clients []ControlClient `key:"clients"`
	// Buttons of messages in Slack that call back, at /callback/slack of the listener.
	Slack *ControlSlack `key:"slack"`
	// Incidents of PagerDuty that call back, at /callback/pagerduty of the listener.
	PagerDuty *ControlPagerDuty `key:"pagerduty"`
}

// ControlSlack configures the call-backs of a Slack app. The messages of endpoints with the format slack get buttons.
type ControlSlack struct {
	// Signing secret of the app.
	Secret string `key:"secret,required" secret:"all"`
	// Ids of the users (U...) that may approve proposed containments. Everybody in the channel may triage.
	Approvers []string `key:"approvers"`
}

// ControlPagerDuty configures the webhook subscription (v3) of PagerDuty.
type ControlPagerDuty struct {
	// Secret of the subscription.
	Secret string `key:"secret,required" secret:"all"`
	// Verdict of a finding whose incident is resolved: `true_positive`, `false_positive`, `benign` or `test`. Without it the
	// resolution is a note, and the finding waits for a verdict.
	Resolved schema.TriageVerdict `key:"resolved" type:"text"`
}

// ControlClient configures one client certificate.
type ControlClient struct {
	// Common name of the subject of the certificate.
	Name string `key:"name,required"`
	// What it may do: `read`, `triage`, `contain`, `approve`, `rules`, `admin`, or the roles `viewer` (read), `analyst` (read,
	// triage), `responder` (these, contain, approve); `admin` is all.
	Scopes []access.Scope `key:"scopes,required" type:"list of texts"`
	// The only tenant that it sees and changes.
	Tenant string `key:"tenant"`
}

// control reads the section.
func (r *reader) control(n *doc.Node) (c Control) {
	f := n.Fields()
	c.At = placeOf(r.origin, n)
	c.Listen = r.address(f.Get("listen"))
	if t := f.Get("tls"); t != nil {
		c.TLS = r.serverTLS(t)
	}
	for _, item := range f.Get("hosts").Items() {
		host := r.text(item)
		if _, _, err := net.SplitHostPort(host); err == nil || strings.Contains(host, "/") {
			item.Fail("%q is not a name without a port, such as aidr.example.com", doc.Short(host))
		}
		c.Hosts = append(c.Hosts, host)
	}
	for _, item := range f.Get("origins").Items() {
		origin := r.text(item)
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			item.Fail("%q is not an origin, such as https://console.example.com", doc.Short(origin))
		}
		c.Origins = append(c.Origins, origin)
	}
	for _, item := range f.Get("clients").Items() {
		c.Clients = append(c.Clients, r.controlClient(item))
	}
	c.Slack, c.PagerDuty = r.controlSlack(f.Get("slack")), r.controlPagerDuty(f.Get("pagerduty"))
	switch {
	case c.Listen == "" && (c.Slack != nil || c.PagerDuty != nil):
		n.Fail("has call-backs and no listener: set control.listen")
	case c.Listen != "" && c.TLS == nil && !loopback(c.Listen):
		f.Get("listen").Fail("is reached beyond this machine, and tokens would pass in the clear: set control.tls, or listen on 127.0.0.1")
	case len(c.Clients) > 0 && (c.TLS == nil || c.TLS.ClientCA == ""):
		f.Get("clients").Fail("needs control.tls with client_ca, which checks the certificates")
	}
	f.Done()
	return c
}

func (r *reader) controlSlack(n *doc.Node) *ControlSlack {
	if n == nil {
		return nil
	}
	f := n.Fields()
	c := &ControlSlack{Secret: r.filled(f, "secret"), Approvers: r.texts(f.Get("approvers"))}
	f.Done()
	return c
}

func (r *reader) controlPagerDuty(n *doc.Node) *ControlPagerDuty {
	if n == nil {
		return nil
	}
	f := n.Fields()
	c := &ControlPagerDuty{Secret: r.filled(f, "secret")}
	if v := f.Get("resolved"); v != nil {
		var names []string
		for _, x := range schema.TriageVerdicts() {
			names = append(names, string(x))
		}
		c.Resolved = schema.TriageVerdict(v.Enum(names...))
	}
	f.Done()
	return c
}

func (r *reader) controlClient(n *doc.Node) (c ControlClient) {
	f := n.Fields()
	c.Name, c.Tenant = r.filled(f, "name"), r.text(f.Get("tenant"))
	scopes := f.Need("scopes")
	if names := r.texts(scopes); scopes != nil {
		var err error
		if c.Scopes, err = access.ParseScopes(names); err != nil {
			scopes.Fail("%v", err)
		}
	}
	f.Done()
	return c
}
