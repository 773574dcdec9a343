package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
)

func TestIssues(t *testing.T) {
	cases := []struct {
		text string
		want []string // each is a part of an issue written as line:col: text
	}{
		{``, []string{"1:1: the condition is empty"}},
		{`event.clas == "tool"`, []string{"1:6: there is no field event.clas: did you mean event.class?"}},
		{`tool.name == "x"`, []string{"there is no field tool.name: did you mean gen_ai.tool.name?"}},
		{`zebra.crossing == "x"`, []string{"there is no field zebra.crossing: schema/FIELDS.md"}},
		{"event.clas == \"tool\" &&\n  event.class == 5 &&\n  http.response.bytes.startsWith(\"a\")", []string{
			"1:6: there is no field event.clas",
			"2:15: == compares a text with a whole number: they are never equal",
			"3:33: startsWith() cannot take a whole number and a text"}},
		{`event.class = "tool"`, []string{"1:13: a single = means nothing here: write == to compare"}},
		{`event.class == `, []string{"the condition ends too early"}},
		{`event.class "tool"`, []string{`1:13: '"tool"' is not valid here`}},
		{`event.class`, []string{"a condition is true or false, this is a text"}},
		{`event.class.foo == "x"`, []string{"a text has nothing below it"}},
		{`event.raw_ref == "x"`, []string{"1:6: event.raw_ref says when or where a record was read: no rule can see it"}},
		{`event.ingested > time`, []string{"event.ingested says when or where"}},
		{`raw == null`, []string{"1:1: raw needs the path of one value"}},
		{`raw[event.class] == "x"`, []string{"1:1: raw needs the path of one value"}},
		{`event.class in lists.paste_site`, []string{"there is no list paste_site: did you mean paste_sites?"}},
		{`event.class in lists.nothing_like_it`, []string{"there is no list nothing_like_it: there are domains, empty, paste_sites, with_empty"}},
		{`5 in lists.paste_sites`, []string{"in cannot take a whole number and a list of texts"}},
		{`agent.ownr == "x"`, []string{"there is no attribute agent.ownr: did you mean agent.owner?"}},
		{`agent.allows_everything("x")`, []string{"there is no attribute agent.allows_everything"}},
		{`agent.allows_tool("x", "y")`, []string{"agent.allows_tool() takes one text"}},
		{`agent.allows("tool")`, []string{`agent.allows() takes a kind and one text, as in agent.allows("tool", gen_ai.tool.name)`}},
		{`agent.allows("tol", "x")`, []string{"1:14: there is no kind tol: did you mean tool?"}},
		{`agent.allows(event.class, "x")`, []string{"1:19: a kind is a constant text: one of tool, mcp_server"}},
		{`event.class.startWith("x")`, []string{"there is no function startWith(): did you mean startsWith()?"}},
		{`event.class.matches("(")`, []string{"1:21: the pattern is not in RE2 syntax"}},
		{`event.class.matches("a(?=b)")`, []string{"the pattern is not in RE2 syntax"}},
		{`event.class.matches(event.action)`, []string{"a pattern must be a constant text"}},
		{`event.class.glob(event.action)`, []string{"a glob must be a constant text"}},
		{`decoded(time) != ""`, []string{`1:9: decoded() takes a text or a JSON value, as in decoded(gen_ai.tool.call.arguments).contains`}},
		{`normalised(gen_ai.tool.name) in ["bash", "Bash"]`, []string{`1:42: normalised() gives lower case and single spaces, so this never holds: write "bash"`}},
		{`cap.egres`, []string{"did you mean cap.egress?"}},
		{`tool(gen_ai.tool.name).sends`, []string{"a tool has change, destructive, egress, private, untrusted"}},
		{`tool(gen_ai.tool.name) == "x"`, []string{"tool(x).egress"}},
		{`"tags" in invisible(event.action)`, []string{"did you mean tag?"}},
		{`gen_ai.response.finish_reasons.exists(event, event == "x")`, []string{
			"event is the beginning of names that rules have"}},
		{`raw.a.exists(raw, true) || raw.a.all(lists, true) || raw.a.exists(agent, true)`, []string{
			"raw is the beginning", "lists is the beginning", "agent is the beginning"}},
		{`has(event.clas)`, []string{"there is no field event.clas"}},
		{`has("x")`, []string{"has() takes a field or a key"}},
		{`time.getHours("Europe/Berlin") == 3`, []string{`a time zone is a constant offset such as "+02:00"`}},
		{`cidr("10.0.0.0/33").contains(source.ip)`, []string{`a network is a constant text such as "10.0.0.0/8"`}},
		{`ip(source.ip).isEvil()`, []string{"an address has isPrivate()"}},
		{`url(url.path).fragment == "x"`, []string{"a URL has scheme, host, port, path"}},
		{`ip(source.ip) == "x"`, []string{"ip() is valid only in forms"}},
		{`raw.a.all(a, raw.b.all(b, raw.c.all(c, raw.d.exists(d, a == d && b == c))))`, []string{"the condition may cost"}},
		{strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), []string{"nested more than 64 deep"}},
		{`event.class == "` + strings.Repeat("x", maxExpressionRunes) + `"`, []string{"longer than 65536 characters"}},
		{`event.class == null`, []string{"== compares a text with null"}},
		{`google.protobuf.Duration{seconds: 5} == 5`, []string{"makes a message"}},
		{"\"\u00e4\" == event.clas", []string{"1:13: there is no field event.clas"}},
	}
	env := newTestEnv(t)
	for _, c := range cases {
		_, issues := env.Compile(c.text)
		if len(issues) != len(c.want) {
			t.Errorf("%.80s: got %d issues %+v, want %d", c.text, len(issues), issues, len(c.want))
			continue
		}
		for i, w := range c.want {
			got := fmt.Sprintf("%d:%d: %s", issues[i].Line, issues[i].Col, issues[i].Text)
			if !strings.Contains(got, w) {
				t.Errorf("%.80s: got %q, want %q", c.text, got, w)
			}
		}
	}
}

// No issue contains the terms of CEL.
func TestIssuesArePlain(t *testing.T) {
	env := newTestEnv(t)
	for _, text := range []string{
		`1 + "a" == 2`, `[1, "a"].foo()`, `{"a": 1}.b.c`, `event.class[0] == "x"`, `size(5) == 1`, `!event.class`,
		`-event.class == 1`, `true ? 1 : "a"`, `event.class ? true : false`, `undefined_thing(5)`, `event.class.contains(5)`, `1 in 2`,
	} {
		_, issues := env.Compile(text)
		if len(issues) == 0 {
			t.Errorf("%s: compiled", text)
		}
		for _, i := range issues {
			for _, bad := range []string{"overload", "container", "undeclared", "@", "_==_", "string", "dyn"} {
				if strings.Contains(i.Text, bad) {
					t.Errorf("%s: the issue contains %q: %s", text, bad, i.Text)
				}
			}
		}
	}
}

// FuzzCompile compiles any text: the result is either issues or a condition that can be evaluated.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`event.class == "tool"`, `raw.a["b"].exists(x, x.y == 1)`, `has(raw.a) ? 1 : 2`, "raw.`a-b`", `a.b.c(`,
		`cidr("::/0").contains(ip(raw.x))`, `[raw.x, {"a": raw.y}][0].z`, `lists.domains.exists(d, d in lists.paste_sites)`,
		`url(url(raw.x).host).host == ""`, `has(has(raw.a))`, `raw.a.map(x, raw.b)`, `.event.class == "x"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		env := newTestEnv(t)
		cond, issues := env.Compile(text)
		if (cond == nil) == (len(issues) == 0) {
			t.Fatalf("cond %v, issues %+v", cond, issues)
		}
		for _, i := range issues {
			if i.Line < 1 || i.Col < 1 || i.Text == "" {
				t.Errorf("issue %+v", i)
			}
		}
		if cond == nil {
			return
		}
		e := sample()
		fillRaws(env, e, sampleRecord)
		cond.Eval(e, predicate.NewScratch())
		for _, part := range cond.Conjuncts() {
			if _, issues := env.Compile(part); issues != nil {
				t.Errorf("conjunct %q of %q: %+v", part, text, issues)
			}
		}
	})
}
