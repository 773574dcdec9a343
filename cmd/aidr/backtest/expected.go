package backtest

import (
	"regexp"
	"strconv"
)

// Verdict is how the findings of a rule compare with the rate that its author expects.
type Verdict string

// The verdicts.
const (
	Within  Verdict = "within"  // no more findings than expected
	Above   Verdict = "above"   // more
	Unknown Verdict = "unknown" // `expected` gives no rate that can be compared, such as "with each release"
)

// few is the number that "a few" means at most: authors mean three or four, and a rate is not a limit.
const few = 5

// rates are the forms of `expected` that give a rate: 0 or none, a number a time, and these for each agent or administrator.
// Words may follow.
var rates = regexp.MustCompile(`^(?:(0|none)(?: |,|$)|(?:below |at most |up to |about )?(a few|once|[0-9]{1,6}) (?:a|per|each) (day|week|month|year)( for each (?:agent|coding agent|administrator|user))?\b)`)

// daysOfUnit are the lengths of the units of a rate, in days.
var daysOfUnit = map[string]int{"day": 1, "week": 7, "month": 30, "year": 365}

// judge compares a number of findings on days with events with the rate of `expected`. A period that has begun counts as a
// whole: one finding on one day is no more than a few a year.
func judge(expected string, findings int64, days, agents int) Verdict {
	m := rates.FindStringSubmatch(expected)
	if m == nil {
		return Unknown
	}
	most := 0
	if m[1] == "" {
		unit := daysOfUnit[m[3]]
		most = number(m[2]) * max(1, (days+unit-1)/unit)
		if m[4] != "" {
			most *= max(1, agents)
		}
	}
	if findings > int64(most) {
		return Above
	}
	return Within
}

func number(word string) int {
	switch word {
	case "a few":
		return few
	case "once":
		return 1
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		panic("BUG: the pattern admits only numbers: " + err.Error())
	}
	return n
}
