package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/doc"
)

// TestGroups checks that each Kafka source has a group of its own, and that two sources cannot share one.
func TestGroups(t *testing.T) {
	const kafka = `kafka: {brokers: ["a:9092"], topics: [t]`
	f := func(src string, want ...string) {
		t.Helper()
		c, problems := person("sources:\n" + src)
		if c == nil || len(problems) > 0 {
			t.Fatalf("%s: %s", src, texts(problems))
		}
		var got []string
		for _, s := range c.Sources {
			got = append(got, s.Kafka.Group)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", src, got, want)
		}
	}
	f("- {"+kafka+"}}\n", "aidr-source-1")
	f("- {name: a, "+kafka+"}}\n- {name: b, "+kafka+"}}\n- {"+kafka+", group: g}}\n", "aidr-a", "aidr-b", "g")

	refused := func(src, at, with string) {
		t.Helper()
		c, problems := person("sources:\n" + src)
		if got := texts(problems); c != nil || len(problems) != 1 || !strings.HasPrefix(got, at) || !strings.Contains(got, with) {
			t.Errorf("%s: got %s, want %s ... %s", src, got, at, with)
		}
	}
	refused("- {name: a, "+kafka+", group: g}}\n- {name: b, "+kafka+", group: g}}\n",
		"f.yaml:3:62: sources[1].kafka.group: the consumer group \"g\" is that of the source \"a\" (f.yaml:2:3) too", "name another group")
	refused("- {name: a, "+kafka+", group: aidr-b}}\n- {name: b, "+kafka+"}}\n",
		"f.yaml:3:20: sources[1].kafka: the consumer group \"aidr-b\" is that of the source \"a\" (f.yaml:2:3) too", "")
	refused("- {name: a, "+kafka+", group: g}}\n- {name: b, "+strings.Replace(kafka, "a:9092", "b:9092", 1)+", group: g}}\n", "f.yaml:3:62: ", "")
	refused("- {name: a, "+kafka+"}}\n- {name: a, "+kafka+"}}\n", "f.yaml:3:3: sources[1]: the name \"a\" is taken", "")
}

// TestRefusedAddresses checks that an endpoint whose address is never dialled is a problem.
func TestRefusedAddresses(t *testing.T) {
	f := func(url, allow string, refused bool) {
		t.Helper()
		_, problems := person(source + "sinks: {webhooks: [{url: \"" + url + "\", secret: x, allow_networks: [" + allow + "]}]}\n")
		got := texts(problems)
		if (got != "") != refused || refused && !strings.HasPrefix(got, "f.yaml:3:26: sinks.webhooks[0].url: is never delivered to: ") {
			t.Errorf("%s with %q: got %s, want it refused: %t", url, allow, got, refused)
		}
	}
	f("http://127.0.0.1:9000/x", "", true)
	f("http://localhost:9000/x", "", true)
	f("https://10.1.2.3/x", "", true)
	f("https://[::1]/x", "", true)
	f("http://2130706433/", "", true)
	f("http://169.254.169.254/latest", "10.0.0.0/8", true)
	f("http://127.0.0.1:9000/x", "127.0.0.0/8", false)
	f("https://10.1.2.3/x", "10.1.0.0/16", false)
	f("https://soc.example.com/x", "", false)
	f("https://1.1.1.1/x", "", false)
}

func TestSchemes(t *testing.T) {
	f := func(dsn, want string) {
		t.Helper()
		_, problems := person(source + "sinks: {clickhouse: {dsn: \"" + dsn + "\"}}\n")
		if got := texts(problems); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: got %q, want %q", dsn, got, want)
		}
	}
	f("clickhouse://u:p@h:9000/db", "")
	f("https://u:p@h:8443/db", "")
	f("postgres://u:p@h:9000/db", "f.yaml:3:27: sinks.clickhouse.dsn: has an unknown scheme")
	f("clickhose://u:p@h:9000/db", "unknown scheme")
}

// TestUnsetVariables checks that all variables are named at once, and that their values have no other problem.
func TestUnsetVariables(t *testing.T) {
	c, problems := person(`sources:
  - kafka:
      {brokers: ["${BROKER}"], topics: ["${TOPIC}"], start: "${START}", sasl: {mechanism: PLAIN, username: u, password: "${PASSWORD}"}}
    trust_forwarded: ["${NET}"]
sinks:
  clickhouse: {dsn: "${SCHEME}://u:${CLICKHOUSE}@h:9000/db"}
  webhooks:
    - {url: "${URL}", secret: "${SECRET}", allow_networks: ["${NET}"]}
http: {listen: "${LISTEN}"}
`)
	if c != nil {
		t.Error("it loads")
	}
	want := []string{"BROKER", "CLICKHOUSE", "LISTEN", "NET", "PASSWORD", "SCHEME", "SECRET", "START", "TOPIC", "URL"}
	if got := UnsetVariables(problems); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(problems) != 11 {
		t.Errorf("got problems\n%s", texts(problems))
	}
}

// TestExamine checks that the other values of a file with problems can be checked.
func TestExamine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	f := func(src string) (*Config, []doc.Problem, bool) {
		t.Helper()
		if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		return Examine(file)
	}
	c, problems, failed := f("sources: [{kafka: {brokers: [b], topics: [t], start: soon}}, {file: {}}]\nrules: [r]\n" +
		"sinks: {clickhouse: {dsn: x}, webhooks: [{url: \"https://a.example\"}, {}]}\nsurprise: 1\n")
	if !failed || len(problems) != 7 {
		t.Errorf("got %t, problems\n%s", failed, texts(problems))
	}
	if c == nil || c.Sources[0].Kafka.Start != "first" || c.Sources[0].Kafka.Brokers[0] != "b" || c.Rules[0] != "r" ||
		c.Sinks.Webhooks[0].URL != "https://a.example" || len(c.Sinks.Webhooks[0].Secrets) != 1 || c.Sinks.ClickHouse.DSN != placeholderDSN {
		t.Errorf("got %+v", c)
	}
	if got := c.Place("sources[0].kafka.topics[0]").String(); got != file+":1:43: " {
		t.Errorf("got %q", got)
	}
	if got := c.Place("state.dir").String(); got != file+":1:1: " {
		t.Errorf("got %q", got)
	}
	if c, _, failed := f(source); c == nil || failed {
		t.Errorf("without problems: got %+v, %t", c, failed)
	}
	if c, problems, failed := f("a: [\n"); c != nil || !failed || len(problems) != 1 {
		t.Errorf("not YAML: got %+v, %v", c, problems)
	}
}
