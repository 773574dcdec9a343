package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/budget"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// Status is the present condition of an engine.
type Status struct {
	Partitions      []PartitionStatus
	Standby         map[string]string // by source: why it only waits
	Held            string            // why reading is paused, or has waited for memory for long; "" if it has not
	Memory, Budget  int64             // bytes: the estimate of the memory that counts, and the budget; see package budget
	Checkpoint      time.Duration     // how long the last checkpoint took
	CheckpointError error             // why the last checkpoint is not durable yet
	WarmingRules    int               // rules whose State does not know all of its window yet
	WarmingUntil    schema.Instant    // event time at which the last of them does; 0 if there are none
	Operational     []*schema.Finding // the operational findings that are open, the worst first; they are not to be changed
}

// PartitionStatus is how far one partition has come.
type PartitionStatus struct {
	Partition connectors.Partition
	Next      int64
	Lag       int64          // records; -1 if unknown
	Watermark schema.Instant // for the slowest dataset; valid if Known
	Known     bool
	AtEnd     bool
	Active    bool
}

// Status returns the present condition of the engine.
func (e *Engine) Status() Status {
	s := Status{Standby: map[string]string{}, Held: cmp.Or(e.gate.Why(), e.budget.Why())}
	s.Budget = e.budget.Limit()
	e.budget.Each(func(_ budget.Part, bytes int64) { s.Memory += bytes })
	e.lanes.mu.Lock()
	for _, l := range e.lanes.all {
		s.Partitions = append(s.Partitions, l.status())
	}
	for name, in := range e.inputs {
		if in.standby != "" {
			s.Standby[name] = in.standby
		}
	}
	e.lanes.mu.Unlock()
	slices.SortFunc(s.Partitions, func(a, b PartitionStatus) int {
		return cmp.Compare(fmt.Sprint(a.Partition), fmt.Sprint(b.Partition))
	})
	e.checkpoints.mu.Lock()
	s.Checkpoint, s.CheckpointError = e.checkpoints.took, e.checkpoints.err
	s.Operational = e.checkpoints.openOps
	s.WarmingRules, s.WarmingUntil = e.checkpoints.warmRules, e.checkpoints.warmUntil
	e.checkpoints.mu.Unlock()
	return s
}

// status returns how far the partition has come. lanes.mu is held.
func (l *lane) status() PartitionStatus {
	p := PartitionStatus{Partition: l.partition, Next: l.next, Lag: -1, AtEnd: l.atEnd, Active: !l.revoked}
	if w := l.watermark(); w != never {
		p.Watermark, p.Known = w, true
	}
	if l.highWater >= 0 {
		p.Lag = max(0, l.highWater-l.next)
	}
	return p
}

// StateView shows the memory of a rule for one group key, for people.
type StateView struct {
	Rule      string            `json:"rule"`
	Key       map[string]string `json:"key"`
	Watermark *schema.Instant   `json:"watermark,omitempty"`
	Pending   int               `json:"pending"`    // items at or above the watermark
	StateSize int               `json:"state_size"` // bytes of base State
	Wakes     *schema.Instant   `json:"wakes,omitempty"`
	Findings  []*schema.Finding `json:"findings"` // the open ones
	Keys      []fold.KeyView    `json:"keys"`     // the memory of each key of the group
}

// State describes the memory of a rule for one group key.
func (e *Engine) State(ctx context.Context, rule string, key map[string]string) (*StateView, error) {
	place, group, err := e.cellOf(rule, key)
	if err != nil {
		return nil, err
	}
	s := e.shards[e.rules.programs[place].Hash(group)%uint64(len(e.shards))]
	answer := make(chan *StateView, 1)
	select {
	case s.in <- message{call: func(s *shard) { answer <- s.describe(cellKey{place, group}, key) }}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	v := <-answer
	if v == nil {
		return nil, fmt.Errorf("rule %q remembers nothing of %v", rule, key)
	}
	return v, nil
}

// describe returns the view of a cell, nil if the cell is empty.
func (s *shard) describe(k cellKey, key map[string]string) *StateView {
	cell := s.get(k).cell
	if cell.Empty() {
		return nil
	}
	v := &StateView{
		Rule: s.rules.id(k.rule), Key: key, Pending: cell.Pending(), StateSize: len(cell.Append(nil)), Keys: cell.Keys(),
	}
	if w := cell.Watermark(); w != never {
		v.Watermark = &w
	}
	if w, ok := cell.Wake(); ok {
		v.Wakes = &w
	}
	cell.Findings(func(f *schema.Finding) { v.Findings = append(v.Findings, f) })
	return v
}

// ReplayRecord hands the record of a dead letter in again, at its partition's present watermark: an event that is late by
// now is counted as late, and no position moves. The result is a sentence for people.
func (e *Engine) ReplayRecord(ctx context.Context, l *store.DeadLetter) (done string, err error) {
	if why := e.notReplayable(l); why != "" {
		return "", fmt.Errorf("dead letter %d %s: produce the record again at its source", l.Seq, why)
	}
	p := connectors.Partition{Source: l.Source, Topic: l.Topic, Number: l.Partition}
	lane := e.lanes.get(p)
	if lane == nil {
		return "", fmt.Errorf("dead letter %d: its partition %s/%d is not read here", l.Seq, l.Topic, l.Partition)
	}
	j := &job{lane: lane, done: make(chan struct{}), replayed: make(chan int, 1), batch: &connectors.Batch{
		Partition: p, Raw: l.Body, HighWater: -1,
		Records: []connectors.Record{{End: len(l.Body), Offset: l.Offset, Time: l.Time}},
	}}
	if err := e.submit(ctx, j); err != nil {
		return "", err
	}
	select {
	case events := <-j.replayed:
		if events == 0 {
			return "", fmt.Errorf("dead letter %d still cannot be decoded", l.Seq)
		}
		return fmt.Sprintf("decoded: %d events", events), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// notReplayable returns why the body of a dead letter is not the record that was read, "" if it is.
func (e *Engine) notReplayable(l *store.DeadLetter) string {
	switch {
	case l.Omitted > 0:
		return "does not hold its record, because the record had too many dead letters"
	case len(l.Body) >= MaxDeadBody:
		return "holds only the beginning of its record"
	case e.opts.Redaction.DeadLetters() >= schema.Hashed:
		return "does not hold its record, because of redact.dead_letters"
	case strings.Contains(l.Body, "[redacted:"):
		return "was redacted and is no longer the record"
	}
	return ""
}
