package pipeline

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// canaryFiles holds the rule of the canary.
//
//go:embed canary/*.yaml
var canaryFiles embed.FS

// CanaryRule is the id of the rule whose findings show that detection works.
const CanaryRule = "canary.alive"

// maxCanaries is the number of canaries that are watched at one time.
const maxCanaries = 64

// canary makes a synthetic event on a schedule, and watches for its finding and for the deliveries of it. What it knows is
// lost with the process: a restart begins with a new event.
type canary struct {
	config config.Canary
	now    func() time.Time

	mu        sync.Mutex
	last      time.Time
	flying    []*flight // those that are not complete, the oldest first
	completed *flight   // the latest that is
	wanted    bool      // an event is to be made at once
}

// flight is the way of one event.
type flight struct {
	id        string
	at, found time.Time
	seq       uint64               // of the finding in the outbox
	dead      uint64               // number of the first dead letter that may be its delivery
	delivered map[string]time.Time // by endpoint
}

// newCanary returns the canary of a configuration, or nil.
func newCanary(c config.Canary, now func() time.Time) *canary {
	if c.Every == 0 {
		return nil
	}
	return &canary{config: c, now: now}
}

// folder returns the rule of the canary. Without endpoints its findings are those of a shadow rule, which are not delivered.
func (c *canary) folder() rules.Folder {
	text, err := canaryFiles.ReadFile("canary/canary.yaml")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if len(c.config.Endpoints) == 0 {
		text = append(text, "status: shadow\n"...)
	} else {
		text = append(text, "respond:\n  - notify: ["+strings.Join(c.config.Endpoints, ", ")+"]\n"...)
	}
	return rules.Folder{Name: "canary", FS: fstest.MapFS{"canary.yaml": {Data: text}}}
}

// records implements the next of a feed: one event when it is due.
func (c *canary) records(_ *opened, from int64) (records []string, after int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.wanted && !c.last.IsZero() && now.Sub(c.last) < c.config.Every {
		return nil, from, nil
	}
	c.wanted, c.last = false, now
	f := &flight{id: fmt.Sprintf("canary-%d", now.UnixNano()), at: now, delivered: map[string]time.Time{}}
	b, err := json.Marshal(map[string]any{
		"time": schema.InstantOf(now), "event.dataset": schema.DatasetCanary, "event.class": "audit", "event.action": "canary", "event.id": f.id,
	})
	if err != nil {
		return nil, from, err
	}
	c.flying = append(c.flying, f)
	c.flying = c.flying[max(0, len(c.flying)-maxCanaries):]
	return []string{string(b)}, from + 1, nil
}

// committed notes the findings of the canary in a checkpoint.
func (c *canary) committed(entries []connectors.Entry) {
	for i := range entries {
		e := &entries[i]
		if e.Finding == nil || e.Finding.RuleID != CanaryRule {
			continue
		}
		c.mu.Lock()
		for _, f := range c.flying {
			if f.found.IsZero() && e.Finding.Key["event.id"] == f.id {
				f.found, f.seq = c.now(), e.Seq
			}
		}
		c.mu.Unlock()
	}
}

// observe notes the deliveries, and reports whether a canary is missing: its finding or a delivery did not come in time.
func (c *canary) observe(s *store.Store, now time.Time) (missing bool, since time.Time, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.flying[:0]
	for _, f := range c.flying {
		absent := c.absent(s, f, now)
		if len(absent) == 0 {
			c.completed = f
			continue
		}
		open = append(open, f)
		if now.Sub(f.at) >= c.config.Within && !missing {
			missing, since = true, f.at
			why = fmt.Sprintf("the synthetic event of %s has no %s after %v", f.at.UTC().Format(time.RFC3339), strings.Join(absent, ", no "), c.config.Within)
		}
	}
	c.flying = open
	if c.completed != nil { // an older one that is lost does not matter once a newer one came through
		c.flying = slices.DeleteFunc(c.flying, func(f *flight) bool { return f.at.Before(c.completed.at) })
		if missing && since.Before(c.completed.at) {
			missing = false
		}
	}
	return missing, since, why
}

// absent returns what has not come of an event yet. c.mu is held.
func (c *canary) absent(s *store.Store, f *flight, now time.Time) (absent []string) {
	if f.found.IsZero() {
		f.dead = s.NextDeadLetter()
		return []string{"finding"}
	}
	for _, name := range c.config.Endpoints {
		if !f.delivered[name].IsZero() {
			continue
		}
		st, ok := s.Sink(name)
		if !ok || st.Cursor <= f.seq || slices.ContainsFunc(st.Retries, func(r store.Retry) bool { return r.Seq == f.seq }) || isDead(s, name, f) {
			absent = append(absent, fmt.Sprintf("delivery to %s", name))
			continue
		}
		f.delivered[name] = now
	}
	return absent
}

// maxDead is the number of dead letters that are searched for a delivery. In a flood of them, no delivery of it is sure.
const maxDead = 1000

// isDead reports whether a delivery became a dead letter.
func isDead(s *store.Store, sink string, f *flight) bool {
	end := s.NextDeadLetter()
	for seq := f.dead; seq < end; seq++ {
		l, ok, err := s.DeadLetter(seq)
		if err != nil || seq-f.dead >= maxDead || ok && l.Sink == sink && l.Entry == f.seq {
			return true
		}
	}
	return false
}

// status returns the state that `aidr canary` shows.
func (c *canary) status(s *store.Store) api.Canary {
	now := c.now()
	missing, _, why := c.observe(s, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	out := api.Canary{Every: c.config.Every.String(), Within: c.config.Within.String(), Endpoints: c.config.Endpoints, Sent: c.last, Waiting: len(c.flying)}
	if missing {
		out.Missing = why
	}
	if f := c.completed; f != nil {
		out.Last = &api.CanaryFlight{Event: f.id, Sent: f.at, Found: f.found, Delivered: maps.Clone(f.delivered)}
	}
	return out
}

// send makes the next event come at once.
func (c *canary) send() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = true
}
