package doc

import (
	"time"
)

// units of durations, in the order in which one has to write them.
var units = [...]struct {
	name string
	is   time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// MaxDuration is the longest duration: 100 years, so that an instant plus a duration fits into 64 bits of ns.
const MaxDuration = 36500 * 24 * time.Hour

// Duration returns a duration from min to max, written 90s, 5m, 12h, 30d, 500ms or 1h30m: whole milliseconds. A bare 0
// is one too. Outside the range it returns min.
func (n *Node) Duration(min, max time.Duration) time.Duration {
	if n == nil {
		return 0
	}
	if n.Kind != Text && !(n.Kind == Int && n.num == 0 && !n.ranges) {
		n.wrong("a duration", ": write it with its unit, as in 90s, 5m, 12h, 30d")
		return min
	}
	d, ok := ParseDuration(n.text)
	if !ok {
		n.Fail("%q is no duration: write whole numbers with units d, h, m, s, ms, as in 90s, 5m, 12h, 30d", Short(n.text))
		return min
	}
	if d < min || d > max {
		n.Fail("%s is outside %s to %s", Short(n.text), FormatDuration(min), FormatDuration(max))
		return min
	}
	return d
}

// ParseDuration reads 90s, 5m, 12h, 30d, 500ms, 1h30m or 0; ok is false for anything else and above MaxDuration.
func ParseDuration(s string) (d time.Duration, ok bool) {
	if s == "0" {
		return 0, true
	}
	next := 0 // units have to come from large to small, each once
	for s != "" {
		digits := 0
		for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 15 { // 15 digits of anything are beyond MaxDuration, or fit int64
			return 0, false
		}
		var v time.Duration
		for _, c := range []byte(s[:digits]) {
			v = v*10 + time.Duration(c-'0')
		}
		s = s[digits:]
		end := 0
		for end < len(s) && (s[end] < '0' || s[end] > '9') {
			end++
		}
		u := next
		for u < len(units) && units[u].name != s[:end] {
			u++
		}
		if u == len(units) || v > MaxDuration/units[u].is {
			return 0, false
		}
		d += v * units[u].is
		if d > MaxDuration {
			return 0, false
		}
		next, s = u+1, s[end:]
	}
	return d, next > 0
}

// FormatDuration writes what ParseDuration reads: the fewest units.
func FormatDuration(d time.Duration) string {
	if d < time.Millisecond {
		return "0s"
	}
	var b []byte
	for _, u := range units {
		if n := d / u.is; n > 0 {
			b = appendInt(b, int64(n))
			b = append(b, u.name...)
			d -= n * u.is
		}
	}
	return string(b)
}

func appendInt(b []byte, n int64) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}
