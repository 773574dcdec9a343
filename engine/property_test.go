package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/fold/reference"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// A run of a hundred thousand:
//
//	go test ./engine -run TestSettledFindingsDependOnRecordsAlone -cases 100000 -timeout 2h
var (
	casesFlag = flag.Int("cases", 0, "how many random cases the property test runs; 0: as many as CI has time for")
	seedFlag  = flag.Uint64("seed", 0, "the first case's seed; 0: of the day")
)

const (
	ciCases    = 1500
	shortCases = 150 // under the race detector
)

// TestSettledFindingsDependOnRecordsAlone is the promise of the engine: for random rules over most kinds and random
// streams, the findings are those of the reference evaluator, whatever the order within the delay, the shards, the
// partitions and their interleaving, the batches, kills and restarts, the size of the LRU, and the memory budget.
func TestSettledFindingsDependOnRecordsAlone(t *testing.T) {
	n := *casesFlag
	if n == 0 {
		n = ciCases
		if testing.Short() {
			n = shortCases
		}
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().Unix() / 86400)
		seed *= 1_000_003
	}
	t.Logf("%d cases from seed %d", n, seed)
	seeds := slices.Clone(regressions)
	for i := range n {
		seeds = append(seeds, seed+uint64(i))
	}
	informative := 0
	for _, s := range seeds {
		found, err := runCase(t, s)
		if found {
			informative++
		}
		if err != nil {
			t.Fatalf("go test ./engine -run TestSettledFindingsDependOnRecordsAlone -cases 1 -seed %d\n%v", s, err)
		}
	}
	if informative < len(seeds)/2 {
		t.Errorf("only %d of %d cases find anything: the others prove little", informative, len(seeds))
	}
}

// regressions are seeds that once failed.
var regressions = []uint64{
	900000106,   // a cell that was paged out and in again was not woken at the end of its group
	777001302,   // copies of one event under two keys of a rule met in a rule over it, and were ordered by their positions
	20787062396, // a rule over others, which no rule fed, held back the watermark of the rule over it
	20787062796, // a cell whose finding waited for room was not woken at the end of its group
	900004972,   // a copy withdrew a trigger that a checkpoint had emitted, and the group in base was taken for emitted
}

// runCase makes rules and a stream of a seed, and compares a few runs of each with the reference; found reports whether
// the reference found something.
func runCase(t *testing.T, seed uint64) (found bool, err error) {
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	var text []string
	for i := range 1 + r.IntN(4) {
		text = append(text, randomRule(r, i))
	}
	for i := range r.IntN(3) {
		text = append(text, randomOver(r, len(text), i))
	}
	for i := range text {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d.yaml", i)), []byte(text[i]), 0o600); err != nil {
			return false, err
		}
	}
	set, problems := rules.Load(rules.Options{BuiltIn: true}, dir)
	if set == nil {
		return false, fmt.Errorf("the rules do not load: %v\n%s", problems, strings.Join(text, "\n---\n"))
	}
	events := randomEvents(r, 1+r.IntN(120))
	if r.IntN(2) == 0 {
		events = withHostile(r, events)
	}
	informative := false
	losses := map[recordClock]string{} // what aidr.limit-reached found first; the reference does not know it
	for range 3 {
		run := randomRun(r, set, events)
		want, err := referenceFindings(set, events, run.clock)
		if err != nil {
			return false, err
		}
		informative = informative || want != ""
		got, err := run.findings()
		if err != nil {
			return true, fmt.Errorf("%v: %w", run, err)
		}
		got, lost := splitLosses(got)
		if first, ok := losses[run.clock]; ok && first != lost {
			return true, fmt.Errorf("%v\nrules:\n%s\nevents:\n%s\nlosses in another run:\n%sin this one:\n%s",
				run, strings.Join(text, "\n---\n"), eventText(events), first, lost)
		}
		losses[run.clock] = lost
		if got != want {
			return true, fmt.Errorf("%v\nrules:\n%s\nevents:\n%s\nwant:\n%sgot:\n%s",
				run, strings.Join(text, "\n---\n"), eventText(events), want, got)
		}
	}
	return informative, nil
}

// splitLosses separates the findings of aidr.limit-reached from the others.
func splitLosses(found string) (others, losses string) {
	for line := range strings.Lines(found) {
		if strings.Contains(line, `"rule_id":"`+rules.LimitReached+`"`) {
			losses += line
		} else {
			others += line
		}
	}
	return others, losses
}

// timed is one event: its record, and when it happened.
type timed struct {
	at     schema.Instant
	line   string
	forged bool // the record has a time of years later
	broken bool // the record has no usable time
}

// recordClock is the source of the records' timestamps.
type recordClock int

const (
	noTimestamps   recordClock = iota // a file
	logAppendTime                     // a record has the time of its arrival
	backlogArrival                    // all records were produced three days after their events
)

// backlogAge is the time between the events and the timestamps of a backlog's records.
const backlogAge = 72 * time.Hour

// timestamp returns the timestamp of a record that arrives at an instant, 0 if it has none.
func (c recordClock) timestamp(arrival schema.Instant) schema.Instant {
	switch c {
	case logAppendTime:
		return arrival
	case backlogArrival:
		return arrival.Add(backlogAge)
	}
	return 0
}

// withHostile returns the events with others between them: dated years later, at most as many as a partition tolerates,
// and without a usable time.
func withHostile(r *rand.Rand, events []timed) []timed {
	out := slices.Clone(events)
	for n := range r.IntN(minRank) {
		out = slices.Insert(out, r.IntN(len(out)+1), hostileEvent(r, events, n, true))
	}
	for n := range r.IntN(12) {
		out = slices.Insert(out, r.IntN(len(out)+1), hostileEvent(r, events, n, false))
	}
	return out
}

func hostileEvent(r *rand.Rand, events []timed, n int, forged bool) timed {
	model := events[r.IntN(len(events))]
	e := map[string]any{}
	if err := json.Unmarshal([]byte(model.line), &e); err != nil {
		panic(err)
	}
	delete(e, "event.id") // a copy of a late event gives one finding, of whichever copy comes first
	e["http.request.id"] = fmt.Sprintf("hostile-%t-%d", forged, n)
	if forged {
		e["time"] = model.at.Add(time.Duration(1+r.IntN(9)) * 365 * 24 * time.Hour)
	} else {
		delete(e, "time")
		if r.IntN(2) == 0 {
			e["time"] = pick(r, "yesterday", "2026-13-41T00:00:00Z", "")
		}
	}
	line, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return timed{at: model.at, line: string(line), forged: forged, broken: !forged}
}

const propertyDelay = 30 * time.Second // the default of the dataset that the events have

var propertyStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// randomEvents makes events that collide: few keys, few values, many in one instant, copies of one another.
func randomEvents(r *rand.Rand, n int) (out []timed) {
	at := propertyStart
	step := []time.Duration{time.Millisecond, time.Second, 7 * time.Second, time.Minute}[r.IntN(4)]
	for i := range n {
		if r.IntN(3) > 0 {
			at = at.Add(time.Duration(r.IntN(4)) * step)
		}
		e := map[string]any{
			"time": at.Format(time.RFC3339Nano), "event.dataset": "litellm", "event.class": "tool",
			"event.action": pick(r, "a", "b", "c", "d"), "ai_agent.uid": pick(r, "x", "y"), "http.response.bytes": r.IntN(200) - 20,
			"gen_ai.tool.name": pick(r, "t1", "t2", "t3", "t4", "t5"),
		}
		if r.IntN(8) > 0 {
			e["session.id"] = pick(r, "s1", "s2")
		}
		if r.IntN(2) == 0 {
			e["event.id"] = fmt.Sprintf("id-%d", r.IntN(n))
		} else {
			e["http.request.id"] = fmt.Sprint(i) // so that no two records are the same bytes
		}
		b, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		out = append(out, timed{at: schema.InstantOf(at), line: string(b)})
		if r.IntN(6) == 0 { // delivered again, unchanged or with another body
			e["gen_ai.tool.name"] = pick(r, "t1", "t2", e["gen_ai.tool.name"].(string))
			e["event.action"] = pick(r, "a", e["event.action"].(string))
			b, _ := json.Marshal(e)
			if _, counted := e["event.id"]; counted {
				out = append(out, timed{at: schema.InstantOf(at), line: string(b)})
			}
		}
	}
	return out
}

// referenceFindings decodes, matches and captures every event by itself, and has the reference evaluate the items. Events
// that are dated into the future of their records are late.
func referenceFindings(set *rules.Set, events []timed, c recordClock) (string, error) {
	return referenceFindingsUntil(set, events, c, never)
}

// referenceFindingsUntil is referenceFindings at an instant, if that is later than the last event.
func referenceFindingsUntil(set *rules.Set, events []timed, c recordClock, until schema.Instant) (string, error) {
	d, err := decode.New(decode.Options{Format: "aidr", Wanted: set.Wanted()})
	if err != nil {
		return "", err
	}
	rs := newRuleSet(set, nil)
	programs, plans := rs.programs, rs.plans
	items := make([][]item.Item, len(set.Rules))
	sc := set.NewScratch()
	var capturer capture.Capturer
	var all []*schema.Finding
	var own []schema.Instant // the times of events on which the end of a replay may rest
	borrowed := never
	for _, e := range events {
		late := e.forged && c != noTimestamps
		h := decode.Handler{
			Dead: func(x decode.Dead) {
				if !e.broken || c != noTimestamps {
					err = fmt.Errorf("dead letter: %s %s", x.Reason, x.Detail)
				}
			},
			FieldError: func(string, string) {},
			Event: func(e *schema.Event) {
				at, _ := e.End()
				switch {
				case late:
				case e.BorrowedTime:
					borrowed = max(borrowed, at)
				default:
					own = append(own, at)
				}
				capturer.BeginEvent()
				for _, hit := range set.Match(e, sc, nil) {
					capturer.Capture(plans[hit.Rule], hit.Rule, e, hit.Roles, sc, func(it *item.Item) {
						switch {
						case !late:
							items[hit.Rule] = append(items[hit.Rule], *it)
						case set.Rules[hit.Rule].Kind == rules.KindNone && set.Rules[hit.Rule].Stage != rules.StageBlock:
							all = append(all, fold.Late(programs[hit.Rule], it))
						}
					})
				}
			},
		}
		d.Decode(e.line, decode.Meta{Time: c.timestamp(e.at)}, &h)
	}
	if err != nil {
		return "", err
	}
	end := max(endOfReplay(own, borrowed), until)
	referenceFeeds(rs, items, end)
	for i, p := range programs {
		if p.Rule.Stage != rules.StageBlock {
			all = append(all, reference.Findings(p, items[i], end)...)
		}
	}
	return render(all), nil
}

// referenceFeeds adds the items of the rules over others, level by level.
func referenceFeeds(rs *ruleSet, items [][]item.Item, end schema.Instant) {
	c := capture.NewTriggerCapturer(rs.set)
	c.Begin()
	for level := range rs.levels {
		for f, p := range rs.programs {
			if p.Rule.Level != level || len(rs.over[f]) == 0 {
				continue
			}
			for _, t := range reference.Triggers(p, items[f], end) {
				c.Read(rs.sources[f], &t)
				for _, o := range rs.over[f] {
					c.Capture(rs.plans[o], o, func(it *item.Item) { items[o] = append(items[o], *it) })
				}
			}
		}
	}
}

// endOfReplay returns the highest time that is at most a day after the eighth highest; with fewer than eight times, the
// highest one; without any, the highest borrowed time.
func endOfReplay(own []schema.Instant, borrowed schema.Instant) schema.Instant {
	if len(own) == 0 {
		return borrowed
	}
	slices.Sort(own)
	slices.Reverse(own)
	if len(own) >= 8 {
		limit := own[7].Add(24 * time.Hour)
		own = slices.DeleteFunc(own, func(t schema.Instant) bool { return t > limit })
	}
	return own[0]
}

// render prints findings without the parts that the promise leaves out: positions, revision, detected_at.
func render(fs []*schema.Finding) string {
	SortFindings(fs)
	var b strings.Builder
	for _, f := range fs {
		g := *f
		g.Revision, g.DetectedAt = 0, nil
		g.Evidence = slices.Clone(f.Evidence)
		for i := range g.Evidence {
			g.Evidence[i].Topic, g.Evidence[i].Partition, g.Evidence[i].Offset, g.Evidence[i].Index = "", 0, 0, 0
		}
		j, err := json.Marshal(&g)
		if err != nil {
			panic(err)
		}
		b.Write(j)
		b.WriteByte('\n')
	}
	return b.String()
}

func eventText(events []timed) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s\n", e.line)
	}
	return b.String()
}

// propertyRun is one way to run a stream through the engine.
type propertyRun struct {
	set               *rules.Set
	partitions        []memory.Partition
	shards            int
	workers           int
	batch             int
	cells             int
	checkpoints, kill float64 // probability per batch
	clock             recordClock
	seed              uint64
	memory            int64 // 0: the default budget
	timerPage         int   // 0: the default
	inventory, rows   bool
	archive           schema.Archive
	finished          func(*Engine) error // called when the engine has finished; may be nil
	more              bool                // the engine is stopped at the end of the stream: it goes on
}

func (p *propertyRun) String() string {
	return fmt.Sprintf("%d partitions, %d shards, %d workers, batches of %d, %d cells, checkpoints %.2f, kills %.2f, clock %d, memory %d, timers %d, seed %d",
		len(p.partitions), p.shards, p.workers, p.batch, p.cells, p.checkpoints, p.kill, p.clock, p.memory, p.timerPage, p.seed)
}

// randomRun spreads the events over partitions, each in an order in which no event comes later than the delay allows.
func randomRun(r *rand.Rand, set *rules.Set, events []timed) *propertyRun {
	type arrival struct {
		timed
		at schema.Instant
	}
	n := 1 + r.IntN(8)
	jitter := []int64{0, int64(time.Second), int64(propertyDelay) - 1}[r.IntN(3)]
	by := make([][]arrival, n)
	for _, e := range events {
		a := arrival{e, e.at}
		if jitter > 0 {
			a.at += schema.Instant(r.Int64N(jitter))
		}
		i := r.IntN(n)
		by[i] = append(by[i], a)
	}
	p := &propertyRun{
		set: set, shards: 1 + r.IntN(16), workers: 1 + r.IntN(3), batch: pickInt(r, 1, 2, 7, 1000), cells: pickInt(r, 1, 3, 1000),
		checkpoints: []float64{0, .1, .7}[r.IntN(3)], kill: []float64{0, 0, .05, .3}[r.IntN(4)], seed: r.Uint64(),
	}
	p.timerPage = pickInt(r, 0, 1, 1, 3)
	p.memory = []int64{0, 0, 1 << 10, 8 << 10, 256 << 10, 2 << 20}[r.IntN(6)]
	p.clock = []recordClock{noTimestamps, noTimestamps, logAppendTime, logAppendTime, backlogArrival}[r.IntN(5)]
	for i, arrivals := range by {
		sort.SliceStable(arrivals, func(a, b int) bool { return arrivals[a].at < arrivals[b].at })
		part := memory.Partition{Partition: connectors.Partition{Source: "s", Topic: "t", Number: int32(i)}}
		for _, a := range arrivals {
			part.Records = append(part.Records, a.line)
			switch {
			case p.clock == noTimestamps:
			case a.broken: // its time is the timestamp, which must not depend on the run
				part.Times = append(part.Times, p.clock.timestamp(a.timed.at))
			default:
				part.Times = append(part.Times, p.clock.timestamp(a.at))
			}
		}
		p.partitions = append(p.partitions, part)
	}
	return p
}

var errKilled = errors.New("killed")

// findings runs the stream to its end, through as many kills as it takes.
func (p *propertyRun) findings() (string, error) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		return "", err
	}
	if st, err = p.lives(st, rand.New(rand.NewPCG(p.seed, 2))); err != nil {
		return "", err
	}
	defer st.Close()
	out, err := current(st)
	return render(out), err
}

// lives runs the stream to its end, through as many kills as it takes, and returns the store that is left.
func (p *propertyRun) lives(st *store.Store, r *rand.Rand) (*store.Store, error) {
	for lives := 0; ; lives++ {
		next, err := p.live(st, r, lives < 20)
		if !errors.Is(err, errKilled) {
			return st, err
		}
		st.Close()
		st = next
	}
}

// current returns the findings of a store that were not withdrawn.
func current(st *store.Store) (out []*schema.Finding, err error) {
	err = st.Findings(store.FindingFilter{}, func(f *schema.Finding) bool {
		if f.Status != schema.StatusWithdrawn {
			out = append(out, f)
		}
		return true
	})
	return out, err
}

// live runs the engine on a store until the stream ends or it is killed; then it returns a copy of the disk.
func (p *propertyRun) live(st *store.Store, r *rand.Rand, mayDie bool) (*store.Store, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var e *Engine
	killed := false
	seq, _, _, err := st.Last()
	if err != nil {
		return nil, err
	}
	after := &killAfterCheckpoint{store: st, chance: p.kill, cancel: cancel, rand: rand.New(rand.NewPCG(p.seed, 3+seq))}
	if !mayDie {
		after.chance = 0
	}
	src := &memory.Source{Named: "s", Partitions: p.partitions, BatchSize: p.batch}
	src.Turn = func(open []int) int {
		if r.Float64() < p.checkpoints {
			if err := e.Checkpoint(ctx); err != nil && ctx.Err() == nil {
				panic(err)
			}
		}
		if mayDie && r.Float64() < p.kill {
			killed = true
			cancel()
		}
		return open[r.IntN(len(open))]
	}
	opts := Options{
		Set: p.set, Store: st, Shards: p.shards, Workers: p.workers, CacheCells: p.cells, Memory: p.memory, timerPage: p.timerPage,
		Inputs: []Input{{Source: after.watch(src), Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
		Clock:  stillClock(), MaxAhead: 1000 * time.Hour, Inventory: p.inventory, Rows: p.rows, Archive: p.archive,
	}
	if e, err = New(opts); err != nil {
		return nil, err
	}
	err = src.Run(ctx, unrevoked{e})
	if disk, err := after.killed(); disk != nil || err != nil {
		if err = errors.Join(err, e.Stop(context.Background())); err != nil {
			return nil, err
		}
		return disk, errKilled
	}
	if killed {
		disk, serr := st.Snapshot()
		if serr != nil {
			return nil, serr
		}
		// Nothing that the killed process does after this reaches the copy; its goroutines only have to end.
		if err := e.Stop(context.Background()); err != nil {
			return nil, err
		}
		return disk, errKilled
	}
	if err != nil {
		return nil, errors.Join(err, e.Stop(context.Background()))
	}
	if p.more {
		return nil, e.Stop(context.Background())
	}
	if err := e.Finish(context.Background(), 0); err != nil || p.finished == nil {
		return nil, err
	}
	return nil, p.finished(e)
}

// killAfterCheckpoint kills a process immediately after a checkpoint, before the next one: a checkpoint that has too little
// room for all cells is followed by another at once, and a kill between batches hardly ever falls between the two.
type killAfterCheckpoint struct {
	store  *store.Store
	chance float64
	cancel func()
	rand   *rand.Rand

	mu   sync.Mutex
	disk *store.Store // the copy of the disk at the kill
	err  error
}

// watch returns the source, whose Commit the engine calls after each checkpoint that moved a position.
func (k *killAfterCheckpoint) watch(s connectors.Source) connectors.Source {
	return watchedSource{s, k}
}

type watchedSource struct {
	connectors.Source
	kill *killAfterCheckpoint
}

func (s watchedSource) Commit(ctx context.Context, positions map[connectors.Partition]int64) error {
	k := s.kill
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.disk == nil && k.err == nil && k.rand.Float64() < k.chance {
		k.disk, k.err = k.store.Snapshot()
		k.cancel()
	}
	return s.Source.Commit(ctx, positions)
}

// killed returns the disk that the killed process left, nil if it was not killed.
func (k *killAfterCheckpoint) killed() (*store.Store, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.disk, k.err
}

// unrevoked is an Engine whose partitions are not revoked when the source ends. A process that is killed revokes nothing,
// and the checkpoint that Revoked writes would turn every kill into a clean stop.
type unrevoked struct{ *Engine }

func (unrevoked) Revoked(context.Context, connectors.Partition) error { return nil }

// stillClock is a clock that never ticks: a test makes the checkpoints.
func stillClock() clock.Clock {
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	return clock.Clock{
		Now:  func() time.Time { return now },
		Tick: func(time.Duration) (<-chan time.Time, func()) { return nil, func() {} },
	}
}

// The output of a replay is the same bytes from run to run.
func TestReplayIsByteIdentical(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	dir := t.TempDir()
	for i := range 6 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d.yaml", i)), []byte(randomRule(r, i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	events := randomEvents(r, 400)
	var first []byte
	for run := range 4 {
		part := memory.Partition{Partition: connectors.Partition{Source: "s", Topic: "t"}}
		for _, e := range events {
			part.Records = append(part.Records, e.line)
		}
		fs, err := Replay(context.Background(), Options{Set: set, Shards: 1 + run*3, Inputs: []Input{{
			Source: &memory.Source{Named: "s", Partitions: []memory.Partition{part}, BatchSize: 1 + run*50}, Decode: decode.Options{Format: "aidr"},
		}}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(fs)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
			if len(fs) == 0 {
				t.Fatal("the rules found nothing: the test shows nothing")
			}
		} else if !bytes.Equal(got, first) {
			t.Errorf("run %d differs:\n%s\n%s", run, first, got)
		}
	}
}
