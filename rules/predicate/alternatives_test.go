package predicate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// text returns the slot of a text field.
func text(f schema.Field) *Slot {
	return &Slot{Source: FromField, At: int(f), Type: schema.TypeString}
}

func mustMatch(t *testing.T, slot *Slot, pattern string) Node {
	t.Helper()
	p, err := CompilePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return Matches(slot, p)
}

// Tests of one text become alternatives if there are at least two of them with literals.
func TestGroupAlternatives(t *testing.T) {
	user, session := text(schema.UserID), text(schema.SessionID)
	raw := &Slot{Source: FromRaw, Type: schema.TypeDyn}
	contains := func(slot *Slot, arg string) Node { return CheckText("contains", slot, arg) }
	icontains := func(slot *Slot, arg string) Node { return CheckText("icontains", slot, arg) }
	class := Compare(text(schema.EventClass), Equal, schema.StringValue("tool"))
	for _, c := range []struct {
		name          string
		terms         []Node
		grouped, rest int
	}{
		{"two", []Node{contains(user, "abc"), contains(user, "abd")}, 2, 0},
		{"pattern", []Node{contains(user, "abc"), contains(user, "abd"), mustMatch(t, user, "(?i)xyz")}, 3, 0},
		{"pattern without literal", []Node{
			contains(user, "abc"), icontains(user, "abd"), mustMatch(t, user, "x.z"), contains(user, "efg")}, 3, 1},
		{"folds beyond ASCII", []Node{contains(user, "abc"), contains(user, "abd"), icontains(user, "kkk")}, 2, 1},
		{"different texts", []Node{contains(user, "abc"), contains(session, "abd"), contains(raw, "efg"), class}, 0, 4},
		{"two of one text", []Node{
			contains(user, "abc"), contains(session, "abd"), contains(raw, "efg"), contains(raw, "hij")}, 2, 2},
	} {
		n := newOr(c.terms)
		grouped := 0
		for _, a := range n.texts {
			grouped += len(a.tests)
		}
		if grouped != c.grouped || len(n.rest) != c.rest {
			t.Errorf("%s: got %d grouped and %d not, want %d and %d", c.name, grouped, len(n.rest), c.grouped, c.rest)
		}
	}
}

// Alternatives beyond the number of bits in a word need more passes.
func TestManyAlternatives(t *testing.T) {
	user := text(schema.UserID)
	var terms []Node
	for i := range 3 * maxAlternatives {
		terms = append(terms, CheckText("contains", user, fmt.Sprintf("word%03d", i)))
	}
	root := newOr(terms)
	if got := len(root.texts); got != 3 {
		t.Errorf("got %d passes, want 3", got)
	}
	cond, s := NewCond(root, nil, Facts{}), NewScratch()
	for i := range 3*maxAlternatives + 1 {
		e := &schema.Event{}
		e.SetText(schema.UserID, fmt.Sprintf("wordword%03d", i))
		if got, err := cond.Eval(e, s); got != (i < 3*maxAlternatives) || err != nil {
			t.Errorf("%d: got %v, %v", i, got, err)
		}
	}
	e := &schema.Event{}
	e.SetText(schema.UserID, strings.Repeat("word", 50)+"word100")
	if got := testing.AllocsPerRun(100, func() { cond.Eval(e, s) }); got != 0 && !underRace {
		t.Errorf("%v allocations, want 0", got)
	}
}
