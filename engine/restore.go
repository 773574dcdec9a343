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
	same := e.restoreRules(s.Rules)
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

// restoreRules gives each rule the watermark that its State stands at, and returns the rules whose State lives on.
func (e *Engine) restoreRules(old []ruleState) (same map[string]int) {
	same = map[string]int{}
	for i, r := range e.o.Set.Rules {
		for _, o := range old {
			if o.ID != r.ID {
				continue
			}
			// Even where the State starts anew: what was read before is not read again.
			e.cuts.watermark[i] = o.Watermark
			for _, s := range e.shards {
				s.mark[i] = o.Watermark
			}
			if o.Shape == hex.EncodeToString(r.Shape[:]) {
				same[r.ID] = i
			}
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
