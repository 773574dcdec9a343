package backtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

// load writes rule files and loads them.
func load(t *testing.T, files map[string]string) *rules.Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte("id: "+name+"\ntitle: T\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{BuiltIn: true}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	return set
}

// line is an event of agent a at a time after 2026-01-01.
func line(at time.Duration, action, agent string) string {
	return fmt.Sprintf(`{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":%q,"ai_agent.uid":%q,"session.id":"s"}`,
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(at).Format(time.RFC3339Nano), action, agent)
}

// parts returns the records of two partitions: events of five agents over n hours, a few of them late or no JSON.
func parts(n int) []memory.Partition {
	out := make([]memory.Partition, 2)
	for p := range out {
		out[p].Partition = connectors.Partition{Source: "s", Topic: fmt.Sprintf("t%d", p)}
		for i := range n * 10 {
			at := time.Duration(i) * 6 * time.Minute
			text := line(at, []string{"read", "write", "delete", "send"}[(i*7+p)%4], fmt.Sprintf("a%d", (i+p)%5))
			switch {
			case i%97 == 50:
				text = "{"
			case i%101 == 70:
				text = line(at-20*time.Hour, "delete", "late")
			}
			out[p].Records = append(out[p].Records, text)
		}
	}
	return out
}

// input returns an input of the partitions. The returned source can be stopped.
func input(all []memory.Partition, stopAt int64, stop func()) engine.Input {
	src := &stopping{Source: &memory.Source{Named: "s", Partitions: all, BatchSize: 10}, at: stopAt, stop: stop}
	return engine.Input{Source: src, Decode: decode.Options{Format: "aidr"}}
}

// stopping is a source that calls stop after a number of batches; 0: never.
type stopping struct {
	connectors.Source
	at   int64
	stop func()
	read atomic.Int64
}

func (s *stopping) Run(ctx context.Context, r connectors.Reader) error {
	return s.Source.Run(ctx, stoppingReader{r, s})
}

type stoppingReader struct {
	connectors.Reader
	s *stopping
}

func (r stoppingReader) Read(ctx context.Context, b *connectors.Batch) error {
	err := r.Reader.Read(ctx, b)
	if r.s.read.Add(1) == r.s.at {
		r.s.stop()
	}
	return err
}

var testRules = map[string]string{
	"t.delete": "severity: high\nwhen: event.action == \"delete\"\nexpected: \"0 on the samples\"\ngroup: {by: [ai_agent.uid], for: 1h}\n" +
		"exceptions:\n  - {when: 'ai_agent.uid == \"a3\"', until: 2027-01-01, reason: r, owner: o}\n",
	"t.many":   "severity: low\nstatus: shadow\nwhen: event.class == \"tool\"\nexpected: \"a few a day\"\nthreshold: {count: 4, within: 2h, by: [ai_agent.uid]}\n",
	"t.silent": "severity: low\nwhen: event.action == \"send\"\nabsence: {silent: {for: 90m}, by: [ai_agent.uid]}\n",
	"t.over":   "severity: medium\nover: [t.delete]\nthreshold: {count: 3, within: 12h, by: [ai_agent.uid]}\n",
	"t.never":  "severity: low\nwhen: event.action == \"never\"\n",
}

func mustRun(t *testing.T, opts Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t *testing.T, r *Report) string {
	t.Helper()
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ruleOf(r *Report, id string) Rule {
	i := slices.IndexFunc(r.Rules, func(x Rule) bool { return x.ID == id })
	if i < 0 {
		return Rule{}
	}
	return r.Rules[i]
}

// The report has the findings of a replay, and the counts of the records.
func TestReport(t *testing.T) {
	set, all := load(t, testRules), parts(60)
	var last Progress
	got := mustRun(t, Options{Set: set, Inputs: []engine.Input{input(all, 0, nil)}, Progress: func(p Progress) { last = p }})
	want, err := engine.Replay(t.Context(), engine.Options{Set: set, Inputs: []engine.Input{input(all, 0, nil)}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	findings, open, events := map[string]int64{}, map[string]int64{}, map[string]int64{}
	total := int64(0)
	for _, f := range want {
		findings[f.RuleID]++
		events[f.RuleID] += f.Count
		total++
		if f.Status == "open" {
			open[f.RuleID]++
		}
	}
	for _, r := range got.Rules {
		if r.Findings != findings[r.ID] || r.Open != open[r.ID] || r.Events != events[r.ID] || r.Open+r.Settled != r.Findings {
			t.Errorf("%s: got %+v, want %d findings, %d open, of %d events", r.ID, r, findings[r.ID], open[r.ID], events[r.ID])
		}
		sum := int64(0)
		for _, d := range r.Days {
			sum += d.Count
		}
		if sum != r.Findings {
			t.Errorf("%s: the days have %d findings of %d", r.ID, sum, r.Findings)
		}
	}
	if !got.Complete || got.Input.Records != 1200 || got.Input.Dead != 12 || got.Input.Events != 1188 || got.Input.Late == 0 || got.Input.Days != 4 {
		t.Errorf("got %+v", got.Input)
	}
	deleted := ruleOf(got, "t.delete")
	if deleted.Hits == 0 || deleted.Excepted == 0 || deleted.Verdict != Above || deleted.Late == 0 || deleted.NumAgents != 5 {
		t.Errorf("t.delete: got %+v", deleted)
	}
	if many := ruleOf(got, "t.many"); many.Shadow != many.Findings || many.Findings == 0 {
		t.Errorf("t.many: got %+v", many)
	}
	if never := ruleOf(got, "t.never"); never.ID == "" || never.Findings != 0 || never.Verdict != Unknown {
		t.Errorf("t.never: got %+v", never)
	}
	if last.Records != 1200 || last.Ended != 2 || last.Partitions != 2 {
		t.Errorf("the last progress is %+v", last)
	}
	if len(got.Partitions) != 2 || got.Partitions[1].Position != 600 || !got.Partitions[1].Final {
		t.Errorf("got partitions %+v", got.Partitions)
	}
}

// Reports are the same bytes whatever the number of cores and whether State is in memory or in a folder.
func TestReportIsDeterministic(t *testing.T) {
	set, other, all := load(t, testRules), load(t, changedRules()), parts(60)
	run := func(cpu int, folder string) string {
		return text(t, mustRun(t, Options{Set: set, Against: other, Inputs: []engine.Input{input(all, 0, nil)}, CPU: cpu, Resume: folder}))
	}
	want := run(1, "")
	for _, cpu := range []int{2, 5} {
		if got := run(cpu, ""); got != want {
			t.Errorf("with %d cores: got\n%s\nwant\n%s", cpu, got, want)
		}
	}
	if got := run(2, filepath.Join(t.TempDir(), "run")); got != want {
		t.Errorf("with a folder: got\n%s\nwant\n%s", got, want)
	}
}

// A run that is interrupted again and again has the report of one that is not, and partial reports on its way.
func TestResume(t *testing.T) {
	set, other, all := load(t, testRules), load(t, changedRules()), parts(30)
	for _, against := range []*rules.Set{nil, other} {
		want := text(t, mustRun(t, Options{Set: set, Against: against, Inputs: []engine.Input{input(all, 0, nil)}}))
		dir := filepath.Join(t.TempDir(), "run")
		records, runs := int64(0), 0
		for {
			ctx, stop := context.WithCancel(t.Context())
			got, err := Run(ctx, Options{Set: set, Against: against, Inputs: []engine.Input{input(all, 9, stop)}, Resume: dir, Fingerprint: "f"})
			stop()
			if err != nil {
				t.Fatal(err)
			}
			if runs++; got.Complete {
				if text(t, got) != want {
					t.Errorf("after %d runs: got\n%s\nwant\n%s", runs, text(t, got), want)
				}
				break
			}
			if got.Input.Records < records || runs > 50 {
				t.Fatalf("run %d ends with %d records after %d", runs, got.Input.Records, records)
			}
			records = got.Input.Records
			read := int64(0)
			for _, p := range got.Partitions {
				read += p.Position
			}
			if read != records {
				t.Errorf("a partial report of %d records names positions of %d", records, read)
			}
		}
		if runs < 5 {
			t.Errorf("only %d runs", runs)
		}
		again := mustRun(t, Options{Set: set, Against: against, Inputs: []engine.Input{input(nil, 0, nil)}, Resume: dir, Fingerprint: "f"})
		if text(t, again) != want {
			t.Error("a complete run that is called again gives another report")
		}
	}
}

// A folder of something else is refused, and so is a damaged one; a line that was being written is no damage.
func TestFolderIsChecked(t *testing.T) {
	set, all := load(t, testRules), parts(20)
	dir := filepath.Join(t.TempDir(), "run")
	begin := func(resume, fingerprint string) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		_, err := Run(ctx, Options{Set: set, Inputs: []engine.Input{input(all, 5, stop)}, Resume: resume, Fingerprint: fingerprint})
		return err
	}
	f := func(err error, cause string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), cause) || !strings.Contains(err.Error(), "remove this one") {
			t.Errorf("got %v, want %q and a remedy", err, cause)
		}
	}
	if err := begin(dir, "a"); err != nil {
		t.Fatal(err)
	}
	f(begin(dir, "b"), "other rules, files, options")
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(begin(full, "a"), "not empty")
	counts := filepath.Join(dir, "left.counts")
	lines, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(counts, append(slices.Clone(lines), `{"partition":{"Sou`...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := begin(dir, "a"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(counts, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(begin(dir, "a"), "damaged")
	if err := os.WriteFile(counts, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(begin(dir, "a"), "end before its position")
}

// changedRules are testRules with a change of each sort.
func changedRules() map[string]string {
	out := map[string]string{}
	for id, text := range testRules {
		out[id] = text
	}
	out["t.delete"] = strings.Replace(out["t.delete"], "severity: high", "severity: medium\nversion: 2", 1)
	out["t.many"] = strings.Replace(out["t.many"], "count: 4", "count: 3", 1)
	out["t.silent"] += "status: disabled\n"
	delete(out, "t.never")
	out["t.new"] = "severity: low\nwhen: event.action == \"write\"\ngroup: {by: [ai_agent.uid], for: 4h}\n"
	return out
}

// A comparison lists each finding that differs, with the reason.
func TestAgainst(t *testing.T) {
	left, right, all := load(t, testRules), load(t, changedRules()), parts(60)
	got := mustRun(t, Options{Set: left, Against: right, Inputs: []engine.Input{input(all, 0, nil)}, Text: os.ReadFile})
	d := got.Difference
	of := map[string]RuleDifference{}
	for _, r := range d.Rules {
		of[r.ID] = r
	}
	f := func(id string, same, onlyLeft, onlyRight, changed bool, why ...string) {
		t.Helper()
		r := of[id]
		if r.Same > 0 != same || r.OnlyLeft > 0 != onlyLeft || r.OnlyRight > 0 != onlyRight || r.Changed > 0 != changed || !slices.Equal(r.Why, why) {
			t.Errorf("%s: got %+v, want same %t, only left %t, only right %t, changed %t, why %q", id, r, same, onlyLeft, onlyRight, changed, why)
		}
	}
	f("t.delete", false, false, false, true, `severity: high -> medium`, `version: 2 only on the right`)
	f("t.silent", false, true, false, false, "the rule is active on the left and disabled on the right", "status: disabled only on the right")
	f("t.new", false, false, true, false, "the rule is only in the right rules")
	f("t.never", false, false, false, false, "the rule is only in the left rules")
	if r := of["t.many"]; r.Changed == 0 || !slices.Equal(r.Why, []string{"threshold.count: 4 -> 3"}) {
		t.Errorf("t.many: got %+v", r)
	}
	if r, ok := of["t.over"]; ok {
		t.Errorf("t.over does not differ: %+v", r)
	}
	sums := [3]int64{}
	moved := false
	for _, c := range d.Findings {
		if len(c.Why) == 0 || c.Summary == "" || c.Key == "" {
			t.Errorf("no reason, summary or key: %+v", c)
		}
		sums[slices.Index([]string{OnlyLeft, OnlyRight, Changed}, c.Change)]++
		moved = moved || c.Rule == "t.many" && slices.ContainsFunc(c.Why, func(w string) bool { return strings.HasPrefix(w, "group_start: ") })
		if c.Rule == "t.delete" && !slices.Contains(c.Why, "severity: high -> medium") {
			t.Errorf("t.delete: got %q", c.Why)
		}
	}
	if sums != [3]int64{d.OnlyLeft, d.OnlyRight, d.Changed} || !moved {
		t.Errorf("listed %v of %+v; moved %t", sums, d, moved)
	}
	left2 := load(t, testRules)
	same := mustRun(t, Options{Set: left, Against: left2, Inputs: []engine.Input{input(all, 0, nil)}, Text: os.ReadFile}).Difference
	if same.OnlyLeft+same.OnlyRight+same.Changed != 0 || len(same.Rules) != 0 || same.Same == 0 {
		t.Errorf("equal rules differ: %+v", same)
	}
}

// A source that fails leaves a report of what was read, and the error.
func TestSourceFails(t *testing.T) {
	set := load(t, testRules)
	in := input(parts(10), 0, nil)
	in.Source = failing{in.Source}
	got, err := Run(t.Context(), Options{Set: set, Inputs: []engine.Input{in}})
	if err == nil || err.Error() != "the disk is gone" || got == nil || got.Complete || got.Input.Records != 200 {
		t.Errorf("got %+v, %v", got, err)
	}
}

type failing struct{ connectors.Source }

func (f failing) Run(ctx context.Context, r connectors.Reader) error {
	if err := f.Source.Run(ctx, r); err != nil {
		return err
	}
	return fmt.Errorf("the disk is gone")
}

func TestJudge(t *testing.T) {
	f := func(expected string, findings int64, days, agents int, want Verdict) {
		t.Helper()
		if got := judge(expected, findings, days, agents); got != want {
			t.Errorf("%q with %d findings of %d agents on %d days: got %s, want %s", expected, findings, agents, days, got, want)
		}
	}
	f("0 on the samples", 0, 10, 0, Within)
	f("0 if both sources are complete", 1, 10, 1, Above)
	f("none on ordinary work", 1, 10, 1, Above)
	f("a few a year", 5, 366, 1, Within)
	f("a few a year", 5, 1, 1, Within)
	f("a few a year", 6, 1, 1, Above)
	f("a few a month", 10, 31, 1, Within)
	f("a few a month for each agent with fixed hours", 20, 30, 4, Within)
	f("a few a month for each agent with fixed hours", 21, 30, 4, Above)
	f("once a day for each coding agent", 14, 7, 2, Within)
	f("once a day for each coding agent", 15, 7, 2, Above)
	f("12 a week", 13, 7, 1, Above)
	f("below 3 per day", 6, 2, 1, Within)
	f("with each release", 1000, 1, 1, Unknown)
	f("2 of 100 benign sessions of the samples", 1000, 1, 1, Unknown)
	f("0.5 a day", 1000, 1, 1, Unknown)
	f("", 1, 1, 1, Unknown)
}
