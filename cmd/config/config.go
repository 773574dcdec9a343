// Package config reads the one configuration file: strict YAML, every problem at once with its place, secrets from the
// environment or from files, never echoed.
//
// A text may hold ${NAME} (an environment variable) and ${file:PATH} (a file's content without the last line end); $$
// is a dollar sign. One that is not there is a problem, because an empty secret is worse than none.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Config is the whole configuration, with defaults filled in. It is read-only once loaded.
type Config struct {
	File    string
	Sources []Source
	Rules   []string // folders and files
	Lists   string   // folder of lists, "" for none
	Agents  string   // agents.yaml, "" for none
	State   State
	Sinks   Sinks
	HTTP    HTTP
	Log     Log
	Shards  int // 0: one per core
}

// Source is one place that logs come from: Kafka or files.
type Source struct {
	Name           string
	Kafka          *Kafka
	File           *File
	Format         string
	Tenant         string
	Datasets       []string                 // what it may carry; empty: what its format can give
	Delay          map[string]time.Duration // by dataset, "" for all
	Idle           time.Duration
	TrustForwarded []string
}

// Kafka is a source of topics.
type Kafka struct {
	Brokers  []string
	Topics   []string
	Pattern  string
	Group    string
	Start    string // first, last, or an RFC 3339 time
	ClientID string
	Session  time.Duration // of the group: a member that is silent for so long is replaced. 0: the connector's default
	TLS      *TLS
	SASL     *SASL
}

// TLS of a connection. Files are PEM.
type TLS struct {
	CA, Cert, Key, ServerName string
}

// SASL is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
type SASL struct {
	Mechanism, Username, Password string
}

// File is a source of files.
type File struct {
	Paths  []string
	Follow bool
}

// State is what outlives the process.
type State struct {
	Dir          string
	Outbox       int64 // bytes that may wait for a sink that is away
	FindingsKeep time.Duration
	CutEvery     time.Duration
	Cells        int // cells per shard that are kept in memory
}

// Sinks is where findings go.
type Sinks struct {
	ClickHouse *ClickHouse
	Webhooks   []Webhook
}

// ClickHouse is the sink for analysts.
type ClickHouse struct {
	DSN     string
	Migrate bool
	Cluster string
	TTL     time.Duration
	Rows    int
	Linger  time.Duration
}

// Webhook is one endpoint.
type Webhook struct {
	Name          string
	URL           string
	Secrets       []string
	AllowNetworks []string
	Filter        string
	FilterAt      *doc.Node // where the filter stands, for its problems
	Timeout       time.Duration
	Retries       []time.Duration // nil: the default schedule
	Headers       map[string]string
	Rate          float64 // a second, 0: no limit
	Concurrency   int
}

// HTTP is the listener of /metrics, /healthz and /readyz.
type HTTP struct {
	Listen string
	Pprof  bool
}

// Log is how the program logs.
type Log struct {
	Format string // text or json
	Level  string // debug, info, warn or error
}

const (
	// DefaultOutbox is how much may wait for ClickHouse before reading stops: an outage of hours at a thousand findings
	// a minute.
	DefaultOutbox = 2 << 30
	// DefaultFindingsKeep is how long findings that are over stay in the state directory.
	DefaultFindingsKeep = 30 * 24 * time.Hour
	// MaxSecretFile is how large a file with a secret may be, in bytes: a certificate chain is smaller.
	MaxSecretFile = 64 << 10
)

// Load reads the file. The problems are all of them; c is nil where one is no warning.
func Load(file string) (c *Config, problems []doc.Problem) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, []doc.Problem{{File: file, Cause: fmt.Sprintf("can not be read: %v", err)}}
	}
	return Parse(file, src, os.LookupEnv)
}

// Parse reads the text of a file; relative paths in it are relative to the working directory.
func Parse(file string, src []byte, env func(string) (string, bool)) (*Config, []doc.Problem) {
	d, root := doc.Parse(file, src)
	if root == nil {
		return nil, d.Problems()
	}
	r := reader{env: env}
	c := r.config(root)
	c.File = file
	if d.Failed() {
		return nil, d.Problems()
	}
	return c, d.Problems()
}

// reader reads the nodes of one file.
type reader struct {
	env func(string) (string, bool)
}

// text returns a text with ${...} replaced.
func (r *reader) text(n *doc.Node) string {
	s := n.String()
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		switch end := strings.IndexByte(s[i:], '}'); {
		case s[i+1] == '$':
			b.WriteByte('$')
			s = s[i+2:]
		case s[i+1] == '{' && end > 0:
			b.WriteString(r.secret(n, s[i+2:i+end]))
			s = s[i+end+1:]
		default:
			n.Fail("has a lone $: write ${NAME} for an environment variable, ${file:PATH} for a file, $$ for a dollar sign")
			return ""
		}
	}
}

func (r *reader) secret(n *doc.Node, name string) string {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		b, err := os.ReadFile(path)
		switch {
		case err != nil:
			n.Fail("names a file that can not be read: %v", err)
		case len(b) > MaxSecretFile:
			n.Fail("names a file of more than %d bytes: that is no secret", MaxSecretFile)
		default:
			return strings.TrimRight(string(b), "\r\n")
		}
		return ""
	}
	v, ok := r.env(name)
	if !ok || v == "" {
		n.Fail("names the environment variable %s, which is not set: set it, or use ${file:PATH}", name)
	}
	return v
}

func (r *reader) texts(n *doc.Node) (out []string) {
	for _, item := range n.Items() {
		if s := r.text(item); s != "" {
			out = append(out, s)
		} else {
			item.Fail("is empty")
		}
	}
	return out
}

// duration returns a duration, or a default where the key is not there.
func duration(n *doc.Node, absent, least, most time.Duration) time.Duration {
	if n == nil {
		return absent
	}
	return n.Duration(least, most)
}

func integer(n *doc.Node, absent, least, most int64) int64 {
	if n == nil {
		return absent
	}
	return n.Int(least, most)
}

// absolute makes a path independent of later changes of the working directory.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
