package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// crashOp is one step of a property test.
type crashOp struct {
	kind    string        // commit, moods, time, crash, crash-in-write or requeue
	changes []string      // commit
	moods   [3]int        // moods: of each sink
	d       time.Duration // time
	pick    int           // requeue: chooses a dead letter
}

// genCrashOps draws a sequence of steps.
func genCrashOps(rt *rapid.T) []crashOp {
	change := rapid.Custom(func(t *rapid.T) string {
		kind := rapid.SampledFrom([]string{"opened", "updated", "updated", "updated", "settled", "withdrawn", ""}).Draw(t, "type")
		return strings.TrimSpace(fmt.Sprintf("%d %s", rapid.IntRange(1, 6).Draw(t, "finding"), kind))
	})
	op := rapid.Custom(func(t *rapid.T) crashOp {
		kinds := []string{"commit", "commit", "commit", "commit", "moods", "time", "crash", "crash-in-write", "requeue"}
		o := crashOp{kind: rapid.SampledFrom(kinds).Draw(t, "op")}
		switch o.kind {
		case "commit":
			o.changes = rapid.SliceOfN(change, 1, 6).Draw(t, "changes")
		case "moods":
			for i := range o.moods {
				o.moods[i] = rapid.IntRange(0, 4).Draw(t, "mood")
			}
		case "time":
			o.d = time.Duration(rapid.IntRange(0, 200_000).Draw(t, "ms")) * time.Millisecond
		case "requeue":
			o.pick = rapid.IntRange(0, 20).Draw(t, "letter")
		}
		return o
	})
	return rapid.SliceOfN(op, 1, 40).Draw(rt, "ops")
}

// moodySink is a sink that fails according to its mood. It records which entries it delivered in which life of the process.
type moodySink struct {
	name  string
	mood  int // 0: delivers all, 1: unreachable, 2: refuses some, 3: declares some poison, 4: both
	world *crashWorld

	taken []takenEntry
	body  map[string]string
}

type takenEntry struct {
	life int
	connectors.Entry
}

func (s *moodySink) Name() string              { return s.name }
func (s *moodySink) Health() connectors.Health { return connectors.Health{} }
func (s *moodySink) Close() error              { return nil }

// Write delivers the entries that the mood allows. After the simulated crash it delivers nothing.
func (s *moodySink) Write(_ context.Context, entries []connectors.Entry) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crashed != nil {
		return errors.New("the process has crashed")
	}
	if s.mood == 1 {
		return errors.New("connection refused")
	}
	var p connectors.Partial
	refused := map[schema.ID]bool{}
	for _, e := range entries {
		switch u := s.judge(e); {
		case refused[e.Finding.ID]:
			p.Entries = append(p.Entries, connectors.Undelivered{Seq: e.Seq, Held: true, Reason: "held"})
		case u != nil:
			refused[e.Finding.ID] = !u.Poison
			p.Entries = append(p.Entries, *u)
		default:
			s.take(e)
		}
	}
	if w.crashInWrite {
		w.crashInWrite = false
		w.crashed, w.err = w.v.store.Snapshot()
	}
	if len(p.Entries) > 0 {
		return &p
	}
	return nil
}

// judge depends on numbers alone, so that the same steps always have the same results.
func (s *moodySink) judge(e connectors.Entry) *connectors.Undelivered {
	h := (e.Seq*7919 + uint64(e.Attempt)*104729 + uint64(len(s.name))) % 11
	switch {
	case h < 4 && (s.mood == 2 || s.mood == 4):
		return &connectors.Undelivered{Seq: e.Seq, Reason: "http_500", After: time.Duration(h*40) * time.Second}
	case h > 8 && s.mood >= 3:
		return &connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: "http_400"}
	}
	return nil
}

func (s *moodySink) take(e connectors.Entry) {
	key := fmt.Sprintf("%s/%d", e.Finding.ID, e.Finding.Revision)
	if old, ok := s.body[key]; ok && old != fmt.Sprint(*e.Finding) {
		s.world.err = fmt.Errorf("sink %s: two different bodies of %s", s.name, key)
	}
	s.body[key] = fmt.Sprint(*e.Finding)
	s.taken = append(s.taken, takenEntry{s.world.life, e})
}

// The three kinds of sinks: a table, an endpoint, and an endpoint that limits updates.
type (
	moodyTable    struct{ moodySink }
	moodyEndpoint struct{ moodySink }
	moodySlow     struct{ moodyEndpoint }
)

func (s *moodyTable) Profile() connectors.Profile {
	return connectors.Profile{Dead: schema.DeadRow, MaxEntries: 4, MaxBytes: 1 << 20, Linger: 500 * time.Millisecond}
}

func (s *moodyEndpoint) Profile() connectors.Profile {
	return connectors.Profile{Wants: func(e connectors.Entry) bool { return e.Type != "" }}
}

func (s *moodySlow) Profile() connectors.Profile {
	p := s.moodyEndpoint.Profile()
	p.UpdateEvery, p.MaxEntries, p.MaxBytes = time.Minute, 3, 1<<20
	return p
}

// crashWorld is a process with its sinks that crashes and restarts.
type crashWorld struct {
	v        *delivery
	sinks    []connectors.Sink
	moody    []*moodySink
	all      []connectors.Entry // all committed entries
	requeued map[uint64]bool    // Seqs of entries that were requeued
	life     int                // number of crashes

	mu           sync.Mutex   // locked by Write; nothing else runs during a step
	crashInWrite bool         // the process crashes during the next Write that does not fail as a whole
	crashed      *store.Store // a copy of the disk at the time of the crash
	err          error
}

func newCrashWorld(t *testing.T) *crashWorld {
	w := &crashWorld{requeued: map[uint64]bool{}}
	sink := func(name string) moodySink { return moodySink{name: name, world: w, body: map[string]string{}} }
	a, b, c := &moodyTable{sink("table")}, &moodyEndpoint{sink("endpoint")}, &moodySlow{moodyEndpoint{sink("slow")}}
	w.sinks, w.moody = []connectors.Sink{a, b, c}, []*moodySink{&a.moodySink, &b.moodySink, &c.moodySink}
	w.v = deliver(t, w.sinks...)
	return w
}

// play executes one step and waits until every goroutine is idle.
func (w *crashWorld) play(o crashOp) {
	switch o.kind {
	case "commit":
		w.all = append(w.all, w.v.commit(o.changes...)...)
	case "moods":
		w.setMoods(o.moods)
	case "time":
		w.v.after(o.d)
	case "crash":
		w.crash()
	case "crash-in-write":
		w.mu.Lock()
		w.crashInWrite = true
		w.mu.Unlock()
	case "requeue":
		w.requeue(o.pick)
	}
	if w.hasCrashed() {
		w.crash()
	}
}

func (w *crashWorld) setMoods(moods [3]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, m := range moods {
		w.moody[i].mood = m
	}
}

// hasCrashed reports whether the process crashed during a Write.
func (w *crashWorld) hasCrashed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.crashed != nil
}

// crash restarts the process with the disk as it was at the time of the crash.
func (w *crashWorld) crash() {
	w.mu.Lock()
	if w.crashed == nil {
		w.crashed, w.err = w.v.store.Snapshot()
	}
	w.life++
	w.mu.Unlock()
	old := w.v.store
	w.v.d.once.Do(func() { close(w.v.d.draining) })
	w.v.d.cancel()
	w.v.d.done.Wait()
	if err := old.Close(); err != nil {
		w.err = err
	}
	w.mu.Lock()
	w.v.store, w.crashed, w.crashInWrite = w.crashed, nil, false
	w.mu.Unlock()
	w.v.start(w.sinks...)
	synctest.Wait()
}

// requeue requeues one of the dead letters.
func (w *crashWorld) requeue(pick int) {
	var all []*store.DeadLetter
	if err := w.v.store.DeadLetters(store.DeadFilter{}, func(l *store.DeadLetter) bool { all = append(all, l); return true }); err != nil {
		w.err = err
	}
	if len(all) == 0 {
		return
	}
	l := all[pick%len(all)]
	w.requeued[l.Entry] = true
	if err := w.v.d.Requeue(l.Seq); err != nil {
		w.err = err
	}
	synctest.Wait()
}

// finish lets the sinks deliver everything that is left, and returns the violations.
func (w *crashWorld) finish() []string {
	w.mu.Lock()
	w.crashInWrite = false
	w.mu.Unlock()
	w.setMoods([3]int{})
	w.v.after(time.Hour)
	w.mu.Lock() // the sinks recorded their entries under the lock
	defer w.mu.Unlock()
	var wrong []string
	if w.err != nil {
		wrong = append(wrong, w.err.Error())
	}
	dead := map[string]map[uint64]bool{}
	err := w.v.store.DeadLetters(store.DeadFilter{}, func(l *store.DeadLetter) bool {
		if dead[l.Sink] == nil {
			dead[l.Sink] = map[uint64]bool{}
		}
		dead[l.Sink][l.Entry] = true
		return true
	})
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	for i, s := range w.moody {
		wrong = append(wrong, s.lost(w.all, dead[s.name], i == 2)...)
		wrong = append(wrong, s.disorder(w.requeued)...)
		if st, err := w.v.store.Waiting(s.name); err != nil || st.Entries != 0 || st.Bytes != 0 {
			wrong = append(wrong, fmt.Sprintf("sink %s: %+v still waiting at the end, %v", s.name, st, err))
		}
	}
	if left, err := w.v.store.Outbox(1, 1000, 1<<30); len(left) != 0 || err != nil {
		wrong = append(wrong, fmt.Sprintf("%d entries are left in the outbox, %v", len(left), err))
	}
	return wrong
}

// lost reports the entries that a sink neither delivered nor turned into dead letters, although it wants them.
func (s *moodySink) lost(all []connectors.Entry, dead map[uint64]bool, coalesces bool) (wrong []string) {
	got := map[uint64]bool{}
	newest := map[schema.ID]uint64{} // the last delivered entry of each finding
	for _, e := range s.taken {
		got[e.Seq] = true
		newest[e.Finding.ID] = max(newest[e.Finding.ID], e.Seq)
	}
	for _, e := range all {
		switch {
		case got[e.Seq] || dead[e.Seq] || e.Type == "" && s.name != "table":
		case coalesces && e.Type == connectors.FindingUpdated && (newest[e.Finding.ID] > e.Seq || laterDead(all, e, dead)):
		default:
			wrong = append(wrong, fmt.Sprintf("sink %s lost entry %d %s", s.name, e.Seq, e.Type))
		}
	}
	return wrong
}

// laterDead reports whether a later entry of the finding is a dead letter.
func laterDead(all []connectors.Entry, e connectors.Entry, dead map[uint64]bool) bool {
	return slices.ContainsFunc(all, func(o connectors.Entry) bool {
		return o.Finding.ID == e.Finding.ID && o.Seq > e.Seq && dead[o.Seq]
	})
}

// disorder reports the entries that came out of order, or twice, in one life of the process.
func (s *moodySink) disorder(requeued map[uint64]bool) (wrong []string) {
	type sequence struct { // within which the Seq must increase
		life int
		id   schema.ID
	}
	last := map[sequence]uint64{}
	for _, e := range s.taken {
		in := sequence{e.life, e.Finding.ID}
		if requeued[e.Seq] {
			continue
		}
		if e.Seq <= last[in] {
			wrong = append(wrong, fmt.Sprintf("sink %s got entry %d after %d in life %d", s.name, e.Seq, last[in], e.life))
		}
		last[in] = e.Seq
	}
	return wrong
}

func TestDelivererLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops := genCrashOps(rt)
		var wrong []string
		synctest.Test(t, func(t *testing.T) {
			w := newCrashWorld(t)
			for _, o := range ops {
				w.play(o)
			}
			wrong = w.finish()
			_ = w.v.stop()
		})
		if len(wrong) > 0 {
			rt.Fatalf("%s", strings.Join(wrong, "\n"))
		}
	})
}
