package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Rules that can find nothing at a site are listed with the remedy by the commands that check it, and are not an error.
func TestIdleRulesAreShown(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rule := func(id, datasets, when string) {
		write("rules/"+id+".yaml", "id: "+id+"\ntitle: T\nseverity: low\nconfidence: 50\ndatasets: ["+datasets+"]\nwhen: "+when+"\n")
	}
	rule("x.kong", "kong.http_log", `event.class == "api"`)
	rule("x.cloud", "aws.cloudtrail", `event.class == "audit"`)
	rule("x.agent", "kong.http_log", `agent.registered && event.class == "api"`)
	rule("x.list", "kong.http_log", `url.domain in lists.none`)
	write("rules/lists/none.yaml", "values: []\n")
	cfg := write("aidr.yaml", "sources: [{name: s, format: kong, file: {paths: ["+write("in.log", "{}\n")+"], follow: true}}]\n"+
		"rules: ["+dir+"/rules]\nstate: {dir: "+dir+"/state}\n")

	want := []string{
		"3 rules are idle: they find nothing at this site",
		"  x.cloud\n    no source carries aws.cloudtrail: add a source of format aws_cloudtrail\n",
		"  x.agent\n    the rule reads agent.*, and there is no registry of agents: write the agents of your site into agents.yaml",
		"  x.list\n    the rule needs an element of the list none, which is empty: add values to the list\n",
	}
	f := func(args ...string) string {
		t.Helper()
		o := aidr(t, args...)
		for _, s := range want {
			if !strings.Contains(o.stdout+o.stderr, s) {
				t.Errorf("aidr %s: want %q in\n%s%s", strings.Join(args, " "), s, o.stdout, o.stderr)
			}
		}
		if o.code != exitOK && o.code != exitWarnings {
			t.Errorf("aidr %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.stdout, o.stderr)
		}
		return o.stdout
	}
	f("config", "check", cfg)
	table := f("rules", "check", "--config", cfg)
	for id, status := range map[string]string{"x.kong": "stable", "x.cloud": "idle", "x.agent": "idle", "x.list": "idle"} {
		found := false
		for line := range strings.Lines(table) {
			columns := strings.Fields(line)
			found = found || len(columns) > 3 && columns[0] == id && columns[3] == status
		}
		if !found {
			t.Errorf("%s: want %s in\n%s", id, status, table)
		}
	}
	if o := aidr(t, "rules", "check", filepath.Join(dir, "rules")); strings.Contains(o.stdout, "idle") {
		t.Errorf("without a configuration:\n%s", o.stdout)
	}

	addr := freeAddr(t)
	start(t, "run", "--config", cfg, "--listen", addr)
	await(t, time.Minute, "the status", func() error { return metricIs(addr, 3, "aidr_rules", `state="idle"`) })
	await(t, time.Minute, "the control socket", func() error {
		_, err := os.Stat(filepath.Join(dir, "state", "control.sock"))
		return err
	})
	f("status", "--state", filepath.Join(dir, "state"))
}
