package fold

import "math"

// Instants are ns since the epoch. The arithmetic saturates: a hostile time bends at the ends of what int64 holds and
// never wraps around.
const (
	firstInstant = math.MinInt64
	lastInstant  = math.MaxInt64
)

// later returns t + d for d >= 0.
func later(t, d int64) int64 {
	if t > lastInstant-d {
		return lastInstant
	}
	return t + d
}

// since returns t - x for x <= t. Where x is later, which only damaged State can say, the distance is huge.
func since(t, x int64) uint64 { return uint64(t) - uint64(x) }

// past says whether something that was at x is at least d old at w.
func past(w, x int64, d uint64) bool { return w >= x && since(w, x) >= d }

// paneOf returns the number of the pane of that length in which t lies: [k p, (k+1) p) from the epoch.
func paneOf(t, pane int64) int64 {
	k := t / pane
	if t%pane < 0 {
		k--
	}
	return k
}

// paneEnd returns the end of pane k.
func paneEnd(k, pane int64) int64 {
	if k >= lastInstant/pane {
		return lastInstant
	}
	return (k + 1) * pane
}
