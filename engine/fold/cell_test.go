package fold_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// rule returns a rule of one role and one key field, to be given a kind.
func rule(kind rules.Kind) *rules.Rule {
	return &rules.Rule{
		ID: "test.rule", Version: 3, Title: "Test", Severity: "high", Status: rules.StatusStable, Kind: kind,
		Key: []schema.Field{schema.AIAgentUID}, GroupBy: []int{0}, GroupFor: time.Hour,
		Roles: []rules.Role{{Key: []schema.Field{schema.AIAgentUID}}},
	}
}

// at returns an item of key "a" at that second.
func at(second int, id uint64) fold.Item {
	it := fold.Item{Group: "a\x00\x01", Key: "a\x00\x01", Time: int64(second) * 1e9, Roles: 1, Counted: true}
	binary.BigEndian.PutUint64(it.ID[:], id)
	return it
}

// cut returns what Cut emits, one line a finding.
func cut(c *fold.Cell) (lines []string) {
	c.Cut(7, func(f *schema.Finding) {
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
	r := rule(rules.KindThreshold)
	r.Threshold = &rules.Threshold{Count: 3, Within: 10 * time.Second}
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	for i, s := range []int{1, 5, 9} {
		c.Add(at(s, uint64(i)))
	}
	wantLines(t, cut(c), "open r1 start=9 last=9 count=3 value=3 evidence=3")
	wantLines(t, cut(c))
	c.Add(at(10, 9))
	wantLines(t, cut(c), "open r2 start=9 last=10 count=4 value=4 evidence=4")
	c.Advance(100e9)
	wantLines(t, cut(c))
	c.Advance(9e9 + 3600e9)
	wantLines(t, cut(c), "settled r3 start=9 last=10 count=4 value=4 evidence=4")
	if !c.Empty() {
		t.Error("the cell is not empty after all is over")
	}
}

func TestCellTakesBackAndOpensAgain(t *testing.T) {
	r := rule(rules.KindThreshold)
	r.Threshold = &rules.Threshold{Count: 2, Within: 10 * time.Second}
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	c.Add(at(20, 1))
	c.Add(at(25, 2))
	wantLines(t, cut(c), "open r1 start=25 last=25 count=2 value=2 evidence=2")
	// A straggler lets the group begin earlier, so that its id is another one.
	c.Add(at(19, 3))
	wantLines(t, cut(c),
		"withdrawn r2 start=25 last=25 count=2 value=2 evidence=2",
		"open r1 start=20 last=25 count=3 value=3 evidence=3")
	c.Advance(25e9 + 3600e9)
	wantLines(t, cut(c), "settled r2 start=20 last=25 count=3 value=3 evidence=3")
	if !c.Empty() {
		t.Error("the cell is not empty after all is over")
	}
}

func TestCellCountsCopiesOnce(t *testing.T) {
	c := fold.NewCell(fold.NewProgram(rule(rules.KindNone)), "a\x00\x01")
	c.Advance(0)
	if !c.Add(at(1, 1)) {
		t.Error("the first item was not taken")
	}
	if c.Add(at(1, 1)) {
		t.Error("the copy was taken")
	}
	if c.Add(at(-1, 2)) {
		t.Error("an item below the watermark was taken")
	}
	wantLines(t, cut(c), "open r1 start=1 last=1 count=1 value= evidence=1")
	if got, want := c.TakeLimits(), (fold.Limits{Copies: 1, BelowMark: 1}); got != want {
		t.Errorf("limits: got %+v, want %+v", got, want)
	}
}
