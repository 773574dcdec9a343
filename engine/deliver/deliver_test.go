package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// delivery is a store with a running Deliverer.
type delivery struct {
	t     *testing.T
	store *store.Store
	d     *Deliverer
	seq   uint64         // of the last checkpoint
	rev   map[int]uint64 // revision of each finding, by number
	log   bytes.Buffer   // of the Deliverer, without times; read it while every goroutine is idle

	detected *schema.Instant // of all findings
}

// deliver opens a store in memory and starts a Deliverer. It must run in a synctest bubble, and end with stop.
func deliver(t *testing.T, sinks ...connectors.Sink) *delivery {
	t.Helper()
	s, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	v := &delivery{t: t, store: s, rev: map[int]uint64{}}
	v.start(sinks...)
	return v
}

func (v *delivery) start(sinks ...connectors.Sink) {
	v.t.Helper()
	log := slog.New(slog.NewTextHandler(&v.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	d, err := New(Options{Store: v.store, Sinks: sinks, Log: log})
	if err != nil {
		v.t.Fatalf("new deliverer: %v", err)
	}
	v.d = d
	d.Start()
}

// stop drains the Deliverer, closes the store, and returns the error of Drain.
func (v *delivery) stop() error {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), DrainTime)
	defer cancel()
	err := v.d.Drain(ctx)
	if err := v.store.Close(); err != nil {
		v.t.Errorf("close store: %v", err)
	}
	return err
}

// crash simulates a crash: it starts another Deliverer on a copy of the disk as it is at this moment.
func (v *delivery) crash(sinks ...connectors.Sink) {
	v.t.Helper()
	after, err := v.store.Snapshot()
	if err != nil {
		v.t.Fatalf("snapshot: %v", err)
	}
	v.d.once.Do(func() { close(v.d.draining) })
	v.d.cancel()
	v.d.done.Wait()
	if err := v.store.Close(); err != nil {
		v.t.Errorf("close store: %v", err)
	}
	v.store = after
	v.start(sinks...)
}

// commit commits one checkpoint with changes like "1 opened", or "2" for a shadow finding, and waits until every goroutine
// is idle. The number is that of the finding.
func (v *delivery) commit(changes ...string) []connectors.Entry {
	v.t.Helper()
	v.seq++
	c := &store.Checkpoint{Seq: v.seq}
	for _, text := range changes {
		var n int
		var kind string
		if _, err := fmt.Sscanf(text, "%d %s", &n, &kind); err != nil {
			if _, err := fmt.Sscanf(text, "%d", &n); err != nil {
				v.t.Fatalf("change %q: %v", text, err)
			}
		}
		v.rev[n]++
		f := &schema.Finding{
			DetectedAt: v.detected,
			ID:         schema.ID{14: byte(n >> 8), 15: byte(n)}, Revision: v.rev[n], RuleID: "r", Shadow: kind == "",
			Key: map[string]string{"k": fmt.Sprint(n)}, Evidence: []schema.Evidence{{Topic: "t", Partition: 3, Offset: int64(n)}},
		}
		e := connectors.Entry{Finding: f}
		if kind != "" {
			e.Type = connectors.EntryType("finding." + kind)
		}
		c.Outbox = append(c.Outbox, e)
	}
	if err := v.store.Commit(c); err != nil {
		v.t.Fatalf("commit: %v", err)
	}
	v.d.Notify()
	synctest.Wait()
	return c.Outbox
}

// after advances the time and waits until every goroutine is idle.
func (v *delivery) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func want(t *testing.T, name, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

func TestDelivererInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &endpointSink{testSink: testSink{name: "a"}}, &tableSink{testSink: testSink{name: "b"}, most: 100}
		v := deliver(t, a, b)
		v.commit("1 opened", "2", "3 opened")
		v.commit("1 updated")
		want(t, "webhook", a.taken(), "1 opened, 3 opened, 4 updated")
		want(t, "table", b.taken(), "1 opened, 2 , 3 opened, 4 updated")
		if err := v.stop(); err != nil {
			t.Errorf("drain: %v", err)
		}
		want(t, "state after the end", fmt.Sprint(v.d.Status()[0].State), SinkStopped)
	})
}

// refuse returns an answer of a testSink. undelivered returns nil for the entries that the sink delivers.
func refuse(undelivered func(e connectors.Entry) *connectors.Undelivered) func([]connectors.Entry) error {
	return func(entries []connectors.Entry) error {
		var p connectors.Partial
		for _, e := range entries {
			if u := undelivered(e); u != nil {
				u.Seq = e.Seq
				p.Entries = append(p.Entries, *u)
			}
		}
		if len(p.Entries) == 0 {
			return nil
		}
		return &p
	}
}

// retryFinding returns an answer that refuses the entries of finding n and demands a retry after a time.
func retryFinding(n byte, after time.Duration) func([]connectors.Entry) error {
	return refuse(func(e connectors.Entry) *connectors.Undelivered {
		if e.Finding.ID[15] != n {
			return nil
		}
		return &connectors.Undelivered{Reason: "http_500", After: after}
	})
}

func TestDelivererKeepsOrderAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}}
		v := deliver(t, a)
		a.setAnswer(retryFinding(1, 5*time.Second))
		v.commit("1 opened", "2 opened")
		v.commit("1 updated", "2 updated")
		v.commit("1 settled")
		v.after(4 * time.Second)
		want(t, "before the retry", a.taken(), "2 opened, 4 updated")
		want(t, "waiting", fmt.Sprint(v.d.Status()[0].Entries, v.d.Status()[0].Retries), "3 3")
		v.after(2 * time.Second) // the second attempt fails too
		a.setAnswer(nil)
		v.after(5 * time.Second)
		want(t, "after the retry", a.taken(), "2 opened, 4 updated, 1 opened, 3 updated, 5 settled")
		want(t, "attempts", strings.Join(a.attempts(), "; "), "1 2; 4; 1#1; 1#2; 3; 5")
		w, err := v.store.Waiting("a")
		want(t, "waiting at the end", fmt.Sprint(w, err), "{0 0 1970-01-01T00:00:00Z} <nil>")
		v.stop()
	})
}

func TestDelivererDoesNotCountHeldAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}}
		v := deliver(t, a)
		first := true
		a.setAnswer(refuse(func(e connectors.Entry) *connectors.Undelivered {
			if e.Finding.ID[15] != 1 || !first && e.Seq == 2 {
				return nil
			}
			return &connectors.Undelivered{Reason: "http_500", After: time.Second, Held: e.Seq == 2}
		}))
		v.commit("1 opened", "1 updated")
		first = false
		a.setAnswer(nil)
		v.after(3 * time.Second)
		want(t, "attempts", strings.Join(a.attempts(), "; "), "1 2; 1#1; 2")
		v.stop()
	})
}

func TestDelivererPoisonAndRequeue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &endpointSink{testSink: testSink{name: "a"}}, &tableSink{testSink: testSink{name: "b"}, most: 10}
		v := deliver(t, a, b)
		poison := refuse(func(e connectors.Entry) *connectors.Undelivered {
			if e.Finding.ID[15] != 2 {
				return nil
			}
			return &connectors.Undelivered{Poison: true, Reason: "http_400", Detail: "no"}
		})
		a.setAnswer(poison)
		b.setAnswer(poison)
		v.commit("1 opened", "2 opened", "3 opened")
		v.commit("2 updated")
		var dead []string
		err := v.store.DeadLetters(store.DeadFilter{}, func(l *store.DeadLetter) bool {
			position := fmt.Sprintf("%s/%d/%d", l.Topic, l.Partition, l.Offset)
			dead = append(dead, fmt.Sprintln(l.Entry, l.Sink, l.Kind, l.Reason, l.Type, position, l.Attempts))
			return true
		})
		slices.Sort(dead)
		if err != nil {
			t.Errorf("dead letters: %v", err)
		}
		want(t, "dead letters", strings.Join(dead, ""), `2 a delivery http_400 finding.opened t/3/2 1
2 b row http_400 finding.opened t/3/2 1
4 a delivery http_400 finding.updated t/3/2 1
4 b row http_400 finding.updated t/3/2 1
`)
		a.setAnswer(nil)
		var seq uint64
		v.store.DeadLetters(store.DeadFilter{Sink: "a"}, func(l *store.DeadLetter) bool { seq = l.Seq; return false })
		if err := v.d.Requeue(seq); err != nil {
			t.Errorf("requeue: %v", err)
		}
		v.after(0)
		want(t, "webhook", a.taken(), "1 opened, 3 opened, 2 opened")
		want(t, "table", b.taken(), "1 opened, 3 opened")
		if err := v.d.Requeue(seq); err == nil || !strings.Contains(err.Error(), "no dead letter has this number") {
			t.Errorf("requeue again: got %v, want an error", err)
		}
		if a.clash != "" {
			t.Errorf("two different bodies of %s", a.clash)
		}
		v.stop()
	})
}

func TestDelivererBacksOffAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &endpointSink{testSink: testSink{name: "a"}}, &tableSink{testSink: testSink{name: "b"}, most: 10}
		v := deliver(t, a, b)
		var times []time.Duration
		start := time.Now()
		b.setAnswer(func([]connectors.Entry) error {
			times = append(times, time.Since(start))
			return errors.New("connection refused")
		})
		v.commit("1 opened")
		v.commit("2 opened")
		want(t, "the other sink", a.taken(), "1 opened, 2 opened")
		v.after(5 * time.Minute)
		for i := 1; i < len(times); i++ {
			low := min(minPause<<min(i-1, 5), maxPause)
			if d := times[i] - times[i-1]; d < low || d > min(low+low/2, maxPause) {
				t.Errorf("pause %d: got %s, want %s plus up to half of that, at most %s", i, d, low, maxPause)
			}
		}
		if len(times) < 12 {
			t.Errorf("tries in 5 min: got %d, want at least 12", len(times))
		}
		st := v.d.Status()[1]
		want(t, "status", fmt.Sprintf("%s %d %s", st.State, st.Entries, st.Reason), `retrying 2 write to sink "b": connection refused`)
		if st.Oldest <= 4*time.Minute {
			t.Errorf("age of the oldest entry: got %s, want more than 4 min", st.Oldest)
		}
		b.setAnswer(nil)
		v.after(maxPause)
		want(t, "after the recovery", b.taken(), "1 opened, 2 opened")
		want(t, "status after the recovery", v.d.Status()[1].State, SinkOK)
		v.stop()
	})
}

func TestDelivererBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &tableSink{testSink: testSink{name: "b"}, most: 3, linger: time.Second}
		v := deliver(t, b)
		v.commit("1 opened")
		v.after(600 * time.Millisecond)
		v.commit("2 opened")
		want(t, "during Linger", b.taken(), "")
		v.after(500 * time.Millisecond)
		want(t, "a second after the first entry", strings.Join(b.attempts(), "; "), "1 2")
		v.commit("3 opened", "4 opened", "5 opened", "6 opened")
		want(t, "a full block", strings.Join(b.attempts(), "; "), "1 2; 3 4 5")
		v.stop()
		want(t, "the last, partial block", strings.Join(b.attempts(), "; "), "1 2; 3 4 5; 6")
	})
}

func TestDelivererSendsTheSameBlockAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &tableSink{testSink: testSink{name: "b"}, most: 100, linger: time.Second}
		v := deliver(t, b)
		b.setAnswer(func([]connectors.Entry) error { return errors.New("timeout") })
		v.commit("1 opened", "2 opened")
		v.after(1100 * time.Millisecond)
		v.commit("3 opened")
		v.crash(b)
		v.commit("4 opened")
		b.setAnswer(nil)
		v.after(time.Minute)
		all := b.attempts()
		for _, w := range all[:len(all)-1] {
			want(t, "a write of the block", w, "1 2")
		}
		want(t, "the rest", all[len(all)-1], "3 4")
		want(t, "taken", b.taken(), "1 opened, 2 opened, 3 opened, 4 opened")
		v.stop()
	})
}

func TestDelivererKeepsRetriesOverACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}}
		v := deliver(t, a)
		a.setAnswer(retryFinding(1, time.Hour))
		v.commit("1 opened", "2 opened")
		v.commit("1 settled")
		v.crash(a)
		a.setAnswer(nil)
		v.after(59 * time.Minute)
		want(t, "before the retry is due", a.taken(), "2 opened")
		v.after(2 * time.Minute)
		want(t, "when the retry is due", a.taken(), "2 opened, 1 opened, 3 settled")
		want(t, "attempts", strings.Join(a.attempts(), "; "), "1 2; 1#1; 3")
		v.stop()
	})
}

func TestDelivererUpdatesOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}, every: time.Minute}
		b := &endpointSink{testSink: testSink{name: "b"}}
		v := deliver(t, a, b)
		v.commit("1 opened", "2 opened", "3 opened")
		v.commit("1 updated")                           // 4 is delivered at once
		v.commit("1 updated", "2 updated", "1 updated") // 7 replaces 5 and waits; 6 is delivered at once
		v.commit("1 updated")                           // 8 replaces 7
		want(t, "at once", a.taken(), "1 opened, 2 opened, 3 opened, 4 updated, 6 updated")
		v.after(59 * time.Second)
		want(t, "within the minute", a.taken(), "1 opened, 2 opened, 3 opened, 4 updated, 6 updated")
		v.after(2 * time.Second)
		want(t, "after the minute", a.taken(), "1 opened, 2 opened, 3 opened, 4 updated, 6 updated, 8 updated")
		v.commit("1 updated")                // 9 waits
		v.commit("1 settled")                // 10 replaces 9 and is delivered at once
		v.commit("2 updated")                // 11 is delivered at once: a minute has passed since 6
		v.commit("2 updated", "2 withdrawn") // 13 replaces 12
		before := "1 opened, 2 opened, 3 opened, 4 updated, 6 updated, 8 updated, 10 settled, 11 updated, 13 withdrawn"
		want(t, "entries that never wait", a.taken(), before)
		v.commit("3 updated") // 14 is delivered at once
		v.commit("3 updated") // 15 waits
		v.crash(a, b)
		v.commit("1 updated") // 16 waits: the time of the last update of 1 was lost
		v.after(30 * time.Second)
		want(t, "half a minute after a crash", a.taken(), before+", 14 updated")
		v.after(31 * time.Second)
		got := strings.Split(a.taken(), ", ")
		slices.Sort(got[len(got)-2:])
		want(t, "a minute after the crash", strings.Join(got[len(got)-2:], ", "), "15 updated, 16 updated")
		want(t, "a sink without UpdateEvery", fmt.Sprint(len(strings.Split(b.taken(), ", "))), "16")
		v.stop()
	})
}

func TestDelivererCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}, cap: 8000}
		b := &tableSink{testSink: testSink{name: "b"}, most: 10}
		v := deliver(t, a, b)
		a.setAnswer(retryFinding(1, time.Hour))
		v.commit("1 opened")
		a.setAnswer(func([]connectors.Entry) error { return errors.New("connection refused") })
		for n := range 40 {
			v.commit(fmt.Sprintf("%d opened", n+2))
		}
		w, err := v.store.Waiting("a")
		if err != nil || w.Bytes > 8000 || w.Bytes < 7000 {
			t.Errorf("waiting: got %+v, %v; want slightly less than the cap", w, err)
		}
		var dead []uint64
		v.store.DeadLetters(store.DeadFilter{Reason: connectors.ReasonOutboxFull}, func(l *store.DeadLetter) bool {
			dead = append(dead, l.Entry)
			return true
		})
		for i, seq := range dead {
			if seq != uint64(i+1) {
				t.Errorf("dead letters: got %v, want the oldest entries in order", dead)
				break
			}
		}
		want(t, "waiting and dead entries", fmt.Sprint(uint64(len(dead))+w.Entries), "41")
		want(t, "the other sink", fmt.Sprint(len(strings.Split(b.taken(), ", "))), "41")
		v.stop()
	})
}

func TestDrainEndsASlowWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowSink{testSink{name: "slow"}}
		a := &endpointSink{testSink: testSink{name: "a"}}
		v := deliver(t, slow, a)
		v.commit("1 opened")
		start := time.Now()
		if err := v.stop(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain: got %v, want the deadline", err)
		}
		if d := time.Since(start); d < DrainTime || d > DrainTime+stopGrace {
			t.Errorf("drain took %s, want about %s", d, DrainTime)
		}
		want(t, "the other sink", a.taken(), "1 opened")
	})
}

// slowSink is a sink whose Write blocks until its context ends.
type slowSink struct{ testSink }

func (s *slowSink) Write(ctx context.Context, entries []connectors.Entry) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestDrainTriesAFailingSinkOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}}
		v := deliver(t, a)
		a.setAnswer(func([]connectors.Entry) error { return errors.New("connection refused") })
		v.commit("1 opened")
		v.after(10 * time.Second)
		before, start := len(a.attempts()), time.Now()
		if err := v.stop(); err != nil {
			t.Errorf("drain: %v", err)
		}
		want(t, "attempts and time", fmt.Sprint(len(a.attempts())-before, time.Since(start)), "1 0s")
	})
}

func TestDelivererConfigurationChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := func(name string) *endpointSink { return &endpointSink{testSink: testSink{name: name}} }
		a, b, c := sink("a"), sink("b"), sink("c")
		v := deliver(t, a, b)
		b.setAnswer(func([]connectors.Entry) error { return errors.New("connection refused") })
		v.commit("1 opened")
		v.crash(a, c)
		v.commit("2 opened")
		want(t, "the sink that stays", a.taken(), "1 opened, 2 opened")
		want(t, "the new sink", c.taken(), "2 opened")
		if _, ok := v.store.Sink("b"); ok {
			t.Error("the removed sink still has a cursor")
		}
		b.setAnswer(nil)
		v.crash(a, b, c)
		v.commit("3 opened")
		want(t, "the removed sink is back", b.taken(), "3 opened")
		if _, err := New(Options{Store: v.store, Sinks: []connectors.Sink{a, a}}); err == nil {
			t.Error("two sinks of one name: want an error")
		}
		v.stop()
	})
}

func TestDeliveryMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}}
		s, err := store.Open("", store.Options{Memory: true})
		if err != nil {
			t.Fatalf("open store: %v", err)
		}
		r := prometheus.NewRegistry()
		d, err := New(Options{Store: s, Sinks: []connectors.Sink{a}, Registry: r})
		if err != nil {
			t.Fatalf("new deliverer: %v", err)
		}
		d.Start()
		v := &delivery{t: t, store: s, d: d, rev: map[int]uint64{}}
		a.setAnswer(retryFinding(1, time.Hour))
		v.commit("1 opened", "2 opened", "3")
		v.after(90 * time.Second)
		all, err := r.Gather()
		if err != nil {
			t.Fatalf("gather: %v", err)
		}
		got := map[string]float64{}
		for _, family := range all {
			for _, m := range family.GetMetric() {
				name := family.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"aidr_outbox_entries a":             1,
			"aidr_outbox_oldest_seconds a":      90,
			"aidr_deliveries_total delivered a": 1,
			"aidr_deliveries_total retry a":     1,
			"aidr_deliveries_total skipped a":   1,
			"aidr_deliveries_total error a":     0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s: got %v, %v; want %v", name, v, ok, want)
			}
		}
		if got["aidr_outbox_bytes a"] < 100 {
			t.Errorf("aidr_outbox_bytes: got %v, want an entry's size", got["aidr_outbox_bytes a"])
		}
		v.stop()
	})
}

// TestDeliveryLatency checks that the latency of a finding is measured once, from its detection until the sink has it, even
// if attempts fail before, and that each Write is measured.
func TestDeliveryLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &endpointSink{testSink: testSink{name: "a"}}
		v := deliver(t, a)
		a.setAnswer(retryFinding(1, 5*time.Second))
		detected := schema.InstantOf(time.Now())
		v.detected = &detected
		v.commit("1 opened", "2 opened")
		v.after(4 * time.Second)
		a.setAnswer(nil)
		v.after(2 * time.Second)
		v.commit("1 updated", "2 settled")
		v.stop()
		f := func(h *prometheus.HistogramVec, want uint64, sum float64) {
			t.Helper()
			var m dto.Metric
			if err := h.WithLabelValues("a").(prometheus.Histogram).Write(&m); err != nil {
				t.Fatal(err)
			}
			got := m.GetHistogram()
			if got.GetSampleCount() != want || math.Abs(got.GetSampleSum()-sum) > 0.1 {
				t.Errorf("got %d samples, %v s together, want %d and %v", got.GetSampleCount(), got.GetSampleSum(), want, sum)
			}
		}
		f(v.d.latencies.delivery, 2, 5) // finding 2 at once, finding 1 after 5 s
		f(v.d.latencies.write, uint64(len(a.writes)), 0)
	})
}
