package engine

import (
	"encoding/json"
	"strconv"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/tally"
	"github.com/aidr-engine/aidr/schema"
)

// newTallyBatch returns the counts of a result's events; nil unless sinks want rows.
func newTallyBatch(opts Options, rules int) *tally.Batch {
	if !opts.Rows || opts.Store == nil {
		return nil
	}
	return tally.NewBatch(rules)
}

// tallyFields returns the fields that counts and the archive need of events.
func (o *Options) tallyFields() (wanted schema.FieldSet) {
	if !o.Rows || o.Store == nil {
		return wanted
	}
	wanted = schema.NeedFields()
	if o.Archive == schema.ArchiveAll || o.Archive == schema.ArchiveMatched {
		for f := range schema.NumFields {
			if schema.Field(f).Visible() {
				wanted.Add(schema.Field(f))
			}
		}
	}
	return wanted
}

// refusals are the events of a batch that rules did not count.
type refusals struct {
	errors, excepted []uint64 // by rule
	rules            []int    // those of which one is not 0
}

func newRefusals(rules int) refusals {
	return refusals{errors: make([]uint64, rules), excepted: make([]uint64, rules)}
}

// refuse moves what the scratch counted of the last event to the batch.
func (w *worker) refuse(end schema.Instant) {
	sc, r := w.scratch, &w.refused
	for _, rule := range sc.Counted {
		failed, excepted := sc.Errors[rule], sc.Excepted[rule]
		sc.Errors[rule], sc.Excepted[rule] = 0, 0
		if r.errors[rule] == 0 && r.excepted[rule] == 0 {
			r.rules = append(r.rules, rule)
		}
		r.errors[rule] += failed
		r.excepted[rule] += excepted
		if w.out.tally != nil {
			w.out.tally.Refused(rule, end, int64(excepted), int64(failed))
		}
	}
	sc.Counted = sc.Counted[:0]
}

// settled are the triggers that a shard's checkpoint settled, and the changes of findings that it held back.
type settled struct{ triggers, held int64 }

// tallied is the checkpointer's part of the counts of rules and sources; nil unless sinks want rows.
type tallied struct {
	book   *tally.Book
	counts tally.Counts // since the last checkpoint
}

// newTallied returns the checkpointer's part with what the store has.
func newTallied(opts Options) (*tallied, error) {
	if !opts.Rows || opts.Store == nil {
		return nil, nil
	}
	t := &tallied{book: tally.NewBook()}
	var failed error
	err := opts.Store.Tally(func(key, value []byte) bool {
		failed = t.book.Restore(key, value)
		return failed == nil
	})
	if failed != nil {
		err = failed
	}
	return t, err
}

// collectTally adds the counts of a shard for a level to the checkpoint.
func (c *checkpointer) collectTally(part *shardPart) {
	t := c.tallied
	if t == nil {
		return
	}
	for rule, n := range part.settled {
		at := c.watermark[rule]
		if at == never || at == schema.MaxInstant {
			at = c.inventory.watermark
		}
		if at == never {
			continue // no trigger settles before there is a watermark
		}
		t.counts.Settled(c.rules.id(rule), at.Sub(1), n.triggers, n.held)
	}
	for i := range part.entries {
		f := part.entries[i].Finding
		switch part.entries[i].Type {
		case connectors.FindingOpened:
			t.counts.Opened(f.RuleID, f.GroupStart)
		case connectors.FindingWithdrawn:
			t.counts.Withdrawn(f.RuleID, f.GroupStart)
		}
	}
}

// closeTally adds the counts of rules and sources to the checkpoint, and their rows.
func (c *checkpointer) closeTally(cp *store.Checkpoint, rowing inventory.Rowing) {
	t := c.tallied
	if t == nil {
		return
	}
	t.book.Add(t.counts)
	t.counts = tally.Counts{}
	low := c.inventory.watermark
	for rule := range c.reached {
		if !c.rules.isSilent(rule) {
			low = min(low, c.reached[rule])
		}
	}
	changes, rows := t.book.Close(cp.Seq, low, rowing == inventory.AllRows)
	for _, kv := range changes {
		cp.Tally = append(cp.Tally, store.KV(kv))
	}
	if len(rows) > 0 {
		cp.Rows = append(cp.Rows, rows)
	}
}

// archiver makes rows of events for the archive.
type archiver struct {
	mode   schema.Archive
	writer tally.EventWriter
	row    schema.ArchivedEvent
}

// newArchiver returns the archiver of a worker. Without sinks of rows it archives nothing.
func newArchiver(opts Options) archiver {
	if !opts.Rows || opts.Store == nil {
		return archiver{}
	}
	return archiver{mode: opts.Archive}
}

// wants reports whether an event that a number of rules match is archived.
func (a *archiver) wants(hits int) bool {
	return a.mode == schema.ArchiveAll || a.mode == schema.ArchiveMatched && hits > 0
}

// append appends the row of the event under way, with its fields as evidence shows them.
func (a *archiver) append(dst []byte, w *worker, e *schema.Event, end schema.Instant) []byte {
	a.row = schema.ArchivedEvent{
		Pos: e.Pos, Number: w.number, Time: end, Tenant: w.capturer.Tenant(e), Source: w.job.batch.Partition.Source,
		Dataset: e.Text(schema.EventDataset), Rules: a.row.Rules[:0],
	}
	for _, h := range w.hits {
		a.row.Rules = append(a.row.Rules, w.rules.id(h.Rule))
	}
	present := e.Present()
	return a.writer.Append(dst, &a.row, func(yield func(name, text string)) {
		for f := range present.All {
			if !f.Visible() || f == schema.EventDataset {
				continue
			}
			if v := w.capturer.Field(e, f); v.Present() {
				yield(f.String(), archiveText(v))
			}
		}
	})
}

// archiveText returns a value as a column shows it: a text as it is, every other value as JSON.
func archiveText(v schema.Value) string {
	switch v.Kind {
	case schema.KindInt:
		return strconv.FormatInt(v.Int(), 10)
	case schema.KindDouble:
		b, err := json.Marshal(v.Double())
		if err != nil {
			return "null" // NaN or an infinity
		}
		return string(b)
	case schema.KindBool:
		return strconv.FormatBool(v.Bool())
	case schema.KindTimestamp:
		return schema.Instant(v.Int()).String()
	}
	return v.Text
}

// takeArchive moves the archived events of all lanes into a list. lanes.mu is held for writing.
func (c *checkpointer) takeArchive() (rows [][]byte) {
	for _, l := range c.lanes.all {
		rows = append(rows, l.archive...)
		l.archive = nil
	}
	return rows
}

// partsLen returns the number of bytes of all parts.
func partsLen(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}

// keepArchive keeps the archived events of a batch for the next checkpoint. lanes.mu is held for reading.
func (l *lane) keepArchive(r *result) {
	if len(r.archive) > 0 {
		l.budget.Add(budget.Checkpoint, int64(len(r.archive)))
		l.archive, r.archive = append(l.archive, r.archive), nil
	}
}

// tallyBatch adds the counts of a batch. late is by event.
func (l *lane) tallyBatch(r *result, late []bool) {
	if r.tally == nil {
		return
	}
	for i := range r.shards {
		o := &r.shards[i]
		for k := range o.events {
			if ev := o.events[k]; late[ev] {
				r.tally.Late(o.items[k].Rule, r.events[ev].time)
			}
		}
	}
	l.ledger.Add(r.tally, l.partition.Source, r.datasets, l.rules.id)
}
