package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"pgregory.net/rapid"
)

// load builds a Set from the texts of rule files. A text whose first line ends in .yaml is a file of that name, so that
// lists/X.yaml is a list.
func load(t testing.TB, files ...string) *rules.Set {
	t.Helper()
	fsys := fstest.MapFS{}
	for i, f := range files {
		name, text, ok := strings.Cut(f, "\n")
		if !ok || !strings.HasSuffix(name, ".yaml") {
			name, text = fmt.Sprintf("r%d.yaml", i), f
		}
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	set, problems := rules.LoadFS(rules.Options{}, fsys, "x")
	for _, p := range problems {
		if !p.Warning {
			t.Errorf("%s\n%s", p, p.Snippet)
		}
	}
	if set == nil {
		t.FailNow()
	}
	return set
}

// rule returns the text of a rule file with the given lines.
func rule(id string, lines ...string) string {
	return fmt.Sprintf("id: %s\ntitle: %s\nseverity: low\n%s\n", id, id, strings.Join(lines, "\n"))
}

func event(dataset string, at time.Time, fields map[schema.Field]string) *schema.Event {
	e := &schema.Event{}
	e.SetText(schema.EventDataset, dataset)
	if !at.IsZero() {
		e.SetTime(schema.Time, at.UnixNano())
	}
	for f, v := range fields {
		e.SetText(f, v)
	}
	return e
}

// hits returns the rules that an event matches, each as id:roles with the roles in binary.
func hits(set *rules.Set, sc *rules.Scratch, e *schema.Event) string {
	var out []string
	for _, h := range set.Match(e, sc, nil) {
		out = append(out, fmt.Sprintf("%s:%b", set.Rules[h.Rule].ID, h.Roles))
	}
	return strings.Join(out, " ")
}

func TestMatch(t *testing.T) {
	set := load(t,
		rule("b.tool", `when: event.class == "tool"`),
		rule("a.any", `when: has(event.action)`),
		rule("c.narrow", `datasets: [litellm]`, `when: event.class == "tool"`),
		rule("d.off", `status: disabled`, `when: event.class == "tool"`),
		rule("e.draft", `status: draft`, `when: event.class == "tool"`),
		rule("f.shadow", `status: shadow`, `when: event.class == "tool"`),
		rule("g.steps", `when: has(session.id)`, `sequence:`, `  within: 5m`, `  by: [session.id]`, `  steps:`,
			`    - {id: a, when: event.class == "tool"}`, `    - {id: b, when: event.action == "chat"}`,
			`  unless: {when: event.outcome == "failure"}`),
		rule("h.list", `when: url.domain in lists.hosts`),
		"lists/hosts.yaml\nvalues: [a.example, b.example]\n",
	)
	sc := set.NewScratch()
	f := func(e *schema.Event, want string) {
		t.Helper()
		if got := hits(set, sc, e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(event("litellm", time.Time{}, map[schema.Field]string{schema.EventClass: "tool"}), "b.tool:1 c.narrow:1 f.shadow:1")
	f(event("kong.http_log", time.Time{}, map[schema.Field]string{schema.EventClass: "tool", schema.EventAction: "chat"}),
		"a.any:1 b.tool:1 f.shadow:1")
	f(event("x", time.Time{}, map[schema.Field]string{schema.EventClass: "tool", schema.EventAction: "chat", schema.SessionID: "s",
		schema.EventOutcome: "failure"}), "a.any:1 b.tool:1 f.shadow:1 g.steps:111")
	f(event("x", time.Time{}, map[schema.Field]string{schema.EventAction: "chat", schema.SessionID: "s"}), "a.any:1 g.steps:10")
	f(event("x", time.Time{}, map[schema.Field]string{schema.URLDomain: "b.example"}), "h.list:1")
	f(event("x", time.Time{}, nil), "")
	if got := len(set.All); got != 8 {
		t.Errorf("got %d rules in all, want 8", got)
	}
	draft := set.Only(set.All[4])
	tool := event("x", time.Time{}, map[schema.Field]string{schema.EventClass: "tool"})
	if got := hits(draft, draft.NewScratch(), tool); got != "e.draft:1" {
		t.Errorf("the draft alone: got %q", got)
	}
}

func TestExceptions(t *testing.T) {
	set := load(t, rule("a.seq", `when: event.class == "tool"`, `sequence:`, `  within: 5m`, `  by: [session.id]`, `  steps:`,
		`    - {id: a, when: event.action == "x"}`, `    - {id: b, when: event.action == "y"}`, `  unless: {when: event.outcome == "failure"}`,
		`exceptions:`,
		`  - {when: ai_agent.uid == "a1", until: 2026-03-31, reason: r, owner: o}`,
		`  - {when: raw.n + 1 == 2, until: 2027-01-01}`))
	sc := set.NewScratch()
	step := func(agent, outcome string, at time.Time) *schema.Event {
		e := event("x", at, map[schema.Field]string{schema.EventClass: "tool", schema.EventAction: "x",
			schema.AIAgentUID: agent, schema.EventOutcome: outcome})
		e.Raws = append(e.Raws, schema.StringValue("text")) // so that the second exception cannot be evaluated
		return e
	}
	lastDay := time.Date(2026, 3, 31, 23, 59, 59, 999_999_999, time.UTC)
	f := func(e *schema.Event, want string) {
		t.Helper()
		if got := hits(set, sc, e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(step("a2", "", lastDay), "a.seq:1")
	f(step("a1", "", lastDay), "")
	f(step("a1", "failure", lastDay), "a.seq:100") // exceptions do not apply to unless
	f(step("a1", "", lastDay.Add(1)), "a.seq:1")
	long := step("a1", "", lastDay)
	long.SetInt(schema.EventDuration, 1) // the event ends on the next day
	f(long, "a.seq:1")
	if sc.Excepted[0] != 2 || sc.Errors[0] != 3 {
		t.Errorf("got %d excepted and %d errors, want 2 and 3", sc.Excepted[0], sc.Errors[0])
	}
}

// TestMatchIsBruteForce checks that Match, with its index, returns the same hits as evaluating every role of every rule.
func TestMatchIsBruteForce(t *testing.T) {
	word := rapid.SampledFrom([]string{"a", "b", "c", ""})
	fields := []schema.Field{schema.EventClass, schema.EventAction, schema.AIAgentUID, schema.SessionID}
	term := rapid.Custom(func(t *rapid.T) string {
		f := rapid.SampledFrom(fields).Draw(t, "field")
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			return fmt.Sprintf("%s == %q", f, word.Draw(t, "value"))
		case 1:
			return fmt.Sprintf("%s in [%q, %q]", f, word.Draw(t, "value"), word.Draw(t, "value"))
		case 2:
			return fmt.Sprintf("%s != %q", f, word.Draw(t, "value"))
		case 3:
			return fmt.Sprintf("has(%s)", f)
		}
		return "raw.n + 1 == 2" // an error if raw.n is not a number
	})
	cond := rapid.Custom(func(t *rapid.T) string {
		a, b := term.Draw(t, "left"), term.Draw(t, "right")
		return "(" + a + ") " + rapid.SampledFrom([]string{"&&", "||"}).Draw(t, "op") + " (" + b + ")"
	})
	rapid.Check(t, func(rt *rapid.T) {
		var files []string
		for i := range rapid.IntRange(1, 5).Draw(rt, "rules") {
			lines := []string{"when: '" + cond.Draw(rt, "when") + "'"}
			if rapid.Bool().Draw(rt, "narrow") {
				lines = append(lines, "datasets: [d1]")
			}
			if rapid.Bool().Draw(rt, "except") {
				lines = append(lines, "exceptions: [{until: 2026-01-01, when: '"+cond.Draw(rt, "except")+"'}]")
			}
			if rapid.Bool().Draw(rt, "sequence") {
				lines = append(lines, "sequence: {within: 1m, by: [session.id], steps: [{id: s1, when: '"+
					cond.Draw(rt, "s1")+"'}, {id: s2, when: '"+cond.Draw(rt, "s2")+"'}], unless: {when: '"+cond.Draw(rt, "unless")+"'}}")
			}
			files = append(files, rule(fmt.Sprintf("r%d", i), lines...))
		}
		set := load(t, files...)
		sc, brute := set.NewScratch(), set.NewScratch()
		for range 4 {
			day := time.Date(2026, 1, rapid.IntRange(1, 2).Draw(rt, "day"), 0, 0, 0, 0, time.UTC)
			e := event(rapid.SampledFrom([]string{"d1", "d2"}).Draw(rt, "dataset"), day, nil)
			for _, f := range fields {
				e.SetText(f, word.Draw(rt, "text"))
			}
			for range set.Wanted().Raw {
				e.Raws = append(e.Raws, rapid.SampledFrom([]schema.Value{{}, schema.IntValue(1), schema.StringValue("x")}).Draw(rt, "n"))
			}
			got, want := set.Match(e, sc, nil), bruteForce(set, brute, e)
			if !slices.Equal(got, want) {
				rt.Fatalf("%s\ngot %v, want %v", strings.Join(files, "---\n"), got, want)
			}
		}
	})
}

// bruteForce is Match without the index.
func bruteForce(set *rules.Set, sc *rules.Scratch, e *schema.Event) []rules.Hit {
	var out []rules.Hit
	at, _ := e.End()
	for i, r := range set.Rules {
		if len(r.Datasets) > 0 && !slices.Contains(r.Datasets, e.Text(schema.EventDataset)) {
			continue
		}
		excepted := false
		for _, x := range r.Exceptions {
			if holds, err := x.Cond.Eval(e, sc.Predicate); err == nil && holds && at < x.Until {
				excepted = true
			}
		}
		hit := rules.Hit{Rule: i}
		for bit, role := range r.Roles {
			holds, err := role.Cond.Eval(e, sc.Predicate)
			if err == nil && holds && (!excepted || role.Name == "unless") {
				hit.Roles |= 1 << bit
			}
		}
		if hit.Roles != 0 {
			out = append(out, hit)
		}
	}
	return out
}

func TestMatchAllocatesNothing(t *testing.T) {
	set := load(t,
		rule("a.any", `when: event.class == "tool"`, `exceptions: [{when: ai_agent.uid == "a9", until: 2030-01-01}]`),
		rule("b.path", `when: url.path.startsWith("/admin") && http.response.status_code >= 400`),
		rule("c.steps", `sequence:`, `  {within: 5m, by: [session.id],`,
			`  steps: [{id: a, when: event.class == "tool"}, {id: b, when: event.action == "chat"}]}`),
		rule("d.raw", `when: raw.requestParameters.bucketName == "kb"`),
		rule("e.glob", `when: url.domain in lists.hosts`), "lists/hosts.yaml\ntype: globs\nvalues: ['*.example', 'a*b']\n")
	sc := set.NewScratch()
	e := event("litellm", time.Unix(1, 0), map[schema.Field]string{schema.EventClass: "tool", schema.AIAgentUID: "a1",
		schema.URLPath: "/admin/x", schema.URLDomain: "x.example"})
	e.SetInt(schema.HTTPResponseStatusCode, 403)
	e.Raws = append(e.Raws, schema.StringValue("kb"))
	var found []rules.Hit
	if n := testing.AllocsPerRun(1000, func() { found = set.Match(e, sc, found[:0]) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	if len(found) != 5 {
		t.Errorf("got %d hits, want 5", len(found))
	}
}

func TestWanted(t *testing.T) {
	set := load(t,
		rule("a.sum", `when: raw.a.b == 1 && url.domain == "x"`,
			`threshold: {sum: {of: gen_ai.usage.cost, at_least: 1}, within: 1m, by: [trace.id]}`,
			`exceptions: [{when: raw.c == 2 && user.id == "u", until: 2030-01-01}]`),
		rule("b.distinct", `when: event.class == "api"`, `distinct: {of: [source.ip], count: 2, within: 1m, by: [credential.uid]}`),
		rule("c.ratio", `when: event.class == "api"`,
			`threshold: {ratio: {of: error.type == "x", at_least: 0.5, min: 2}, within: 1m, by: [session.id]}`),
		rule("d.seq", `sequence:`, `  {within: 5m, by: [session.id], where: b.resource.name == a.raw.d,`,
			`  steps: [{id: a, when: event.class == "tool", by: [span.id]}, {id: b, when: event.action == "chat"}]}`),
		rule("e.off", `status: disabled`, `when: user.email == "x"`))
	w := set.Wanted()
	for _, f := range []schema.Field{schema.Time, schema.EventID, schema.URLDomain, schema.GenAIUsageCost, schema.TraceID,
		schema.UserID, schema.SourceIP, schema.CredentialUID, schema.ErrorType, schema.ResourceName, schema.SpanID, schema.AIAgentUID} {
		if !w.Fields.Has(f) {
			t.Errorf("%s is not wanted", f)
		}
	}
	for _, f := range []schema.Field{schema.UserEmail, schema.GenAIToolCallResult} {
		if w.Fields.Has(f) {
			t.Errorf("%s is wanted", f)
		}
	}
	var paths []string
	for _, p := range w.Raw {
		paths = append(paths, strings.Join(p, "."))
	}
	slices.Sort(paths)
	if got := strings.Join(paths, " "); got != "a.b c d" {
		t.Errorf("raw paths: got %s", got)
	}
	var names []string
	for _, m := range set.Rules[0].Mentions {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); got != "raw.a.b url.domain trace.id gen_ai.usage.cost" {
		t.Errorf("mentions: got %s", got)
	}
}
