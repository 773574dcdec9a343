package expr

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// textTests are tests of a text of every kind that requires a literal, and some that do not.
var textTests = []string{
	`%s.contains("ignore all")`, `%s.contains("abc")`, `%s.contains("ab")`, `%s.contains("\u017fab")`,
	`%s.startsWith("abca")`, `%s.endsWith("\u212aab")`,
	`%s.icontains("kskab")`, `%s.icontains("bka")`, `%s.iequals("ABCA")`,
	`%s.matches("(?i)ca[bk]+")`, `%s.matches("a(bc|cb)(a|b)\\b")`, `%s.matches("^b")`, `%s.matches("(?i:kab)a|(?i)cak")`,
	`(%s.contains("b") && %[1]s.matches("cab|bac"))`, `!%s.contains("abc")`, `%s.glob("*a?c*")`,
}

// The pass over the text has the verdict of the alternatives evaluated one by one, errors included.
func TestAlternatives(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("aaabbbcckK\u212as\u017f\ufffd")), 0, 20, -1)
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		env := newTestEnv(outer)
		field := rapid.SampledFrom([]string{"user.id", "gen_ai.tool.call.result", "raw.v"}).Draw(t, "field")
		var terms []string
		for _, form := range rapid.SliceOfN(rapid.SampledFrom(textTests), 2, 24).Draw(t, "terms") {
			terms = append(terms, fmt.Sprintf(form, field))
		}
		whole := mustCompile(outer, env, strings.Join(terms, " || "))
		e, s := &schema.Event{}, predicate.NewScratch()
		text := letters.Draw(t, "text")
		if rapid.Bool().Draw(t, "damaged") {
			text += "\xe2\x84ab"
		}
		v := rapid.SampledFrom([]schema.Value{
			schema.StringValue(text), schema.JSONValue(`["` + text + `"]`), {}, schema.IntValue(7),
		}).Draw(t, "value")
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
			t.Errorf("%s of %q %v: got %v, %v, want %v, failed %v", whole.Text(), text, v.Kind, got, gotErr, want, failed)
		}
	})
}
