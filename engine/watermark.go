package engine

import (
	"math"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// MaxSkew is how far an event may lie past its record's timestamp: beyond it the date is forged or a clock is wrong,
// and one such event must not blind every rule. 5 min is what other stream processors settled on.
const MaxSkew = 5 * time.Minute

// never is a watermark before all time: nothing has been read yet.
const never = math.MinInt64

// progress is how far one partition has come, from its records alone. Its high is the highest event time that can be
// vouched for; the watermark of a dataset is high - delay.
type progress struct {
	event  int64 // highest event time, future-dated events left out
	record int64 // highest record timestamp; never where the source has none (files)
	floor  int64 // idle watermarks and the start of a partition that appeared later
}

func newProgress() progress { return progress{event: never, record: never, floor: never} }

// high returns min(highest event time, highest record timestamp), or the floor where that is more.
func (p progress) high() int64 {
	h := p.event
	if p.record != never && p.record < h {
		h = p.record
	}
	return max(h, p.floor)
}

// before returns t - d without wrapping around.
func before(t int64, d time.Duration) int64 {
	if t < never+int64(d) {
		return never
	}
	return t - int64(d)
}

// delays answers how late the records of one input may be.
type delays struct {
	own      map[string]time.Duration
	datasets []string // what the input may carry; nil: anything
}

func (d *delays) of(dataset string) time.Duration {
	if own, ok := d.own[dataset]; ok {
		return own
	}
	return schema.DefaultDelay(dataset)
}

// forRule returns the longest delay among the datasets that both the rule and the input may have. ok is false where
// there is none: then the input says nothing about the rule.
func (d *delays) forRule(r *rules.Rule) (longest time.Duration, ok bool) {
	consider := func(dataset string) {
		longest, ok = max(longest, d.of(dataset)), true
	}
	switch {
	case len(r.Datasets) > 0:
		for _, ds := range r.Datasets {
			if d.carries(ds) {
				consider(ds)
			}
		}
	case d.datasets != nil:
		for _, ds := range d.datasets {
			consider(ds)
		}
	default: // any dataset at all: no delay is longer than an audit trail's, unless the configuration names one
		longest, ok = schema.DelayAudit, true
		for _, own := range d.own {
			longest = max(longest, own)
		}
	}
	return longest, ok
}

func (d *delays) carries(dataset string) bool {
	if d.datasets == nil {
		return true
	}
	for _, ds := range d.datasets {
		if ds == dataset {
			return true
		}
	}
	return false
}
