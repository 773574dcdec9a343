package expr

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A condition that is put together from its operands is the condition that compiling the whole text returns.
func TestConjunctionIsTheWhole(t *testing.T) {
	env := newTestEnv(t)
	check := func(t testingT, text string) {
		got, issues := env.Compile(text)
		want, wantIssues := env.compileWhole(text)
		if fmt.Sprint(issues) != fmt.Sprint(wantIssues) {
			t.Fatalf("%s: issues %v, of the whole %v", text, issues, wantIssues)
		}
		if want == nil {
			return
		}
		lo, hi := got.Cost()
		wantLo, wantHi := want.Cost()
		if lo != wantLo || hi != wantHi {
			t.Fatalf("%s: cost %d..%d, of the whole %d..%d", text, lo, hi, wantLo, wantHi)
		}
		for what, pair := range map[string][2]any{
			"mentions": {got.Mentions(), want.Mentions()}, "conjuncts": {got.Conjuncts(), want.Conjuncts()},
			"empty lists": {got.EmptyLists(), want.EmptyLists()}, "fields": {got.Fields(), want.Fields()},
			"branches": {got.HasBranches(), want.HasBranches()}, "witnesses": {got.Witnesses(), want.Witnesses()},
			"typed": {got.Typed(), want.Typed()},
		} {
			if fmt.Sprintf("%+v", pair[0]) != fmt.Sprintf("%+v", pair[1]) {
				t.Fatalf("%s: %s %+v, of the whole %+v", text, what, pair[0], pair[1])
			}
		}
	}
	for _, text := range []string{
		`event.action == "a" && // a comment with && in it
			(session.id == "" || raw.b.c == 1) && user.id in lists.nothing`,
		`event.action == "a" && "x"`, `event.action == "a" && unknown.field`, `(event.action == "a" && user.id == "b") && raw.x`,
		`event.action == "a" && user.id == "b" ? true : false`, `event.action == "a" &&`, `raw.l.exists(x, x == 1) && raw.m.all(y, y > 2)`,
		`event.action == "a" && user.id == "b" || session.id == "c"`, `user.id == "&&" && session.id == "||"`,
	} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, condText(t, 4, false)) })
}
