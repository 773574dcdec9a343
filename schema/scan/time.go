package scan

import "math"

// Time returns the time that a value spells, in nanoseconds since 1970-01-01T00:00:00Z. It accepts
//
//   - a Number: the seconds, milliseconds, microseconds or nanoseconds since 1970, distinguished by magnitude, with
//     decimals, exactly;
//   - a String in RFC 3339, with any number of digits in the fraction, of which 9 count, without a zone (then it is UTC), or
//     with a space instead of the T: "YYYY-MM-DD hh:mm:ss.ffffff", or with slashes, as in Envoy's documentation:
//     "YYYY/MM/DDThh:mm:ss+0000";
//   - a String in the Common Log Format: "10/Oct/2000:13:55:36 -0700";
//   - a String in the American form of Azure and .NET: "5/1/2026 9:41:00 AM +01:00", the month first;
//   - a String in the forms of HTTP, RFC 1123, RFC 850 and asctime: "Fri, 01 May 2026 09:41:00 GMT";
//   - a String that spells such a Number.
//
// For any other value, for a date that is not in the calendar, and for a time outside of the years 1678 to 2261, in which
// nanoseconds fit into 64 bits, ok is false.
func Time(src string, v Span) (ns int64, ok bool) {
	if v.Kind == String {
		text, ok := shortText(src, v)
		if !ok || text == "" {
			return 0, false
		}
		return parseTime(text)
	}
	text, ok := numberText(src, v)
	if !ok {
		return 0, false
	}
	return parseEpoch(text)
}

// parseTime parses the text of a String.
func parseTime(text string) (int64, bool) {
	if len(text) > 4 && (text[4] == '-' || text[4] == '/') && text[1] != '/' && text[2] != '/' {
		return parseCalendar(text)
	}
	if len(text) > 6 && text[2] == '/' && text[6] == '/' {
		return parseCLF(text)
	}
	if len(text) > 2 && (text[1] == '/' || text[2] == '/') {
		return parseAmerican(text)
	}
	if len(text) > 3 && text[0]|0x20-'a' < 26 || len(text) > 3 && text[2] == ' ' {
		return parseHTTPDate(text)
	}
	if end, v := skipNumber(text, 0); v.bad() || end != len(text) || len(text) > maxNumberText {
		return 0, false
	}
	return parseEpoch(text)
}

// The unit of a number is distinguished by its magnitude: below 10^11 it is seconds (until the year 5138), below 10^14
// milliseconds, below 10^17 microseconds, else nanoseconds. In each unit the smallest such number is a time in March 1973.
const (
	minMillis = 1e11
	minMicros = 1e14
	minNanos  = 1e17
)

// parseEpoch parses a valid number as the time since 1970. Digits below 1 ns are truncated, toward 1970.
func parseEpoch(text string) (ns int64, ok bool) {
	d, ok := parseDecimal(text)
	if !ok {
		return 0, false
	}
	switch whole := d.whole(); {
	case whole < minMillis:
		d.exp += 9
	case whole < minMicros:
		d.exp += 6
	case whole < minNanos:
		d.exp += 3
	}
	for ; d.exp < 0 && d.coef > 0; d.exp++ {
		d.coef /= 10
	}
	if d.coef == 0 {
		return 0, true
	}
	return d.int64()
}

// whole returns the integer part of |d|, at most the largest uint64.
func (d decimal) whole() uint64 {
	n := d.coef
	for e := d.exp; e < 0 && n > 0; e++ {
		n /= 10
	}
	for e := d.exp; e > 0 && n > 0; e-- {
		if n > math.MaxUint64/10 {
			return math.MaxUint64
		}
		n *= 10
	}
	return n
}

const nanosPerSecond = 1_000_000_000

// clock is a civil date and time and its offset from UTC.
type clock struct {
	year, month, day, hour, minute, second int
	nanos                                  int
	offset                                 int // seconds east of UTC
}

// parseCalendar parses YYYY-MM-DD or YYYY/MM/DD, T or a space, hh:mm:ss, a fraction and a zone.
func parseCalendar(s string) (int64, bool) {
	if len(s) < len("2006-01-02T15:04:05") || s[4] != s[7] || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	if t := s[10] | 0x20; t != 't' && s[10] != ' ' {
		return 0, false
	}
	century, year := twoDigits(s, 0), twoDigits(s, 2)
	c := clock{
		year: 100*century + year, month: twoDigits(s, 5), day: twoDigits(s, 8),
		hour: twoDigits(s, 11), minute: twoDigits(s, 14), second: twoDigits(s, 17),
	}
	if century|year|c.month|c.day|c.hour|c.minute|c.second < 0 {
		return 0, false
	}
	s = c.fraction(s[19:])
	return c.nano(s)
}

// parseCLF parses DD/Mon/YYYY:hh:mm:ss, a fraction, which HAProxy writes, and a zone, as Apache and NGINX write them.
func parseCLF(s string) (int64, bool) {
	if len(s) < len("10/Oct/2000:13:55:36") || s[2] != '/' || s[6] != '/' || s[11] != ':' || s[14] != ':' || s[17] != ':' {
		return 0, false
	}
	var c clock
	if !digits(s[0:2], &c.day) || !digits(s[7:11], &c.year) || !digits(s[12:14], &c.hour) ||
		!digits(s[15:17], &c.minute) || !digits(s[18:20], &c.second) {
		return 0, false
	}
	c.month = monthNamed(s[3:6])
	return c.nano(c.fraction(s[20:]))
}

// twoDigits parses the two digits at i, or returns a negative number if they are not digits.
func twoDigits(s string, i int) int {
	tens, units := s[i]-'0', s[i+1]-'0'
	if tens > 9 || units > 9 {
		return -1
	}
	return int(tens)*10 + int(units)
}

// digits sets n to the number that s spells. It reports false if s contains anything but digits.
func digits(s string, n *int) bool {
	*n = 0
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
		*n = *n*10 + int(s[i]-'0')
	}
	return true
}

// fraction parses a point or comma and digits, if there are any, and returns the rest of s.
func (c *clock) fraction(s string) string {
	if len(s) == 0 || (s[0] != '.' && s[0] != ',') {
		return s
	}
	s = s[1:]
	unit := int(1e8)
	for len(s) > 0 && s[0]-'0' <= 9 {
		c.nanos += int(s[0]-'0') * unit
		unit /= 10
		s = s[1:]
	}
	return s
}

// zone parses a zone: nothing, Z, UTC, GMT, or an offset as +hh, +hhmm or +hh:mm, with or without a space before it.
func (c *clock) zone(s string) bool {
	if len(s) > 1 && s[0] == ' ' {
		s = s[1:]
	}
	switch s {
	case "", "Z", "z", "UTC", "GMT":
		return true
	}
	if len(s) == len("+hh:mm") && s[3] == ':' {
		return c.east(s[0], s[1:3], s[4:6])
	}
	if len(s) == len("+hhmm") {
		return c.east(s[0], s[1:3], s[3:5])
	}
	return len(s) == len("+hh") && c.east(s[0], s[1:3], "00")
}

// east sets the offset from its sign, hours and minutes.
func (c *clock) east(sign byte, hh, mm string) bool {
	var hours, minutes int
	if !digits(hh, &hours) || !digits(mm, &minutes) || hours > 23 || minutes > 59 {
		return false
	}
	c.offset = hours*3600 + minutes*60
	if sign == '-' {
		c.offset = -c.offset
	}
	return sign == '-' || sign == '+'
}

// nano parses the zone, checks all parts of the clock and returns the time in ns since 1970. A leap second counts as the
// first second of the next minute.
func (c *clock) nano(zone string) (int64, bool) {
	if !c.zone(zone) || c.month < 1 || c.month > 12 || c.day < 1 || c.day > daysIn(c.year, c.month) ||
		c.hour < 0 || c.hour > 23 || c.minute > 59 || c.second > 60 {
		return 0, false
	}
	seconds := int64(daysSince1970(c.year, c.month, c.day))*86400 +
		int64(c.hour*3600+c.minute*60+c.second-c.offset)
	if seconds < math.MinInt64/nanosPerSecond || seconds >= math.MaxInt64/nanosPerSecond {
		return 0, false
	}
	return seconds*nanosPerSecond + int64(c.nanos), true
}

// daysIn returns the number of days of a month.
func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 returns the number of days since 1970-01-01 in the Gregorian calendar. It counts years from March, so that
// the leap day is the last of the year.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year, month = year-1, month+12
	}
	const dayZero = 719468 // 0000-03-01 to 1970-01-01
	return 365*year + floorDiv(year, 4) - floorDiv(year, 100) + floorDiv(year, 400) + (153*(month-3)+2)/5 + day - 1 - dayZero
}

// floorDiv returns a / b rounded down, for b > 0.
func floorDiv(a, b int) int {
	if a < 0 {
		return (a - b + 1) / b
	}
	return a / b
}
