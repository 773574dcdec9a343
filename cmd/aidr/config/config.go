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
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Config is the whole configuration, with defaults filled in. It is read-only once loaded. The tag `key` of a field is
// its key in the file; KEYS.md is generated from these tags and from the comments of the fields.
//
// A Config may hold secrets, so it must not be printed; the tag `secret` names the fields that may, see Redacted. For the same reason problems have positions but never quote a line
// of the file.
type Config struct {
	File string

	// Sources of logs: Kafka topics and files.
	Sources []Source `key:"sources,required"`
	// Folders and files of rules. `library` names the shipped rules; a folder of that name is ./library.
	Rules []string `key:"rules"`
	// Folders of field maps, in addition to the shipped ones.
	Maps []string `key:"maps"`
	// Folder of lists, in addition to lists/ in the folders of rules.
	Lists string `key:"lists"`
	// Registry of agents, in addition to agents.yaml in the folders of rules.
	Agents string `key:"agents"`
	// Expressions that name the agent of a record, if the default of the format does not fit.
	Identity *Override `key:"identity" type:"list of mappings"`
	// Files in MaxMind's format that describe addresses; they are reloaded when they change.
	Enrichment Enrichment `key:"enrichment"`
	// Fields of findings by name (`user.email`, `raw.PATH`) with `keep`, `hash` or `drop`. In all other fields credentials
	// are replaced. `dead_letters` is for records that cannot be decoded; by default it is as strict as the strictest field.
	Redact *schema.Redaction `key:"redact" type:"mapping"`
	// The state directory, which outlives the process.
	State State `key:"state"`
	// What rules may do to agents without a person.
	Response Response `key:"response"`
	// The destinations of findings.
	Sinks Sinks `key:"sinks"`
	// The listeners on which gateways ask whether a call may pass.
	Decisions Decisions `key:"decisions"`
	// The listener of the control API for callers with a token or a client certificate.
	Control Control `key:"control"`
	// The web console for the people on duty.
	Console Console `key:"console"`
	// Synthetic events that show that detection and delivery work.
	Canary Canary `key:"canary"`
	// Addresses that deliveries link to.
	Links Links `key:"links"`
	// The listener for /metrics, /healthz and /readyz.
	HTTP HTTP `key:"http"`
	// Metrics and traces of this process, sent by OTLP.
	Telemetry Telemetry `key:"telemetry"`
	// The log on standard error.
	Log Log `key:"log"`
	// Number of goroutines that own State. It may change at any restart.
	Shards int `key:"shards" unit:"shards"`
	// Memory budget of the engine, such as 512MiB. Beyond it, State that is not needed at once is paged to the state
	// directory, and reading waits; findings do not change.
	Memory int64 `key:"memory" type:"size"` // bytes; 0: GOMEMLIMIT, or a share of the container's limit, or the engine's default

	places  map[string]Place
	digests map[string]digest // of the keys of the file; see Changed
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
	At Place
	// Name of the source in checkpoints, metrics and logs. If it changes, the source begins as if it were new.
	Name string `key:"name"`
	// Kafka topics to read. A source has either kafka or file.
	Kafka *Kafka `key:"kafka"`
	// Files to read.
	File *File `key:"file"`
	// Format of the records, one of `aidr formats` or the name of a map, or a list of them; `auto` detects it for each
	// record.
	Format string `key:"format" type:"text, or list of texts"` // several names with commas between them, as in decode.Options
	// Tenant of the events.
	Tenant string `key:"tenant"`
	// Datasets of the events. Rules on other datasets do not wait for this source.
	Datasets []string `key:"datasets"`
	// How long after its event a record may arrive, for all datasets or by dataset. Events that arrive later are late.
	Delay map[string]time.Duration `key:"delay" type:"duration, or mapping of durations by dataset"`
	// After this silence the event time of a partition follows the clock.
	Idle time.Duration `key:"idle"`
	// After this time without a record the source, or the topic, is silent, which is a finding (`aidr.source-silent`). `0s`
	// turns that off.
	SilentAfter time.Duration `key:"silent_after"`
	// Networks of the peers whose X-Forwarded-For is trusted.
	TrustForwarded []string `key:"trust_forwarded"`
	// Whether the producer checks the agent ids that callers declare. If not, a declared id refines the identity of a caller
	// only if the registry lists it.
	TrustDeclared bool `key:"trust_declared"`
}

// Kafka is the `kafka` section of a source. Either Topics or Pattern is set.
type Kafka struct {
	// Addresses host:port of some of the brokers; the others are discovered.
	Brokers []string `key:"brokers,required"`
	// Topics to read. Topics that do not exist yet are waited for.
	Topics []string `key:"topics"`
	// Regular expression for the names of the topics, instead of topics. New topics are discovered.
	Pattern string `key:"pattern"`
	// Consumer group. One member reads everything, the others are standbys. No two sources may share a group.
	Group string `key:"group"`
	// Start of a partition without a position: `first`, `last` or a time such as 2026-01-31T12:00:00Z.
	Start string `key:"start"`
	// Name of this client in the logs and metrics of the brokers.
	ClientID string `key:"client_id"`
	// After this silence the group replaces a member that was killed or cut off.
	Session time.Duration `key:"session"`
	// TLS to the brokers; `true` trusts the authorities of the system.
	TLS *TLS `key:"tls" type:"mapping, or true"`
	// Credentials for the brokers.
	SASL *SASL `key:"sasl"`
	// Schema registry of messages in Avro, JSON or protobuf with a frame: a zero byte and the id of a schema.
	Registry *Registry `key:"registry"`
}

// Registry configures a schema registry, by its address, as a folder, or both.
type Registry struct {
	// Address of the registry: Confluent's API, Apicurio's /apis/ccompat/v7, or Apicurio's /apis/registry/v2.
	URL string `key:"url" secret:"url"`
	// Name of the user, for basic authentication.
	Username string `key:"username"`
	// Password of the user.
	Password string `key:"password" secret:"all"`
	// TLS to the registry; without it an https address trusts the authorities of the system.
	TLS *RegistryTLS `key:"tls"`
	// Folder of schemas, each in a file named by its id: 7.avsc, 7.json or 7.proto. It is asked before the address.
	Schemas string `key:"schemas"`
	// Length of the id in a message: 4, or 8 as the serializers of Apicurio before version 3 write it.
	IDBytes int `key:"id_bytes" unit:"bytes"`
}

// RegistryTLS holds the TLS settings of the connections to a registry. The files are PEM.
type RegistryTLS struct {
	// File with the authorities that are trusted instead of those of the system.
	CA string `key:"ca"`
	// File with the certificate of this client.
	Cert string `key:"cert"`
	// File with the private key of this client.
	Key string `key:"key"`
}

// TLS holds the TLS settings of a connection. The files are PEM.
type TLS struct {
	// File with the authorities that are trusted instead of those of the system.
	CA string `key:"ca"`
	// File with the certificate of this client.
	Cert string `key:"cert"`
	// File with the private key of this client.
	Key string `key:"key"`
	// Name that the certificate of the server must have, instead of its host.
	ServerName string `key:"server_name"`
}

// SASL holds the credentials of a Kafka connection.
type SASL struct {
	// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
	Mechanism string `key:"mechanism,required"`
	// Name of the user. All mechanisms but OAUTHBEARER need it.
	Username string `key:"username"`
	// Password of the user. All mechanisms but OAUTHBEARER need it.
	Password string `key:"password" secret:"all"`
	// Tokens of OAUTHBEARER. connectors/kafka/MANAGED.md has the settings of each cloud.
	OAuth *OAuth `key:"oauth"`
}

// OAuth configures the tokens of OAUTHBEARER. They are cached and replaced before they expire.
type OAuth struct {
	// Provider of the tokens: `client_credentials` is a token endpoint, `aws` signs for MSK, `azure` is the managed identity
	// of the machine, `gcp` the application default credentials.
	Provider string `key:"provider"`
	// Token endpoint, https, for client_credentials.
	TokenURL string `key:"token_url" secret:"url"`
	// Id of the client; with `azure` that of one of several managed identities.
	ClientID string `key:"client_id"`
	// Secret of the client.
	ClientSecret string `key:"client_secret" secret:"all"`
	// File with a signed JWT in place of the secret, as Kubernetes writes for workload identity.
	AssertionFile string `key:"assertion_file"`
	// Scopes of the token, with blanks between them, such as https://NAMESPACE.servicebus.windows.net/.default.
	Scope string `key:"scope"`
	// Audience of the token, for token endpoints that ask for one.
	Audience string `key:"audience"`
	// File with the authorities that are trusted for token_url.
	CA string `key:"ca"`
	// Region of the MSK cluster.
	Region string `key:"region"`
	// ARN of a role that is assumed to sign for MSK.
	Role string `key:"role"`
	// Extensions that are sent with the token; Confluent Cloud needs logicalCluster and identityPoolId.
	Extensions map[string]string `key:"extensions" type:"mapping of texts" secret:"all"`
}

// File is the `file` section of a source.
type File struct {
	// Files and folders; `-` is standard input.
	Paths []string `key:"paths,required"`
	// Whether to wait for more records and files at the end. If not, the source ends.
	Follow bool `key:"follow"`
}

// State configures the state directory, which outlives the process. Standbys share it.
type State struct {
	// Folder of the state. It is created if it does not exist.
	Dir string `key:"dir"`
	// Size of the findings that may wait for ClickHouse before reading stops.
	Outbox int64 `key:"outbox_mb" unit:"MiB"` // in bytes here
	// How long the local store keeps settled findings.
	FindingsKeep time.Duration `key:"findings_keep"`
	// Interval of the checkpoints. Findings come with a checkpoint.
	CheckpointEvery time.Duration `key:"checkpoint_every"`
	// Number of cells, the State of one rule and group key each, that stay in memory; the others are read when needed.
	Cells int `key:"cells" unit:"cells per shard"`
}

// HTTP configures the listener for /metrics, /healthz and /readyz. An empty Listen disables the listener.
type HTTP struct {
	// Address host:port.
	Listen string `key:"listen"`
	// Whether to serve profiles at /debug/pprof.
	Pprof bool `key:"pprof"`
	// TLS of the listener. Without it, HTTP is plain.
	TLS *ServerTLS `key:"tls"`
}

// ServerTLS holds the TLS settings of the listener. The files are PEM, and are read again when they change.
type ServerTLS struct {
	At Place
	// File with the certificate of the listener and its chain, PEM.
	Cert string `key:"cert,required"`
	// File with the private key of the certificate, PEM.
	Key string `key:"key,required"`
	// File with the CA of the clients, PEM. With it, every client, probes too, must present a certificate that it signed.
	ClientCA string `key:"client_ca"`
}

// Log configures the log on standard error.
type Log struct {
	// `text` or `json`.
	Format string `key:"format"`
	// `debug`, `info`, `warn` or `error`.
	Level string `key:"level"`
}

const (
	// DefaultOutbox is the number of bytes that may wait for ClickHouse before reading stops. It covers an outage of hours
	// at a thousand findings a minute.
	DefaultOutbox = 2 << 30
	// DefaultFindingsKeep is how long settled findings stay in the state directory.
	DefaultFindingsKeep = 30 * 24 * time.Hour
	// DefaultSilentAfter is the time without records after which a source is silent. It is longer than a night, so that a
	// source that is used by day raises nothing, and short enough that a log that was turned off is noticed.
	DefaultSilentAfter = 24 * time.Hour
	// MaxSecretFile is the maximum size of a file with a secret, in bytes. Certificate chains are smaller.
	MaxSecretFile = 64 << 10
)

// Load reads a configuration file and returns all problems. c is nil if a problem is more than a warning.
func Load(file string) (c *Config, problems []doc.Problem) { return load(file, false) }

// LoadReading is Load restricted to the keys that determine how records are decoded and evaluated: rules, maps, lists,
// agents, identity, enrichment and redact, and the sources without their connections. All of these keys are optional. The
// other keys are not read, so the secrets of a running aidr need not be available.
func LoadReading(file string) (c *Config, problems []doc.Problem) { return load(file, true) }

// LoadDecide reads the configuration of `aidr decide`. c is nil if a problem is more than a warning.
func LoadDecide(file string) (c *Decide, problems []doc.Problem) {
	src, unreadable := read(file)
	if unreadable != nil {
		return nil, unreadable
	}
	d, root := doc.Parse(file, src)
	if root == nil {
		return nil, quiet(d.Problems())
	}
	r := reader{origin: file, env: os.LookupEnv, unset: map[string]bool{}}
	c = r.decide(root)
	if d.Failed() {
		c = nil
	}
	return c, quiet(d.Problems())
}

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
	c.digests = r.digests(root)
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

	// unset holds the keys of the values whose ${...} could not be replaced. Such a value is unknown, so no other
	// problem of it is reported.
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
