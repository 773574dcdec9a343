package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// patience is how long a test waits for an expected event.
const patience = 60 * time.Second

// newSource returns a source with short intervals, changed by change.
func newSource(t testing.TB, addr string, change func(*Config)) *Source {
	t.Helper()
	c := Config{
		Name: "kafka", Brokers: []string{addr}, Group: "aidr", Start: "first",
		FetchWait: 50 * time.Millisecond, Refresh: 200 * time.Millisecond,
		Session: 2 * time.Second, Heartbeat: 200 * time.Millisecond,
	}
	change(&c)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func topics(names ...string) func(*Config) {
	return func(c *Config) { c.Topics = names }
}

// run runs the source until stop is called. stop returns once Run has returned.
func run(t testing.TB, s *Source, r connectors.Reader) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, r) }()
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Run did not end within %v", patience)
		}
	}
	t.Cleanup(stop)
	return stop
}

func part(topic string, number int32) connectors.Partition {
	return connectors.Partition{Source: "kafka", Topic: topic, Number: number}
}

func numbered(prefix string, from, to int) []string {
	var texts []string
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprintf("%s %d", prefix, i))
	}
	return texts
}

func TestContract(t *testing.T) {
	conntest.TestSource(t, func(t *testing.T) conntest.SourceTarget {
		fake := conntest.StartFakeKafka(t)
		var ps []connectors.Partition
		conntest.CreateTopic(t, fake.Addr, "a", 1)
		conntest.CreateTopic(t, fake.Addr, "b", 2)
		for i, p := range []connectors.Partition{part("a", 0), part("b", 0), part("b", 1)} {
			conntest.Produce(t, fake.Addr, p.Topic, int(p.Number), conntest.Messages(conntest.Texts(i)...), nil)
			ps = append(ps, p)
		}
		return conntest.SourceTarget{
			New: func(t *testing.T) connectors.Source {
				return newSource(t, fake.Addr, func(c *Config) { c.Topics, c.FetchBytes = []string{"a", "b"}, 100_000 })
			},
			Partitions: ps,
			Append: func(t *testing.T, p connectors.Partition, text string) {
				conntest.Produce(t, fake.Addr, p.Topic, int(p.Number), conntest.Messages(text), nil)
			},
		}
	})
}

func TestCodecs(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	checkCodecs(t, fake.Addr)
}

// checkCodecs reads records written with every codec.
func checkCodecs(t *testing.T, addr string) {
	conntest.CreateTopic(t, addr, "codecs", 1)
	var want []string
	for _, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		texts := numbered(fmt.Sprintf("%v %s", codec, strings.Repeat("squeeze me ", 20)), 0, 300)
		want = append(want, texts...)
		conntest.Produce(t, addr, "codecs", 0, conntest.Messages(texts...), func(w *kafka.Writer) { w.Compression = codec })
	}
	r := conntest.NewRecorder()
	stop := run(t, newSource(t, addr, func(c *Config) { c.Topics, c.Group = []string{"codecs"}, "codecs" }), r)
	r.Wait(t, patience, "everything is read", func() bool { return r.Count() >= len(want) && r.AtEnd(part("codecs", 0)) })
	stop()
	if got := r.Texts(part("codecs", 0)); !slices.Equal(got, want) {
		t.Errorf("got %d records, want %d", len(got), len(want))
	}
	r.Check(t)
}

func TestRecords(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1, "max.message.bytes", "40000000")
	at := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	big := strings.Repeat("\u00e4", maxMessage/2+1)
	messages := []kafka.Message{
		{Value: []byte("one"), Time: at, Key: []byte("k"), Headers: []kafka.Header{{Key: "h", Value: []byte("v")}}},
		{Key: []byte("gone"), Time: at},
		{Value: []byte{}, Time: at},
		{Value: []byte(big), Time: at},
		{Value: []byte("last"), Time: at},
	}
	conntest.Produce(t, fake.Addr, "t", 0, messages, func(w *kafka.Writer) { w.BatchBytes = 100 << 20 })
	r := conntest.NewRecorder()
	stop := run(t, newSource(t, fake.Addr, topics("t")), r)
	r.Wait(t, patience, "everything is read", func() bool { return r.Count() == len(messages) })
	stop()
	got := r.Records(part("t", 0))
	want := []conntest.Got{
		{Text: "one", Offset: 0}, {Offset: 1, Tombstone: true}, {Offset: 2},
		{Text: big[:headBytes], Offset: 3, TooLarge: true}, {Text: "last", Offset: 4},
	}
	for i := range want {
		want[i].Time = schema.InstantOf(at)
		if got[i] != want[i] {
			t.Errorf("record %d: got %.100q..., want %.100q...", i, fmt.Sprint(got[i]), fmt.Sprint(want[i]))
		}
	}
	r.Check(t)
}

func TestStart(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1)
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, text := range numbered("r", 0, 5) {
		conntest.Produce(t, fake.Addr, "t", 0, []kafka.Message{{Value: []byte(text), Time: noon.Add(time.Duration(i) * time.Minute)}}, nil)
	}
	f := func(start string, want ...string) {
		t.Helper()
		r := conntest.NewRecorder()
		stop := run(t, newSource(t, fake.Addr, func(c *Config) { c.Topics, c.Start, c.Group = []string{"t"}, start, "g"+start }), r)
		r.Wait(t, patience, "the end is reached", func() bool { return r.AtEnd(part("t", 0)) })
		stop()
		if got := r.Texts(part("t", 0)); !slices.Equal(got, want) {
			t.Errorf("start %q: got %q, want %q", start, got, want)
		}
	}
	f("first", "r 0", "r 1", "r 2", "r 3", "r 4")
	f("last")
	f("2026-03-01T12:02:00Z", "r 2", "r 3", "r 4")
	f("2026-03-01T12:02:30Z", "r 3", "r 4")
	f("2026-03-01T13:00:00Z")
	f("2020-01-01T00:00:00Z", "r 0", "r 1", "r 2", "r 3", "r 4")
}

// Without a checkpoint, reading resumes at the offsets committed to the group.
func TestCommitted(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 2)
	conntest.Produce(t, fake.Addr, "t", 0, conntest.Messages(numbered("r", 0, 5)...), nil)
	first := conntest.NewRecorder()
	s := newSource(t, fake.Addr, topics("t"))
	stop := run(t, s, first)
	first.Wait(t, patience, "everything is read", func() bool { return first.Count() == 5 })
	if err := s.Commit(t.Context(), map[connectors.Partition]int64{part("t", 0): 3, part("other", 0): 9}); err != nil {
		t.Fatalf("commit: %v", err)
	}
	stop()
	second := conntest.NewRecorder()
	stop = run(t, newSource(t, fake.Addr, topics("t")), second)
	second.Wait(t, patience, "the rest is read", func() bool { return second.AtEnd(part("t", 0)) })
	stop()
	if got, want := second.Texts(part("t", 0)), []string{"r 3", "r 4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := second.Losses(part("t", 0)); got != 1 {
		t.Errorf("without a checkpoint: %d losses of State were reported, want 1", got)
	}
	for from, want := range map[int64]int{2: 1, 3: 0, 4: 0} { // 2: another process has read on with another state directory
		r := conntest.NewRecorder()
		r.From = map[connectors.Partition]int64{part("t", 0): from}
		stop := run(t, newSource(t, fake.Addr, topics("t")), r)
		r.Wait(t, patience, "the rest is read", func() bool { return r.AtEnd(part("t", 0)) })
		stop()
		if got := r.Losses(part("t", 0)); got != want || r.Count() != int(5-from) {
			t.Errorf("with a checkpoint at %d: %d losses of State and %d records, want %d and %d", from, got, r.Count(), want, 5-from)
		}
	}
}

func TestOutOfRange(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1)
	conntest.Produce(t, fake.Addr, "t", 0, conntest.Messages(numbered("r", 0, 5)...), nil)
	r := conntest.NewRecorder()
	r.From = map[connectors.Partition]int64{part("t", 0): 99}
	s := newSource(t, fake.Addr, topics("t"))
	stop := run(t, s, r)
	r.Wait(t, patience, "reading starts over", func() bool { return r.Count() == 5 })
	stop()
	if got := s.Counts().OutOfRange; got != 1 {
		t.Errorf("out of range: counted %d, want 1", got)
	}
	if got := r.Losses(part("t", 0)); got != 1 {
		t.Errorf("the engine was told of %d losses, want 1", got)
	}
}

func TestTopicsAppear(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "other", 1)
	r := conntest.NewRecorder()
	s := newSource(t, fake.Addr, topics("late", "later"))
	stop := run(t, s, r)
	waitHealth(t, s, "no topic late, later")
	conntest.CreateTopic(t, fake.Addr, "late", 1)
	conntest.Produce(t, fake.Addr, "late", 0, conntest.Messages("a"), nil)
	r.Wait(t, patience, "the late topic is read", func() bool { return r.Count() == 1 })
	waitHealth(t, s, "no topic later")
	conntest.CreateTopic(t, fake.Addr, "later", 2)
	conntest.Produce(t, fake.Addr, "later", 1, conntest.Messages("b"), nil)
	r.Wait(t, patience, "the later topic is read", func() bool { return r.Count() == 2 })
	waitHealth(t, s, "")
	stop()
	r.Check(t)
}

// waitHealth waits until the reason in health contains text, or until health is good if text is "".
func waitHealth(t *testing.T, s *Source, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // health does not signal its changes
		h := s.Health()
		if h.Degraded == (text != "") && strings.Contains(h.Reason, text) && h.Degraded == !h.Since.IsZero() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("health is %+v, want %q", h, text)
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "logs.a", 1)
	conntest.CreateTopic(t, fake.Addr, "xlogs.a", 1)
	conntest.CreateTopic(t, fake.Addr, "logs.abc", 1)
	for _, topic := range []string{"logs.a", "xlogs.a", "logs.abc"} {
		conntest.Produce(t, fake.Addr, topic, 0, conntest.Messages(topic), nil)
	}
	r := conntest.NewRecorder()
	stop := run(t, newSource(t, fake.Addr, func(c *Config) { c.Pattern = `logs\.[a-z]` }), r)
	r.Wait(t, patience, "the topic is read", func() bool { return r.Count() == 1 })
	conntest.CreateTopic(t, fake.Addr, "logs.b", 1)
	conntest.Produce(t, fake.Addr, "logs.b", 0, conntest.Messages("new"), nil)
	r.Wait(t, patience, "the new topic is read", func() bool { return len(r.Texts(part("logs.b", 0))) == 1 })
	stop()
	if n := r.Count(); n != 2 {
		t.Errorf("%d records read, want those of logs.a and logs.b", n)
	}
	r.Check(t)
}

// While the broker is unreachable, health is degraded. No record is lost or read twice.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 2)
	r := conntest.NewRecorder()
	s := newSource(t, fake.Addr, topics("t"))
	stop := run(t, s, r)
	want := numbered("r", 0, 40)
	conntest.Produce(t, fake.Addr, "t", 1, conntest.Messages(want[:20]...), nil)
	r.Wait(t, patience, "the first half is read", func() bool { return r.Count() == 20 })
	back := fake.Away()
	waitHealth(t, s, "join group")
	back()
	conntest.Produce(t, fake.Addr, "t", 1, conntest.Messages(want[20:]...), nil)
	r.Wait(t, patience, "the second half is read", func() bool { return r.Count() == 40 })
	waitHealth(t, s, "")
	stop()
	if got := r.Texts(part("t", 1)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Check(t)
}

// A group may make a member wait for as long as the rebalance timeout. A source that is asked to end does not wait that
// long.
func TestLeaveWhileJoining(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1)
	joining, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	fake.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.SleepControl(func() {
			close(joining)
			<-release
		})
		return nil, nil, false
	})
	stop := run(t, newSource(t, fake.Addr, topics("t")), conntest.NewRecorder())
	<-joining
	begun := time.Now()
	stop()
	if d := time.Since(begun); d > rebalanceTimeout/2 {
		t.Errorf("ending took %v", d)
	}
}

// While the leader of a partition does not answer, the partition must not count as read to its end, even if the group
// still works.
func TestEndIsNotKnown(t *testing.T) {
	t.Parallel()
	fake := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, fake.Addr, "t", 1)
	conntest.Produce(t, fake.Addr, "t", 0, conntest.Messages("one"), nil)
	r, s := conntest.NewRecorder(), newSource(t, fake.Addr, topics("t"))
	stop := run(t, s, r)
	r.Wait(t, patience, "the end is reached", func() bool { return r.AtEnd(part("t", 0)) })
	var back atomic.Bool
	fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		if back.Load() {
			return nil, nil, false
		}
		fake.KeepControl()
		return nil, errors.New("the leader is away"), true
	})
	r.Wait(t, patience, "the end is unknown", func() bool { return !r.AtEnd(part("t", 0)) })
	waitHealth(t, s, "partition t/0")
	back.Store(true)
	r.Wait(t, patience, "the end is known again", func() bool { return r.AtEnd(part("t", 0)) })
	stop()
	if got := r.Texts(part("t", 0)); !slices.Equal(got, []string{"one"}) {
		t.Errorf("got %q, want one", got)
	}
	r.Check(t)
}
