package engine

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// restore brings the engine to the state of its last checkpoint: positions and watermarks, and the items that are
// still pending. The cells and their timers are read from the store when they are needed. It runs before any
// goroutine but those of the lanes, which have nothing to do yet.
func (e *Engine) restore() error {
	if err := e.opts.Store.DropPaged(); err != nil {
		return err
	}
	seq, raw, ok, err := e.opts.Store.Last()
	if err != nil || !ok {
		return err
	}
	var s engineState
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("read the checkpoint's positions: %w", err)
	}
	if s.Version > stateVersion {
		return fmt.Errorf("the checkpoint has version %d, but this program knows versions up to %d: a newer aidr wrote it",
			s.Version, stateVersion)
	}
	e.checkpoints.seq, e.checkpoints.restored = seq, true
	e.restorePartitions(s.Partitions)
	e.checkpoints.observer.findings.restore(s.Operational)
	retired, err := readRetired(e.opts.Store, e.opts.Set)
	if err != nil {
		return err
	}
	known, missed := retired.update(&s)
	usable := e.restoreRules(known, missed, s.latest())
	if err := e.checkCells(&s, retired, known); err != nil {
		return err
	}
	if err := e.restorePending(usable, retired); err != nil {
		return err
	}
	if err := e.restoreInventory(schema.Instant(s.Inventory)); err != nil {
		return err
	}
	e.checkpoints.retired = retired
	e.checkpoints.write = retired.completing(e.checkpoints.write)
	return nil
}

func (e *Engine) restorePartitions(partitions []partitionState) {
	for _, p := range partitions {
		in := e.inputs[p.Source]
		if in == nil {
			continue // the source left the configuration
		}
		l := e.lanes.add(p.key(), in)
		l.next, l.known, l.final, l.lost = p.Next, p.Known, p.Final, p.Lost
		l.progress = p.progress()
		l.lostLatest = latestOf([]progress{l.progress})
		if p.Heard != 0 {
			l.lastRecord = time.Unix(0, p.Heard)
		}
		l.revoked = true // until the source announces it again
		e.checkpoints.positions[p.key()] = p.Next
	}
}

// progress returns how far the partition had come.
func (p *partitionState) progress() progress {
	out := newProgress()
	out.quantile, out.record, out.floor = schema.Instant(p.Event), schema.Instant(p.Record), schema.Instant(p.Floor)
	out.borrowed = p.Borrowed
	if p.Events == nil { // version 1
		out.latest.Own = out.quantile
		return out
	}
	out.events, out.records, out.latest = *p.Events, *p.Records, *p.LatestOwn
	return out
}

// restoreRules sets each rule's watermark to that of its restored State, and returns the rules whose State is still
// usable, with their places in the Set. A new rule, or one whose shape changed, has seen none of the earlier input; a
// rule that returns has missed the input of its absence. Their findings carry warming_until; findings that are open
// already get it with their next change. latest is the event time up to which everything was read.
func (e *Engine) restoreRules(known map[string]ruleState, missed map[string]bool, latest schema.Instant) (usable map[string]int) {
	usable = map[string]int{}
	c := e.checkpoints
	for i, r := range e.opts.Set.Rules {
		old, ok := known[r.ID]
		if ok {
			// Even if the State starts empty: the earlier input is not read again.
			c.watermark[i], c.warming[i] = schema.Instant(old.Watermark), schema.Instant(old.Warming)
			c.reached[i] = c.watermark[i]
			for _, s := range e.shards {
				s.watermark[i] = c.watermark[i]
			}
		}
		same := ok && old.Shape == hex.EncodeToString(r.Shape[:])
		if same {
			usable[r.ID] = i
			c.ahead[i] = old.Apart
		}
		if (!same || missed[r.ID]) && latest != never && r.Lookback() > 0 {
			c.warming[i] = latest.Add(r.Lookback())
		}
	}
	return usable
}

// checkCells examines the cells in the store if some may be State that a rule could read although no checkpoint records it
// as the rule's: the rule returned after long, or with a shape that it had before. Such State is deleted before anything
// can read it. If the rules are those of the checkpoint, there is none, and no cell is read. In a store of an earlier
// version each cell gets its timer.
func (e *Engine) checkCells(s *engineState, retired *retiredRules, known map[string]ruleState) error {
	old := s.Version < timersVersion
	if s.Sweeping {
		retired.startSweep()
	}
	same := !retired.sweeping
	for id, shape := range retired.shapes {
		same = same && known[id].Shape == shape
	}
	if same && !old {
		for _, s := range e.shards {
			s.lazy = len(retired.rules) == 0
		}
		return nil
	}
	var stale [][]byte
	var timers []store.KV
	err := e.opts.Store.Cells(nil, func(key, value []byte) bool {
		rule, shape, ok := cellShape(key, value)
		switch {
		case !ok:
		case !retired.readable(rule, shape):
			retired.startSweep()
		case retired.shapes[rule] == shape && known[rule].Shape != shape:
			stale = append(stale, key)
		case old:
			if kv, ok := cellTimer(key, value); ok {
				timers = append(timers, kv)
			}
		}
		if len(timers) == staleBatch {
			if err := e.opts.Store.SetTimers(timers); err != nil {
				return false // the write below reports it
			}
			timers = timers[:0]
		}
		return true
	})
	if err == nil && len(timers) > 0 {
		err = e.opts.Store.SetTimers(timers)
	}
	for batch := range slices.Chunk(stale, staleBatch) {
		if err == nil {
			err = e.opts.Store.DropCells(batch)
		}
	}
	return err
}

// staleBatch is the number of cells that are deleted in one write, and of timers that are set in one.
const staleBatch = 10_000

// restorePending gives the cells back the items that were at or above their watermark when the checkpoint was made.
func (e *Engine) restorePending(usable map[string]int, retired *retiredRules) error {
	restartsEmpty := func(rule string) bool {
		_, inSet := retired.shapes[rule]
		_, ok := usable[rule]
		return inSet && !ok
	}
	var damaged, failed error
	err := e.opts.Store.Items(func(seq uint64, items []byte) bool {
		newest := map[int]schema.Instant{}
		useless := false
		damaged = readItems(items, func(rule string, it item.Item) {
			if r, is := retired.rules[rule]; is && it.Time >= schema.Instant(r.Watermark) {
				retired.need(rule, seq)
			}
			useless = useless || restartsEmpty(rule)
			place, ok := usable[rule]
			if !ok || it.Time < e.checkpoints.watermark[place] || e.checkpoints.ahead[place].done(&it, e.rules.programs[place].Hash) {
				return
			}
			it.Rule = place
			if err := e.shards[e.rules.shardOf(&it, len(e.shards))].restoreItem(&it); failed == nil {
				failed = err
			}
			if old, ok := newest[place]; !ok || it.Time > old {
				newest[place] = it.Time
			}
		})
		if useless && damaged == nil {
			retired.removeItems(seq, items, restartsEmpty)
		}
		e.checkpoints.pending = append(e.checkpoints.pending, pendingItems{seq, newest})
		return damaged == nil && failed == nil
	})
	for _, s := range e.shards {
		failed = errors.Join(failed, s.endRestore())
		s.report()
	}
	return errors.Join(err, damaged, failed)
}
