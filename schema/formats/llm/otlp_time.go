package llm

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// start sets the time from the first value that holds a time and is not 0.
func start(el *formats.Element, times []formats.Node) bool {
	for i := range times {
		if zero(times[i]) {
			times[i] = formats.Node{}
		}
	}
	return el.SetTime(times...)
}

// instant is like scan.Time, with a fast path for nanos.
func instant(n formats.Node) (ns int64, ok bool) {
	if ns, ok = nanos(n); ok {
		return ns, true
	}
	return scan.Time(n.Src, n.Span)
}

// nanos parses a time in the form that nearly all have: a text or a number of 19 digits, in ns, from the year 2001 on, that fits
// into 64 bits. For any other form ok is false, even if scan.Time can parse it.
func nanos(n formats.Node) (ns int64, ok bool) {
	const digits = 19
	var text string
	switch size := n.End - n.Start; {
	case n.Kind == scan.String && size == digits+2:
		text = n.Src[n.Start+1 : n.End-1]
	case n.Kind == scan.Number && size == digits:
		text = n.Raw()
	default:
		return 0, false
	}
	if text[0] < '1' || text[0] > '8' {
		return 0, false
	}
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 {
			return 0, false
		}
		ns = ns*10 + int64(digit)
	}
	return ns, true
}

// zero reports whether a number is 0. OTLP writes 0 for a time that is not set.
func zero(n formats.Node) bool {
	if n.Kind == scan.String && int(n.End-n.Start) > len(`""`) && n.Src[n.Start+1]-'1' < 9 {
		return false // the first digit is not 0, so the number is not 0
	}
	if n.Kind == scan.Number && n.Src[n.Start]-'1' < 9 || n.Kind == scan.Absent {
		return false
	}
	v, ok := scan.Int(n.Src, n.Span)
	return ok && v == 0
}
