package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// go test ./rules/expr -run '^$' -bench . -count 6 | benchstat -
func BenchmarkEval(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"hit4", `event.class == "tool" && event.action == "tools/call" && gen_ai.tool.name.startsWith("sh") && http.response.bytes > 1000`},
		{"miss", `event.class == "api" && event.action == "tools/call" && gen_ai.tool.name.startsWith("sh") && http.response.bytes > 1000`},
		{"raw", `raw.a.b == "text" && raw.a.n > 5`},
		{"argument", `gen_ai.tool.call.arguments.path == "/etc/passwd"`},
		{"list", `event.class in lists.paste_sites`},
		{"address", `ip(source.ip).isPrivate()`},
		{"cel", `event.class == "tool" && size(gen_ai.tool.name) > 3`},
		{"exists", `gen_ai.response.finish_reasons.exists(r, r == "tool_calls")`},
	} {
		b.Run(c.name, func(b *testing.B) {
			env := newTestEnv(b)
			cond := mustCompile(b, env, c.text)
			e, s := sample(), NewScratch()
			fillRaws(env, e, sampleRecord)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cond.Eval(e, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Compiling is what loading 10,000 rules costs.
func BenchmarkCompile(b *testing.B) {
	env := newTestEnv(b)
	for b.Loop() {
		mustCompile(b, env, `event.class == "tool" && event.action == "tools/call" && gen_ai.tool.name.startsWith("sh") && http.response.bytes > 1000`)
	}
}

// A condition that is all typed nodes allocates nothing, whatever the event holds.
func TestEvalAllocations(t *testing.T) {
	if underRace {
		t.Skip("under the race detector patterns allocate at random")
	}
	for _, text := range []string{
		`event.class == "tool" && event.action == "tools/call" && gen_ai.tool.name.startsWith("sh") && http.response.bytes > 1000`,
		`event.class == "api" || !(http.response.bytes <= 5) && gen_ai.usage.cost > 0.1 && has(session.id) == false`,
		`event.class in ["a", "b"] || event.action in ["1", "2", "3", "4", "5", "6", "7", "8", "9"]`,
		`raw.a.b == "text" && raw.a.n > 5 && raw.no.x != "a" && raw.a.f in [1, 1.5] && raw.a.yes`,
		`raw.a.b.startsWith("te") && raw.a["a-b"].icontains("AS") && raw.a.b.matches("^t") && raw.a.b.glob("t*t")`,
		`gen_ai.tool.call.arguments.path == "/etc/passwd" && gen_ai.tool.call.arguments.n == 3`,
		`gen_ai.tool.name in lists.paste_sites || url.domain in lists.domains || raw.a.b in lists.domains`,
		`ip(source.ip).isPrivate() && cidr("10.0.0.0/8").contains(source.ip)`,
		`agent.registered && agent.owner == "ops" && agent.allows_tool("read") == false && agent.allows_tool(gen_ai.tool.name)`,
		`"stop" in gen_ai.response.finish_reasons && event.class != event.action && event.truncated`,
		`message_context.prompt_text.icontains("ignore previous") && time > timestamp("2025-01-01T00:00:00Z")`,
		`raw.a.n.startsWith("x") && true`,
		`url.domain.lowerAscii() in lists.paste_sites || event.class.lowerAscii() == "tool"`,
		`gen_ai.tool.call.arguments.path.matches("(?i)/ETC/(passwd|shadow)")`,
	} {
		env := newTestEnv(t)
		cond := mustCompile(t, env, text)
		if !cond.Typed() {
			t.Errorf("%s: needs CEL", text)
		}
		e, s := sample(), NewScratch()
		fillRaws(env, e, sampleRecord)
		if got := testing.AllocsPerRun(100, func() { cond.Eval(e, s) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", text, got)
		}
	}
}

// The size of an event does not matter to a condition that reads little of it: a deep and long argument is walked, not
// built.
func TestEvalAllocationsHostile(t *testing.T) {
	env := newTestEnv(t)
	cond := mustCompile(t, env, `gen_ai.tool.call.arguments.deep.x == "a" || has(gen_ai.tool.call.arguments.zzz)`)
	deep := make([]byte, 0, 256<<10)
	deep = append(deep, `{"deep":`...)
	for len(deep) < 128<<10 {
		deep = append(deep, '[')
	}
	for range (128 << 10) - len(`{"deep":`) {
		deep = append(deep, ']')
	}
	deep = append(deep, '}')
	e, s := sample(), NewScratch()
	e.Set(schema.GenAIToolCallArguments, schema.JSONValue(string(deep)))
	if got := testing.AllocsPerRun(10, func() { cond.Eval(e, s) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// A pattern matches what it matches without the text that is looked for first.
func FuzzRegex(f *testing.F) {
	for _, p := range []string{`(?i)ignore (all )?previous`, `^abc+d`, `(foo|bar)baz`, `(?i:\x{212a}elvin)`, `a{0,2}bcd`, `(abc){2,}`, `\x{fffd}abc`, `(?i)stra\x{df}e`, `x*`, `a\b(bc|cd?)[e-g]`, `x[ab]?yz\bq`} {
		f.Add(p, "please IGNORE all previous abccd")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		r, err := newRegex(pattern)
		if err != nil {
			return
		}
		if got, want := r.match(text), r.re.MatchString(text); got != want {
			t.Errorf("%q on %q: got %v, want %v, looked for %v", pattern, text, got, want, r.needs)
		}
	})
}

// What is looked for before a pattern runs.
func TestRequiredLiterals(t *testing.T) {
	for pattern, want := range map[string]string{
		`(?i)\b(ignore|disregard|forget)(ing|ed)?\W+(all|any) instructions`: "[{ALL INSTRUCTIONS true} {ANY INSTRUCTIONS true}]",
		`(?i)\b(ignore|disregard|forget)\b`:                                 "[{IGNORE true} {DISREGARD true} {FORGET true}]",
		`drop\s+table`:                                                      "[{table false}]",
		`a|bcde`:                                                            "[]",
		`(abc)?x`:                                                           "[]",
		`(?:abcd){2,}`:                                                      "[{abcd false}]",
		`^[a-z]+:(List|Describe|GetUser)`:                                   "[{:List false} {:Describe false} {:GetUser false}]",
		`.*`:                                                                "[]",
		`our (new|real) (?i:task)\b`:                                        "[{our new  false} {our real  false}]",
		`x[ab]?yz`:                                                          "[{xayz false} {xbyz false} {xyz false}]", `x[ab]?y`: "[]",
		`x[ab]yz?q`:     "[{xayzq false} {xayq false} {xbyzq false} {xbyq false}]",
		`(?i)a(?-i:1)b`: "[{A1B true}]",
	} {
		r, err := newRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(r.needs); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
}

// BenchmarkPattern is a pattern over 1 KB of harmless text: with the search before it and alone.
func BenchmarkPattern(b *testing.B) {
	r, err := newRegex(`(?i)\b(ignore|disregard|forget|overlook|bypass)(ing|ed|s)?\W+([\w']+\W+){0,4}?(previous|prior|above|all)\W+(instructions?|rules)\b`)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("Please summarise the quarterly report for the finance team. ", 17)
	b.Run("searched", func(b *testing.B) {
		for b.Loop() {
			r.match(text)
		}
	})
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			r.re.MatchString(text)
		}
	})
}
