package pipeline

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
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
	guard := &access.Guard{Tokens: p.tokens, Hosts: c.Hosts, Origins: c.Origins}
	for _, x := range c.Clients {
		guard.Clients = append(guard.Clients, access.Client{Name: x.Name, Scopes: x.Scopes, Tenant: x.Tenant})
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("open the listener of the control API (control.listen): %w", err)
	}
	s := api.NewServer(guard.Wrap(http.HandlerFunc(p.serveControl)), opts)
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
		p.registry.ControlRefused("closed")
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"error":"no state directory is open in this process: it is starting, stopping or a standby"}`+"\n")
		return
	}
	o.api.ServeHTTP(w, r)
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
