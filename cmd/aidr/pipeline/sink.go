package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/schema"
)

// buildSinks makes the sinks of the configuration. Its error holds every problem; the sinks that could be made are
// returned even then, and must be closed. observe is called for each request to a webhook endpoint; it may be nil.
func buildSinks(
	cfg *config.Config, links webhookLinks, log *slog.Logger, observe webhookObserver, attempted func(*schema.Attempt),
) (sinks []connectors.Sink, err error) {
	var errs []error
	if c := cfg.Sinks.ClickHouse; c != nil {
		s, err := clickhouse.New(ClickHouseConfig(c))
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.clickhouse: %w", c.At, err))
		} else {
			sinks = append(sinks, s)
		}
	}
	if k := cfg.Sinks.Kafka; k != nil {
		s, err := kafka.NewSink(kafkaSinkConfig(k, log))
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.kafka: %w", k.At, err))
		} else {
			sinks = append(sinks, s)
		}
	}
	for _, w := range cfg.Sinks.Webhooks {
		s, err := buildWebhook(w, links, observe, attempted)
		if err != nil {
			errs = append(errs, fmt.Errorf("%ssinks.webhooks %q: %w", w.At, w.Name, err))
			continue
		}
		sinks = append(sinks, s)
	}
	return sinks, errors.Join(errs...)
}

func kafkaSinkConfig(k *config.KafkaSink, log *slog.Logger) kafka.SinkConfig {
	c := kafka.SinkConfig{
		Brokers: k.Brokers, Topic: k.Topic, DeadLetters: k.DeadLetters, ClientID: k.ClientID, Compression: k.Compression, Log: log,
	}
	if t := k.TLS; t != nil {
		c.TLS = &connectors.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	if k.SASL != nil {
		c.SASL = saslOf(k.SASL)
	}
	return c
}

// ClickHouseConfig converts the `sinks.clickhouse` section of a configuration into the configuration of the sink.
func ClickHouseConfig(c *config.ClickHouse) clickhouse.Config {
	return clickhouse.Config{DSN: c.DSN, Cluster: c.Cluster, Migrate: c.Migrate, Rows: c.Rows, Linger: c.Linger, TTL: c.TTL, EventsTTL: c.EventsTTL}
}

// webhookObserver is called with the status and the duration of each request to an endpoint.
type webhookObserver func(endpoint, status string, took time.Duration)

// webhookLinks are the links in deliveries.
type webhookLinks struct {
	base        string // address of the console, may be empty
	callback    func(webhook.CallbackAction, schema.ID, schema.Instant) string
	interactive bool
}

// BuildWebhook makes the sink of one endpoint. links is the address that its deliveries link to, and may be empty. They have no
// signed addresses. attempted is called after each attempt; it may be nil.
func BuildWebhook(w config.Webhook, links string, observe webhookObserver, attempted func(*schema.Attempt)) (*webhook.Sink, error) {
	return buildWebhook(w, webhookLinks{base: links}, observe, attempted)
}

func buildWebhook(w config.Webhook, links webhookLinks, observe webhookObserver, attempted func(*schema.Attempt)) (*webhook.Sink, error) {
	c := webhook.Config{
		Name: w.Name, URL: w.URL, Secrets: w.Secrets, Headers: w.Headers, Timeout: w.Timeout, Retries: w.Retries,
		Concurrency: w.Concurrency, Rate: w.Rate, Format: w.Format, Template: w.Template, Channel: w.Channel, Token: w.Token,
		RoutingKey: w.RoutingKey, Index: w.Index, Links: links.base, Attempted: attempted,
		Callback: links.callback, Interactive: links.interactive,
	}
	if t := w.TLS; t != nil {
		c.TLS = &connectors.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}
	}
	if filter := w.Filter; filter != nil {
		c.Filter = func(e connectors.Entry) (bool, error) { return filter(string(e.Type), webhook.Filtered(&e)) }
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
