package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// RuleState is the size of the State that a store has of one rule: that of items below the watermark, at the last checkpoint.
type RuleState struct {
	Rule  string `json:"rule"`
	Cells int    `json:"cells"` // group keys
	Keys  int    `json:"keys"`  // keys with State
	Bytes int64  `json:"bytes"` // of the values in the store
}

// StoredState returns the size of the State of each rule in a store, sorted by rule: also of rules that left the Set.
func StoredState(st *store.Store) ([]RuleState, error) {
	byRule := map[string]*RuleState{}
	err := st.Cells(nil, func(key, value []byte) bool {
		rule, _, ok := cellShape(key, value)
		if !ok || len(value) < cellHeadSize {
			return true
		}
		r := byRule[rule]
		if r == nil {
			r = &RuleState{Rule: rule}
			byRule[rule] = r
		}
		r.Cells++
		r.Keys += fold.CountKeys(value[cellHeadSize:])
		r.Bytes += int64(len(value))
		return true
	})
	if err != nil {
		return nil, err
	}
	out := make([]RuleState, 0, len(byRule))
	for _, r := range byRule {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b RuleState) int { return cmp.Compare(a.Rule, b.Rule) })
	return out, nil
}

// KeyLine is the State of one key in a store, as a flat row. Absent numbers are left out.
type KeyLine struct {
	Rule      string            `json:"rule"`
	Kind      string            `json:"kind"`
	Tenant    string            `json:"tenant"`
	Key       map[string]string `json:"key"`      // the values of the rule's by, by name
	Learning  bool              `json:"learning"` // the key is younger than the rule's learning time
	Watermark schema.Instant    `json:"watermark"`
	fold.KeyView
}

// ExportState calls yield with every key of the rules of a Set that the store has State of, until yield returns false; with a
// rule's id, with its keys only. The State is that of items below the watermark, at the last checkpoint. Memory holds one
// cell at a time.
func ExportState(st *store.Store, set *rules.Set, rule string, yield func(*KeyLine) bool) error {
	programs := map[string]*fold.Program{}
	for _, r := range set.Rules {
		if rule == "" || rule == r.ID {
			programs[r.ID] = fold.NewProgram(r)
		}
	}
	if rule != "" && programs[rule] == nil {
		return notActive(rule)
	}
	var damaged error
	err := st.Cells(nil, func(key, value []byte) bool {
		_, id, group, ok := readStoreKey(key)
		p := programs[id]
		if !ok || p == nil {
			return true
		}
		_, body, ok := readCellValue(value, p.Rule)
		if !ok {
			return true // of a former shape, about to be deleted
		}
		cell, err := fold.LoadCell(p, group, body)
		if err != nil {
			damaged = err
			return false
		}
		for _, v := range cell.Keys() {
			if !yield(keyLine(p.Rule, cell, v)) {
				return false
			}
		}
		return true
	})
	return cmp.Or(err, damaged)
}

func keyLine(r *rules.Rule, cell *fold.Cell, v fold.KeyView) *KeyLine {
	line := &KeyLine{
		Rule: r.ID, Kind: string(r.Kind), Tenant: item.TenantOf(cell.Group()), Key: map[string]string{}, Watermark: cell.Watermark(), KeyView: v,
	}
	for i, text := range v.Key {
		if i < len(r.Key) {
			line.Key[r.Key[i].Name] = strings.ToValidUTF8(text, "\uFFFD")
		}
	}
	line.Learning = v.Learns != nil && line.Watermark < *v.Learns
	return line
}

// Export calls ExportState with the store and the rules of the engine.
func (e *Engine) Export(rule string, yield func(*KeyLine) bool) error {
	return ExportState(e.opts.Store, e.opts.Set, rule, yield)
}

func notActive(rule string) error {
	return fmt.Errorf("rule %q is not active: see `aidr rules ls`", rule)
}

// clearAction is the action of the audit entry of ClearState.
const clearAction = "clear"

// ClearState makes a rule forget its State of one group key: see fold.Cell.Clear. The change is an input like a change of
// rules: findings depend on the records and on it. It is durable, with the audit entry that it returns, when ClearState
// returns. who is the person and reason the purpose, both for the audit.
func (e *Engine) ClearState(ctx context.Context, rule string, key map[string]string, who, reason string) (*store.AuditEntry, error) {
	place, group, err := e.cellOf(rule, key)
	if err != nil {
		return nil, err
	}
	entry := &store.AuditEntry{
		Time: schema.InstantOf(e.opts.Clock.Now()), Who: who, Class: schema.AuditState, Action: clearAction, Rule: rule, Key: key, Reason: reason,
	}
	s := e.shards[e.rules.programs[place].Hash(group)%uint64(len(e.shards))]
	answer := make(chan bool, 1)
	select {
	case s.in <- message{call: func(s *shard) { answer <- s.clear(cellKey{place, group}, entry) }}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !<-answer {
		return nil, fmt.Errorf("rule %q remembers nothing of %v", rule, key)
	}
	if err := e.Checkpoint(ctx); err != nil {
		return nil, fmt.Errorf("the State is cleared, and this is not durable yet: %w", err)
	}
	e.opts.Log.Warn("State cleared", "rule", rule, "key", key, "who", who, "reason", reason, "forgotten", string(entry.Detail))
	return entry, nil
}

// cellOf returns the place of an active rule and the group key of the values.
func (e *Engine) cellOf(rule string, key map[string]string) (place int, group string, err error) {
	for i, p := range e.rules.programs {
		if p.Rule.ID == rule {
			group, err := p.GroupKey(key)
			return i, group, err
		}
	}
	return 0, "", notActive(rule)
}

// clear makes a cell forget its State, and completes the audit entry. It returns false if the cell is empty.
func (s *shard) clear(k cellKey, entry *store.AuditEntry) bool {
	c := s.get(k)
	if !c.cell.Remembers() {
		s.release(c)
		return false
	}
	s.touch(c)
	n := c.cell.Clear()
	detail, err := json.Marshal(n)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	entry.Detail = detail
	ch := s.changesOf(k.rule)
	ch.audit = append(ch.audit, *entry)
	return true
}
