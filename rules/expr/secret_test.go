package expr

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Invented keys, in parts so that no scanner takes this file for a leak.
const (
	madeUpKey = "sk-proj-" + "Ab3dEf6hIj9kLmN0pQrS" + "tUv2xYz5Ab8dEf1hIj4kLmN7"
	madeUpPAT = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
)

func TestSecrets(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		env := newTestEnv(t)
		cond, issues := env.Compile(text)
		if issues != nil {
			t.Errorf("%s: %+v", text, issues)
			return
		}
		e := sample()
		e.SetText(schema.MessageContextPromptText, "my key is "+madeUpKey+", keep it")
		e.Set(schema.GenAIToolCallArguments, schema.JSONValue(`{"env":{"DB_PASSWORD":"hunter2-is-mine"},"n":["`+madeUpPAT+`"]}`))
		fillRaws(env, e, `{"a":{"token":"`+madeUpPAT+`"},"n":7,"s":"`+madeUpKey+`","l":["`+madeUpPAT+`","x"]}`)
		if got := outcome(cond.Eval(e, predicate.NewScratch())); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	f(`size(secrets(message_context.prompt_text)) > 0`, "true")
	f(`size(secrets(message_context.prompt_text)) == 1 && 1 == size(secrets(message_context.prompt_text))`, "true")
	f(`size(secrets(message_context.response_text)) > 0`, "false")
	f(`size(secrets(message_context.response_text)) != 0 || size(secrets(message_context.response_text)) >= 1`, "false")
	f(`"openai" in secrets(message_context.prompt_text) && !("github" in secrets(message_context.prompt_text))`, "true")
	f(`"github" in secrets(gen_ai.tool.call.arguments) && "secret" in secrets(gen_ai.tool.call.arguments)`, "true")
	f(`size(secrets(gen_ai.tool.call.arguments)) == 2`, "true")
	f(`size(secrets(gen_ai.tool.call.arguments.n)) == 1 && "secret" in secrets(gen_ai.tool.call.arguments.env)`, "true")
	f(`secrets(gen_ai.tool.call.arguments).exists(k, k in ["aws", "github"])`, "true")
	f(`secrets(gen_ai.tool.call.arguments)[0] == "github" && secrets(gen_ai.tool.call.arguments)[1] == "secret"`, "true")
	f(`secrets(message_context.prompt_text) == ["openai"]`, "true")
	f(`size(secrets(raw.a)) > 0 && "github" in secrets(raw.a.token) && "openai" in secrets(raw.s)`, "true")
	f(`size(secrets(raw.no.x)) == 0 && !("aws" in secrets(raw.no.x)) && secrets(raw.no.x) == []`, "true")
	f(`size(secrets(raw.n)) == 0 && size(secrets(gen_ai.tool.call.result)) == 0`, "true")
	f(`raw.l.exists(x, "github" in secrets(x)) && raw.l.exists(x, size(secrets(x)) == 0)`, "true")
}

func TestSecretsProblems(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, issues := newTestEnv(t).Compile(text)
		if len(issues) == 0 || !strings.Contains(issues[0].Text, want) {
			t.Errorf("%s: got %+v, want %q", text, issues, want)
		}
	}
	f(`"gihub" in secrets(message_context.prompt_text)`, `did you mean github?`)
	f(`size(secrets(http.response.bytes)) > 0`, "secrets() takes a text or a JSON value")
	f(`size(secrets()) > 0`, "secrets")
	f(`size(secrets(event.class, event.action)) > 0`, "secrets")
	f(`secrets(event.class)`, "a condition is true or false")
	f(`size(secrets(event.clas)) > 0`, "did you mean event.class?")
}

// The forms that rules use run without CEL, do not allocate, and run once per event however many rules use them.
func TestSecretsAllocateNothing(t *testing.T) {
	env := newTestEnv(t)
	e := sample()
	e.SetText(schema.MessageContextPromptText, strings.Repeat("words and words ", 200)+madeUpKey)
	s := predicate.NewScratch()
	for _, text := range []string{
		`size(secrets(message_context.prompt_text)) > 0`,
		`"openai" in secrets(message_context.prompt_text)`,
	} {
		c, again := mustCompile(t, env, text), mustCompile(t, env, text)
		if !c.Typed() {
			t.Errorf("%s: runs CEL", text)
		}
		if n := testing.AllocsPerRun(100, func() {
			if ok, err := c.Eval(e, s); !ok || err != nil {
				t.Errorf("%s: got %v, %v", text, ok, err)
			}
		}); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", text, n)
		}
		s.Begin(e)
		if ok, err := c.Eval(e, s); !ok || err != nil {
			t.Errorf("%s: got %v, %v", text, ok, err)
		}
		if ok, err := again.Eval(&schema.Event{}, s); !ok || err != nil {
			t.Errorf("%s: got %v, %v, want the shared verdict", text, ok, err)
		}
		s.End()
	}
}
