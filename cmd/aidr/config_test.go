package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

// smallest is the smallest useful configuration, with the addresses and the secret to fill in.
const smallest = `sources:
  - kafka: {brokers: [%q], topics: [cloudtrail, litellm]}
rules: [library]
state: {dir: ./state}
sinks:
  clickhouse: {dsn: "clickhouse://aidr:${CLICKHOUSE_PASSWORD}@127.0.0.1:9000/aidr"}
  webhooks:
    - {name: soc, url: %q, secret: "${AIDR_WEBHOOK_SECRET}"%s}
http: {listen: "127.0.0.1:8471"}
`

// TestSmallestConfig checks that the smallest configuration needs nothing but itself: no checkout and no folder of rules.
func TestSmallestConfig(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "aidr.yaml", fmt.Sprintf(smallest, "127.0.0.1:9092", "https://soc.example.com/hook", ""))
	secret := strings.TrimSpace(mustAidr(t, "webhook", "secret"))
	env := []string{"CLICKHOUSE_PASSWORD=secret", "AIDR_WEBHOOK_SECRET=" + secret}
	if o := aidrWith(t, env, nil, "config", "check", "aidr.yaml"); o.code != exitOK || strings.Contains(o.stderr, "warning: ") {
		t.Errorf("config check: exit code %d\n%s", o.code, o.stderr)
	}
	if o := aidr(t, "rules", "check", "library"); o.code != exitOK || !strings.Contains(o.stdout, "llm.") {
		t.Errorf("rules check library: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := aidr(t, "rules", "test", "--update", "library"); o.code != exitUsage {
		t.Errorf("rules test --update library: exit code %d\n%s", o.code, o.stderr)
	}
	if err := os.MkdirAll("library", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "library/own.yaml", "id: own.rule\ntitle: T\nseverity: low\nwhen: event.class == \"tool\"\n")
	o := aidr(t, "rules", "check", "library")
	if o.code != exitWarnings || !strings.Contains(o.stderr, "write ./library") || strings.Contains(o.stdout, "own.rule") {
		t.Errorf("rules check library beside a folder of that name: exit code %d\n%s", o.code, o.stderr)
	}
	if o := aidr(t, "rules", "check", "library", "./library"); !strings.Contains(o.stdout, "own.rule") || !strings.Contains(o.stdout, "llm.") {
		t.Errorf("rules check library ./library: exit code %d\n%s", o.code, o.stderr)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestConfigCheckReportsEverything checks a configuration with a mistake in every part.
func TestConfigCheckReportsEverything(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, folder := range []string{"rules", "maps", "lists"} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "rules/a.yaml", "id: a.b\ntitle: T\nseverity: low\nwhen: event.clas == \"tool\"\n")
	write(t, "maps/m.yaml", "name: m\nclass: nonsense\n")
	write(t, "lists/l.yaml", "nmae: l\n")
	write(t, "agents.yaml", "agents: [{uid: a, surprise: 1}]\n")
	write(t, "file", "")
	write(t, "aidr.yaml", `sources:
  - name: a
    kafka: {brokers: [nohost], topics: ["a b"], group: g, start: soon}
    format: m
  - name: b
    kafka: {brokers: ["${BROKER}"], topics: [t], group: g}
  - name: c
    file: {paths: [nowhere.log]}
rules: [rules]
maps: [maps]
lists: lists
agents: agents.yaml
enrichment: {country: none.mmdb}
state: {dir: file/state}
sinks:
  clickhouse: {dsn: "postgres://u:p@h:9000/db"}
  webhooks:
    - {name: x, url: "http://127.0.0.1:1/", secret: "${SECRET_ONE}"}
    - {name: y, url: "https://u:p@soc.example.com/", secret: nonsense, filter: "severty == 1"}
surprise: 1
`)
	o := aidr(t, "config", "check", "aidr.yaml")
	if o.code != exitFailed {
		t.Errorf("exit code %d, want %d", o.code, exitFailed)
	}
	for _, want := range []string{
		"error: aidr.yaml:3:66: sources[0].kafka.start:",
		`error: aidr.yaml:2:5: source "a": configure kafka source "a": broker "nohost"`,
		`error: aidr.yaml:2:5: source "a": configure kafka source "a": topic "a b"`,
		"error: aidr.yaml:6:57: sources[1].kafka.group:", "aidr.yaml:2:5",
		"error: aidr.yaml:6:23: sources[1].kafka.brokers[0]: names the environment variable BROKER",
		"warning: aidr.yaml:8:20: sources[2].file.paths[0]:",
		"rules/a.yaml:4:", "maps/m.yaml:2:", "lists/l.yaml:1:", "agents.yaml:1:",
		"error: aidr.yaml:13:13: enrichment: ", "error: aidr.yaml:14:14: state.dir: ", "is not a folder",
		"error: aidr.yaml:16:21: sinks.clickhouse.dsn: has an unknown scheme",
		"error: aidr.yaml:18:22: sinks.webhooks[0].url: is never delivered to",
		"error: aidr.yaml:18:53: sinks.webhooks[0].secret: names the environment variable SECRET_ONE",
		`error: aidr.yaml:19:7: sinks.webhooks "y": webhook "y": url: `, `error: aidr.yaml:19:7: sinks.webhooks "y": webhook "y": `,
		"error: aidr.yaml:19:81: sinks.webhooks[1].filter:", "error: aidr.yaml:20:1: surprise: ",
		"environment variables that are not set: BROKER, SECRET_ONE",
	} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("%q is not in the output", want)
		}
	}
	for _, consequence := range []string{"placeholder", "is not a format", `start "`} {
		if strings.Contains(o.stderr, consequence) {
			t.Errorf("%q is in the output", consequence)
		}
	}
	if t.Failed() {
		t.Logf("the output:\n%s", o.stderr)
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 6 {
		t.Errorf("the check left files: %v, %v", entries, err)
	}
}

// TestConfigConnect checks the answers of outside systems.
func TestConfigConnect(t *testing.T) {
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "litellm", 2)
	conntest.Produce(t, fake.Addr, "litellm", 1, conntest.Messages("a", "b"), nil)
	receiver := startReceiver(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	file := filepath.Join(t.TempDir(), "aidr.yaml")
	write(t, file, fmt.Sprintf(`sources:
  - {name: logs, kafka: {brokers: [%q, %q], topics: [litellm, nowhere]}}
  - {name: away, kafka: {brokers: [%q], topics: [x]}}
state: {dir: %q}
sinks:
  clickhouse: {dsn: "clickhouse://u:tell-nobody@%s/db"}
  webhooks:
    - {name: soc, url: %q, secret: %q, allow_networks: ["127.0.0.0/8"]}
    - {name: gone, url: "http://%s/tell-nobody", secret: %q, allow_networks: ["127.0.0.0/8"]}
`, fake.Addr, nobody, nobody, filepath.Join(t.TempDir(), "state"), nobody, receiver.url, receiver.secret, nobody, receiver.secret))
	o := aidr(t, "config", "check", "--connect", file)
	if o.code != exitFailed || strings.Contains(o.stdout+o.stderr, "tell-nobody") {
		t.Errorf("exit code %d", o.code)
	}
	for _, want := range []string{
		"ok: source.logs: broker " + fake.Addr + ": answers\n", "warning: source.logs: broker " + nobody + ": ",
		"error: source.logs: topic nowhere: does not exist", "ok: source.logs: topic litellm: readable, 2 partitions with 2 records\n",
		"ok: source.logs: group aidr-logs: usable", "error: source.away: broker " + nobody + ": ",
		"error: sink.clickhouse: ", "ok: sink.soc: answers 401 to a HEAD request",
		"warning: source.logs: timestamps: the producers choose the timestamps of the records in litellm", "error: sink.gone: ",
	} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in the output", want)
		}
	}
	if t.Failed() {
		t.Logf("the output:\n%s%s", o.stdout, o.stderr)
	}
}

// TestConfigMigrate shows the changes without secrets, writes them on request, and then finds nothing more to change.
func TestConfigMigrate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "aidr.yaml")
	write(t, file, "sources: [{file: {paths: [x]}}]   # kept\nsinks:\n  clickhouse: {dsn: \"native://u:tell-nobody@h:9000/aidr\"}\n")
	o := aidr(t, "config", "migrate", file)
	if o.code != exitWarnings || !strings.Contains(o.stdout, "+clickhouse://h:9000/aidr") || strings.Contains(o.stdout, "tell-nobody") {
		t.Errorf("got %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := aidr(t, "config", "migrate", file, "--write"); o.code != exitOK {
		t.Errorf("--write: %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "# kept") || !strings.Contains(string(text), `"clickhouse://u:tell-nobody@h:9000/aidr"`) {
		t.Errorf("got %v\n%s", err, text)
	}
	if o := aidr(t, "config", "migrate", file); o.code != exitOK || o.stdout != "up to date\n" {
		t.Errorf("again: %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}
