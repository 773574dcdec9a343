package pipeline

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// TestDisabledEndpoint follows an endpoint that answers 410: /readyz stays degraded with the reason, also after a restart and
// after the dead letters are dropped, until the endpoint is enabled and the dead letters are replayed.
func TestDisabledEndpoint(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	e.answer(http.StatusGone)
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak}), e, t.TempDir())
	x := start(t, cfg)
	x.awaitStatus("engine", ok, "")
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(1, "leak", "a")), nil)
	x.awaitStatus("sink.soc", degraded, "it answered 410 Gone: `aidr webhook enable soc` enables it")
	x.awaitStatus("dead-letters", degraded, "1 rows and deliveries wait as dead letters")
	if s := x.Status(); s.Sinks[0].State != "disabled" || !strings.Contains(s.Sinks[0].Error, "410") || s.DeadDeliveries != 1 {
		t.Errorf("status: %+v", s)
	}
	x.stop()
	if n := strings.Count(x.logs.String(), "sink disabled"); n != 1 {
		t.Errorf("the log has %d lines on the disabled endpoint, want 1", n)
	}

	e.answer(0)
	x = start(t, cfg)
	x.awaitStatus("sink.soc", degraded, "410 Gone")
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(2, "leak", "b")), nil)
	x.awaitStatus("dead-letters", degraded, "2 rows and deliveries wait")
	if got := e.seen(); len(got) > 0 {
		t.Errorf("delivered to a disabled endpoint: %v", got)
	}
	if changed, err := x.enableSink("soc"); !changed || err != nil {
		t.Errorf("enable: %v, %v", changed, err)
	}
	x.awaitStatus("sink.soc", ok, "")
	var letters []*store.DeadLetter
	err := x.opened.store.DeadLetters(store.DeadFilter{}, func(l *store.DeadLetter) bool { letters = append(letters, l); return true })
	if err != nil {
		t.Fatal(err)
	}
	results := x.replayDead(t.Context(), letters)
	if slices.ContainsFunc(results, func(r api.Replayed) bool { return r.Error != "" }) {
		t.Errorf("replay: %+v", results)
	}
	e.await(t, "test.leak a 1", "test.leak b 1")
	x.awaitStatus("dead-letters", ok, "")
	x.stop()
}

// TestRefusedDelivery checks that a permanent 4xx is logged once and shown until a delivery succeeds, and that /readyz stays
// degraded while the dead letter waits.
func TestRefusedDelivery(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	e.answer(http.StatusForbidden)
	x := start(t, kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak}), e, t.TempDir()))
	x.awaitStatus("engine", ok, "")
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(1, "leak", "a"), event(2, "leak", "b")), nil)
	x.awaitStatus("dead-letters", degraded, "2 rows and deliveries wait")
	if got := x.Status().Sinks[0].Error; !strings.Contains(got, "http_403: answered 403 Forbidden") {
		t.Errorf("status: the sink's error is %q", got)
	}
	e.answer(0)
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(3, "leak", "c")), nil)
	e.await(t, "test.leak c 1")
	wait(t, "no error after a delivery", func() bool { return x.Status().Sinks[0].Error == "" })
	x.awaitStatus("dead-letters", degraded, "2 rows and deliveries wait")
	_, m := x.get("/metrics")
	for _, want := range []string{
		`aidr_dead_letters_waiting{share="deliveries"} 2`, `aidr_dead_letters_given_up_total{share="deliveries"} 0`,
		`aidr_component_health{component="dead-letters"} 1`,
	} {
		if !strings.Contains(m, want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	x.stop()
	for line, want := range map[string]int{"http_403": 1, "sink works again": 1} {
		if n := strings.Count(x.logs.String(), line); n != want {
			t.Errorf("the log has %d lines with %s, want %d", n, line, want)
		}
	}
}

// TestReplayRecords checks that records are replayed with one checkpoint, that a record that fails is kept with its error,
// and that the others are deleted.
func TestReplayRecords(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak}), e, t.TempDir())
	s, err := store.Open(cfg.State.Dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := schema.InstantOf(time.Date(2026, 1, 1, 0, 0, 9, 0, time.UTC))
	dead := []store.DeadLetter{
		{Kind: schema.DeadRecord, Reason: "unknown_format", Time: at, Source: "logs", Topic: "x", Body: event(1, "leak", "a")},
		{Kind: schema.DeadRecord, Reason: "not_json", Time: at, Source: "logs", Topic: "x", Body: "{"},
		{Kind: schema.DeadRecord, Reason: "unknown_format", Time: at, Source: "logs", Topic: "x", Body: event(2, "leak", "b")},
		{Kind: schema.DeadRecord, Reason: "unknown_format", Time: at, Source: "logs", Topic: "gone", Body: event(2, "leak", "b")},
	}
	if _, err := s.SetSinks([]store.SinkSpec{{Name: "soc"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance("soc", &store.Advance{Number: 1, Cursor: 1, Dead: dead}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	x := start(t, cfg)
	x.awaitStatus("engine", ok, "")
	letters := make([]*store.DeadLetter, len(dead))
	for i := range dead {
		letters[i] = &dead[i]
	}
	var got []string
	for _, r := range x.replayDead(t.Context(), letters) {
		got = append(got, r.Result+r.Error)
	}
	want := []string{
		"decoded: 1 events", "dead letter 2 still cannot be decoded", "decoded: 1 events", "dead letter 4: its partition gone/0 is not read here",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := x.Status().DeadLetters; n != 2 {
		t.Errorf("%d dead letters are left, want 2", n)
	}
	e.await(t, "test.leak a 1", "test.leak b 1")
	x.stop()
}

// TestEndpointDisabledIsAnnounced checks that the other endpoints, and the audit, get to know that one is disabled.
func TestEndpointDisabledIsAnnounced(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": leak, "log": event(1, "leak", "a") + "\n"})
	soc, ops := newEndpoint(t), newEndpoint(t)
	ops.Name = "ops"
	soc.answer(http.StatusGone)
	cfg := fileConfig(t, filepath.Join(dir, "a.yaml"), soc, true, filepath.Join(dir, "log"))
	cfg.Sinks.Webhooks = append(cfg.Sinks.Webhooks, ops.Webhook)
	x := start(t, cfg)
	wait(t, "endpoint.disabled at ops", func() bool {
		ops.mu.Lock()
		defer ops.mu.Unlock()
		return slices.ContainsFunc(ops.got, func(d delivery) bool { return d.Type == "endpoint.disabled" })
	})
	wait(t, "the audit", func() bool {
		found := false
		err := x.opened.store.Audit(func(a *store.AuditEntry) bool {
			found = found || a.Action == "sink.disable" && a.Object == "soc"
			return true
		})
		return err == nil && found
	})
	x.stop()
}
