package expr

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// fourTests is a condition of usual size; it holds for sample.
const fourTests = `event.class == "tool" && event.action == "tools/call" &&
	gen_ai.tool.name.startsWith("sh") && http.response.bytes > 1000`

// go test ./rules/expr -run '^$' -bench . -count 6 | benchstat -
func BenchmarkEval(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"hit4", fourTests},
		{"miss", strings.Replace(fourTests, `"tool"`, `"api"`, 1)},
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
			e, s := sample(), predicate.NewScratch()
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

// Compiling is most of the cost of loading 10,000 rules.
func BenchmarkCompile(b *testing.B) {
	env := newTestEnv(b)
	for b.Loop() {
		mustCompile(b, env, fourTests)
	}
}

// A typed condition does not allocate.
func TestEvalAllocations(t *testing.T) {
	if underRace {
		t.Skip("under the race detector patterns allocate at random")
	}
	for _, text := range []string{
		fourTests,
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
		e, s := sample(), predicate.NewScratch()
		fillRaws(env, e, sampleRecord)
		if got := testing.AllocsPerRun(100, func() { cond.Eval(e, s) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", text, got)
		}
	}
}

// A condition on one key of a deep and long argument does not allocate: the argument is walked, no tree is built.
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
	e, s := sample(), predicate.NewScratch()
	e.Set(schema.GenAIToolCallArguments, schema.JSONValue(string(deep)))
	if got := testing.AllocsPerRun(10, func() { cond.Eval(e, s) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
