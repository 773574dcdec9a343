package fold_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// TestAFloodIsPaced checks the flood guard. The first changes of a flooded finding are emitted at once, later ones every
// 10 s. A change that was held back is emitted without a new one. Emit, unlike EmitPaced, and settling hold nothing back.
func TestAFloodIsPaced(t *testing.T) {
	r := capturetest.Rule(rules.KindNone)
	r.GroupFor = time.Hour
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	const emitEvery = 250 * time.Millisecond
	var seen []*schema.Finding
	now, n := time.Unix(1000, 0), uint64(0)
	flood := func(emits int) (emitted int) {
		before := len(seen)
		for range emits {
			n++
			c.Add(new(at(int(n), n)))
			now = now.Add(emitEvery)
			c.EmitPaced(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
		}
		return len(seen) - before
	}
	if got := flood(20); got != 20 {
		t.Errorf("of the first 20 changes %d were emitted at once", got)
	}
	if got := flood(240); got != 6 {
		t.Errorf("in a minute of a flood %d changes were emitted, want 6", got)
	}
	if flood(3); !c.Held() {
		t.Fatal("the last changes are not held back")
	}
	for i := range 41 {
		now = now.Add(emitEvery)
		c.EmitPaced(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
		if done := !c.Held(); done {
			break
		} else if i == 40 {
			t.Fatal("a change that was held back is not emitted within 10 s")
		}
	}
	if last := seen[len(seen)-1]; last.Count != int64(n) || last.Revision != uint64(len(seen)) {
		t.Errorf("the last revision is %d with a count of %d, want %d and %d", last.Revision, last.Count, len(seen), n)
	}
	if held := c.TakeLimits().Held; held < 230 {
		t.Errorf("Held is %d, want at least 230", held)
	}
	flood(3)
	c.Emit(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
	if last := seen[len(seen)-1]; c.Held() || last.Count != int64(n) {
		t.Errorf("Emit holds something back: the last count is %d of %d", last.Count, n)
	}
	flood(1)
	c.Advance(schema.Instant(2 * time.Hour))
	c.EmitPaced(schema.Instant(now.UnixNano()), func(f *schema.Finding) { seen = append(seen, f) })
	if last := seen[len(seen)-1]; last.Status != schema.StatusSettled || last.Count != int64(n) {
		t.Errorf("a settled finding is held back: the last one is %+v", last)
	}
}

// TestPacedEndsTheSame checks that after a last Emit the flood guard makes no difference, whatever EmitPaced held back and
// however often a crash came in between.
func TestPacedEndsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := kinds()
		r := all[rapid.IntRange(0, len(all)-1).Draw(t, "kind")]
		r.GroupFor = rapid.SampledFrom([]time.Duration{0, 5 * time.Second, 100 * time.Second}).Draw(t, "for")
		p := fold.NewProgram(r)
		paced, plain := fold.NewCell(p, "a\x00\x01"), fold.NewCell(p, "a\x00\x01")
		paced.Advance(0)
		plain.Advance(0)
		got, want := map[schema.ID]string{}, map[schema.ID]string{}
		collect := func(m map[schema.ID]string) func(*schema.Finding) {
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
		for i := range rapid.IntRange(30, 90).Draw(t, "emits") {
			now += schema.Instant(rapid.SampledFrom([]time.Duration{0, 250 * time.Millisecond, 4 * time.Second}).Draw(t, "pause"))
			it := at(i/8, uint64(i))
			it.Time, it.Data = max(it.Time, paced.Watermark()), data(r, i)
			pending = append(pending, it)
			for _, c := range [...]*fold.Cell{paced, plain} {
				c.Add(new(it))
				if i%16 == 15 {
					c.Advance(it.Time - schema.Instant(rapid.IntRange(0, 1).Draw(t, "seconds behind"))*1e9)
				}
			}
			if paced.Watermark() != plain.Watermark() {
				plain.Advance(paced.Watermark())
				paced.Advance(plain.Watermark())
			}
			paced.EmitPaced(now, collect(got))
			plain.Emit(now, collect(want))
			if rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
				c, err := fold.LoadCell(p, "a\x00\x01", paced.Append(nil))
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range pending {
					if it.Time >= c.Watermark() {
						c.Add(new(it))
					}
				}
				paced = c
			}
		}
		paced.Emit(now, collect(got))
		for id, f := range want {
			if got[id] != f {
				t.Fatalf("finding %v ends as\n%s\nwant\n%s", id, got[id], f)
			}
		}
		for id, f := range got {
			if f != want[id] {
				t.Fatalf("finding %v does not exist without the flood guard: %s", id, f)
			}
		}
	})
}
