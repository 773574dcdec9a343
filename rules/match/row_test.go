package match

import (
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// The verdict of a test that reads a second value is not kept with the row of the first.
func TestRowOfATestOfTwoValues(t *testing.T) {
	env := newEnv(t)
	x := Build([]*predicate.Cond{compile(t, env, `raw.l.exists(v, v.k == "ab" && v.n == user.id)`)}, nil)
	s := NewScratch()
	for i, user := range []string{"other", "u", "other", "u"} {
		e := event(map[schema.Field]string{schema.UserID: user})
		e.Raws = []schema.Value{schema.JSONValue(`[{"k":"ab","n":"u"}]`)}
		if got := len(x.Eval(e, s, nil)); got != i%2 {
			t.Errorf("event %d: the condition holds %d times, want %d", i, got, i%2)
		}
	}
}
