package match

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// values is a list of plain strings.
type values struct{ set map[string]struct{} }

func newValues(texts ...string) *values {
	v := &values{map[string]struct{}{}}
	for _, t := range texts {
		v.set[t] = struct{}{}
	}
	return v
}

func (v *values) Contains(s string) bool { _, ok := v.set[s]; return ok }
func (v *values) Size() int              { return len(v.set) }
func (v *values) Literals() (out []string, ok bool) {
	for s := range v.set {
		out = append(out, s)
	}
	slices.Sort(out)
	return out, true
}

// prefix is a list that matches and is without literals.
type prefix string

func (p *prefix) Contains(s string) bool     { return strings.HasPrefix(s, string(*p)) }
func (p *prefix) Size() int                  { return 1 }
func (p *prefix) Literals() ([]string, bool) { return nil, false }

func newEnv(t testing.TB) *expr.Env {
	t.Helper()
	p := prefix("a")
	lists := map[string]predicate.List{"some": newValues("a", "b", ""), "other": newValues("ab", "c"), "starts": &p}
	env, err := expr.NewEnv(expr.Site{Lists: lists, Agents: registry{}, Capabilities: abilities{}})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// registry has the agents ab and task. The agent task may use what begins with a; the agent ab may use everything but "b".
type registry struct{}

func (registry) Attribute(uid, name string) schema.Value {
	known := uid == "ab" || uid == "task"
	switch {
	case name == "registered":
		return schema.BoolValue(known)
	case !known:
	case name == "owner":
		return schema.StringValue("a")
	case name == "tier" && uid == "ab":
		return schema.StringValue("task")
	case name == "expires" && uid == "ab":
		return schema.TimestampValue(5)
	case name == "tools" && uid == "task":
		return schema.ListValue(`["ab","a*"]`)
	}
	return schema.Value{}
}

func (registry) Allows(uid, kind, name string) bool {
	return uid == "task" && strings.HasPrefix(name, "a") || uid == "ab" && (kind != "tool" || name != "b")
}

func compile(t interface{ Fatalf(string, ...any) }, env *expr.Env, text string) *predicate.Cond {
	c, issues := env.Compile(text)
	if issues != nil {
		t.Fatalf("%s: %+v", text, issues)
	}
	return c
}

func event(set map[schema.Field]string) *schema.Event {
	e := &schema.Event{}
	for f, v := range set {
		e.SetText(f, v)
	}
	return e
}

func TestEval(t *testing.T) {
	env := newEnv(t)
	action := compile(t, env, `event.action == "chat"`)
	conds := []*predicate.Cond{
		compile(t, env, `event.action in ["x", "chat"] && user.id != "u"`),
		action,
		nil,
		action,
		compile(t, env, `raw.a.startsWith("x")`),
		compile(t, env, `http.response.bytes > 5`),
		compile(t, env, `event.action in lists.other`),
		compile(t, env, `event.action != user.id`),
	}
	x := Build(conds, [][]string{nil, {"litellm"}, nil, {"kong", "envoy"}, nil, nil, nil, {}})
	s := NewScratch()
	e := event(map[schema.Field]string{schema.EventAction: "chat", schema.EventDataset: "litellm"})
	e.SetInt(schema.HTTPResponseBytes, 9)
	e.Raws = []schema.Value{schema.IntValue(7)}
	if got, want := x.Eval(e, s, []int32{99}), []int32{99, 0, 1, 5, 7}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if want := []int32{4}; !slices.Equal(s.Failed, want) {
		t.Errorf("failed: got %v, want %v", s.Failed, want)
	}
	for i, want := range []string{"event.action", "event.action", "", "event.action", "raw", "http.response.bytes", "event.action", "always"} {
		got := ""
		if p := x.Plan(i); p.Always {
			got = "always"
			if p.Why == "" {
				t.Errorf("condition %d: no reason for always", i)
			}
		} else if conds[i] != nil {
			got = "raw"
			if slot := p.Atoms[0].Slot; slot.Source == predicate.FromField {
				got = schema.Field(slot.At).String()
			}
		}
		if got != want {
			t.Errorf("plan of %d: got %q, want %q", i, got, want)
		}
	}
	if x.Len() != len(conds) {
		t.Errorf("got length %d, want %d", x.Len(), len(conds))
	}
}

// The rarer witness is chosen, even if the more common one is first in the table of fields.
func TestPlanChoosesTheRarer(t *testing.T) {
	env := newEnv(t)
	var conds []*predicate.Cond
	for i := range 50 {
		text := fmt.Sprintf(`event.class == "tool" && event.action == "tools/call" && gen_ai.tool.name == "tool%d"`, i)
		conds = append(conds, compile(t, env, text))
	}
	x := Build(conds, nil)
	for i := range conds {
		if p := x.Plan(i); len(p.Atoms) != 1 || p.Atoms[0].Slot.At != int(schema.GenAIToolName) {
			t.Fatalf("condition %d is found by %+v", i, p.Atoms)
		}
	}
	only := Build([]*predicate.Cond{compile(t, env, `event.action != user.id`)}, [][]string{{"kong", "envoy"}})
	if p := only.Plan(0); p.Always || len(p.Atoms) != 2 || p.Atoms[0].Slot.At != int(schema.EventDataset) {
		t.Errorf("got plan %+v, want the datasets", p)
	}
}

// A condition on a bool field is found by it, and by nothing else.
func TestPlanOfABool(t *testing.T) {
	env := newEnv(t)
	x := Build([]*predicate.Cond{compile(t, env, `gen_ai.tool.called && event.duration >= 0`)}, nil)
	if p := x.Plan(0); p.Always || len(p.Atoms) != 1 || p.Atoms[0].Slot.At != int(schema.GenAIToolCalled) {
		t.Fatalf("got plan %+v, want gen_ai.tool.called", p)
	}
	s, e := NewScratch(), new(schema.Event)
	for _, set := range []func(){
		func() {},
		func() { e.Set(schema.GenAIToolReturned, schema.BoolValue(true)) },
		func() { e.Set(schema.GenAIToolCalled, schema.BoolValue(false)) },
	} {
		if set(); len(x.Eval(e, s, nil)) != 0 {
			t.Error("the condition holds for an event without a call")
		}
	}
	e.Set(schema.GenAIToolCalled, schema.BoolValue(true))
	if got := x.Eval(e, s, nil); !slices.Equal(got, []int32{0}) {
		t.Errorf("got %v, want [0]", got)
	}
}

// A condition with several users is evaluated once.
func TestConditionIsSharedByItsUsers(t *testing.T) {
	env := newEnv(t)
	c := compile(t, env, `event.action == "chat"`)
	x := Build([]*predicate.Cond{c, c, c}, nil)
	if len(x.conds) != 1 {
		t.Fatalf("%d conditions, want 1", len(x.conds))
	}
	if got := x.Eval(event(map[schema.Field]string{schema.EventAction: "chat"}), NewScratch(), nil); !slices.Equal(got, []int32{0, 1, 2}) {
		t.Errorf("got %v", got)
	}
}

// world returns an index over n conditions of 2 to 4 terms, like those of rules, and events. A condition holds for few
// events.
func world(t testing.TB, n int) (*Index, []*schema.Event) {
	env := newEnv(t)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var conds []*predicate.Cond
	var datasets [][]string
	for i := range n {
		text := fmt.Sprintf(`event.class == "tool" && event.action == "action%d"`, r.IntN(max(n/4, 20)))
		switch r.IntN(4) {
		case 0:
			text += fmt.Sprintf(` && gen_ai.tool.name.startsWith("t%d") && http.response.bytes > %d`, r.IntN(10), r.IntN(5000))
		case 1:
			text = fmt.Sprintf(`gen_ai.tool.name in ["tool%d", "tool%d"] && !(event.outcome == "success")`, r.IntN(n+50), r.IntN(n+50))
		case 2:
			text += fmt.Sprintf(` && resource.name == "r%d"`, i)
		case 3:
			text = fmt.Sprintf(`ai_agent.uid == "agent%d" && event.outcome == "failure"`, i)
		}
		conds = append(conds, compile(t, env, text))
		datasets = append(datasets, []string{[]string{"litellm", "kong"}[i%2]})
	}
	var events []*schema.Event
	for range 256 {
		e := event(map[schema.Field]string{
			schema.EventClass:    "tool",
			schema.EventDataset:  []string{"litellm", "kong"}[r.IntN(2)],
			schema.EventOutcome:  []string{"success", "failure"}[r.IntN(2)],
			schema.EventAction:   fmt.Sprintf("action%d", r.IntN(max(n/4, 20))),
			schema.GenAIToolName: fmt.Sprintf("tool%d", r.IntN(n+50)),
			schema.ResourceName:  fmt.Sprintf("r%d", r.IntN(n)),
			schema.AIAgentUID:    fmt.Sprintf("agent%d", r.IntN(n)),
		})
		e.SetInt(schema.HTTPResponseBytes, int64(r.IntN(6000)))
		events = append(events, e)
	}
	return Build(conds, datasets), events
}

// go test ./rules/match -run '^$' -bench Eval -count 6 | benchstat -
//
// One op is one event. indexed is nearly independent of the number of conditions; brute evaluates every condition.
func BenchmarkEval(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("indexed/%d", n), func(b *testing.B) {
			x, events := world(b, n)
			s := NewScratch()
			var out []int32
			held, i := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				out = x.Eval(events[i%len(events)], s, out[:0])
				held += len(out)
				i++
			}
			b.ReportMetric(float64(held)/float64(i), "held/event")
		})
	}
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("brute/%d", n), func(b *testing.B) {
			x, events := world(b, n)
			s := NewScratch()
			var out []int32
			i := 0
			for b.Loop() {
				out = x.EvalAll(events[i%len(events)], s, out[:0])
				i++
			}
		})
	}
}

// A list of 100,000 values costs as much as a list of ten.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var texts []string
			for i := range n {
				texts = append(texts, fmt.Sprintf("host%d.example", i))
			}
			env, err := expr.NewEnv(expr.Site{Lists: map[string]predicate.List{"hosts": newValues(texts...)}})
			if err != nil {
				b.Fatal(err)
			}
			x := Build([]*predicate.Cond{compile(b, env, `url.domain in lists.hosts`)}, nil)
			e := event(map[schema.Field]string{schema.URLDomain: "host7.example"})
			s := NewScratch()
			var out []int32
			b.ReportAllocs()
			for b.Loop() {
				out = x.Eval(e, s, out[:0])
			}
		})
	}
}

func TestEvalAllocations(t *testing.T) {
	x, events := world(t, 500)
	checkAllocations(t, x, events)
	env := newEnv(t)
	var conds []*predicate.Cond
	for i := range 20 {
		text := fmt.Sprintf(`event.outcome != "x%d" && (gen_ai.tool.name.matches("tool(1|2)") || resource.name.icontains("R%d"))`, i, i%3)
		conds = append(conds, compile(t, env, text))
	}
	checkAllocations(t, Build(conds, nil), events)
}

func checkAllocations(t *testing.T, x *Index, events []*schema.Event) {
	t.Helper()
	s := NewScratch()
	out := make([]int32, 0, 64)
	for _, e := range events { // makes the rows
		out = x.Eval(e, s, out[:0])
	}
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		out = x.Eval(events[i%len(events)], s, out[:0])
		i++
	})
	if got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// A || of which one operand is not a test is not decided by the operands before it, when the look-ups of the event show that
// one of its facts holds.
func TestAlternativesThatAreNotTests(t *testing.T) {
	env := newEnv(t)
	conds := []*predicate.Cond{
		compile(t, env, `event.truncated || user.id == "u" && raw.x.contains("qq") || url.domain.contains("abc") || url.domain.contains("zzz")`),
		compile(t, env, `event.truncated`), compile(t, env, `user.id == "u"`),
		compile(t, env, `raw.x.contains("qq")`), compile(t, env, `url.domain.contains("abc")`), compile(t, env, `url.domain.contains("zzz")`),
	}
	x := Build(conds, nil)
	e := event(map[schema.Field]string{schema.URLDomain: "xabcx"})
	e.Raws = []schema.Value{schema.StringValue("none")}
	if got, want := x.Eval(e, NewScratch(), nil), []int32{0, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// abilities are capabilities of events by their action and host.
type abilities struct{}

func (abilities) Tool(_, name string) (predicate.Labels, bool) {
	return predicate.Labels(len(name)), true
}

func (abilities) Shape(arguments string) predicate.Labels {
	return predicate.Labels(len(arguments)) & predicate.Egress
}

func (abilities) Request(host, _, _ string) predicate.Labels { return predicate.Labels(len(host)) }

func (abilities) Action(action string) predicate.Labels { return predicate.Labels(len(action)) }
