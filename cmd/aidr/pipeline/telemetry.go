package pipeline

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/telemetry"
)

// startTelemetry begins the export of metrics and traces, if it is configured.
func (p *Pipeline) startTelemetry() error {
	t := p.cfg.Telemetry
	if t.Endpoint == "" {
		return nil
	}
	o := telemetry.Options{
		Endpoint: t.Endpoint, Headers: t.Headers, Every: t.Every, Traces: t.Traces, Version: p.opts.Version, Log: p.log,
		Gatherer: prometheus.GathererFunc(p.gather),
	}
	var err error
	if t.TLS != nil {
		if o.TLS, err = collectorTLS(t.TLS); err != nil {
			return fmt.Errorf("%stelemetry.tls: %w", t.At, err)
		}
	}
	if p.telemetry, err = telemetry.New(o); err != nil {
		return fmt.Errorf("%stelemetry: %w", t.At, err)
	}
	p.trace = p.telemetry.Trace
	return nil
}

// collectorTLS returns the TLS settings for a collector.
func collectorTLS(t *config.TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca: no certificate is in the file")
		}
	}
	if t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}
