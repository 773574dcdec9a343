package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const other = `id: test.other
title: Another
severity: low
confidence: 50
datasets: [x.test]
when: event.action == "other"
group: {for: 1h, by: [ai_agent.uid]}
`

// TestReloadKeepsState checks that unchanged rules keep their State, pending items included, and that new rules start
// empty. A file that does not load, or whose tests fail, is reported and changes nothing.
func TestReloadKeepsState(t *testing.T) {
	t.Parallel()
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	rules := folder(t, map[string]string{"thrice.yaml": thrice})
	x := start(t, kafkaConfig(broker.Addr, rules, e, t.TempDir()))
	produce := func(events ...string) { conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(events...), nil) }
	// The delay is 30 s: event 1 is in base by now, event 100 is pending.
	produce(event(1, "try", "a"), event(100, "try", "a"), event(101, "other", "a"))
	wait(t, "three records", func() bool { return x.Total("aidr_source_records_total") == 3 })

	write(t, filepath.Join(rules, "other.yaml"), other) // noticed by the watcher
	wait(t, "the reload", func() bool { return x.Status().Rules == 2 })
	produce(event(102, "other", "a"))
	e.await(t, "test.other a 1")

	write(t, filepath.Join(rules, "bad.yaml"), strings.Replace(other, "event.action", "event.aktion", 1))
	x.awaitStatus("rules", degraded, "bad.yaml:6:")
	if code, status, _ := x.ready("rules"); code != 200 || status != degraded {
		t.Errorf("readyz with a broken rule: got %d %s", code, status)
	}
	if err := os.Remove(filepath.Join(rules, "bad.yaml")); err != nil {
		t.Fatal(err)
	}
	x.awaitStatus("rules", ok, "")
	failing := strings.Replace(other, "test.other", "test.failing", 1) +
		"tests: [{name: it fires, events: [{set: {event.action: none}}], findings: [{}]}]\n"
	write(t, filepath.Join(rules, "failing.yaml"), failing)
	x.awaitStatus("rules", degraded, `test "it fires" fails`)
	if got := x.Status().Rules; got != 2 {
		t.Errorf("%d rules run, want the 2 of before", got)
	}

	produce(event(103, "try", "a"))
	e.await(t, "test.other a 1", "test.thrice a 3")
	if _, m := x.get("/metrics"); !regexp.MustCompile(`aidr_rules_reloads_total{result="failed"} [1-9]`).MatchString(m) {
		t.Error("the metrics do not count the failed reloads")
	}
	x.stop()
}

// TestHangup checks that SIGHUP reloads even if no file has changed. It is not parallel because the signal is for the
// process.
func TestHangup(t *testing.T) {
	e := newEndpoint(t)
	input := filepath.Join(folder(t, map[string]string{"x": event(1, "leak", "a") + "\n"}), "x")
	x := start(t, fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), e, true, input))
	e.await(t, "test.leak a 1") // by now the handler of the signal is installed
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	wait(t, "a reload", func() bool { return x.Total("aidr_rules_reloads_total") == 1 })
	f, err := os.OpenFile(input, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, event(2, "leak", "b"))
	f.Close()
	e.await(t, "test.leak a 1", "test.leak b 1")
	x.stop()
}

// TestHangupReloadsTheConfiguration checks that a reload applies the settings that an engine can start with, reports the
// others by key, and changes nothing if the configuration or its rules do not load.
func TestHangupReloadsTheConfiguration(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	dir := t.TempDir()
	input := filepath.Join(dir, "x")
	write(t, input, event(1, "leak", "a")+"\n")
	first, second := folder(t, map[string]string{"leak.yaml": leak}), folder(t, map[string]string{"other.yaml": other})
	parse := func(edit ...string) (*config.Config, error) {
		text := fmt.Sprintf("rules: [%q]\n"+
			"sources:\n  - {name: files, format: aidr, tenant: one, datasets: [x.test], file: {paths: [%q], follow: true}}\n"+
			"state: {dir: %q}\nsinks:\n  webhooks:\n    - {name: soc, url: %q, secret: %q, allow_networks: [127.0.0.0/8]}\n",
			first, input, filepath.Join(dir, "state"), e.URL, e.Secrets[0])
		cfg, problems := config.Parse("aidr.yaml", []byte(strings.NewReplacer(edit...).Replace(text)), os.LookupEnv)
		if cfg == nil {
			return nil, errors.New(problems[0].String())
		}
		return cfg, nil
	}
	cfg, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	var edit []string // of the next load
	x := startWith(t, cfg, func() (*config.Config, error) { return parse(edit...) })
	e.await(t, "test.leak a 1")

	edit = []string{"tenant: one", "tenat: one"}
	if err := x.ReloadConfig(t.Context()); err == nil {
		t.Error("a configuration with an unknown key was loaded")
	}
	x.awaitStatus("config", degraded, `unknown key`)
	edit = []string{first, second, "tenant: one", "tenant: two", ", file: {", ", file: {unknown: 1, "}
	if err := x.ReloadConfig(t.Context()); err == nil {
		t.Error("a configuration with an unknown key was loaded")
	}
	broken := folder(t, map[string]string{"bad.yaml": "id: x\n"})
	edit = []string{first, broken, "tenant: one", "tenant: two"}
	if err := x.ReloadConfig(t.Context()); err == nil {
		t.Error("a configuration with broken rules was loaded")
	}
	x.awaitStatus("config", degraded, "the rules or field maps do not load")
	x.awaitStatus("rules", degraded, "bad.yaml")
	add := func(line string) {
		f, err := os.OpenFile(input, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fmt.Fprintln(f, line)
	}
	add(event(2, "leak", "b"))
	e.await(t, "test.leak a 1", "test.leak b 1")
	for _, f := range e.latest() {
		if f.Tenant != "one" {
			t.Errorf("the finding has tenant %q, want one: a configuration that does not load was applied", f.Tenant)
		}
	}

	edit = []string{first, second, "tenant: one", "tenant: two", "state: {", "state: {cells: 7, outbox_mb: 9, ", e.URL, "http://127.0.0.1:1/"}
	if err := x.ReloadConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.awaitStatus("config", ok, "need a restart: sinks.webhooks.soc.url, state.outbox_mb")
	x.awaitStatus("rules", ok, "")
	if got, want := x.Status().Restart, []string{"sinks.webhooks.soc.url", "state.outbox_mb"}; !slices.Equal(got, want) {
		t.Errorf("status: restart needed for %q, want %q", got, want)
	}
	add(event(3, "other", "c"))
	e.await(t, "test.leak a 1", "test.leak b 1", "test.other c 1")
	for _, f := range e.latest() {
		if f.RuleID == "test.other" && f.Tenant != "two" {
			t.Errorf("the finding has tenant %q, want two", f.Tenant)
		}
	}
	for _, line := range []string{
		`changed setting applied" key=rules`, `changed setting applied" key=sources.files.tenant`, `changed setting applied" key=state.cells`,
		`changed setting needs a restart" key=sinks.webhooks.soc.url`, `changed setting needs a restart" key=state.outbox_mb`,
	} {
		if n := strings.Count(x.logs.String(), line); n != 1 {
			t.Errorf("the log has %d lines with %s, want 1", n, line)
		}
	}

	edit = []string{first, second, "tenant: one", "tenant: two"}
	if err := x.ReloadConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.awaitStatus("config", ok, "")
	if got := x.Status().Restart; len(got) > 0 {
		t.Errorf("status: restart needed for %q after the changes were undone", got)
	}
	if _, m := x.get("/metrics"); !strings.Contains(m, `aidr_config_reloads_total{result="failed"} 3`) ||
		!strings.Contains(m, `aidr_config_reloads_total{result="ok"} 2`) || !strings.Contains(m, "aidr_config_restart_needed 0") {
		t.Error("the metrics do not count the reloads of the configuration")
	}
	x.stop()
}

// TestNotes checks which sources get the note on the slowest dataset.
func TestNotes(t *testing.T) {
	f := func(s config.Source, want string) {
		t.Helper()
		notes := CheckNotes(&config.Config{Sources: []config.Source{s}})
		if got := strings.Join(notes, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%+v: got %q, want %q", s, got, want)
		}
	}
	f(config.Source{Name: "logs", Format: "auto"},
		`source "logs": with `+"`format: auto`, rules without `datasets` settle as late as the slowest dataset")
	f(config.Source{Format: "auto", Delay: map[string]time.Duration{"": time.Minute}}, "")
	f(config.Source{Format: "auto", Datasets: []string{"litellm"}}, "")
	f(config.Source{Format: "litellm"}, "")
}

// TestReloadLosesNothing swaps the rules again and again during reading, and checks that each record is counted once.
func TestReloadLosesNothing(t *testing.T) {
	t.Parallel()
	const files, portion, swaps = 4, 500, 8
	dir := t.TempDir()
	written := 0 // records in each file
	grow := func() {
		for f := range files {
			var b strings.Builder
			for n := written; n < written+portion; n++ {
				// The records have no event.id, so a record that is read twice counts twice.
				b.WriteString(strings.Replace(event(n, "leak", fmt.Sprintf("agent-%d", f)), fmt.Sprintf(`"event.id":"e%d",`, n), "", 1) + "\n")
			}
			to, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("%d.jsonl", f)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(to, b.String())
			to.Close()
		}
		written += portion
	}
	grow()
	cfg := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), nil, true, dir)
	x := start(t, cfg)
	reloaded := make(chan error, swaps)
	go func() {
		defer close(reloaded)
		for range swaps {
			if err := x.Reload(t.Context()); err != nil {
				reloaded <- err
			}
		}
	}()
	for running := true; running; {
		select {
		case err, more := <-reloaded:
			if running = more; more {
				t.Errorf("reload: %v", err)
			}
		default:
			grow()
			wait(t, "the records written so far", func() bool { return x.Total("aidr_source_records_total") >= float64(files*written) })
		}
	}
	x.stop()
	s, err := store.Open(cfg.State.Dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := map[string]int64{}
	if err := s.Findings(store.FindingFilter{}, func(f *schema.Finding) bool { got[f.AgentUID] += f.Count; return true }); err != nil {
		t.Fatal(err)
	}
	for f := range files {
		if agent := fmt.Sprintf("agent-%d", f); got[agent] != int64(written) {
			t.Errorf("%s: %d events counted, want %d", agent, got[agent], written)
		}
	}
}
