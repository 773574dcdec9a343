package schema

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestInstantSaturates(t *testing.T) {
	f := func(name string, got, want Instant) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	f("5 + 3", Instant(5).Add(3), 8)
	f("5 - 8", Instant(5).Sub(8), -3)
	f("max + 0", MaxInstant.Add(0), MaxInstant)
	f("max + 1", MaxInstant.Add(1), MaxInstant)
	f("max-1 + 1", (MaxInstant - 1).Add(1), MaxInstant)
	f("max-1 + 2", (MaxInstant - 1).Add(2), MaxInstant)
	f("1 + longest", Instant(1).Add(math.MaxInt64), MaxInstant)
	f("min + longest", MinInstant.Add(math.MaxInt64), -1)
	f("min - 0", MinInstant.Sub(0), MinInstant)
	f("min - 1", MinInstant.Sub(1), MinInstant)
	f("min+1 - 2", (MinInstant + 1).Sub(2), MinInstant)
	f("-2 - longest", Instant(-2).Sub(math.MaxInt64), MinInstant)
	f("max - longest", MaxInstant.Sub(math.MaxInt64), 0)
}

func TestInstantSince(t *testing.T) {
	if got := MaxInstant.Since(MinInstant); got != math.MaxUint64 {
		t.Errorf("from the first to the last instant: got %d, want %d", got, uint64(math.MaxUint64))
	}
	if got := Instant(5).Since(5); got != 0 {
		t.Errorf("from an instant to itself: got %d, want 0", got)
	}
	f := func(at, from Instant, d time.Duration, want bool) {
		t.Helper()
		if got := at.Reached(from, d); got != want {
			t.Errorf("%d reached %d + %d: got %v, want %v", at, from, d, got, want)
		}
	}
	f(10, 7, 3, true)
	f(10, 7, 4, false)
	f(6, 7, 0, false) // Since would be huge
	f(7, 7, 0, true)
	f(MaxInstant, MinInstant, math.MaxInt64, true)
	f(MaxInstant, 1, math.MaxInt64, false) // the deadline lies beyond the last instant
	f(MinInstant, MaxInstant, 0, false)
}

// TestInstantIsExact compares the arithmetic with that of integers without bounds.
func TestInstantIsExact(t *testing.T) {
	clamp := func(n *big.Int) Instant {
		switch {
		case n.Cmp(big.NewInt(math.MaxInt64)) > 0:
			return MaxInstant
		case n.Cmp(big.NewInt(math.MinInt64)) < 0:
			return MinInstant
		}
		return Instant(n.Int64())
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64().Draw(t, "instant")
		d := rapid.Int64Min(0).Draw(t, "duration")
		big1, big2 := big.NewInt(a), big.NewInt(d)
		if got, want := Instant(a).Add(time.Duration(d)), clamp(new(big.Int).Add(big1, big2)); got != want {
			t.Errorf("%d + %d: got %d, want %d", a, d, got, want)
		}
		if got, want := Instant(a).Sub(time.Duration(d)), clamp(new(big.Int).Sub(big1, big2)); got != want {
			t.Errorf("%d - %d: got %d, want %d", a, d, got, want)
		}
		from := rapid.Int64().Draw(t, "from")
		reached := big1.Cmp(new(big.Int).Add(big.NewInt(from), big2)) >= 0
		if got := Instant(a).Reached(Instant(from), time.Duration(d)); got != reached {
			t.Errorf("%d reached %d + %d: got %v, want %v", a, from, d, got, reached)
		}
	})
}

func TestInstantJSON(t *testing.T) {
	f := func(at Instant, want string) {
		t.Helper()
		b, err := json.Marshal(at)
		if err != nil || string(b) != `"`+want+`"` {
			t.Errorf("%d: got %s, %v; want %q", at, b, err, want)
		}
	}
	f(0, "1970-01-01T00:00:00Z")
	f(1767261600_500000000, "2026-01-01T10:00:00.5Z")
	f(MinInstant, "1677-09-21T00:12:43.145224192Z")
	f(MaxInstant, "2262-04-11T23:47:16.854775807Z")
	rapid.Check(t, func(t *rapid.T) {
		at := Instant(rapid.Int64().Draw(t, "instant"))
		b, err := json.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		var back Instant
		if err := json.Unmarshal(b, &back); err != nil || back != at {
			t.Errorf("%s: got %d, %v; want %d", b, back, err, at)
		}
	})
	for _, src := range []string{`1`, `""`, `"yesterday"`, `{}`} {
		at := Instant(7)
		if err := json.Unmarshal([]byte(src), &at); err == nil || at != 7 {
			t.Errorf("%s: got %d, %v; want an error and the instant unchanged", src, at, err)
		}
	}
}

func TestSeverityRank(t *testing.T) {
	for want, s := range Severities() {
		if got := s.Rank(); got != want {
			t.Errorf("%s: got rank %d, want %d", s, got, want)
		}
	}
	if SeverityCritical.Rank() <= SeverityHigh.Rank() || SeverityInfo.Rank() != 0 {
		t.Errorf("the severities are not in order: %v", Severities())
	}
	for _, s := range []Severity{"", "High", "fatal"} {
		if got := s.Rank(); got != -1 {
			t.Errorf("%q: got rank %d, want -1", s, got)
		}
	}
	Severities()[0] = SeverityCritical
	if SeverityInfo.Rank() != 0 {
		t.Error("a caller changed the order of severities")
	}
}
