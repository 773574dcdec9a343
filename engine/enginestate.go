package engine

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// engineState is the engine's part of a checkpoint, as JSON: small, and readable when something is wrong. Times are in
// nanoseconds.
type engineState struct {
	Version    int              `json:"version"`
	Latest     int64            `json:"latest_ns"` // see latestOf
	Partitions []partitionState `json:"partitions"`
	Rules      []ruleState      `json:"rules"`
	Sweeping   bool             `json:"sweeping,omitempty"` // the store may have State that nothing will read

	Operational []operationalEntry `json:"operational,omitempty"`
	Inventory   int64              `json:"inventory_watermark_ns,omitempty"`

	barrier *barrier // of level 0
	archive [][]byte // rows of archived events
}

// stateVersion is the version of engineState; a newer one is refused.
// Version 1 had the highest event time of a partition in event_ns, and nothing of the recent times. Up to version 2 the
// store had no timers, and the value of a cell held its wake time instead. Up to version 3 no pending items were packed.
const stateVersion = 4

// timersVersion is the first version whose store has timers.
const timersVersion = 3

type partitionState struct {
	Source string `json:"source"`
	Topic  string `json:"topic"`
	Number int32  `json:"partition"`
	Next   int64  `json:"next"`
	Known  bool   `json:"known"`
	Event  int64  `json:"event_ns"` // progress.quantile
	Record int64  `json:"record_ns"`
	Floor  int64  `json:"floor_ns"`
	Final  bool   `json:"final,omitempty"`
	Lost   bool   `json:"lost,omitempty"` // its State was lost, and no event was read since

	Events    *recentTimes `json:"recent_events,omitempty"`
	Records   *recentTimes `json:"recent_records,omitempty"`
	Borrowed  int          `json:"borrowed,omitempty"`
	Heard     int64        `json:"last_record_ns,omitempty"` // lane.lastRecord
	LatestOwn *latest      `json:"latest,omitempty"`

	watermark schema.Instant
}

func (p *partitionState) key() connectors.Partition {
	return connectors.Partition{Source: p.Source, Topic: p.Topic, Number: p.Number}
}

type ruleState struct {
	ID        string `json:"id"`
	Shape     string `json:"shape"`
	Watermark int64  `json:"watermark_ns"`
	Warming   int64  `json:"warming_until_ns,omitempty"`
	Apart     apart  `json:"apart_ns,omitempty"`
}

// setReached sets the rules' watermarks, and how far shards are ahead of them.
func (s *engineState) setReached(reached []schema.Instant, ahead []apart) {
	for i, t := range reached {
		s.Rules[i].Watermark, s.Rules[i].Apart = int64(t), ahead[i]
	}
}

func (s *engineState) encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}

// latest returns the event time up to which everything was read.
func (s *engineState) latest() schema.Instant {
	if s.Version >= 2 {
		return schema.Instant(s.Latest)
	}
	t := never
	for _, p := range s.Partitions {
		t = max(t, schema.Instant(p.Event))
	}
	return t
}

// sumOfPositions returns the sum of all positions. It differs between two checkpoints if something was read between
// them.
func (s *engineState) sumOfPositions() (n int64) {
	for _, p := range s.Partitions {
		n += p.Next
	}
	return n
}

// state returns the engine's part of the checkpoint. lanes.mu is held.
func (c *checkpointer) state() *engineState {
	s := &engineState{Version: stateVersion, Latest: int64(latestOf(c.lanes.progress())), Inventory: int64(c.inventory.watermark)}
	s.Sweeping = c.retired != nil && c.retired.sweeping
	for p, l := range c.lanes.all {
		s.Partitions = append(s.Partitions, partitionState{
			Source: p.Source, Topic: p.Topic, Number: p.Number, Next: l.next, Known: l.known,
			Event: int64(l.progress.quantile), Record: int64(l.progress.record), Floor: int64(l.progress.floor), Final: l.final, Lost: l.lost,
			Events: l.progress.events.clone(), Records: l.progress.records.clone(), Borrowed: l.progress.borrowed,
			LatestOwn: l.progress.latest.clone(),
			watermark: l.watermark(),
		})
	}
	slices.SortFunc(s.Partitions, func(a, b partitionState) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	})
	for i := range s.Partitions {
		if at := c.lanes.all[s.Partitions[i].key()].lastRecord; !at.IsZero() {
			s.Partitions[i].Heard = at.UnixNano()
		}
	}
	if c.observer != nil {
		s.Operational = c.observer.findings.state()
	}
	for i, r := range c.rules.set.Rules {
		s.Rules = append(s.Rules, ruleState{
			ID: r.ID, Shape: hex.EncodeToString(r.Shape[:]), Watermark: int64(c.watermark[i]), Warming: int64(c.warming[i]),
		})
	}
	return s
}
