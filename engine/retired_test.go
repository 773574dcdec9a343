package engine

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	three = "datasets: [litellm]\nwhen: event.action == \"x\"\nthreshold: {count: 3, within: 10h, by: [ai_agent.uid]}\ngroup: {for: 10s}\n"
	four  = "datasets: [litellm]\nwhen: event.action == \"x\"\nthreshold: {count: 4, within: 10h, by: [ai_agent.uid]}\ngroup: {for: 10s}\n"
	other = "datasets: [litellm]\nwhen: event.action == \"z\"\nthreshold: {count: 9, within: 10h, by: [ai_agent.uid]}\ngroup: {for: 10s}\n"
)

// history is one store that is used with one set of rules after another.
type history struct {
	*bench
	st *store.Store
}

func newHistory(t *testing.T, rules map[string]string) *history {
	t.Helper()
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{bench: newBench(t, st, 1, rules), st: st}
	t.Cleanup(func() {
		h.stop()
		h.st.Close()
	})
	return h
}

// swap continues with other rules, as a reload does.
func (h *history) swap(rules map[string]string) {
	h.t.Helper()
	h.stop()
	h.resume(h.st, rules)
}

// crash continues with the present content of the disk, as a start after a power failure does.
func (h *history) crash(rules map[string]string) {
	h.t.Helper()
	st, err := h.st.Snapshot()
	if err != nil {
		h.t.Fatal(err)
	}
	latest := maps.Clone(h.latest)
	h.stop() // its last checkpoint is not on the disk that h continues with
	h.latest = latest
	h.st.Close()
	h.resume(st, rules)
}

func (h *history) resume(st *store.Store, rules map[string]string) {
	h.t.Helper()
	before := h.bench
	h.st, h.bench = st, newBench(h.t, st, 1, rules)
	maps.Copy(h.latest, before.latest)
	maps.Copy(h.offset, before.offset)
}

// at reads an event of an action at a second, and makes a checkpoint.
func (h *history) at(second int, action string) {
	h.t.Helper()
	h.read(0, false, event{"litellm", second, second, action})
	h.checkpoint()
}

// kept returns the rules that have State in the store, and the retired rules.
func (h *history) kept() string {
	h.t.Helper()
	cells := map[string]bool{}
	err := h.st.Cells(nil, func(key, _ []byte) bool {
		_, rule, _, _ := readStoreKey(key)
		cells[rule] = true
		return true
	})
	var retired []string
	if err == nil {
		err = h.st.Retired(func(rule string, _ []byte) bool { retired = append(retired, rule); return true })
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(cells)), retired)
}

// counted returns the counts of the rule's findings, with a ~ if a finding may not know all of its window.
func (h *history) counted(rule string) string {
	var out []string
	for _, f := range h.latest {
		if f.RuleID == rule && f.Status != schema.StatusWithdrawn {
			text := fmt.Sprint(f.Count)
			if f.WarmingUntil != nil {
				text += "~"
			}
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (h *history) want(what, kept, counted string) {
	h.t.Helper()
	if got := h.kept(); got != kept {
		h.t.Errorf("%s: the store has %s, want %s", what, got, kept)
	}
	if got := h.counted("r"); got != counted {
		h.t.Errorf("%s: findings count %q, want %q", what, got, counted)
	}
}

var (
	with    = map[string]string{"r": three, "other": other}
	without = map[string]string{"other": other}
)

// A rule that returns within an hour continues with the State and the pending items that it had when it left.
func TestARuleReturns(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	h.at(100, "y") // the first event is in base
	h.at(101, "x") // and this one is pending
	h.swap(without)
	h.want("removed", "[r] []", "") // retired only with the next checkpoint
	h.checkpoint()
	h.want("retired", "[r] [r]", "")
	h.at(800, "x") // no rule matches it; without retired rules the pending item would be dropped
	h.at(801, "z")
	h.swap(with)
	h.at(1000, "x")
	h.want("back", "[other r] []", "3~")

	h.swap(without) // a crash before anything is read loses nothing
	h.crash(with)
	h.at(1020, "x")
	h.at(1100, "y")
	h.want("back after a crash", "[other r] []", "3~ 4~")
}

// If nothing was read without the rule, its findings have missed nothing.
func TestARuleReturnsAtOnce(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	h.at(1, "x")
	h.swap(without)
	h.swap(with)
	h.at(2, "x")
	h.at(200, "y")
	h.want("back", "[r] []", "3")
}

// After an hour of event time the State of a retired rule is deleted, checkpoint by checkpoint, and a rule that returns
// starts empty. It starts empty also if there was no time to delete the State.
func TestARetiredRuleExpires(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	h.at(1, "x")
	h.at(2, "z")
	h.swap(without)
	h.at(3500, "z")
	h.want("kept", "[other r] [r]", "")
	h.at(3602, "z")
	h.checkpoint() // this checkpoint deletes
	h.want("deleted", "[other] []", "")
	items := 0
	if err := h.st.Items(func(_ uint64, b []byte) bool {
		if err := readItems(b, func(rule string, _ item.Item) {
			if rule == "r" {
				items++
			}
		}); err != nil {
			t.Error(err)
		}
		return true
	}); err != nil || items > 0 {
		t.Errorf("the checkpoints hold %d items of the rule, %v", items, err)
	}
	h.swap(with)
	h.at(3603, "x")
	h.want("starts empty", "[other r] []", "")

	h = newHistory(t, with)
	h.at(0, "x")
	h.at(1, "x")
	h.swap(without)
	h.read(0, false, event{"litellm", 3602, 3602, "z"})
	h.swap(with) // one checkpoint, which began before the hour was over
	h.at(3603, "x")
	h.at(3604, "x")
	h.want("back too late", "[other r] []", "")
	h.at(3605, "x")
	h.want("on its own", "[other r] []", "3~")
}

// State of a former shape of a rule is deleted with the first checkpoint of the new shape, and does not return with the old
// shape.
func TestAFormerShapeIsDeleted(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	h.at(1, "x")
	h.at(100, "y")
	h.want("before", "[r] []", "")
	h.swap(map[string]string{"r": four, "other": other})
	h.crash(with) // no checkpoint has the new shape: nothing is lost
	h.at(101, "x")
	h.at(200, "y")
	h.want("a crash", "[r] []", "3")
	h.swap(map[string]string{"r": four, "other": other})
	h.at(201, "y")
	h.want("another shape", "[] []", "") // see TestOpenFindingsOfAChangedRule
	h.swap(with)
	h.at(202, "x")
	h.want("the old shape again", "[r] []", "")
	h.swap(map[string]string{"r": four, "other": other})
	h.at(203, "x") // the checkpoint that deletes the State of one shape writes that of the other
	h.want("the other shape again", "[r] []", "")
}

// life returns the last revision of the finding of r: its revision, status and count, and why it was withdrawn.
func (h *history) life() string {
	h.t.Helper()
	for _, f := range h.latest {
		if f.RuleID == "r" {
			stored, _, err := h.st.Finding(f.ID)
			if err != nil || stored.Revision != f.Revision || stored.Status != f.Status {
				h.t.Errorf("the store has revision %d, %s, %v", stored.Revision, stored.Status, err)
			}
			return fmt.Sprintf("%d %s %d %s", f.Revision, f.Status, f.Count, f.WithdrawnReason)
		}
	}
	return ""
}

// Open findings of a rule that leaves are withdrawn at once, and are open again if the rule returns in time.
func TestOpenFindingsOfARemovedRule(t *testing.T) {
	h := newHistory(t, with)
	expect := func(what, want string) {
		t.Helper()
		if got := h.life(); got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	for n := range 3 {
		h.at(n, "x")
	}
	expect("found", "1 open 3 ")
	h.swap(without)
	h.checkpoint()
	expect("removed", "2 withdrawn 3 rule removed")
	h.swap(without)
	h.checkpoint()
	expect("removed for longer", "2 withdrawn 3 rule removed")
	h.swap(with)
	h.checkpoint()
	expect("back", "3 open 3 ")
	h.at(3, "x")
	expect("goes on", "4 open 4 ")
	h.swap(without)
	h.crash(with) // before anything was withdrawn
	h.checkpoint()
	expect("a crash", "4 open 4 ")
	h.swap(without)
	h.at(4, "y")
	expect("removed again", "5 withdrawn 4 rule removed")
	h.swap(with)
	for n := range 2 * minRank {
		h.at(100+n, "y")
	}
	expect("settled", "7 settled 4 ")
	h.swap(without)
	h.at(120, "y")
	expect("removed after its end", "7 settled 4 ")
}

// The open findings of a rule whose State starts empty are withdrawn, whatever remains of the rule.
func TestOpenFindingsOfAChangedRule(t *testing.T) {
	h := newHistory(t, with)
	for n := range 3 {
		h.at(n, "x")
	}
	h.swap(map[string]string{"r": four, "other": other})
	h.checkpoint()
	h.checkpoint()
	if got := h.life(); got != "2 withdrawn 3 rule changed" {
		t.Errorf("got %q", got)
	}
	h.want("changed", "[] []", "")
}

// The open findings of a rule that becomes a block are withdrawn when their key is looked at next, at the latest at the end of
// their group.
func TestOpenFindingsOfABlock(t *testing.T) {
	h := newHistory(t, with)
	for n := range 3 {
		h.at(n, "x")
	}
	if got := h.life(); got != "1 open 3 " {
		t.Fatalf("got %q", got)
	}
	h.swap(map[string]string{"r": three + "status: block\n", "other": other})
	h.at(3, "x")
	if got := h.life(); got != "2 withdrawn 4 rule blocked" {
		t.Errorf("got %q", got)
	}
	for n := range 2 * minRank {
		h.at(100+n, "y")
	}
	if got := h.life(); got != "2 withdrawn 4 rule blocked" {
		t.Errorf("after the end of the group: got %q", got)
	}
}

// Once the sweep has gone through all cells, nothing is left to withdraw, not even after a restart.
func TestFindingsAreWithdrawnOnce(t *testing.T) {
	h := newHistory(t, with)
	for n := range 3 {
		h.at(n, "x")
	}
	h.swap(without)
	rr := h.e.checkpoints.retired
	if !rr.isClosing() {
		t.Error("nothing is to be withdrawn")
	}
	h.checkpoint()
	if rr.isClosing() || rr.rules["r"].Open {
		t.Error("the sweep goes on")
	}
	h.swap(without)
	if h.e.checkpoints.retired.isClosing() {
		t.Error("the sweep begins again")
	}
}

// State in the store that no checkpoint records as a rule's is not read.
func TestUnrecordedStateIsNotRead(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "x")
	h.at(1, "x")
	h.at(100, "y")
	var cells []store.KV
	collect := func(k, v []byte) bool {
		cells = append(cells, store.KV{Key: k, Value: v})
		return true
	}
	if err := h.st.Cells(nil, collect); err != nil || len(cells) == 0 {
		t.Fatalf("%d cells, %v", len(cells), err)
	}
	h.swap(without)
	h.at(5000, "z")
	h.checkpoint()
	h.stop()
	seq, state, _, err := h.st.Last()
	if err != nil {
		t.Fatal(err)
	}
	// A version that does not delete State would leave this.
	if err := h.st.Commit(&store.Checkpoint{Seq: seq + 1, State: state, Cells: cells}); err != nil {
		t.Fatal(err)
	}
	h.resume(h.st, with)
	h.at(5001, "x")
	h.want("the earlier State", "[other r] []", "")
}

// A sweep goes through all State, a part of it with each checkpoint, and deletes only State that nothing reads.
func TestSweepIsSpreadOverCheckpoints(t *testing.T) {
	h := newHistory(t, with)
	h.at(0, "z")
	h.at(100, "y")
	h.stop()
	seq, state, _, err := h.st.Last()
	if err != nil {
		t.Fatal(err)
	}
	var cells []store.KV
	for n := range 2*sweepCells + 1 {
		key := append(fmt.Appendf(nil, "%08d", n), "left\x00k"...)
		cells = append(cells, store.KV{Key: key, Value: make([]byte, 32)})
	}
	state = bytes.Replace(state, []byte("{"), []byte(`{"sweeping":true,`), 1) // as if a sweep was interrupted
	if err := h.st.Commit(&store.Checkpoint{Seq: seq + 1, State: state, Cells: cells}); err != nil {
		t.Fatal(err)
	}
	h.resume(h.st, with)
	for range 2 {
		h.checkpoint()
		if got := h.kept(); got != "[left other] []" {
			t.Fatalf("the store has %s: the sweep deleted too much at once", got)
		}
	}
	h.checkpoint()
	h.want("swept", "[other] []", "")
}

// Items that were pending when a rule started empty are not the rule's, not even after a crash.
func TestPendingOfAnotherShape(t *testing.T) {
	h := newHistory(t, with)
	h.read(0, false, event{"litellm", 0, 0, "x"})
	h.at(1, "z") // one checkpoint, which the other rule needs for longer
	h.swap(map[string]string{"r": strings.Replace(three, "10h", "11h", 1), "other": other})
	h.at(2, "x")
	h.at(3, "x")
	h.crash(map[string]string{"r": strings.Replace(three, "10h", "11h", 1), "other": other})
	h.at(4, "y")
	h.want("two of its own", "[other r] []", "")
	h.at(5, "x")
	h.want("three of its own", "[other r] []", "3~")
}
