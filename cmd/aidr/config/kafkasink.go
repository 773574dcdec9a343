package config

import (
	"strings"

	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/rules/doc"
)

// KafkaSink configures the topics that get findings and dead letters. 0 means the connector's default.
type KafkaSink struct {
	At Place
	// Addresses host:port of some brokers.
	Brokers []string `key:"brokers,required"`
	// Topic of the changes of findings and containments, keyed by the agent. It has to exist.
	Topic string `key:"topic"`
	// Topic of the dead letters. It has to exist.
	DeadLetters string `key:"dead_letters"`
	// Client id in the logs and metrics of the brokers.
	ClientID string `key:"client_id"`
	// Compression of the batches: `zstd`, `lz4`, `snappy`, `gzip` or `none`.
	Compression string `key:"compression"`
	// TLS of the connections; true means the authorities of the system.
	TLS *TLS `key:"tls" type:"mapping, or true"`
	// Credentials of this client.
	SASL *SASL `key:"sasl"`
}

// kafkaSink reads the section.
func (r *reader) kafkaSink(n *doc.Node) *KafkaSink {
	f := n.Fields()
	k := &KafkaSink{
		At: placeOf(r.origin, n), Brokers: r.texts(f.Need("brokers")), Topic: r.text(f.Get("topic")), DeadLetters: r.text(f.Get("dead_letters")),
		ClientID: r.text(f.Get("client_id")),
	}
	if c := f.Get("compression"); c != nil {
		k.Compression = c.Enum(kafka.Compressions()...)
	}
	if t := f.Get("tls"); t != nil {
		k.TLS = r.tls(t)
	}
	if s := f.Get("sasl"); s != nil {
		k.SASL = r.sasl(s)
	}
	topics := kafka.SinkConfig{Brokers: k.Brokers, Topic: k.Topic, DeadLetters: k.DeadLetters}
	if err := topics.Validate(); err != nil && len(k.Brokers) > 0 { // a missing key is reported already
		for _, line := range strings.Split(err.Error(), "\n") {
			n.Fail("%s", line)
		}
	}
	f.Done()
	return k
}
