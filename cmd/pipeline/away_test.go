package pipeline

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

// TestBrokerAway: a process that has no broker yet is down; one that lost it is degraded, says so in the parts that
// suffer, and goes on when it is back.
func TestBrokerAway(t *testing.T) {
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	e := newEndpoint(t)
	back := broker.Away()
	cfg := kafkaConfig(broker.Addr, folder(t, map[string]string{"leak.yaml": leak}), e, t.TempDir())
	cfg.Sources[0].Kafka.Session = time.Second // the broker remembers the lost member for so long
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
	if _, text := x.get("/metrics"); !strings.Contains(text, `aidr_component_health{component="source.logs"} 1`) || !strings.Contains(text, `aidr_component_health{component="sink.soc"} 0`) {
		t.Errorf("metrics while the broker is away: got\n%s", text)
	}
	back()
	x.awaitStatus("engine", ok, "")
	conntest.Produce(t, broker.Addr, "x", 0, conntest.Messages(event(1, "leak", "a")), nil)
	e.await(t, "test.leak a 1")
	x.stop()
}
