// Package config reads the configuration file. The file is strict YAML. All problems are reported at once, each with its
// position, and secrets come from the environment or from files and are never printed.
//
// A text may contain ${NAME}, an environment variable, and ${file:PATH}, the content of a file without trailing line
// ends; $$ is a dollar sign. A variable or file that is missing or empty is a problem, because an empty secret is worse
// than a missing one.
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
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Config is the whole configuration, with defaults filled in. It is read-only once loaded.
//
// A Config may hold secrets, so it must not be printed. For the same reason problems have positions but never quote a line
// of the file.
type Config struct {
	File    string
	Sources []Source
	Rules   []string // folders and files; empty: the shipped rules
	Maps    []string // folders of field maps, in addition to the shipped ones
	Lists   string   // folder of lists, in addition to lists/ in the folders of rules; may be ""
	Agents  string   // registry of agents, in addition to agents.yaml in the folders of rules; may be ""
	State   State
	Sinks   Sinks
	HTTP    HTTP
	Log     Log
	Shards  int // 0: one per core

	Identity   *Override // nil: not configured
	Enrichment Enrichment
	Redact     *schema.Redaction // nil: credentials are replaced in every field

	places map[string]Place
}

// Place returns the position of a key, such as state.dir, or that of the nearest key above it that the file has.
func (c *Config) Place(key string) Place {
	for {
		if p, ok := c.places[key]; ok || key == "" {
			return p
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
}

// addPlaces adds the positions of a value and of everything in it.
func (c *Config) addPlaces(file string, n *doc.Node) {
	c.places[n.Key] = placeOf(file, n)
	switch n.Kind {
	case doc.List:
		for _, item := range n.Items() {
			c.addPlaces(file, item)
		}
	case doc.Map:
		n.Each(func(_, value *doc.Node) { c.addPlaces(file, value) })
	}
}

// Place is a position in the file. The zero Place means that the position is unknown.
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

// String returns "file:line:col: ", the prefix of a problem's text, or "" for the zero Place.
func (p Place) String() string {
	if p == (Place{}) {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Col)
}

// Source is one source of logs. Exactly one of Kafka and File is set.
type Source struct {
	At             Place
	Name           string
	Kafka          *Kafka
	File           *File
	Format         string
	Tenant         string
	Datasets       []string                 // datasets of its events; empty: all datasets of the format
	Delay          map[string]time.Duration // by dataset; the key "" applies to all
	Idle           time.Duration            // 0: the engine's default
	TrustForwarded []string
}

// Kafka is the `kafka` section of a source. Either Topics or Pattern is set.
type Kafka struct {
	Brokers  []string
	Topics   []string
	Pattern  string
	Group    string
	Start    string // first, last, or an RFC 3339 time
	ClientID string
	Session  time.Duration // after this silence the group replaces a member; 0: the connector's default
	TLS      *TLS
	SASL     *SASL
}

// TLS holds the TLS settings of a connection. The files are PEM.
type TLS struct {
	CA, Cert, Key, ServerName string
}

// SASL holds the credentials of a Kafka connection. Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
type SASL struct {
	Mechanism, Username, Password string
}

// File is the `file` section of a source.
type File struct {
	Paths  []string
	Follow bool
}

// State configures the state directory, which outlives the process.
type State struct {
	Dir             string
	Outbox          int64         // bytes that may wait for a sink before reading stops
	FindingsKeep    time.Duration // how long settled findings stay in the local store
	CheckpointEvery time.Duration // 0: the engine's default
	Cells           int           // cells kept in memory per shard; 0: the engine's default
}

// Sinks configures the destinations of findings.
type Sinks struct {
	ClickHouse *ClickHouse
	Webhooks   []Webhook
}

// ClickHouse configures the sink that writes findings as rows, for analysts. 0 means the connector's default.
type ClickHouse struct {
	At      Place
	DSN     string
	Migrate bool
	Cluster string
	TTL     time.Duration
	Rows    int
	Linger  time.Duration
}

// Webhook configures one endpoint. 0 means the connector's default.
type Webhook struct {
	At            Place
	Name          string
	URL           string
	Secrets       []string
	AllowNetworks []string
	Filter        predicate.Filter // nil: all findings
	Timeout       time.Duration
	Retries       []time.Duration // nil: the default schedule
	Headers       map[string]string
	Rate          float64 // deliveries per second; 0: no limit
	Concurrency   int
}

// HTTP configures the listener for /metrics, /healthz and /readyz. An empty Listen disables the listener.
type HTTP struct {
	Listen string
	Pprof  bool
}

// Log configures the log on standard error.
type Log struct {
	Format string // text or json
	Level  string // debug, info, warn or error
}

const (
	// DefaultOutbox is the number of bytes that may wait for ClickHouse before reading stops. It covers an outage of hours
	// at a thousand findings a minute.
	DefaultOutbox = 2 << 30
	// DefaultFindingsKeep is how long settled findings stay in the state directory.
	DefaultFindingsKeep = 30 * 24 * time.Hour
	// MaxSecretFile is the maximum size of a file with a secret, in bytes. Certificate chains are smaller.
	MaxSecretFile = 64 << 10
)

// Load reads a configuration file and returns all problems. c is nil if a problem is more than a warning.
func Load(file string) (c *Config, problems []doc.Problem) { return load(file, false) }

// LoadReading is Load restricted to the keys that determine how records are decoded and evaluated: rules, maps, lists,
// agents, identity, enrichment and redact, and the sources without their connections. All of these keys are optional. The
// other keys are not read, so the secrets of a running aidr need not be available.
func LoadReading(file string) (c *Config, problems []doc.Problem) { return load(file, true) }

// Examine is Load for a check, which goes on after a problem so that everything is reported at once. c is nil only if the
// file cannot be read as YAML. If failed is set, c holds harmless placeholders for the values that have problems, and must
// not be run.
func Examine(file string) (c *Config, problems []doc.Problem, failed bool) {
	src, unreadable := read(file)
	if unreadable != nil {
		return nil, unreadable, true
	}
	return examine(src, reader{origin: file, env: os.LookupEnv})
}

func load(file string, reading bool) (*Config, []doc.Problem) {
	src, unreadable := read(file)
	if unreadable != nil {
		return nil, unreadable
	}
	return parse(src, reader{origin: file, env: os.LookupEnv, reading: reading})
}

func read(file string) (src []byte, unreadable []doc.Problem) {
	src, err := os.ReadFile(file)
	if err != nil {
		cause := fmt.Sprintf("cannot be read: %v: aidr config init writes a first one", err)
		return nil, []doc.Problem{{File: file, Line: 1, Col: 1, Cause: cause}}
	}
	return src, nil
}

// Parse reads the text of a configuration file. Relative paths in it are relative to the working directory.
func Parse(file string, src []byte, env func(string) (string, bool)) (*Config, []doc.Problem) {
	return parse(src, reader{origin: file, env: env})
}

func parse(src []byte, r reader) (*Config, []doc.Problem) {
	c, problems, failed := examine(src, r)
	if failed {
		return nil, problems
	}
	return c, problems
}

func examine(src []byte, r reader) (c *Config, problems []doc.Problem, failed bool) {
	d, root := doc.Parse(r.origin, src)
	if root == nil {
		return nil, quiet(d.Problems()), true
	}
	r.unset = map[string]bool{}
	c = r.config(root)
	c.places = map[string]Place{}
	c.addPlaces(r.origin, root)
	problems = r.withoutConsequences(quiet(d.Problems()))
	if failed = d.Failed(); failed {
		c.fillPlaceholders(problems)
	}
	return c, append(problems, r.mapProblems...), failed || maps.Failed(r.mapProblems)
}

// quiet removes the quoted lines from the problems, because a line may hold a secret.
func quiet(problems []doc.Problem) []doc.Problem {
	for i := range problems {
		problems[i].Snippet = ""
	}
	return problems
}

// reader reads the nodes of one file.
type reader struct {
	origin  string // name of the file
	reading bool   // LoadReading
	env     func(string) (string, bool)
	filters *expr.Env // nil until the first filter

	// unset holds the keys of the values whose ${...} could not be replaced. What such a value would be is unknown, so no
	// other problem of it is reported.
	unset map[string]bool

	formats     []*decode.Map // formats in addition to the built-in ones
	mapProblems []doc.Problem
}

// text returns the text of a node with ${...} replaced.
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
			r.unset[n.Key] = true
			n.Fail("has a lone $: write ${NAME} for an environment variable, ${file:PATH} for a file, $$ for a dollar sign")
			return ""
		}
	}
}

// secret returns the value of ${name}.
func (r *reader) secret(n *doc.Node, name string) string {
	if path, ok := strings.CutPrefix(name, "file:"); ok {
		return r.secretFile(n, path)
	}
	v, ok := r.env(name)
	if !ok || v == "" {
		r.unset[n.Key] = true
		n.Fail(unsetVariable+"%s, which is not set: set it, or use ${file:PATH}", name)
	}
	return v
}

// secretFile returns the content of a file with a secret. Reading is bounded, because path may name a device or a huge file.
func (r *reader) secretFile(n *doc.Node, path string) string {
	f, err := os.Open(path)
	if err != nil {
		r.unset[n.Key] = true
		n.Fail("names a file that cannot be read: %v", err)
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSecretFile+1))
	text := strings.TrimRight(string(b), "\r\n")
	r.unset[n.Key] = err != nil || text == "" || len(b) > MaxSecretFile || r.unset[n.Key]
	switch {
	case err != nil:
		n.Fail("names a file that cannot be read: %v", err)
	case len(b) > MaxSecretFile:
		n.Fail("names the file %q of more than %d bytes: too large for a secret", path, MaxSecretFile)
	case text == "":
		n.Fail("names the file %q, which is empty", path)
	default:
		return text
	}
	return ""
}

// texts returns the texts of a list with ${...} replaced.
func (r *reader) texts(n *doc.Node) (out []string) {
	for _, item := range n.Items() {
		if s := r.text(item); s != "" {
			out = append(out, s)
		} else if item.Kind == doc.Text && item.String() == "" { // an unset variable was reported by text
			item.Fail("is empty: write something or leave it out")
		}
	}
	return out
}

// filled returns the text of a required key, which must not be empty.
func (r *reader) filled(f *doc.Fields, key string) string {
	n := f.Need(key)
	n.Filled()
	if n == nil || n.Kind != doc.Text {
		return ""
	}
	return r.text(n)
}

// section returns a mapping that may be missing or contain only comments.
func section(f *doc.Fields, key string) *doc.Fields {
	n := f.Get(key)
	if n != nil && n.Kind == doc.Null {
		n = nil
	}
	return n.Fields()
}

// duration returns a duration between least and most, or absent if the key is missing.
func duration(n *doc.Node, absent, least, most time.Duration) time.Duration {
	if n == nil {
		return absent
	}
	return n.Duration(least, most)
}

// integer returns a number between least and most, or absent if the key is missing.
func integer(n *doc.Node, absent, least, most int64) int64 {
	if n == nil {
		return absent
	}
	return n.Int(least, most)
}

// absolute makes a path absolute, so that it does not depend on later changes of the working directory.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
