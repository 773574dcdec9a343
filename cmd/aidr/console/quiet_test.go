package console

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// TestExceptionWhen checks that the condition of an exception compiles and selects what it covers, with hostile values too.
func TestExceptionWhen(t *testing.T) {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	for _, evil := range []string{"a", `a" || true || "`, "a\u202e\n\\", "${x}", "\U000e0041"} {
		f := &schema.Finding{AgentUID: evil, Key: map[string]string{"session.id": evil, "event.duration": "1", "raw.x": "y"}}
		for covers, want := range map[string]string{"agent": "ai_agent.uid == ", "key": "session.id == ", "rule": ""} {
			when := exceptionWhen(f, covers)
			if !strings.HasPrefix(when, want) || want == "" && when != "" || strings.Contains(when, "&&") {
				t.Errorf("%s of %q: got %s", covers, evil, when)
			}
			if when == "" {
				continue
			}
			if _, issues := env.Compile(when); len(issues) > 0 {
				t.Errorf("%s: %v", when, issues)
			}
		}
	}
}

// TestWithEntry checks that an entry becomes the first of a list, or a list of its own.
func TestWithEntry(t *testing.T) {
	for text, want := range map[string]string{
		"id: x\n": "id: x\nexceptions:\n  - y\n", "exceptions:\n    - a\nid: x\n": "exceptions:\n    - y\n    - a\nid: x\n", "id: x": "id: x\nexceptions:\n  - y\n",
	} {
		if got := withEntry(text, "exceptions", "- y\n"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestExceptionNeedsEnd checks that an exception without a day, a reason or a future is refused.
func TestExceptionNeedsEnd(t *testing.T) {
	c, _ := newFake(t, func() string { return "x" })
	c.opts.Now = func() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }
	for _, b := range []quietBody{{Reason: "r", When: "w"}, {Until: "soon", Reason: "r", When: "w"}, {Until: "2026-05-01", Reason: "r", When: "w"}, {Until: "2026-07-01", When: "w"}, {Until: "2026-07-01", Reason: "r"}} {
		if err := b.except(&request{console: c}); err == nil {
			t.Errorf("%+v is accepted", b)
		}
	}
}
