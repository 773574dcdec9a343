package doc

import "time"

// units are the units of a duration, in the order in which they must be written.
var units = [...]struct {
	name string
	size time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// MaxDuration is the longest duration: 100 years, so that an instant plus a duration in ns fits into 64 bits.
const MaxDuration = 36500 * 24 * time.Hour

// Duration returns a duration from min to max, in whole milliseconds, written as 90s, 5m, 12h, 30d, 500ms, 1h30m or a
// bare 0. A value outside the range is a problem, and Duration returns min.
func (n *Node) Duration(min, max time.Duration) time.Duration {
	if n == nil {
		return 0
	}
	if n.Kind != Text && !(n.Kind == Int && n.num == 0 && !n.overflow) {
		n.wrong("a duration", ": write it with its unit, as in 90s, 5m, 12h, 30d")
		return min
	}
	d, ok := ParseDuration(n.text)
	if !ok {
		n.Fail("%q is not a duration: write whole numbers with units d, h, m, s, ms, as in 90s, 5m, 12h, 30d", Short(n.text))
		return min
	}
	if d < min || d > max {
		n.Fail("%s is outside %s to %s", Short(n.text), FormatDuration(min), FormatDuration(max))
		return min
	}
	return d
}

// ParseDuration reads a duration such as 90s, 5m, 12h, 30d, 500ms, 1h30m or 0. ok is false if s is not a duration or is
// longer than MaxDuration.
func ParseDuration(s string) (d time.Duration, ok bool) {
	if s == "0" {
		return 0, true
	}
	next := 0 // the first unit that may follow: units go from large to small, each at most once
	for s != "" {
		digits := 0
		for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 15 { // 15 digits fit into an int64, and more exceed MaxDuration in any unit
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
		if u == len(units) || v > MaxDuration/units[u].size {
			return 0, false
		}
		d += v * units[u].size
		if d > MaxDuration {
			return 0, false
		}
		next, s = u+1, s[end:]
	}
	return d, next > 0
}

// FormatDuration is the inverse of ParseDuration. It uses the largest units possible.
func FormatDuration(d time.Duration) string {
	if d < time.Millisecond {
		return "0s"
	}
	var b []byte
	for _, u := range units {
		if n := d / u.size; n > 0 {
			b = appendInt(b, int64(n))
			b = append(b, u.name...)
			d -= n * u.size
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
