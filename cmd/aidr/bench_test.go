package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

// benchRules writes two rules, of which the first matches action x, and returns their folder.
func benchRules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for id, when := range map[string]string{"t.hit": `event.action == "x"`, "t.miss": `event.action == "never"`} {
		text := "id: " + id + "\ntitle: T\nseverity: low\nwhen: '" + when + "'\ngroup: {by: [ai_agent.uid], for: 1h}\n"
		if err := os.WriteFile(filepath.Join(dir, id+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// benchRecords returns n records of format aidr with actions x and y in turn, of n agents.
func benchRecords(n int) (records []string) {
	for i := range n {
		records = append(records, fmt.Sprintf(`{"time":"2026-01-01T00:%02d:%02dZ","event.dataset":"litellm","event.class":"tool","event.action":%q,"ai_agent.uid":"a%d"}`,
			i/60, i%60, string("xy"[i%2]), i))
	}
	return records
}

// The names of the output of bench match and bench run are a contract, and their counts are right.
func TestBench(t *testing.T) {
	rules, records := benchRules(t), benchRecords(100)
	file := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(records, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bytes := float64(len(strings.Join(records, "")))
	check := func(out string, want map[string]float64) {
		t.Helper()
		var got map[string]float64
		if err := json.Unmarshal([]byte(out), &got); err != nil || strings.Count(out, "\n") != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		if got["seconds"] <= 0 {
			t.Errorf("no duration: %s", out)
		}
		for name, w := range want {
			if g, ok := got[name]; !ok || g != w && w >= 0 {
				t.Errorf("%s: got %v, %v, want %v", name, g, ok, w)
			}
		}
		if len(got) != len(want)+1 {
			t.Errorf("got %v, want the names of %v", got, want)
		}
	}
	check(mustAidr(t, "bench", "match", "--rules", rules, "--format", "aidr", "--time", "0", file),
		map[string]float64{"events": 100, "bytes": bytes, "matches": 50, "cpu_seconds": -1, "cores": 1, "candidates_per_event": 0.5})
	profile := filepath.Join(t.TempDir(), "cpu.prof")
	ran := map[string]float64{
		"records": 100, "bytes": bytes, "findings": 50, "cpu_seconds": -1, "cores": 1, "rules": 2, "peak_memory_bytes": -1,
	}
	check(mustAidr(t, "bench", "run", "--format", "aidr", "--rules", rules, "--cores", "1", "--profile", profile, file), ran)
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
	check(mustAidr(t, "bench", "run", "--format", "aidr", "--rules", rules, "--cores", "1", "--durable", file), ran)
	for _, argv := range [][]string{{"bench", "run"}, {"bench", "match", "--rules", rules, os.DevNull}, {"bench", "run", "--rules", rules, os.DevNull}} {
		if o := aidr(t, argv...); o.code == exitOK || o.stderr == "" {
			t.Errorf("%v: got code %d, %q", argv, o.code, o.stderr)
		}
	}
}

// bench run reads a topic to its end, and commits nothing.
func TestBenchTopic(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "logs", 2)
	records := benchRecords(60)
	conntest.Produce(t, broker.Addr, "logs", 0, conntest.Messages(records[:40]...), nil)
	conntest.Produce(t, broker.Addr, "logs", 1, conntest.Messages(records[40:]...), nil)
	config := filepath.Join(t.TempDir(), "aidr.yaml")
	text := fmt.Sprintf("rules: [%s]\nstate: {dir: %s}\nsources: [{name: k, format: aidr, kafka: {brokers: [%q], topics: [logs], group: g}}]\n",
		benchRules(t), t.TempDir(), broker.Addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a committed position would leave nothing to read
		var got runResult
		if err := json.Unmarshal([]byte(mustAidr(t, "bench", "run", "--config", config)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Records != 60 || got.Findings != 30 {
			t.Errorf("got %+v, want 60 records and 30 findings", got)
		}
	}
}
