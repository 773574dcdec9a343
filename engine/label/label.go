// Package label bounds the values of metric labels that come from the input. Each new value of a label is a new series,
// which the process and every Prometheus that scrapes it keep in memory, so input must not be able to create any number of
// them.
package label

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Other is the value that replaces all values beyond a limit.
const Other = "other"

// MaxLength is the maximum length of a value, in bytes. Longer values count as Other. Topics of Kafka have up to 249.
const MaxLength = 256

// Limit admits the first values of one label, or the first combinations of several, and replaces all others by Other. Known
// values are admitted in addition, so that input cannot displace them. Its methods may be called from several goroutines.
type Limit struct {
	most     int
	exceeded func()

	mu     sync.RWMutex
	values map[string]bool // admitted; true if known
	taken  int             // how many are not known
}

// NewLimit returns a Limit that admits most values besides the known ones. exceeded is called each time that a value is
// replaced; it may be nil.
func NewLimit(most int, exceeded func()) *Limit {
	if exceeded == nil {
		exceeded = func() {}
	}
	return &Limit{most: most, exceeded: exceeded, values: map[string]bool{Other: true}}
}

// Know admits values that do not come from the input.
func (l *Limit) Know(values ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range values {
		if known, admitted := l.values[v]; admitted && !known {
			l.taken--
		}
		l.values[v] = true
	}
}

// Value returns v, or Other if v is not admitted.
func (l *Limit) Value(v string) string {
	if !l.admit(v) {
		return Other
	}
	return v
}

// Values returns values of several labels: vs as they are, or Other for each if their combination is not admitted.
func (l *Limit) Values(vs ...string) []string {
	for _, v := range vs {
		if len(v) > MaxLength {
			l.exceeded()
			return others(len(vs))
		}
	}
	if !l.admit(strings.Join(vs, "\x00")) {
		return others(len(vs))
	}
	return vs
}

func others(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = Other
	}
	return out
}

// admit reports whether the value is admitted, and counts it if it is not.
func (l *Limit) admit(v string) bool {
	l.mu.RLock()
	_, admitted := l.values[v]
	full := l.taken >= l.most
	l.mu.RUnlock()
	if admitted {
		return true
	}
	if !full && len(v) <= 4*MaxLength && utf8.ValidString(v) && l.add(v) {
		return true
	}
	l.exceeded()
	return false
}

// add admits a new value if there is room.
func (l *Limit) add(v string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, admitted := l.values[v]; admitted {
		return true
	}
	if l.taken >= l.most {
		return false
	}
	l.taken++
	l.values[strings.Clone(v)] = false // v may be part of a batch of records
	return true
}
