package pipeline

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/decision"
	"github.com/aidr-engine/aidr/engine/contain"
)

// listenDecisions opens the listeners for gateways. While the state directory is not open, as in a standby, they answer that
// the table is not current. It returns nil if no address is configured.
func (p *Pipeline) listenDecisions() (*decision.Listener, error) {
	d := &p.cfg.Decisions
	if d.Listen == "" && d.GRPC == "" {
		return nil, nil
	}
	secure, err := DecisionTLS(d, p.log)
	if err != nil {
		return nil, err
	}
	s, err := decision.New(decision.Options{
		Table: p.decisionTable, Points: d.DecisionPoints(), Open: d.Open, Log: p.log, Registry: p.registry, Trace: p.trace,
	})
	if err != nil {
		return nil, fmt.Errorf("%sdecisions: %w", d.At, err)
	}
	l, err := s.Listen(decision.Addresses{HTTP: d.Listen, GRPC: d.GRPC, TLS: secure})
	if err != nil {
		return nil, err
	}
	p.log.Info("answering gateways", "http", d.Listen, "grpc", d.GRPC, "tls", secure != nil, "points", len(d.Points))
	return l, nil
}

// DecisionTLS returns the TLS settings of the listeners for gateways, or nil. A client certificate is not required, because a
// point may authenticate with a token.
func DecisionTLS(d *config.Decisions, log *slog.Logger) (*tls.Config, error) {
	if d.TLS == nil {
		return nil, nil
	}
	c, err := api.LoadTLS(api.CertificateFiles{
		Cert: d.TLS.Cert, Key: d.TLS.Key, ClientCA: d.TLS.ClientCA, Section: "decisions.tls", Optional: true, HTTP2: true,
	}, log)
	if err != nil {
		return nil, fmt.Errorf("%sdecisions.tls: %w", d.TLS.At, err)
	}
	return c, nil
}

// decisionTable returns the containment table, or nil while the state directory is not open. Gateways ask on each call, so it takes
// no lock.
func (p *Pipeline) decisionTable() decision.Table {
	if t := p.table.Load(); t != nil {
		return t
	}
	return nil
}

// DecisionTable returns the containment table that gateways ask, or nil while the state directory is not open.
func (p *Pipeline) DecisionTable() decision.Table { return p.decisionTable() }

// confirmFirst confirms that the table of a new state directory is complete if the configuration names this day as that of the
// first start. Otherwise it warns that answers are unknown, with the command that ends this.
func (p *Pipeline) confirmFirst(t *contain.Table) error {
	d := &p.cfg.Decisions
	if t.IsNew() && d.StartsFirst(now()) {
		_, err := t.Confirm(contain.Actor{Name: "configuration"}, "the first start, by decisions.first_start: "+d.FirstStart.Format(time.DateOnly))
		return err
	}
	if known, why := t.View().Known(); !known && d.Asked() {
		p.log.Warn("decisions of gateways are answered with unknown instead of allow", "reason", why,
			"remedy", fmt.Sprintf("aidr contain --confirm-complete --reason 'nothing was contained' --state %s", p.cfg.State.Dir))
	}
	return nil
}
