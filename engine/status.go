package engine

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Status is how an engine is doing.
type Status struct {
	Partitions []PartitionStatus
	Standby    map[string]string // source -> why it only waits
	Held       string            // why nobody may read, "" where all may
	Cut        time.Duration     // what the last checkpoint took
	CutError   error             // why the last one is not durable yet
}

// PartitionStatus is how far one partition has come.
type PartitionStatus struct {
	Partition connectors.Partition
	Next      int64
	Lag       int64 // records; -1: unknown
	Watermark int64 // ns, for the slowest dataset; ok where Known
	Known     bool
	AtEnd     bool
	Active    bool
}

// Status returns how the engine is doing.
func (e *Engine) Status() Status {
	s := Status{Standby: map[string]string{}, Held: e.gate.why()}
	e.cutMu.Lock()
	for _, l := range e.lanes {
		p := PartitionStatus{Partition: l.p, Next: l.next, Lag: -1, AtEnd: l.atEnd, Active: !l.revoked}
		if w := l.watermark(); w != never {
			p.Watermark, p.Known = w, true
		}
		if l.highWater >= 0 {
			p.Lag = max(0, l.highWater-l.next)
		}
		s.Partitions = append(s.Partitions, p)
	}
	for name, in := range e.inputs {
		if in.standby != "" {
			s.Standby[name] = in.standby
		}
	}
	e.cutMu.Unlock()
	sort.Slice(s.Partitions, func(i, j int) bool {
		a, b := s.Partitions[i].Partition, s.Partitions[j].Partition
		return fmt.Sprint(a) < fmt.Sprint(b)
	})
	e.cuts.mu.Lock()
	s.Cut, s.CutError = e.cuts.took, e.cuts.err
	e.cuts.mu.Unlock()
	return s
}

// StateView is what one owner remembers, for people.
type StateView struct {
	Rule      string            `json:"rule"`
	Key       map[string]string `json:"key"`
	Watermark *schema.Instant   `json:"watermark,omitempty"`
	Pending   int               `json:"pending"`    // items at or above the watermark
	StateSize int               `json:"state_size"` // bytes of base State
	Wakes     *schema.Instant   `json:"wakes,omitempty"`
	Findings  []*schema.Finding `json:"findings"` // open ones
	Keys      []fold.KeyView    `json:"keys"`     // what each key of the group remembers
}

// State describes what a rule remembers of one group key.
func (e *Engine) State(ctx context.Context, rule string, key map[string]string) (*StateView, error) {
	for i, p := range e.programs {
		if p.Rule.ID != rule {
			continue
		}
		group, err := p.GroupKey(key)
		if err != nil {
			return nil, err
		}
		s := e.shards[p.Hash(group)%uint64(len(e.shards))]
		answer := make(chan *StateView, 1)
		select {
		case s.in <- message{ask: func(s *shard) { answer <- s.describe(cellKey{i, group}, key) }}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		v := <-answer
		if v == nil {
			return nil, fmt.Errorf("rule %q remembers nothing of %v", rule, key)
		}
		return v, nil
	}
	return nil, fmt.Errorf("rule %q is not active: see aidr rules ls", rule)
}

func (s *shard) describe(k cellKey, key map[string]string) *StateView {
	en := s.entry(k)
	if en.cell.Empty() {
		return nil
	}
	v := &StateView{
		Rule: s.e.programs[k.rule].Rule.ID, Key: key, Pending: en.cell.Pending(), StateSize: len(en.cell.Append(nil)),
		Keys: en.cell.Keys(),
	}
	if w := en.cell.Watermark(); w != never {
		v.Watermark = &w
	}
	if w, ok := en.cell.Wake(); ok {
		v.Wakes = &w
	}
	en.cell.Findings(func(f *schema.Finding) { v.Findings = append(v.Findings, f) })
	return v
}

// ReplayRecord hands the record of a dead letter in again, at its partition's present watermark: what is late by now
// is counted as late, and the positions do not move.
func (e *Engine) ReplayRecord(ctx context.Context, l *store.DeadLetter) (done string, err error) {
	switch {
	case len(l.Body) >= MaxDeadBody:
		return "", fmt.Errorf("dead letter %d holds only the beginning of its record: produce the record again at its source", l.Seq)
	case e.o.Redaction.Dead() >= schema.Hashed:
		return "", fmt.Errorf("dead letter %d does not hold its record, because redact.dead_letters says so: produce the record again at its source", l.Seq)
	case strings.Contains(l.Body, "[redacted:"):
		return "", fmt.Errorf("dead letter %d was redacted and is not the record any more: produce the record again at its source", l.Seq)
	}
	p := connectors.Partition{Source: l.Source, Topic: l.Topic, Number: l.Partition}
	e.cutMu.RLock()
	lane := e.lanes[p]
	e.cutMu.RUnlock()
	if lane == nil {
		return "", fmt.Errorf("dead letter %d: its partition %s/%d is not read here", l.Seq, l.Topic, l.Partition)
	}
	j := &job{lane: lane, done: make(chan struct{}), again: make(chan int, 1), batch: &connectors.Batch{
		Partition: p, Raw: l.Body, HighWater: -1,
		Records: []connectors.Record{{End: len(l.Body), Offset: l.Offset, Time: int64(l.Time)}},
	}}
	if err := e.submit(ctx, j); err != nil {
		return "", err
	}
	select {
	case events := <-j.again:
		if events == 0 {
			return "", fmt.Errorf("dead letter %d still can not be decoded", l.Seq)
		}
		return fmt.Sprintf("decoded: %d events", events), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
