package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// The drawings are numbers only: templates place them, and texts in them are escaped as everywhere. Sizes are in pixels.

// bar is one bar of a sparkline.
type bar struct{ X, Y, W, H int }

// spark is a small bar chart.
type spark struct {
	W, H  int
	Bars  []bar
	Label string
}

// sparkline returns the chart of a series.
func sparkline(series []int) spark {
	const step, height = 4, 20
	s := spark{W: step * len(series), H: height}
	most, sum := 1, 0
	for _, n := range series {
		most, sum = max(most, n), sum+n
	}
	for i, n := range series {
		if n == 0 {
			continue
		}
		h := max(2, n*height/most)
		s.Bars = append(s.Bars, bar{step * i, height - h, step - 1, h})
	}
	s.Label = fmt.Sprintf("%d findings in %d intervals, at most %d in one", sum, len(series), most)
	return s
}

// lane is the row of one source in a timeline.
type lane struct {
	Name string
	Y    int
}

// mark is one event in a timeline.
type mark struct {
	X, Y, N int // N is the number of the event in the table below
	Class   string
	Title   string
}

// gap is a pause between two events that is much longer than the others.
type gap struct {
	X    int
	Text string
}

// edge is a line from one event to another.
type edge struct{ X1, Y1, X2, Y2 int }

// timeline is a drawing of events in lanes of their sources. Events have equal distances, so that a burst can be read; the pauses
// between are named.
type timeline struct {
	W, H, Left int
	Lanes      []lane
	Marks      []mark
	Gaps       []gap
	Edges      []edge // from the event that brought a value to the one that used it
}

// maxMarksDrawn is the number of events that a timeline draws: more are in the table only.
const maxMarksDrawn = 120

// moment is an event for a timeline.
type moment struct {
	at    schema.Instant
	lane  string
	class string
	title string
}

// drawTimeline draws events that are sorted by time.
func drawTimeline(events []moment) *timeline {
	const left, top, row, step = 150, 14, 34, 34
	if len(events) == 0 {
		return nil
	}
	events = events[:min(len(events), maxMarksDrawn)]
	t := &timeline{Left: left}
	y := map[string]int{}
	var pauses []time.Duration
	for i, e := range events {
		if _, ok := y[e.lane]; !ok {
			y[e.lane] = top + row*len(t.Lanes) + row/2
			t.Lanes = append(t.Lanes, lane{e.lane, y[e.lane]})
		}
		if i > 0 {
			pauses = append(pauses, timeOf(e.at).Sub(timeOf(events[i-1].at)))
		}
	}
	usual := time.Duration(0)
	if len(pauses) > 0 {
		sorted := slices.Sorted(slices.Values(pauses))
		usual = sorted[len(sorted)/2]
	}
	x := left + step/2
	for i, e := range events {
		if i > 0 {
			if p := pauses[i-1]; p > 5*usual && p >= 2*time.Second {
				x += step / 2
				t.Gaps = append(t.Gaps, gap{x, span(p)})
				x += step / 2
			}
			x += step
		}
		t.Marks = append(t.Marks, mark{x, y[e.lane], i + 1, e.class, e.title})
	}
	t.W, t.H = x+step, top+row*len(t.Lanes)+24
	return t
}

// meter shows a value beside its limit, or in the band of a baseline.
type meter struct {
	W, H                  int
	Value, Limit          int // positions
	BandLow, BandW        int // the band of the usual values; BandW is 0 without one
	Median                int
	ValueText, LimitText  string
	Label                 string
	HasMedian, FiredBelow bool
}

// drawMeter draws a value and the limit that it reached; ok is false if one of them is not a number.
func drawMeter(f *schema.Finding) (m meter, ok bool) {
	const width, room = 460, 0.92
	value, err1 := strconv.ParseFloat(string(f.Value), 64)
	limit, err2 := strconv.ParseFloat(string(f.Threshold), 64)
	if err1 != nil || err2 != nil || value < 0 || limit < 0 {
		return m, false
	}
	var b struct {
		Median, MAD json.Number
		Direction   string
	}
	if len(f.Baseline) > 0 {
		_ = json.Unmarshal(f.Baseline, &b) // of another kind: it has no median
	}
	most := max(value, limit)
	median, err := strconv.ParseFloat(string(b.Median), 64)
	m.HasMedian = err == nil
	if m.HasMedian {
		most = max(most, median)
	}
	if most == 0 {
		return m, false
	}
	at := func(v float64) int { return int(v / most * width * room) }
	m.W, m.H, m.Value, m.Limit = width, 46, at(value), at(limit)
	m.ValueText, m.LimitText = string(f.Value), string(f.Threshold)
	m.Label = fmt.Sprintf("the value %s, the limit %s", f.Value, f.Threshold)
	if m.HasMedian {
		m.Median = at(median)
		m.FiredBelow = b.Direction == "down"
		m.BandLow, m.BandW = 0, m.Limit
		if m.FiredBelow {
			m.BandLow, m.BandW = m.Limit, width-m.Limit
		}
		m.Label += ", the usual value " + string(b.Median)
	}
	return m, true
}

// box is a step of a path.
type box struct {
	X, W          int
	Title, Detail string
	Class         string
}

// drawnPath is a drawing of steps from left to right, each with an arrow to the next.
type drawnPath struct {
	W, H   int
	Boxes  []box
	Arrows []edge
	Labels []label
}

// label is a text on an arrow.
type label struct {
	X    int
	Text string
}

const (
	boxWidth, boxGap = 176, 44
	// maxBoxText is the number of characters that fit into a box.
	maxBoxText = 23
)

// drawPath draws steps. labels are the texts on the arrows; there may be fewer.
func drawPath(steps []box, labels []string) *drawnPath {
	if len(steps) == 0 {
		return nil
	}
	p := &drawnPath{H: 84}
	for i, s := range steps {
		s.X, s.W = i*(boxWidth+boxGap)+1, boxWidth
		s.Title, s.Detail = cut(s.Title, maxBoxText), cut(s.Detail, maxBoxText+3)
		p.Boxes = append(p.Boxes, s)
		if i > 0 {
			p.Arrows = append(p.Arrows, edge{s.X - boxGap, 42, s.X - 4, 42})
			if i <= len(labels) {
				p.Labels = append(p.Labels, label{s.X - boxGap/2, labels[i-1]})
			}
		}
	}
	p.W = len(steps)*(boxWidth+boxGap) - boxGap + 2
	return p
}

// cut shortens a text to n characters. Characters that are shown as codes count as such.
func cut(s string, n int) string {
	if r := []rune(Plain(s)); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return Plain(s)
}
