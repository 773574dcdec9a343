package engine

import (
	"container/heap"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/item"
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
	gone, err := newGone(e.o.Store, e.o.Set)
	if err != nil {
		return err
	}
	known, missed := gone.change(&s)
	same := e.restoreRules(known, missed, s.latest())
	if err := e.restoreTimers(gone, known); err != nil {
		return err
	}
	if err := e.restorePending(same, gone); err != nil {
		return err
	}
	e.cuts.write = gone.write(e.cuts.write)
	return nil
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
// that is new, or whose shape changed, knows nothing of what was read before, one that comes back not what was read
// without it: their findings say until when, those that were open when it went once they change. latest is the event time up to which everything was read.
func (e *Engine) restoreRules(known map[string]ruleState, missed map[string]bool, latest int64) (same map[string]int) {
	same = map[string]int{}
	for i, r := range e.o.Set.Rules {
		o, ok := known[r.ID]
		if ok {
			// Even where the State starts anew: what was read before is not read again.
			e.cuts.watermark[i], e.cuts.warming[i] = o.Watermark, o.Warming
			for _, s := range e.shards {
				s.mark[i] = o.Watermark
			}
		}
		lives := ok && o.Shape == hex.EncodeToString(r.Shape[:])
		if lives {
			same[r.ID] = i
		}
		if (!lives || missed[r.ID]) && latest != never && r.Memory() > 0 {
			e.cuts.warming[i] = latest + int64(r.Memory())
		}
	}
	return same
}

// restoreTimers reads when each cell in the store wakes. State that a rule could read although no checkpoint says that
// it is the rule's - it came back after long, or in a shape that it had before - is deleted before anybody reads.
func (e *Engine) restoreTimers(gone *gone, known map[string]ruleState) error {
	places := map[string]int{}
	for i, r := range e.o.Set.Rules {
		places[r.ID] = i
	}
	var stale [][]byte
	err := e.o.Store.Cells(nil, func(key, value []byte) bool {
		rule, shape, ok := cellShape(key, value)
		switch {
		case !ok:
		case !gone.reads(rule, shape):
			gone.sweep()
		case gone.shapes[rule] != shape: // of a rule that is gone: it may come back
		case known[rule].Shape != shape:
			stale = append(stale, key)
		default:
			e.restoreTimer(places[rule], key, value)
		}
		return true
	})
	for batch := range slices.Chunk(stale, staleBatch) {
		if err == nil {
			err = e.o.Store.DropCells(batch)
		}
	}
	return err
}

// staleBatch is how many cells are deleted at once.
const staleBatch = 10_000

func (e *Engine) restoreTimer(place int, key, value []byte) {
	hash, _, group, _ := cutStoreKey(key)
	at, _, ok := cutCellValue(value, e.o.Set.Rules[place])
	if ok && at != math.MaxInt64 {
		s := e.shards[hash%uint64(len(e.shards))]
		heap.Push(&s.timers[place], wake{at, group})
	}
}

// restorePending gives the cells back what was at or above their watermark when the checkpoint was made.
func (e *Engine) restorePending(same map[string]int, gone *gone) error {
	var bad error
	err := e.o.Store.Items(func(cut uint64, items []byte) bool {
		newest := map[int]int64{}
		void := false
		anew := func(rule string) bool {
			_, ours := gone.shapes[rule]
			_, lives := same[rule]
			return ours && !lives
		}
		bad = cutItems(items, func(rule string, it item.Item) {
			if r, is := gone.rules[rule]; is && int64(it.Time) >= r.Watermark {
				gone.need(rule, cut)
			}
			void = void || anew(rule)
			place, ok := same[rule]
			if !ok || int64(it.Time) < e.cuts.watermark[place] {
				return
			}
			it.Rule = place
			shard := e.shards[e.programs[place].Hash(it.Group)%uint64(len(e.shards))]
			shard.insert(&it)
			if old, ok := newest[place]; !ok || int64(it.Time) > old {
				newest[place] = int64(it.Time)
			}
		})
		if void && bad == nil {
			gone.void(cut, items, anew)
		}
		e.cuts.pending = append(e.cuts.pending, pendingItems{cut, newest})
		return bad == nil
	})
	if err != nil {
		return err
	}
	return bad
}
