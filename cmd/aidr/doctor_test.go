package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/doctor"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// TestDoctor checks a healthy site, and that each fault gives its own failure with what to do.
func TestDoctor(t *testing.T) {
	broker := conntest.StartFakeKafka(t).Addr
	conntest.CreateTopic(t, broker, "calls", 1, "message.timestamp.type", "LogAppendTime")
	db := host.ForTest(t)
	hook := startReceiver(t)
	site := func(broker, topic, dsn, url, state string) string {
		return fmt.Sprintf(`sources:
  - {name: logs, kafka: {brokers: [%q], topics: [%s], group: g-%s}}
rules: [library]
state: {dir: %q}
sinks:
  clickhouse: {dsn: %q}
  webhooks: [{name: soc, url: %q, secret: %q, allow_networks: ["127.0.0.0/8"]}]
`, broker, topic, topic, state, dsn, url, hook.secret)
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	file := filepath.Join(dir, "aidr.yaml")
	examine := func(text string) map[string]doctor.Check {
		t.Helper()
		write(t, file, text)
		o := aidr(t, "doctor", "--config", file, "--json")
		found := map[string]doctor.Check{}
		failed := false
		for _, c := range jsonLines[doctor.Check](t, o.stdout) {
			key := strings.TrimSpace(c.Area + " " + c.Subject)
			found[key] = c
			failed = failed || c.Result == doctor.Fail
			if c.Result != doctor.OK && c.Do == "" || c.Result == doctor.OK && c.Do != "" {
				t.Errorf("%+v: what to do is for what is not ok", c)
			}
		}
		if failed != (o.code == exitFailed) {
			t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
		return found
	}
	expect := func(found map[string]doctor.Check, key string, result doctor.Result, text string) {
		t.Helper()
		c, ok := found[key]
		if !ok || c.Result != result || !strings.Contains(c.Text, text) {
			t.Errorf("%s: got %+v of %d checks, want %s with %q", key, c, len(found), result, text)
		}
	}

	found := examine(site(broker, "calls", db, hook.url, state))
	for _, key := range []string{"configuration", "disk fsync", "source.logs broker " + broker, "source.logs topic calls", "source.logs group g-calls",
		"sink.clickhouse", "sink.clickhouse clock", "sink.clickhouse rights", "sink.soc", "state"} {
		expect(found, key, doctor.OK, "")
	}
	expect(found, "rules 6 without data", doctor.Warn, "registry")

	found = examine(site(broker, "absent", db, hook.url, state))
	expect(found, "source.logs topic absent", doctor.Fail, "does not exist")
	found = examine(site("127.0.0.1:1", "calls", "clickhouse://u:tell-nobody@127.0.0.1:1/x", hook.url, "/dev/null"))
	expect(found, "connections", doctor.Warn, "nothing was connected to")
	expect(found, "configuration", doctor.Fail, "state.dir")
	found = examine(site("127.0.0.1:1", "calls", "clickhouse://u:tell-nobody@127.0.0.1:1/x", "http://127.0.0.1:1/", state))
	expect(found, "source.logs broker 127.0.0.1:1", doctor.Fail, "refused")
	expect(found, "sink.clickhouse", doctor.Fail, "refused")
	expect(found, "sink.soc", doctor.Fail, "refused")
	found = examine("sources: [{kafka: {brokers: [b]}}]\nsurprise: 1\n")
	expect(found, "configuration", doctor.Fail, "")

	write(t, file, site(broker, "calls", db, hook.url, state))
	p := start(t, "run", "--config", file)
	await(t, time.Minute, "aidr runs", func() error {
		if o := aidr(t, "status", "--check", "--state", state); o.code != exitOK {
			return fmt.Errorf("%s%s", o.stdout, o.stderr)
		}
		return nil
	})
	found = examine(site(broker, "calls", db, hook.url, state))
	expect(found, "process", doctor.OK, "running since")
	bundle := filepath.Join(dir, "b.tar.gz")
	if o := aidr(t, "doctor", "--config", file, "--offline", "--bundle", bundle); o.code != exitWarnings {
		t.Errorf("bundle: %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	tar := exec.Command("tar", "-xzf", bundle, "-C", dir)
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]string{"log.txt": "aidr starts", "metrics.txt": "aidr_", "status.json": `"running": true`, "costs.json": `"rules"`} {
		text, err := os.ReadFile(filepath.Join(dir, "aidr-doctor", name))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s of the bundle lacks %q (%v):\n%s", name, want, err, text)
		}
		if strings.Contains(string(text), hook.secret) {
			t.Errorf("%s holds the secret", name)
		}
	}
	p.terminate()
	found = examine(site(broker, "calls", db, hook.url, state))
	expect(found, "process", doctor.Warn, "no aidr has the state directory open")

	write(t, file, site("127.0.0.1:1", "calls", db, hook.url, state))
	o := aidr(t, "doctor", "--config", file)
	if o.code != exitFailed || !strings.Contains(o.stdout, "fail  source.logs broker 127.0.0.1:1: ") || !strings.Contains(o.stdout, "ok    disk fsync: ") {
		t.Errorf("text: %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := aidr(t, "doctor", "--config", file, "--offline"); o.code != exitWarnings || strings.Contains(o.stdout, "broker") {
		t.Errorf("offline: %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}
