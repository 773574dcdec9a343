package engine

import (
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// Look passes a sample of the events that are read to a function, for people that watch: no finding depends on it. Workers call
// the function, so it must be quick. An event that is not in the sample costs one read of a number.
type Look struct {
	each  func(source string, e *schema.Event)
	every time.Duration
	most  atomic.Int64 // events of each period

	left   atomic.Int64 // of this period
	period atomic.Int64 // the number of this period
	passed atomic.Int64 // events, whether in the sample or not
}

// NewLook returns a Look that calls each with the first events of each period of the wall clock, as many as Take allows; at first
// none. The event is valid only during the call, and must not be changed. Several workers may call at the same time.
func NewLook(every time.Duration, each func(source string, e *schema.Event)) *Look {
	return &Look{each: each, every: max(every, time.Millisecond)}
}

// Take sets the number of events of each period, from the next one on.
func (l *Look) Take(most int64) { l.most.Store(most) }

// Passed returns the number of events that were read so far, whether in the sample or not.
func (l *Look) Passed() int64 { return l.passed.Load() }

// begin begins a new period, if the one under way is over.
func (l *Look) begin(now time.Time) {
	if l == nil {
		return
	}
	period := now.UnixNano() / int64(l.every)
	if was := l.period.Load(); was != period && l.period.CompareAndSwap(was, period) {
		l.left.Store(l.most.Load())
	}
}

// at is called for each event of a batch.
func (l *Look) at(source string, e *schema.Event) {
	if l != nil && l.left.Load() > 0 && l.left.Add(-1) >= 0 {
		l.each(source, e)
	}
}

// end is called with the number of events of a batch.
func (l *Look) end(events int) {
	if l != nil {
		l.passed.Add(int64(events))
	}
}
