package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/tally"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// MaxRecordBodies is the number of bytes of bodies that the dead letters of one record keep together. A record with
// thousands of malformed elements gives as many dead letters; those after this limit keep everything but the body.
const MaxRecordBodies = 1 << 20

// MaxDeadBody is the number of bytes of a record that a dead letter keeps: enough to recognise it, and to try most
// records again after a fix; a megabyte of garbage is not worth its disk.
const MaxDeadBody = 64 << 10

// job is one batch on its way through a worker and its lane. A job without a batch is a fence: the lane closes done when
// it has routed everything before it.
type job struct {
	lane   *lane
	batch  *connectors.Batch
	result *result
	size   int64         // estimated memory of batch and result
	done   chan struct{} // closed when result is complete
	// replayed is set for a dead letter that was handed in again: it receives the number of events that the record
	// gave, and the record moves no position.
	replayed chan int
}

// take counts memory of the job.
func (j *job) take(b *budget.Budget, bytes int64) {
	j.size += bytes
	b.Add(budget.Lanes, bytes)
}

// recordSize is the memory in bytes of a connectors.Record.
const recordSize = 40

// batchSize returns an estimate of the memory that a batch takes.
func batchSize(b *connectors.Batch) int64 {
	if b == nil {
		return 0
	}
	return int64(len(b.Raw)) + recordSize*int64(len(b.Records))
}

// deadLetterSize is the memory in bytes of a dead letter without its texts.
const deadLetterSize = 512

// deadSize returns an estimate of the memory that a dead letter takes until it is durable: itself, its JSON and the
// store's batch.
func deadSize(l *store.DeadLetter) int64 { return deadLetterSize + 3*int64(len(l.Body)+len(l.Detail)) }

// size returns an estimate of the memory of a result.
func (r *result) size() (n int64) {
	for i := range r.dead {
		n += deadSize(&r.dead[i])
	}
	for i := range r.shards {
		for k := range r.shards[i].items {
			n += int64(r.shards[i].items[k].Size())
		}
	}
	for _, d := range r.deltas {
		n += int64(len(d))
	}
	return n + int64(cap(r.archive))
}

// eventRef is one event of a batch as its lane has to see it: its time, its dataset, and its record.
type eventRef struct {
	record  int32          // index in the batch's Records
	dataset int32          // index in result.datasets
	time    schema.Instant // the event's end
	own     bool           // the time is the event's own, not its record's timestamp
}

// shardItems are the items of a batch for one shard; the shard takes them over.
type shardItems struct {
	items  []item.Item
	events []int32 // by item: the index in result.events of the event that the item comes from
	last   int     // number of items of the batch before
}

// result is the outcome of decoding and matching a batch. Results are pooled: a lane gives a result back when
// everything is routed.
type result struct {
	events      []eventRef
	shards      []shardItems
	dead        []store.DeadLetter
	datasets    []string
	missing     map[int]int       // by rule: events without a key field
	fieldErrors map[fieldOf]int   // fields of an impossible type, and keys that occur twice
	skipped     map[skippedOf]int // elements that describe no activity
	tombstones  int
	counts      routedCounts // empty without Options.Routed

	inventory *inventory.Batch // nil without an inventory
	deltas    []string         // of the inventory, by shard

	tally   *tally.Batch // nil unless sinks want rows
	archive []byte       // rows of archived events
}

// skippedOf names a reason for which elements of a dataset are skipped.
type skippedOf struct{ dataset, reason string }

// fieldOf names a field of a dataset.
type fieldOf struct{ dataset, field string }

func newResult(shards int, inv *inventory.Batch, counts *tally.Batch) *result {
	return &result{
		shards: make([]shardItems, shards), missing: map[int]int{}, fieldErrors: map[fieldOf]int{}, skipped: map[skippedOf]int{},
		inventory: inv, tally: counts,
	}
}

func (r *result) reset() {
	for i := range r.shards {
		o := &r.shards[i]
		*o = shardItems{events: o.events[:0], last: len(o.events)}
	}
	r.events, r.dead, r.datasets = r.events[:0], nil, r.datasets[:0]
	clear(r.missing)
	clear(r.fieldErrors)
	clear(r.skipped)
	r.tombstones = 0
	r.counts.reset()
	r.deltas = nil
	if r.inventory != nil {
		r.inventory.Reset()
	}
	if r.tally != nil {
		r.tally.Reset()
	}
	r.archive = nil
}

// dataset returns the index of the name in datasets; a batch has few of them.
func (r *result) dataset(name string) int32 {
	for i, d := range r.datasets {
		if d == name {
			return int32(i)
		}
	}
	r.datasets = append(r.datasets, name)
	return int32(len(r.datasets) - 1)
}

// resultPool holds results for n shards.
type resultPool struct {
	shards    int
	inventory func() *inventory.Batch
	tally     func() *tally.Batch
	pool      sync.Pool
}

func (p *resultPool) get() *result {
	if r, ok := p.pool.Get().(*result); ok {
		return r
	}
	return newResult(p.shards, p.inventory(), p.tally())
}

func (p *resultPool) put(r *result) {
	r.reset()
	p.pool.Put(r)
}

// minItems is the number of items of a batch that there is room for at first.
const minItems = 8

// worker decodes, matches and captures. It keeps only scratch, nothing that could make one record depend on another.
type worker struct {
	rules     *ruleSet
	trace     connectors.Trace // nil: nothing gets batches
	metrics   *Metrics
	redact    func(string) string
	redaction *schema.Redaction
	results   *resultPool
	budget    *budget.Budget
	clock     clock.Clock
	meter     *meter
	counts    bool // there is an Options.Routed
	decoders  map[decoderKey]*decode.Decoder
	scratch   *rules.Scratch
	capturer  capture.Capturer
	hits      []rules.Hit
	handler   decode.Handler
	emit      func(*item.Item)

	turn   int     // counts the events
	hitsOf []int64 // by rule: events of the batch on which a condition held
	hit    []int   // the rules of which that is not 0

	responses *responder // nil: nothing is contained
	seats     seats      // set before run
	seen      sightings
	archive   archiver
	refused   refusals
	look      *Look // nil: nobody looks

	// Of the batch under way.
	out    *result
	job    *job
	record int32
	number int // of the next event of the record
	bodies int // bytes of bodies of the record's dead letters
}

func newWorker(rs *ruleSet, opts Options, results *resultPool, bud *budget.Budget, m *meter) *worker {
	w := &worker{
		trace: opts.Trace,
		rules: rs, metrics: opts.Metrics, redact: opts.Redact, redaction: opts.Redaction, results: results, budget: bud,
		clock: opts.Clock, meter: m, counts: opts.Routed != nil, hitsOf: make([]int64, len(rs.set.Rules)),
		decoders: map[decoderKey]*decode.Decoder{}, scratch: rs.set.NewScratch(), capturer: newCapturer(rs.set, opts),
		archive: newArchiver(opts), look: opts.Look, refused: newRefusals(len(rs.set.Rules)),
	}
	w.handler = decode.Handler{Event: w.event, Dead: w.dead, FieldError: w.fieldError, Skipped: w.skipped}
	w.emit = w.add
	return w
}

func newCapturer(set *rules.Set, opts Options) capture.Capturer {
	c := capture.Capturer{Redact: opts.Redact, Redaction: opts.Redaction}
	if opts.Redaction != nil {
		for _, path := range set.Wanted().Raw {
			c.Raws = append(c.Raws, opts.Redaction.Raw(path))
		}
	}
	return c
}

// run processes jobs until the channel is closed.
func (w *worker) run(jobs <-chan *job) {
	for j := range jobs {
		w.seats.take()
		w.process(j)
		w.seats.leave()
		close(j.done)
	}
}

func (w *worker) process(j *job) {
	start := w.clock.Now()
	w.look.begin(start)
	w.seen.begin(w.responses, j.lane.partition.Source)
	d := w.decoder(decoderKey{j.lane.in, w.seen.view != nil})
	w.capturer.BeginBatch()
	w.job, w.out = j, w.results.get()
	for i, rec := range j.batch.Records {
		w.record, w.number, w.bodies = int32(i), 0, 0
		raw := j.batch.Raw[rec.Start:rec.End]
		switch {
		case rec.Tombstone:
			w.out.tombstones++
		case rec.TooLarge:
			w.dead(decode.Dead{Reason: decode.ReasonSize, Detail: "the record is over the size cap; its beginning is kept", Body: raw})
		default:
			d.Decode(raw, decode.Meta{Pos: w.position(), Time: rec.Time}, &w.handler)
		}
	}
	w.seen.end(w.responses)
	if w.out.inventory != nil {
		w.out.deltas = w.out.inventory.Seal(len(w.out.shards), nil)
	}
	if w.counts {
		w.count()
	}
	w.look.end(len(w.out.events))
	w.measure(start)
	if w.trace != nil {
		w.trace(connectors.Span{Name: connectors.SpanBatch, Subject: j.lane.partition.Source, Start: start, Took: w.clock.Now().Sub(start),
			Size: int64(len(j.batch.Records))})
	}
	w.metrics.matched(w.rules.set, &w.refused)
	j.take(w.budget, w.out.size())
	j.result, w.job, w.out = w.out, nil, nil
}

// measure adds the batch, which the worker took at the instant start, to the meter.
func (w *worker) measure(start time.Time) {
	m := w.meter
	m.events.Add(int64(len(w.out.events)))
	m.busy.Add(int64(w.clock.Now().Sub(start)))
	for _, rule := range w.hit {
		m.rules[rule].hits.Add(w.hitsOf[rule])
		w.hitsOf[rule] = 0
	}
	w.hit = w.hit[:0]
	for _, rule := range w.refused.rules {
		m.rules[rule].failed.Add(int64(w.refused.errors[rule]))
	}
}

// match puts the rules that the event matches into hits. One event of sampleEvery is timed.
func (w *worker) match(e *schema.Event) {
	if w.turn++; w.turn%sampleEvery != 0 {
		w.hits = w.rules.set.Match(e, w.scratch, w.hits[:0])
		return
	}
	w.scratch.Trace(true)
	start := w.clock.Now()
	w.hits = w.rules.set.Match(e, w.scratch, w.hits[:0])
	w.meter.match.Add(sampleEvery * int64(w.clock.Now().Sub(start)))
	w.timeConditions(e)
	w.scratch.Trace(false)
}

// timeConditions times the conditions that the index left to evaluate for the event; of many, some in turn.
func (w *worker) timeConditions(e *schema.Event) {
	all := w.scratch.Traced()
	timed := min(all, maxTimed)
	first := 0
	if all > timed {
		first = w.turn / sampleEvery % all
	}
	w.scratch.Predicate.Begin(e) // so that a test that conditions share is timed once
	at := w.clock.Now()
	for i := range all {
		rule, cond := w.rules.set.TracedRole(w.scratch, (first+i)%all)
		m := &w.meter.rules[rule]
		m.candidates.Add(sampleEvery)
		if i >= timed {
			continue
		}
		cond.Eval(e, w.scratch.Predicate)
		now := w.clock.Now()
		m.match.Add(sampleEvery * int64(now.Sub(at)) * int64(all) / int64(timed))
		at = now
	}
	w.scratch.Predicate.End()
}

// decoderKey names a decoder of a worker: that of an input, for what rules want, or for the proof of containments too.
type decoderKey struct {
	in    *input
	proof bool
}

// decoder returns a decoder of the worker.
func (w *worker) decoder(k decoderKey) *decode.Decoder {
	d := w.decoders[k]
	if d == nil {
		opts := k.in.Decode
		if k.proof {
			opts.Wanted = withProof(opts.Wanted)
		}
		var err error
		if d, err = decode.New(opts); err != nil {
			panic("BUG: the format was checked when the engine was built: " + err.Error())
		}
		w.decoders[k] = d
	}
	return d
}

func (w *worker) position() schema.Position {
	p := w.job.batch.Partition
	return schema.Position{Topic: p.Topic, Partition: p.Number, Offset: w.job.batch.Records[w.record].Offset}
}

// add puts an item into the sub-batch of its shard.
func (w *worker) add(it *item.Item) {
	o := &w.out.shards[w.rules.shardOf(it, len(w.out.shards))]
	if o.items == nil {
		o.items = make([]item.Item, 0, max(minItems, o.last+o.last/8)) // consecutive batches are much alike
	}
	o.items, o.events = append(o.items, *it), append(o.events, int32(len(w.out.events)-1))
}

func (w *worker) observe(e *schema.Event) {
	end, ok := e.End()
	if !ok {
		panic("BUG: decode gave an event without a time")
	}
	ref := eventRef{record: w.record, dataset: w.out.dataset(e.Text(schema.EventDataset)), time: end, own: !e.BorrowedTime}
	w.out.events = append(w.out.events, ref)
	internal := w.job.lane != nil && w.job.lane.in.Internal
	if w.seen.view != nil && !internal {
		w.seen.see(e)
	}
	if w.out.inventory != nil && !internal {
		w.out.inventory.Add(e, end)
	}
	if !internal {
		w.look.at(w.job.batch.Partition.Source, e)
	}
	w.match(e)
	if internal {
		w.hits = slices.DeleteFunc(w.hits, func(h rules.Hit) bool { return len(w.rules.set.Rules[h.Rule].Datasets) == 0 })
	}
	if len(w.scratch.Counted) > 0 {
		w.refuse(end)
	}
	if w.out.tally != nil && !internal {
		w.out.tally.Event(e, ref.dataset, end)
	}
	archived := !internal && w.archive.wants(len(w.hits))
	if len(w.hits) == 0 && !archived {
		return
	}
	w.capturer.BeginEvent()
	for _, h := range w.hits {
		if w.hitsOf[h.Rule]++; w.hitsOf[h.Rule] == 1 {
			w.hit = append(w.hit, h.Rule)
		}
		n := w.capturer.Capture(w.rules.plans[h.Rule], h.Rule, e, h.Roles, w.scratch, w.emit)
		if n > 0 {
			w.out.missing[h.Rule] += n
		}
		if w.out.tally != nil {
			w.out.tally.Matched(h.Rule, end, n)
		}
	}
	if archived {
		w.out.archive = w.archive.append(w.out.archive, w, e, end)
	}
}

// event is called for each event of the record.
func (w *worker) event(e *schema.Event) {
	w.observe(e)
	w.number++
}

func (w *worker) dead(d decode.Dead) {
	pos := w.position()
	body := d.Body
	if len(body) > MaxDeadBody {
		body = body[:MaxDeadBody]
	}
	omitted := 0
	if w.bodies += len(body); w.bodies > MaxRecordBodies {
		omitted, body = len(body), ""
		w.metrics.deadBodyOmitted()
	}
	w.out.dead = append(w.out.dead, store.DeadLetter{
		Kind: schema.DeadRecord, Reason: d.Reason, Detail: d.Detail, Source: w.job.batch.Partition.Source,
		Topic: pos.Topic, Partition: pos.Partition, Offset: pos.Offset, Index: d.Index, Omitted: omitted,
		Body: w.redaction.DeadLetters().Expose(body, w.redact),
	})
}

func (w *worker) fieldError(dataset, name string) { w.out.fieldErrors[fieldOf{dataset, name}]++ }

func (w *worker) skipped(dataset, reason string) { w.out.skipped[skippedOf{dataset, reason}]++ }
