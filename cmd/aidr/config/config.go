// Package config reads the one configuration file: strict YAML, every problem at once with its place, secrets from the
// environment or from files, never echoed.
//
// A text may hold ${NAME} (an environment variable) and ${file:PATH} (a file's content without the last line end); $$
// is a dollar sign. One that is not there is a problem, because an empty secret is worse than none.
package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Config is the whole configuration, with defaults filled in. It is read-only once loaded.
//
// It may hold secrets: it is not to be printed. Problems name places, and never quote a line of the file.
type Config struct {
	File    string
	Sources []Source
	Rules   []string // folders and files
	Maps    []string // folders of field maps, beside those that aidr ships
	Lists   string   // folder of lists, "" for none
	Agents  string   // agents.yaml, "" for none
	State   State
	Sinks   Sinks
	HTTP    HTTP
	Log     Log
	Shards  int // 0: one per core

	Identity   *Override // nil: none
	Enrichment Enrichment
	Redact     *schema.Redaction // nil: of every field the credentials are replaced
}

// Place is where something stands in the file; the zero Place is nowhere.
type Place struct {
	File      string
	Line, Col int
}

func placeOf(file string, n *doc.Node) Place {
	if n == nil {
		return Place{}
	}
	return Place{file, n.Line, n.Col}
}

// String renders "file:line:col: ", to go before what is wrong there; "" for nowhere.
func (p Place) String() string {
	if p == (Place{}) {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Col)
}

// Source is one place that logs come from: Kafka or files.
type Source struct {
	At             Place
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
	At      Place
	DSN     string
	Migrate bool
	Cluster string
	TTL     time.Duration
	Rows    int
	Linger  time.Duration
}

// Webhook is one endpoint.
type Webhook struct {
	At            Place
	Name          string
	URL           string
	Secrets       []string
	AllowNetworks []string
	Filter        func(*schema.Finding) (bool, error) // nil: everything
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
func Load(file string) (c *Config, problems []doc.Problem) { return load(file, false) }

// LoadReading is Load of what says how records are read and judged: rules, maps, lists, agents, identity, enrichment,
// redact, and of sources what is not their connection. All of it may be left out. What else the file has is not looked
// at, so that the secrets of a running aidr need not be there.
func LoadReading(file string) (c *Config, problems []doc.Problem) { return load(file, true) }

func load(file string, reading bool) (*Config, []doc.Problem) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, []doc.Problem{{File: file, Line: 1, Col: 1, Cause: fmt.Sprintf("can not be read: %v: aidr config init writes one to begin with", err)}}
	}
	return parse(src, reader{origin: file, env: os.LookupEnv, reading: reading})
}

// Parse reads the text of a file; relative paths in it are relative to the working directory.
func Parse(file string, src []byte, env func(string) (string, bool)) (*Config, []doc.Problem) {
	return parse(src, reader{origin: file, env: env})
}

func parse(src []byte, r reader) (*Config, []doc.Problem) {
	d, root := doc.Parse(r.origin, src)
	if root == nil {
		return nil, quiet(d.Problems())
	}
	c := r.config(root)
	problems := append(quiet(d.Problems()), r.mapProblems...)
	if d.Failed() || maps.Failed(problems) {
		return nil, problems
	}
	return c, problems
}

// quiet takes the lines away that problems would show: one of them may hold a secret.
func quiet(problems []doc.Problem) []doc.Problem {
	for i := range problems {
		problems[i].Snippet = ""
	}
	return problems
}

// reader reads the nodes of one file.
type reader struct {
	origin  string // the name of the file
	reading bool   // only what says how records are read
	env     func(string) (string, bool)
	filters *expr.Env // nil until the first filter

	formats     []*decode.Map // formats beside those that are built in
	mapProblems []doc.Problem
}

// text returns a text with ${...} replaced.
func (r *reader) text(n *doc.Node) string {
	s := n.String()
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{") && closed:
			b.WriteString(r.secret(n, name[1:]))
			s = after
		default:
			n.Fail("has a lone $: write ${NAME} for an environment variable, ${file:PATH} for a file, $$ for a dollar sign")
			return ""
		}
	}
}

func (r *reader) secret(n *doc.Node, name string) string {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		return r.secretFile(n, path)
	}
	v, ok := r.env(name)
	if !ok || v == "" {
		n.Fail("names the environment variable %s, which is not set: set it, or use ${file:PATH}", name)
	}
	return v
}

// secretFile reads a file of a secret; a file that is not one (a device, a huge one) is not read to its end.
func (r *reader) secretFile(n *doc.Node, path string) string {
	f, err := os.Open(path)
	if err != nil {
		n.Fail("names a file that can not be read: %v", err)
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSecretFile+1))
	text := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		n.Fail("names a file that can not be read: %v", err)
	case len(b) > MaxSecretFile:
		n.Fail("names the file %q of more than %d bytes: that is no secret", path, MaxSecretFile)
	case text == "":
		n.Fail("names the file %q, which is empty", path)
	default:
		return text
	}
	return ""
}

func (r *reader) texts(n *doc.Node) (out []string) {
	for _, item := range n.Items() {
		if s := r.text(item); s != "" {
			out = append(out, s)
		} else if item.Kind == doc.Text && item.String() == "" {
			item.Fail("is empty: write something or leave it out")
		}
	}
	return out
}

// filled reads a text that must be there and not be empty.
func (r *reader) filled(f *doc.Fields, key string) string {
	n := f.Need(key)
	n.Filled()
	if n == nil || n.Kind != doc.Text {
		return ""
	}
	return r.text(n)
}

// section reads a mapping that may be left out, or have nothing but comments in it.
func section(f *doc.Fields, key string) *doc.Fields {
	n := f.Get(key)
	if n != nil && n.Kind == doc.Null {
		n = nil
	}
	return n.Fields()
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
