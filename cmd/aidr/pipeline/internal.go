package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

const (
	// feedEvery is the time between two looks at the records of an internal source.
	feedEvery = 250 * time.Millisecond
	// feedRecords is the largest number of records of one batch of an internal source.
	feedRecords = 500
	// internalIdle is the silence after which the event time of an internal source follows the clock.
	internalIdle = time.Second
)

// feed is an internal source: records that the process makes about itself, with positions of their own in the checkpoints. It
// reads only while other sources have opened the state directory, so that a standby stays one.
type feed struct {
	name string
	// next returns the records from a position on, and the position after them.
	next func(o *opened, from int64) (records []string, after int64, err error)
}

// Name implements connectors.Source.
func (f *feed) Name() string { return f.name }

// Run implements connectors.Source. The pipeline runs feeds itself.
func (f *feed) Run(ctx context.Context, _ connectors.Reader) error { <-ctx.Done(); return nil }

// Commit implements connectors.Source. The checkpoint alone has the positions.
func (f *feed) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

// Health implements connectors.Source.
func (f *feed) Health() connectors.Health { return connectors.Health{} }

// partition returns the only partition of the source.
func (f *feed) partition() connectors.Partition {
	return connectors.Partition{Source: f.name, Topic: f.name}
}

// input returns the engine's input of the source. Its name is that of its dataset.
func (f *feed) input() engine.Input {
	return engine.Input{
		Source: f, Decode: decode.Options{Format: "aidr"}, Datasets: []string{f.name}, Idle: internalIdle, Internal: true,
		Delays: map[string]time.Duration{f.name: internalIdle},
	}
}

// feedsOf returns the internal sources that a set of rules and the configuration need.
func (p *Pipeline) feedsOf(set *Set) (feeds []*feed) {
	for _, r := range set.Rules {
		if slices.Contains(r.Datasets, schema.DatasetAudit) {
			feeds = append(feeds, &feed{schema.DatasetAudit, auditRecords})
			break
		}
	}
	if p.canary != nil {
		feeds = append(feeds, &feed{schema.DatasetCanary, p.canary.records})
	}
	return feeds
}

// runFeeds reads the internal sources until ctx is done.
func (p *Pipeline) runFeeds(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(feedEvery)
		defer tick.Stop()
		var from map[string]int64 // of the engine e
		var e *engine.Engine
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if next := p.current(); next != e || from == nil {
				e, from = next, p.assignFeeds(next)
			}
			for _, f := range p.openFeeds(e) {
				if err := p.read(ctx, e, f, from); err != nil {
					from = nil // the engine stops: its successor, or this one, is asked for the positions again
					break
				}
			}
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

// openFeeds returns the internal sources of an engine, none if it is not the current one.
func (p *Pipeline) openFeeds(e *engine.Engine) []*feed {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e == nil || p.engine != e || p.opened == nil {
		return nil
	}
	return p.opened.feeds
}

// assignFeeds announces the internal sources to a new engine, and returns their positions.
func (p *Pipeline) assignFeeds(e *engine.Engine) map[string]int64 {
	p.life.RLock()
	defer p.life.RUnlock()
	if e == nil || p.engine != e {
		return nil
	}
	from := map[string]int64{}
	for _, f := range p.opened.feeds {
		from[f.name], _ = e.Assigned(f.partition())
	}
	return from
}

// read hands the next records of a source to the engine. A batch without records reports that everything was read.
func (p *Pipeline) read(ctx context.Context, e *engine.Engine, f *feed, from map[string]int64) error {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o == nil {
		return errNotOpen
	}
	at := from[f.name]
	records, after, err := f.next(o, at)
	if err != nil {
		p.log.Error("an internal source cannot be read", "source", f.name, "error", err)
		return nil
	}
	b := &connectors.Batch{Partition: f.partition(), Next: after, HighWater: after, AtEnd: len(records) < feedRecords}
	for i, r := range records {
		start := len(b.Raw)
		b.Raw += r
		b.Records = append(b.Records, connectors.Record{Start: start, End: len(b.Raw), Offset: after - int64(len(records)) + int64(i)})
	}
	if err := e.Read(ctx, b); err != nil {
		return err
	}
	from[f.name] = after
	return nil
}

// auditRecords returns entries of the audit as records of the format aidr. Their positions are their numbers. Triage is not
// among them: the work of people on findings must not make findings.
func auditRecords(o *opened, from int64) (records []string, after int64, err error) {
	after = from
	err = o.store.AuditFrom(uint64(max(from, 0))+1, func(a *store.AuditEntry) bool {
		after = int64(a.Seq)
		if a.Class != schema.AuditTriage {
			var text string
			if text, err = auditRecord(a); err != nil {
				return false
			}
			records = append(records, text)
		}
		return len(records) < feedRecords
	})
	return records, after, err
}

// auditRecord returns an entry of the audit as a record of the format aidr.
func auditRecord(a *store.AuditEntry) (string, error) {
	outcome := "success"
	if a.Action == "refused" {
		outcome = "failure"
	}
	fields := map[string]any{
		"time": a.Time, "event.dataset": schema.DatasetAudit, "event.class": "audit", "event.id": strconv.FormatUint(a.Seq, 10),
		"event.action": a.Action, "event.outcome": outcome, "user.name": a.Who,
	}
	for name, value := range map[string]string{
		"resource.type": string(a.Class), "resource.id": a.Object, "resource.name": a.Rule, "tenant": a.Tenant,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("encode audit entry %d: %w", a.Seq, err)
	}
	return string(b), nil
}
