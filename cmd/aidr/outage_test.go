package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

const (
	// outageTime is the duration of each outage.
	outageTime = 20 * time.Second
	// outageIdle is longer than an outage, so that a silent partition does not follow the clock.
	outageIdle = 23 * time.Second
)

// TestOutages stops the broker, ClickHouse and the receiver for 20 s each, one after the other, while records arrive. Each
// outage is reported while it lasts, and the findings are those of an undisturbed run. The test has its own broker.
func TestOutages(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a broker and takes minutes")
	}
	t.Parallel()
	broker := conntest.StartKafka(t)
	o := host.Options{Dir: t.TempDir(), Password: "known to both"}
	engine := host.StartForTest(t, o)
	if _, err := fmt.Sscanf(engine.Addr, "127.0.0.1:%d", &o.Port); err != nil {
		t.Fatal(err)
	}
	parts := corpus(t, "away-")
	u := newSetup(t, settings{
		broker: broker.Addr, topics: createTopics(t, broker.Addr, parts), dsn: engine.DSN + "/" + host.TestDatabase(), idle: outageIdle,
	})
	want := replayed(t, u.rules, parts)
	p := u.start()
	fed := feed(newProducer(t, broker.Addr), parts, 3*outageTime+15*time.Second)
	await(t, 30*time.Second, "ready", func() error { p.alive(); return isReady(u.listen) })

	away(t, p, u, "source.logs", nil, func() func() {
		broker.Kill()
		return broker.Restart
	})
	away(t, p, u, "sink.clickhouse", func() error { return waits(u, "clickhouse") }, func() func() {
		engine.Kill()
		return func() { engine = host.StartForTest(t, o) }
	})
	away(t, p, u, "sink.soc", func() error { return waits(u, "soc") }, func() func() {
		u.receiver.answers.Store(500)
		return func() { u.receiver.answers.Store(0) }
	})
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, "all records are read", func() error { p.alive(); return u.readAll(parts) })
	began := time.Now()
	await(t, time.Minute, "the findings are those of the replay", func() error { p.alive(); return u.same(want) })
	t.Logf("settled and delivered %v after the last record", time.Since(began).Round(time.Millisecond))
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	u.receiver.check(t)
	if u.receiver.refused == 0 {
		t.Error("the receiver refused nothing: there was no outage")
	}
}

// away runs one outage of a component: begin stops the component and returns a function that starts it again. During the
// outage, /readyz shows the component with a reason and the metrics show it too; afterwards everything is ok.
func away(t *testing.T, p *process, u *setup, component string, shown func() error, begin func() (back func())) {
	t.Helper()
	over := time.After(outageTime)
	back := begin()
	await(t, outageTime-time.Second, component+" to be reported as degraded", func() error {
		p.alive()
		if err := isDegraded(u.listen, component); err != nil {
			return err
		}
		if err := metricIs(u.listen, 1, "aidr_component_health", fmt.Sprintf("component=%q", component)); err != nil || shown == nil {
			return err
		}
		return shown()
	})
	<-over
	if err := isDegraded(u.listen, component); err != nil {
		t.Errorf("at the end of the outage: %v", err)
	}
	back()
	began := time.Now()
	defer func() { t.Logf("%s was ok %v after it was back", component, time.Since(began).Round(time.Millisecond)) }()
	await(t, time.Minute, component+" is back", func() error { p.alive(); return isReady(u.listen) })
}

// isDegraded returns an error unless /readyz answers 200 and shows the component as degraded, with a reason.
func isDegraded(addr, component string) error {
	r, err := readyz(addr)
	if err != nil {
		return err
	}
	c := r.Components[component]
	if r.code != 200 || r.Status != "degraded" || c.Status != "degraded" || strings.TrimSpace(c.Reason) == "" || c.Since.IsZero() {
		return fmt.Errorf("/readyz: got %d %+v, want degraded with a reason for %s", r.code, r, component)
	}
	return nil
}

// waits returns an error unless the metrics show entries that have waited for a sink for some seconds.
func waits(u *setup, sink string) error {
	label := fmt.Sprintf("sink=%q", sink)
	oldest, _, err := metric(u.listen, "aidr_outbox_oldest_seconds", label)
	if err != nil {
		return err
	}
	entries, _, err := metric(u.listen, "aidr_outbox_entries", label)
	if err == nil && (oldest < 5 || entries == 0) {
		err = fmt.Errorf("%s: %v entries wait, the oldest for %v s", sink, entries, oldest)
	}
	return err
}
