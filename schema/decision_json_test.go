package schema_test

import (
	"encoding/json"
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/aidr-engine/aidr/schema"
)

// TestDecisionJSON checks that AppendJSON gives the bytes of encoding/json, whatever is in the fields.
func TestDecisionJSON(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	check := func(d schema.Decision) bool {
		want, err := json.Marshal(&d)
		if err != nil {
			t.Fatal(err)
		}
		got := string(d.AppendJSON([]byte("x")))
		if got != "x"+string(want) {
			t.Errorf("got  %s\nwant x%s", got, want)
		}
		return got == "x"+string(want)
	}
	check(schema.Decision{})
	check(schema.Decision{Verdict: schema.VerdictDeny, Reason: "a \"b\" <c> & \u2028 \x00 \xff ü", Risk: &schema.Risk{}})
	// A field that is added to one of the structs has to be added to AppendJSON: each is set alone.
	v := reflect.ValueOf(&schema.Decision{}).Elem()
	for i := range v.NumField() {
		for range 20 {
			x := reflect.New(v.Type()).Elem()
			if value, ok := quick.Value(v.Field(i).Type(), rng); ok {
				x.Field(i).Set(value)
			}
			check(x.Interface().(schema.Decision))
		}
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 2000, Rand: rng}); err != nil {
		t.Error(err)
	}
}

func TestDecisionJSONAllocatesNothing(t *testing.T) {
	d := schema.Decision{
		Verdict: schema.VerdictDeny, ContainmentID: schema.ID{1}, Scope: schema.ScopeAgent, FindingID: schema.ID{2}, RuleID: "t.bad",
		Reason: "a case", Until: 1767225600e9, Version: 7, Epoch: 1767225600e9 + 1, Risk: &schema.Risk{Tainted: []string{"s"}, Highest: "high"},
	}
	b := make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(100, func() { b = d.AppendJSON(b[:0]) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
