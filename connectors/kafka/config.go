package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"
)

// Config of a Kafka source. Zero values of optional fields stand for the defaults beside them.
type Config struct {
	// Name is the source's name in the configuration.
	Name string
	// Brokers are host:port of some of the cluster's brokers; the others are found.
	Brokers []string
	// Topics are read where they exist; those that do not exist are waited for. Pattern is a regular expression that a
	// whole topic name has to match; topics that appear later are found. Exactly one of the two is given.
	Topics  []string
	Pattern string
	// Group is the consumer group. One of its members reads every partition, the others stand by.
	Group string
	// Start is where a partition without a position begins: "first", "last" or a time in RFC 3339.
	Start string
	// ClientID is what brokers show of this client; "aidr" by default.
	ClientID string
	TLS      *TLS
	SASL     *SASL

	// FetchBytes is how many bytes one fetch asks for, per partition; DefaultFetchBytes by default. Up to three fetches
	// of each partition are in memory while there is a backlog.
	FetchBytes int
	// FetchWait is how long a broker waits for a first byte before it says that there is none; DefaultFetchWait by default.
	FetchWait time.Duration
	// Refresh is how often topics and partitions are looked for; DefaultRefresh by default.
	Refresh time.Duration
	// Session and Heartbeat are the group's timing; DefaultSession and DefaultHeartbeat by default.
	Session, Heartbeat time.Duration

	Log *slog.Logger // nil: nothing is logged
}

const (
	// DefaultFetchBytes is Kafka's own default for a partition.
	DefaultFetchBytes = 1 << 20
	// DefaultFetchWait makes an idle partition say so twice a second.
	DefaultFetchWait = 500 * time.Millisecond
	// DefaultRefresh lets a new topic or partition be read within a few seconds.
	DefaultRefresh = 5 * time.Second
	// DefaultSession is how long a member may be silent before another one takes its place. Leaving takes a checkpoint,
	// which has to fit in.
	DefaultSession = 10 * time.Second
	// DefaultHeartbeat is a fraction of the session and how soon a member learns that another one joins.
	DefaultHeartbeat = time.Second

	maxFetchBytes = 64 << 20 // far above what any broker hands out; a protocol field of 31 bits
)

// Validate returns all that is wrong with c, joined.
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
		what string
		time.Duration
	}{{"fetch wait", c.FetchWait}, {"refresh", c.Refresh}, {"session", c.Session}, {"heartbeat", c.Heartbeat}} {
		if d.Duration < 0 {
			add("%s %v: must not be negative", d.what, d.Duration)
		}
	}
	if d := c.withDefaults(); d.Heartbeat > d.Session/3 {
		add("heartbeat %v: must be at most a third of the session, %v", d.Heartbeat, d.Session)
	}
	if err := c.TLS.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := c.SASL.validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// topicForm is what brokers accept as a name.
var topicForm = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// withDefaults returns c with its defaults in place.
func (c Config) withDefaults() Config {
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
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
