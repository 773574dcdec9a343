package fold_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// at returns an item of key "a" at a second.
func at(second int, id uint64) item.Item {
	it := item.Item{Group: "a\x00\x01", Key: "a\x00\x01", Time: schema.Instant(second) * 1e9, Roles: 1, Counted: true}
	binary.BigEndian.PutUint64(it.ID[:], id)
	return it
}

// emit returns the findings that Emit emits, one line each.
func emit(c *fold.Cell) (lines []string) {
	c.Emit(7, func(f *schema.Finding) {
		lines = append(lines, fmt.Sprintf("%s r%d start=%d last=%d count=%d value=%s evidence=%d", f.Status, f.Revision,
			f.GroupStart/1e9, f.LastSeen/1e9, f.Count, f.Value, len(f.Evidence)))
	})
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCellOpensUpdatesAndSettles(t *testing.T) {
	r := capturetest.Rule(rules.KindThreshold)
	r.Threshold = &rules.Threshold{Count: 3, Within: 10 * time.Second}
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	for i, s := range []int{1, 5, 9} {
		c.Add(new(at(s, uint64(i))))
	}
	wantLines(t, emit(c), "open r1 start=9 last=9 count=3 value=3 evidence=3")
	wantLines(t, emit(c))
	c.Add(new(at(10, 9)))
	wantLines(t, emit(c), "open r2 start=9 last=10 count=4 value=4 evidence=4")
	c.Advance(100e9)
	wantLines(t, emit(c))
	c.Advance(9e9 + 3600e9)
	wantLines(t, emit(c), "settled r3 start=9 last=10 count=4 value=4 evidence=4")
	if !c.Empty() {
		t.Error("the cell is not empty after all its groups settled")
	}
}

func TestCellWithdrawsAndOpensAgain(t *testing.T) {
	r := capturetest.Rule(rules.KindThreshold)
	r.Threshold = &rules.Threshold{Count: 2, Within: 10 * time.Second}
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	c.Add(new(at(20, 1)))
	c.Add(new(at(25, 2)))
	wantLines(t, emit(c), "open r1 start=25 last=25 count=2 value=2 evidence=2")
	// An item out of order makes the group start earlier, which changes the finding's id.
	c.Add(new(at(19, 3)))
	wantLines(t, emit(c),
		"withdrawn r2 start=25 last=25 count=2 value=2 evidence=2",
		"open r1 start=20 last=25 count=3 value=3 evidence=3")
	c.Advance(25e9 + 3600e9)
	wantLines(t, emit(c), "settled r2 start=20 last=25 count=3 value=3 evidence=3")
	if !c.Empty() {
		t.Error("the cell is not empty after all its groups settled")
	}
}

func TestCellCountsCopiesOnce(t *testing.T) {
	c := fold.NewCell(fold.NewProgram(capturetest.Rule(rules.KindNone)), "a\x00\x01")
	c.Advance(0)
	if !c.Add(new(at(1, 1))) {
		t.Error("the first item was ignored")
	}
	if c.Add(new(at(1, 1))) {
		t.Error("the copy was added")
	}
	if c.Add(new(at(-1, 2))) {
		t.Error("an item below the watermark was added")
	}
	wantLines(t, emit(c), "open r1 start=1 last=1 count=1 value= evidence=1")
	if got, want := c.TakeLimits(), (fold.Limits{Copies: 1, BelowWatermark: 1}); got != want {
		t.Errorf("limits: got %+v, want %+v", got, want)
	}
}

// TestCellForgetsWhatLiveForgot breaks a chain of base by an item that is folded into live first.
func TestCellForgetsWhatLiveForgot(t *testing.T) {
	p := fold.NewProgram(twoSources())
	c := fold.NewCell(p, "a\x00\x01")
	c.Advance(0)
	begins, breaks := at(1, 1), at(2, 2)
	begins.Roles, begins.Role = 1, 1
	breaks.Roles, breaks.Role = 4, 0
	c.Add(&begins)
	c.Advance(2e9)
	if len(c.Keys()) != 1 {
		t.Fatalf("base does not have the chain: %v", c.Keys())
	}
	c.Add(&breaks)
	wantLines(t, emit(c))
	c.Advance(3e9)
	if _, err := fold.LoadCell(p, "a\x00\x01", c.Append(nil)); err != nil || !c.Empty() {
		t.Errorf("the broken chain is still there: %v, %v", c.Keys(), err)
	}
}

// TestCellForgetsInLiveFirst begins and breaks a chain among pending items: when only the beginning has moved into base,
// the chain must still be broken in live.
func TestCellForgetsInLiveFirst(t *testing.T) {
	c := fold.NewCell(fold.NewProgram(twoSources()), "a\x00\x01")
	c.Advance(0)
	begins, breaks, ends := at(1, 1), at(2, 2), at(2, 3)
	begins.Roles, begins.Role = 1, 1
	breaks.Roles, breaks.Role = 4, 0
	ends.Roles, ends.Role = 2, 2
	c.Add(&begins)
	c.Add(&breaks)
	wantLines(t, emit(c))
	c.Advance(2e9)
	c.Add(&ends)
	wantLines(t, emit(c))
}

// TestCellKeepsBodiesOnlyWhileNeeded checks that a group is in the flat form once: in its emission while it may be
// withdrawn, in base afterwards.
func TestCellKeepsBodiesOnlyWhileNeeded(t *testing.T) {
	c := fold.NewCell(fold.NewProgram(capturetest.Rule(rules.KindNone)), "a\x00\x01")
	c.Advance(0)
	it := at(1, 1)
	it.Evidence = string(make([]byte, 5000))
	c.Add(&it)
	emit(c)
	if n := len(c.Append(nil)); n < 5000 || n > 6000 {
		t.Errorf("a cell whose finding may be withdrawn has %d bytes", n)
	}
	c.Advance(2e9)
	wantLines(t, emit(c))
	if n := len(c.Append(nil)); n < 5000 || n > 6000 {
		t.Errorf("a cell whose finding cannot be withdrawn has %d bytes", n)
	}
}

// TestCellCountsLimitsOnce checks that only the limits reached while folding into base are counted, however often items
// are folded into live.
func TestCellCountsLimitsOnce(t *testing.T) {
	f := func(name string, emitEvery, advanceEvery int) {
		t.Helper()
		r := capturetest.Rule(rules.KindThreshold)
		r.Threshold = &rules.Threshold{Count: 3, Within: time.Hour}
		c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
		c.Advance(0)
		var got fold.Limits
		for i := range 300 {
			c.Add(new(at(i, uint64(i))))
			if i%emitEvery == 0 {
				emit(c)
			}
			if i%advanceEvery == 0 {
				c.Advance(schema.Instant(i-5) * 1e9)
			}
			got.Add(c.TakeLimits())
		}
		c.Advance(400e9)
		got.Add(c.TakeLimits())
		if want := (fold.Limits{Times: 300 - 256, Triggers: 298}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	f("never live", 1000, 1)
	f("always live", 1, 1)
	f("sometimes live", 7, 13)
	f("moved at once", 1, 1000)
}

func TestCellWakes(t *testing.T) {
	f := func(c *fold.Cell, want schema.Instant, wantOK bool) {
		t.Helper()
		if got, ok := c.Wake(); ok != wantOK || ok && got != want {
			t.Errorf("got %d, %v, want %d, %v", got, ok, want, wantOK)
		}
	}
	r := capturetest.Rule(rules.KindThreshold)
	r.Threshold = &rules.Threshold{Ratio: &rules.Ratio{AtLeast: 5e8, Min: 1}, Within: 640 * time.Second}
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	f(c, 0, false)
	c.Advance(0)
	f(c, 0, false)
	it := at(3, 1)
	it.Data = "\x01"
	c.Add(&it)
	f(c, 3e9+1, true) // it moves into base
	c.Advance(3e9 + 1)
	f(c, 10e9, true) // the pane ends
	c.Advance(10e9)
	wantLines(t, emit(c), "open r1 start=10 last=10 count=1 value=1 evidence=1")
	f(c, 653e9+1, true) // the key expires, a window after it came
	c.Advance(653e9 + 1)
	f(c, 3610e9, true) // the group ends
	c.Advance(3610e9)
	wantLines(t, emit(c), "settled r2 start=10 last=10 count=1 value=1 evidence=1")
	f(c, 0, false)
}

func TestLateFinding(t *testing.T) {
	p := fold.NewProgram(capturetest.Rule(rules.KindNone))
	a, b := at(5, 1), at(5, 2)
	fa, fb := fold.Late(p, &a), fold.Late(p, &b)
	if fa.ID == fb.ID {
		t.Error("two late events have the same finding")
	}
	if !fa.Late || fa.Status != schema.StatusSettled || fa.Revision != 1 || fa.GroupStart != 5e9 || fa.Count != 1 || len(fa.Evidence) != 1 {
		t.Errorf("got %+v", fa)
	}
}

func TestGroupKey(t *testing.T) {
	r := capturetest.Rule(rules.KindNone)
	r.Key = rules.FieldOperands(schema.AIAgentUID, schema.SessionID)
	r.GroupBy = []int{1}
	f := func(values map[string]string, want, wantErr string) {
		t.Helper()
		got, err := fold.NewProgram(r).GroupKey(values)
		if got != want || fmt.Sprint(err) != wantErr {
			t.Errorf("%v: got %q, %v; want %q, %s", values, got, err, want, wantErr)
		}
	}
	f(map[string]string{"session.id": "s"}, "s\x00\x01", "<nil>")
	f(nil, "", `rule "test.rule" groups by session.id: give its value`)
	f(map[string]string{"session.id": "s", "ai_agent.uid": "a"}, "", `rule "test.rule" does not group by ai_agent.uid`)
	if a, b := fold.NewProgram(r).Hash("s\x00\x01"), fold.NewProgram(r).Hash("t\x00\x01"); a == b || a != 0xa8073cf7fad13890 {
		t.Errorf("hashes: got %#x, %#x", a, b)
	}
}

// TestPagedItemsComeBack checks that a cell whose pending items were taken out and added to its loaded State has the
// findings and the flat form of the cell that stayed in memory.
func TestPagedItemsComeBack(t *testing.T) {
	r := capturetest.Rule(rules.KindThreshold)
	r.Threshold = &rules.Threshold{Count: 3, Within: 10 * time.Second}
	p := fold.NewProgram(r)
	stays := fold.NewCell(p, "a\x00\x01")
	stays.Advance(0)
	for i, s := range []int{1, 9, 5, 7} {
		stays.Add(new(at(s, uint64(i))))
	}
	stays.Advance(2e9)
	emit(stays)
	base, items := stays.Append(nil), stays.AppendPending(nil)
	paged, err := fold.LoadCell(p, "a\x00\x01", base)
	if err != nil {
		t.Fatal(err)
	}
	below := item.Append(nil, new(at(1, 0))) // in base already
	if !paged.AddPending(append(below, items...)) {
		t.Error("the items are taken for damaged")
	}
	if paged.Pending() != 3 || paged.PendingSize() != stays.PendingSize() || string(paged.Append(nil)) != string(base) {
		t.Errorf("got %d items of %d bytes, want 3 of %d", paged.Pending(), paged.PendingSize(), stays.PendingSize())
	}
	for _, c := range []*fold.Cell{stays, paged} {
		c.Add(new(at(8, 8)))
		wantLines(t, emit(c), "open r2 start=7 last=9 count=5 value=5 evidence=5")
		c.Advance(100e9)
		if c.PendingSize() != 0 {
			t.Errorf("the cell is empty of items but their size is %d", c.PendingSize())
		}
	}
	if paged.AddPending(items[:len(items)-1]) {
		t.Error("damaged items are taken for whole")
	}
}
