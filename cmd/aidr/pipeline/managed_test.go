package pipeline

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// TestManagedKafkaPage builds a source of each configuration on the page about managed Kafka.
func TestManagedKafkaPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "connectors", "kafka", "MANAGED.md"))
	if err != nil {
		t.Fatal(err)
	}
	mechanisms := map[string]int{}
	for i, part := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, ended := strings.Cut(part, "```")
		if !ended {
			t.Fatalf("block %d has no end", i)
		}
		text := wholeSource(block) + "rules: [library]\nstate: {dir: " + t.TempDir() + "}\n"
		cfg, problems := config.Parse("MANAGED.md", []byte(text), func(name string) (string, bool) { return "value-of-" + name, true })
		if cfg == nil {
			t.Errorf("block %d does not load: %v\n%s", i, problems, text)
			continue
		}
		for _, s := range cfg.Sources {
			if _, err := buildSource(withoutSchemas(t, s), slog.New(slog.DiscardHandler)); err != nil {
				t.Errorf("block %d: %v\n%s", i, err, text)
			}
			if s.Kafka.SASL != nil {
				mechanisms[s.Kafka.SASL.Mechanism]++
				if s.Kafka.TLS == nil {
					t.Errorf("block %d sends a password or token without TLS:\n%s", i, text)
				}
			}
		}
	}
	if mechanisms["OAUTHBEARER"] < 5 || mechanisms["PLAIN"] < 2 || mechanisms["SCRAM-SHA-512"] < 1 {
		t.Errorf("the page has the mechanisms %v", mechanisms)
	}
}

// wholeSource puts a block of the page, which may begin at a deeper key, into a list of sources.
func wholeSource(block string) string {
	switch {
	case strings.HasPrefix(block, "sources:"):
		return block
	case strings.HasPrefix(block, "    kafka:"):
		return "sources:\n  - name: x\n" + block
	}
	return "sources:\n  - name: x\n    kafka:\n      brokers: [\"kafka:9093\"]\n      topics: [agent-logs]\n      tls: true\n" + block
}

// withoutSchemas returns the source with an empty folder of schemas in place of the one on the page.
func withoutSchemas(t *testing.T, s config.Source) config.Source {
	t.Helper()
	if s.Kafka.Registry != nil && s.Kafka.Registry.Schemas != "" {
		k, r := *s.Kafka, *s.Kafka.Registry
		r.Schemas, k.Registry = t.TempDir(), &r
		s.Kafka = &k
	}
	return s
}
