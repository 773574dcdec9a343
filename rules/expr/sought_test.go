package expr

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
)

// soughtTerms are alternatives of every kind that can be sought, and some that cannot.
var soughtTerms = []string{
	`%s.contains("ignore all")`, `%s.contains("abc")`, `%s.contains("ab")`, `%s.startsWith("abca")`, `%s.endsWith("\u212aab")`,
	`%s.icontains("kskab")`, `%s.icontains("bka")`, `%s.iequals("ABCA")`, `%s.matches("(?i)ca[bk]+")`, `%s.matches("a(bc|cb)(a|b)\\b")`,
	`%s.matches("^b")`, `(%s.contains("b") && %[1]s.matches("cab|bac"))`, `!%s.contains("abc")`, `%s.glob("*a?c*")`, `%s.contains("\u017fab")`,
	`%s.matches("(?i:kab)a|(?i)cak")`,
}

// One pass over the text says what the alternatives say one after another, errors included.
func TestSoughtIsTheAlternatives(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("aaabbbcckK\u212as\u017f\ufffd")), 0, 20, -1)
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		env := newTestEnv(outer)
		field := rapid.SampledFrom([]string{"user.id", "gen_ai.tool.call.result", "raw.v"}).Draw(t, "field")
		var terms []string
		for _, form := range rapid.SliceOfN(rapid.SampledFrom(soughtTerms), 2, 24).Draw(t, "terms") {
			terms = append(terms, fmt.Sprintf(form, field))
		}
		whole := mustCompile(outer, env, strings.Join(terms, " || "))
		e, s := &schema.Event{}, NewScratch()
		text := letters.Draw(t, "text")
		if rapid.Bool().Draw(t, "damaged") {
			text += "\xe2\x84ab"
		}
		v := rapid.SampledFrom([]schema.Value{schema.StringValue(text), schema.JSONValue(`["` + text + `"]`), {}, schema.IntValue(7)}).Draw(t, "value")
		switch field {
		case "raw.v":
			e.Raws = []schema.Value{v}
		case "gen_ai.tool.call.result":
			if v.Kind != schema.KindInt {
				e.Set(schema.GenAIToolCallResult, v)
			}
		default:
			e.SetText(schema.UserID, text)
		}
		got, gotErr := whole.Eval(e, s)
		want, failed := false, false
		for _, term := range terms {
			ok, err := mustCompile(outer, env, term).Eval(e, s)
			want, failed = want || ok, failed || err != nil
		}
		if got != want || (gotErr != nil) != (failed && !want) {
			t.Errorf("%s of %q %v: got %v, %v, want %v, fails %v", whole.Text(), text, v.Kind, got, gotErr, want, failed)
		}
	})
}

// Alternatives are sought together where they are enough, and then an ordinary text is gone over once.
func TestSeek(t *testing.T) {
	for text, want := range map[string][2]int{ // terms that are sought, terms that are not
		`user.id.contains("abc") || user.id.contains("abd")`:                                                       {2, 0},
		`user.id.contains("abc") || user.id.contains("abd") || user.id.matches("(?i)xyz")`:                         {3, 0},
		`user.id.contains("abc") || user.id.icontains("abd") || user.id.matches("x.z") || user.id.contains("efg")`: {3, 1},
		`user.id.contains("abc") || user.id.contains("abd") || user.id.icontains("kkk")`:                           {2, 1},
		`user.id.contains("abc") || session.id.contains("abd") || raw.x.contains("efg") || event.class == "tool"`:  {0, 4},
		`user.id.contains("abc") || session.id.contains("abd") || raw.x.contains("efg") || raw.x.contains("hij")`:  {2, 2},
	} {
		env := newTestEnv(t)
		n := alternatives(mustCompile(t, env, text))
		got := [2]int{0, len(n.rest)}
		for _, f := range n.found {
			got[0] += len(f.terms)
		}
		if got != want {
			t.Errorf("%s: got %d sought and %d not, want %v", text, got[0], got[1], want)
		}
	}
}

// More alternatives than a word has bits are sought in several passes.
func TestSeekMany(t *testing.T) {
	env := newTestEnv(t)
	var terms []string
	for i := range 3 * maxSought {
		terms = append(terms, fmt.Sprintf("user.id.contains('word%03d')", i))
	}
	cond := mustCompile(t, env, strings.Join(terms, " || "))
	if got := len(alternatives(cond).found); got != 3 {
		t.Errorf("got %d passes, want 3", got)
	}
	s := NewScratch()
	for i := range 3*maxSought + 1 {
		e := &schema.Event{}
		e.SetText(schema.UserID, fmt.Sprintf("wordword%03d", i))
		if got, err := cond.Eval(e, s); got != (i < 3*maxSought) || err != nil {
			t.Errorf("%d: got %v, %v", i, got, err)
		}
	}
	e := &schema.Event{}
	e.SetText(schema.UserID, strings.Repeat("word", 50)+"word100")
	if got := testing.AllocsPerRun(100, func() { cond.Eval(e, s) }); got != 0 && !underRace {
		t.Errorf("%v allocations, want 0", got)
	}
}

// alternatives is the || that a condition is.
func alternatives(c *Cond) *or {
	if s, ok := c.root.(*shared); ok {
		return s.node.(*or)
	}
	return c.root.(*or)
}
