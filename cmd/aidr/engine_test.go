package main

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

// keptEngine is a ClickHouse engine that is restarted whenever it ends. The embedded engine sometimes aborts if many of its
// clients are killed during a request; a server would continue, or be restarted.
type keptEngine struct {
	t    *testing.T
	o    host.Options
	dsn  string
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	now  *host.Engine
	ends int // number of unexpected ends
}

func keepEngine(t *testing.T) *keptEngine {
	t.Helper()
	database := host.TestDatabase()
	k := &keptEngine{t: t, o: host.Options{Dir: t.TempDir(), Password: "known to both", Database: database}, stop: make(chan struct{})}
	k.now = host.StartForTest(t, k.o)
	if _, err := fmt.Sscanf(k.now.Addr, "127.0.0.1:%d", &k.o.Port); err != nil {
		t.Fatal(err)
	}
	k.dsn = k.now.DSN
	k.done.Add(1)
	go k.watch(k.now)
	t.Cleanup(k.end)
	return k
}

// watch restarts the engine with the same port and data until end is called.
func (k *keptEngine) watch(e *host.Engine) {
	defer k.done.Done()
	for {
		<-e.Exited()
		k.mu.Lock()
		select {
		case <-k.stop:
			k.mu.Unlock()
			return
		default:
		}
		next, err := host.Start(context.Background(), k.o)
		if err != nil {
			k.t.Errorf("start the engine again: %v", err)
			k.mu.Unlock()
			return
		}
		e, k.now, k.ends = next, next, k.ends+1
		k.mu.Unlock()
	}
}

func (k *keptEngine) end() {
	k.mu.Lock()
	close(k.stop)
	e, ends := k.now, k.ends
	k.mu.Unlock()
	e.Kill()
	k.done.Wait()
	if ends > 0 {
		k.t.Logf("the ClickHouse engine ended by itself %d times and was started again", ends)
	}
}
