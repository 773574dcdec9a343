package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/backtest"
	"github.com/aidr-engine/aidr/connectors"
)

// history writes two files of n events each, a hundred a minute of ten agents, and returns their paths.
func history(t *testing.T, n int) (paths []string) {
	t.Helper()
	for f := range 2 {
		var b bytes.Buffer
		for i := range n {
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 600 * time.Millisecond)
			fmt.Fprintf(&b, `{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":%q,"ai_agent.uid":"a%d","session.id":"s%d"}`+"\n",
				at.Format(time.RFC3339Nano), []string{"x", "y", "z"}[i*i%3], i%10, i/1000)
		}
		path := filepath.Join(t.TempDir(), fmt.Sprintf("log%d.jsonl", f))
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// backtestRules writes rules with and without State.
func backtestRules(t *testing.T, count int) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("id: t.count\ntitle: T\nseverity: critical\nwhen: event.action == \"y\"\nthreshold: {count: %d, within: 10m, by: [ai_agent.uid]}\n", count)
	for name, text := range map[string]string{
		"count": text, "none": "id: t.none\ntitle: T\nseverity: low\nexpected: \"0\"\nwhen: event.action == \"x\"\ngroup: {by: [session.id], for: 1h}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A backtest that is interrupted and killed at different points has the report of one that is not, byte by byte, and its
// partial reports name how far they go.
func TestBacktestKilled(t *testing.T) {
	logs, dir := history(t, 60_000), backtestRules(t, 30)
	folder := filepath.Join(t.TempDir(), "run")
	args := append([]string{"rules", "backtest", "--rules", dir, "--against", backtestRules(t, 20), "--format", "aidr", "--json"}, logs...)
	want := mustAidr(t, args...)
	resumed := slices.Clip(append(slices.Clip(args), "--resume", folder))
	lines := func() int {
		b, err := os.ReadFile(filepath.Join(folder, "right.counts"))
		if err != nil {
			return 0
		}
		return bytes.Count(b, []byte("\n"))
	}
	partial, file := 0, filepath.Join(t.TempDir(), "partial.json")
	for n := range 8 {
		os.Remove(file) // of the run before
		most := lines() + 2
		p := start(t, append(resumed, "--report", file)...)
		for lines() < most {
			select {
			case <-p.gone:
			default:
				time.Sleep(time.Millisecond)
				continue
			}
			break
		}
		if n%2 == 1 {
			p.kill()
			continue
		}
		code := p.terminate()
		b, err := os.ReadFile(file)
		if err != nil || code == exitOK { // it ended before it began, or was complete
			continue
		}
		var r backtest.Report
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("a partial report is not JSON: %v\n%s", err, b)
		}
		if r.Complete || len(r.Partitions) != 2 || !strings.Contains(p.lastWords(), "interrupted: ") {
			t.Errorf("a partial report: complete %t, %d partitions\n%.300s", r.Complete, len(r.Partitions), b)
		}
		partial++
	}
	if partial == 0 {
		t.Error("no run was interrupted: the test proves little")
	}
	if got := mustAidr(t, resumed...); got != want {
		t.Errorf("got\n%.2000s\nwant\n%.2000s", got, want)
	}
	if got := mustAidr(t, resumed...); got != want {
		t.Error("a complete run that is called again gives another report")
	}
	if o := aidr(t, append(resumed, "--until", "2026-02-01T00:00:00Z")...); o.code != exitFailed || !strings.Contains(o.stderr, "holds a run with other rules") {
		t.Errorf("other options: got %+v", o)
	}
}

// The tables of a backtest have the rules, the days and the difference, and --report writes them to a file.
func TestBacktestTables(t *testing.T) {
	logs, dir, other := history(t, 2_000), backtestRules(t, 30), backtestRules(t, 3000)
	got := mustAidr(t, append([]string{"rules", "backtest", "--rules", dir, "--against", other, "--format", "aidr", "--cpu", "1"}, logs...)...)
	for _, want := range []string{"4000 records, 4000 events on 1 days", "t.none", "ABOVE", "2026-01-01", "a3", "only left: ", "threshold.count: 30 -> 3000"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	file := filepath.Join(t.TempDir(), "report")
	mustAidr(t, append([]string{"rules", "backtest", "--rules", dir, "--against", other, "--format", "aidr", "--report", file}, logs...)...)
	if b, err := os.ReadFile(file); err != nil || string(b) != got {
		t.Errorf("--report: got %v\n%s\nwant\n%s", err, b, got)
	}
	for _, argv := range [][]string{{}, {"--cpu", "-1", logs[0]}, {"--resume", filepath.Join(t.TempDir(), "x"), "--format", "aidr", "-"}} {
		if o := aidr(t, append([]string{"rules", "backtest"}, argv...)...); o.code != exitUsage || o.stderr == "" {
			t.Errorf("%q: got code %d, %q", argv, o.code, o.stderr)
		}
	}
}

// The shipped rules have the findings of a replay over recorded sessions.
func TestBacktestIsReplay(t *testing.T) {
	logs := sampleDir(t, "agentdyn", "dev.jsonl.gz")
	var r backtest.Report
	if err := json.Unmarshal([]byte(mustAidr(t, "rules", "backtest", "--json", logs)), &r); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, x := range r.Rules {
		if x.Findings > 0 {
			got[x.ID] = x.Findings
		}
	}
	want := map[string]int64{}
	for line := range strings.Lines(mustAidr(t, "replay", logs)) {
		var f struct {
			Rule string `json:"rule_id"`
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		want[f.Rule]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(want) == 0 {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// The bar shows the share of the bytes of files that was read, also of compressed ones.
func TestReadingBar(t *testing.T) {
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "a"), filepath.Join(dir, "b.gz")
	for _, path := range []string{plain, packed} {
		if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := newReadingBar(&bytes.Buffer{}, []string{plain, packed}, false)
	at := func(topic string, position int64, final bool) backtest.Progress {
		return backtest.Progress{Partition: connectors.Partition{Topic: topic}, Position: position, End: -1, Final: final, Records: 7, Findings: 3}
	}
	f := func(p backtest.Progress, want string) {
		t.Helper()
		b.update(p)
		if got := b.line(p, time.Minute); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	f(at(plain, 50, false), "[=======                       ]  25 %  7 records, 3 findings, 3m0s left   ")
	f(at(packed, 900, false), "[======================        ]  75 %  7 records, 3 findings, 20s left   ")
	f(at(plain, 100, true), "[==============================] 100 %  7 records, 3 findings, 0s left   ")
}
