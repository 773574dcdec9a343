package kafka

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// clock is a time that a test sets.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time      { return time.Unix(0, c.ns.Load()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(1e18)
	return c
}

// TestProgress checks that only records that wait while no position moves count, and from which instant.
func TestProgress(t *testing.T) {
	c := newClock()
	var p progress
	f := func(after time.Duration, reading bool, position, waiting int64, want time.Duration) {
		t.Helper()
		c.add(after)
		if got := p.observe(c.now(), reading, map[connectors.Partition]int64{part("t", 0): position}, waiting); got != want {
			t.Errorf("position %d, %d waiting: got %v, want %v", position, waiting, got, want)
		}
	}
	f(0, true, 5, 10, 0)
	f(time.Second, true, 5, 10, time.Second)
	f(time.Second, true, 5, 12, 2*time.Second)
	f(time.Second, true, 6, 11, 0)
	f(time.Second, true, 6, 11, time.Second)
	f(time.Second, true, 6, 0, 0)
	f(time.Hour, true, 6, 0, 0)
	f(time.Second, true, 6, 1, time.Second)
	f(time.Hour, false, 6, 1, 0) // the positions of the group
	f(time.Second, false, 6, 1, time.Second)
}

// TestReadingNothing checks the reasons of a source that is assigned partitions and reads nothing.
func TestReadingNothing(t *testing.T) {
	c := newClock()
	s := newSource(t, "127.0.0.1:1", topics("a", "b"))
	s.now = c.now
	a, b := newFetcher(s, part("a", 0), 0), newFetcher(s, part("b", 0), 0)
	s.setFetchers([]*fetcher{a, b})
	f := func(after time.Duration, want string) {
		t.Helper()
		c.add(after)
		s.checkProgress(t.Context(), layout{"a": 1, "b": 1})
		if h := s.Health(); h.Degraded != (want != "") || !strings.Contains(h.Reason, want) {
			t.Errorf("got %+v, want %q", h, want)
		}
	}
	f(0, "")
	f(time.Hour, "")
	b.highWater.Store(7)
	b.taken.Store(3)
	f(time.Second, "")
	f(DefaultStall-time.Second, "")
	f(time.Second, "records: 4 records wait in b and none was read for 1m0s: the brokers return none of them")
	b.handing.Store(true)
	f(time.Second, "none was read for 1m1s: the engine takes no more")
	a.taken.Store(1) // one partition that moves is enough: the other may wait for it
	f(time.Second, "")
	if got := s.Counts().Stalls; got != 1 {
		t.Errorf("counted %d stalls, want 1", got)
	}
}

// TestGroupReadsNothing checks the reasons of a source that is not assigned partitions.
func TestGroupReadsNothing(t *testing.T) {
	c := newClock()
	s := newSource(t, "127.0.0.1:1", func(c *Config) { c.Topics, c.Group = []string{"a", "b"}, "kafka-group" })
	f := func(after time.Duration, standby bool, committedA, committedB int64, want string) {
		t.Helper()
		c.add(after)
		p := groupPositions{
			committed: map[connectors.Partition]int64{part("a", 0): committedA, part("b", 0): committedB},
			waiting:   backlog{"a": 10 - max(0, committedA), "b": 10 - max(0, committedB)}, unread: backlog{},
		}
		if committedB < 0 {
			p.unread["b"] = p.waiting["b"]
		}
		if got := s.groupProblem(c.now(), standby, p); (got != "") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(0, true, 5, 5, "")
	f(DefaultStall, true, 6, 5, "")
	f(DefaultStall-1, true, 6, 5, "")
	f(1, true, 6, 5, `9 records wait in a, b and consumer group "kafka-group" has read none for 1m0s: another member`)
	f(0, false, 6, 5, "this process is assigned their partitions but cannot begin")
	f(DefaultStall, true, 10, 10, "")
	f(DefaultStall, true, 5, -1, "")
	f(DefaultStall, true, 6, -1, `10 records wait in b and consumer group`) // a moves, b was never read
	f(DefaultStall, true, 7, 0, "")
}

// TestTwoSourcesOfOneGroup checks that a source is degraded if another member of its group is assigned everything but
// reads other topics, and not if that member reads its topics.
func TestTwoSourcesOfOneGroup(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	checkSharedGroup(t, fake.Addr)
}

// checkSharedGroup is TestTwoSourcesOfOneGroup at a broker.
func checkSharedGroup(t *testing.T, addr string) {
	for _, topic := range []string{"shared-a", "shared-b"} {
		conntest.CreateTopic(t, addr, topic, 2)
		conntest.Produce(t, addr, topic, 1, conntest.Messages("x", "y"), nil)
	}
	reading := newSource(t, addr, func(c *Config) { c.Topics, c.Group = []string{"shared-a"}, "shared" })
	r := conntest.NewRecorder()
	defer run(t, reading, r)()
	r.Wait(t, patience, "the first reads", func() bool { return r.Count() == 2 })
	if err := reading.Commit(t.Context(), map[connectors.Partition]int64{part("shared-a", 0): 0, part("shared-a", 1): 2}); err != nil {
		t.Fatal(err)
	}

	c := newClock()
	standby := newSource(t, addr, func(c *Config) { c.Topics, c.Group = []string{"shared-a"}, "shared" })
	other := newSource(t, addr, func(c *Config) { c.Topics, c.Group = []string{"shared-b"}, "shared" })
	var looked atomic.Int32 // looks at the clock by the standby
	standby.now = func() time.Time { looked.Add(1); return c.now() }
	other.now = c.now
	defer run(t, standby, conntest.NewRecorder())()
	second := conntest.NewRecorder()
	stop := run(t, other, second)
	defer stop()
	waitHealth(t, other, "nobody reads shared-b: consumer group \"shared\" gives all partitions to the member aidr at ") // no time passes
	waitHealth(t, other, "a group of its own")
	if second.Count() != 0 {
		t.Errorf("%d records read", second.Count())
	}
	for at := looked.Load(); looked.Load() < at+2; time.Sleep(10 * time.Millisecond) {
		c.add(time.Hour)
	}
	if got := standby.health.problem(recordsProblem); got != "" {
		t.Errorf("the standby of a member that reads: %s", got)
	}
}

// TestUnassigned checks that partitions which the leader of the group did not see are reported, and assigned soon.
func TestUnassigned(t *testing.T) {
	s := newSource(t, "127.0.0.1:1", topics("a", "b"))
	fetchers := []*fetcher{newFetcher(s, part("a", 0), 0), newFetcher(s, part("b", 0), 0), newFetcher(s, part("b", 1), 0)}
	m := &member{Source: s}
	if got := m.reportUnassigned(layout{"a": 1, "b": 2}, fetchers); !got.equal(layout{"a": 1, "b": 2}) || s.Health().Degraded {
		t.Errorf("all are assigned: got %v, %+v", got, s.Health())
	}
	got := m.reportUnassigned(layout{"a": 3, "b": 2, "c": 1}, fetchers)
	if !got.equal(layout{"a": 1, "b": 2}) || !strings.Contains(s.Health().Reason, "missing: 1 of c, 2 of a") {
		t.Errorf("got %v, %+v", got, s.Health())
	}
	m.reportUnassigned(layout{"a": 1, "b": 2}, fetchers)
	if s.Health().Degraded {
		t.Errorf("health stays %+v", s.Health())
	}
}

// TestBlockedReader checks that a source whose reader takes nothing is degraded, although its fetches succeed.
func TestBlockedReader(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1)
	conntest.Produce(t, fake.Addr, "t", 0, conntest.Messages("a", "b"), nil)
	c, s := newClock(), newSource(t, fake.Addr, topics("t"))
	s.now = c.now
	r := &blockedReader{Recorder: conntest.NewRecorder(), open: make(chan struct{})}
	defer run(t, s, r)()
	for deadline := time.Now().Add(patience); s.health.problem(recordsProblem) == ""; time.Sleep(10 * time.Millisecond) {
		c.add(time.Second)
		if time.Now().After(deadline) {
			t.Fatalf("health is %+v", s.Health())
		}
	}
	waitHealth(t, s, "2 records wait in t and none was read for")
	waitHealth(t, s, "the engine takes no more")
	close(r.open)
	waitHealth(t, s, "")
}

// blockedReader takes nothing until open is closed.
type blockedReader struct {
	*conntest.Recorder
	open chan struct{}
}

func (r *blockedReader) Read(ctx context.Context, b *connectors.Batch) error {
	select {
	case <-r.open:
		return r.Recorder.Read(ctx, b)
	case <-ctx.Done():
		return errors.New("not taken")
	}
}
