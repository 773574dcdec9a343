package expr

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
)

func TestMentions(t *testing.T) {
	env := newTestEnv(t)
	cond := mustCompile(t, env, "raw.b[\"@x\"] == 1 && event.class == \"a\" && has(session.id) && raw.a.`c-d`.exists(x, x == raw.b[\"@x\"]) && event.class != \"b\" && gen_ai.tool.call.arguments.path == \"p\" && agent.registered")
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
	// Numbers of raw paths are the environment's, not the condition's.
	second := mustCompile(t, env, `raw.z == 1 && raw.b["@x"] == 2`)
	if got := second.Mentions(); got[0].Raw != 2 || got[1].Raw != 0 {
		t.Errorf("got %+v, want places 2 and 0", got)
	}
}

func TestConjuncts(t *testing.T) {
	for text, want := range map[string][]string{
		`event.class == "a"`:                        {`event.class == "a"`},
		`event.class == "a && b" && user.id == "c"`: {`event.class == "a && b"`, `user.id == "c"`},
		"(event.class == 'a' // first && not this\n) && (user.id == \"(\" && (user.name == \"\\\"&&\"))": {"event.class == 'a'", `user.id == "("`, `user.name == "\"&&"`},
		`event.class == "a" && user.id == "b" || user.id == "c"`:                                         {`event.class == "a" && user.id == "b" || user.id == "c"`},
		`event.class == "a" && (user.id == "b" || user.id == "c")`:                                       {`event.class == "a"`, `user.id == "b" || user.id == "c"`},
		`(event.class == "a") == (user.id == "b" && true)`:                                               {`(event.class == "a") == (user.id == "b" && true)`},
		`user.id == r"\" && user.id == """a"&&"b"""`:                                                     {`user.id == r"\"`, `user.id == """a"&&"b"""`},
		`event.truncated ? true : false`:                                                                 {`event.truncated ? true : false`},
		"raw.`a&&b` == 1 && raw.x.exists(y, y == 1 && true)":                                             {"raw.`a&&b` == 1", "raw.x.exists(y, y == 1 && true)"},
		`!(event.class == "a" && event.class == "b")`:                                                    {`!(event.class == "a" && event.class == "b")`},
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

// Where a condition holds, each of its conjuncts does, and where all do, it does.
func TestConjunctsAreTheCondition(t *testing.T) {
	env := newTestEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		cond, issues := env.Compile(condText(t, 3, true))
		if issues != nil {
			t.Fatal(issues)
		}
		e, s := anEvent(t), NewScratch()
		all := true
		for _, text := range cond.Conjuncts() {
			part, issues := env.Compile(text)
			if issues != nil {
				t.Fatalf("%s of %s: %+v", text, cond.Text(), issues)
			}
			ok, _ := part.Eval(e, s)
			all = all && ok
		}
		if got, _ := cond.Eval(e, s); got != all {
			t.Fatalf("%s: %v, its conjuncts %q: %v", cond.Text(), got, cond.Conjuncts(), all)
		}
	})
}

func witnessText(w Witness) string {
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
		`event.class == "tool" && event.action == "x"`:                              {`event.action ["x"]`, `event.class ["tool"]`},
		`event.dataset == "d" && event.outcome == "failure" && event.action == "x"`: {`event.action ["x"]`, `event.outcome ["failure"]`, `event.dataset ["d"]`},
		`event.action in ["b", "a", "b"] && http.response.bytes > 5`:                {`event.action ["a" "b"]`},
		`event.action == "x" || event.action in ["y", "z"]`:                         {`event.action ["x" "y" "z"]`},
		`event.action == "x" || event.class == "y"`:                                 {`none`},
		`event.action == "x" && user.id == "u" || event.action == "y"`:              {`event.action ["x" "y"]`},
		`!(event.action != "x")`:                                                    {`event.action ["x"]`},
		`!(event.action != "x" || user.id != "u")`:                                  {`event.action ["x"]`, `user.id ["u"]`},
		`!(event.action != "x" && event.action != "y")`:                             {`event.action ["x" "y"]`},
		`event.action != "x"`:                                                       {`none`},
		`event.action == ""`:                                                        {`none`},
		`event.action in ["", "x"]`:                                                 {`none`},
		`event.action == "" || event.action == "x"`:                                 {`none`},
		`event.action.iequals("x")`:                                                 {`none`},
		`url.domain in lists.paste_sites`:                                           {`url.domain in list`},
		`url.domain in lists.domains && event.class == "api"`:                       {`url.domain in list`, `event.class ["api"]`},
		`url.domain in lists.paste_sites || url.domain == "x.example"`:              {`url.domain ["paste.ee" "pastebin.com" "x.example"]`},
		`url.domain in lists.domains || url.domain == "x.example"`:                  {`none`},
		`url.domain in lists.with_empty`:                                            {`none`},
		`raw.a == "x" && raw.b in lists.paste_sites`:                                {`none`},
		`size(event.action) > 3 && raw.a.exists(x, x == "y")`:                       {`none`},
		`size(event.action) > 3 && event.action == "x"`:                             {`event.action ["x"]`},
		`(event.action == "x") == true && (user.id == "a") != false`:                {`event.action ["x"]`, `user.id ["a"]`},
		`(event.action == "x") == false`:                                            {`none`},
		`event.action == "x" ? user.id == "a" : user.id == "a"`:                     {`none`},
		`raw.a.startsWith("x") && event.action == "x"`:                              {`event.action ["x"]`},
		`true`: {`none`},
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
	if want := "no part of it is == or in on a text field of the event: looking inside a text (startsWith, contains, iequals, matches ...) is not indexed; what a field is not (!=, !) cannot be looked up"; why != want {
		t.Errorf("got %q, want %q", why, want)
	}
}

// holds says whether an event has what a witness asks for.
func holds(w Witness, e *schema.Event) bool {
	if !e.Has(w.Field) {
		return false
	}
	if w.List != nil {
		return w.List.Contains(e.Text(w.Field))
	}
	return slices.Contains(w.Values, e.Text(w.Field))
}

// Where a condition holds, each of its witnesses does.
func TestWitnessesAreNecessary(t *testing.T) {
	env := newTestEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		cond, issues := env.Compile(condText(t, 4, false))
		if issues != nil {
			t.Fatal(issues)
		}
		s := NewScratch()
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
					t.Fatalf("%s holds, its witness %s does not", cond.Text(), witnessText(w))
				}
			}
		}
	})
}

func TestWhere(t *testing.T) {
	env := newTestEnv(t)
	where, issues := env.CompileWhere(`b.resource.id == a.resource.id && a.raw.x.y == "v" && b.http.response.bytes > a.http.response.bytes && has(a.session.id) && b.url.domain in lists.paste_sites`, []string{"a", "b"})
	if issues != nil {
		t.Fatal(issues)
	}
	var needs []string
	for _, n := range where.Needs() {
		needs = append(needs, fmt.Sprintf("%d:%s", n.Step, n.Name))
	}
	want := []string{"1:resource.id", "0:resource.id", "0:raw.x.y", "1:http.response.bytes", "0:http.response.bytes", "0:session.id", "1:url.domain"}
	if !slices.Equal(needs, want) {
		t.Fatalf("got needs %q, want %q", needs, want)
	}
	values := []schema.Value{schema.StringValue("r"), schema.StringValue("r"), schema.StringValue("v"), schema.IntValue(9), schema.IntValue(1), schema.StringValue("s"), schema.StringValue("paste.ee")}
	if got := outcome(where.Eval(values)); got != "true" {
		t.Errorf("got %s, want true", got)
	}
	for i := range values {
		changed := slices.Clone(values)
		changed[i] = schema.Value{}
		want := "false"
		if i == 4 {
			want = "true" // 9 > 0
		}
		if got := outcome(where.Eval(changed)); got != want {
			t.Errorf("without %s: got %s, want %s", needs[i], got, want)
		}
	}
	// What comes from a damaged State must not panic, whatever it is.
	for _, damaged := range [][]schema.Value{nil, values[:3], {schema.IntValue(1), schema.ListValue("["), schema.JSONValue("{"), schema.StringValue("x"), {}, {}, {}}} {
		if ok, _ := where.Eval(damaged); ok {
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
	f := &schema.Finding{ID: schema.ID{1}, Status: schema.StatusOpen, RuleID: "llm.x", Severity: "high", Confidence: 80, Tags: []string{"owasp.asi08-2026"},
		AgentUID: "a1", Key: map[string]string{"session.id": "s1"}, Count: 12, Value: "1.5", GroupStart: 1_767_225_600_000_000_000,
		Evidence: []schema.Evidence{{Action: "chat", Fields: map[string]any{"user.id": "u"}}}}
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
		if got := outcome(filter(f)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		if _, err := filter(&schema.Finding{}); err != nil {
			t.Errorf("%s on an empty finding: %v", text, err)
		}
	}
}

// Every JSON name of a finding can be used in a filter.
func TestFindingNames(t *testing.T) {
	typ := reflect.TypeFor[schema.Finding]()
	var want, got []string
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		want = append(want, name)
	}
	for _, n := range findingNames {
		got = append(got, n.name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Text functions are held to regular expressions that say the same.
func TestTextFunctions(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("abAB*?kK\u212asS\u017f\u00e4\u00c4.")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		text, arg := letters.Draw(t, "text"), letters.Draw(t, "arg")
		fold := regexp.MustCompile("(?is)" + regexp.QuoteMeta(arg))
		if got, want := containsFold(text, arg), fold.MatchString(text); got != want {
			t.Errorf("icontains(%q, %q) is %v", text, arg, got)
		}
		pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(arg))
		if got, want := globMatch(text, arg), regexp.MustCompile("(?s)^"+pattern+"$").MatchString(text); got != want {
			t.Errorf("glob(%q, %q) is %v", text, arg, got)
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := jsonSpelled(string(quoted)); got != `"`+text+`"` {
			t.Errorf("%s spelled out is %q, want %q", quoted, got, text)
		}
	})
	if got, want := jsonSpelled(`["\u0041\b\f\n\r\t\/\\\"\ud83d\ude00\ud800\uZZ\"]`), "[\"A\b\f\n\r\t/\\\"\U0001f600\ufffd\\uZZ\"]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// The longest way through a glob is the length of the text times that of the pattern.
	if globMatch(strings.Repeat("a", 1<<16), strings.Repeat("*a", 8)+"b") {
		t.Error("matches without a b")
	}
}

func TestURLParts(t *testing.T) {
	for text, want := range map[string][]string{ // scheme, host, port, path
		"https://User:pw@EVIL.example.:8443/a/b?q#f": {"https", "evil.example", "8443", "/a/b"},
		"http://[::1]:80/":                           {"http", "::1", "80", "/"},
		"//host/x":                                   {"", "host", "", "/x"},
		"not a url":                                  {"", "", "", "not a url"},
		"http://bad host/":                           {"", "", "", ""},
		"http://a\nb/":                               {"", "", "", ""},
		" https://space.test ":                       {"https", "space.test", "", ""},
		"":                                           {"", "", "", ""},
	} {
		for i, part := range urlParts {
			if got := urlPart(part, text); got != want[i] {
				t.Errorf("%s of %q: got %q, want %q", part, text, got, want[i])
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "isPrivate", "192.168.255.1": "isPrivate", "fd00::1": "isPrivate", "::ffff:10.0.0.1": "isPrivate", "127.0.0.1": "isLoopback", "::1": "isLoopback",
		"169.254.169.254": "isLinkLocal", "fe80::1%eth0": "isLinkLocal", "8.8.8.8": "", "10.0.0.01": "", "10.0.0.1:80": "", "": "", "x": "", strings.Repeat(":", 100): "",
	} {
		for _, kind := range addressKinds {
			if got := addressIs(kind, text); got != (kind == want) {
				t.Errorf("%s(%q) is %v", kind, text, got)
			}
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

// FuzzJSON holds the reader of keys to encoding/json: the same value, and no panic where the text is no JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":{"a":"x"},"a":[null]}`, `{"\u0061":"\ud83d\ude00"}`, `{"a":"\ud800"}`, ` { "a" : 1e400 } `, `[1,{"a":2}]`, `{"a`, `{"a":1]`, `"a"`, `{"a":01}`, ``} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		got := jsonAt(text, []string{key})
		jsonTree(text, 0)
		listTexts(text)
		for _, quoted := range []string{text, `"` + text + `"`} {
			var want string
			if s, ok := jsonUnquote(quoted); ok && json.Unmarshal([]byte(quoted), &want) == nil && jsonValid(quoted) {
				if s != want || !jsonSpells(quoted, want) || jsonSpells(quoted, want+"x") {
					t.Errorf("%q: unquoted %q, want %q, spells it: %v", quoted, s, want, jsonSpells(quoted, want))
				}
			}
		}
		var object map[string]json.RawMessage
		if !jsonValid(text) || json.Unmarshal([]byte(text), &object) != nil {
			return
		}
		member, ok := object[key]
		if !ok {
			if got.Present() {
				t.Errorf("%q: %q is %+v, want nothing", text, key, got)
			}
			return
		}
		if want := jsonValue(strings.TrimSpace(string(member))); got != want {
			t.Errorf("%q: %q is %+v, want %+v", text, key, got, want)
		}
	})
}

// jsonValid is what decode admits: valid JSON in valid UTF-8.
func jsonValid(text string) bool {
	return json.Valid([]byte(text)) && strings.ToValidUTF8(text, "?") == text
}
