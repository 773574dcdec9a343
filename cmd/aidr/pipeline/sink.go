package pipeline

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/webhook"
)

// buildSinks makes the sinks of the configuration. Its error holds every problem; the sinks that could be made are
// returned even then, and must be closed. observe is called for each request to a webhook endpoint; it may be nil.
func buildSinks(cfg *config.Config, observe webhookObserver) (sinks []connectors.Sink, err error) {
	var errs []error
	if c := cfg.Sinks.ClickHouse; c != nil {
		s, err := clickhouse.New(ClickHouseConfig(c))
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.clickhouse: %w", c.At, err))
		} else {
			sinks = append(sinks, s)
		}
	}
	for _, w := range cfg.Sinks.Webhooks {
		s, err := buildWebhook(w, observe)
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.webhooks %q: %w", w.At, w.Name, err))
			continue
		}
		sinks = append(sinks, s)
	}
	return sinks, errors.Join(errs...)
}

// ClickHouseConfig converts the `sinks.clickhouse` section of a configuration into the configuration of the sink.
func ClickHouseConfig(c *config.ClickHouse) clickhouse.Config {
	return clickhouse.Config{DSN: c.DSN, Cluster: c.Cluster, Migrate: c.Migrate, Rows: c.Rows, Linger: c.Linger, TTL: c.TTL}
}

// webhookObserver is called with the status and the duration of each request to an endpoint.
type webhookObserver func(endpoint, status string, took time.Duration)

func buildWebhook(w config.Webhook, observe webhookObserver) (connectors.Sink, error) {
	c := webhook.Config{
		Name: w.Name, URL: w.URL, Secrets: w.Secrets, Headers: w.Headers, Timeout: w.Timeout, Retries: w.Retries,
		Concurrency: w.Concurrency, Rate: w.Rate,
	}
	if filter := w.Filter; filter != nil {
		c.Filter = func(e connectors.Entry) (bool, error) { return filter(string(e.Type), e.Finding) }
	}
	if observe != nil {
		c.Observe = func(status string, took time.Duration) { observe(w.Name, status, took) }
	}
	for _, n := range w.AllowNetworks {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, err
		}
		c.AllowNetworks = append(c.AllowNetworks, prefix)
	}
	return webhook.New(c)
}
