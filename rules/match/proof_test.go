package match

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// draw returns a number below n, from rapid, which shrinks failures, or from a generator of random numbers, which is fast.
type draw func(n int) int

func (d draw) from(texts ...string) string { return texts[d(len(texts))] }

var (
	textFields = []string{
		"event.class", "event.action", "event.dataset", "user.id", "url.domain", "source.ip", "message_context.prompt_text", "gen_ai.tool.name",
	}
	dynPaths = []string{
		"raw.x", "raw.y.z", `raw["@k"]`, "gen_ai.tool.call.arguments", "gen_ai.tool.call.arguments.k", "gen_ai.tool.call.arguments.l.k",
	}
	intFields = []string{"http.response.bytes", "http.response.status_code"}
	// texts are related to each other by prefix, suffix, case and folding; some are not valid UTF-8 or hold other characters.
	texts = []string{
		"", "a", "ab", "AB", "abc", "bc", "b", "task", "TASK", "tas\u212a", "ta\u017fk", "multitasking", "10.1.2.3", "10.200.0.1",
		"fe80::1", "some longer text with a task in it, and more words behind", "x\"y\\z", "\u00e4b", "\u00c4B",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "[\"ab\"]", "null", "k", "s",
	}
	numbers  = []string{"0", "1", "-1", "5", "403", "9007199254740993", "9007199254740992"}
	decimals = []string{"0.0", "0.5", "5.0", "-1.5", "1e18"}
)

func (d draw) text() string    { return fmt.Sprintf("%q", strings.ToValidUTF8(d.from(texts...), "")) }
func (d draw) number() string  { return d.from(append(numbers, decimals...)...) }
func (d draw) textOf() string  { return d.from(append(textFields, dynPaths...)...) }
func (d draw) compare() string { return d.from("==", "!=", "<", "<=", ">", ">=") }

// condition draws a condition, with or without witnesses; some fail.
func (d draw) condition(depth int) string {
	if depth > 0 {
		switch d(8) {
		case 0, 1, 2, 3:
			return "(" + d.condition(depth-1) + " && " + d.condition(depth-1) + ")"
		case 4, 5:
			return "(" + d.condition(depth-1) + " || " + d.condition(depth-1) + ")"
		case 6:
			return "!(" + d.condition(depth-1) + ")"
		case 7:
			if d(3) == 0 {
				return "(" + d.condition(depth-1) + " ? " + d.condition(depth-1) + " : " + d.condition(depth-1) + ")"
			}
		}
	}
	return d.term()
}

func (d draw) term() string {
	x := d.textOf()
	switch d(21) {
	case 0, 1, 2:
		return x + " == " + d.text()
	case 3:
		return x + " in [" + d.text() + ", " + d.text() + "]"
	case 4:
		return x + " in lists." + d.from("some", "other", "starts")
	case 5:
		return x + " != " + d.text()
	case 6, 7:
		return x + "." + d.from("startsWith", "endsWith", "contains", "icontains", "iequals") + "(" + d.text() + ")"
	case 8:
		return "has(" + x + ")"
	case 9:
		return x + `.matches("` + d.from("a|b", "^ab$", "(?i)task", "(?i)(task|words)", "text .*more", "b+c", "multi(task)?ing", "t.sk") + `")`
	case 10:
		return x + `.glob("` + d.from("a*", "*b", "*task*", "ab", "t?sk", "*", "a*c", "?b*", "*task*words*") + `")`
	case 11:
		return d.from(intFields...) + " " + d.compare() + " " + d.number()
	case 12:
		return d.from(dynPaths...) + " " + d.compare() + " " + d.number()
	case 13:
		return d.from(dynPaths...) + d.from(" == null", " != null", " == true", " == false", "", " in [1, 0.5, \"ab\"]", " in [true, \"a\"]")
	case 14:
		return "cidr(" + d.from(`"10.0.0.0/8"`, `"10.1.2.3/32"`, `"10.1.0.0/16"`, `"fe80::/10"`, `"0.0.0.0/0"`) + ").contains(" + x + ")"
	case 15:
		return d.text() + " in gen_ai.response.finish_reasons"
	case 16:
		if d.from("text", "number") == "number" {
			return d.from("injection(", "entropy(") + d.from(textFields...) + ") " + d.compare() + " " + d.number()
		}
		made := d.from("%s.lowerAscii()", "normalised(%s)", "normalised(%s).lowerAscii()", "decoded(%s)")
		if made == "normalised(%s)" { // other texts than normalised ones are refused
			return fmt.Sprintf(made, d.from(textFields...)) + d.from(".iequals(", ".icontains(") + "ZZ"
		}
		return fmt.Sprintf(made, d.from(textFields...)) + d.from(" == ", ".contains(") + "ZZ"
	case 17:
		return d.list()
	case 18, 19:
		return d.agent()
	}
	return d.from(
		"cap.egress", "cap.change && !cap.private", "event.truncated", "!event.truncated", "event.truncated == true", "true", "false", "size(user.id) < 2",
		"event.action == user.id", "raw.x == raw.y.z", "raw.x < raw.y.z", "ip(source.ip).isPrivate()", "gen_ai.usage.cost > 0.5",
	)
}

// agent draws a condition on the registry.
func (d draw) agent() string {
	switch d(6) {
	case 0:
		return d.from("", "!") + "agent.allows_" + d.from("tool", "route", "network") + "(" + d.textOf() + ")"
	case 1:
		return d.from("", "!") + `agent.allows("` + d.from("tool", "credential") + `", ` + d.text() + ")"
	case 2:
		return d.from("", "!") + "agent.allows_tool(" + d.from(textFields...) + d.from(".lowerAscii()", ` + "x"`) + ")"
	case 3:
		return d.from("agent.owner", "agent.tier") + d.from(" == ", " != ") + d.text()
	}
	return d.from("agent.registered", "!agent.registered", "has(agent.tier)", "!has(agent.owner)", "agent.expires > time", `"ab" in agent.tools`,
		"has(agent.tools)", "agent.registry", "agent.owner in lists.some", `agent.tier.startsWith("t")`, "agent.allows_tool(user.id) == agent.registered")
}

// list draws a condition on the elements of a list.
func (d draw) list() string {
	x := d.from("raw.x", "raw.y.z", "gen_ai.tool.call.arguments", "gen_ai.response.finish_reasons")
	if x == "gen_ai.response.finish_reasons" {
		return x + ".exists(v, v " + d.from("== "+d.text(), "in ["+d.text()+", "+d.text()+"]") + ")"
	}
	return x + ".exists(v, " + d.from(
		"v == "+d.text(), "v.k == "+d.text(), "v == "+d.number(), "v.k == "+d.text()+" && v.n == 1", "v in ["+d.text()+", "+d.text()+"]",
		"v.startsWith("+d.text()+")", "v.k.contains("+d.text()+")", "has(v.k)", "v == "+d.text()+" || v == "+d.text(),
		"v == "+d.text()+" && user.id == "+d.text(), "v.k == user.id", "v.k == "+d.text()+" && v.l != raw.x",
	) + ")"
}

// source draws a condition. A call that takes a text ends in ZZ until here.
func (d draw) source(depth int) string {
	text := d.condition(depth)
	for strings.Contains(text, "ZZ") {
		quoted := d.text()
		if strings.Contains(text, "(ZZ") {
			text = strings.Replace(text, "(ZZ", "("+quoted+")", 1)
			continue
		}
		text = strings.Replace(text, "ZZ", quoted, 1)
	}
	return text
}

// dynValue draws the value of a raw path or of arguments.
func (d draw) dynValue() schema.Value {
	switch d(12) {
	case 0, 1:
		return schema.Value{}
	case 2:
		return schema.IntValue([]int64{0, 1, -1, 5, 403, 9007199254740993, 9007199254740992}[d(7)])
	case 3:
		return schema.DoubleValue([]float64{0, 0.5, 5, -1.5, 1e18, 9007199254740992}[d(6)])
	case 4:
		return schema.BoolValue(d(2) == 0)
	case 5, 6:
		return schema.JSONValue([]string{
			`["ab","task",1,null]`, `[{"k":"ab","n":1},{"k":"task"}]`, `{"k":"task","l":{"k":"AB"}}`, `{"k":"ta\u0073k"}`, `null`,
			`{"k":1,"l":[1]}`, `[]`, `{}`, `["\u0061b"]`, `["multi\ttasking"]`, `{"k":["ab"]}`, `[5,0.5]`, `{"k`, `["ta\u017fk"]`,
		}[d(14)])
	}
	return schema.StringValue(d.from(texts...))
}

// event draws an event; any value may be absent.
func (d draw) event(raws int) *schema.Event {
	e := &schema.Event{}
	for _, name := range textFields {
		f, _ := schema.FieldByName(name)
		e.SetText(f, d.from(texts...))
	}
	if d(3) == 0 {
		e.SetText(schema.UserID, "a\xffb\xc5")
	}
	e.SetText(schema.AIAgentUID, d.from("", "ab", "task", "other"))
	for _, f := range []schema.Field{schema.HTTPResponseBytes, schema.HTTPResponseStatusCode} {
		if d(3) > 0 {
			e.SetInt(f, []int64{0, 1, -1, 5, 403, 9007199254740993}[d(6)])
		}
	}
	if d(2) == 0 {
		e.Set(schema.GenAIUsageCost, schema.DoubleValue([]float64{0, 0.5, 5}[d(3)]))
	}
	if d(2) == 0 {
		e.Set(schema.EventTruncated, schema.BoolValue(d(2) == 0))
	}
	if d(2) == 0 {
		e.Set(schema.GenAIResponseFinishReasons, schema.ListValue([]string{`[]`, `["ab","task"]`, `["x\"y\\z"]`, `["t\u0061sk"]`}[d(4)]))
	}
	e.Set(schema.GenAIToolCallArguments, d.dynValue())
	for range raws {
		e.Raws = append(e.Raws, d.dynValue())
	}
	return e
}

// fatal is the part of a testing.T, or of a rapid.T, that the proof needs.
type fatal interface {
	Fatalf(format string, args ...any)
}

// prove draws conditions and events, and compares the index with evaluating every condition on every event, errors
// included. It returns the number of pairs.
func prove(t fatal, env *expr.Env, d draw, conditions, events, depth int) int {
	conds := make([]*predicate.Cond, conditions)
	datasets := make([][]string, conditions)
	for i := range conds {
		if i > 0 && d(6) == 0 {
			conds[i] = conds[d(i)]
		} else {
			text := d.source(d(depth + 1))
			c, issues := env.Compile(text)
			if issues != nil {
				t.Fatalf("%s: %+v", text, issues)
			}
			conds[i] = c
		}
		for range d(6) - 3 {
			datasets[i] = append(datasets[i], d.from("a", "ab", "task"))
		}
	}
	x := buildInSteps(d, conds, datasets)
	s, plain, tight := NewScratch(), NewScratch(), newTightScratch(x)
	var got, want []int32
	for range events {
		e := d.event(len(env.RawPaths()))
		if got, want = x.Eval(e, tight, got[:0]), x.Eval(e, s, want[:0]); !slices.Equal(got, want) || !slices.Equal(tight.Failed, s.Failed) {
			for i, c := range conds {
				if n := int32(i); slices.Contains(got, n) != slices.Contains(want, n) || slices.Contains(tight.Failed, n) != slices.Contains(s.Failed, n) {
					t.Fatalf("%s, datasets %q, plan %+v, layers %v: a worker that keeps little has %v, one with room %v; all is %v; raws %v of %v",
						c.Text(), datasets[i], x.Plan(i), x.layers != nil, slices.Contains(got, n), slices.Contains(want, n),
						slices.Contains(x.EvalAll(e, plain, nil), n), e.Raws, env.RawPaths())
				}
			}
		}
		got = x.Eval(e, s, got[:0])
		want = x.EvalAll(e, plain, want[:0])
		if slices.Equal(got, want) && slices.Equal(s.Failed, plain.Failed) {
			continue
		}
		for i, c := range conds {
			n := int32(i)
			if slices.Contains(got, n) != slices.Contains(want, n) || slices.Contains(s.Failed, n) != slices.Contains(plain.Failed, n) {
				t.Fatalf("%s, datasets %q, plan %+v: holds %v, failed %v in the index; %v, %v without; raws %v of %v, arguments %v",
					c.Text(), datasets[i], x.Plan(i), slices.Contains(got, n), slices.Contains(s.Failed, n),
					slices.Contains(want, n), slices.Contains(plain.Failed, n), e.Raws, env.RawPaths(), e.Value(schema.GenAIToolCallArguments))
			}
		}
	}
	return conditions * events
}

// buildInSteps returns the index of conditions: that of Build or, as often, one in layers that was made of an index over some
// of the conditions and others.
func buildInSteps(d draw, conds []*predicate.Cond, datasets [][]string) *Index {
	if d(2) == 0 {
		return Build(conds, datasets)
	}
	var early []*predicate.Cond
	var earlyDatasets [][]string
	for i, c := range conds {
		switch d(12 * maxAdded) {
		case 0: // it is new
			continue
		case 1: // another one was there
			c = conds[d(len(conds))]
		}
		early, earlyDatasets = append(early, c), append(earlyDatasets, datasets[i])
	}
	x := Build(early, earlyDatasets)
	if half := len(conds) / 2; d(2) == 0 { // a step more
		x = x.Update(append(slices.Clone(early[:min(half, len(early))]), conds[half:]...),
			append(slices.Clone(earlyDatasets[:min(half, len(early))]), datasets[half:]...))
	}
	return x.Update(conds, datasets)
}

// newTightScratch returns a Scratch that keeps as little as possible, so that it forgets often.
func newTightScratch(x *Index) *Scratch {
	s := NewScratch()
	if l := x.layers; l != nil {
		s.layers, s.base, s.added = l, newTightScratch(l.base), newTightScratch(l.added)
		s.base.Predicate, s.added.Predicate = s.Predicate, s.Predicate
		return s
	}
	s.begin(x, new(schema.Event))
	s.Predicate.End()
	s.states.start(x)
	s.states.words = make([]word, 0, len(x.root.words))
	for i := range s.rows {
		r := &s.rows[i]
		r.prepare(&x.columns[i], len(x.columns))
		s.serial++
		r.none.serial = s.serial
		r.classes = r.classes[:groupSize]
		if r.values != nil {
			r.values, r.hashes = r.values[:groupSize], r.hashes[:groupSize]
		}
	}
	return s
}

var (
	pairs = flag.Int("pairs", 1_000_000, "number of pairs of a condition and an event that TestIndexIsBruteForce compares")
	seed  = flag.Uint64("seed", 1, "seed of TestIndexIsBruteForce")
)

// The result of the index is that of evaluating every condition, on a million pairs of a condition and an event. For more:
//
//	go test ./rules/match -run TestIndexIsBruteForce -timeout 0 -pairs 100000000 -seed 2
func TestIndexIsBruteForce(t *testing.T) {
	left := *pairs
	if testing.Short() || underRace {
		left = min(left, 50_000)
	}
	r := rand.New(rand.NewPCG(*seed, 1))
	var env *expr.Env
	for worlds := 0; left > 0; worlds++ {
		if worlds%8 == 0 {
			env = newEnv(t) // an environment keeps the operands of its conditions
		}
		left -= prove(t, env, r.IntN, 5+r.IntN([]int{20, 300, 2500}[r.IntN(3)]), 100, r.IntN(4))
	}
}

// The same for sets that rapid draws, and shrinks if they fail.
func TestSmallIndexIsBruteForce(t *testing.T) {
	env := newEnv(t)
	rapid.Check(t, func(t *rapid.T) {
		prove(t, env, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }, 6, 4, 2)
	})
}

func FuzzIndexIsBruteForce(f *testing.F) {
	env := newEnv(f)
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		prove(t, env, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }, 6, 4, 2)
	}))
}
