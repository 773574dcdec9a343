package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/engine/store"
)

// Flags for a run with other random instants, or the same again:
//
//	go test ./cmd/aidr -run TestKafka/kills -kills 100 -kill-seed 7 -v
var (
	killsFlag    = flag.Int("kills", 20, "how often the process is killed")
	killSeedFlag = flag.Uint64("kill-seed", 0, "seed of the instants at which the process is killed; 0: of the clock")
)

// testKills checks that a process which is killed at random instants while records arrive yields the same findings.
func testKills(t *testing.T, broker *conntest.Kafka) {
	seed := *killSeedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("go test ./cmd/aidr -run TestKafka/kills -kill-seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	parts := corpus(t, "killed-")
	u := newSetup(t, settings{
		broker: broker.Addr, topics: createTopics(t, broker.Addr, parts), dsn: keepEngine(t).dsn,
		idle: 8 * time.Second, session: time.Second,
	})
	want := replayed(t, u.rules, parts)
	k := &killer{t: t, u: u, at: map[string]int64{}}
	fed := feed(newProducer(t, broker.Addr), parts, time.Duration(*killsFlag)*2*time.Second)
	for range *killsFlag {
		// Two of three are killed some time after they start to read; the others may be killed while they join the group.
		k.round(r.IntN(3) > 0, time.Duration(r.Int64N(int64(2*time.Second))))
	}
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	p := u.start()
	await(t, 2*time.Minute, "all records are read", func() error { p.alive(); return u.readAll(parts) })
	await(t, 2*time.Minute, "the findings are those of the replay", func() error { p.alive(); return u.same(want) })
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
	u.receiver.check(t)
	t.Logf("%d kills, before %d of which the checkpoint had moved; %d deliveries", *killsFlag, k.moved, len(u.receiver.bodies))
	if k.moved < *killsFlag/4 {
		t.Errorf("the checkpoint moved before %d of %d kills only: the kills prove little", k.moved, *killsFlag)
	}
}

// feed writes the corpus gradually over the given time. At the end it sends nil or the error.
func feed(p *producer, parts []partition, over time.Duration) <-chan error {
	const every = 250 * time.Millisecond
	steps := int(over / every)
	done := make(chan error, 1)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for step := range steps {
			if err := p.share(parts, step, steps); err != nil {
				done <- fmt.Errorf("produce: %w", err)
				return
			}
			<-tick.C
		}
		done <- nil
	}()
	return done
}

// killer starts and kills processes, and checks the checkpoint that each kill leaves.
type killer struct {
	t     *testing.T
	u     *setup
	at    map[string]int64 // positions in the last checkpoint
	moved int              // number of kills before which the positions had advanced
}

// round runs a process for a while, counted from its start or from the start of reading.
func (k *killer) round(reads bool, life time.Duration) {
	k.t.Helper()
	p := k.u.start()
	if reads {
		await(k.t, 30*time.Second, "partitions are read", func() error { p.alive(); return isReading(k.u.listen) })
	}
	select {
	case <-time.After(life):
	case <-p.gone:
		p.alive()
	}
	p.kill()
	k.look()
}

// isReading returns an error unless the engine is ok, regardless of the sinks.
func isReading(addr string) error {
	r, err := readyz(addr)
	if err == nil && r.Components["engine"].Status != "ok" {
		err = fmt.Errorf("/readyz says %+v", r)
	}
	return err
}

// look compares the last checkpoint of the process with the previous one.
func (k *killer) look() {
	k.t.Helper()
	moved := false
	for name, next := range checkpoint(k.t, k.u.state) {
		if next < k.at[name] {
			k.t.Errorf("%s: the checkpoint went back from %d to %d", name, k.at[name], next)
		}
		moved = moved || next > k.at[name]
		k.at[name] = next
	}
	if moved {
		k.moved++
	}
}

// checkpoint reads the positions in the state directory of a killed process. It reads a copy, so that the next process
// finds the directory exactly as the killed process left it.
func checkpoint(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return nil // killed before it created the store
	}
	copied := filepath.Join(t.TempDir(), "state")
	if err := copyDir(copied, dir); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(copied, store.Options{})
	if err != nil {
		t.Fatalf("open the state directory after a kill: %v", err)
	}
	defer s.Close()
	_, state, ok, err := s.Last()
	if err != nil || !ok {
		return nil
	}
	var c struct {
		Partitions []struct {
			Topic     string
			Partition int32
			Next      int64
		}
	}
	if err := json.Unmarshal(state, &c); err != nil {
		t.Fatalf("the checkpoint: %v: %s", err, state)
	}
	out := map[string]int64{}
	for _, p := range c.Partitions {
		out[fmt.Sprintf("%s/%d", p.Topic, p.Partition)] = p.Next
	}
	return out
}

// copyDir copies the files of a folder, except sockets.
func copyDir(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}
