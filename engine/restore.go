package engine

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/schema"
)

// restore brings the engine to the state of its last checkpoint: positions and watermarks, the timers of the cells in
// the store (which themselves are read when they are needed), and the items that are still pending. It runs before any
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
	if err := e.restoreTimers(retired, known); err != nil {
		return err
	}
	if err := e.restorePending(usable, retired); err != nil {
		return err
	}
	e.checkpoints.write = retired.completing(e.checkpoints.write)
	e.checkpoints.retired = retired
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
		}
		if (!same || missed[r.ID]) && latest != never && r.Lookback() > 0 {
			c.warming[i] = latest.Add(r.Lookback())
		}
	}
	return usable
}

// restoreTimers sets a timer for each cell in the store. Some State could be read by a rule although no checkpoint
// records it as the rule's: the rule returned after long, or with a shape that it had before. Such State is deleted
// before anything can read it.
func (e *Engine) restoreTimers(retired *retiredRules, known map[string]ruleState) error {
	places := map[string]int{}
	for i, r := range e.opts.Set.Rules {
		places[r.ID] = i
	}
	var stale [][]byte
	err := e.opts.Store.Cells(nil, func(key, value []byte) bool {
		rule, shape, ok := cellShape(key, value)
		switch {
		case !ok:
		case !retired.readable(rule, shape):
			retired.startSweep()
		case retired.shapes[rule] != shape: // State of a retired rule, which may return
		case known[rule].Shape != shape:
			stale = append(stale, key)
		default:
			e.restoreTimer(places[rule], key, value)
		}
		return true
	})
	for batch := range slices.Chunk(stale, staleBatch) {
		if err == nil {
			err = e.opts.Store.DropCells(batch)
		}
	}
	return err
}

// staleBatch is the number of cells that are deleted in one write.
const staleBatch = 10_000

func (e *Engine) restoreTimer(rule int, key, value []byte) {
	hash, _, group, _ := readStoreKey(key)
	at, _, ok := readCellValue(value, e.opts.Set.Rules[rule])
	if ok && at != noWake {
		e.shards[hash%uint64(len(e.shards))].setTimer(cellKey{rule, group}, at)
	}
}

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
			if !ok || it.Time < e.checkpoints.watermark[place] {
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
		failed = errors.Join(failed, s.writeUnpaged())
		s.report()
	}
	return errors.Join(err, damaged, failed)
}
