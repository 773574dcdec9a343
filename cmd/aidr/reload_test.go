package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// following is an aidr that follows a file, with a folder of rules that the test changes.
type following struct {
	t                    *testing.T
	p                    *process
	receiver             *receiver
	listen, rules, input string
	state                string
	lines                int
}

func startFollowing(t *testing.T, rules map[string]string) *following {
	t.Helper()
	dir, err := os.MkdirTemp("", "aidr-run-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &following{
		t: t, receiver: startReceiver(t), listen: freeAddr(t),
		rules: filepath.Join(dir, "rules"), input: filepath.Join(dir, "logs.jsonl"), state: filepath.Join(dir, "state"),
	}
	if err := os.Mkdir(f.rules, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range rules {
		f.write(name, text)
	}
	f.log("start")
	config := filepath.Join(dir, "aidr.yaml")
	text := fmt.Sprintf("sources:\n  - file: {paths: [%q], follow: true}\n    format: cloudtrail\nrules: [%q]\nstate: {dir: %q}\n"+
		"sinks:\n  webhooks:\n    - {name: soc, url: %q, secret: %q, allow_networks: [127.0.0.1/32]}\nhttp: {listen: %q}\n",
		f.input, f.rules, f.state, f.receiver.url, f.receiver.secret, f.listen)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.p = start(t, "run", "--config", config)
	f.await("ready", func() error { return isReady(f.listen) })
	return f
}

func (f *following) await(what string, check func() error) {
	f.t.Helper()
	await(f.t, 30*time.Second, what, func() error { f.p.alive(); return check() })
}

// write writes a rule file into the folder atomically.
func (f *following) write(name, text string) {
	f.t.Helper()
	part := filepath.Join(filepath.Dir(f.rules), "part")
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(f.rules, name)); err != nil {
		f.t.Fatal(err)
	}
}

// log appends a call of one action to the input.
func (f *following) log(action string) {
	f.t.Helper()
	f.lines++
	file, err := os.OpenFile(f.input, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	changes := strings.NewReplacer("GetObject", action, "2026-03-01T12:00:00Z", fmt.Sprintf("2026-03-01T12:00:%02dZ", f.lines))
	line := changes.Replace(trail(fmt.Sprintf("call-%d", f.lines), ""))
	if _, err := file.WriteString(line + "\n"); err != nil {
		f.t.Fatal(err)
	}
}

// found waits until the finding of a rule counts n events.
func (f *following) found(rule string, n int) {
	f.t.Helper()
	f.await(fmt.Sprintf("%s finds %d", rule, n), func() error {
		o := aidr(f.t, "findings", "ls", "--json", "--rule", rule, "--state", f.state)
		got := jsonLines[map[string]any](f.t, o.stdout)
		if len(got) != 1 || fmt.Sprint(got[0]["count"]) != fmt.Sprint(n) {
			return fmt.Errorf("got %v\n%s", got, o.stderr)
		}
		return nil
	})
}

func ruleOf(id, action string) string {
	return fmt.Sprintf("id: %s\ntitle: Somebody does %s\nseverity: high\nconfidence: 50\n"+
		"when: event.action == \"s3:%s\"\ngroup: {for: 1h, by: [ai_agent.uid]}\n", id, action, action)
}

// TestReload checks that rules are reloaded when a file changes and on SIGHUP. If a new file is broken, the old rules keep
// running, and /readyz shows the position of the mistake.
func TestReload(t *testing.T) {
	f := startFollowing(t, map[string]string{"one.yaml": ruleOf("t.one", "One")})
	f.log("One")
	f.found("t.one", 1)

	f.write("two.yaml", ruleOf("t.two", "Two"))
	f.await("the new rule runs", func() error { return f.hasRules(2) })
	f.log("One")
	f.log("Two")
	f.found("t.one", 2)
	f.found("t.two", 1)

	f.write("three.yaml", strings.Replace(ruleOf("t.three", "Three"), "event.action", "event.acton", 1))
	f.await("the broken rule to be reported", func() error {
		r, err := readyz(f.listen)
		c := r.Components["rules"]
		if err == nil && (r.code != 200 || r.Status != "degraded" || c.Status != "degraded" || !strings.Contains(c.Reason, "three.yaml:5:12: ")) {
			err = fmt.Errorf("/readyz: %d %+v", r.code, r)
		}
		return err
	})
	f.log("Two")
	f.found("t.two", 2)
	if err := f.hasRules(2); err != nil {
		t.Error(err)
	}

	f.write("three.yaml", ruleOf("t.three", "Three"))
	f.await("all is well again", func() error {
		if err := f.hasRules(3); err != nil {
			return err
		}
		return isReady(f.listen)
	})
	before := strings.Count(f.said(), "rules reloaded")
	if err := f.p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	f.await("SIGHUP reloads", func() error {
		if n := strings.Count(f.said(), "rules reloaded"); n != before+1 {
			return fmt.Errorf("the log tells of %d reloads, want %d", n, before+1)
		}
		return isReady(f.listen)
	})
	f.log("Three")
	f.log("One")
	f.found("t.three", 1)
	f.found("t.one", 3)
	f.end(3)
}

// end terminates the process and checks that it exits with 0 and has delivered everything.
func (f *following) end(findings int) {
	f.t.Helper()
	if code := f.p.terminate(); code != exitOK {
		f.t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	if whole, reduced := f.receiver.findings(); len(whole)+len(reduced) != findings {
		f.t.Errorf("got %d findings at the receiver after the end, want %d", len(whole)+len(reduced), findings)
	}
	f.receiver.check(f.t)
}

func (f *following) said() string {
	b, err := os.ReadFile(f.p.log)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

func (f *following) hasRules(n int) error {
	o := aidr(f.t, "status", "--json", "--state", f.state)
	if !strings.Contains(o.stdout, fmt.Sprintf(`"rules":%d,`, n)) {
		return fmt.Errorf("aidr status: %s%s, want %d rules", o.stdout, o.stderr, n)
	}
	return nil
}

// TestTermination checks that SIGTERM drains the sinks for a limited time, and that the next start delivers the rest.
func TestTermination(t *testing.T) {
	f := startFollowing(t, map[string]string{"one.yaml": ruleOf("t.one", "One")})
	f.receiver.answers.Store(503)
	f.log("One")
	f.found("t.one", 1)
	began := time.Now()
	if code := f.p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	t.Logf("it ended %v after SIGTERM, while the receiver was away", time.Since(began).Round(time.Millisecond))
	if whole, _ := f.receiver.findings(); len(whole) != 0 {
		t.Fatalf("the receiver took %d findings while it was away", len(whole))
	}
	f.receiver.answers.Store(0)
	f.p = start(t, f.p.cmd.Args[1:]...)
	f.await("the finding arrives", func() error {
		if whole, _ := f.receiver.findings(); len(whole) != 1 {
			return fmt.Errorf("%d findings", len(whole))
		}
		return nil
	})
	f.end(1)
}
