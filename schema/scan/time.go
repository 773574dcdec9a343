package scan

import "math"

// Time returns an instant in ns since 1970 from a Number (epoch s, ms, us or ns by magnitude, decimals allowed, exact)
// or a String: RFC 3339 with any number of digits, of which 9 count; without a zone it is UTC; a space may stand for
// the T ("YYYY-MM-DD hh:mm:ss.ffffff"); CLF ("10/Oct/2000:13:55:36 -0700"); or a number as text. Not ok is what is none
// of these, is no date of the calendar, or lies outside of the years 1678 to 2261, where ns do not fit.
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

// parseTime reads an instant from text.
func parseTime(text string) (int64, bool) {
	if len(text) > 4 && text[4] == '-' {
		return parseCalendar(text)
	}
	if len(text) > 2 && text[2] == '/' {
		return parseCLF(text)
	}
	if end, v := skipNumber(text, 0); v.bad() || end != len(text) || len(text) > maxNumberText {
		return 0, false
	}
	return parseEpoch(text)
}

// An epoch's unit is told by its magnitude: below 10^11 are seconds (to the year 5138), below 10^14 ms, below 10^17 us,
// else ns. In each unit the smallest such number is a time in March 1973.
const (
	minMillis = 1e11
	minMicros = 1e14
	minNanos  = 1e17
)

// parseEpoch reads the time since 1970 from a valid number. Digits below 1 ns are cut off, toward 1970.
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

// whole returns the part of |d| before the point, capped.
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

// clock is a civil date and time with its offset from UTC.
type clock struct {
	year, month, day, hour, minute, second int
	nanos                                  int
	offset                                 int // seconds east of UTC
}

// parseCalendar reads YYYY-MM-DD, T or a space, hh:mm:ss, a fraction, a zone.
func parseCalendar(s string) (int64, bool) {
	if len(s) < len("2006-01-02T15:04:05") || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
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

// parseCLF reads DD/Mon/YYYY:hh:mm:ss and a zone, as Apache and NGINX write it.
func parseCLF(s string) (int64, bool) {
	if len(s) < len("10/Oct/2000:13:55:36") || s[2] != '/' || s[6] != '/' || s[11] != ':' || s[14] != ':' || s[17] != ':' {
		return 0, false
	}
	var c clock
	if !digits(s[0:2], &c.day) || !digits(s[7:11], &c.year) || !digits(s[12:14], &c.hour) ||
		!digits(s[15:17], &c.minute) || !digits(s[18:20], &c.second) {
		return 0, false
	}
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for m := range 12 {
		if months[3*m:3*m+3] == s[3:6] {
			c.month = m + 1
		}
	}
	return c.nano(s[20:])
}

// twoDigits reads the number of two digits at i, negative where there are none.
func twoDigits(s string, i int) int {
	tens, units := s[i]-'0', s[i+1]-'0'
	if tens > 9 || units > 9 {
		return -1
	}
	return int(tens)*10 + int(units)
}

// digits reads a number of digits only.
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

// fraction reads a point or comma and digits, and returns what follows.
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

// zone reads nothing, Z, UTC, GMT, or an offset as +hh, +hhmm or +hh:mm, with or without a space before it.
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

// nano reads the zone, checks everything, and returns the instant. A leap second is the first one of the next minute.
func (c *clock) nano(zone string) (int64, bool) {
	if !c.zone(zone) || c.month < 1 || c.month > 12 || c.day < 1 || c.day > daysIn(c.year, c.month) ||
		c.hour > 23 || c.minute > 59 || c.second > 60 {
		return 0, false
	}
	seconds := int64(daysSince1970(c.year, c.month, c.day))*86400 +
		int64(c.hour*3600+c.minute*60+c.second-c.offset)
	if seconds < math.MinInt64/nanosPerSecond || seconds >= math.MaxInt64/nanosPerSecond {
		return 0, false
	}
	return seconds*nanosPerSecond + int64(c.nanos), true
}

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

// daysSince1970 counts the days of the Gregorian calendar; years begin in March, so that leap days come last.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year, month = year-1, month+12
	}
	const dayZero = 719468 // 0000-03-01 to 1970-01-01
	return 365*year + floorDiv(year, 4) - floorDiv(year, 100) + floorDiv(year, 400) + (153*(month-3)+2)/5 + day - 1 - dayZero
}

func floorDiv(a, b int) int {
	if a < 0 {
		return (a - b + 1) / b
	}
	return a / b
}
