package expr

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

func TestMentions(t *testing.T) {
	env := newTestEnv(t)
	cond := mustCompile(t, env, "raw.b['@x'] == 1 && event.class == 'a' && has(session.id) && "+
		"raw.a.`c-d`.exists(x, x == raw.b['@x']) && event.class != 'b' && "+
		"gen_ai.tool.call.arguments.path == 'p' && agent.registered")
	var names []string
	for _, m := range cond.Mentions() {
		names = append(names, m.Name)
		if m.Raw < 0 && m.Name != m.Field.String() {
			t.Errorf("%s has field %s", m.Name, m.Field)
		}
	}
	want := []string{`raw.b["@x"]`, "event.class", "session.id", `raw.a["c-d"]`, "gen_ai.tool.call.arguments", "ai_agent.uid"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if got, want := env.RawPaths(), [][]string{{"b", "@x"}, {"a", "c-d"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got paths %q, want %q", got, want)
	}
	fields := cond.Fields()
	for f := range schema.Field(schema.NumFields) {
		if got, want := fields.Has(f), slices.Contains(want, f.String()); got != want {
			t.Errorf("Fields has %s: %v, want %v", f, got, want)
		}
	}
	// Raw paths are numbered by the environment, not by the condition.
	second := mustCompile(t, env, `raw.z == 1 && raw.b["@x"] == 2`)
	if got := second.Mentions(); got[0].Raw != 2 || got[1].Raw != 0 {
		t.Errorf("got %+v, want raw paths 2 and 0", got)
	}
}

func TestConjuncts(t *testing.T) {
	for text, want := range map[string][]string{
		`event.class == "a"`:                        {`event.class == "a"`},
		`event.class == "a && b" && user.id == "c"`: {`event.class == "a && b"`, `user.id == "c"`},
		"(event.class == 'a' // first && not this\n) && (user.id == \"(\" && (user.name == \"\\\"&&\"))": {
			"event.class == 'a'", `user.id == "("`, `user.name == "\"&&"`},
		`event.class == "a" && user.id == "b" || user.id == "c"`:   {`event.class == "a" && user.id == "b" || user.id == "c"`},
		`event.class == "a" && (user.id == "b" || user.id == "c")`: {`event.class == "a"`, `user.id == "b" || user.id == "c"`},
		`(event.class == "a") == (user.id == "b" && true)`:         {`(event.class == "a") == (user.id == "b" && true)`},
		`user.id == r"\" && user.id == """a"&&"b"""`:               {`user.id == r"\"`, `user.id == """a"&&"b"""`},
		`event.truncated ? true : false`:                           {`event.truncated ? true : false`},
		"raw.`a&&b` == 1 && raw.x.exists(y, y == 1 && true)":       {"raw.`a&&b` == 1", "raw.x.exists(y, y == 1 && true)"},
		`!(event.class == "a" && event.class == "b")`:              {`!(event.class == "a" && event.class == "b")`},
	} {
		env := newTestEnv(t)
		cond, issues := env.Compile(text)
		if strings.Contains(text, "a&&b`") && issues != nil {
			continue // cel-go admits fewer characters between backticks
		}
		if issues != nil {
			t.Errorf("%s: %+v", text, issues)
			continue
		}
		if got := cond.Conjuncts(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// A condition holds if and only if all of its conjuncts hold.
func TestConjunctsAreTheCondition(t *testing.T) {
	env := newTestEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		cond, issues := env.Compile(condText(t, 3, true))
		if issues != nil {
			t.Fatal(issues)
		}
		e, s := anEvent(t), predicate.NewScratch()
		all := true
		for _, text := range cond.Conjuncts() {
			part, issues := env.Compile(text)
			if issues != nil {
				t.Fatalf("%s in %s: %+v", text, cond.Text(), issues)
			}
			ok, _ := part.Eval(e, s)
			all = all && ok
		}
		if got, _ := cond.Eval(e, s); got != all {
			t.Fatalf("%s: got %v, all of its conjuncts %q: %v", cond.Text(), got, cond.Conjuncts(), all)
		}
	})
}

func witnessText(w predicate.Witness) string {
	if w.List != nil {
		return w.Field.String() + " in list"
	}
	if len(w.Values) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s %q", w.Field, w.Values)
}

func TestWitnesses(t *testing.T) {
	for text, want := range map[string][]string{
		`event.class == "tool" && event.action == "x"`: {`event.action ["x"]`, `event.class ["tool"]`},
		`event.dataset == "d" && event.outcome == "failure" && event.action == "x"`: {
			`event.action ["x"]`, `event.outcome ["failure"]`, `event.dataset ["d"]`},
		`event.action in ["b", "a", "b"] && http.response.bytes > 5`:                         {`event.action ["a" "b"]`},
		`event.action == "x" || event.action in ["y", "z"]`:                                  {`event.action ["x" "y" "z"]`},
		`event.action == "x" || event.class == "y"`:                                          {`none`},
		`event.action == "x" && user.id == "u" || event.action == "y"`:                       {`event.action ["x" "y"]`},
		`!(event.action != "x")`:                                                             {`event.action ["x"]`},
		`!(event.action != "x" || user.id != "u")`:                                           {`event.action ["x"]`, `user.id ["u"]`},
		`!(event.action != "x" && event.action != "y")`:                                      {`event.action ["x" "y"]`},
		`event.action != "x"`:                                                                {`none`},
		`event.action == ""`:                                                                 {`none`},
		`event.action in ["", "x"]`:                                                          {`none`},
		`event.action == "" || event.action == "x"`:                                          {`none`},
		`event.action.iequals("x")`:                                                          {`none`},
		`url.domain in lists.paste_sites`:                                                    {`url.domain in list`},
		`url.domain in lists.domains && event.class == "api"`:                                {`url.domain in list`, `event.class ["api"]`},
		`url.domain in lists.paste_sites || url.domain == "x.example"`:                       {`url.domain ["paste.ee" "pastebin.com" "x.example"]`},
		`url.domain in lists.domains || url.domain == "x.example"`:                           {`none`},
		`url.domain in lists.with_empty`:                                                     {`none`},
		`raw.a == "x" && raw.b in lists.paste_sites`:                                         {`none`},
		`size(event.action) > 3 && raw.a.exists(x, x == "y")`:                                {`none`},
		`size(event.action) > 3 && event.action == "x"`:                                      {`event.action ["x"]`},
		`(event.action == "x") == true && (user.id == "a") != false`:                         {`event.action ["x"]`, `user.id ["a"]`},
		`(event.action == "x") == false`:                                                     {`none`},
		`event.action == "x" ? user.id == "a" : user.id == "a"`:                              {`none`},
		`raw.a.startsWith("x") && event.action == "x"`:                                       {`event.action ["x"]`},
		`gen_ai.tool.called || gen_ai.tool.returned`:                                         {`none`},
		`!gen_ai.tool.called`:                                                                {`none`},
		`true`:                                                                               {`none`},
		`event.action == "a" && (event.action == "b" || user.id == "c")`:                     {`event.action ["a"]`},
		`(event.action == "a" || user.id == "b") && (event.action == "a" || user.id == "b")`: {`none`},
	} {
		cond := mustCompile(t, newTestEnv(t), text)
		var got []string
		for _, w := range cond.Witnesses() {
			got = append(got, witnessText(w))
			if (witnessText(w) == "none") != (w.Why != "") {
				t.Errorf("%s: Why is %q", text, w.Why)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	why := mustCompile(t, newTestEnv(t), `event.action != "x" && message_context.prompt_text.contains("y")`).Witnesses()[0].Why
	want := "no part of it is == or in on a text field of the event: " +
		"looking inside a text (startsWith, contains, iequals, matches ...) is not indexed; " +
		"negations (!=, !) cannot be looked up"
	if why != want {
		t.Errorf("got %q, want %q", why, want)
	}
}

// holds reports whether a witness holds for an event.
func holds(w predicate.Witness, e *schema.Event) bool {
	if !e.Has(w.Field) {
		return false
	}
	if w.List != nil {
		return w.List.Contains(e.Text(w.Field))
	}
	return slices.Contains(w.Values, e.Text(w.Field))
}

// If a condition holds, so does each of its witnesses.
func TestWitnessesAreNecessary(t *testing.T) {
	env := newTestEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		cond, issues := env.Compile(condText(t, 4, false))
		if issues != nil {
			t.Fatal(issues)
		}
		s := predicate.NewScratch()
		for range 6 {
			e := anEvent(t)
			for range env.RawPaths() {
				e.Raws = append(e.Raws, pick(t, dynValues))
			}
			if ok, _ := cond.Eval(e, s); !ok {
				continue
			}
			for _, w := range cond.Witnesses() {
				if w.Why == "" && !holds(w, e) {
					t.Fatalf("%s holds, but its witness %s does not", cond.Text(), witnessText(w))
				}
			}
		}
	})
}

func TestWhere(t *testing.T) {
	env := newTestEnv(t)
	const text = `b.resource.id == a.resource.id && a.raw.x.y == "v" && b.http.response.bytes > a.http.response.bytes &&
		has(a.session.id) && b.url.domain in lists.paste_sites`
	where, issues := env.CompileWhere(text, []string{"a", "b"})
	if issues != nil {
		t.Fatal(issues)
	}
	var needs []string
	for _, n := range where.Needs() {
		needs = append(needs, fmt.Sprintf("%d:%s", n.Step, n.Name))
	}
	want := []string{
		"1:resource.id", "0:resource.id", "0:raw.x.y", "1:http.response.bytes", "0:http.response.bytes", "0:session.id", "1:url.domain",
	}
	if !slices.Equal(needs, want) {
		t.Fatalf("got needs %q, want %q", needs, want)
	}
	values := []schema.Value{
		schema.StringValue("r"), schema.StringValue("r"), schema.StringValue("v"),
		schema.IntValue(9), schema.IntValue(1), schema.StringValue("s"), schema.StringValue("paste.ee"),
	}
	if got := outcome(where.Eval(values, predicate.NewScratch())); got != "true" {
		t.Errorf("got %s, want true", got)
	}
	for i := range values {
		changed := slices.Clone(values)
		changed[i] = schema.Value{}
		want := "false"
		if i == 4 {
			want = "true" // 9 > 0
		}
		if got := outcome(where.Eval(changed, predicate.NewScratch())); got != want {
			t.Errorf("without %s: got %s, want %s", needs[i], got, want)
		}
	}
	// Values of a damaged State must not cause a panic.
	for _, damaged := range [][]schema.Value{nil, values[:3],
		{schema.IntValue(1), schema.ListValue("["), schema.JSONValue("{"), schema.StringValue("x"), {}, {}, {}}} {
		if ok, _ := where.Eval(damaged, predicate.NewScratch()); ok {
			t.Errorf("%v: holds", damaged)
		}
	}
	for text, want := range map[string]string{
		`resource.id == "x"`:           "resource.id belongs to no step: write STEP.field, where STEP is one of a, b",
		`a == b`:                       "a is a step: write a.field",
		`a.resource.idd == "x"`:        "did you mean resource.id?",
		`a.resource.id == 5`:           "never equal",
		`agent.registered`:             "agent.registered belongs to no step",
		`b.raw.x.exists(a, a == 1)`:    "a is the beginning of names",
		`a.event.raw_ref == "x"`:       "no rule can see it",
		`a.resource.id.matches(b.url)`: "a pattern must be a constant text",
	} {
		_, issues := env.CompileWhere(text, []string{"a", "b"})
		if len(issues) == 0 || !strings.Contains(fmt.Sprint(issues), want) {
			t.Errorf("%s: got %+v, want %q", text, issues, want)
		}
	}
}

func TestFinding(t *testing.T) {
	env := newTestEnv(t)
	f := &schema.Finding{
		ID: schema.ID{1}, Status: schema.StatusOpen, RuleID: "llm.x", Severity: "high", Confidence: 80,
		Tags: []string{"owasp.asi08-2026"}, AgentUID: "a1", Key: map[string]string{"session.id": "s1"},
		Count: 12, Value: "1.5", GroupStart: 1_767_225_600_000_000_000,
		Evidence: []schema.Evidence{{Action: "chat", Fields: map[string]any{"user.id": "u"}}},
	}
	for text, want := range map[string]string{
		`severity == "high" && confidence >= 80 && rule_id.startsWith("llm.")`:   "true",
		`"owasp.asi08-2026" in tags && count > 10 && value == 1.5`:               "true",
		`key["session.id"] == "s1" && has(key["session.id"]) && !has(key.other)`: "true",
		`key["other"] == "x" || key.other == ""`:                                 "false",
		`group_start < timestamp("2026-06-01T00:00:00Z")`:                        "true",
		`evidence.exists(e, e.action == "chat" && e.fields["user.id"] == "u")`:   "true",
		`!shadow && !late && !has(tenant) && tenant == "" && !has(detected_at)`:  "true",
		`tags.exists(x, x.startsWith("atlas."))`:                                 "false",
		`status == "open" && id == "01000000-0000-0000-0000-000000000000"`:       "true",
		`baseline.mean > 5 || size(reasons) > 0`:                                 "false",
		`agent_uid in lists.paste_sites`:                                         "false",
		`severity + 1 == 2`:                                                      "issue",
		`event.class == "x"`:                                                     "issue",
		`severty == "high"`:                                                      "issue",
		`agent.registered`:                                                       "issue",
	} {
		filter, issues := env.CompileFinding(text)
		if issues != nil {
			if want != "issue" {
				t.Errorf("%s: %+v", text, issues)
			}
			continue
		}
		if got := outcome(filter("", f)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		if _, err := filter("", &schema.Finding{}); err != nil {
			t.Errorf("%s on an empty finding: %v", text, err)
		}
	}
}

func TestCost(t *testing.T) {
	env := newTestEnv(t)
	for text, most := range map[string]uint64{
		`event.class == "tool" && event.action == "x"`:                                          10,
		`url.domain in lists.paste_sites`:                                                       10,
		`message_context.prompt_text.matches("(?i)ignore (all )?previous instructions")`:        20_000,
		`message_context.prompt_text.icontains("ignore") && url(raw.x).host.lowerAscii() == ""`: 10_000,
		`raw.a.exists(x, x.b.exists(y, y == "*"))`:                                              MaxCost,
	} {
		c := mustCompile(t, env, text)
		if low, high := c.Cost(); low == 0 || low > high || high > most {
			t.Errorf("%s: got %d..%d, want at most %d", text, low, high, most)
		}
		if c.Text() != text {
			t.Errorf("got text %q", c.Text())
		}
	}
}
