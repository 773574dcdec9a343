package config

import (
	"time"

	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Sinks configures the destinations of findings.
type Sinks struct {
	// Tables of findings for analysts.
	ClickHouse *ClickHouse `key:"clickhouse"`
	// Signed deliveries to HTTP endpoints.
	Webhooks []Webhook `key:"webhooks"`
	// Topics of findings and of dead letters.
	Kafka *KafkaSink `key:"kafka"`
}

// ClickHouse configures the sink that writes findings as rows, for analysts. 0 means the connector's default.
type ClickHouse struct {
	At Place
	// Server and database: clickhouse://user:password@host:9000/database, or http:// and https:// for the HTTP interface.
	DSN string `key:"dsn,required" secret:"url"`
	// Whether to create and update the tables at the start; otherwise run `aidr migrate`.
	Migrate bool `key:"migrate"`
	// Cluster on which the tables are created and replicated.
	Cluster string `key:"cluster"`
	// How long rows are kept: findings after they were detected, counts after their event time.
	TTL time.Duration `key:"ttl"`
	// Events that are kept in the table events: `off` (the default), `matched` (those on which the condition of a rule held) or `all`.
	Events schema.Archive `key:"events" type:"text"`
	// How long these are kept after they were read.
	EventsTTL time.Duration `key:"events_ttl"`
	// Largest number of findings in a block.
	Rows int `key:"rows" unit:"rows"`
	// How long findings may wait for others of their block.
	Linger time.Duration `key:"linger"`
}

// Webhook configures one endpoint. 0 means the connector's default.
type Webhook struct {
	At Place
	// Name of the endpoint, for `respond.notify` of rules and in webhook-id.
	Name string `key:"name"`
	// Address, http or https. Private addresses are refused unless allow_networks has them.
	URL string `key:"url,required" secret:"host"`
	// Form of the bodies: `aidr`, `ocsf`, `cloudevents`, `template`, `slack`, `pagerduty` or `splunk_hec`. `aidr webhook schema
	// FORMAT` prints the JSON Schema.
	Format webhook.Format `key:"format" type:"text"`
	// Body of the format `template`: JSON with actions of Go templates, such as `{"text": "{{.data.title}}"}`, over the body of
	// the format `aidr`. Values are escaped by their place; `join`, `upper`, `lower`, `truncate` and `default` are known.
	Template string `key:"template" secret:"all"`
	// Id of the channel, for the format `slack` with a token: then a finding is one message, which is updated.
	Channel string `key:"channel"`
	// Token of Slack's Web API, or of Splunk's HTTP Event Collector.
	Token string `key:"token" secret:"all"`
	// Integration key of a PagerDuty service (Events API v2).
	RoutingKey string `key:"routing_key" secret:"all"`
	// Index of Splunk.
	Index string `key:"index"`
	// Private authorities, and the certificate of this client, for mutual TLS.
	TLS *TLS `key:"tls"`
	// Secret that signs deliveries: `aidr webhook secret` makes one. At least one of secret and secrets is needed for the formats
	// `aidr`, `ocsf` and `cloudevents`.
	_ struct{} `key:"secret" type:"text" secret:"all"`
	// Several secrets, during a rotation: each signs.
	Secrets []string `key:"secrets" secret:"all"` // those of both keys
	// Networks that may be dialled in addition to public addresses, such as 10.1.0.0/16.
	AllowNetworks []string `key:"allow_networks"`
	// Condition that a finding has to meet to be delivered, such as `severity >= "high"`.
	Filter predicate.Filter `key:"filter" type:"condition (CEL)"` // nil: all findings
	// Time limit of an attempt.
	Timeout time.Duration `key:"timeout"`
	// Pauses after failed attempts; after the last the delivery becomes a dead letter. `[]` means a single attempt.
	Retries []time.Duration `key:"retries"` // nil: the default
	// Headers of each request, by name.
	Headers map[string]string `key:"headers" type:"mapping of texts" secret:"all"`
	// Largest rate of attempts.
	Rate float64 `key:"rate" unit:"deliveries per second"` // 0: no limit
	// Number of attempts at the same time.
	Concurrency int `key:"concurrency" unit:"attempts"`
}

// Links configures the links in deliveries.
type Links struct {
	// Address under which people reach this AIDR, such as https://aidr.example.com: findings are at /findings/ID.
	Base string `key:"base" secret:"url"`
	// Address of the runbook of a rule, in which `{rule}` is replaced by the rule's id. Bodies have it as runbook.
	Runbook string `key:"runbook" secret:"url"`
	// Address under which people reach control.listen, such as https://aidr.example.com:8474. Deliveries then have signed
	// addresses that acknowledge or close a finding, or approve a proposed containment, once the page is confirmed.
	Callbacks string `key:"callbacks" secret:"url"`
}
