package engine

import (
	"slices"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// MaxSkew is how far an event may be past its record's timestamp. Beyond it the date is forged or a clock is wrong, and
// one such event must not blind every rule. 5 min is the value that other stream processors settled on.
const MaxSkew = 5 * time.Minute

// never is a watermark before all time: nothing has been read yet.
const never = schema.MinInstant

// progress is how far one partition has come, by its records alone. The watermark of a dataset is high - delay.
type progress struct {
	event  schema.Instant // the highest event time, future-dated events left out
	record schema.Instant // the highest record timestamp; never if the source has none (files)
	floor  schema.Instant // the least that high returns: idle watermarks, and the start of a partition that appeared later
}

func newProgress() progress { return progress{event: never, record: never, floor: never} }

// high returns min(highest event time, highest record timestamp), at least the floor.
func (p progress) high() schema.Instant {
	h := p.event
	if p.record != never && p.record < h {
		h = p.record
	}
	return max(h, p.floor)
}

// delays holds how late the records of one input may be.
type delays struct {
	own      map[string]time.Duration // by dataset, as configured
	datasets []string                 // the datasets that the input may carry; nil: any
}

// of returns the delay of a dataset.
func (d *delays) of(dataset string) time.Duration {
	if own, ok := d.own[dataset]; ok {
		return own
	}
	return schema.DefaultDelay(dataset)
}

// forRule returns the longest delay among the datasets that both the rule and the input may have; ok is false if they
// have none in common: then the input does not hold back the rule's watermark.
func (d *delays) forRule(r *rules.Rule) (longest time.Duration, ok bool) {
	consider := func(dataset string) {
		longest, ok = max(longest, d.of(dataset)), true
	}
	switch {
	case len(r.Datasets) > 0:
		for _, ds := range r.Datasets {
			if d.datasets == nil || slices.Contains(d.datasets, ds) {
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

// longest returns the delay of the input's slowest dataset, for people to look at.
func (d *delays) longest() time.Duration {
	slow := time.Duration(0)
	if d.datasets == nil {
		slow = schema.DelayAudit
	}
	for _, ds := range d.datasets {
		slow = max(slow, d.of(ds))
	}
	return slow
}
