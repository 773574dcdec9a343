package expr

import (
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Between Begin and End, a test that two conditions share runs once: the second condition does not see that the event has
// changed. Without Begin it does.
func TestSharedTestsRunOnce(t *testing.T) {
	env := newTestEnv(t)
	const pattern, text = `message_context.prompt_text.matches("(?i)ignore all")`, `message_context.prompt_text.contains("x")`
	first := mustCompile(t, env, `event.class == "llm" && (`+pattern+" || "+text+")")
	second := mustCompile(t, env, `event.class != "api" && (`+text+" || "+pattern+")")
	third := mustCompile(t, env, `message_context.prompt_text.matches("(?i)ignore all!")`)
	e, s := &schema.Event{}, predicate.NewScratch()
	e.SetText(schema.EventClass, "llm")
	e.SetText(schema.MessageContextPromptText, "Ignore all!")
	check := func(step string, c *predicate.Cond, want bool) {
		t.Helper()
		if got, err := c.Eval(e, s); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", step, got, err, want)
		}
	}
	s.Begin(e)
	check("first", first, true)
	e.SetText(schema.MessageContextPromptText, "harmless")
	check("second, from the cache", second, true)
	check("third is another test", third, false)
	s.Begin(e)
	check("second on the next event", second, false)
	s.End()
	e.SetText(schema.MessageContextPromptText, "ignore all")
	check("second, without Begin", second, true)
}

// A shared test that fails does so for all its users, with an error.
func TestSharedFailure(t *testing.T) {
	env := newTestEnv(t)
	a := mustCompile(t, env, `raw.a.matches("x") && true`)
	b := mustCompile(t, env, `raw.a.matches("x")`)
	e, s := &schema.Event{Raws: []schema.Value{schema.IntValue(1)}}, predicate.NewScratch()
	s.Begin(e)
	defer s.End()
	for _, c := range []*predicate.Cond{a, b, a} {
		if ok, err := c.Eval(e, s); ok || err == nil {
			t.Errorf("%s: got %v, %v, want an error", c.Text(), ok, err)
		}
	}
}
