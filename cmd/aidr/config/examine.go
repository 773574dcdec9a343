package config

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

// unsetVariable is the beginning of the problem of an environment variable that is not set, before its name.
const unsetVariable = "names the environment variable "

// UnsetVariables returns the names of the environment variables that the problems report as not set, sorted.
func UnsetVariables(problems []doc.Problem) (names []string) {
	for _, p := range problems {
		if rest, ok := strings.CutPrefix(p.Cause, unsetVariable); ok {
			name, _, _ := strings.Cut(rest, ",")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// withoutConsequences removes the problems of values that only follow from a ${...} that could not be replaced.
func (r *reader) withoutConsequences(problems []doc.Problem) []doc.Problem {
	return slices.DeleteFunc(problems, func(p doc.Problem) bool {
		return r.unset[p.Key] && !strings.HasPrefix(p.Cause, "names ") && !strings.HasPrefix(p.Cause, "has a lone $")
	})
}

const (
	placeholderHost = "placeholder.invalid" // never resolves (RFC 2606)
	placeholderDSN  = "clickhouse://" + placeholderHost + ":9000/aidr"
	placeholderURL  = "https://" + placeholderHost + "/"
)

// fillPlaceholders replaces the values that have problems by valid ones that connect to nothing, so that the connectors can
// check the other values of a section.
func (c *Config) fillPlaceholders(problems []doc.Problem) {
	failed := func(section string, keys ...string) bool {
		return slices.ContainsFunc(problems, func(p doc.Problem) bool {
			return !p.Warning && slices.ContainsFunc(keys, func(key string) bool {
				rest, ok := strings.CutPrefix(p.Key, section+"."+key)
				return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
			})
		})
	}
	for i := range c.Sources {
		if k := c.Sources[i].Kafka; k != nil {
			k.fillPlaceholders(func(keys ...string) bool { return failed(fmt.Sprintf("sources[%d].kafka", i), keys...) })
		}
	}
	if ch := c.Sinks.ClickHouse; ch != nil {
		if ch.DSN == "" || failed("sinks.clickhouse", "dsn") {
			ch.DSN = placeholderDSN
		}
		if failed("sinks.clickhouse", "cluster", "rows", "ttl", "linger") {
			ch.Cluster, ch.Rows, ch.TTL, ch.Linger = "", 0, 0, 0
		}
	}
	if c.Sinks.Kafka != nil && slices.ContainsFunc(problems, func(p doc.Problem) bool { return !p.Warning && strings.HasPrefix(p.Key, "sinks.kafka") }) {
		c.Sinks.Kafka = nil // the connector would report its problems again
	}
	for i := range c.Sinks.Webhooks {
		c.Sinks.Webhooks[i].fillPlaceholders(i, func(keys ...string) bool {
			return failed(fmt.Sprintf("sinks.webhooks[%d]", i), keys...)
		})
	}
}

func (k *Kafka) fillPlaceholders(failed func(keys ...string) bool) {
	if len(k.Brokers) == 0 || failed("brokers") {
		k.Brokers = []string{placeholderHost + ":9092"}
	}
	if (len(k.Topics) == 0) == (k.Pattern == "") || failed("topics", "pattern") {
		k.Topics, k.Pattern = []string{"placeholder"}, ""
	}
	if failed("start") {
		k.Start = "first"
	}
	if failed("session") {
		k.Session = 0
	}
	if failed("tls") {
		k.TLS = nil
	}
	if failed("sasl") {
		k.SASL = nil
	}
	if failed("registry") {
		k.Registry = nil
	}
}

func (w *Webhook) fillPlaceholders(index int, failed func(keys ...string) bool) {
	if failed("name") {
		w.Name = fmt.Sprintf("webhook-%d", index+1)
	}
	if w.URL == "" || failed("url") {
		w.URL = placeholderURL
	}
	if len(w.Secrets) == 0 || failed("secret", "secrets") {
		w.Secrets = []string{"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))} // the smallest key
	}
	if failed("headers") {
		w.Headers = nil
	}
	if failed("retries", "rate", "concurrency", "timeout") {
		w.Retries, w.Rate, w.Concurrency, w.Timeout = nil, 0, 0, 0
	}
}
