package pipeline

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// of returns a rule with another id, and more keys.
func of(id, more string) string { return strings.Replace(leak, "test.leak", id, 1) + more }

// Rules that can find nothing at this site are in the log at the start and once per change, in the status and in the metrics.
func TestIdleRules(t *testing.T) {
	t.Parallel()
	rules := folder(t, map[string]string{
		"leak.yaml":     leak,
		"shadow.yaml":   of("test.shadow", "status: shadow\n"),
		"disabled.yaml": of("test.disabled", "status: disabled\n"),
		"agent.yaml":    strings.Replace(of("test.agent", ""), `event.action == "leak"`, "'!agent.registered'", 1),
		"cloud.yaml":    strings.Replace(of("test.cloud", ""), "x.test", "aws.cloudtrail", 1),
		"typo.yaml":     strings.Replace(of("test.typo", ""), "x.test", "x.tset", 1),
	})
	input := filepath.Join(folder(t, map[string]string{"x": event(1, "leak", "a") + "\n"}), "x")
	x := start(t, fileConfig(t, rules, newEndpoint(t), true, input))

	const (
		registry = "the rule reads agent.*, and there is no registry of agents: write the agents of your site into agents.yaml " +
			"in the folder of rules, or name the file in `agents`: test.agent"
		cloud = "no source carries aws.cloudtrail: add a source of format aws_cloudtrail: test.cloud"
		typo  = "no source carries x.tset: no format gives it: correct its name, or write a field map that gives it: test.typo"
	)
	idle := func(want ...string) {
		t.Helper()
		var got []string
		for _, g := range x.Status().Idle {
			got = append(got, fmt.Sprintf("%s: %s: %s", g.Reason, g.Remedy, strings.Join(g.Rules, " ")))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("idle: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	count := func(activity string, want int) {
		t.Helper()
		if _, m := x.get("/metrics"); !strings.Contains(m, fmt.Sprintf("aidr_rules{state=%q} %d\n", activity, want)) {
			t.Errorf("%s: want %d in the metrics", activity, want)
		}
		if got := x.Status().RuleStates; got[activity] != want {
			t.Errorf("%s: want %d in the status, got %v", activity, want, got)
		}
	}
	logged := func(text string, want int) {
		t.Helper()
		if got := strings.Count(x.logs.String(), text); got != want {
			t.Errorf("%q is logged %d times, want %d", text, got, want)
		}
	}
	idle(registry, cloud, typo)
	for activity, want := range map[string]int{"active": 1, "shadow": 1, "idle": 3, "disabled": 1, "draft": 0} {
		count(activity, want)
	}
	logged(`msg="rules are idle: they find nothing at this site"`, 3)
	logged("rules=[test.cloud]", 1)
	if _, _, c := x.ready("rules"); c.Status != ok {
		t.Errorf("idle rules are a matter of the site, and not degraded: got %+v", c)
	}

	if err := x.Reload(t.Context()); err != nil { // nothing has changed
		t.Fatal(err)
	}
	logged(`msg="rules are idle: they find nothing at this site"`, 3)
	write(t, filepath.Join(rules, "agents.yaml"), "agents: [{uid: a}]\n")
	write(t, filepath.Join(rules, "typo.yaml"), strings.Replace(of("test.typo", ""), "x.test", "aws.cloudtrail", 1))
	if err := x.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle(cloud + " test.typo")
	count("active", 2)
	count("idle", 2)
	logged(`rules="[test.cloud test.typo]"`, 1)
	logged(`msg="rules are no longer idle" rules=[test.agent]`, 1)
	x.stop()
}

// A source carries the datasets that its configuration names, or else those of its format.
func TestIdleRulesOf(t *testing.T) {
	rules := folder(t, map[string]string{
		"cloud.yaml": strings.Replace(of("test.cloud", ""), "x.test", "aws.cloudtrail", 1),
		"kong.yaml":  strings.Replace(of("test.kong", ""), "x.test", "kong.http_log", 1),
		"any.yaml":   strings.Replace(of("test.any", ""), "datasets: [x.test]\n", "", 1),
		"mine.yaml":  leak,
	})
	remedies := ""
	f := func(want string, sources ...config.Source) {
		t.Helper()
		cfg := fileConfig(t, rules, nil, false, "x")
		for i := range sources {
			sources[i].Name, sources[i].File = fmt.Sprint("s", i), &config.File{Paths: []string{"x"}}
		}
		cfg.Sources = sources
		groups, err := IdleRules(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		remedies = ""
		for _, g := range groups {
			got = append(got, g.Rules...)
			remedies += g.Remedy + "\n"
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: got %q, want %q", sources, got, want)
		}
	}
	f("test.kong test.leak", config.Source{Format: "cloudtrail"})
	f("test.leak", config.Source{Format: "cloudtrail"}, config.Source{Format: "kong"})
	f("test.leak", config.Source{Format: "auto"})
	f("", config.Source{Format: "auto"}, config.Source{Format: "aidr"})
	f("", config.Source{Format: "aidr"})
	f("test.cloud test.kong", config.Source{Format: "aidr", Datasets: []string{"x.test"}})
	f("test.kong test.leak", config.Source{Format: "auto", Datasets: []string{"aws.cloudtrail"}})
	if want := "add it to the `datasets` of its source, or add a source of format kong_http_log\n"; !strings.HasPrefix(remedies, want) {
		t.Errorf("the remedies are %q, want first %q", remedies, want)
	}
}
