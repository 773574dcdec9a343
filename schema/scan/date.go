package scan

import "strings"

// monthNamed returns the number of a month by the three letters of its English name, or 0.
func monthNamed(name string) int {
	const months = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for m := range 12 {
		if months[3*m:3*m+3] == name {
			return m + 1
		}
	}
	return 0
}

// number removes the digits at the beginning of s, of which there must be min to max, and sets n to their number.
func number(s string, minimum, maximum int, n *int) (rest string, ok bool) {
	end := 0
	for end < len(s) && end < maximum && s[end]-'0' <= 9 {
		end++
	}
	if end < minimum || end < len(s) && s[end]-'0' <= 9 {
		return "", false
	}
	return s[end:], digits(s[:end], n)
}

// separated is number for digits that follow sep.
func separated(s string, sep byte, minimum, maximum int, n *int) (rest string, ok bool) {
	if s == "" || s[0] != sep {
		return "", false
	}
	return number(s[1:], minimum, maximum, n)
}

// time parses h:mm:ss and a fraction, and returns the rest of s.
func (c *clock) time(s string) (rest string, ok bool) {
	if s, ok = number(s, 1, 2, &c.hour); !ok {
		return "", false
	}
	if s, ok = separated(s, ':', 2, 2, &c.minute); !ok {
		return "", false
	}
	if s, ok = separated(s, ':', 2, 2, &c.second); !ok {
		return "", false
	}
	return c.fraction(s), true
}

// parseAmerican parses M/D/YYYY h:mm:ss, a fraction, AM or PM, and a zone. A comma may follow the date, as browsers write
// it.
func parseAmerican(s string) (int64, bool) {
	var c clock
	s, ok := number(s, 1, 2, &c.month)
	if ok {
		s, ok = separated(s, '/', 1, 2, &c.day)
	}
	if ok {
		s, ok = separated(s, '/', 4, 4, &c.year)
	}
	if !ok {
		return 0, false
	}
	s, ok = strings.CutPrefix(strings.TrimPrefix(s, ","), " ")
	if ok {
		s, ok = c.time(s)
	}
	if !ok {
		return 0, false
	}
	return c.nano(c.halfDay(s))
}

// halfDay parses AM or PM and returns the rest of s. An hour that AM and PM cannot have makes the clock invalid.
func (c *clock) halfDay(s string) (rest string) {
	half := strings.TrimPrefix(strings.TrimPrefix(s, " "), "\u202f") // some versions of ICU write a narrow space
	if len(half) < 2 || half[1]|0x20 != 'm' || half[0]|0x20 != 'a' && half[0]|0x20 != 'p' {
		return s
	}
	if c.hour < 1 || c.hour > 12 {
		c.hour = -1
		return half[2:]
	}
	c.hour %= 12
	if half[0]|0x20 == 'p' {
		c.hour += 12
	}
	return half[2:]
}

// parseHTTPDate parses the three forms of a date in HTTP, with or without the day of the week:
//
//	Fri, 01 May 2026 09:41:00 GMT      RFC 1123, and with any zone RFC 822 and 5322
//	Friday, 01-May-26 09:41:00 GMT     RFC 850, with two or four digits of the year
//	Fri May  1 09:41:00 2026           asctime, always UTC
func parseHTTPDate(s string) (int64, bool) {
	var c clock
	if comma := strings.IndexByte(s, ','); comma >= len("Fri") && comma <= len("Wednesday") {
		s = strings.TrimPrefix(s[comma+1:], " ")
	} else if s[0]-'0' > 9 {
		return parseAsctime(s)
	}
	s, ok := number(s, 1, 2, &c.day)
	if !ok || len(s) < len(" May 2026 ") || s[0] != ' ' && s[0] != '-' || s[4] != s[0] {
		return 0, false
	}
	c.month = monthNamed(s[1:4])
	length := len(s)
	if s, ok = number(s[5:], 2, 4, &c.year); !ok {
		return 0, false
	}
	if length-len(s) == len("-May-26") {
		c.year += 2000
	}
	if s, ok = strings.CutPrefix(s, " "); ok {
		s, ok = c.time(s)
	}
	if !ok {
		return 0, false
	}
	return c.nano(s)
}

// parseAsctime parses the form of the C library's asctime. A day below 10 has a space before it.
func parseAsctime(s string) (int64, bool) {
	var c clock
	if len(s) < len("Fri May  1 09:41:00 2026") || s[3] != ' ' || s[7] != ' ' {
		return 0, false
	}
	c.month = monthNamed(s[4:7])
	s, ok := number(strings.TrimPrefix(s[8:], " "), 1, 2, &c.day)
	if ok {
		s, ok = strings.CutPrefix(s, " ")
	}
	if ok {
		s, ok = c.time(s)
	}
	if ok {
		s, ok = separated(s, ' ', 4, 4, &c.year)
	}
	if !ok || s != "" {
		return 0, false
	}
	return c.nano("")
}
