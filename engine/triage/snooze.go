package triage

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// MaxSnooze is the longest time of a snooze. A longer one would be an exception of a rule, which belongs in its file.
	MaxSnooze = 30 * 24 * time.Hour
	// MaxSnoozes is the number of snoozes at one time. Each delivery is compared with all of them.
	MaxSnoozes = 1000
	// maxSnoozeText is the length of the longest text of a snooze, in bytes.
	maxSnoozeText = 2 << 10
	// maxSnoozeKeys is the number of fields of the group key that a snooze may name.
	maxSnoozeKeys = 16
	// keepSnooze is how long a snooze that has ended stays in the list, so that its count is seen.
	keepSnooze = 7 * 24 * time.Hour
)

// ErrNoSnooze is returned for an unknown snooze.
var ErrNoSnooze = errors.New("no snooze has this id, or it has ended: see `aidr findings snoozes`")

// SnoozeSpec selects the findings of a snooze: those for which all fields that are set have the value. At least one of Rule,
// Agent and Finding is set.
type SnoozeSpec struct {
	Rule    string            `json:"rule,omitempty"`
	Agent   string            `json:"agent,omitempty"`  // uid
	Tenant  *string           `json:"tenant,omitempty"` // nil: any
	Finding schema.ID         `json:"finding,omitzero"`
	Key     map[string]string `json:"key,omitempty"` // fields of the group key
}

// Snooze holds back the deliveries of findings to endpoints, for a time. The findings are in the store and in the tables.
type Snooze struct {
	ID string `json:"id"` // 16 hex digits
	SnoozeSpec
	Since   schema.Instant `json:"since"`
	Until   schema.Instant `json:"until"`
	By      string         `json:"by"`
	Reason  string         `json:"reason"`
	Ended   schema.Instant `json:"ended,omitzero"` // before Until, by a person
	EndedBy string         `json:"ended_by,omitempty"`
	Held    int64          `json:"held"` // deliveries that it held back since this process started
}

func (s *Snooze) active(now schema.Instant) bool { return s.Ended == 0 && now < s.Until }

// Matches reports whether a snooze of the spec selects a finding.
func (s *SnoozeSpec) Matches(f *schema.Finding) bool {
	if s.Rule != "" && s.Rule != f.RuleID || s.Agent != "" && s.Agent != f.AgentUID || s.Tenant != nil && *s.Tenant != f.Tenant ||
		!s.Finding.IsZero() && s.Finding != f.ID {
		return false
	}
	for name, value := range s.Key {
		if got, ok := f.Key[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// snoozes are the snoozes of a table.
type snoozes struct {
	mu   sync.Mutex // one change at a time
	list atomic.Pointer[[]*liveSnooze]
	held atomic.Int64 // by snoozes that are not in the list any more too
}

type liveSnooze struct {
	Snooze
	held *atomic.Int64
}

func (l *snoozes) load(s *store.Store) error {
	var list []*liveSnooze
	var damaged error
	err := s.Snoozes(func(id string, body []byte) bool {
		x := &liveSnooze{held: new(atomic.Int64)}
		if damaged = json.Unmarshal(body, &x.Snooze); damaged != nil {
			damaged = fmt.Errorf("read snooze %q: %w", id, damaged)
		}
		list = append(list, x)
		return damaged == nil
	})
	sortSnoozes(list)
	l.list.Store(&list)
	return errors.Join(err, damaged)
}

func sortSnoozes(list []*liveSnooze) {
	slices.SortStableFunc(list, func(a, b *liveSnooze) int {
		if a.Since != b.Since {
			return int(min(max(a.Since-b.Since, -1), 1))
		}
		return strings.Compare(a.ID, b.ID)
	})
}

// Holds reports whether a snooze holds back the delivery of an entry, and counts it. It takes no lock. Entries about the
// process itself are never held back.
func (t *Table) Holds(e *connectors.Entry) bool {
	f := e.Finding
	list := *t.snoozes.list.Load()
	if f == nil || len(list) == 0 || f.Operational {
		return false
	}
	now := t.now()
	for _, s := range list {
		if s.active(now) && s.Matches(f) {
			s.held.Add(1)
			t.snoozes.held.Add(1)
			return true
		}
	}
	return false
}

// Held returns the number of deliveries that were held back since the start.
func (t *Table) Held() int64 { return t.snoozes.held.Load() }

// Snooze adds a snooze, durably, with an entry in the audit.
func (t *Table) Snooze(spec SnoozeSpec, lasts time.Duration, reason string, who Actor) (*Snooze, error) {
	if err := spec.check(lasts, reason, &who); err != nil {
		return nil, err
	}
	t.snoozes.mu.Lock()
	defer t.snoozes.mu.Unlock()
	now := t.now()
	random := make([]byte, 8)
	rand.Read(random)
	x := &liveSnooze{held: new(atomic.Int64), Snooze: Snooze{
		ID: hex.EncodeToString(random), SnoozeSpec: spec, Since: now, Until: now.Add(lasts), By: who.Name, Reason: reason,
	}}
	var keep []*liveSnooze
	var kvs []store.KV
	active := 0
	for _, s := range *t.snoozes.list.Load() {
		if s.active(now) {
			active++
		} else if max(s.Ended, s.Until) < now.Sub(keepSnooze) {
			kvs = append(kvs, store.KV{Key: []byte(s.ID)})
			continue
		}
		keep = append(keep, s)
	}
	if active >= MaxSnoozes {
		return nil, fmt.Errorf("there are %d snoozes, which is the limit: end some", active)
	}
	if err := t.saveSnooze(&x.Snooze, nil, kvs, "snooze", reason, who); err != nil {
		return nil, err
	}
	keep = append(keep, x)
	sortSnoozes(keep)
	t.snoozes.list.Store(&keep)
	return &x.Snooze, nil
}

func (s *SnoozeSpec) check(lasts time.Duration, reason string, who *Actor) error {
	texts := []string{s.Rule, s.Agent, reason}
	for k, v := range s.Key {
		texts = append(texts, k, v)
	}
	switch {
	case s.Rule == "" && s.Agent == "" && s.Finding.IsZero():
		return errors.New("the snooze would hold back everything: name a rule, an agent or a finding")
	case lasts <= 0 || lasts > MaxSnooze:
		return fmt.Errorf("a snooze has an end: for must be above 0 and at most %d days", MaxSnooze/(24*time.Hour))
	case strings.TrimSpace(reason) == "":
		return errors.New("the reason is missing: the audit needs one")
	case len(reason) > schema.MaxReason:
		return fmt.Errorf("the reason is longer than %d bytes", schema.MaxReason)
	case len(s.Key) > maxSnoozeKeys:
		return fmt.Errorf("the key has more than %d fields", maxSnoozeKeys)
	case slices.ContainsFunc(texts, func(text string) bool { return len(text) > maxSnoozeText }):
		return fmt.Errorf("a text is longer than %d bytes", maxSnoozeText)
	case s.Tenant == nil && !who.sees("") || s.Tenant != nil && !who.sees(*s.Tenant):
		return errors.New("the caller is limited to one tenant: name it as tenant")
	}
	return nil
}

// Wake ends a snooze before its time.
func (t *Table) Wake(id, reason string, who Actor) (*Snooze, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > schema.MaxReason {
		return nil, fmt.Errorf("the reason is missing, or longer than %d bytes", schema.MaxReason)
	}
	t.snoozes.mu.Lock()
	defer t.snoozes.mu.Unlock()
	now := t.now()
	list := slices.Clone(*t.snoozes.list.Load())
	at := slices.IndexFunc(list, func(s *liveSnooze) bool { return s.ID == id && s.active(now) && who.seesSnooze(&s.Snooze) })
	if at < 0 {
		return nil, fmt.Errorf("%q: %w", schema.Truncate(id, 64), ErrNoSnooze)
	}
	next := &liveSnooze{Snooze: list[at].Snooze, held: list[at].held}
	next.Ended, next.EndedBy = now, who.Name
	if err := t.saveSnooze(&next.Snooze, &list[at].Snooze, nil, "wake", reason, who); err != nil {
		return nil, err
	}
	list[at] = next
	t.snoozes.list.Store(&list)
	out := next.Snooze
	out.Held = next.held.Load()
	return &out, nil
}

func (a *Actor) seesSnooze(s *Snooze) bool {
	if s.Tenant == nil {
		return a.sees("")
	}
	return a.sees(*s.Tenant)
}

// saveSnooze makes a snooze durable. The mutex of the snoozes is held.
func (t *Table) saveSnooze(s, before *Snooze, drop []store.KV, action, reason string, who Actor) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{
		Time: t.now(), Who: who.Name, Token: who.Token, Class: schema.AuditTriage, Action: action, Object: s.ID, Rule: s.Rule, Reason: reason, After: body,
	}
	if s.Tenant != nil {
		entry.Tenant = *s.Tenant
	}
	if before != nil {
		if entry.Before, err = json.Marshal(before); err != nil {
			return err
		}
	}
	err = t.store.Apply(&store.Change{Snoozes: append(drop, store.KV{Key: []byte(s.ID), Value: body}), Audit: []store.AuditEntry{entry}})
	if err != nil {
		return fmt.Errorf("write the snooze: %w", err)
	}
	t.notify()
	return nil
}

// Snoozes returns the snoozes that an actor sees, those of the last week that have ended too, the oldest first.
func (t *Table) Snoozes(who Actor) []Snooze {
	now := t.now()
	out := []Snooze{}
	for _, s := range *t.snoozes.list.Load() {
		if !who.seesSnooze(&s.Snooze) || max(s.Ended, s.Until) < now.Sub(keepSnooze) {
			continue
		}
		x := s.Snooze
		x.Held = s.held.Load()
		out = append(out, x)
	}
	return out
}
