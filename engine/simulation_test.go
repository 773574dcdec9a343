package engine

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// A run of ten thousand schedules, and one schedule with its trace:
//
//	go test ./engine -run TestSimulation -schedules 10000 -timeout 3h
//	go test ./engine -run TestSimulation -schedules 1 -seed 77 -v
var schedulesFlag = flag.Int("schedules", 0, "how many schedules of faults the simulation runs; 0: as many as CI has time for")

const (
	ciSchedules    = 60
	shortSchedules = 8 // under the race detector
	simTopic       = "events"
	simGroup       = "aidr"
)

// TestSimulation runs the engine with its store, its deliverer and its Kafka source in virtual time, against a broker in
// memory, a disk that can crash and sinks that fail. A schedule of faults comes from a seed: kills, restarts, torn writes,
// errors of the disk, full disks, broken and silent networks, brokers that move partitions and coordinators, sinks that
// are unreachable, slow or deliver and then report an error, and jumps of the clock. Afterwards each sink must have the
// findings of the reference evaluator, and must never have seen two bodies of one revision.
//
// Faults are placed at numbered operations of the disk and the network. The Go scheduler orders goroutines, so a seed
// repeats the schedule, but not always the failure.
func TestSimulation(t *testing.T) {
	n := *schedulesFlag
	if n == 0 {
		n = ciSchedules
		if testing.Short() {
			n = shortSchedules
		}
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().Unix()/86400) * 1_000_003
	}
	t.Logf("%d schedules from seed %d", n, seed)
	informative := 0
	for i := range n {
		s := seed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			w := newSimulation(t, s)
			found, err := w.run()
			if found {
				informative++
			}
			if err != nil || *schedulesFlag == 1 {
				t.Logf("trace:\n%s", strings.Join(w.trace, "\n"))
			}
			if err != nil {
				t.Fatalf("go test ./engine -run TestSimulation -schedules 1 -seed %d\n%v", s, err)
			}
		})
		if t.Failed() {
			return
		}
	}
	if informative < n/2 {
		t.Errorf("only %d of %d schedules find anything: the others prove little", informative, n)
	}
}

// simulation is the world of one schedule. The goroutine of the schedule alone uses r.
type simulation struct {
	r        *rand.Rand
	began    time.Time
	rules    []string
	set      *rules.Set
	events   []timed
	net      *simNetwork
	cluster  *kfake.Cluster
	sinks    []*simSink
	hardware *simDisk
	life     *simLife       // nil: the process is down
	lives    int            // started so far
	graves   sync.WaitGroup // killed processes whose goroutines have not ended yet

	mu    sync.Mutex
	skew  time.Duration // of the machine's clock
	trace []string
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	w := &simulation{r: rand.New(rand.NewPCG(seed, 3)), began: time.Now(), net: newSimNetwork()}
	dir := t.TempDir()
	for i := range 1 + w.r.IntN(3) {
		w.rules = append(w.rules, randomRule(w.r, i))
	}
	for i := range w.r.IntN(3) {
		w.rules = append(w.rules, randomOver(w.r, len(w.rules), i))
	}
	for i, text := range w.rules {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var problems []rules.Problem
	if w.set, problems = rules.Load(rules.Options{BuiltIn: true}, dir); w.set == nil {
		t.Fatalf("the rules do not load: %v", problems)
	}
	brokers := 1 + w.r.IntN(3)
	var err error
	w.cluster, err = kfake.NewCluster(kfake.NumBrokers(brokers), kfake.Ports([]int{9092, 9093, 9094}[:brokers]...), kfake.SeedTopics(int32(1+w.r.IntN(4)), simTopic), kfake.ListenFn(w.net.Listen))
	if err != nil {
		t.Fatal(err)
	}
	w.sinks = []*simSink{{name: "table", rows: true}, {name: "endpoint"}, {name: "limited", every: time.Minute}}
	w.disk(vfs.NewCrashableMem())
	return w
}

// note adds a line to the trace.
func (w *simulation) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%12v %6d  ", time.Since(w.began).Round(time.Millisecond), w.net.ops.Load())+fmt.Sprintf(format, args...))
}

// run runs the schedule; found reports whether the reference found something.
func (w *simulation) run() (found bool, err error) {
	defer w.cluster.Close()
	defer time.Sleep(time.Hour) // until the last goroutines of the store have ended
	defer w.graves.Wait()
	w.start()
	w.schedule()
	w.heal()
	until := schema.InstantOf(time.Now().Add(time.Hour))
	if err := w.finish(until); err != nil {
		return false, err
	}
	want, err := simReference(w.set, w.events, until)
	if err != nil {
		return false, err
	}
	for _, s := range w.sinks {
		if err := s.check(want); err != nil {
			return want != "", fmt.Errorf("sink %s: %w\nrules:\n%s\nevents:\n%s", s.name, err, strings.Join(w.rules, "\n---\n"), eventText(w.events))
		}
	}
	return want != "", nil
}

// schedule lets the events happen, with faults meanwhile. Events arrive at their time whatever happens to the process.
func (w *simulation) schedule() {
	arrivals, r := w.arrivals(), rand.New(rand.NewPCG(w.r.Uint64(), 4))
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for _, a := range arrivals {
			time.Sleep(time.Until(wallTime(a.at)))
			w.produce(a, r)
		}
	}()
	end := w.began
	if len(arrivals) > 0 {
		end = wallTime(arrivals[len(arrivals)-1].at)
	}
	pause := max(end.Sub(w.began)/time.Duration(2+w.r.IntN(30)), 100*time.Millisecond) // so that short streams see faults too
	for time.Now().Before(end) {
		time.Sleep(time.Duration(w.r.Int64N(int64(2 * pause))))
		w.fault()
	}
	<-produced
}

// simJitter is the longest time from an event to its arrival. Together with jumps of the clock it is less than propertyDelay.
const simJitter = 10 * time.Second

type simArrival struct {
	at schema.Instant
	timed
}

// arrivals makes the events and the times at which they arrive, sorted by these.
func (w *simulation) arrivals() (out []simArrival) {
	events := randomEvents(w.r, 5+w.r.IntN(60))
	shift := time.Since(propertyStart)
	for _, e := range events {
		at := wallTime(e.at).Add(shift)
		if limit := w.began.Add(30 * time.Minute); at.After(limit) {
			break // the schedule is long enough
		}
		old, now := wallTime(e.at).Format(time.RFC3339Nano), at.UTC().Format(time.RFC3339Nano)
		e.line, e.at = strings.Replace(e.line, `"time":"`+old, `"time":"`+now, 1), schema.InstantOf(at)
		w.events = append(w.events, e)
		out = append(out, simArrival{e.at.Add(time.Duration(w.r.Int64N(int64(simJitter)))), e})
	}
	slices.SortStableFunc(out, func(a, b simArrival) int { return int(min(max(a.at-b.at, -1), 1)) })
	return out
}

// produce appends an event to a partition, over a network of its own that does not fail.
func (w *simulation) produce(a simArrival, r *rand.Rand) {
	transport := &kafka.Transport{Dial: w.net.VirtualNetwork.DialContext}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(w.cluster.ListenAddrs()...), Transport: transport}
	partition := r.IntN(len(w.cluster.PartitionInfos(simTopic)))
	for {
		res, err := client.Produce(context.Background(), &kafka.ProduceRequest{
			Topic: simTopic, Partition: partition, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Time: time.Now(), Value: kafka.NewBytes([]byte(a.line))}),
		})
		if err == nil && res.Error == nil {
			return
		}
		w.note("produce: %v", err)
		time.Sleep(10 * time.Millisecond)
	}
}

// heal ends all faults, and restarts the process if it is down.
func (w *simulation) heal() {
	w.note("heal")
	w.net.heal()
	w.setSkew(0)
	for _, s := range w.sinks {
		s.set(simMood{})
	}
	if w.life == nil {
		w.start()
	}
	w.life.disk.heal()
}

// finish waits until everything is read, ends the engine as a replay does, and drains the sinks.
func (w *simulation) finish(until schema.Instant) error {
	for deadline := time.Now().Add(time.Hour); ; {
		if err := w.life.engine.Err(); err != nil {
			return fmt.Errorf("the engine has stopped: %w", err)
		}
		if lag, err := w.lag(); err == nil && lag == 0 {
			break
		} else if time.Now().After(deadline) {
			return fmt.Errorf("an hour after the last fault %d records are not read (%v); source: %+v; group: %+v", lag, err, w.life.source.Health(), w.cluster.GroupInfo(simGroup))
		}
		time.Sleep(time.Second)
	}
	w.note("all records are read")
	return w.life.finish(until)
}

// lag returns the number of records after the last checkpoint.
func (w *simulation) lag() (n int64, err error) {
	_, text, known, err := w.life.store.Last()
	if err != nil || !known {
		return -1, err
	}
	var state engineState
	if err := json.Unmarshal(text, &state); err != nil {
		return -1, err
	}
	next := map[int32]int64{}
	for _, p := range state.Partitions {
		next[p.Number] = p.Next
	}
	for _, p := range w.cluster.PartitionInfos(simTopic) {
		n += p.HighWatermark - next[p.Partition]
	}
	return n, nil
}

func wallTime(t schema.Instant) time.Time { return time.Unix(0, int64(t)).UTC() }

// simReference returns the findings of the reference evaluator at an instant.
func simReference(set *rules.Set, events []timed, until schema.Instant) (string, error) {
	return referenceFindingsUntil(set, events, logAppendTime, until)
}

// simLog writes to the trace if it is printed.
func (w *simulation) log() *slog.Logger {
	if *schedulesFlag != 1 {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(simTrace{w}, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

type simTrace struct{ w *simulation }

func (t simTrace) Write(b []byte) (int, error) {
	t.w.note("%s", strings.TrimSpace(string(b)))
	return len(b), nil
}

var _ io.Writer = simTrace{}

// simBody returns the parts of a finding that must be the same each time its revision is delivered.
func simBody(f *schema.Finding) string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b)
}
