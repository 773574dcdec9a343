package backtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// keepFindings is how long the store of a resumable run keeps its findings, of which the report is made: longer than any run.
const keepFindings = 100 * 365 * 24 * time.Hour

// side is one set of rules with its engine and what it has found so far.
type side struct {
	set     *rules.Set
	engine  *engine.Engine
	store   *store.Store // nil without Resume
	journal *journal     // nil without Resume
	paired  bool         // all findings are kept, to be compared with those of the other side
	ended   bool         // the engine has ended

	mu     sync.Mutex
	counts counts
	err    error                // the first failure to write the journal
	found  map[schema.ID]*found // those that may change, or all if paired
	sums   map[string]*sum      // by rule: the findings that are settled and no longer in found
	total  int64                // findings so far, the withdrawn ones excluded
}

// found is the part of a finding that reports are made of.
type found struct {
	rule, tenant, agent, key, summary string
	severity                          schema.Severity
	status                            schema.Status
	shadow, late                      bool
	version                           int
	count                             int64
	value                             string
	start, first, last                schema.Instant
}

// sum adds up findings of one rule.
type sum struct {
	findings, open, settled, shadow, late, events int64
	days                                          map[int64]int64
	agents                                        map[agentKey]int64
}

// agentKey names an agent; agents of different tenants are different.
type agentKey struct{ tenant, uid string }

// openSide starts an engine for a set. With a folder it continues at the end of the previous run.
func openSide(opts Options, name string, set *rules.Set, f *folder, paired bool) (_ *side, err error) {
	s := &side{set: set, paired: paired, counts: newCounts(), found: map[schema.ID]*found{}, sums: map[string]*sum{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	o := engine.Options{
		Set: set, Inputs: opts.Inputs, Shards: opts.CPU, Workers: opts.CPU, Redact: opts.Redact, Redaction: opts.Redaction,
		Log: opts.Log, Committed: s.committed, Routed: s.routed, Unhurried: true,
	}
	if f != nil {
		if s.store, err = store.Open(filepath.Join(f.dir, name), store.Options{NoSync: true, FindingsKeep: keepFindings}); err != nil {
			return nil, err
		}
		o.Store, o.CheckpointEvery, o.Memory = s.store, resumeEvery, opts.Memory
		if err = s.restore(f.path(name + ".counts")); err != nil {
			return nil, err
		}
	}
	s.engine, err = engine.New(o)
	return s, err
}

// restore reads the findings of the last checkpoint and the counts up to its positions.
func (s *side) restore(file string) error {
	if err := s.store.Findings(store.FindingFilter{}, func(f *schema.Finding) bool {
		s.add(f)
		return true
	}); err != nil {
		return err
	}
	positions, err := engine.Positions(s.store)
	if err != nil {
		return err
	}
	s.journal, s.counts, err = openJournal(file, positions)
	return err
}

// close frees the engine and the store.
func (s *side) close() {
	if s.engine != nil && !s.ended {
		s.ended = true
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // the result is not wanted
		s.engine.Stop(ctx)
	}
	if s.journal != nil {
		s.journal.close()
	}
	if s.store != nil {
		s.store.Close()
	}
}

// failure returns the failure to write the journal, if any.
func (s *side) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("write the progress of the run: %w", s.err)
	}
	return nil
}

// soFar returns the number of findings so far.
func (s *side) soFar() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// routed adds the counts of a batch.
func (s *side) routed(r *engine.Routed) {
	b := countsOf(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal != nil {
		s.err = errors.Join(s.err, s.journal.write(entry{r.Partition, r.Next, r.HighWater, r.Final, b}))
	}
	s.counts.add(&b)
	s.counts.move(r.Partition, r.Next, r.HighWater, r.Final)
}

// committed takes the changes of findings that a checkpoint holds.
func (s *side) committed(entries []connectors.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, en := range entries {
		if en.Finding != nil {
			s.add(en.Finding)
		}
	}
}

// add takes the newest revision of a finding. mu is held, or no other goroutine has s yet.
func (s *side) add(f *schema.Finding) {
	if f.Operational { // about the process of the backtest
		return
	}
	_, known := s.found[f.ID]
	if f.Status == schema.StatusWithdrawn {
		if known {
			s.total--
			delete(s.found, f.ID)
		}
		return
	}
	if !known {
		s.total++
	}
	x := foundOf(f)
	if f.Status == schema.StatusSettled && !s.paired { // it does not change again
		delete(s.found, f.ID)
		addTo(s.sums, x)
		return
	}
	s.found[f.ID] = x
}

// foundOf copies the part of a finding that reports need. Its texts do not keep the finding's other memory alive.
func foundOf(f *schema.Finding) *found {
	key, err := json.Marshal(f.Key) // with sorted names
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &found{
		rule: f.RuleID, tenant: strings.Clone(f.Tenant), agent: strings.Clone(f.AgentUID), key: string(key), summary: strings.Clone(f.Summary),
		severity: f.Severity, status: f.Status, shadow: f.Shadow, late: f.Late, version: f.RuleVersion,
		count: f.Count, value: strings.Clone(string(f.Value)), start: f.GroupStart, first: f.FirstSeen, last: f.LastSeen,
	}
}

// addTo adds a finding to the sum of its rule.
func addTo(sums map[string]*sum, f *found) {
	s := sums[f.rule]
	if s == nil {
		s = &sum{days: map[int64]int64{}, agents: map[agentKey]int64{}}
		sums[f.rule] = s
	}
	s.findings++
	if f.status == schema.StatusOpen {
		s.open++
	} else {
		s.settled++
	}
	if f.shadow {
		s.shadow++
	}
	if f.late {
		s.late++
	}
	s.events += f.count
	s.days[dayOf(f.start)]++
	s.agents[agentKey{f.tenant, f.agent}]++
}

// allSums returns the sums of all findings, those that may still change included.
func (s *side) allSums() map[string]*sum {
	for id, f := range s.found {
		addTo(s.sums, f)
		if !s.paired {
			delete(s.found, id)
		}
	}
	return s.sums
}
