package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// maxListed is the number of rules that an audit entry lists of each kind of change.
const maxListed = 100

// maxLooked is the number of audit entries that are searched for the last setup: a tenth of a second. If it is older, the setup is
// entered again.
const maxLooked = 20_000

// The actions of the audit entries of the setup.
const (
	actionStart  = "start"  // a process runs with another setup than the last one
	actionReload = "reload" // the setup changed while a process runs
)

// setup is what the audit keeps of rules and of the configuration. It holds digests in place of the content, because values may be secrets.
type setup struct {
	Digest string `json:"digest"` // SHA-256, hex
	Rules  int    `json:"rules,omitempty"`
}

// changedRules lists the rules that differ between two sets.
type changedRules struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`
	More    int      `json:"more,omitempty"` // not listed
}

func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// rulesSetup returns what the audit keeps of a set.
func rulesSetup(set *Set) setup {
	var parts []string
	for _, r := range set.Rules {
		parts = append(parts, r.ID, string(r.Digest[:]))
	}
	return setup{Digest: digestOf(parts...), Rules: len(set.Rules)}
}

// exceptionsOf returns a text that is equal for rules with the same exceptions.
func exceptionsOf(r *rules.Rule) string {
	var parts []string
	for i := range r.Exceptions {
		x := &r.Exceptions[i]
		parts = append(parts, x.Cond.Text(), x.Reason, x.Owner, x.Until.String())
	}
	return digestOf(parts...)
}

// compareSets lists the rules that differ, and those whose exceptions do.
func compareSets(before, after *Set) (changed, exceptions changedRules) {
	old := map[string]*rules.Rule{}
	for _, r := range before.Rules {
		old[r.ID] = r
	}
	for _, r := range after.Rules {
		was := old[r.ID]
		delete(old, r.ID)
		switch {
		case was == nil:
			changed.Added = append(changed.Added, r.ID)
		case was.Digest != r.Digest:
			changed.Changed = append(changed.Changed, r.ID)
			if exceptionsOf(was) != exceptionsOf(r) {
				exceptions.Changed = append(exceptions.Changed, r.ID)
			}
		}
	}
	for id := range old {
		changed.Removed = append(changed.Removed, id)
	}
	changed.bound()
	exceptions.bound()
	return changed, exceptions
}

func (c *changedRules) bound() {
	for _, list := range []*[]string{&c.Added, &c.Removed, &c.Changed} {
		slices.Sort(*list)
		if n := len(*list) - maxListed; n > 0 {
			*list, c.More = (*list)[:maxListed], c.More+n
		}
	}
}

func (c *changedRules) empty() bool { return len(c.Added)+len(c.Removed)+len(c.Changed) == 0 }

// operator returns the origin of changes of files: the user of the process that reads them.
func operator() string { return fmt.Sprintf("uid %d", os.Getuid()) }

// auditSetup adds an entry for each part of the setup that differs from the one that the audit has last: a process that
// starts with other rules or another configuration is a change too.
func (p *Pipeline) auditSetup(s *store.Store, cfg *config.Config, set *Set) {
	latest := map[schema.AuditClass]json.RawMessage{}
	read := 0
	err := s.LatestAudit(func(a *store.AuditEntry) bool {
		if _, known := latest[a.Class]; !known && (a.Class == schema.AuditRules || a.Class == schema.AuditConfiguration) {
			latest[a.Class] = a.After
		}
		read++
		return len(latest) < 2 && read < maxLooked
	})
	if err != nil {
		p.log.Error("the audit cannot be read", "error", err)
		return
	}
	var entries []store.AuditEntry
	for _, x := range []struct {
		class schema.AuditClass
		now   setup
	}{{schema.AuditRules, rulesSetup(set)}, {schema.AuditConfiguration, setup{Digest: config.Digest(cfg)}}} {
		after := jsonOf(x.now)
		if string(latest[x.class]) != string(after) {
			entries = append(entries, store.AuditEntry{Class: x.class, Action: actionStart, Before: latest[x.class], After: after})
		}
	}
	p.addAudit(s, entries)
}

// auditReload adds entries about a reload of the rules.
func (p *Pipeline) auditReload(s *store.Store, before, after *Set) {
	changed, exceptions := compareSets(before, after)
	was, is := rulesSetup(before), rulesSetup(after)
	if was == is {
		return
	}
	entries := []store.AuditEntry{{Class: schema.AuditRules, Action: actionReload, Before: jsonOf(was), After: jsonOf(is), Detail: jsonOf(changed)}}
	if !exceptions.empty() {
		entries = append(entries, store.AuditEntry{Class: schema.AuditException, Action: actionReload, Before: jsonOf(was), After: jsonOf(is), Detail: jsonOf(exceptions)})
	}
	p.addAudit(s, entries)
}

// auditConfig adds an entry about a reload of the configuration that changed keys.
func (p *Pipeline) auditConfig(before, after *config.Config, applied, restart []string) {
	p.mu.Lock()
	o := p.opened
	p.mu.Unlock()
	if o == nil || len(applied)+len(restart) == 0 {
		return
	}
	p.addAudit(o.store, []store.AuditEntry{{
		Class: schema.AuditConfiguration, Action: actionReload, Before: jsonOf(setup{Digest: config.Digest(before)}),
		After: jsonOf(setup{Digest: config.Digest(after)}), Detail: jsonOf(struct {
			Applied []string `json:"applied,omitempty"`
			Restart []string `json:"restart_needed,omitempty"`
		}{applied, restart}),
	}})
}

// addAudit makes entries of this process durable. They do not keep a reload from being applied: an error is logged.
func (p *Pipeline) addAudit(s *store.Store, entries []store.AuditEntry) {
	if len(entries) == 0 {
		return
	}
	for i := range entries {
		entries[i].Time, entries[i].Who = schema.InstantOf(now()), cmp.Or(entries[i].Who, operator())
	}
	if err := s.Apply(&store.Change{Audit: entries}); err != nil {
		p.log.Error("a change is not in the audit", "action", entries[0].Action, "class", entries[0].Class, "error", err)
	}
}

func jsonOf(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return b
}
