package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

// TestSQL runs the engine over calls whose tool is named like a formula, with the archive of events, and asks ClickHouse through the
// commands.
func TestSQL(t *testing.T) {
	engine := host.StartForTest(t, host.Options{Database: "aidr"})
	dir := t.TempDir()
	var text strings.Builder
	for n := range 10 {
		text.WriteString(toolCall("k1", "=HYPERLINK()", 2*n))
		text.WriteString(toolCall("k2", "search", 2*n+1))
	}
	text.WriteString("{broken\n")
	log := writeFile(t, dir, "litellm.jsonl", text.String())
	cfg := writeFile(t, dir, "aidr.yaml", "sources:\n  - {name: logs, file: {paths: ["+log+"], follow: true}}\nrules: [library]\nstate: {dir: "+dir+"/state}\n"+
		"sinks:\n  clickhouse: {dsn: \""+engine.DSN+"\", events: all}\n")
	if o := aidr(t, "migrate", "--status", "--config", cfg); o.code != exitFailed || !strings.Contains(o.stdout, "0031_quality") || !strings.Contains(o.stderr, "pending") {
		t.Errorf("migrate --status: got %+v", o)
	}
	if o := mustAidr(t, "migrate", "--dry-run", "--config", cfg); !strings.Contains(o, "CREATE TABLE IF NOT EXISTS `aidr`.`source_quality_1h`") {
		t.Errorf("migrate --dry-run: got %s", o)
	}
	if o := mustAidr(t, "migrate", "--grants", "--config", cfg); !strings.Contains(o, "GRANT SELECT ON `aidr`.* TO aidr_reader") {
		t.Errorf("migrate --grants: got %s", o)
	}
	if o := mustAidr(t, "migrate", "--config", cfg); !strings.Contains(o, "applied 0031_quality") {
		t.Errorf("migrate: got %s", o)
	}
	p := start(t, "run", "--config", cfg)
	ask := func(argv ...string) string {
		t.Helper()
		return mustAidr(t, append([]string{"sql", "--config", cfg}, argv...)...)
	}
	await(t, time.Minute, "the rows", func() error {
		var got []string
		for _, q := range []string{
			"SELECT count() = 40 AND countIf(dataset = 'litellm') = 40 AND uniqExact(offset, number) = 40 FROM v_events",
			"SELECT sum(events) = 40 FROM v_source_quality", "SELECT count() = 1 FROM v_dead_letters",
			"SELECT count() > 50 AND countIf(title = '') = 0 FROM v_rules", "SELECT count() > 0 FROM v_tools WHERE name = '=HYPERLINK()' AND events = 10",
		} {
			o := aidr(t, "sql", "--config", cfg, "--csv", "run", q)
			if _, answer, _ := strings.Cut(strings.TrimSpace(o.stdout), "\n"); answer != "1" {
				got = append(got, fmt.Sprintf("%s: %q %s", q, answer, o.stderr))
			}
		}
		if got != nil {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
	p.terminate()
	cells, err := csv.NewReader(strings.NewReader(ask("top_tools", "--days", "10000", "--csv"))).ReadAll()
	if err != nil || len(cells) != 3 || cells[1][2] != "'=HYPERLINK()" || cells[2][2] != "search" {
		t.Errorf("top_tools --csv: got %q, %v", cells, err)
	}
	var row struct {
		Type, Name string
		Events     int
	}
	first, _, _ := strings.Cut(ask("top_tools", "--days", "10000", "--limit", "1", "--json"), "\n")
	if err := json.Unmarshal([]byte(first), &row); err != nil || row.Name != "=HYPERLINK()" || row.Events != 10 {
		t.Errorf("top_tools --json: got %s, %v", first, err)
	}
	if o := ask("top_tools", "--days", "10000"); !strings.HasPrefix(o, "TENANT") || !strings.Contains(o, "=HYPERLINK()") {
		t.Errorf("top_tools: got %s", o)
	}
	if o := ask("ls"); strings.Count(o, "\n") != len(clickhouse.Queries())+1 {
		t.Errorf("ls: got %s", o)
	}
	if o := ask("run", "--set", "n=3", "SELECT {n:UInt8} AS three"); !strings.Contains(o, "3") {
		t.Errorf("run --set: got %s", o)
	}
	if o := aidr(t, "sql", "--config", cfg, "run", "DROP TABLE findings"); o.code != exitFailed {
		t.Errorf("run of a statement that changes something: got %+v", o)
	}
	if o := aidr(t, "sql", "--config", cfg, "timeline"); o.code != exitUsage || !strings.Contains(o.stderr, "--agent") {
		t.Errorf("a query without its parameter: got %+v", o)
	}
	if o := aidr(t, "sql", "no_such_query"); o.code != exitUsage {
		t.Errorf("an unknown query: got %+v", o)
	}
	if o := mustAidr(t, "migrate", "--status", "--config", cfg); strings.Contains(o, "pending") {
		t.Errorf("migrate --status after run: got %s", o)
	}
}
