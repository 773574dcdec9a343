package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// Config configures a Kafka source. The zero value of an optional field means the default given with it.
type Config struct {
	// Name is the source's name in the configuration.
	Name string
	// Brokers are the addresses, host:port, of some of the cluster's brokers. The others are discovered.
	Brokers []string
	// Topics names the topics to read; the source waits for topics that do not exist yet. Pattern is a regular expression
	// that a whole topic name has to match; topics that appear later are discovered. Exactly one of the two is set.
	Topics  []string
	Pattern string
	// Group is the consumer group. One of its members reads every partition, the others are on standby.
	Group string
	// Start is the place at which a partition without a position begins: "first", "last" or a time in RFC 3339.
	Start string
	// ClientID identifies this client in the logs and metrics of the brokers; "aidr" by default.
	ClientID string
	TLS      *connectors.TLS
	SASL     *SASL

	// FetchBytes is the number of bytes that one fetch requests for a partition; DefaultFetchBytes by default. While there
	// is a backlog, up to three fetches of each partition are in memory.
	FetchBytes int
	// FetchWait is how long a broker waits for a first byte before it answers with nothing; DefaultFetchWait by default.
	FetchWait time.Duration
	// Refresh is the interval at which topics and partitions are discovered; DefaultRefresh by default.
	Refresh time.Duration
	// Session and Heartbeat are the timing of the group; DefaultSession and DefaultHeartbeat by default.
	Session, Heartbeat time.Duration
	// Stall is how long the source may read nothing while records wait before its health is degraded; DefaultStall by
	// default. It is checked at each Refresh.
	Stall time.Duration

	// Dial opens the connections to brokers; nil: a net.Dialer. Simulations replace the network by it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Log *slog.Logger // nil: no logging
}

const (
	// DefaultFetchBytes is the default of Kafka's own consumer for a partition.
	DefaultFetchBytes = 1 << 20
	// DefaultFetchWait lets an idle partition confirm twice a second that it is at its end.
	DefaultFetchWait = 500 * time.Millisecond
	// DefaultRefresh is short enough for a new topic or partition to be read within a few seconds.
	DefaultRefresh = 5 * time.Second
	// DefaultSession is how long a member may be silent before another member takes its place. It leaves enough time for
	// the checkpoint that a member makes before it leaves.
	DefaultSession = 10 * time.Second
	// DefaultHeartbeat is a fraction of the session. A member notices within it that another member joins.
	DefaultHeartbeat = time.Second

	maxFetchBytes = 64 << 20 // far more than brokers return; the protocol field has 31 bits
)

// Validate returns all problems of c, joined.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		add("no brokers: name at least one as host:port")
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			add("broker %q: not host:port", b)
		}
	}
	if (len(c.Topics) == 0) == (c.Pattern == "") {
		add("name topics, or a pattern for their names, and not both")
	}
	seen := map[string]bool{}
	for _, t := range c.Topics {
		if !topicForm.MatchString(t) {
			add("topic %q: not a topic name (1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-')", t)
		}
		if seen[t] {
			add("topic %q: named twice", t)
		}
		seen[t] = true
	}
	if _, err := regexp.Compile(c.Pattern); err != nil {
		add("pattern %q: %w", c.Pattern, err)
	}
	if c.Group == "" {
		add("no group: name the consumer group")
	}
	if _, err := parseStart(c.Start); err != nil {
		add("%w", err)
	}
	if c.FetchBytes < 0 || c.FetchBytes > maxFetchBytes {
		add("fetch bytes %d: not within 0 and %d", c.FetchBytes, maxFetchBytes)
	}
	for _, d := range []struct {
		name string
		time.Duration
	}{{"fetch wait", c.FetchWait}, {"refresh", c.Refresh}, {"session", c.Session}, {"heartbeat", c.Heartbeat}, {"stall", c.Stall}} {
		if d.Duration < 0 {
			add("%s %v: must not be negative", d.name, d.Duration)
		}
	}
	if d := c.withDefaults(); d.Heartbeat > d.Session/3 {
		add("heartbeat %v: must be at most a third of the session, %v", d.Heartbeat, d.Session)
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := c.SASL.validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// topicForm matches the topic names that brokers accept.
var topicForm = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// withDefaults returns c with defaults in place of zero values.
func (c Config) withDefaults() Config {
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.ClientID == "" {
		c.ClientID = "aidr"
	}
	if c.FetchBytes == 0 {
		c.FetchBytes = DefaultFetchBytes
	}
	if c.FetchWait == 0 {
		c.FetchWait = DefaultFetchWait
	}
	if c.Refresh == 0 {
		c.Refresh = DefaultRefresh
	}
	if c.Session == 0 {
		c.Session = DefaultSession
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = DefaultHeartbeat
	}
	if c.Stall == 0 {
		c.Stall = DefaultStall
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
