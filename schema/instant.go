package schema

import (
	"encoding/json"
	"math"
	"time"
)

// Instant is an event time in nanoseconds since 1970-01-01T00:00:00Z. Its JSON form is RFC 3339 in UTC.
//
// The arithmetic saturates: a hostile time stops at an end of the range instead of wrapping around.
type Instant int64

const (
	// MinInstant is before every event. As a watermark it means that nothing has been read yet.
	MinInstant Instant = math.MinInt64
	// MaxInstant is the largest instant, 2262-04-11.
	MaxInstant Instant = math.MaxInt64
)

// InstantOf returns t as an Instant. The result is undefined for times before 1678 or after 2261.
func InstantOf(t time.Time) Instant { return Instant(t.UnixNano()) }

// Add returns t + d for d >= 0, at most MaxInstant.
func (t Instant) Add(d time.Duration) Instant {
	if t > MaxInstant-Instant(d) {
		return MaxInstant
	}
	return t + Instant(d)
}

// Sub returns t - d for d >= 0, at least MinInstant.
func (t Instant) Sub(d time.Duration) Instant {
	if t < MinInstant+Instant(d) {
		return MinInstant
	}
	return t - Instant(d)
}

// Since returns the nanoseconds from x to t for x <= t, unsigned because the full range needs 64 bits. If x is later than
// t, which only damaged State can cause, the result is huge.
func (t Instant) Since(x Instant) uint64 { return uint64(t) - uint64(x) }

// Reached reports whether t is x + d or later, for d >= 0.
func (t Instant) Reached(x Instant, d time.Duration) bool { return t >= x && t.Since(x) >= uint64(d) }

// String returns the instant in RFC 3339, in UTC, with as many digits of the fraction as needed.
func (t Instant) String() string { return time.Unix(0, int64(t)).UTC().Format(time.RFC3339Nano) }

// MarshalJSON implements json.Marshaler: a string in RFC 3339.
func (t Instant) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalJSON implements json.Unmarshaler: a string in RFC 3339.
func (t *Instant) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	p, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return err
	}
	*t = Instant(p.UnixNano())
	return nil
}
