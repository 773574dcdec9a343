package engine

import (
	"sync/atomic"
	"time"
)

// Ledger is the cost of rules since the engine started, which is at the start of aidr or at its last reload. It is an estimate
// from samples (see meter), except for hits and errors.
type Ledger struct {
	Seconds float64     `json:"seconds"` // since the engine started
	Events  int64       `json:"events"`  // matched
	Busy    float64     `json:"busy_seconds"`
	Match   float64     `json:"match_seconds"` // of Busy: finding the rules that events match, the index included
	Rules   []RuleCost  `json:"rules"`         // in the order of the Set
	Shards  []ShardCost `json:"shards"`
}

// ShardCost is the cost of one shard, as of its last message.
type ShardCost struct {
	Shard  int     `json:"shard"`
	Busy   float64 `json:"busy_seconds"`
	Items  int64   `json:"items"`           // that it folded
	Cells  int64   `json:"cells"`           // in memory and not at rest
	Bytes  int64   `json:"bytes"`           // estimate of its memory
	Queued int     `json:"queued_messages"` // that wait for it
}

// shardMeter holds the cost of one shard. Its shard writes it after each message, and anybody reads it.
type shardMeter struct{ busy, items, cells, bytes atomic.Int64 }

// showCost makes the cost of the shard visible after a message with some items that took some nanoseconds.
func (s *shard) showCost(items int, took int64) {
	var bytes int64
	for _, n := range s.size {
		bytes += n
	}
	c := &s.cost
	c.busy.Add(took)
	c.items.Add(int64(items))
	c.cells.Store(int64(len(s.hot)))
	c.bytes.Store(bytes)
}

// RuleCost is the cost of one rule. Times are in seconds of CPU.
type RuleCost struct {
	Rule       string  `json:"rule"`
	Kind       string  `json:"kind"`
	Candidates int64   `json:"candidates"` // events for which its conditions were evaluated
	Hits       int64   `json:"hits"`       // events on which they held
	Errors     int64   `json:"errors"`     // events on which they could not be evaluated
	Match      float64 `json:"match_seconds"`
	Fold       float64 `json:"fold_seconds"` // in the memory of the rule
	// StateBytes is the size of the rule's State at the last checkpoint. Engine.Ledger leaves it 0: see StoredState.
	StateBytes int64 `json:"state_bytes"`
}

// CPU returns the time of the rule in all stages, in seconds.
func (c *RuleCost) CPU() float64 { return c.Match + c.Fold }

// Ledger returns the cost of every rule so far.
func (e *Engine) Ledger() *Ledger {
	seconds := func(nanos int64) float64 { return time.Duration(nanos).Seconds() }
	m := e.meter
	l := &Ledger{
		Seconds: e.opts.Clock.Now().Sub(e.started).Seconds(), Events: m.events.Load(), Busy: seconds(m.busy.Load()), Match: seconds(m.match.Load()),
		Rules: make([]RuleCost, len(m.rules)),
	}
	for i := range m.rules {
		x := &m.rules[i]
		l.Rules[i] = RuleCost{
			Rule: e.rules.id(i), Kind: string(e.rules.set.Rules[i].Kind), Candidates: x.candidates.Load(), Hits: x.hits.Load(),
			Errors: x.failed.Load(), Match: seconds(x.match.Load()), Fold: seconds(x.fold.Load()),
		}
	}
	for i, s := range e.shards {
		c := &s.cost
		l.Shards = append(l.Shards, ShardCost{i, seconds(c.busy.Load()), c.items.Load(), c.cells.Load(), c.bytes.Load(), len(s.in)})
	}
	return l
}
