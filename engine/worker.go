package engine

import (
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// MaxDeadBody is how much of a record a dead letter keeps: enough to see what it was, and to try it again after a fix
// of most records; a megabyte of garbage is not worth its disk.
const MaxDeadBody = 64 << 10

// job is one batch on its way through a worker. done is closed when result is complete.
type job struct {
	lane   *lane
	batch  *connectors.Batch
	result *result
	done   chan struct{}
	again  chan int // a dead letter handed in again: told how many events it gave; it moves no position
}

// mark is one event of a batch as the lane has to see it: when, of which dataset, from which record.
type mark struct {
	record  int32
	dataset int32 // place in result.datasets
	time    int64 // the event's end
}

// shardItems are the items of a batch for one shard, which become the shard's own.
type shardItems struct {
	items []item.Item
	marks []int32 // by item: the place in result.marks of the event that it comes from
	last  int     // how many the batch before had
}

// result is what a worker made of a batch. Results are pooled: a lane gives them back when everything is routed.
type result struct {
	marks      []mark
	shards     []shardItems
	dead       []store.DeadLetter
	datasets   []string
	missing    map[int]int // rule -> events without a key
	fieldErrs  map[[2]string]int
	skipped    map[string]int // elements that are no activity, by dataset
	tombstones int
}

func (r *result) reset() {
	for i := range r.shards {
		o := &r.shards[i]
		*o = shardItems{marks: o.marks[:0], last: len(o.marks)}
	}
	r.marks, r.dead, r.datasets = r.marks[:0], nil, r.datasets[:0]
	clear(r.missing)
	clear(r.fieldErrs)
	clear(r.skipped)
	r.tombstones = 0
}

// newResult returns an empty result.
func (e *Engine) newResult() *result {
	if r, ok := e.results.Get().(*result); ok {
		return r
	}
	return &result{shards: make([]shardItems, len(e.shards)), missing: map[int]int{}, fieldErrs: map[[2]string]int{}, skipped: map[string]int{}}
}

// minItems is how many items of a batch there is room for at first.
const minItems = 8

// worker decodes, matches and captures; it keeps scratch only, nothing that could make one record depend on another.
type worker struct {
	e        *Engine
	decoders map[*input]*decode.Decoder
	scratch  *rules.Scratch
	capturer capture.Capturer
	hits     []rules.Hit
	handler  decode.Handler
	emit     func(*item.Item)

	out    *result
	job    *job
	record int32
}

func newWorker(e *Engine) *worker {
	w := &worker{e: e, decoders: map[*input]*decode.Decoder{}, scratch: e.o.Set.NewScratch(), capturer: newCapturer(e)}
	w.handler = decode.Handler{Event: w.event, Dead: w.dead, FieldError: w.fieldError, Skipped: w.skipped}
	w.emit = func(it *item.Item) {
		o := &w.out.shards[e.programs[it.Rule].Hash(it.Group)%uint64(len(e.shards))]
		if o.items == nil {
			o.items = make([]item.Item, 0, max(minItems, o.last+o.last/8)) // batches are much alike
		}
		o.items, o.marks = append(o.items, *it), append(o.marks, int32(len(w.out.marks)-1))
	}
	return w
}

func newCapturer(e *Engine) capture.Capturer {
	c := capture.Capturer{Redact: e.o.Redact, Redaction: e.o.Redaction}
	if e.o.Redaction != nil {
		for _, path := range e.o.Set.Wanted().Raw {
			c.Raws = append(c.Raws, e.o.Redaction.Raw(path))
		}
	}
	return c
}

func (w *worker) run() {
	for j := range w.e.jobs {
		w.process(j)
		close(j.done)
	}
}

func (w *worker) process(j *job) {
	in := j.lane.in
	d := w.decoders[in]
	if d == nil {
		var err error
		if d, err = decode.New(in.Decode); err != nil {
			panic("BUG: the format was checked when the engine was built: " + err.Error())
		}
		w.decoders[in] = d
	}
	w.capturer.BeginBatch()
	w.job, w.out = j, w.e.newResult()
	for i, rec := range j.batch.Records {
		w.record = int32(i)
		raw := j.batch.Raw[rec.Start:rec.End]
		switch {
		case rec.Tombstone:
			w.out.tombstones++
		case rec.TooLarge:
			w.dead(decode.Dead{Reason: "too_large", Detail: "the record is over the size cap; its beginning is kept", Body: raw})
		default:
			d.Decode(raw, decode.Meta{Pos: w.position(), Time: rec.Time}, &w.handler)
		}
	}
	w.e.o.Metrics.matched(w.e.o.Set, w.scratch)
	j.result, w.job, w.out = w.out, nil, nil
}

func (w *worker) position() schema.Position {
	p := w.job.batch.Partition
	return schema.Position{Topic: p.Topic, Partition: p.Number, Offset: w.job.batch.Records[w.record].Offset}
}

func (w *worker) event(e *schema.Event) {
	end, ok := e.End()
	if !ok {
		panic("BUG: decode gave an event without a time")
	}
	w.out.marks = append(w.out.marks, mark{record: w.record, dataset: w.dataset(e.Text(schema.EventDataset)), time: end})
	w.hits = w.e.o.Set.Match(e, w.scratch, w.hits[:0])
	if len(w.hits) == 0 {
		return
	}
	w.capturer.BeginEvent()
	for _, h := range w.hits {
		if n := w.capturer.Capture(w.e.plans[h.Rule], h.Rule, e, h.Roles, w.scratch, w.emit); n > 0 {
			w.out.missing[h.Rule] += n
		}
	}
}

// dataset returns the name's place in the result; a batch has few of them.
func (w *worker) dataset(name string) int32 {
	for i, d := range w.out.datasets {
		if d == name {
			return int32(i)
		}
	}
	w.out.datasets = append(w.out.datasets, name)
	return int32(len(w.out.datasets) - 1)
}

func (w *worker) dead(d decode.Dead) {
	pos := w.position()
	body := d.Body
	if len(body) > MaxDeadBody {
		body = body[:MaxDeadBody]
	}
	w.out.dead = append(w.out.dead, store.DeadLetter{
		Kind: schema.DeadRecord, Reason: d.Reason, Detail: d.Detail, Source: w.job.batch.Partition.Source,
		Topic: pos.Topic, Partition: pos.Partition, Offset: pos.Offset, Index: d.Index,
		Body: w.e.o.Redaction.Dead().Expose(body, w.e.o.Redact),
	})
}

func (w *worker) fieldError(dataset, name string) { w.out.fieldErrs[[2]string{dataset, name}]++ }

func (w *worker) skipped(dataset string) { w.out.skipped[dataset]++ }
