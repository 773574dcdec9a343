package expr

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

func TestNames(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		env := newTestEnv(t)
		name, issues := env.CompileName(text)
		if issues != nil {
			t.Errorf("%s: %+v", text, issues)
			return
		}
		e := sample()
		fillRaws(env, e, sampleRecord)
		got, err := name.Eval(e, predicate.NewScratch())
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	f(`ai_agent.uid`, "a1")
	f(`session.id`, "")
	f(`"fixed"`, "fixed")
	f(`raw.a.b`, "text")
	f(`raw.a.n`, "7")
	f(`raw.no.x`, "")
	f(`raw.a["null"]`, "")
	f(`raw.a.yes`, "error")
	f(`raw.a.list`, "error")
	f(`raw.a.f`, "error")
	f(`raw.a.list[0]`, "x")
	f(`has(raw.no.x) ? raw.no.x : ai_agent.uid`, "a1")
	f(`has(raw.a.b) ? raw.a.b : ai_agent.uid`, "text")
	f(`event.class == "tool" ? (raw.a.yes ? "yes" : "no") : "other"`, "yes")
	f(`event.class == "tool" || user.id == "x" ? "a" : "b"`, "a")
	f(`raw.a.n > "x" ? "a" : "b"`, "error")
	f(`event.dataset + "/" + ai_agent.uid`, "litellm/a1")
	f(`event.dataset + "/" + raw.a.b`, "litellm/text")
	f(`event.dataset + "/" + raw.no.x`, "error")
	f(`url(gen_ai.tool.call.arguments.url).host`, "evil.example")
	f(`gen_ai.tool.call.arguments.path.lowerAscii()`, "/etc/passwd")
}

func TestNameProblems(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		name, issues := newTestEnv(t).CompileName(text)
		if name != nil || len(issues) == 0 || !strings.Contains(issues[0].Text, want) {
			t.Errorf("%s: got %+v, want %q", text, issues, want)
		}
	}
	f(``, "the expression is empty: write one that is a text")
	f(`event.class == "tool"`, "the expression must give a text, this is true or false")
	f(`http.response.bytes`, "the expression must give a text")
	f(`agent.owner`, "agent.owner")
	f(`raw.request.headers.authorization`, "holds a credential")
	f(`raw.headers["x-api-key"]`, "holds a credential")
	f(`user.nam`, "did you mean user.name?")
	f(`event.raw_ref`, "no rule can see it")
	f(`user.name +`, "")
}

func TestNamesAllocateNothing(t *testing.T) {
	env := newTestEnv(t)
	name, issues := env.CompileName(`has(raw.no.x) ? raw.no.x : (event.class == "tool" ? raw.a.b : client.app.id)`)
	if issues != nil {
		t.Fatal(issues)
	}
	e, s := sample(), predicate.NewScratch()
	fillRaws(env, e, sampleRecord)
	if n := testing.AllocsPerRun(100, func() {
		if got, err := name.Eval(e, s); got != "text" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	var want schema.FieldSet
	for _, f := range []schema.Field{schema.EventClass, schema.ClientAppID} {
		want.Add(f)
	}
	if name.Fields() != want {
		t.Errorf("got fields %v, want %v", name.Fields(), want)
	}
}
