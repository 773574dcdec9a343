package config

import (
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors/decision"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// Decisions configures the listeners on which gateways ask whether a call may pass. Without an address nothing listens.
type Decisions struct {
	At Place
	// Address host:port of the HTTP interfaces, such as 127.0.0.1:8473.
	Listen string `key:"listen"`
	// Address host:port of Envoy's gRPC ext_authz.
	GRPC string `key:"grpc"`
	// TLS of the listeners. With client_ca, a client certificate with the name of a point authenticates it.
	TLS *ServerTLS `key:"tls"`
	// Name under which gateways of this machine ask without a token. Only for addresses of loopback.
	Open string `key:"open"`
	// The gateways that may ask.
	Points []Point `key:"points"`
	// Day on which this installation starts for the first time, such as 2026-12-01. A new state directory that is opened within a day
	// of it (UTC) lacks no containment. Later a new directory is a lost one: its answers are `unknown` until
	// `aidr contain --confirm-complete`. `aidr config init` writes the day.
	FirstStart time.Time `key:"first_start"`
}

// StartsFirst reports whether a new state directory at this time is that of the first start.
func (d *Decisions) StartsFirst(now time.Time) bool {
	return !d.FirstStart.IsZero() && !now.Before(d.FirstStart.Add(-day)) && now.Before(d.FirstStart.Add(2*day))
}

// Asked reports whether gateways can ask this process.
func (d *Decisions) Asked() bool { return d.Listen != "" || d.GRPC != "" }

// Point configures one gateway.
type Point struct {
	At Place
	// Name of the gateway, in receipts and metrics.
	Name string `key:"name,required"`
	// Token that the gateway sends as `Authorization: Bearer` or `X-API-Key`.
	Token string `key:"token" secret:"all"`
	// Tenant of all calls of the gateway.
	Tenant string `key:"tenant"`
	// Attested origin of the agent's uid: `header:NAME` that the gateway sets itself, `claim:NAME` of a token that Envoy has
	// verified, or `peer`, the identity in the caller's certificate. A header that an agent can set is not attested.
	Agent string `key:"agent"`
	// Header with the agent's credential; it is hashed at once.
	Credential string `key:"credential"`
	// Header with the session.
	Session string `key:"session"`
	// Header with the tool. Envoy may also pass on the body, from which tools of MCP are read.
	Tool string `key:"tool"`
	// Header with the MCP server.
	Server string `key:"mcp_server"`
	// Answer if the table may lack containments: `allow` or `deny`.
	Unknown schema.Verdict `key:"unknown" type:"text"`
}

// Upstream configures the process that `aidr decide` follows.
type Upstream struct {
	URL   string
	Token string
	TLS   *TLS
}

// Decide is the configuration of `aidr decide`: a file with the keys from, decisions, cache and log.
type Decide struct {
	From      Upstream
	Decisions Decisions
	Cache     string // file that keeps the latest snapshot over restarts
	Log       Log
}

// decisions reads the section.
func (r *reader) decisions(n *doc.Node) (d Decisions) {
	f := n.Fields()
	d.At = placeOf(r.origin, n)
	d.Listen, d.GRPC = r.address(f.Get("listen")), r.address(f.Get("grpc"))
	d.Open = r.text(f.Get("open"))
	if t := f.Get("tls"); t != nil {
		d.TLS = r.serverTLS(t)
	}
	if n := f.Get("first_start"); n != nil {
		d.FirstStart = n.Date()
	}
	for _, item := range f.Get("points").Items() {
		d.Points = append(d.Points, r.point(item))
	}
	r.checkDecisions(n, f, &d)
	f.Done()
	return d
}

func (r *reader) point(n *doc.Node) Point {
	f := n.Fields()
	f.Need("name")
	p := Point{
		At: placeOf(r.origin, n), Name: r.text(f.Get("name")), Token: r.text(f.Get("token")), Tenant: r.text(f.Get("tenant")),
		Agent: r.text(f.Get("agent")), Credential: r.text(f.Get("credential")), Session: r.text(f.Get("session")),
		Tool: r.text(f.Get("tool")), Server: r.text(f.Get("mcp_server")),
	}
	if u := f.Get("unknown"); u != nil {
		p.Unknown = schema.Verdict(u.Enum(string(schema.VerdictAllow), string(schema.VerdictDeny)))
	}
	f.Done()
	return p
}

// address reads host:port.
func (r *reader) address(n *doc.Node) string {
	text := r.text(n)
	if text == "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(text); err != nil {
		n.Fail("%q is not host:port, such as 127.0.0.1:8473", doc.Short(text))
	}
	return text
}

// checkDecisions reports what the listener would refuse, and addresses that anybody can reach without a secret.
func (r *reader) checkDecisions(n *doc.Node, f *doc.Fields, d *Decisions) {
	if n == nil || d.Listen == "" && d.GRPC == "" {
		return
	}
	if _, err := decision.New(decision.Options{Points: d.DecisionPoints(), Open: d.Open}); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			n.Fail("%s", line)
		}
	}
	outside := !loopback(d.Listen) || !loopback(d.GRPC)
	switch {
	case outside && d.Open != "":
		f.Get("open").Fail("is for addresses of loopback only: give each gateway a token, or listen on 127.0.0.1")
	case outside && d.TLS == nil:
		n.Warn("listens beyond this machine without TLS: tokens of gateways and ids of agents can be read on the way")
	case len(d.Points) == 0 && d.Open == "":
		n.Fail("names no gateway that may ask: list points, or set open for gateways of this machine")
	}
	for i := range d.Points {
		if p := &d.Points[i]; p.Token == "" && (d.TLS == nil || d.TLS.ClientCA == "") && p.Name != d.Open {
			n.Fail("the point %s cannot authenticate: give it a token, or a certificate of tls.client_ca", p.Name)
		}
	}
}

// loopback reports whether an address is of this machine only, or empty, or malformed, which is another problem.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return address == "" || err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// DecisionPoints returns the points as the connector knows them.
func (d *Decisions) DecisionPoints() (out []decision.Point) {
	for _, p := range d.Points {
		out = append(out, decision.Point{
			Name: p.Name, Token: p.Token, Tenant: p.Tenant, Agent: p.Agent, Credential: p.Credential, Session: p.Session, Tool: p.Tool,
			Server: p.Server, Unknown: p.Unknown,
		})
	}
	return out
}

// decide reads the configuration of `aidr decide`.
func (r *reader) decide(root *doc.Node) *Decide {
	f := root.Fields()
	c := &Decide{Cache: r.text(f.Get("cache")), Log: r.log(section(f, "log"))}
	up := f.Need("from").Fields()
	c.From = Upstream{URL: r.filled(up, "url"), Token: r.text(up.Get("token"))}
	if u, err := url.Parse(c.From.URL); c.From.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		up.Get("url").Fail("is not an http or https URL")
	}
	if t := up.Get("tls"); t != nil {
		c.From.TLS = r.tls(t)
	}
	up.Done()
	d := f.Need("decisions")
	c.Decisions = r.decisions(d)
	if !c.Decisions.FirstStart.IsZero() {
		d.Fields().Get("first_start").Fail("is for aidr run: aidr decide has no state directory")
	}
	if d != nil && c.Decisions.Listen == "" && c.Decisions.GRPC == "" {
		d.Fail("has neither listen nor grpc: set the address on which the gateway asks")
	}
	f.Done()
	return c
}
