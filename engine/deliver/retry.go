package deliver

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// retryQueue is what one sink has not got although it is behind its cursor. Entries of one finding are a line: only the
// first of a line is ever handed in, the others wait for it. It has one owner.
type retryQueue struct {
	lines map[schema.ID][]store.Retry // by Seq
	owner map[uint64]schema.ID        // Seq -> finding, of all retries
	due   dueHeap                     // the first of each line, and remains of what was first before
}

func newRetryQueue(retries []store.Retry) *retryQueue {
	q := &retryQueue{lines: map[schema.ID][]store.Retry{}, owner: map[uint64]schema.ID{}}
	for _, r := range retries {
		q.put(r)
	}
	return q
}

// put adds a retry, or replaces the one of the same Seq.
func (q *retryQueue) put(r store.Retry) {
	line := q.lines[r.Finding]
	at, there := slices.BinarySearchFunc(line, r.Seq, func(r store.Retry, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	if there {
		line[at] = r
	} else {
		line = slices.Insert(line, at, r)
	}
	q.owner[r.Seq] = r.Finding
	q.lines[r.Finding] = line
	if at == 0 {
		heap.Push(&q.due, r)
	}
}

// remove takes a retry out; the next of its line becomes the first.
func (q *retryQueue) remove(seq uint64) {
	id, ok := q.owner[seq]
	if !ok {
		return
	}
	delete(q.owner, seq)
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

// len returns how many retries there are.
func (q *retryQueue) len() int { return len(q.owner) }

// has says that the retry is in the queue as it is.
func (q *retryQueue) has(r store.Retry) bool {
	line := q.lines[r.Finding]
	return slices.Contains(line, r)
}

// last returns the last of a finding's line; ok is false where none waits.
func (q *retryQueue) last(id schema.ID) (r store.Retry, ok bool) {
	line := q.lines[id]
	if len(line) == 0 {
		return store.Retry{}, false
	}
	return line[len(line)-1], true
}

// next returns when the first retry is due; ok is false where none waits.
func (q *retryQueue) next() (due schema.Instant, ok bool) {
	q.skipRemains()
	if len(q.due) == 0 {
		return 0, false
	}
	return q.due[0].Due, true
}

// ready returns up to most firsts of lines that are due, the one due longest first. They stay in the queue: each is then
// put back or removed.
func (q *retryQueue) ready(now schema.Instant, most int) (due []store.Retry) {
	for q.skipRemains(); len(q.due) > 0 && q.due[0].Due <= now && len(due) < most; q.skipRemains() {
		r := heap.Pop(&q.due).(store.Retry)
		if n := len(due); n == 0 || due[n-1] != r { // what was put back unchanged may stand here twice
			due = append(due, r)
		}
	}
	return due
}

// skipRemains drops what is no longer the first of its line as it stands.
func (q *retryQueue) skipRemains() {
	for len(q.due) > 0 {
		if line := q.lines[q.due[0].Finding]; len(line) > 0 && line[0] == q.due[0] {
			return
		}
		heap.Pop(&q.due)
	}
}

// oldest returns all retries by Seq.
func (q *retryQueue) oldest() []store.Retry {
	all := make([]store.Retry, 0, q.len())
	for _, line := range q.lines {
		all = append(all, line...)
	}
	slices.SortFunc(all, func(a, b store.Retry) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// dueHeap orders retries by when they are due, then by Seq.
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
