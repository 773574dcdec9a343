package expr

import (
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// Between Begin and End a part that two conditions have is asked once: the second condition does not see that the event
// was changed behind its back. Without Begin it does.
func TestSharedPartsAreAskedOnce(t *testing.T) {
	env := newTestEnv(t)
	first := mustCompile(t, env, `event.class == "llm" && (message_context.prompt_text.matches("(?i)ignore all") || message_context.prompt_text.contains("x"))`)
	second := mustCompile(t, env, `event.class != "api" && (message_context.prompt_text.contains("x") || message_context.prompt_text.matches("(?i)ignore all"))`)
	third := mustCompile(t, env, `message_context.prompt_text.matches("(?i)ignore all!")`)
	e, s := &schema.Event{}, NewScratch()
	e.SetText(schema.EventClass, "llm")
	e.SetText(schema.MessageContextPromptText, "Ignore all!")
	ask := func(step string, c *Cond, want bool) {
		t.Helper()
		if got, err := c.Eval(e, s); got != want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", step, got, err, want)
		}
	}
	s.Begin()
	ask("first", first, true)
	e.SetText(schema.MessageContextPromptText, "harmless")
	ask("second, remembered", second, true)
	ask("third is another part", third, false)
	s.Begin()
	ask("second on the next event", second, false)
	s.End()
	e.SetText(schema.MessageContextPromptText, "ignore all")
	ask("second, alone", second, true)
}

// A part that fails does so for everybody, with its error.
func TestSharedFailure(t *testing.T) {
	env := newTestEnv(t)
	a := mustCompile(t, env, `raw.a.matches("x") && true`)
	b := mustCompile(t, env, `raw.a.matches("x")`)
	e, s := &schema.Event{Raws: []schema.Value{schema.IntValue(1)}}, NewScratch()
	s.Begin()
	defer s.End()
	for _, c := range []*Cond{a, b, a} {
		if ok, err := c.Eval(e, s); ok || err == nil {
			t.Errorf("%s: got %v, %v, want an error", c.Text(), ok, err)
		}
	}
}
