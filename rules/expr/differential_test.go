package expr

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// The nodes are compared with cel-go alone, over an ordinary map, for conditions on fields; with the CEL that they
// replace, for all conditions; and with a table of outcomes (TestMissing) for terms whose values may be missing.

// condText draws a condition over fields of every type. If plainOnly, cel-go alone gives it the same meaning.
func condText(t *rapid.T, depth int, plainOnly bool) string {
	if depth > 0 {
		switch rapid.IntRange(0, 5).Draw(t, "shape") {
		case 0, 1:
			return "(" + condText(t, depth-1, plainOnly) + " && " + condText(t, depth-1, plainOnly) + ")"
		case 2:
			return "(" + condText(t, depth-1, plainOnly) + " || " + condText(t, depth-1, plainOnly) + ")"
		case 3:
			return "!(" + condText(t, depth-1, plainOnly) + ")"
		}
	}
	if !plainOnly && rapid.Bool().Draw(t, "dyn") {
		return dynTerm(t)
	}
	return fieldTerm(t)
}

var (
	stringFields = []schema.Field{schema.EventClass, schema.EventAction, schema.EventDataset, schema.GenAIToolName, schema.SourceIP}
	intFields    = []schema.Field{schema.HTTPResponseBytes, schema.HTTPResponseStatusCode, schema.EventDuration}
	words        = []string{"", "tool", "Tool", "chat", "a.b", "10.0.0.1", "x\"y", "\u00e4", "tool call"}
	numbers      = []string{"0", "1", "-1", "403", "9007199254740993", "9223372036854775807"}
	decimals     = []string{"0.0", "0.5", "403.0", "-1.5", "1e18"}
)

func pick[T any](t *rapid.T, from []T) T { return rapid.SampledFrom(from).Draw(t, "pick") }

func quoted(t *rapid.T) string { return fmt.Sprintf("%q", pick(t, words)) }

func fieldTerm(t *rapid.T) string {
	f, op := pick(t, stringFields).String(), pick(t, []string{"==", "!=", "<", "<=", ">", ">="})
	switch rapid.IntRange(0, 11).Draw(t, "term") {
	case 0, 1:
		return f + " " + pick(t, []string{"==", "!="}) + " " + quoted(t)
	case 2:
		return quoted(t) + " " + op + " " + f
	case 3:
		return f + " in [" + quoted(t) + ", " + quoted(t) + "]"
	case 4:
		return f + "." + pick(t, []string{"startsWith", "endsWith", "contains", "matches"}) + `("` + pick(t, []string{"", "t", "oo", "l$"}) + `")`
	case 5:
		return pick(t, intFields).String() + " " + op + " " + pick(t, numbers)
	case 6:
		return pick(t, intFields).String() + " " + pick(t, []string{"<", "<=", ">", ">="}) + " " + pick(t, decimals)
	case 7:
		return "gen_ai.usage.cost " + op + " " + pick(t, decimals)
	case 8:
		return quoted(t) + " in gen_ai.response.finish_reasons"
	case 9:
		return f + " == " + pick(t, stringFields).String()
	case 10:
		return pick(t, []string{"event.truncated", "event.truncated == false", "true", "false"})
	}
	return "time " + op + ` timestamp("2026-01-01T00:00:00Z")`
}

// anEvent draws an event with the same values; every field may be absent.
func anEvent(t *rapid.T) *schema.Event {
	e := &schema.Event{}
	for _, f := range stringFields {
		e.SetText(f, pick(t, words)) // "" makes the field absent
	}
	e.SetText(schema.AIAgentUID, pick(t, []string{"", "a1", "a2"}))
	for _, f := range intFields {
		if rapid.Bool().Draw(t, "has") {
			e.SetInt(f, pick(t, []int64{0, 1, -1, 403, 9007199254740993, math.MaxInt64}))
		}
	}
	if rapid.Bool().Draw(t, "has") {
		e.Set(schema.GenAIUsageCost, schema.DoubleValue(pick(t, []float64{0, 0.5, 403, -1.5, 1e18})))
	}
	if rapid.Bool().Draw(t, "has") {
		e.Set(schema.EventTruncated, schema.BoolValue(rapid.Bool().Draw(t, "bool")))
	}
	if rapid.Bool().Draw(t, "has") {
		e.SetTime(schema.Time, pick(t, []int64{0, 1_767_225_600_000_000_000, 1_767_225_600_000_000_001}))
	}
	if rapid.Bool().Draw(t, "has") {
		list := pick(t, []string{`[]`, `["tool","x\"y"]`, `["","\u00e4"]`, `["t\u006fol"]`})
		e.Set(schema.GenAIResponseFinishReasons, schema.ListValue(list))
	}
	e.Set(schema.GenAIToolCallArguments, pick(t, dynValues))
	return e
}

// plainCEL returns an environment of cel-go alone, in which every field is a variable of its type.
func plainCEL(t testing.TB) *cel.Env {
	opts := []cel.EnvOption{cel.CrossTypeNumericComparisons(true)}
	for f := range schema.Field(schema.NumFields) {
		opts = append(opts, cel.Variable(f.String(), celType(f.Info().Type)))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// asMap returns the fields of the event for cel-go; an absent field has its zero value.
func asMap(e *schema.Event) map[string]any {
	m := map[string]any{}
	for f := range schema.Field(schema.NumFields) {
		v := e.Value(f)
		if f.Info().Type == schema.TypeDyn {
			continue
		}
		if !v.Present() {
			v = predicate.ZeroValue(f.Info().Type)
		}
		m[f.String()] = box(v)
	}
	return m
}

func TestNodesAreCEL(t *testing.T) {
	env, plain := newTestEnv(t), plainCEL(t)
	rapid.Check(t, func(t *rapid.T) {
		text := condText(t, 3, true)
		cond, issues := env.Compile(text)
		if issues != nil {
			t.Fatalf("%s: %+v", text, issues)
		}
		if !cond.Typed() {
			t.Fatalf("%s needs CEL", text)
		}
		ast, iss := plain.Compile(text)
		if iss.Err() != nil {
			t.Fatalf("%s: %v", text, iss.Err())
		}
		program, err := plain.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		s := predicate.NewScratch()
		for range 4 {
			e := anEvent(t)
			out, _, err := program.Eval(asMap(e))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if got, err := cond.Eval(e, s); err != nil || got != (out == types.True) {
				t.Fatalf("%s on %v: got %v, %v, want %v", text, asMap(e), got, err, out)
			}
		}
	})
}

// dynValues are the values of raw paths and arguments.
var dynValues = []schema.Value{
	{}, schema.StringValue("tool"), schema.StringValue(""), schema.StringValue("10.0.0.1"), schema.StringValue("https://A.b:1/x"),
	schema.StringValue("t\u043e\u200bol"),
	schema.IntValue(1), schema.IntValue(9007199254740993), schema.DoubleValue(0.5), schema.DoubleValue(1),
	schema.BoolValue(true), schema.BoolValue(false),
	schema.JSONValue(`{"k":"tool","n":1,"z":null,"l":["tool",1,null]}`), schema.JSONValue(`["tool",1.0,null,{"k":"tool"}]`),
	schema.JSONValue(`{"k":{"k":false},"k":0.5}`), schema.JSONValue(`{"k":"t\u006fol"}`),
	schema.JSONValue(`["\u0074\u006fol\/\n\q"]`), schema.JSONValue(`{"k`), schema.JSONValue(`null`),
}

var dynSources = []string{"raw.a", "raw.b.c", `raw["@x"]`, "gen_ai.tool.call.arguments", "gen_ai.tool.call.arguments.k", "raw.d.k.k"}

func dynTerm(t *rapid.T) string {
	x := pick(t, dynSources)
	constant := pick(t, []string{`"tool"`, `""`, "1", "0.5", "9007199254740993", "true", "null"})
	switch rapid.IntRange(0, 15).Draw(t, "dyn term") {
	case 15:
		number := pick(t, []string{"injection", "entropy"}) + "(" + pick(t, append(dynSources, "event.class", "gen_ai.tool.name")) + ")"
		return number + " " + pick(t, []string{"==", "!=", "<", "<=", ">", ">="}) + " " + pick(t, []string{"0", "2", "40", "1.5"})
	case 8:
		return "ip(" + pick(t, append(dynSources, "source.ip")) + ")." + pick(t, predicate.AddressKinds()) + "()"
	case 9:
		return `cidr("10.0.0.0/8").contains(` + pick(t, append(dynSources, "source.ip")) + ")"
	case 10:
		return pick(t, []string{
			"size(invisible(" + x + ")) > 0", "\"tag\" in invisible(" + x + ")", "cap.egress", "cap.change", "!cap.private", "cap.untrusted == true", "tool(" + x + ").untrusted", "tool(gen_ai.tool.name).change",
			"agent.registered", `agent.owner == "ops"`, "has(agent.owner)", "agent.expires > time",
			`agent.allows_tool("tool")`, "agent.allows_tool(" + x + ")", `agent.allows("tool", "read")`, "!agent.allows_route(" + x + ")",
			"agent.allows_tool(" + x + ") == agent.registered", `"read" in agent.tools`, "has(agent.tools)", "has(agent.models)",
			`agent.allows("tool", normalised(` + x + ").lowerAscii())", "agent.registry",
		})
	case 11:
		return "url(" + x + ")." + pick(t, predicate.URLParts()) + " " + pick(t, []string{"==", "!="}) + ` "a.b"`
	case 12:
		test := pick(t, []string{`matches("(?i)TOOL|x")`, `iequals("TOOL")`, `icontains("OO")`, `glob("t*l")`})
		return pick(t, append(dynSources, "event.class")) + "." + test
	case 13:
		test := pick(t, []string{`== "tool"`, `in ["tool", "a.b"]`, "in lists.domains"})
		made := pick(t, []string{"%s.lowerAscii() ", "normalised(%s) ", "normalised(%s).lowerAscii() ", "url(normalised(%s)).host "})
		return fmt.Sprintf(made, pick(t, stringFields).String()) + test
	case 14:
		test := pick(t, []string{`== "tool"`, `in ["1", "true", "0.5"]`, `.iequals("TRUE")`, `.contains("oo")`, `.matches("t.{0,3}l")`, `.icontains("TO")`})
		return pick(t, []string{"normalised(", "decoded(", "text("}) + pick(t, dynSources) + ")" + test
	case 0, 1:
		return x + " " + pick(t, []string{"==", "!="}) + " " + constant
	case 2:
		return x + " " + pick(t, []string{"<", "<=", ">", ">="}) + " " + pick(t, []string{`"tool"`, "1", "0.5"})
	case 3:
		return x + " in [" + constant + `, "tool"]`
	case 4:
		return x + "." + pick(t, []string{"startsWith", "endsWith", "contains"}) + `("` + pick(t, []string{"", "t", "oo"}) + `")`
	case 5:
		return "has(" + pick(t, []string{"raw.a", "raw.d.k.k", "gen_ai.tool.call.arguments.k"}) + ")"
	case 6:
		return x + " " + pick(t, []string{"==", "!=", "<", ">="}) + " " + pick(t, dynSources)
	}
	return x + ` in lists.paste_sites`
}

// computed compiles a condition without nodes of its own: CEL and the lenient functions evaluate all of it.
func computed(t testingT, env *Env, text string) *predicate.Cond {
	c, issues := env.check(text, eventScope{env: env})
	if issues != nil {
		t.Fatalf("%s: %+v", text, issues)
	}
	p, err := env.program(c, c.ast.Expr())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c.cond(text, predicate.Computed(c.slots, predicate.Fact{}, p.holds))
}

// testingT is the part of testing.T that rapid.T has, too.
type testingT interface{ Fatalf(string, ...any) }

// Nodes agree with the CEL that they replace, errors included, also on missing values and values of any type.
func TestNodesAreTheirCEL(t *testing.T) {
	env := newTestEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		text := condText(t, 3, false)
		if rapid.IntRange(0, 3).Draw(t, "choice") == 0 {
			text = "(" + condText(t, 1, false) + " ? " + condText(t, 2, false) + " : " + text + ")"
		}
		cond, issues := env.Compile(text)
		if issues != nil {
			t.Fatalf("%s: %+v", text, issues)
		}
		if !cond.Typed() {
			t.Fatalf("%s needs CEL", text)
		}
		other := computed(t, env, text)
		s := predicate.NewScratch()
		for range 4 {
			e := anEvent(t)
			for range env.RawPaths() {
				e.Raws = append(e.Raws, pick(t, dynValues))
			}
			got, want := outcome(cond.Eval(e, s)), outcome(other.Eval(e, s))
			if got != want {
				t.Fatalf("%s on raws %v, arguments %v, %v: nodes give %s, CEL gives %s",
					text, e.Raws, e.Value(schema.GenAIToolCallArguments), asMap(e), got, want)
			}
		}
	})
}

// TestMissing compares the outcome of single terms with a table, written from the rules of lenient evaluation.
func TestMissing(t *testing.T) {
	env := newTestEnv(t)
	values := map[string]schema.Value{
		"missing": {}, "null": schema.JSONValue("null"), "text": schema.StringValue("tool"), "number": schema.IntValue(1),
		"true": schema.BoolValue(true), "list": schema.JSONValue(`["tool"]`), "object": schema.JSONValue(`{"tool":1}`),
	}
	terms := map[string]map[string]string{ // term -> value -> outcome; "" is every other value
		`raw.v == "tool"`:              {"text": "true", "": "false"},
		`raw.v != "tool"`:              {"text": "false", "": "true"},
		`raw.v == null`:                {"missing": "true", "null": "true", "": "false"},
		`raw.v != null`:                {"missing": "false", "null": "false", "": "true"},
		`raw.v < 2`:                    {"number": "true", "missing": "false", "null": "false", "": "error"},
		`raw.v.startsWith("t")`:        {"text": "true", "missing": "false", "null": "false", "list": "false", "object": "false", "": "error"},
		`raw.v.matches("t")`:           {"text": "true", "missing": "false", "null": "false", "list": "true", "object": "true", "": "error"},
		`raw.v in ["tool", 1]`:         {"text": "true", "number": "true", "": "false"},
		`"tool" in raw.v`:              {"list": "true", "object": "true", "missing": "false", "null": "false", "": "error"},
		`raw.v.exists(x, x=="tool")`:   {"list": "true", "object": "true", "missing": "false", "null": "false", "": "error"},
		`size(raw.v) == 0`:             {"missing": "true", "null": "true", "number": "error", "true": "error", "": "false"},
		`has(raw.v)`:                   {"missing": "false", "null": "false", "": "true"},
		`raw.v + 1 == 2`:               {"number": "true", "": "error"},
		`raw.v.tool == 1`:              {"object": "true", "": "false"},
		`raw.v == raw.v`:               {"missing": "false", "null": "false", "": "true"},
		`raw.v != raw.v`:               {"missing": "true", "null": "true", "": "false"},
		`raw.v`:                        {"missing": "false", "null": "false", "true": "true", "": "error"},
		`raw.v.lowerAscii() != "x"`:    {"number": "error", "true": "error", "": "true"},
		`ip(raw.v).isPrivate()`:        {"": "false"},
		`raw.v in lists.paste_sites`:   {"": "false"},
		`agent.allows_tool(raw.v)`:     {"": "false"},
		`url(raw.v).host == "x"`:       {"": "false"},
		`raw.v.all(x, x == "nothing")`: {"missing": "true", "null": "true", "list": "false", "object": "false", "": "error"},
	}
	for term, outcomes := range terms {
		cond := mustCompile(t, env, term)
		for name, v := range values {
			want, ok := outcomes[name]
			if !ok {
				want = outcomes[""]
			}
			e := &schema.Event{}
			for _, path := range env.RawPaths() {
				switch strings.Join(path, ".") {
				case "v":
					e.Raws = append(e.Raws, v)
				case "v.tool":
					e.Raws = append(e.Raws, predicate.JSONAt(v.Text, []string{"tool"}))
				default:
					t.Fatalf("path %v", path)
				}
			}
			if got := outcome(cond.Eval(e, predicate.NewScratch())); got != want {
				t.Errorf("%s on %s: got %s, want %s", term, name, got, want)
			}
		}
	}
}

// One condition serves all workers, each with a Scratch of its own (run with -race).
func TestCondIsShared(t *testing.T) {
	env := newTestEnv(t)
	cond := mustCompile(t, env, `event.class == "tool" && raw.a.list.exists(x, x == "y") &&
		size(gen_ai.tool.name) > 3 && agent.registered`)
	e := sample()
	fillRaws(env, e, sampleRecord)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := predicate.NewScratch()
			for range 200 {
				if ok, err := cond.Eval(e, s); !ok || err != nil {
					t.Errorf("got %v, %v", ok, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Comprehensions visit all elements of the largest list that an event can hold, in linear time. Beyond that they stop with an
// error.
func TestSteps(t *testing.T) {
	env := newTestEnv(t)
	largest := schema.JSONValue("[" + strings.Repeat("1,", maxSteps-2) + "2]")
	for text, want := range map[string]string{
		`raw.a.exists(x, x == 2)`:                            "true",
		`raw.a.filter(x, x == 2).size() == 1`:                "true",
		`raw.a.all(x, x == 1)`:                               "false",
		`raw.a.all(x, x > 0) && raw.a.exists(x, x == 2)`:     "true", // each Computed node has a limit of its own
		`raw.b.exists(x, x.exists(y, y == 2))`:               "error",
		`raw.a.all(x, x > 0) == raw.a.exists(x, x == 2)`:     "error",
		`raw.b.exists(x, raw.c[x[0]].exists(y, y == 3))`:     "error", // quadratic, which the estimate does not see
		`raw.a.exists(x, x == 2) || event.class == "absent"`: "true",
	} {
		cond := mustCompile(t, env, text)
		e := &schema.Event{}
		for _, path := range env.RawPaths() {
			switch path[0] {
			case "a":
				e.Raws = append(e.Raws, largest)
			case "b":
				e.Raws = append(e.Raws, schema.JSONValue("["+strings.Repeat("[0,0,0,0,0,0],", 30_000)+"[]]"))
			case "c":
				e.Raws = append(e.Raws, schema.JSONValue("[["+strings.Repeat("1,", 30_000)+"2]]"))
			}
		}
		if got := outcome(cond.Eval(e, predicate.NewScratch())); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// FuzzEval compares nodes with the CEL that they replace, on any text and any JSON. Nothing may panic.
func FuzzEval(f *testing.F) {
	f.Add(uint64(1), `{"k":"tool","l":[1]}`, "tool")
	f.Add(uint64(7), `{"k":`, "\xff")
	f.Fuzz(func(t *testing.T, seed uint64, args, text string) {
		env := newTestEnv(t)
		gen := rapid.Custom(func(t *rapid.T) string { return condText(t, 2, false) })
		source := gen.Example(int(seed % (1 << 20)))
		cond, issues := env.Compile(source)
		if issues != nil {
			t.Fatalf("%s: %+v", source, issues)
		}
		e := &schema.Event{}
		for _, field := range stringFields {
			e.SetText(field, text)
		}
		e.Set(schema.GenAIToolCallArguments, schema.JSONValue(args))
		fillRaws(env, e, args)
		other := computed(t, env, source)
		s := predicate.NewScratch()
		if got, want := outcome(cond.Eval(e, s)), outcome(other.Eval(e, s)); got != want {
			t.Fatalf("%s on %q, %q: nodes give %s, CEL gives %s", source, args, text, got, want)
		}
	})
}
