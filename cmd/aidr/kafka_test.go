package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// TestKafka runs the whole product as processes against a real broker. The subtests share the broker; each has its own
// topics, consumer group and database.
func TestKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a broker and takes minutes")
	}
	t.Parallel()
	broker := conntest.StartKafka(t)
	t.Run("findings", func(t *testing.T) { testFindings(t, broker) })
	t.Run("kills", func(t *testing.T) { testKills(t, broker) })
	t.Run("bad input", func(t *testing.T) { testBadInput(t, broker) })
	t.Run("backlog", func(t *testing.T) { testBacklog(t, broker) })
	t.Run("denials", func(t *testing.T) { testDenials(t, broker) })
	t.Run("sink", func(t *testing.T) { testKafkaSink(t, broker) })
	t.Run("standby", func(t *testing.T) { testStandby(t, broker) })
}

// testFindings checks that a run over Kafka yields the same findings, in ClickHouse and at the receiver, as `aidr replay`
// over the same records.
func testFindings(t *testing.T, broker *conntest.Kafka) {
	parts := corpus(t, "found-")
	u := newSetup(t, settings{broker: broker.Addr, topics: createTopics(t, broker.Addr, parts), dsn: host.ForTest(t), idle: 3 * time.Second})
	want := replayed(t, u.rules, parts)
	kinds := map[string]int{}
	for _, f := range want {
		kinds[f.Kind]++
	}
	t.Logf("%d findings are wanted: %v", len(want), kinds)
	if len(want) < 100 || len(kinds) < 5 {
		t.Fatalf("%d findings of the kinds %v: too few to tell anything", len(want), kinds)
	}
	if err := newProducer(t, broker.Addr).share(parts, 0, 1); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := u.start()
	await(t, time.Minute, "all records are read", func() error { p.alive(); return u.readAll(parts) })
	await(t, time.Minute, "the findings are those of the replay", func() error { p.alive(); return u.same(want) })
	t.Logf("settled and delivered %v after the start", time.Since(began).Round(time.Millisecond))
	if err := isReady(u.listen); err != nil {
		t.Error(err)
	}
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	if err := u.same(want); err != nil {
		t.Errorf("after the end: %v", err)
	}
	u.receiver.check(t)
	checkStopped(t, u, len(want))
}

// checkStopped checks that the commands read the findings in the local store if no process runs.
func checkStopped(t *testing.T, u *setup, want int) {
	t.Helper()
	listed := jsonLines[map[string]any](t, mustAidr(t, "findings", "ls", "--json", "--limit", "0", "--state", u.state, "--status", "settled"))
	if len(listed) != want {
		t.Errorf("aidr findings ls: got %d settled findings, want %d", len(listed), want)
	}
	for _, f := range listed[:min(1, len(listed))] {
		shown := jsonLines[map[string]any](t, mustAidr(t, "findings", "show", "--json", "--state", u.state, fmt.Sprint(f["id"])))
		if len(shown) != 1 || shown[0]["id"] != f["id"] {
			t.Errorf("aidr findings show: got %v, want finding %v", shown, f["id"])
		}
	}
	s, err := u.status()
	if err != nil || s.Running {
		t.Errorf("aidr status of a stopped one: got %+v, %v", s, err)
	}
	if o := aidr(t, "state", "get", "--rule", "test.tokens", "--key", "ai_agent.uid=a", "--state", u.state); o.code != exitFailed {
		t.Errorf("aidr state get without a process: exit code %d, want 1: %s", o.code, o.stderr)
	}
}
