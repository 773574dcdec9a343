package pipeline

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// everything is a rule without datasets that every event of other sources matches.
const everything = `id: test.everything
title: Everything
severity: low
confidence: 50
when: event.action != ""
group: {for: 1h, by: [event.dataset]}
`

// TestCanary checks that synthetic events come through to the endpoint of the canary alone, match no other rule, are not in
// the inventory, and that a delivery that does not arrive is an operational finding.
func TestCanary(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": everything, "log": event(1, "leak", "a") + "\n"})
	soc, ops := newEndpoint(t), newEndpoint(t)
	ops.Name = "ops"
	cfg := fileConfig(t, filepath.Join(dir, "a.yaml"), soc, true, filepath.Join(dir, "log"))
	cfg.Sinks.Webhooks = append(cfg.Sinks.Webhooks, ops.Webhook)
	cfg.Canary = config.Canary{Every: 200 * time.Millisecond, Within: 3 * time.Second, Endpoints: []string{"ops"}}
	x := start(t, cfg)
	wait(t, "canaries at ops", func() bool { return canaries(ops) >= 3 })
	wait(t, "a canary that is complete", func() bool {
		s := x.canaryStatus()
		return s != nil && s.Last != nil && !s.Last.Found.IsZero() && !s.Last.Delivered["ops"].IsZero() && s.Missing == ""
	})
	if n := canaries(soc); n != 0 {
		t.Errorf("%d canaries were delivered to soc, want none", n)
	}
	soc.await(t, "test.everything a 1") // one finding, of the log alone
	inv, err := x.inventory()
	if err != nil {
		t.Fatal(err)
	}
	agents := 0
	if err := inv.Entities(inventory.Agent, func(e *inventory.Entity) bool {
		if agents++; e.Name != "a" {
			t.Errorf("the inventory has %q", e.Name)
		}
		return true
	}); err != nil || agents != 1 {
		t.Errorf("%d agents, %v", agents, err)
	}

	ops.refuse(true)
	wait(t, "the finding of a missing canary", func() bool {
		for _, f := range x.Status().Operational {
			if f.Rule == "aidr.canary-missing" {
				return strings.Contains(f.Summary, "no delivery to ops")
			}
		}
		return false
	})
	if s := x.canaryStatus(); s.Missing == "" || s.Waiting == 0 {
		t.Errorf("the status is %+v", s)
	}
	ops.refuse(false)
	wait(t, "the end of it", func() bool { return x.canaryStatus().Missing == "" })
	x.stop()
}

// canaries returns the number of canaries that an endpoint got.
func canaries(e *endpoint) (n int) {
	for _, s := range e.seen() {
		if strings.HasPrefix(s, CanaryRule) {
			n++
		}
	}
	return n
}

// TestCanaryWithoutEndpoints checks that nothing is delivered then, and that detection is watched.
func TestCanaryWithoutEndpoints(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": leak, "log": event(1, "leak", "a") + "\n"})
	e := newEndpoint(t)
	cfg := fileConfig(t, filepath.Join(dir, "a.yaml"), e, true, filepath.Join(dir, "log"))
	cfg.Canary = config.Canary{Every: 200 * time.Millisecond, Within: 30 * time.Second}
	x := start(t, cfg)
	wait(t, "a canary that is complete", func() bool { s := x.canaryStatus(); return s != nil && s.Last != nil })
	e.await(t, "test.leak a 1")
	first := x.canaryStatus().Last.Event
	if err := x.Reload(t.Context()); err != nil { // the canary goes on with the next engine
		t.Fatal(err)
	}
	wait(t, "another one after a reload", func() bool { return x.canaryStatus().Last.Event != first })
	x.stop()
}

const onAudit = `id: test.token-made
title: A token was made
severity: high
confidence: 50
datasets: [aidr.audit]
when: event.action == "token.create"
group: {for: 1h, by: [resource.id]}
`

// TestAuditDataset checks that rules match the audit, from a position of its own that outlives the process, and not triage.
func TestAuditDataset(t *testing.T) {
	rule := onAudit
	dir := folder(t, map[string]string{"a.yaml": rule, "b.yaml": strings.NewReplacer("test.token-made", "test.triage", `"token.create"`, `"triage.ack"`).Replace(rule),
		"log": event(1, "leak", "a") + "\n"})
	e := newEndpoint(t)
	cfg := fileConfig(t, dir, e, true, filepath.Join(dir, "log"))
	cfg.Rules = []string{filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")}
	for run := range 2 {
		x := start(t, cfg)
		wait(t, "the start", func() bool { return x.tokens() != nil })
		if _, _, err := x.tokens().Create(access.TokenSpec{Name: fmt.Sprint("t", run), Scopes: access.All()}, access.Owner(1)); err != nil {
			t.Fatal(err)
		}
		if err := x.opened.store.Apply(&store.Change{Audit: []store.AuditEntry{{Class: schema.AuditTriage, Action: "triage.ack", Time: schema.InstantOf(time.Now())}}}); err != nil {
			t.Fatal(err)
		}
		wait(t, "the finding", func() bool { return len(e.seen()) == run+1 })
		x.stop()
	}
	for _, s := range e.seen() {
		if !strings.HasPrefix(s, "test.token-made") || !strings.HasSuffix(s, " 1") {
			t.Errorf("got %s: an entry was read twice, or triage was", s)
		}
	}
}
