package deliver

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// retryQueue holds the retries of one sink. The retries of one finding form a line: only the first of a line is delivered,
// and the others wait for it. It is not safe for concurrent use.
type retryQueue struct {
	lines   map[schema.ID][]store.Retry // in order of Seq
	finding map[uint64]schema.ID        // of each retry, by Seq
	due     dueHeap                     // the first of each line, and stale copies of earlier firsts
}

func newRetryQueue(retries []store.Retry) *retryQueue {
	q := &retryQueue{lines: map[schema.ID][]store.Retry{}, finding: map[uint64]schema.ID{}}
	for _, r := range retries {
		q.put(r)
	}
	return q
}

// put adds a retry, or replaces the retry with the same Seq.
func (q *retryQueue) put(r store.Retry) {
	line := q.lines[r.Finding]
	at, replaces := slices.BinarySearchFunc(line, r.Seq, func(r store.Retry, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	if replaces {
		line[at] = r
	} else {
		line = slices.Insert(line, at, r)
	}
	q.finding[r.Seq] = r.Finding
	q.lines[r.Finding] = line
	if at == 0 {
		heap.Push(&q.due, r)
	}
}

// remove removes a retry. If it was the first of its line, the next one becomes the first.
func (q *retryQueue) remove(seq uint64) {
	id, ok := q.finding[seq]
	if !ok {
		return
	}
	delete(q.finding, seq)
	line := q.lines[id]
	at := slices.IndexFunc(line, func(r store.Retry) bool { return r.Seq == seq })
	if line = slices.Delete(line, at, at+1); len(line) == 0 {
		delete(q.lines, id)
		return
	}
	q.lines[id] = line
	if at == 0 {
		heap.Push(&q.due, line[0])
	}
}

// len returns the number of retries.
func (q *retryQueue) len() int { return len(q.finding) }

// contains reports whether the queue holds exactly this retry: with the same Seq, time and attempts.
func (q *retryQueue) contains(r store.Retry) bool {
	return slices.Contains(q.lines[r.Finding], r)
}

// last returns the last retry of a finding's line. ok is false if the finding has no line.
func (q *retryQueue) last(id schema.ID) (r store.Retry, ok bool) {
	line := q.lines[id]
	if len(line) == 0 {
		return store.Retry{}, false
	}
	return line[len(line)-1], true
}

// nextDue returns the earliest time at which the first of a line is due. ok is false if the queue is empty.
func (q *retryQueue) nextDue() (due schema.Instant, ok bool) {
	q.dropStale()
	if len(q.due) == 0 {
		return 0, false
	}
	return q.due[0].Due, true
}

// ready returns at most most firsts of lines that are due, in order of Due. They stay in the queue, but not in its
// schedule: the caller puts each one back or removes it.
func (q *retryQueue) ready(now schema.Instant, most int) (due []store.Retry) {
	for q.dropStale(); len(q.due) > 0 && q.due[0].Due <= now && len(due) < most; q.dropStale() {
		r := heap.Pop(&q.due).(store.Retry)
		if n := len(due); n == 0 || due[n-1] != r { // a retry that was put back unchanged may be in the heap twice
			due = append(due, r)
		}
	}
	return due
}

// dropStale pops the top of the heap until it is the first of its line, unchanged.
func (q *retryQueue) dropStale() {
	for len(q.due) > 0 {
		if line := q.lines[q.due[0].Finding]; len(line) > 0 && line[0] == q.due[0] {
			return
		}
		heap.Pop(&q.due)
	}
}

// all returns all retries, in order of Seq.
func (q *retryQueue) all() []store.Retry {
	all := make([]store.Retry, 0, q.len())
	for _, line := range q.lines {
		all = append(all, line...)
	}
	slices.SortFunc(all, func(a, b store.Retry) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// dueHeap is a heap of retries in order of Due, then Seq.
type dueHeap []store.Retry

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].Due, h[j].Due), cmp.Compare(h[i].Seq, h[j].Seq)) < 0
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(store.Retry)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
