package doc

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// wrong records that the node is not of the kind that its key requires; hint is the remedy.
func (n *Node) wrong(want, hint string) {
	if n.Kind == Null {
		n.Fail("has no value: write %s, or leave the key out", want)
		return
	}
	n.Fail("is %s, not %s%s", n.Kind, want, hint)
}

// String returns the value of a text node.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	if n.Kind != Text {
		hint := ""
		if n.Kind < Map {
			hint = ": put it into quotes"
		}
		n.wrong("text", hint)
		return ""
	}
	return n.text
}

// Filled is String for a text that must not be blank.
func (n *Node) Filled() string {
	s := n.String()
	if n != nil && n.Kind == Text && strings.TrimSpace(s) == "" {
		n.Fail("is blank: write something or leave the key out")
	}
	return s
}

// Enum returns the text if it is one of the values. Otherwise it records a problem and returns "".
func (n *Node) Enum(values ...string) string {
	s := n.String()
	if n == nil || n.Kind != Text {
		return ""
	}
	if !slices.Contains(values, s) {
		n.Fail("%q is not one of %s%s", Short(s), strings.Join(values, ", "), didYouMean(s, values))
		return ""
	}
	return s
}

// Int returns a whole number from min to max. A value outside the range is a problem, and Int returns min.
func (n *Node) Int(min, max int64) int64 {
	if n == nil {
		return 0
	}
	if n.Kind != Int {
		hint := ""
		if _, err := strconv.ParseInt(n.text, 10, 64); err == nil && n.Kind == Text {
			hint = ": leave the quotes out"
		}
		n.wrong("a whole number", hint)
		return min
	}
	if n.overflow || n.num < min || n.num > max {
		n.Fail("%s is outside %d to %d", Short(n.text), min, max)
		return min
	}
	return n.num
}

// Float returns a finite number.
func (n *Node) Float() float64 {
	switch {
	case n == nil:
		return 0
	case n.Kind == Int && !n.overflow:
		return float64(n.num)
	case n.Kind == Float && !math.IsInf(n.float, 0) && !math.IsNaN(n.float):
		return n.float
	case n.Kind == Int || n.Kind == Float:
		n.Fail("%s is too large or not a number: write a finite number", Short(n.text))
		return 0
	}
	n.wrong("a number", "")
	return 0
}

// Number returns a number as it is written in the file, for readers that must not round it.
func (n *Node) Number() string {
	if n == nil {
		return ""
	}
	if n.Kind != Int && n.Kind != Float {
		n.wrong("a number", "")
		return ""
	}
	return n.text
}

// Bool returns the value of a true or false node.
func (n *Node) Bool() bool {
	if n == nil {
		return false
	}
	if n.Kind != Bool {
		n.wrong("true or false", "")
		return false
	}
	return n.boolean
}

// Date returns the start, in UTC, of a day written as 2027-03-31.
func (n *Node) Date() time.Time {
	s := n.String()
	if n == nil || n.Kind != Text {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		n.Fail("%q is not a date: write it as 2027-03-31", Short(s))
		return time.Time{}
	}
	return t
}

// Items returns the values of a list.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	if n.Kind != List {
		n.wrong("a list", ": write [a, b], or one a line after a dash")
		return nil
	}
	return n.items
}

// Strings returns the values of a list of texts, none of which may be blank.
func (n *Node) Strings() []string {
	var out []string
	for _, v := range n.Items() {
		if s := v.Filled(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Each calls yield with each member of a mapping, in the order of the file, for mappings whose keys are not fixed. name
// is a text node at the position of the key.
func (n *Node) Each(yield func(name, value *Node)) {
	if n == nil {
		return
	}
	if n.Kind != Map {
		n.wrong("a mapping", ": write key: value")
		return
	}
	for i, k := range n.names {
		yield(k, n.items[i])
	}
}

// Any returns the value with the types of encoding/json, but whole numbers as int64: string, int64, float64, bool, nil,
// []any or map[string]any.
func (n *Node) Any() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Text:
		return n.text
	case Int:
		if n.overflow {
			n.Fail("%s does not fit into 64 bits: write a smaller number", Short(n.text))
		}
		return n.num
	case Float:
		return n.float
	case Bool:
		return n.boolean
	case List:
		out := make([]any, len(n.items))
		for i, v := range n.items {
			out[i] = v.Any()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.items))
		for i, k := range n.names {
			out[k.text] = n.items[i].Any()
		}
		return out
	}
	return nil
}

// Short truncates a text from the file to a length that fits into a message.
func Short(s string) string {
	const width = 60 // characters, so that a message takes one or two lines
	if r := []rune(s); len(r) > width {
		return string(r[:width]) + "..."
	}
	return s
}
