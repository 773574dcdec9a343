package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// write writes files below a new folder and returns the folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// errorsOf returns the problems that are not warnings, one per line, with DIR for the folder's name.
func errorsOf(dir string, ps []rules.Problem) string {
	var b strings.Builder
	for _, p := range ps {
		if !p.Warning {
			fmt.Fprintln(&b, strings.ReplaceAll(p.String(), filepath.ToSlash(dir), "DIR"))
		}
	}
	return strings.TrimSpace(b.String())
}

// ids returns the ids of the active and the idle rules.
func ids(set *rules.Set) string {
	if set == nil {
		return "no set"
	}
	var out []string
	for _, r := range set.Rules {
		out = append(out, r.ID)
	}
	for _, s := range set.RuleActivities(nil) {
		if s.Activity == rules.Idle && !slices.Contains(out, s.Rule.ID) {
			out = append(out, s.Rule.ID+"(idle)")
		}
	}
	return strings.Join(out, " ")
}

func TestLoadFolders(t *testing.T) {
	const tool = `when: event.class == "tool"`
	f := func(files map[string]string, o rules.Options, wantIDs, wantProblems string, paths ...string) {
		t.Helper()
		dir := write(t, files)
		if len(paths) == 0 {
			paths = []string{"."}
		}
		for i := range paths {
			paths[i] = filepath.Join(dir, paths[i])
		}
		if o.Lists != "" {
			o.Lists = filepath.Join(dir, o.Lists)
		}
		if o.Agents != "" {
			o.Agents = filepath.Join(dir, o.Agents)
		}
		set, ps := rules.Load(o, paths...)
		if got := errorsOf(dir, ps); got != wantProblems {
			t.Errorf("got problems\n%s\nwant\n%s", got, wantProblems)
		}
		if got := ids(set); got != wantIDs {
			t.Errorf("got %s, want %s", got, wantIDs)
		}
	}
	const bad = "x: ["
	f(map[string]string{"a.yaml": rule("z.one", tool), "sub/deep/b.yml": rule("a.two", tool), "notes.txt": "x",
		".hidden.yaml": bad, ".git/c.yaml": bad}, rules.Options{}, "a.two z.one", "")

	list := rule("a.list", `when: url.domain in lists.hosts`)
	f(map[string]string{"a.yaml": list, "lists/hosts.yaml": "values: [x]"}, rules.Options{}, "a.list", "")
	f(map[string]string{"r/a.yaml": list, "l/hosts.yaml": "values: [x]"}, rules.Options{Lists: "l"}, "a.list", "", "r")
	f(map[string]string{"r/a.yaml": list, "r/lists/hosts.yaml": "values: [x]", "l/hosts.yaml": "values: [y]", "l/z.txt": ""},
		rules.Options{Lists: "l"}, "no set",
		`DIR/l/hosts.yaml:1:1: the list "hosts" is already defined by DIR/r/lists/hosts.yaml: rename one of the two`, "r")

	agent := rule("b.agent", `when: has(ai_agent.uid) && !agent.registered`)
	f(map[string]string{"b.yaml": agent}, rules.Options{}, "b.agent(idle)", "")
	f(map[string]string{"b.yaml": agent}, rules.Options{Drafts: true}, "b.agent", "")
	f(map[string]string{"b.yaml": agent, "agents.yaml": "agents: [{uid: a, owner: o}]"}, rules.Options{}, "b.agent", "")
	f(map[string]string{"r/b.yaml": agent, "reg.yaml": "agents: [{uid: a, owner: o}]"}, rules.Options{Agents: "reg.yaml"}, "b.agent", "", "r")
	f(map[string]string{"r/b.yaml": agent, "r/agents.yaml": "agents: 1"}, rules.Options{}, "no set",
		"DIR/r/agents.yaml:1:9: agents: is a whole number, not a list: write [a, b], or one a line after a dash", "r")

	one := rule("a.one", tool)
	f(map[string]string{"r/a.yaml": one}, rules.Options{}, "a.one", "", "r", "r/a.yaml") // named twice, read once
	f(map[string]string{"a.yaml": one, "b.yaml": one}, rules.Options{}, "no set",
		`DIR/b.yaml:1:1: rule "a.one": id: the id is already used by DIR/a.yaml:1: choose another`)
	f(map[string]string{"a.txt": "x"}, rules.Options{}, "no set",
		"DIR:1:1: the folder holds no rule file (*.yaml, *.yml): name a folder of rules")
	f(map[string]string{"a.yaml": one}, rules.Options{}, "no set",
		"DIR/nowhere:1:1: cannot be read: no such file or directory", "nowhere", "a.yaml")
	f(map[string]string{"a.yaml": one}, rules.Options{Lists: "nolists"}, "no set",
		"DIR/nolists:1:1: cannot be read: no such file or directory")
	f(map[string]string{"a.yaml": one, "b.yaml": "id: b.two\n"}, rules.Options{}, "no set", // one bad file fails the whole set
		`DIR/b.yaml:1:1: rule "b.two": "severity" is missing
DIR/b.yaml:1:1: rule "b.two": "title" is missing
DIR/b.yaml:1:1: rule "b.two": "when" is missing`)
	if _, ps := rules.Load(rules.Options{}); len(ps) != 1 {
		t.Errorf("no path: got %v", ps)
	}
}

// TestMountedFolder checks that each file of a ConfigMap, which is mounted as links into a hidden folder, is read once.
func TestMountedFolder(t *testing.T) {
	dir := write(t, map[string]string{"..2026/a.yaml": rule("a.one", `when: event.class == "tool"`)})
	if err := os.Symlink("..2026", filepath.Join(dir, "..data")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(filepath.Join("..data", "a.yaml"), filepath.Join(dir, "a.yaml")); err != nil {
		t.Skip(err)
	}
	set, ps := rules.Load(rules.Options{}, dir)
	if ids(set) != "a.one" {
		t.Errorf("got %s, %v", ids(set), ps)
	}
}

func TestRuleIsWhatTheFileSays(t *testing.T) {
	set := load(t, `id: a.full
version: 3
title: Everything
description: >
  On two
  lines.
severity: critical
confidence: 70
status: shadow
datasets: [litellm, otel.gen_ai]
tags: [owasp.asi08-2026, x.mine]
references: [r]
false_positives: [f]
when: event.class == "llm"
sequence:
  within: 5m
  by: [credential.uid, session.id]
  steps:
    - {id: a, when: event.action == "x", times: 3}
    - {id: b, when: event.action == "y", by: [ai_agent.uid, session.id]}
  unless: {when: event.action == "z"}
group: {for: 2h, by: [session.id]}
respond:
  - notify: [soc, ops]
  - contain: {scope: agent, ttl: 15m}
tests:
  - name: t
    events:
      - at: 5s
        repeat: 2
        every: 1s
        set:
          event.action: x
          gen_ai.usage.cost: 2
          gen_ai.response.finish_reasons: [stop]
          gen_ai.tool.call.arguments: {b: "<", a: [1, true]}
          time: "2026-01-01T00:00:01.5Z"
          event.truncated: true
      - {raw: {b: 1, a: {c: "<"}}, format: litellm}
      - {raw: '{"x": 1}'}
    findings: [{by: {session.id: s}, count: 4}]
`)
	r := set.Rules[0]
	check := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", name, got, want)
		}
	}
	check("id", r.ID, "a.full")
	check("version", r.Version, 3)
	check("description", r.Description, "On two lines.")
	check("severity", r.Severity, schema.SeverityCritical)
	check("confidence", r.Confidence, 70)
	check("stage", r.Stage, rules.StageShadow)
	check("datasets", r.Datasets, []string{"litellm", "otel.gen_ai"})
	check("tags", r.Tags, []string{"owasp.asi08-2026", "x.mine"})
	check("kind", r.Kind, rules.KindSequence)
	check("steps", r.Sequence.Steps, []rules.Step{{ID: "a", Times: 3}, {ID: "b", Times: 1}})
	check("within", r.Sequence.Within, 5*time.Minute)
	check("unless", r.Sequence.Unless, true)
	check("key", r.Key, rules.FieldOperands(schema.CredentialUID, schema.SessionID))
	check("key is optional", r.KeyOptional, false)
	check("group by", r.GroupBy, []int{1})
	check("group for", r.GroupFor, 2*time.Hour)
	check("roles", len(r.Roles), 3)
	check("key of b", r.Roles[1].Key, rules.FieldOperands(schema.AIAgentUID, schema.SessionID))
	check("orders", []uint16{r.Roles[0].Order, r.Roles[1].Order, r.Roles[2].Order}, []uint16{1, 2, 0})
	check("excepted", []bool{r.Roles[0].Excepted, r.Roles[1].Excepted, r.Roles[2].Excepted}, []bool{false, false, true})
	check("notify", r.Notify, []string{"soc", "ops"})
	check("contain", *r.Contain, rules.Contain{Scope: "agent", State: "deny", TTL: 15 * time.Minute, Mode: "monitor"})
	check("line", r.Line, 1)
	entry := r.Tests[0].Events[0]
	check("entry", []any{entry.At, entry.HasAt, entry.Repeat, entry.Every}, []any{5 * time.Second, true, 2, time.Second})
	check("set", entry.Set, map[schema.Field]schema.Value{
		schema.EventAction: schema.StringValue("x"), schema.GenAIUsageCost: schema.DoubleValue(2),
		schema.GenAIResponseFinishReasons: schema.ListValue(`["stop"]`),
		schema.GenAIToolCallArguments:     schema.JSONValue(`{"a":[1,true],"b":"<"}`),
		schema.Time:                       schema.TimestampValue(1767225601_500000000), schema.EventTruncated: schema.BoolValue(true)})
	check("raw", r.Tests[0].Events[1].Raw, `{"a":{"c":"<"},"b":1}`)
	check("format", r.Tests[0].Events[1].Format, "litellm")
	check("raw text", r.Tests[0].Events[2].Raw, `{"x": 1}`)
	check("auto", r.Tests[0].Events[2].Format, "auto")
	check("findings", r.Tests[0].Findings, []map[string]any{{"by": map[string]any{"session.id": "s"}, "count": int64(4)}})
}

func TestDefaults(t *testing.T) {
	set := load(t, rule("a.none", `when: event.class == "tool"`),
		rule("b.group", `when: event.class == "tool"`, `group: {for: 0, by: [session.id, user.id]}`),
		rule("c.threshold", `when: event.class == "tool"`, `threshold: {count: 2, within: 1m, by: trace.id}`),
		rule("d.new", `when: event.class == "tool"`, `new_value: {of: url.domain, by: [user.id], learn: 0s}`))
	f := func(i int, key []rules.Operand, optional bool, groupBy []int, groupFor time.Duration) {
		t.Helper()
		r := set.Rules[i]
		if !reflect.DeepEqual(r.Key, key) || r.KeyOptional != optional || !reflect.DeepEqual(r.GroupBy, groupBy) || r.GroupFor != groupFor ||
			!reflect.DeepEqual(r.Roles[0].Key, key) {
			t.Errorf("%s: got %v %t %v %v", r.ID, r.Key, r.KeyOptional, r.GroupBy, r.GroupFor)
		}
		if r.Version != 1 || r.Confidence != 50 || r.Stage != rules.StageStable {
			t.Errorf("%s: got version %d, confidence %d, status %s", r.ID, r.Version, r.Confidence, r.Stage)
		}
	}
	f(0, rules.FieldOperands(schema.AIAgentUID), true, []int{0}, time.Hour)
	f(1, rules.FieldOperands(schema.SessionID, schema.UserID), true, []int{0, 1}, 0)
	f(2, rules.FieldOperands(schema.TraceID), false, []int{0}, time.Hour)
	f(3, rules.FieldOperands(schema.UserID), false, []int{0}, time.Hour)
	if v := set.Rules[3].NewValue; v.Forget != 720*time.Hour || v.MaxValues != 256 || v.Learn != 0 {
		t.Errorf("got %+v", v)
	}
}

// TestShape checks that a rule keeps its State if only its texts, conditions or responses change, and loses it if the
// State has another form.
func TestShape(t *testing.T) {
	shape := func(lines ...string) [16]byte { return load(t, rule("a.x", lines...)).Rules[0].Shape }
	base := shape(`when: event.class == "tool"`, `threshold: {count: 5, within: 1m, by: [user.id]}`)
	for _, same := range [][]string{
		{`when: event.class == "llm"`, `threshold: {count: 5, within: 60s, by: user.id}`, `version: 7`, `confidence: 1`},
		{`when: event.class == "tool"`, `threshold: {by: [user.id], within: 1m, count: 5}`, `respond: [{notify: [a]}]`},
	} {
		if shape(same...) != base {
			t.Errorf("%v: the shape changed", same)
		}
	}
	for _, other := range []string{
		`threshold: {count: 6, within: 1m, by: [user.id]}`, `threshold: {count: 5, within: 2m, by: [user.id]}`,
		`threshold: {count: 5, within: 1m, by: [user.name]}`, `threshold: {sum: {of: gen_ai.usage.cost, at_least: 5}, within: 1m, by: [user.id]}`,
		`distinct: {of: [url.path], count: 5, within: 1m, by: [user.id]}`, `new_value: {of: [url.path], learn: 1m, by: [user.id]}`,
		"threshold: {count: 5, within: 1m, by: [user.id]}\ngroup: {for: 2h}",
	} {
		if shape(`when: event.class == "tool"`, other) == base {
			t.Errorf("%s: the shape is the same", other)
		}
	}
}

func TestTags(t *testing.T) {
	seen := map[string]bool{}
	for _, tag := range rules.Tags() {
		if seen[tag.ID] || tag.Title == "" || strings.ToLower(tag.ID) != tag.ID || strings.ContainsAny(tag.ID, " \t") {
			t.Errorf("bad row %q %q", tag.ID, tag.Title)
		}
		seen[tag.ID] = true
	}
	for _, id := range []string{"owasp.asi10-2026", "owasp.llm06-2025", "owasp.llm06-2026", "owasp.mcp09-2025",
		"atlas.aml-t0051.001", "atlas.aml-m0029", "atlas.aml-cs0030", "atlas.aml-ta0014",
		"attack.t1562.008", "attack.ta0040", "mitre-cwe.cwe-918"} {
		if !seen[id] {
			t.Errorf("%s is missing", id)
		}
	}
}

// FuzzLoad checks that no rule file causes a panic, that every problem has a position, and that hits refer to rules and
// roles of the Set.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("../testdata/bad/*.yaml")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && len(text) < 2000 {
			f.Add(string(text))
		}
	}
	f.Add(rule("a.x", `when: event.class == "tool"`, `threshold: {count: 5, within: 1m, by: [user.id]}`))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		set, ps := rules.LoadFS(rules.Options{Drafts: true}, fstest.MapFS{"r.yaml": {Data: []byte(text)}}, "x")
		if (set == nil) != rules.Failed(ps) {
			t.Fatalf("set %v, problems %v", set, ps)
		}
		for _, p := range ps {
			if p.File == "" || p.Line < 1 || p.Col < 1 || p.Cause == "" {
				t.Fatalf("%+v", p)
			}
		}
		if set == nil {
			return
		}
		var e schema.Event
		e.SetText(schema.EventClass, "tool")
		e.Raws = make([]schema.Value, len(set.Wanted().Raw))
		for _, h := range set.Match(&e, set.NewScratch(), nil) {
			if h.Rule >= len(set.Rules) || h.Roles == 0 || h.Roles>>len(set.Rules[h.Rule].Roles) != 0 {
				t.Fatalf("%+v", h)
			}
		}
	})
}

// TestExampleOfPackageComment loads the rule file in the package comment.
func TestExampleOfPackageComment(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	for line := range strings.Lines(string(text)) {
		if yaml, ok := strings.CutPrefix(line, "//\t"); ok {
			file.WriteString(yaml)
		} else if file.Len() > 0 {
			break // the end of the first example
		}
	}
	set, ps := rules.LoadFS(rules.Options{}, fstest.MapFS{"r.yaml": {Data: []byte(file.String())}}, "doc.go")
	if ids(set) != "llm.tool-call-burst" || len(ps) > 0 {
		t.Errorf("got %s, %v", ids(set), ps)
	}
}

// TestRulesOfTestdata checks that the rules of testdata/rules, at least one of each kind, load without a warning.
func TestRulesOfTestdata(t *testing.T) {
	set, ps := rules.Load(rules.Options{Today: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, "../testdata/rules")
	for _, p := range ps {
		t.Errorf("%s\n%s", p, p.Snippet)
	}
	if got, want := ids(set), "llm.tool-call-burst test.distinct test.new-value test.none test.ratio test.sequence test.sum"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLoadFoldersOfSeveralSystems checks that folders of several file systems form one Set, with the lists of each.
func TestLoadFoldersOfSeveralSystems(t *testing.T) {
	dir := t.TempDir()
	const minimal = "id: a.b\ntitle: T\nseverity: low\nwhen: event.class == \"tool\"\n"
	text := strings.Replace(minimal, "a.b", "own.rule", 1)
	if err := os.WriteFile(filepath.Join(dir, "own.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	embedded := fstest.MapFS{"a.yaml": {Data: []byte(minimal)}}
	set, ps := rules.LoadFolders(rules.Options{}, rules.Folder{Name: "builtin", FS: embedded}, rules.Folder{Name: dir})
	if set == nil || len(set.Rules) != 2 || set.Rules[0].File != "builtin/a.yaml" {
		t.Errorf("got %+v, %v", set, ps)
	}
	missing := rules.Folder{Name: filepath.Join(dir, "none")}
	if set, ps = rules.LoadFolders(rules.Options{}, rules.Folder{Name: "builtin", FS: embedded}, missing); set != nil || !rules.Failed(ps) {
		t.Errorf("a folder that does not exist: got %+v, %v", set, ps)
	}
}
