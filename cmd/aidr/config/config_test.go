package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// hidden is the secret of the tests. No problem may contain it.
const hidden = "tell-nobody-4711"

// person parses a configuration with an environment that has one secret.
func person(src string) (*Config, []doc.Problem) {
	return Parse("f.yaml", []byte(src), func(name string) (string, bool) {
		v, ok := map[string]string{"TOKEN": hidden, "EMPTY": "", "HOOK": "whsec_" + hidden}[name]
		return v, ok
	})
}

const everything = `
sources:
  - name: logs
    kafka:
      brokers: ["a:9092", "b:9092"]
      topics: [cloudtrail, litellm]
      group: g
      start: 2026-01-31T12:00:00Z
      client_id: me
      tls: {ca: ca.pem, cert: c.pem, key: k.pem, server_name: kafka.example}
      sasl: {mechanism: SCRAM-SHA-512, username: u, password: "${TOKEN}"}
    format: cloudtrail
    tenant: acme
    datasets: [aws.cloudtrail]
    delay: {aws.cloudtrail: 20m}
    idle: 45s
    silent_after: 6h
    trust_forwarded: ["10.0.0.0/8"]
    trust_declared: true
  - kafka: {brokers: ["a:9092"], pattern: "logs\\..*", tls: true, sasl: {mechanism: OAUTHBEARER,
      oauth: {provider: client_credentials, token_url: "https://l/t", client_id: id, client_secret: "${TOKEN}", scope: a b, audience: x,
        ca: ca.pem, extensions: {logicalCluster: lkc-1}}},
      registry: {url: "https://r", username: u, password: "${TOKEN}", tls: {ca: a, cert: c, key: k}, schemas: s, id_bytes: 8}}
    delay: 5s
  - name: files
    file: {paths: [a.log, dir], follow: true}
    silent_after: 0s
rules: [r1, r2]
lists: l
agents: agents.yaml
shards: 3
memory: 512MiB
state: {dir: /var/aidr, outbox_mb: 7, findings_keep: 2d, checkpoint_every: 100ms, cells: 9}
sinks:
  clickhouse: {dsn: "clickhouse://u:${TOKEN}@h:9000/db", migrate: false, cluster: c, ttl: 30d, rows: 500, linger: 2s}
  webhooks:
    - name: soc
      url: https://h.example/x
      secret: "${HOOK}"
      secrets: ["whsk_$${x}"]
      allow_networks: ["127.0.0.0/8"]
      filter: severity >= "high" && type == "finding.opened"
      timeout: 3s
      retries: [1s, 5m]
      headers: {Authorization: "Bearer ${TOKEN}"}
      rate: 2.5
      concurrency: 4
http: {listen: "127.0.0.1:1", pprof: true, tls: {cert: s.pem, key: s.key, client_ca: ca.pem}}
log: {format: json, level: debug}
`

// TestFormats checks that the format of a source is a name or a list of names.
func TestFormats(t *testing.T) {
	for text, want := range map[string]string{
		"": "auto", "format: auto, ": "auto", "format: kong, ": "kong", "format: [auto], ": "auto",
		"format: [litellm, aws.cloudtrail], ": "litellm,aws.cloudtrail", "format: [auto, aidr], ": "auto,aidr",
	} {
		c, problems := Parse("f.yaml", []byte("sources: [{"+text+"file: {paths: [x]}}]\n"), nil)
		if c == nil || c.Sources[0].Format != want {
			t.Errorf("%q: got %v and problems %v, want %q", text, c, problems, want)
		}
	}
	for text, want := range map[string]string{
		"format: []": "names no format", "format: [auto, kongg]": `"kongg" is not a format`, "format: kongg": `"kongg" is not a format`,
		"format: [litellm, kong], datasets: [aws.cloudtrail]": `does not give the dataset "aws.cloudtrail"`,
		"format: auto, datasets: [x.test]":                    `does not give the dataset "x.test"`,
		"format: [auto, aidr], datasets: [x.test]":            "only records of format aidr can name it",
	} {
		_, problems := Parse("f.yaml", []byte("sources: [{"+text+", file: {paths: [x]}}]\n"), nil)
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%q: got problems %v, want %q", text, problems, want)
		}
	}
}

func TestEveryKey(t *testing.T) {
	c, problems := person(everything)
	if len(problems) > 0 {
		t.Fatalf("got problems %v", problems)
	}
	filter := c.Sinks.Webhooks[0].Filter
	c.Sinks.Webhooks[0].Filter, c.places = nil, nil
	want := &Config{
		File: "f.yaml", Rules: []string{"r1", "r2"}, Lists: "l", Agents: "agents.yaml", Shards: 3, Memory: 512 << 20,
		Sources: []Source{
			{
				At: Place{"f.yaml", 3, 5}, Name: "logs", Format: "cloudtrail", Tenant: "acme", Datasets: []string{"aws.cloudtrail"},
				Delay: map[string]time.Duration{"aws.cloudtrail": 20 * time.Minute}, Idle: 45 * time.Second, TrustForwarded: []string{"10.0.0.0/8"},
				SilentAfter: 6 * time.Hour, TrustDeclared: true,
				Kafka: &Kafka{
					Brokers: []string{"a:9092", "b:9092"}, Topics: []string{"cloudtrail", "litellm"}, Group: "g", Start: "2026-01-31T12:00:00Z",
					ClientID: "me", TLS: &TLS{"ca.pem", "c.pem", "k.pem", "kafka.example"}, SASL: &SASL{Mechanism: "SCRAM-SHA-512", Username: "u", Password: hidden},
				},
			},
			{
				At: Place{"f.yaml", 20, 5}, Name: "source-2", Format: "auto", Delay: map[string]time.Duration{"": 5 * time.Second},
				SilentAfter: DefaultSilentAfter,
				Kafka: &Kafka{Brokers: []string{"a:9092"}, Pattern: `logs\..*`, Group: "aidr-source-2", Start: "first", TLS: &TLS{},
					SASL: &SASL{Mechanism: "OAUTHBEARER", OAuth: &OAuth{
						Provider: "client_credentials", TokenURL: "https://l/t", ClientID: "id", ClientSecret: hidden, Scope: "a b", Audience: "x",
						CA: "ca.pem", Extensions: map[string]string{"logicalCluster": "lkc-1"},
					}},
					Registry: &Registry{
						URL: "https://r", Username: "u", Password: hidden, TLS: &RegistryTLS{"a", "c", "k"}, Schemas: "s", IDBytes: 8,
					}},
			},
			{At: Place{"f.yaml", 25, 5}, Name: "files", Format: "auto", File: &File{Paths: []string{"a.log", "dir"}, Follow: true}},
		},
		State: State{Dir: "/var/aidr", Outbox: 7 << 20, FindingsKeep: 48 * time.Hour, CheckpointEvery: 100 * time.Millisecond, Cells: 9},
		Sinks: Sinks{
			ClickHouse: &ClickHouse{
				At: Place{"f.yaml", 35, 15}, DSN: "clickhouse://u:" + hidden + "@h:9000/db", Cluster: "c", TTL: 720 * time.Hour,
				Rows: 500, Linger: 2 * time.Second,
			},
			Webhooks: []Webhook{{
				At: Place{"f.yaml", 37, 7}, Name: "soc", URL: "https://h.example/x", Secrets: []string{"whsec_" + hidden, "whsk_${x}"},
				AllowNetworks: []string{"127.0.0.0/8"}, Timeout: 3 * time.Second, Retries: []time.Duration{time.Second, 5 * time.Minute},
				Headers: map[string]string{"Authorization": "Bearer " + hidden}, Rate: 2.5, Concurrency: 4,
			}},
		},
		HTTP:      HTTP{Listen: "127.0.0.1:1", Pprof: true, TLS: &ServerTLS{Place{"f.yaml", 48, 49}, "s.pem", "s.key", "ca.pem"}},
		Telemetry: Telemetry{Every: DefaultTelemetryEvery, Traces: DefaultTraces}, // off: it has no endpoint
		Log:       Log{Format: "json", Level: "debug"},
	}

	want.digests = c.digests // see TestChanged
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
	for severity, want := range map[schema.Severity]bool{"critical": true, "high": true, "low": false} {
		if got, err := filter("finding.opened", &schema.Finding{Severity: severity}); got != want || err != nil {
			t.Errorf("filter of severity %s: got %t, %v", severity, got, err)
		}
	}
	if got, err := filter("finding.updated", &schema.Finding{Severity: "high"}); got || err != nil {
		t.Errorf("filter of an update: got %t, %v", got, err)
	}
}

func TestDefaults(t *testing.T) {
	c, problems := person("sources: [{file: {paths: [x]}}]\n")
	if len(problems) > 0 {
		t.Fatalf("got problems %v", problems)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := State{Dir: filepath.Join(wd, "state"), Outbox: DefaultOutbox, FindingsKeep: DefaultFindingsKeep}
	if c.State != want {
		t.Errorf("state: got %+v, want %+v", c.State, want)
	}
	if want := (Log{Format: "text", Level: "info"}); c.Log != want {
		t.Errorf("log: got %+v, want %+v", c.Log, want)
	}
	if c.Sources[0].Name != "source-1" || c.Sources[0].Format != "auto" || c.Sinks.ClickHouse != nil || c.HTTP.Listen != "" {
		t.Errorf("got %+v", c)
	}
}

// texts returns the problems, one per line.
func texts(problems []doc.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func TestProblems(t *testing.T) {
	const source = "sources: [{file: {paths: [x]}}]\n"
	f := func(src, want string) {
		t.Helper()
		c, problems := person(src)
		got, wanted := strings.Split(strings.TrimSpace(texts(problems)), "\n"), strings.Split(strings.TrimSpace(want), "\n")
		if !slices.EqualFunc(got, wanted, func(got, want string) bool {
			start, more := strings.CutSuffix(want, "...") // only the beginning is compared
			return got == want || more && strings.HasPrefix(got, start)
		}) {
			t.Errorf("%s\ngot\n%s\nwant\n%s", src, strings.Join(got, "\n"), want)
		}
		if usable := want == "" || strings.Contains(want, "only records of format aidr"); (c != nil) != usable {
			t.Errorf("%s: usable: %t, want %t", src, c != nil, usable)
		}
	}
	f("", "f.yaml:1:1: the file is empty")
	f("{}", `f.yaml:1:1: "sources" is missing`)
	f(source+"state:\nsinks:\nhttp:\nlog:\nrules: []\n", "")
	f("sources: []", "f.yaml:1:10: sources: names no source: give at least one with kafka or file")
	f("sources: [{}]\nsauces: 1\n", `
f.yaml:1:11: sources[0]: needs exactly one of kafka and file
f.yaml:2:1: sauces: unknown key: did you mean sources?; known are agents, canary, console, control, decisions, enrichment, http, identity, links, lists, log, `+
		`maps, memory, redact, response, rules, shards, sinks, sources, state, telemetry`)
	f("sources: [{file: {paths: []}}, {file: {}}, {file: {paths: ['']}}]", `
f.yaml:1:26: sources[0].file.paths: names no file: give at least one file or folder, or - for standard input
f.yaml:1:39: sources[1].file: "paths" is missing
f.yaml:1:60: sources[2].file.paths[0]: is empty: write something or leave it out`)
	f("sources: [{name: a, file: {paths: [x]}}, {name: a, file: {paths: [x]}}, {name: A b, file: {paths: [x]}}]", `
f.yaml:1:42: sources[1]: the name "a" is taken by a source above: checkpoints refer to sources by name, so names must differ
f.yaml:1:80: sources[2].name: "A b" is not a valid name: use up to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or digit`)
	f("sources: [{file: {paths: [x]}, format: cloudtrial}]", `
f.yaml:1:40: sources[0].format: "cloudtrial" is not a format: use one of auto, ...`)
	f("sources: [{file: {paths: [x]}, format: cloudtrail, delay: {kong: 1s}, datasets: [x]}]", `
f.yaml:1:60: sources[0].delay.kong: the source's format does not give the dataset "kong": it gives aws.cloudtrail
f.yaml:1:82: sources[0].datasets[0]: the source's format does not give the dataset "x": it gives aws.cloudtrail`)
	f("sources: [{file: {paths: [x]}, format: aidr, datasets: [my.own]}]", `
f.yaml:1:57: sources[0].datasets[0]: no format gives the dataset "my.own": only records of format aidr can name it; known are ...`)
	f("sources: [{file: {paths: [x]}, idle: 1ms, delay: 2d, trust_forwarded: [1.2.3.4]}]", `
f.yaml:1:38: sources[0].idle: 1ms is outside 1s to 1d
f.yaml:1:50: sources[0].delay: 2d is outside 0s to 1d
f.yaml:1:72: sources[0].trust_forwarded[0]: "1.2.3.4" is not a network: write it like 10.0.0.0/8`)
	f("sources: [{kafka: {brokers: [b], topics: [t], pattern: '(', start: noon, tls: {cert: c}, "+
		"sasl: {mechanism: MD5, username: '', password: p}}}]", `
f.yaml:1:19: sources[0].kafka: needs either topics, or a pattern for their names
f.yaml:1:56: sources[0].kafka.pattern: is not a regular expression: error parsing regexp: missing closing ): `+"`(`"+`
f.yaml:1:68: sources[0].kafka.start: is not first, last or a time like 2026-01-31T12:00:00Z
f.yaml:1:79: sources[0].kafka.tls: has only one of cert and key: a client certificate needs both
f.yaml:1:108: sources[0].kafka.sasl.mechanism: "MD5" is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
f.yaml:1:123: sources[0].kafka.sasl.username: is blank: write something or leave the key out`)
	f("sources: [{kafka: {brokers: [b], topics: [t], sasl: {mechanism: OAUTHBEARER}}}, "+
		"{kafka: {brokers: [b], topics: [t], sasl: {mechanism: PLAIN, username: u, password: p, oauth: {provider: okta}}}}, "+
		"{kafka: {brokers: [b], topics: [t], sasl: {mechanism: OAUTHBEARER, username: u, oauth: {client_secrets: x}}}}]", `
f.yaml:1:53: sources[0].kafka.sasl: "oauth" is missing
f.yaml:1:175: sources[1].kafka.sasl.oauth: is only for the mechanism OAUTHBEARER
f.yaml:1:186: sources[1].kafka.sasl.oauth.provider: "okta" is not one of client_credentials, aws, azure, gcp
f.yaml:1:273: sources[2].kafka.sasl.username: is for the other mechanisms: leave it out
f.yaml:1:284: sources[2].kafka.sasl.oauth.client_secrets: unknown key: did you mean client_secret?; known are ...`)
	f("sources: [{kafka: {brokers: [b], topics: [t], registry: {id_bytes: 5, username: u}}}, "+
		"{kafka: {brokers: [b], topics: [t], registry: {url: 'http://u:p@r', tls: {cert: c}}}}]", `
f.yaml:1:57: sources[0].kafka.registry: has only one of username and password: basic authentication needs both
f.yaml:1:57: sources[0].kafka.registry: needs the url of the registry, or a folder with its schemas
f.yaml:1:68: sources[0].kafka.registry.id_bytes: is neither 4 nor 8
f.yaml:1:139: sources[1].kafka.registry.url: holds a user: use username and password
f.yaml:1:160: sources[1].kafka.registry.tls: does nothing with an http address
f.yaml:1:160: sources[1].kafka.registry.tls: has only one of cert and key: a client certificate needs both`)
	f(source+"state: {dir: 3, outbox_mb: 0, cells: x}\nshards: 0\nmemory: 2MiB\n", `
f.yaml:2:14: state.dir: is a whole number, not text: put it into quotes
f.yaml:2:28: state.outbox_mb: 0 is outside 1 to 1048576
f.yaml:2:38: state.cells: is text, not a whole number
f.yaml:3:9: shards: 0 is outside 1 to 1024
f.yaml:4:9: memory: 2MiB is outside 256MiB to 1024GiB`)
	f(source+"memory: much\n", "f.yaml:2:9: memory: is not a size: write it like 512MiB or 4GiB")
	f(source+"http: {listen: 8471x}\nlog: {format: xml, level: loud}\n", `
f.yaml:2:16: http.listen: "8471x" is not host:port, such as 127.0.0.1:8471
f.yaml:3:15: log.format: "xml" is not one of text, json
f.yaml:3:27: log.level: "loud" is not one of debug, info, warn, error`)
	f(source+"sinks: {clickhouse: {dsn: nowhere}}\n",
		"f.yaml:2:27: sinks.clickhouse.dsn: is not a DSN: write clickhouse://user:password@host:9000/database")
	f(source+"sinks: {clickhouse: {}}\n", `f.yaml:2:21: sinks.clickhouse: "dsn" is missing`)
	f(source+`sinks:
  webhooks:
    - {url: "ftp://x", rate: 0, retries: [0s], secret: x}
    - {name: clickhouse, url: "https://x", concurrency: 65}
    - url: https://x
      secrets: [x]
      filter: 'severity == "high" && no'
`, `
f.yaml:4:13: sinks.webhooks[0].url: is not an http or https URL
f.yaml:4:30: sinks.webhooks[0].rate: must be more than 0 deliveries per second
f.yaml:4:43: sinks.webhooks[0].retries[0]: 0s is outside 1ms to 7d
f.yaml:5:7: sinks.webhooks[1]: has no secret to sign deliveries with: make one with `+"`aidr webhook secret`"+`
f.yaml:5:7: sinks.webhooks[1]: the name "clickhouse" is taken: the outbox refers to endpoints by name, so names must differ
f.yaml:5:57: sinks.webhooks[1].concurrency: 65 is outside 1 to 64
f.yaml:8:38: sinks.webhooks[2].filter: there is no value of a finding no: ...`)
	f(source+`sinks:
  webhooks:
    - {url: "https://x", secret: x, filter: 'severity >= "urgent"'}
    - {url: "https://x", secret: x, filter: 'tenant == "a" && severity in ["low", "hihg"] || type == "finding.open"'}
`, `
f.yaml:4:58: sinks.webhooks[0].filter: there is no severity urgent: there are info, low, medium, high, critical
f.yaml:5:83: sinks.webhooks[1].filter: there is no severity hihg: did you mean high?
f.yaml:5:102: sinks.webhooks[1].filter: there is no type finding.open: did you mean finding.opened?`)
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", hidden+"\r\n")
	hook := func(secret string) string {
		return "sources: [{file: {paths: [x]}}]\nsinks: {webhooks: [{url: \"https://x\", secret: '" + secret + "'}]}\n"
	}
	for text, want := range map[string]string{
		"${TOKEN}": hidden, "a${TOKEN}b": "a" + hidden + "b", "${file:" + good + "}": hidden, "$$": "$", "a$$b$$": "a$b$",
		"$${TOKEN}": "${TOKEN}", "${TOKEN}${TOKEN}": hidden + hidden,
	} {
		c, problems := person(hook(text))
		if c == nil {
			t.Errorf("%s: got %v", text, problems)
		} else if got := c.Sinks.Webhooks[0].Secrets[0]; got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"${NONE}":                             "names the environment variable NONE, which is not set",
		"${EMPTY}":                            "names the environment variable EMPTY, which is not set",
		"${":                                  "has a lone $",
		"a$b":                                 "has a lone $",
		"$":                                   "has a lone $",
		"${TOKEN":                             "has a lone $",
		"${file:" + dir + "/none}":            "no such file",
		"${file:" + dir + "}":                 "cannot be read",
		"${file:" + file("empty", "\n") + "}": "which is empty",
		"${file:" + file("large", strings.Repeat(hidden, MaxSecretFile/10)) + "}": "too large for a secret",
	} {
		c, problems := person(hook(text))
		if got := texts(problems); c != nil || !strings.Contains(got, want) || !strings.Contains(got, "f.yaml:2:") {
			t.Errorf("%s: got %q, want %q in it", text, got, want)
		}
	}
}

// TestSecretsAreNotPrinted checks that no problem contains a secret, wherever the secret and the mistake are.
func TestSecretsAreNotPrinted(t *testing.T) {
	for _, src := range []string{
		"sources: [{file: {paths: [x]}}]\nsinks: {clickhouse: {dsn: \"" + hidden + "\", ttl: 3, x: 1}}\n",
		"sources: [{file: {paths: [x]}}]\nsinks: {clickhouse: {dsn: \"clickhouse://u:" + hidden + "@:x:y\", ttl: 3}}\n",
		"sources: [{file: {paths: [x]}}]\nsinks: {webhooks: [{url: \"http//" + hidden + "\", secret: \"" + hidden + "\", rate: 0}]}\n",
		"sources: [{file: {paths: [x]}}]\nsinks: {webhooks: [{url: \"http://%zz/" + hidden + "\", secret: [" + hidden + "]}]}\n",
		"sources: [{file: {paths: [x]}}]\nsinks: {webhooks: [{secret: \"" + hidden + "}]}\n",
		"sources: [{kafka: {brokers: [b], topics: [t], sasl: {mechanism: PLAIN, password: \"${TOKEN}\", username: 1}}}]\n",
		"sources: [{kafka: {brokers: [b], topics: [t], sasl: {mechanism: PLAIN, password: \"" + hidden + "$\", username: u}}}]\n",
		"sources: [{kafka: {brokers: [b], topics: [t], sasl: {mechanism: OAUTHBEARER, oauth: {client_secret: \"" + hidden + "$\", token_url: 1}}}}]\n",
	} {
		c, problems := person(src)
		if c != nil || len(problems) == 0 {
			t.Errorf("%s: got no problem", src)
		}
		for _, p := range problems {
			if strings.Contains(p.String()+p.Snippet, hidden) {
				t.Errorf("%s: secret printed in %s\n%s", src, p, p.Snippet)
			}
		}
	}
}

func TestExampleLoads(t *testing.T) {
	c, problems := person(Example)
	if c == nil || len(problems) > 0 {
		t.Fatalf("the example: %s", texts(problems))
	}
	// The suggestions in comments load too.
	var b strings.Builder
	for _, line := range strings.Split(Example, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		rest, commented := strings.CutPrefix(strings.TrimLeft(line, " "), "# ")
		if commented && strings.Contains(rest, ": ") || commented && strings.HasPrefix(rest, "  ") || strings.TrimSpace(rest) == "webhooks:" {
			line = indent + rest
		}
		b.WriteString(line + "\n")
	}
	env := func(name string) (string, bool) { return "whsec_" + name, true }
	t.Chdir(t.TempDir()) // the suggested folder of maps must exist
	if err := os.Mkdir("maps", 0o700); err != nil {
		t.Fatal(err)
	}
	const doors = "name: doors\ndataset: x.test\nclass: api\nkeys: [at, door]\nfields: {time: at, event.action: door}\nidentity: [door]\n" +
		"tests: [{name: a, record: {at: 1767261600, door: front}, events: [{event.action: front, ai_agent.uid: front}]}]\n"
	if err := os.WriteFile("maps/doors.yaml", []byte(doors), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(b.String(), "\n${NAME}", "\n# ${NAME}", 1)
	whole = strings.Replace(whole, "\nConfiguration", "\n# Configuration", 1)
	c, problems = Parse("example", []byte(whole), env)
	if c == nil || len(problems) > 0 {
		t.Fatalf("the example with its suggestions: %s\n%s", texts(problems), whole)
	}
	if len(c.Sources) != 2 || c.Sinks.ClickHouse == nil || len(c.Sinks.Webhooks) != 1 || c.Sources[0].Kafka.SASL == nil || c.Agents == "" {
		t.Errorf("suggestions are missing: %+v", c)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	c, problems := Load(path)
	if c != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].String(), path+":1:1: cannot be read:") {
		t.Errorf("got %v, %v", c, problems)
	}
	if err := os.WriteFile(path, []byte("sources: [{file: {paths: [x]}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, problems = Load(path); c == nil || c.File != path || len(problems) > 0 {
		t.Errorf("got %v, %v", c, problems)
	}
}

// FuzzParse checks that Parse does not panic, and returns a problem for each text that does not load.
func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add(Example)
	f.Add("sources: [{file: {paths: [\"$\", \"${\", \"$$\"]}}]")
	f.Add("sources: {a: b}\nsinks: []\nstate: x\nhttp: [1]\nlog: {format: 1}\nrules: {}\n")
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 4096 {
			return
		}
		c, problems := Parse("f", []byte(src), func(string) (string, bool) { return "x", true })
		if c == nil && len(problems) == 0 {
			t.Fatal("it does not load, but there is no problem")
		}
	})
}

// TestReadingOnly checks that LoadReading reads only the keys that determine how records are decoded, that it needs no
// secrets, that all these keys are optional, and that it still reports unknown keys.
func TestReadingOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	f := func(src string) (*Config, []doc.Problem) {
		t.Helper()
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		return LoadReading(file)
	}
	c, problems := f(everything)
	if len(problems) > 0 {
		t.Fatalf("got problems %v", problems)
	}
	s := c.Sources[0]
	if s.Name != "logs" || s.Format != "cloudtrail" || s.Tenant != "acme" ||
		s.Delay["aws.cloudtrail"] != 20*time.Minute || len(s.TrustForwarded) != 1 {
		t.Errorf("got source %+v", s)
	}
	if s.Kafka != nil || c.Sinks.ClickHouse != nil || c.State.Dir != "" || len(c.Sources) != 3 || !slices.Equal(c.Rules, []string{"r1", "r2"}) {
		t.Errorf("got %+v", c)
	}
	if c, problems := f("redact: {user.email: drop}\n"); c == nil || len(problems) > 0 || len(c.Sources) > 0 {
		t.Errorf("a part: got %+v, %v", c, problems)
	}
	for _, bad := range []string{"sorces: []\n", "sources: [{kafak: {}}]\n", "sources: []\n", "sources: [{name: a}, {name: a}]\n"} {
		if c, problems := f(bad); c != nil || len(problems) == 0 {
			t.Errorf("%q: got %+v, %v", bad, c, problems)
		}
	}
}
