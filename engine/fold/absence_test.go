package fold_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// roleAt returns an item of a rule with roles at a second.
func roleAt(r *rules.Rule, second int, id uint64, roles uint32) *item.Item {
	it := at(second, id)
	setRoles(r, &it, roles)
	return &it
}

// TestAbsenceWaitsForTheWatermark checks that nothing is emitted before the watermark has reached the deadline, whatever is
// pending, and that what came in the meantime counts in its order.
func TestAbsenceWaitsForTheWatermark(t *testing.T) {
	r := absence(rules.Absence{Form: rules.AbsenceExpect, Within: 10 * time.Second})
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	c.Add(roleAt(r, 1, 1, 1))
	c.Add(roleAt(r, 2, 2, 1))
	c.Add(roleAt(r, 50, 3, 2)) // after both deadlines
	wantLines(t, emit(c))
	c.Findings(func(f *schema.Finding) { t.Errorf("%s is live", f.ID) })
	c.Advance(11e9 - 1)
	wantLines(t, emit(c))
	if w, ok := c.Wake(); !ok || w != 11e9 {
		t.Errorf("the cell wakes at %v, %v, want at its deadline", w, ok)
	}
	c.Add(roleAt(r, 11, 4, 2)) // in time for the second
	c.Advance(11e9)
	wantLines(t, emit(c), "open r1 start=11 last=11 count=1 value= evidence=1")
	c.Findings(func(f *schema.Finding) {
		if f.Revision != 1 || f.FirstSeen != 1e9 {
			t.Errorf("got %+v", f)
		}
	})
	c.Advance(100e9)
	wantLines(t, emit(c))
	c.Advance(11e9 + 3600e9)
	wantLines(t, emit(c), "settled r2 start=11 last=11 count=1 value= evidence=1")
	if !c.Empty() {
		t.Error("the cell is not empty")
	}
}

// TestAbsenceForgetsAnsweredKeys checks that a key whose items are all answered takes no memory.
func TestAbsenceForgetsAnsweredKeys(t *testing.T) {
	f := func(a rules.Absence, roles ...uint32) {
		t.Helper()
		r := absence(a)
		c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
		c.Advance(0)
		for i, role := range roles {
			c.Add(roleAt(r, i, uint64(i), role))
		}
		c.Advance(schema.Instant(len(roles)) * 1e9)
		if c.Empty() != (a.Form == rules.AbsenceExpect) {
			t.Errorf("%s: empty is %v right after the answer", a.Form, c.Empty())
		}
		c.Advance(100e9)
		wantLines(t, emit(c))
		if !c.Empty() {
			t.Errorf("%s: the cell is not empty", a.Form)
		}
	}
	f(rules.Absence{Form: rules.AbsenceExpect, Within: 10 * time.Second}, 1, 1, 2)
	f(rules.Absence{Form: rules.AbsenceWithout, Within: 10 * time.Second, Slack: 5 * time.Second}, 2, 2, 1, 2)
}

// TestAbsenceCountsUnopenedDeadlines checks that 16 deadlines are open at most, and that the others are counted.
func TestAbsenceCountsUnopenedDeadlines(t *testing.T) {
	r := absence(rules.Absence{Form: rules.AbsenceWithout, Within: time.Second, Slack: time.Minute})
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	for i := range 20 {
		c.Add(roleAt(r, i, uint64(i), 2))
	}
	c.Advance(1000e9)
	wantLines(t, emit(c), "open r1 start=60 last=75 count=16 value= evidence=8")
	if got, want := c.TakeLimits(), (fold.Limits{Deadlines: 4, Triggers: 16}); got != want {
		t.Errorf("limits: got %+v, want %+v", got, want)
	}
}

// TestDeadlinesOfOneTimeFireByKey checks that all deadlines of a key fire before those of the next key: the event that both
// keys have is that of the first.
func TestDeadlinesOfOneTimeFireByKey(t *testing.T) {
	r := absence(rules.Absence{Form: rules.AbsenceExpect, Within: time.Second})
	r.Key = rules.FieldOperands(schema.AIAgentUID, schema.SessionID)
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	for i, key := range []string{"y2", "x2", "x1"} {
		it := roleAt(r, 1, uint64(key[1]), 1)
		it.Key += key[:1] + "\x00\x01"
		it.Evidence = string([]byte{5, 1, 't', 0, byte(2 * i), 0}) // the offset i
		c.Add(it)
	}
	c.Advance(2e9)
	var got string
	c.Emit(1, func(f *schema.Finding) {
		for i := range f.Evidence {
			got += fmt.Sprint(f.Evidence[i].Offset, " ")
		}
	})
	if want := "2 1 "; got != want {
		t.Errorf("got the records at %s, want %s", got, want)
	}
}
