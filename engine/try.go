package engine

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Trial is what an event would change in the State of one group key of a rule.
type Trial struct {
	Tenant string            `json:"tenant,omitempty"`
	Group  map[string]string `json:"group"` // the values of group.by, by name
	// Late is true if the event is below the watermark, so that a rule with State would only count it.
	Late     bool              `json:"late"`
	Before   []fold.KeyView    `json:"before"`
	After    []fold.KeyView    `json:"after"`
	Findings []*schema.Finding `json:"findings"` // that the event would open or change
}

// ItemsOf returns the items that a rule of a Set has of an event, as an engine with these Options captures them. Only Set,
// Redact and Redaction count. roles are the roles that the event matches.
func ItemsOf(opts Options, rule int, e *schema.Event, roles uint32) (items []item.Item) {
	c := newCapturer(opts.Set, opts.withDefaults())
	c.BeginBatch()
	c.BeginEvent()
	plan := newRuleSet(opts.Set, nil).plans[rule]
	c.Capture(plan, rule, e, roles, opts.Set.NewScratch(), func(it *item.Item) { items = append(items, *it) })
	return items
}

// Try returns what items of an event would change in the State of an engine. It changes nothing.
func (e *Engine) Try(ctx context.Context, rule string, items []item.Item) (trials []Trial, err error) {
	place := -1
	for i := range e.rules.programs {
		if e.rules.id(i) == rule {
			place = i
		}
	}
	if place < 0 {
		return nil, notActive(rule)
	}
	p := e.rules.programs[place]
	for i := range items {
		it := &items[i]
		answer := make(chan error, 1)
		var t Trial
		call := func(s *shard) {
			var err error
			t, err = try(p, s.get(cellKey{place, it.Group}).cell, it)
			answer <- err
		}
		select {
		case e.shards[p.Hash(it.Group)%uint64(len(e.shards))].in <- message{call: call}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := <-answer; err != nil {
			return nil, err
		}
		trials = append(trials, t)
	}
	return trials, nil
}

// TryStored is Try for the State in a store that no engine has open.
func TryStored(st *store.Store, set *rules.Set, rule string, items []item.Item) (trials []Trial, err error) {
	for _, r := range set.Rules {
		if r.ID != rule {
			continue
		}
		p := fold.NewProgram(r)
		for i := range items {
			cell, err := storedCell(st, p, items[i].Group)
			if err != nil {
				return nil, err
			}
			t, err := try(p, cell, &items[i])
			if err != nil {
				return nil, err
			}
			trials = append(trials, t)
		}
		return trials, nil
	}
	return nil, notActive(rule)
}

// storedCell reads a cell of a store, with its pending items. It is empty if the last checkpoint has none of the rule's shape.
func storedCell(st *store.Store, p *fold.Program, group string) (*fold.Cell, error) {
	last, ok, err := storedRule(st, p.Rule)
	if err != nil || !ok {
		return fold.NewCell(p, group), err
	}
	watermark := schema.Instant(last.Watermark)
	value, err := st.Cell(storeKey(p, group))
	if err != nil {
		return nil, err
	}
	cell := fold.NewCell(p, group)
	if _, body, ok := readCellValue(value, p.Rule); ok {
		if cell, err = fold.LoadCell(p, group, body); err != nil {
			return nil, err
		}
	}
	cell.Advance(watermark)
	var damaged error
	err = st.Items(func(_ uint64, items []byte) bool {
		damaged = readItems(items, func(rule string, it item.Item) {
			if rule == p.Rule.ID && it.Group == group && it.Time >= watermark && !last.Apart.done(&it, p.Hash) {
				cell.Add(&it)
			}
		})
		return damaged == nil
	})
	return cell, errors.Join(err, damaged)
}

// storedRule returns a rule as the last checkpoint has it; ok is false if that does not have the rule with its shape.
func storedRule(st *store.Store, r *rules.Rule) (last ruleState, ok bool, err error) {
	_, state, ok, err := st.Last()
	if err != nil || !ok {
		return last, false, err
	}
	var s engineState
	if err := json.Unmarshal(state, &s); err != nil {
		return last, false, fmt.Errorf("read the checkpoint's positions: %w", err)
	}
	for i := range s.Rules {
		if s.Rules[i].ID == r.ID && s.Rules[i].Shape == hex.EncodeToString(r.Shape[:]) {
			return s.Rules[i], true, nil
		}
	}
	return last, false, nil
}

// try adds an item to a copy of a cell.
func try(p *fold.Program, cell *fold.Cell, it *item.Item) (Trial, error) {
	t := Trial{Tenant: item.TenantOf(it.Group), Group: p.KeyMap(it.Group), Before: cell.Keys(), Late: it.Time < cell.Watermark()}
	after, err := cell.Clone()
	if err != nil {
		return t, fmt.Errorf("copy the State: %w", err)
	}
	known := map[schema.ID]int64{}
	cell.Findings(func(f *schema.Finding) { known[f.ID] = f.Count })
	after.Add(it)
	t.After = after.Keys()
	after.Findings(func(f *schema.Finding) {
		if n, ok := known[f.ID]; !ok || n != f.Count {
			t.Findings = append(t.Findings, f)
		}
	})
	return t, nil
}
