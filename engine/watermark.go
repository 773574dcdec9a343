package engine

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// MaxSkew is how far an event may be past its record's timestamp. Beyond it the date is forged or a clock is wrong, and
// one such event must not blind every rule. 5 min is the value that other stream processors settled on.
const MaxSkew = 5 * time.Minute

// never is a watermark before all time: nothing has been read yet.
const never = schema.MinInstant

// progress is how far one partition has come, by its records alone. The watermark of a dataset is high - delay.
//
// The first version took the highest event time instead of high: one record dated 2035 at the head of a file made all
// others late, and in a backlog one event whose time was borrowed from its record's timestamp made half of the backlog
// late. The eighth highest of all times is no better: one forged date in 200 reaches it in the end. Therefore high is a
// high quantile of the recent records.
type progress struct {
	events   recentTimes    // of the records that gave events with times of their own
	records  recentTimes    // of the records with a timestamp
	record   schema.Instant // the highest record timestamp; never if the source has none (files)
	borrowed int            // consecutive records whose events have no times of their own, at most blockRecords
	quantile schema.Instant // the highest quantile so far: a watermark never goes back
	floor    schema.Instant // the least that high returns: idle watermarks, and the start of a partition that appeared later
	latest   latest         // for the end of a replay
}

func newProgress() progress {
	return progress{record: never, quantile: never, floor: never, latest: newLatest()}
}

// advance records one record: its timestamp (0 if it has none), and the highest time among its events that are not dated
// into the future, never if it has none. own reports whether that time is the event's own. A record counts once,
// whatever the number of its events.
func (p *progress) advance(record, event schema.Instant, own bool) {
	if record != 0 {
		p.record = max(p.record, record)
		p.records.add(record)
	}
	if event == never {
		return
	}
	if own {
		p.borrowed = 0
		p.events.add(event)
		p.quantile = max(p.quantile, p.events.quantile())
	} else if p.borrowed = min(p.borrowed+1, blockRecords); p.borrowed == blockRecords {
		p.quantile = max(p.quantile, p.records.quantile()) // the partition has no better times
	}
	p.latest.add(event, own, p.quantile)
}

// high returns min(quantile of the event times, highest record timestamp), at least the floor.
func (p *progress) high() schema.Instant {
	h := p.quantile
	if p.record != never && p.record < h {
		h = p.record
	}
	return max(h, p.floor)
}

// front is the time that alignment compares: record time, or event time if the source has no record times. Both are
// quantiles, so that one forged timestamp does not make the partition wait for all others.
func (p *progress) front() schema.Instant {
	if p.record != never {
		return p.records.quantile()
	}
	return p.quantile
}

const (
	// blockRecords is the number of records in a block of recentTimes. Larger blocks follow a jump of time later and
	// cost nothing else.
	blockRecords = 1024
	// minRank is the least k of a quantile, and so the number of forged dates that a partition tolerates at its start.
	minRank = 8
	// rankShare is the share of forged dates that is tolerated: one in 64.
	rankShare = 64
	// maxRank is the largest k: a 64th of two blocks.
	maxRank = 2 * blockRecords / rankShare
)

// recentTimes holds the highest times of the current and the previous block of records. The zero value is empty.
type recentTimes struct {
	current, previous timeBlock
}

// timeBlock holds the highest times of up to blockRecords records.
type timeBlock struct {
	records int
	highest []schema.Instant // at most maxRank, the highest first
}

// add records the time of one record.
func (r *recentTimes) add(t schema.Instant) {
	if r.current.records == blockRecords {
		r.current, r.previous = timeBlock{highest: r.previous.highest[:0]}, r.current
	}
	b := &r.current
	b.records++
	n := len(b.highest)
	if n == maxRank {
		if t <= b.highest[n-1] {
			return
		}
		n--
		b.highest = b.highest[:n]
	}
	i := n
	for i > 0 && b.highest[i-1] < t {
		i--
	}
	b.highest = slices.Insert(b.highest, i, t)
}

// quantile returns the k-th highest time, where k is a 64th of the records and at least minRank. It is never while there
// are fewer than minRank records.
func (r *recentTimes) quantile() schema.Instant {
	n := r.current.records + r.previous.records
	if n < minRank {
		return never
	}
	a, b := r.current.highest, r.previous.highest
	for k := rank(n); k > 1; k-- {
		if len(b) == 0 || len(a) > 0 && a[0] >= b[0] {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	if len(b) == 0 || len(a) > 0 && a[0] >= b[0] {
		return a[0]
	}
	return b[0]
}

// clone returns a copy that shares no memory with r.
func (r *recentTimes) clone() *recentTimes {
	c := *r
	c.current.highest, c.previous.highest = slices.Clone(r.current.highest), slices.Clone(r.previous.highest)
	return &c
}

// rank returns the k of a quantile of n records.
func rank(n int) int { return min(max(minRank, n/rankShare), maxRank) }

// MarshalText returns both blocks as base64, because a checkpoint holds them for every partition: for each the number of
// records and of times (uvarint), the first time (8 bytes), and the distances of the others (uvarint).
func (r *recentTimes) MarshalText() ([]byte, error) {
	var b []byte
	for _, block := range [...]*timeBlock{&r.current, &r.previous} {
		b = binary.AppendUvarint(b, uint64(block.records))
		b = binary.AppendUvarint(b, uint64(len(block.highest)))
		for i, t := range block.highest {
			if i == 0 {
				b = flat.AppendInt64(b, int64(t))
			} else {
				b = binary.AppendUvarint(b, block.highest[i-1].Since(t))
			}
		}
	}
	return base64.RawStdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads the form of MarshalText.
func (r *recentTimes) UnmarshalText(text []byte) error {
	b, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("read recent times: %w", err)
	}
	f := flat.NewReader(b)
	var read recentTimes
	for _, block := range [...]*timeBlock{&read.current, &read.previous} {
		block.records = int(min(f.Uvarint(), blockRecords))
		n := min(f.Count(1), maxRank)
		for i := range n {
			if i == 0 {
				block.highest = append(block.highest, schema.Instant(f.Int64()))
			} else {
				block.highest = append(block.highest, block.highest[i-1]-schema.Instant(f.Uvarint()))
			}
		}
	}
	if !f.Done() {
		return errors.New("read recent times: they are damaged")
	}
	*r = read
	return nil
}

// maxBeyond is how far event times may be past the rest of the input before the end of a replay ignores them: a day, so
// that a pause in the input moves the end.
const maxBeyond = 24 * time.Hour

// maxDoubtful is the number of times beyond maxBeyond that a partition remembers, the lowest ones. As many records of
// one minute, after a pause of days, raise the quantile, and then the times are no longer doubtful.
const maxDoubtful = 256

// latest is the highest event time of a partition, for the end of a replay, without forged dates. Which dates are forged
// is known only at the end, so the times in doubt are kept apart.
type latest struct {
	Own      schema.Instant   `json:"own"`                // the highest that was at most maxBeyond after the quantile
	Doubtful []schema.Instant `json:"doubtful,omitempty"` // own times further than that, ascending
	Borrowed schema.Instant   `json:"borrowed"`           // the highest of the events whose time is borrowed
}

func newLatest() latest { return latest{Own: never, Borrowed: never} }

// clone returns a copy that shares no memory with l.
func (l *latest) clone() *latest {
	c := *l
	c.Doubtful = slices.Clone(l.Doubtful)
	return &c
}

// add records an event time.
func (l *latest) add(t schema.Instant, own bool, quantile schema.Instant) {
	if !own {
		l.Borrowed = max(l.Borrowed, t)
		return
	}
	if quantile != never {
		limit := quantile.Add(maxBeyond)
		for len(l.Doubtful) > 0 && l.Doubtful[0] <= limit {
			l.Own = max(l.Own, l.Doubtful[0])
			l.Doubtful = l.Doubtful[1:]
		}
		if t <= limit {
			l.Own = max(l.Own, t)
			return
		}
	}
	if i, found := slices.BinarySearch(l.Doubtful, t); !found && i < maxDoubtful {
		l.Doubtful = slices.Insert(l.Doubtful, i, t)
		l.Doubtful = l.Doubtful[:min(len(l.Doubtful), maxDoubtful)]
	}
}

// lowestOf returns the event time that all partitions have reached, by their records or, if they are silent, by the clock; never without
// partitions.
func lowestOf(partitions []progress) schema.Instant {
	if len(partitions) == 0 {
		return never
	}
	lowest := schema.MaxInstant
	for i := range partitions {
		lowest = min(lowest, partitions[i].high())
	}
	return lowest
}

// latestOf returns the highest event time of the partitions, never if they gave no event. Times more than maxBeyond after
// the quantile of all partitions together are forged and left out, and so are borrowed times, unless there are no others.
// A quantile needs minRank records; with fewer, no time is left out.
func latestOf(partitions []progress) schema.Instant {
	var times []schema.Instant
	n := 0
	for i := range partitions {
		for _, b := range [...]*timeBlock{&partitions[i].events.current, &partitions[i].events.previous} {
			times, n = append(times, b.highest...), n+b.records
		}
	}
	limit := schema.MaxInstant
	if n >= minRank {
		slices.Sort(times)
		limit = times[len(times)-rank(n)].Add(maxBeyond)
	}
	own, borrowed := never, never
	for i := range partitions {
		l := &partitions[i].latest
		own, borrowed = max(own, l.Own), max(borrowed, l.Borrowed)
		for _, t := range l.Doubtful {
			if t <= limit {
				own = max(own, t)
			}
		}
	}
	if own == never {
		return borrowed
	}
	return own
}

// delays holds how late the records of one input may be.
type delays struct {
	own      map[string]time.Duration // by dataset, as configured
	datasets []string                 // the datasets that the input may carry; nil: any
	internal bool                     // see Input.Internal
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
	case d.internal: // a rule without datasets reads nothing of it
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
