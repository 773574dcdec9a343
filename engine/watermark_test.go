package engine

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
)

// TestQuantileIsThatOfTheRecords compares the quantile with that of all times of the current and the previous block.
func TestQuantileIsThatOfTheRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 50), 1, 300).Draw(t, "times")
		repeat := rapid.IntRange(1, 20).Draw(t, "repeat")
		var r recentTimes
		var all []schema.Instant
		for range repeat {
			for _, n := range times {
				all = append(all, schema.Instant(n))
				r.add(schema.Instant(n))
			}
		}
		begin := max(0, (len(all)-1)/blockRecords-1) * blockRecords
		recent := slices.Sorted(slices.Values(all[begin:]))
		want := never
		if n := len(recent); n >= 8 {
			want = recent[n-max(8, n/64)]
		}
		if got := r.quantile(); got != want {
			t.Fatalf("of %d records: got %d, want %d", len(all), got, want)
		}
	})
}

// TestRecentTimesSurviveACheckpoint reads recent times, and the latest ones, from the JSON of a checkpoint.
func TestRecentTimesSurviveACheckpoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newProgress()
		for _, n := range rapid.SliceOfN(rapid.Int64(), 0, 1200).Draw(t, "times") {
			p.advance(schema.Instant(n), schema.Instant(n>>1), n%3 != 0)
		}
		s := partitionState{
			Event: int64(p.quantile), Record: int64(p.record), Floor: int64(p.floor),
			Events: p.events.clone(), Records: p.records.clone(), Borrowed: p.borrowed, LatestOwn: p.latest.clone(),
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var read partitionState
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		got := read.progress()
		if again := (partitionState{
			Event: int64(got.quantile), Record: int64(got.record), Floor: int64(got.floor),
			Events: &got.events, Records: &got.records, Borrowed: got.borrowed, LatestOwn: &got.latest,
		}); !reflect.DeepEqual(mustJSON(t, again), mustJSON(t, s)) {
			t.Fatalf("got %s, want %s", mustJSON(t, again), text)
		}
	})
}

func mustJSON(t *rapid.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRecentTimesRefuseDamage reads cut and changed bytes.
func TestRecentTimesRefuseDamage(t *testing.T) {
	var r recentTimes
	for n := range 40 {
		r.add(schema.Instant(n))
	}
	whole, err := r.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		var got recentTimes
		if err := got.UnmarshalText(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are read as whole", n, len(whole))
		}
	}
}

// TestProgress checks the times that move a partition's high, and those that do not.
func TestProgress(t *testing.T) {
	at := func(seconds int) schema.Instant {
		return schema.InstantOf(benchStart.Add(time.Duration(seconds) * time.Second))
	}
	f := func(name string, want schema.Instant, fill func(p *progress)) {
		t.Helper()
		p := newProgress()
		fill(&p)
		if got := p.high(); got != want {
			t.Errorf("%s: high is %v, want %v", name, got, want)
		}
	}
	// near wants a high in the 32 s before last: the quantile of a record each second.
	near := func(name string, last schema.Instant, fill func(p *progress)) {
		t.Helper()
		p := newProgress()
		fill(&p)
		if got := p.high(); got > last || got < last.Sub(maxRank*time.Second) {
			t.Errorf("%s: high is %v, want one shortly before %v", name, got, last)
		}
	}
	steady := func(p *progress, from, to int) {
		for n := from; n < to; n++ {
			p.advance(0, at(n), true)
		}
	}
	f("seven records", never, func(p *progress) { steady(p, 0, 7) })
	f("eight records", at(0), func(p *progress) { steady(p, 0, 8) })
	f("a forged date at the head", at(2), func(p *progress) {
		p.advance(0, at(1<<28), true)
		steady(p, 0, 9)
	})
	near("one forged date in a hundred", at(9999+99), func(p *progress) {
		for n := range 10_000 {
			if n%100 == 0 {
				p.advance(0, at(1<<28), true)
			} else {
				p.advance(0, at(n+99), true)
			}
		}
	})
	f("borrowed times", at(92), func(p *progress) {
		steady(p, 0, 100)
		for range 500 {
			p.advance(at(10_000), at(10_000), false)
		}
	})
	near("nothing but borrowed times", at(2000), func(p *progress) {
		for n := range 2001 {
			p.advance(at(n), at(n), false)
		}
	})
	near("an event's own time after many borrowed ones", at(3000), func(p *progress) {
		for n := range 3000 {
			p.advance(at(n), at(n), false)
		}
		p.advance(at(3000), at(10), true)
	})
}

// TestLatestLeavesForgedDatesOut checks the end of a replay.
func TestLatestLeavesForgedDatesOut(t *testing.T) {
	day := func(n int) schema.Instant { return schema.InstantOf(benchStart.AddDate(0, 0, n)) }
	f := func(name string, want schema.Instant, partitions ...[]schema.Instant) {
		t.Helper()
		var all []progress
		for _, times := range partitions {
			p := newProgress()
			for _, at := range times {
				p.advance(0, at, true)
			}
			all = append(all, p)
		}
		if got := latestOf(all); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	minutes := func(n int) (out []schema.Instant) {
		for i := range n {
			out = append(out, day(0).Add(time.Duration(i)*time.Minute))
		}
		return out
	}
	f("no event", never, nil)
	f("few events", day(3), []schema.Instant{day(0), day(3)})
	f("a forged date first", minutes(20)[19], append([]schema.Instant{day(3000)}, minutes(20)...))
	f("a forged date last", minutes(20)[19], append(minutes(20), day(3000)))
	f("in a partition of its own", minutes(20)[19], minutes(20), []schema.Instant{day(3000)})
	f("less than a day later", day(0).Add(20*time.Hour), append(minutes(20), day(0).Add(20*time.Hour)))
	f("a pause of days", day(5).Add(19*time.Minute), append(minutes(20), func() (out []schema.Instant) {
		for _, at := range minutes(20) {
			out = append(out, at.Add(5*24*time.Hour))
		}
		return out
	}()...))
	f("at the end of time", minutes(20)[19], append(minutes(20), schema.MaxInstant, math.MaxInt64-1))
	borrowed := newProgress()
	borrowed.advance(day(9), day(9), false)
	if got := latestOf([]progress{borrowed}); got != day(9) {
		t.Errorf("nothing but borrowed times: got %v", got)
	}
	own := newProgress()
	own.advance(day(9), day(1), true)
	if got := latestOf([]progress{borrowed, own}); got != day(1) {
		t.Errorf("a borrowed and an own time: got %v", got)
	}
}

// TestProgressAllocatesNothing holds the steady state.
func TestProgressAllocatesNothing(t *testing.T) {
	p := newProgress()
	now := schema.InstantOf(benchStart)
	step := func() {
		for range 5000 {
			now++
			p.advance(now, now, true)
		}
	}
	step()
	if n := testing.AllocsPerRun(5, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
