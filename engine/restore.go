package engine

import (
	"container/heap"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/fold"
)

// restore brings the engine to where its last checkpoint left it: positions and watermarks, the timers of base State
// (which itself is read when it is needed), and the items that are still pending. It runs before any goroutine.
func (e *Engine) restore() error {
	seq, raw, ok, err := e.o.Store.Last()
	if err != nil || !ok {
		return err
	}
	var s cutState
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("read the checkpoint's positions: %w", err)
	}
	if s.Version > stateVersion {
		return fmt.Errorf("the checkpoint has version %d, this program knows %d: a newer aidr wrote it", s.Version, stateVersion)
	}
	e.cuts.seq, e.cuts.restored = seq, true
	e.restorePartitions(s.Partitions)
	same := e.restoreRules(s.Rules, s.Partitions)
	if err := e.restoreTimers(); err != nil {
		return err
	}
	return e.restorePending(same)
}

func (e *Engine) restorePartitions(partitions []partitionState) {
	for _, p := range partitions {
		key := connectors.Partition{Source: p.Source, Topic: p.Topic, Number: p.Number}
		in := e.inputs[p.Source]
		if in == nil {
			continue // the source left the configuration
		}
		l := e.addLane(key, in)
		l.next, l.known, l.final = p.Next, p.Known, p.Final
		l.progress = progress{event: p.Event, record: p.Record, floor: p.Floor}
		l.revoked = true // until the source announces it again
		e.cuts.positions[key] = p.Next
	}
}

// restoreRules gives each rule the watermark that its State stands at, and returns the rules whose State lives on. A rule
// that is new, or whose shape changed, knows nothing of what was read before: its findings say until when.
func (e *Engine) restoreRules(old []ruleState, partitions []partitionState) (same map[string]int) {
	same = map[string]int{}
	known := make(map[string]ruleState, len(old))
	for _, o := range old {
		known[o.ID] = o
	}
	latest := int64(never) // event time up to which everything was read without the rule
	for _, p := range partitions {
		latest = max(latest, p.Event)
	}
	for i, r := range e.o.Set.Rules {
		o, ok := known[r.ID]
		if ok {
			// Even where the State starts anew: what was read before is not read again.
			e.cuts.watermark[i], e.cuts.warming[i] = o.Watermark, o.Warming
			for _, s := range e.shards {
				s.mark[i] = o.Watermark
			}
		}
		switch {
		case ok && o.Shape == hex.EncodeToString(r.Shape[:]):
			same[r.ID] = i
		case latest != never && r.Memory() > 0:
			e.cuts.warming[i] = latest + int64(r.Memory())
		}
	}
	return same
}

// restoreTimers reads when each cell in the store wakes.
func (e *Engine) restoreTimers() error {
	places := map[string]int{}
	for i, r := range e.o.Set.Rules {
		places[r.ID] = i
	}
	return e.o.Store.Cells(nil, func(key, value []byte) bool {
		hash, rule, group, ok := cutStoreKey(key)
		place, known := places[rule]
		if !ok || !known {
			return true // a rule that left: its State stays for a while, should it come back
		}
		at, _, ok := cutCellValue(value, e.o.Set.Rules[place])
		if ok && at != math.MaxInt64 {
			s := e.shards[hash%uint64(len(e.shards))]
			heap.Push(&s.timers[place], wake{at, group})
		}
		return true
	})
}

// restorePending gives the cells back what was at or above their watermark when the checkpoint was made.
func (e *Engine) restorePending(same map[string]int) error {
	var bad error
	err := e.o.Store.Items(func(cut uint64, items []byte) bool {
		newest := map[int]int64{}
		bad = cutItems(items, func(rule string, it fold.Item) {
			place, ok := same[rule]
			if !ok || it.Time < e.cuts.watermark[place] {
				return
			}
			it.Rule = place
			shard := e.shards[e.programs[place].Hash(it.Group)%uint64(len(e.shards))]
			shard.insert(&it)
			if old, ok := newest[place]; !ok || it.Time > old {
				newest[place] = it.Time
			}
		})
		e.cuts.pending = append(e.cuts.pending, pendingItems{cut, newest})
		return bad == nil
	})
	if err != nil {
		return err
	}
	return bad
}
