package engine

import (
	"context"
	"errors"
	"fmt"
	kafkago "github.com/segmentio/kafka-go"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// simLife is one life of the process. Once it is killed, its disk, network and sinks fail.
type simLife struct {
	world     *simulation
	disk      *simDisk
	dead      atomic.Bool
	store     *store.Store
	deliverer *deliver.Deliverer
	engine    *Engine
	source    *kafka.Source
	stop      context.CancelFunc
	ended     chan error // the result of the sources
	client    string     // its client id
}

// start starts the process; it is tried again until the disk allows it.
func (w *simulation) start() {
	for try := 1; ; try++ {
		l, err := w.open()
		if err == nil {
			w.life = l
			w.note("started, try %d", try)
			return
		}
		w.note("start: %v", err)
		time.Sleep(time.Duration(1+w.r.IntN(3)) * time.Second)
		if try == 20 {
			w.hardware.heal()
		}
		if try == 100 {
			panic(fmt.Sprintf("the process does not start: %v\n%s", err, strings.Join(w.trace, "\n")))
		}
	}
}

func (w *simulation) open() (l *simLife, err error) {
	w.lives++
	l = &simLife{world: w, disk: w.hardware, ended: make(chan error, 1), client: fmt.Sprintf("life-%d", w.lives)}
	logger := w.log()
	l.store, err = store.Open("", store.Options{
		FS: errorfs.Wrap(w.hardware.mem, l.disk), Now: w.now, Logf: func(format string, args ...any) { logger.Warn(fmt.Sprintf(format, args...)) },
	})
	if err != nil {
		return nil, err
	}
	var sinks []connectors.Sink
	for _, s := range w.sinks {
		sinks = append(sinks, s.of(l))
	}
	if l.deliverer, err = deliver.New(deliver.Options{Store: l.store, Sinks: sinks, Log: logger}); err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	l.source, err = kafka.New(kafka.Config{
		Name: "s", Brokers: w.cluster.ListenAddrs(), Topics: []string{simTopic}, Group: simGroup, ClientID: l.client, Start: "first", Log: logger,
		Dial: w.net.dialer(&l.dead),
	})
	if err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	l.engine, err = New(Options{
		Set: w.set, Store: l.store, Shards: 1 + w.r.IntN(4), Workers: 1 + w.r.IntN(3), CacheCells: pickInt(w.r, 1, 3, 1000),
		Memory: []int64{0, 8 << 10, 2 << 20}[w.r.IntN(3)], CheckpointEvery: time.Duration(pickInt(w.r, 250, 1000, 5000)) * time.Millisecond,
		Inputs: []Input{{Source: l.source, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
		Clock:  clock.Clock{Now: w.now, Tick: clock.Wall().Tick}, Log: logger, Inventory: true, timerPage: pickInt(w.r, 0, 1, 3),
		Committed: func([]connectors.Entry) { l.deliverer.Notify() },
	})
	if err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	l.deliverer.Start()
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go func() { l.ended <- RunSources(ctx, l.engine, l.engine.opts.Inputs) }()
	return l, nil
}

// now is the clock of the machine, which may jump.
func (w *simulation) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

// kill ends the process without a warning. What was not synchronised may be lost in part.
func (w *simulation) kill() {
	l := w.life
	w.life = nil
	w.note("kill")
	survives := pickInt(w.r, 0, 30, 70, 100)
	if _, _, known, err := l.store.Last(); err != nil || !known {
		survives = pickInt(w.r, 0, 100) // see TestKill of the store
	}
	seed := w.r.Uint64()
	l.dead.Store(true)
	mem := l.disk.crash(survives, seed)
	w.net.cut(&l.dead)
	l.stop()
	w.graves.Go(func() {
		ended, done := context.WithCancel(context.Background())
		done()
		_ = l.store.Close()
		<-l.ended
		_ = l.engine.Stop(ended)
		_ = l.deliverer.Drain(ended)
		w.expel(l)
	})
	w.disk(mem)
}

// expel removes a process that has ended from the consumer group. Its session has ended by now, but the broker forgets the timer of a
// member that goes while it waits to join.
func (w *simulation) expel(l *simLife) {
	time.Sleep(kafka.DefaultSession)
	transport := &kafkago.Transport{Dial: w.net.VirtualNetwork.DialContext}
	defer transport.CloseIdleConnections()
	admin := &kafkago.Client{Addr: kafkago.TCP(w.cluster.ListenAddrs()...), Transport: transport}
	for {
		var members []kafkago.LeaveGroupRequestMember
		if g := w.cluster.GroupInfo(simGroup); g != nil {
			for _, m := range g.Members {
				if strings.HasPrefix(m.MemberID, l.client+"-") {
					members = append(members, kafkago.LeaveGroupRequestMember{ID: m.MemberID})
				}
			}
		}
		if len(members) == 0 {
			return
		}
		_, err := admin.LeaveGroup(context.Background(), &kafkago.LeaveGroupRequest{GroupID: simGroup, Members: members})
		w.note("expelled %s from the group: %v", l.client, err)
		time.Sleep(time.Second)
	}
}

// restart ends the process as a signal does, and starts it again.
func (w *simulation) restart() {
	l := w.life
	w.life = nil
	w.note("stop")
	l.stop()
	<-l.ended
	stopTime, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.engine.Stop(stopTime); err != nil {
		w.note("stop the engine: %v", err)
	}
	drainTime, cancelDrain := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancelDrain()
	if err := l.deliverer.Drain(drainTime); err != nil {
		w.note("drain: %v", err)
	}
	if err := l.store.Close(); err != nil {
		w.note("close the store: %v", err)
	}
	w.graves.Go(func() { w.expel(l) })
}

// finish ends the engine as a replay does, and waits until the sinks have everything.
func (l *simLife) finish(until schema.Instant) error {
	l.stop()
	if err := <-l.ended; err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	if err := l.engine.Finish(context.Background(), until); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	l.deliverer.Notify()
	for deadline := time.Now().Add(48 * time.Hour); ; time.Sleep(time.Second) {
		waiting := 0
		for _, s := range l.deliverer.Status() {
			waiting += int(s.Entries)
		}
		if waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("two days after the last fault %d entries are not delivered", waiting)
		}
	}
	if err := l.deliverer.Drain(context.Background()); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return l.store.Close()
}

// simDisk is a disk that survives the processes. It is an errorfs.Injector.
type simDisk struct {
	mem  *vfs.MemFS
	dead atomic.Bool // of the process that has it; the next one has a copy

	mu       sync.Mutex
	n        int // operations so far
	from, to int // the operations that fail
	cause    error
	reads    bool // reads fail too
}

// disk gives the machine a disk.
func (w *simulation) disk(mem *vfs.MemFS) { w.hardware = &simDisk{mem: mem} }

// crash makes the disk fail from now on, and returns what is on it.
func (d *simDisk) crash(survives int, seed uint64) *vfs.MemFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead.Store(true)
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: rand.New(rand.NewPCG(seed, 1))})
}

// fail makes a number of operations fail after some others.
func (d *simDisk) fail(after, count int, cause error, reads bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from, d.to, d.cause, d.reads = d.n+after, d.n+after+count, cause, reads
}

func (d *simDisk) heal() { d.fail(0, 0, nil, false) }

var errCrashed = errors.New("the machine is down")

func (d *simDisk) String() string { return "simulated disk" }

// MaybeError implements errorfs.Injector.
func (d *simDisk) MaybeError(op errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead.Load() {
		return errCrashed
	}
	if op.Kind == errorfs.OpGetDiskUsage || op.Kind == errorfs.OpFileClose {
		return nil
	}
	d.n++
	if d.n < d.from || d.n >= d.to || op.Kind.ReadOrWrite() == errorfs.OpIsRead && !d.reads {
		return nil
	}
	return d.cause
}

// simCauses are the errors of disks.
var simCauses = []error{syscall.EIO, syscall.ENOSPC}
