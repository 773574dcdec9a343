package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// day is the maximum of pauses and delays. A longer one is probably a mistake in the unit.
const day = 24 * time.Hour

// nameForm is the form of the names of sources and endpoints, which go into metrics, ids and file names.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (r *reader) config(root *doc.Node) *Config {
	f := root.Fields()
	c := &Config{
		File:   r.origin,
		Rules:  r.texts(f.Get("rules")),
		Maps:   r.maps(f.Get("maps")),
		Lists:  r.text(f.Get("lists")),
		Agents: r.text(f.Get("agents")),
	}
	c.Identity, c.Enrichment, c.Redact = r.identity(f.Get("identity")), r.enrichment(f.Get("enrichment")), r.redact(f.Get("redact"))
	if r.reading {
		f.Allow("state", "response", "sinks", "links", "http", "log", "shards", "memory", "decisions", "control", "console", "canary", "telemetry")
		c.Sources = r.sources(f.Get("sources"))
	} else {
		c.Response = r.response(section(f, "response"))
		c.State, c.Sinks = r.state(section(f, "state")), r.sinks(section(f, "sinks"))
		c.Links, c.Decisions = r.links(section(f, "links")), r.decisions(f.Get("decisions"))
		c.Canary = r.canary(f.Get("canary"), &c.Sinks)
		c.Control = r.control(f.Get("control"))
		c.Console = r.console(f.Get("console"))
		if c.Links.Callbacks != "" && c.Control.Listen == "" {
			f.Get("links").Fail("callbacks: needs control.listen, which serves them")
		}
		c.HTTP, c.Log = r.http(section(f, "http")), r.log(section(f, "log"))
		c.Memory, c.Telemetry = memory(f.Get("memory")), r.telemetry(f.Get("telemetry"))
		c.Shards = int(integer(f.Get("shards"), 0, 1, 1024))
		c.Sources = r.sources(f.Need("sources"))
	}
	f.Done()
	return c
}

const (
	// minMemory is the smallest budget in bytes: the rules, the store and one batch take about half of this.
	minMemory = 256 << 20
	maxMemory = 1 << 40
)

// memoryForm is the form of a size: a whole number with a unit.
var memoryForm = regexp.MustCompile(`^([1-9][0-9]{0,6}) ?(MiB|GiB)$`)

// memory reads a size in bytes, 0 if the key is absent.
func memory(n *doc.Node) int64 {
	if n == nil {
		return 0
	}
	m := memoryForm.FindStringSubmatch(n.String())
	if m == nil {
		n.Fail("is not a size: write it like 512MiB or 4GiB")
		return 0
	}
	size, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if size <<= 20; m[2] == "GiB" {
		size <<= 10
	}
	if size < minMemory || size > maxMemory {
		n.Fail("%s is outside %dMiB to %dGiB", m[0], minMemory>>20, maxMemory>>30)
	}
	return size
}

func (r *reader) sources(sources *doc.Node) (out []Source) {
	taken := map[string]bool{}
	groups := map[string]Source{}
	for i, n := range sources.Items() {
		s := r.source(n, i)
		r.group(n, s, groups)
		if taken[s.Name] {
			n.Fail("the name %q is taken by a source above: checkpoints refer to sources by name, so names must differ", s.Name)
		}
		taken[s.Name] = true
		out = append(out, s)
	}
	if sources != nil && len(out) == 0 {
		sources.Fail("names no source: give at least one with kafka or file")
	}
	return out
}

// source reads the source with the given index.
func (r *reader) source(n *doc.Node, index int) Source {
	f := n.Fields()
	s := Source{
		At:             placeOf(r.origin, n),
		Name:           r.name(f.Get("name"), fmt.Sprintf("source-%d", index+1)),
		Format:         r.format(f.Get("format")),
		Tenant:         r.text(f.Get("tenant")),
		Datasets:       r.texts(f.Get("datasets")),
		Idle:           duration(f.Get("idle"), 0, time.Second, day),
		SilentAfter:    duration(f.Get("silent_after"), DefaultSilentAfter, 0, 30*day),
		TrustForwarded: r.networks(f.Get("trust_forwarded")),
		TrustDeclared:  f.Get("trust_declared").Bool(),
	}
	known := r.datasets(s.Format)
	for _, item := range f.Get("datasets").Items() {
		known.check(item)
	}
	s.Delay = known.delays(f.Get("delay"))
	if r.reading {
		f.Allow("kafka", "file")
	} else {
		r.connection(n, f, &s)
	}
	f.Done()
	return s
}

// group reports a consumer group that a source above has too. A group assigns all partitions to one member, so one of the two
// sources would read nothing. Sources of different clusters are treated alike, because brokers have several names.
func (r *reader) group(n *doc.Node, s Source, groups map[string]Source) {
	if s.Kafka == nil {
		return
	}
	first, taken := groups[s.Kafka.Group]
	if !taken {
		groups[s.Kafka.Group] = s
		return
	}
	if first.Name == s.Name {
		return // the name is reported, and with it the group is another one
	}
	at := n.Fields().Get("kafka")
	if at.Kind == doc.Map {
		if group := at.Fields().Get("group"); group != nil {
			at = group
		}
	}
	at.Fail("the consumer group %q is that of the source %q (%s) too: a group gives all partitions to one member, "+
		"so one of the two would read nothing: name another group, or leave it out",
		s.Kafka.Group, first.Name, strings.TrimSuffix(first.At.String(), ": "))
}

// connection reads the `kafka` or `file` section of a source.
func (r *reader) connection(n *doc.Node, f *doc.Fields, s *Source) {
	k, file := f.Get("kafka"), f.Get("file")
	switch {
	case k != nil && file == nil:
		s.Kafka = r.kafka(k, s.Name)
	case file != nil && k == nil:
		s.File = r.file(file)
	default:
		n.Fail("needs exactly one of kafka and file")
	}
}

func (r *reader) name(n *doc.Node, absent string) string {
	if n == nil {
		return absent
	}
	s := n.String()
	if !nameForm.MatchString(s) {
		n.Fail("%q is not a valid name: use up to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or digit", doc.Short(s))
	}
	return s
}

func (r *reader) networks(n *doc.Node) (out []string) {
	for _, item := range n.Items() {
		s := r.text(item)
		if _, err := netip.ParsePrefix(s); err != nil {
			item.Fail("%q is not a network: write it like 10.0.0.0/8", doc.Short(s))
			continue
		}
		out = append(out, s)
	}
	return out
}

// DefaultGroup returns the consumer group of a Kafka source that names none. Each source has a group of its own.
func DefaultGroup(source string) string { return "aidr-" + source }

func (r *reader) kafka(n *doc.Node, source string) *Kafka {
	f := n.Fields()
	k := &Kafka{
		Brokers: r.texts(f.Need("brokers")), Topics: r.texts(f.Get("topics")), Pattern: r.text(f.Get("pattern")),
		Group: r.text(f.Get("group")), Start: r.text(f.Get("start")), ClientID: r.text(f.Get("client_id")),
		Session: duration(f.Get("session"), 0, time.Second, 5*time.Minute),
	}
	if k.Group == "" {
		k.Group = DefaultGroup(source)
	}
	if k.Start == "" {
		k.Start = "first"
	}
	if k.Start != "first" && k.Start != "last" {
		if _, err := time.Parse(time.RFC3339, k.Start); err != nil {
			f.Get("start").Fail("is not first, last or a time like 2026-01-31T12:00:00Z")
		}
	}
	if (f.Get("topics") == nil) == (f.Get("pattern") == nil) {
		n.Fail("needs either topics, or a pattern for their names")
	}
	if _, err := regexp.Compile(k.Pattern); err != nil {
		f.Get("pattern").Fail("is not a regular expression: %v", err)
	}
	if t := f.Get("tls"); t != nil {
		k.TLS = r.tls(t)
	}
	if s := f.Get("sasl"); s != nil {
		k.SASL = r.sasl(s)
	}
	if g := f.Get("registry"); g != nil {
		k.Registry = r.registry(g)
	}
	f.Done()
	return k
}

func (r *reader) tls(n *doc.Node) *TLS {
	if n.Kind == doc.Bool {
		if n.Bool() {
			return &TLS{}
		}
		return nil
	}
	f := n.Fields()
	t := &TLS{CA: r.text(f.Get("ca")), Cert: r.text(f.Get("cert")), Key: r.text(f.Get("key")), ServerName: r.text(f.Get("server_name"))}
	if (t.Cert == "") != (t.Key == "") {
		n.Fail("has only one of cert and key: a client certificate needs both")
	}
	f.Done()
	return t
}

func (r *reader) sasl(n *doc.Node) *SASL {
	f := n.Fields()
	s := &SASL{
		Mechanism: f.Need("mechanism").Enum("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"),
	}
	switch {
	case s.Mechanism == "OAUTHBEARER":
		s.OAuth = r.oauth(f.Need("oauth"))
		for _, key := range []string{"username", "password"} {
			if n := f.Get(key); n != nil {
				n.Fail("is for the other mechanisms: leave it out")
			}
		}
	case f.Get("mechanism") != nil:
		s.Username, s.Password = r.filled(f, "username"), r.filled(f, "password")
	default: // the missing mechanism is the problem that counts
		r.text(f.Get("username"))
		r.text(f.Get("password"))
	}
	if n := f.Get("oauth"); n != nil && s.Mechanism != "OAUTHBEARER" {
		r.oauth(n)
		if s.Mechanism != "" {
			n.Fail("is only for the mechanism OAUTHBEARER")
		}
	}
	f.Done()
	return s
}

func (r *reader) oauth(n *doc.Node) *OAuth {
	f := n.Fields()
	o := &OAuth{
		Provider: kafka.ProviderClient, TokenURL: r.text(f.Get("token_url")), ClientID: r.text(f.Get("client_id")),
		ClientSecret: r.text(f.Get("client_secret")), AssertionFile: r.text(f.Get("assertion_file")),
		Scope: r.text(f.Get("scope")), Audience: r.text(f.Get("audience")), CA: r.text(f.Get("ca")),
		Region: r.text(f.Get("region")), Role: r.text(f.Get("role")),
	}
	if p := f.Get("provider"); p != nil {
		o.Provider = p.Enum(kafka.Providers()...)
	}
	f.Get("extensions").Each(func(name, value *doc.Node) {
		if o.Extensions == nil {
			o.Extensions = map[string]string{}
		}
		o.Extensions[name.String()] = r.text(value)
	})
	f.Done()
	return o
}

func (r *reader) file(n *doc.Node) *File {
	f := n.Fields()
	paths := f.Need("paths")
	out := &File{Paths: r.texts(paths), Follow: f.Get("follow").Bool()}
	if paths != nil && paths.Kind == doc.List && len(paths.Items()) == 0 {
		paths.Fail("names no file: give at least one file or folder, or - for standard input")
	}
	f.Done()
	return out
}

func (r *reader) state(f *doc.Fields) State {
	s := State{
		Dir:             absolute(r.text(f.Get("dir"))),
		Outbox:          integer(f.Get("outbox_mb"), DefaultOutbox>>20, 1, 1<<20) << 20,
		FindingsKeep:    duration(f.Get("findings_keep"), DefaultFindingsKeep, time.Minute, 3650*day),
		CheckpointEvery: duration(f.Get("checkpoint_every"), 0, 10*time.Millisecond, time.Minute),
		Cells:           int(integer(f.Get("cells"), 0, 1, 1<<30)),
	}
	if s.Dir == "" {
		s.Dir = absolute("state")
	}
	f.Done()
	return s
}

func (r *reader) sinks(f *doc.Fields) (s Sinks) {
	if c := f.Get("clickhouse"); c != nil {
		s.ClickHouse = r.clickhouse(c)
	}
	taken := map[string]bool{"clickhouse": true}
	if k := f.Get("kafka"); k != nil {
		s.Kafka = r.kafkaSink(k)
		taken["kafka"] = true
	}
	for i, item := range f.Get("webhooks").Items() {
		w := r.webhook(item, i)
		if taken[w.Name] {
			item.Fail("the name %q is taken: the outbox refers to endpoints by name, so names must differ", w.Name)
		}
		taken[w.Name] = true
		s.Webhooks = append(s.Webhooks, w)
	}
	f.Done()
	return s
}

func (r *reader) clickhouse(n *doc.Node) *ClickHouse {
	f := n.Fields()
	c := &ClickHouse{
		At: placeOf(r.origin, n), DSN: r.filled(f, "dsn"), Migrate: true, Cluster: r.text(f.Get("cluster")),
		TTL:  duration(f.Get("ttl"), 0, day, 36500*day),
		Rows: int(integer(f.Get("rows"), 0, 1, 100_000)), Linger: duration(f.Get("linger"), 0, 0, time.Minute),
	}
	c.Events, c.EventsTTL = schema.Archive(r.text(f.Get("events"))), duration(f.Get("events_ttl"), 0, day, 36500*day)
	switch c.Events {
	case "", schema.ArchiveOff, schema.ArchiveMatched, schema.ArchiveAll:
	default:
		f.Get("events").Fail("%q: write off, matched or all", doc.Short(string(c.Events)))
	}
	if m := f.Get("migrate"); m != nil {
		c.Migrate = m.Bool()
	}
	if u, err := url.Parse(c.DSN); c.DSN != "" && (err != nil || u.Scheme == "" || u.Host == "") {
		f.Get("dsn").Fail("is not a DSN: write clickhouse://user:password@host:9000/database")
	} else if c.DSN != "" && !clickhouse.KnownScheme(c.DSN) {
		f.Get("dsn").Fail("has an unknown scheme: write clickhouse://, or http:// or https:// for the HTTP interface")
	}
	f.Done()
	return c
}

func (r *reader) http(f *doc.Fields) HTTP {
	h := HTTP{Listen: r.text(f.Get("listen")), Pprof: f.Get("pprof").Bool()}
	if _, _, err := net.SplitHostPort(h.Listen); h.Listen != "" && err != nil {
		f.Get("listen").Fail("%q is not host:port, such as 127.0.0.1:8471", doc.Short(h.Listen))
	}
	if n := f.Get("tls"); n != nil {
		h.TLS = r.serverTLS(n)
	}
	f.Done()
	return h
}

func (r *reader) serverTLS(n *doc.Node) *ServerTLS {
	f := n.Fields()
	t := &ServerTLS{At: placeOf(r.origin, n), Cert: r.filled(f, "cert"), Key: r.filled(f, "key"), ClientCA: r.text(f.Get("client_ca"))}
	f.Done()
	return t
}

func (r *reader) log(f *doc.Fields) Log {
	l := Log{Format: "text", Level: "info"}
	if v := f.Get("format"); v != nil {
		l.Format = v.Enum("text", "json")
	}
	if v := f.Get("level"); v != nil {
		l.Level = v.Enum("debug", "info", "warn", "error")
	}
	f.Done()
	return l
}
