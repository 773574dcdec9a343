package expr

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// TestHeld compares the reasons that held for an event with the source texts of the branches that it took.
func TestHeld(t *testing.T) {
	env := newTestEnv(t)
	f := func(text string, event map[string]schema.Value, want ...string) {
		t.Helper()
		e := &schema.Event{}
		for name, v := range event {
			field, ok := schema.FieldByName(name)
			if !ok {
				t.Fatalf("no field %s", name)
			}
			e.Set(field, v)
		}
		cond, s := mustCompile(t, env, text), predicate.NewScratch()
		if ok, err := cond.Eval(e, s); !ok {
			t.Fatalf("%s does not hold: %v", text, err)
		}
		if got := cond.Held(cond.AppendBranches(nil, e, s)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
		if got := cond.Held(nil); !slices.Equal(got, cond.Conjuncts()) {
			t.Errorf("%s: got %q without branches, want %q", text, got, cond.Conjuncts())
		}
	}
	text := func(s string) schema.Value { return schema.StringValue(s) }
	e := map[string]schema.Value{
		"event.class": text("tool"), "event.action": text("b"), "user.id": text("ann"),
		"gen_ai.tool.call.arguments": schema.JSONValue(`{"path":"/etc/shadow"}`), "http.response.status_code": schema.IntValue(403),
	}
	f(`event.class == "tool"`, e, `event.class == "tool"`)
	f(`event.class == "tool" && (user.id == "bob" || user.id == "ann")`, e, `event.class == "tool"`, `user.id == "ann"`)
	f(`user.id == "bob" || (event.class == "tool" && (event.action == "a" || event.action == "b"))`, e,
		`event.class == "tool"`, `event.action == "b"`)
	f(`event.action in ["a", "b", "c"]`, e, `event.action == "b"`)
	f("event.action in [ // the first\n 'a, b', 'b'] // the last", e, `event.action == 'b'`)
	f(`http.response.status_code in [401, 403]`, e, `http.response.status_code == 403`)
	f(`event.action in ["b"] || user.id == "ann"`, e, `event.action == "b"`)
	f(`!(event.action in ["a"])`, e, `!(event.action in ["a"])`)
	f(`gen_ai.tool.call.arguments.contains(".ssh/id_rsa") || gen_ai.tool.call.arguments.contains("/etc/shadow")`, e,
		`gen_ai.tool.call.arguments.contains("/etc/shadow")`)
	f(`event.class == "tool" ? user.id == "ann" || user.id == "bob" : false`, e,
		`event.class == "tool" ? user.id == "ann" || user.id == "bob" : false`)
	f(`user.id.startsWith("a") || user.id.matches("^a.n$") || user.id.matches("[xyz]")`, e, `user.id.startsWith("a")`)
}

// TestHeldHolds checks that each text of the branches that held is a condition that holds, and that all together imply the
// condition.
func TestHeldHolds(t *testing.T) {
	env := newTestEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		cond, issues := env.Compile(condText(t, 3, true))
		if issues != nil {
			t.Fatal(issues)
		}
		e, s := anEvent(t), predicate.NewScratch()
		if ok, _ := cond.Eval(e, s); !ok {
			return
		}
		branches := cond.AppendBranches(nil, e, s)
		held := cond.Held(branches)
		for _, text := range held {
			part, issues := env.Compile(text)
			if issues != nil {
				t.Fatalf("%s in %s: %+v", text, cond.Text(), issues)
			}
			if ok, err := part.Eval(e, s); !ok {
				t.Fatalf("%s: %s does not hold: %v", cond.Text(), text, err)
			}
			if parts := splitDisjuncts(text); len(parts) > 1 && strings.Count(text, "||") == len(parts)-1 {
				t.Fatalf("%s: %s shows all branches", cond.Text(), text)
			}
		}
		// A damaged or truncated choice neither panics nor loses a reason.
		if len(cond.Held(branches[:len(branches)/2])) == 0 || len(cond.Held(append([]byte{255, 255, 255, 255, 15}, branches...))) == 0 {
			t.Fatalf("%s: no reasons from damaged bytes", cond.Text())
		}
	})
}

// TestAppendBranchesAllocates checks that capture can find branches without allocating.
func TestAppendBranchesAllocates(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	env := newTestEnv(t)
	const text = `event.action in ["a", "b"] && (user.id == "bob" || gen_ai.tool.name.contains("shell") || gen_ai.tool.name.contains("exec"))`
	cond, s := mustCompile(t, env, text), predicate.NewScratch()
	e := &schema.Event{}
	e.SetText(schema.EventAction, "b")
	e.SetText(schema.GenAIToolName, "my_exec")
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf = cond.AppendBranches(buf[:0], e, s) }); n > 0 || string(buf) != "\x02\x03" {
		t.Errorf("got %q with %v allocations, want 2, 3 with none", buf, n)
	}
}
