package pipeline

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/store"
)

// TestBrokerAway checks the health of a process without a broker: it is down if it never reached the broker, and degraded
// if it lost the broker later, in the affected components only. It continues once the broker is back.
func TestBrokerAway(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	back := broker.Away()
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak}), e, t.TempDir())
	cfg.Sources[0].Kafka.Session = time.Second // the broker keeps the lost member for this long
	x := start(t, cfg)
	wait(t, "503 at the start", func() bool { code, _, _ := x.ready("engine"); return code == http.StatusServiceUnavailable })
	back()
	x.awaitStatus("engine", ok, "")

	back = broker.Away()
	x.awaitStatus("engine", degraded, noPartition)
	x.awaitStatus("source.logs", degraded, "")
	if code, status, _ := x.ready("engine"); code != http.StatusOK || status != degraded {
		t.Errorf("readyz while the broker is away: got %d %s, want 200 degraded", code, status)
	}
	if _, text := x.get("/metrics"); !strings.Contains(text, `aidr_component_health{component="source.logs"} 1`) ||
		!strings.Contains(text, `aidr_component_health{component="sink.soc"} 0`) {
		t.Errorf("metrics while the broker is away: got\n%s", text)
	}
	back()
	x.awaitStatus("engine", ok, "")
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(1, "leak", "a")), nil)
	e.await(t, "test.leak a 1")
	x.stop()
}

// TestSinksGoOnWithoutABroker checks that findings are delivered while the broker is unreachable, and that the process
// then hands the state directory over to a process that can read.
func TestSinksGoOnWithoutABroker(t *testing.T) {
	broker, other := conntest.StartFakeKafka(t), conntest.StartFakeKafka(t)
	for _, b := range []*conntest.FakeKafka{broker, other} {
		conntest.CreateTopic(t, b.Addr, "x", 1)
	}
	e := newEndpoint(t)
	e.Retries = slices.Repeat([]time.Duration{20 * time.Millisecond}, 1000)
	rules, dir := folder(t, map[string]string{"leak.yaml": leak}), t.TempDir()
	cfg := kafkaConfig(broker.Addr, rules, e, dir)
	cfg.Sources[0].Kafka.Session = time.Second
	x := start(t, cfg)
	x.awaitStatus("engine", ok, "")
	e.refuse(true)
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(1, "leak", "a")), nil)
	wait(t, "a delivery to be refused", func() bool { return e.refused() > 0 })
	broker.Away()
	x.awaitStatus("engine", degraded, noPartition)
	e.refuse(false)
	e.await(t, "test.leak a 1")
	if _, text := x.get("/metrics"); strings.Contains(text, "aidr_rule_watermark_seconds{") {
		t.Errorf("a watermark is shown while nothing is read")
	}

	y := start(t, kafkaConfig(other.Addr, rules, e, dir))
	y.awaitStatus("engine", ok, "")
	x.awaitStatus("engine", degraded, noPartition)
	conntest.Produce(t, other.Addr, "x", 0, conntest.Messages(event(2, "look", "a"), event(3, "leak", "b")), nil)
	e.await(t, "test.leak a 1", "test.leak b 1")
	y.stop()
	x.stop()
}

// TestStandbyWithItsOwnDirectory checks that a process that takes over with another state directory than its predecessor's
// marks its findings with warming_until, and that the log and the status report why.
func TestStandbyWithItsOwnDirectory(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	rules := folder(t, map[string]string{"thrice.yaml": thrice, "leak.yaml": leak})
	first := start(t, kafkaConfig(broker.Addr, rules, e, t.TempDir()))
	try := func(n int) {
		conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(n, "try", "a"), event(n+1, "leak", "a")), nil)
	}
	for n := range 3 {
		try(10 * n)
	}
	e.await(t, "test.leak a 3", "test.thrice a 3")
	first.stop()
	if log := first.logs.String(); !strings.Contains(log, "a standby has to share this state directory") {
		t.Error("the start does not report that standbys share the state directory")
	}
	for _, f := range e.latest() {
		if f.WarmingUntil != nil {
			t.Errorf("%s of the first process has warming_until", f.RuleID)
		}
	}

	second := start(t, kafkaConfig(broker.Addr, rules, e, t.TempDir()))
	for n := range 3 {
		try(100 + 10*n)
	}
	wait(t, "the findings of the second", func() bool { return len(e.latest()) == 4 })
	warm := map[string]bool{}
	for _, f := range e.latest() {
		if f.WarmingUntil != nil {
			warm[f.RuleID] = true
		}
	}
	if !warm["test.leak"] || !warm["test.thrice"] {
		t.Errorf("with warming_until: got %v, want a finding of both rules", warm)
	}
	second.awaitStatus("engine", ok, "2 rules are warming until 2026-01-01T02:")
	second.stop()
	const loss = "no checkpoint, resuming from the committed offset of the group; findings carry warming_until"
	if !strings.Contains(second.logs.String(), loss) {
		t.Error("the log does not report the loss")
	}
}

// TestHandover checks that a process with partitions keeps the state directory, and that a process without partitions
// hands it over on a new request, but not on an old one.
func TestHandover(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak}), newEndpoint(t), t.TempDir())
	x, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := New(cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	part := connectors.Partition{Source: "logs", Topic: "x"}
	taken := func() bool {
		t.Helper()
		_, _, err := y.assign(part)
		if err != nil && !errors.Is(err, store.ErrLocked) {
			t.Fatal(err)
		}
		return err == nil
	}
	r := &reader{x, t.Context()}
	r.Assigned(part)
	y.requestHandover()
	requested := x.checkRequest(time.Time{})
	if requested.IsZero() || taken() {
		t.Fatalf("request of %v: a process that reads gave the directory away", requested)
	}
	if err := r.Revoked(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	if again := x.checkRequest(requested); again != requested || taken() {
		t.Fatalf("the directory was given away on an old request, of %v", again)
	}
	later := requested.Add(time.Second)
	if err := os.Chtimes(filepath.Join(cfg.State.Dir, wantedFile), later, later); err != nil {
		t.Fatal(err)
	}
	x.checkRequest(requested)
	if !taken() {
		t.Fatal("the directory was not handed over on a request")
	}
	if _, err := os.Stat(filepath.Join(cfg.State.Dir, wantedFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the request is not removed: %v", err)
	}

	q := &reader{y, t.Context()}
	if err := q.Revoked(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	q.Standby("logs", "another member reads")
	if _, _, err := x.assign(part); err != nil {
		t.Errorf("a standby keeps the directory: %v", err)
	}
	x.life.Lock()
	defer x.life.Unlock()
	if err := x.close(time.Second); err != nil {
		t.Error(err)
	}
}
