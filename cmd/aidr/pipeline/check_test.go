package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// TestBlindSource checks that /readyz and `aidr status` name a source whose topics are not read, because another process
// with other topics has its consumer group.
func TestBlindSource(t *testing.T) {
	t.Parallel()
	broker := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, broker.Addr, "x", 1)
	conntest.CreateTopic(t, broker.Addr, "y", 1)
	conntest.Produce(t, broker.Addr, "y", 0, conntest.Messages(event(100, "leak", "a")), nil)
	e, rules := newEndpoint(t), folder(t, map[string]string{"leak.yaml": leak})
	first := start(t, kafkaConfig(broker.Addr, rules, e, t.TempDir()))
	first.awaitStatus("engine", ok, "")
	cfg := kafkaConfig(broker.Addr, rules, e, t.TempDir())
	cfg.Sources[0].Kafka.Topics = []string{"y"}
	second := start(t, cfg)
	second.awaitStatus("source.logs", degraded, `records: nobody reads y: consumer group "g" gives all partitions to the member aidr`)
	if _, status, _ := second.ready("engine"); status != degraded {
		t.Errorf("readyz: got %s", status)
	}
	if _, _, c := first.ready("source.logs"); c.Status != ok {
		t.Errorf("the source that reads: got %+v", c)
	}
}

func TestLines(t *testing.T) {
	join := errors.Join
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	f := func(err error, want ...string) {
		t.Helper()
		if got := Lines(err); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	f(nil)
	f(a, "a")
	f(join(a, nil, b), "a", "b")
	f(fmt.Errorf("x: %w", join(a, b)), "x: a", "x: b")
	f(join(fmt.Errorf("x: %w", fmt.Errorf("y: %w", join(a, join(b, c)))), a), "x: y: a", "x: y: b", "x: y: c", "a")
	f(fmt.Errorf("x: %w: %w", a, b), "x: a: b")
}

func TestStateDir(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	f := func(path, want string) {
		t.Helper()
		err := checkStateDir(&config.Config{State: config.State{Dir: path}})
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	f(dir, "")
	f(filepath.Join(dir, "a", "b"), "")
	f(filepath.Join(dir, "file"), "file is not a folder")
	f(filepath.Join(dir, "file", "a", "b"), "file is not a folder")
	if os.Getuid() != 0 { // to whom everything is writable
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		f(locked, "cannot write to")
		f(filepath.Join(locked, "a"), "cannot write to")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 2 {
		t.Errorf("the check left %v, %v", entries, err)
	}
}

// TestNoSink checks that a configuration without a sink is a warning.
func TestNoSink(t *testing.T) {
	c := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), nil, false, "nowhere.log")
	problems, err := Check(c)
	var got []string
	for _, p := range problems {
		if p.Warning && p.Rule == "" {
			got = append(got, p.Key)
		}
	}
	if err != nil || !slices.Equal(got, []string{"sinks", "sources[0].file.paths[0]"}) {
		t.Errorf("got %q, %v", got, err)
	}
}
