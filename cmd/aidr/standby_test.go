package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

// testStandby runs two processes with one group and one state directory. The second waits and reports it. When the first is
// killed, the second resumes from its checkpoint, and the findings are those of an undisturbed run.
func testStandby(t *testing.T, broker *conntest.Kafka) {
	parts := corpus(t, "stood-")
	u := newSetup(t, settings{broker: broker.Addr, topics: createTopics(t, broker.Addr, parts), idle: 8 * time.Second})
	want := replayed(t, u.rules, parts)
	first := u.start()
	await(t, 30*time.Second, "the first is ready", func() error { first.alive(); return isReady(u.listen) })
	fed := feed(newProducer(t, broker.Addr), parts, 12*time.Second)

	listen := freeAddr(t)
	second := start(t, "run", "--config", u.config, "--listen", listen)
	await(t, 30*time.Second, "the second is a standby", func() error { second.alive(); return isStandby(listen) })
	await(t, 30*time.Second, "the first has read half", func() error {
		first.alive()
		n, _, err := metric(u.listen, "aidr_source_records_total")
		if err == nil && n < float64(total(parts)/2) {
			err = fmt.Errorf("%v records are read", n)
		}
		return err
	})
	if err := isReady(u.listen); err != nil {
		t.Errorf("the first, while the second waits: %v", err)
	}
	if err := isStandby(listen); err != nil {
		t.Errorf("the second, while the first reads: %v", err)
	}
	first.kill()
	at := time.Now()
	await(t, 30*time.Second, "the second is ready", func() error { second.alive(); return isReady(listen) })
	t.Logf("the second was ready %v after the first was killed", time.Since(at).Round(time.Millisecond))
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, "all records are read", func() error { second.alive(); return u.readAll(parts) })
	await(t, time.Minute, "the findings are those of the replay", func() error { second.alive(); return u.same(want) })
	if code := second.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	u.receiver.check(t)
}

func isStandby(addr string) error {
	r, err := readyz(addr)
	if err != nil {
		return err
	}
	if c := r.Components["engine"]; r.code != 200 || c.Status != "degraded" || !strings.Contains(c.Reason, "standby") {
		return fmt.Errorf("/readyz: got %d %+v, want an engine that is a standby", r.code, r)
	}
	return nil
}

// total returns the number of records in the corpus.
func total(parts []partition) (n int) {
	for _, p := range parts {
		n += len(p.records)
	}
	return n
}
