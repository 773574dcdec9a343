package pipeline

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/console"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
)

// newConsole returns the web console, or nil if no address is configured.
func (p *Pipeline) newConsole() (*console.Console, error) {
	cfg := &p.cfg.Console
	if cfg.Listen == "" {
		return nil, nil
	}
	opts := console.Options{
		Config:  console.Config{Listen: cfg.Listen, Hosts: cfg.Hosts, Session: cfg.Session, Idle: cfg.Idle},
		Control: p.controlAPI, Authenticate: p.authenticate, Audit: p.auditConsole, Log: p.log, Version: p.opts.Version,
	}
	if t := cfg.TLS; t != nil {
		var err error
		if opts.TLS, err = api.LoadTLS(api.CertificateFiles{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA, Section: "console.tls", Optional: true}, p.log); err != nil {
			return nil, fmt.Errorf("%sconsole.tls: %w", t.At, err)
		}
	}
	if x := cfg.Proxy; x != nil {
		opts.Proxy = &console.Proxy{Header: x.Header, Name: x.Name, Scopes: x.Scopes, Tenant: x.Tenant}
	}
	c, err := console.New(opts)
	if err != nil {
		return nil, fmt.Errorf("%sconsole: %w", cfg.At, err)
	}
	return c, nil
}

// listenConsole opens the listener of the console. stop closes it.
func (p *Pipeline) listenConsole() (stop func(), err error) {
	if p.console == nil {
		return func() {}, nil
	}
	l, err := p.console.Listen()
	if err != nil {
		return nil, err
	}
	server := p.console.Server(p.registry.Refused("console"))
	p.log.Info("serving the console: aidr console link prints a link to it", "address", p.console.Address())
	go server.Serve(l, "console")
	p.mu.Lock()
	p.consoleOpen = true
	p.mu.Unlock()
	return func() {
		p.console.Close()
		server.Close()
	}, nil
}

// authenticate returns the caller of a token of the control API.
func (p *Pipeline) authenticate(token string) (c console.Caller, ok bool) {
	tokens := p.tokens()
	if tokens == nil {
		return c, false
	}
	who, valid, ok := tokens.Authenticate(token)
	if !ok {
		return c, false
	}
	return console.Caller{Caller: who, Ended: valid.Done()}, true
}

// auditConsole adds an entry of the console to the audit of the open state directory.
func (p *Pipeline) auditConsole(a store.AuditEntry) {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o != nil {
		p.addAudit(o.store, []store.AuditEntry{a})
	}
}

// controlAPI returns the control API of the open state directory, or nil.
func (p *Pipeline) controlAPI() http.Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened == nil {
		return nil
	}
	return p.opened.api
}

// ConsoleLink returns a link that opens the console once, as a caller.
func (p *Pipeline) ConsoleLink(who access.Caller) (api.ConsoleLink, error) {
	p.mu.Lock()
	open := p.consoleOpen
	p.mu.Unlock()
	if !open {
		return api.ConsoleLink{}, api.ErrNoConsole
	}
	return p.console.Link(who)
}

// ruleViews returns the rules that run now, sorted by id.
func (p *Pipeline) ruleViews() []api.RuleView {
	p.mu.Lock()
	all := p.activities
	p.mu.Unlock()
	out := make([]api.RuleView, len(all))
	for i := range all {
		out[i] = ruleView(&all[i])
	}
	return out
}

func ruleView(a *rules.RuleActivity) api.RuleView {
	r := a.Rule
	v := api.RuleView{
		ID: r.ID, Version: r.Version, Title: r.Title, Description: r.Description, Kind: string(r.Kind), Severity: r.Severity, Confidence: r.Confidence,
		Stage: string(r.Stage), Datasets: r.DatasetsAsWritten, Tags: r.Tags, References: r.References, FalsePositives: r.FalsePositives,
		Why: r.Why, Triage: r.Triage, Expected: r.Expected, File: r.File, Line: r.Line, Activity: string(a.Activity), Reason: a.Reason,
		Remedy: a.Remedy, Needs: slices.Clone(a.Datasets),
	}
	if r.Over != nil {
		for _, x := range r.Over.Feeding {
			v.Over = append(v.Over, x.ID)
		}
	}
	return v
}
