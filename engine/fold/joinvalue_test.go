package fold_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/schema"
)

// joined returns a sequence of steps a and b with a where.
func joined(where string) *rules.Rule {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	w, issues := env.CompileWhere(where, []string{"a", "b"})
	if len(issues) > 0 {
		panic("BUG: " + issues[0].Text)
	}
	r := capturetest.Rule(rules.KindSequence)
	r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "a", Times: 1}, {ID: "b", Times: 1}}, Within: 24 * time.Hour, Where: w}
	r.Roles = []rules.Role{{Name: "a", Order: 1, Key: r.Key}, {Name: "b", Order: 2, Key: r.Key}}
	return r
}

// TestJoinValuesLimit begins chains of as many join values as are held, and one more: the one that began longest ago leaves,
// and no other.
func TestJoinValuesLimit(t *testing.T) {
	c := fold.NewCell(fold.NewProgram(joined("b.resource.id == a.resource.id")), "a\x00\x01")
	c.Advance(0)
	second := 0
	add := func(role uint16, value string) {
		it := at(second, uint64(second))
		it.Roles, it.Role = uint32(role), role
		it.Data = string(schema.AppendValue(nil, schema.StringValue(value)))
		c.Add(&it)
		second++
		c.Advance(schema.Instant(second) * 1e9)
	}
	for i := range 4096 {
		add(1, fmt.Sprint(i))
	}
	add(1, "0") // it is the latest now
	if got, want := c.TakeLimits(), (fold.Limits{}); got != want {
		t.Errorf("at the limit: got %+v", got)
	}
	add(1, "one more")
	if got, want := c.TakeLimits(), (fold.Limits{Partials: 1}); got != want {
		t.Errorf("above the limit: got %+v, want %+v", got, want)
	}
	add(2, "1")
	wantLines(t, emit(c))
	add(2, "0")
	wantLines(t, emit(c), fmt.Sprintf("open r1 start=%d last=%d count=2 value= evidence=2", second-1, second-1))
}

// TestJoinValuesAreEqual compares values of two types.
func TestJoinValuesAreEqual(t *testing.T) {
	f := func(a, b schema.Value, want bool) {
		t.Helper()
		c := fold.NewCell(fold.NewProgram(joined("b.raw.x == a.raw.x")), "a\x00\x01")
		c.Advance(0)
		for i, v := range []schema.Value{a, b} {
			it := at(i, uint64(i))
			it.Roles, it.Role = 1<<i, uint16(i+1)
			it.Data = string(schema.AppendValue(nil, v))
			c.Add(&it)
		}
		if got := len(emit(c)) > 0; got != want {
			t.Errorf("%v and %v: got %t, want %t", a, b, got, want)
		}
	}
	text, number := schema.StringValue, schema.IntValue
	f(text("1"), text("1"), true)
	f(text("1"), number(1), false)
	f(number(1000000), schema.DoubleValue(1000000), true)
	f(schema.DoubleValue(0.5), schema.DoubleValue(0.5), true)
	f(schema.JSONValue(`{"a": 1, "b": 2}`), schema.JSONValue(`{"b":2,"a":1}`), true)
	f(schema.BoolValue(true), text("true"), false)
	f(text(""), text(""), false)
	f(schema.Value{}, schema.Value{}, false)
}

// TestLastStepsLeaveTheChains adds last steps that complete nothing, or complete a chain more than once: the chains stay as
// they are until they are out of the window.
func TestLastStepsLeaveTheChains(t *testing.T) {
	c := fold.NewCell(fold.NewProgram(joined("b.resource.id == a.resource.id")), "a\x00\x01")
	c.Advance(0)
	add := func(second int, role uint16, value string) {
		it := at(second, uint64(second))
		it.Roles, it.Role = uint32(role), role
		it.Data = string(schema.AppendValue(nil, schema.StringValue(value)))
		c.Add(&it)
		c.Advance(schema.Instant(second+1) * 1e9)
	}
	add(0, 2, "x") // there is no chain yet
	add(1, 1, "x")
	add(2, 2, "z")
	add(3, 1, "y")
	wantLines(t, emit(c))
	add(4, 2, "x")
	wantLines(t, emit(c), "open r1 start=4 last=4 count=2 value= evidence=2")
	add(5, 2, "x")
	wantLines(t, emit(c), "open r2 start=4 last=5 count=3 value= evidence=3")
	const day = 24 * 60 * 60
	add(day+1, 2, "x") // the first chain is out of the window, the second is not
	wantLines(t, emit(c), "settled r3 start=4 last=5 count=3 value= evidence=3")
	add(day+2, 2, "y")
	if got := emit(c); len(got) != 1 {
		t.Errorf("the second chain gave %v, want one finding", got)
	}
}
