package fold_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// TestAFloodIsPaced: the changes of a key that is flooded are emitted as they come at first, and then every 10 s; what was
// held back comes without anything new, and a cut that everything has to be in holds nothing.
func TestAFloodIsPaced(t *testing.T) {
	r := rule(rules.KindNone)
	r.GroupFor = time.Hour
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	const cutEvery = 250 * time.Millisecond
	var seen []*schema.Finding
	now, n := time.Unix(1000, 0), uint64(0)
	flood := func(cuts int) (emitted int) {
		before := len(seen)
		for range cuts {
			n++
			c.Add(new(at(int(n), n)))
			now = now.Add(cutEvery)
			c.CutPaced(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
		}
		return len(seen) - before
	}
	if got := flood(20); got != 20 {
		t.Errorf("of the first 20 changes %d were emitted", got)
	}
	if got := flood(240); got != 6 {
		t.Errorf("in a minute of a flood %d changes were emitted, want 6", got)
	}
	if flood(3); !c.Held() {
		t.Fatal("the last changes are not held back")
	}
	for i := range 41 {
		now = now.Add(cutEvery)
		c.CutPaced(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
		if done := !c.Held(); done {
			break
		} else if i == 40 {
			t.Fatal("what was held back does not come")
		}
	}
	if last := seen[len(seen)-1]; last.Count != int64(n) || last.Revision != uint64(len(seen)) {
		t.Errorf("the last revision is %d with a count of %d, want %d and %d", last.Revision, last.Count, len(seen), n)
	}
	if held := c.TakeLimits().Held; held < 230 {
		t.Errorf("%d cuts were counted that held something back", held)
	}
	flood(3)
	c.Cut(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
	if last := seen[len(seen)-1]; c.Held() || last.Count != int64(n) {
		t.Errorf("a cut of everything holds something back: the last count is %d of %d", last.Count, n)
	}
	flood(1)
	c.Advance(int64(2 * time.Hour))
	c.CutPaced(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
	if last := seen[len(seen)-1]; last.Status != schema.StatusSettled || last.Count != int64(n) {
		t.Errorf("a finding that settles is held back: %+v", last)
	}
}

// TestPacedCutsEndTheSame: whatever is held back, and lost with a crash between, the findings of which a cut of everything
// is the last are those that come without holding back.
func TestPacedCutsEndTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := kinds()
		r := all[rapid.IntRange(0, len(all)-1).Draw(t, "kind")]
		r.GroupFor = rapid.SampledFrom([]time.Duration{0, 5 * time.Second, 100 * time.Second}).Draw(t, "for")
		p := fold.NewProgram(r)
		paced, plain := fold.NewCell(p, "a\x00\x01"), fold.NewCell(p, "a\x00\x01")
		paced.Advance(0)
		plain.Advance(0)
		got, want := map[schema.ID]string{}, map[schema.ID]string{}
		note := func(m map[schema.ID]string) func(*schema.Finding) {
			return func(f *schema.Finding) {
				f.Revision, f.DetectedAt = 0, nil
				if m[f.ID] = ""; f.Status != schema.StatusWithdrawn {
					b, err := json.Marshal(f)
					if err != nil {
						t.Fatal(err)
					}
					m[f.ID] = string(b)
				}
			}
		}
		var pending []item.Item
		now := schema.Instant(0)
		for i := range rapid.IntRange(30, 90).Draw(t, "cuts") {
			now += schema.Instant(rapid.SampledFrom([]time.Duration{0, 250 * time.Millisecond, 4 * time.Second}).Draw(t, "pause"))
			it := at(i/8, uint64(i))
			it.Time, it.Data = max(it.Time, paced.Mark()), data(r, i)
			pending = append(pending, it)
			for _, c := range [...]*fold.Cell{paced, plain} {
				c.Add(new(it))
				if i%16 == 15 {
					c.Advance(it.Time - int64(rapid.IntRange(0, 1).Draw(t, "behind"))*1e9)
				}
			}
			if paced.Mark() != plain.Mark() {
				plain.Advance(paced.Mark())
				paced.Advance(plain.Mark())
			}
			paced.CutPaced(now, note(got))
			plain.Cut(now, note(want))
			if rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
				c, err := fold.LoadCell(p, "a\x00\x01", paced.Append(nil))
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range pending {
					if it.Time >= c.Mark() {
						c.Add(new(it))
					}
				}
				paced = c
			}
		}
		paced.Cut(now, note(got))
		for id, f := range want {
			if got[id] != f {
				t.Fatalf("the last of finding %v is\n%s\nwant\n%s", id, got[id], f)
			}
		}
		for id, f := range got {
			if f != want[id] {
				t.Fatalf("finding %v is not there without holding back: %s", id, f)
			}
		}
	})
}
