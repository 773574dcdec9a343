package pipeline

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/schema"
)

// listenControl opens the listener of the control API for callers on the network. While the state directory is not open, as
// in a standby, it answers 503. It returns nil if no address is configured.
func (p *Pipeline) listenControl() (*api.Server, error) {
	c := &p.cfg.Control
	if c.Listen == "" {
		return nil, nil
	}
	opts := api.ServerOptions{Log: p.log, Refused: p.registry.Refused("control")}
	if t := c.TLS; t != nil {
		var err error
		files := api.CertificateFiles{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA, Section: "control.tls", Optional: true}
		if opts.TLS, err = api.LoadTLS(files, p.log); err != nil {
			return nil, fmt.Errorf("%scontrol.tls: %w", t.At, err)
		}
	}
	guard := &access.Guard{Tokens: p.tokens, Hosts: c.Hosts, Origins: c.Origins, Refused: p.registry.ControlRefused}
	if u, err := url.Parse(p.cfg.Links.Callbacks); err == nil && u.Host != "" {
		guard.Hosts, guard.Origins = append(slices.Clip(guard.Hosts), u.Hostname()), append(slices.Clip(guard.Origins), u.Scheme+"://"+u.Host)
	}
	for _, x := range c.Clients {
		guard.Clients = append(guard.Clients, access.Client{Name: x.Name, Scopes: x.Scopes, Tenant: x.Tenant})
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the listener of the control API (control.listen): %w", err)
	}
	m := http.NewServeMux()
	m.Handle("/", guard.Wrap(http.HandlerFunc(p.serveControl)))
	m.Handle(api.CallbackPath, guard.WrapPublic(http.HandlerFunc(p.serveCallback)))
	s := api.NewServer(m, opts)
	p.log.Info("serving the control API", "address", l.Addr().String(), "tls", opts.TLS != nil)
	p.mu.Lock()
	p.controlAddress = l.Addr()
	p.mu.Unlock()
	go s.Serve(l, "control.listen")
	return s, nil
}

// serveControl serves a request with the control API of the open state directory.
func (p *Pipeline) serveControl(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o == nil {
		p.refuseClosed(w)
		return
	}
	o.api.ServeHTTP(w, r)
}

// refuseClosed answers a request while no state directory is open.
func (p *Pipeline) refuseClosed(w http.ResponseWriter) {
	p.registry.ControlRefused("closed")
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, `{"error":"no state directory is open in this process: it is starting, stopping or a standby"}`+"\n")
}

// serveCallback serves a call-back with the open state directory.
func (p *Pipeline) serveCallback(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o == nil {
		p.refuseClosed(w)
		return
	}
	o.callbacks.ServeHTTP(w, r)
}

// callbacks returns the handler of call-backs for an API.
func (p *Pipeline) callbacks(a *api.API) http.Handler {
	var c api.Callbacks
	if s := p.cfg.Control.Slack; s != nil {
		c.Slack, c.SlackApprovers = s.Secret, s.Approvers
	}
	if d := p.cfg.Control.PagerDuty; d != nil {
		c.PagerDuty, c.Resolved = []string{d.Secret}, d.Resolved
	}
	return a.Callbacks(c)
}

// webhookLinks returns the links of deliveries.
func (p *Pipeline) webhookLinks() webhookLinks {
	l := webhookLinks{base: p.cfg.Links.Base, interactive: p.cfg.Control.Slack != nil}
	if base := strings.TrimSuffix(p.cfg.Links.Callbacks, "/"); base != "" {
		l.callback = func(action webhook.CallbackAction, id schema.ID, until schema.Instant) string {
			return p.callbackURL(base, action, id, until)
		}
	}
	return l
}

// linkActions are the actions of signed addresses.
var linkActions = map[webhook.CallbackAction]access.LinkAction{
	webhook.CallbackAcknowledge: access.LinkAcknowledge, webhook.CallbackClose: access.LinkClose, webhook.CallbackApprove: access.LinkApprove,
}

// callbackURL returns a signed address. Sinks deliver while the state directory is open, which has the key.
func (p *Pipeline) callbackURL(base string, action webhook.CallbackAction, id schema.ID, until schema.Instant) string {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o == nil || o.links == nil {
		return ""
	}
	return base + api.CallbackPath + o.links.Sign(access.Link{Action: linkActions[action], ID: id, Expires: until})
}

// tokens returns the tokens of the open state directory, or nil.
func (p *Pipeline) tokens() *access.Tokens {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o == nil {
		return nil
	}
	tokens, err := o.api.Tokens()
	if err != nil {
		p.log.Error("tokens cannot be read, and callers of control.listen are refused", "error", err)
		return nil
	}
	return tokens
}

// ControlAddress returns the address of control.listen, nil before Run has opened it.
func (p *Pipeline) ControlAddress() net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.controlAddress
}
