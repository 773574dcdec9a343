// Package sidecar answers the questions of a gateway beside which it runs, from the containment table of another process.
//
// It follows that table over a stream and keeps the latest version, also in a file, so that it answers through an outage of the
// other process and a restart of its own. Each answer carries the age of what it knows. Calls that wait for a person are asked
// about at the other process, which alone knows whether an approval was used; while it is away they wait.
package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/connectors/decision"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// reportEvery is the time between two reports of answers.
	reportEvery = 5 * time.Second
	// askTime bounds a question about a held call. It is below the timeout of 200 ms that Envoy's filter has by default.
	askTime = 150 * time.Millisecond
	// maxReceipts is the number of pairs of containments and points whose answers wait to be reported. Beyond it they are
	// dropped and counted.
	maxReceipts = 10_000
	// cacheEvery is the least time between two writes of the file.
	cacheEvery = time.Second
)

// Options of a Sidecar.
type Options struct {
	URL, Token string // of the other process
	Client     *http.Client
	Cache      string // file that keeps the latest snapshot; "": none
	Log        *slog.Logger
	Beat       time.Duration // of the other process; 0: decision.DefaultBeat
}

// known is one version of the table, and when it was known to be current.
type known struct {
	view *contain.View
	at   time.Time // by this machine's clock
}

// Sidecar is the table of another process. It implements decision.Table.
type Sidecar struct {
	opts     Options
	follower *decision.Follower
	known    atomic.Pointer[known] // nil before the first snapshot

	mu       sync.Mutex
	changed  chan struct{}
	receipts map[receiptOf]*schema.Receipt
	dropped  int64
	problem  string    // why the other process cannot be followed; "" if it is
	cached   time.Time // when the file was written
	cacheErr string
}

// receiptOf identifies a receipt.
type receiptOf struct {
	containment schema.ID
	point       string
}

// New returns a sidecar with what its file holds. A file that cannot be read is reported in the log and replaced.
func New(opts Options) *Sidecar {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sidecar{opts: opts, changed: make(chan struct{}), receipts: map[receiptOf]*schema.Receipt{}}
	s.follower = &decision.Follower{
		URL: opts.URL, Token: opts.Token, Client: opts.Client, Beat: opts.Beat, Snapshot: s.take, State: s.state,
	}
	s.load()
	return s
}

// load reads the file.
func (s *Sidecar) load() {
	if s.opts.Cache == "" {
		return
	}
	b, err := os.ReadFile(s.opts.Cache)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var snapshot schema.Snapshot
	if err == nil {
		err = json.Unmarshal(b, &snapshot)
	}
	if err != nil || snapshot.Since != 0 {
		s.opts.Log.Warn("the kept snapshot cannot be used, and is replaced by the next one", "file", s.opts.Cache, "error", err)
		return
	}
	at := time.Unix(0, int64(snapshot.AsOf))
	s.known.Store(&known{contain.NewView(&snapshot), at})
	s.opts.Log.Info("answering from the kept snapshot until the other process is reached", "version", snapshot.Version, "as_of", at.UTC())
}

// Run follows the other process until ctx ends.
func (s *Sidecar) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { s.report(ctx) })
	s.follower.Run(ctx)
	all.Wait()
	s.save(true)
}

// take adds a snapshot, and reports whether it builds on what is known.
func (s *Sidecar) take(snapshot *schema.Snapshot) bool {
	before := s.known.Load()
	var view *contain.View
	switch {
	case before == nil && snapshot.Since == 0:
		view = contain.NewView(snapshot)
	case before == nil:
		return false
	default: // the rates of throttles go on counting, also over a full snapshot
		if view = before.view.With(snapshot); view == nil {
			return false
		}
	}
	s.known.Store(&known{view, time.Now()})
	s.mu.Lock()
	if before == nil || before.view.Version() != view.Version() || before.view.Epoch() != view.Epoch() {
		close(s.changed)
		s.changed = make(chan struct{})
	}
	s.mu.Unlock()
	s.save(false)
	return true
}

// save writes the file, at most once in cacheEvery unless it is forced.
func (s *Sidecar) save(force bool) {
	k := s.known.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Cache == "" || k == nil || !force && time.Since(s.cached) < cacheEvery {
		return
	}
	s.cached = time.Now()
	b, err := json.Marshal(k.view.Snapshot(schema.InstantOf(k.at)))
	if err == nil {
		err = output.Write(s.opts.Cache, b)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != s.cacheErr && err != nil {
		s.opts.Log.Error("the snapshot cannot be kept: after a restart during an outage there is none", "error", err)
	}
	s.cacheErr = text
}

// state logs changes of the connection.
func (s *Sidecar) state(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case problem != "" && s.problem == "":
		s.opts.Log.Warn("the other process cannot be followed; answers are from what is known", "reason", problem)
	case problem == "" && s.problem != "":
		s.opts.Log.Info("following the other process again")
	}
	s.problem = problem
}

// Decide implements decision.Table.
func (s *Sidecar) Decide(q schema.Question) schema.Decision {
	k := s.known.Load()
	if k == nil {
		return schema.Decision{Verdict: schema.VerdictUnknown, Reason: "no table was received yet"}
	}
	now := time.Now()
	d := k.view.Decide(q, schema.InstantOf(now))
	d.AgeMS = now.Sub(k.at).Milliseconds()
	if d.Verdict == schema.VerdictHold {
		if answer, err := s.ask(&q); err == nil {
			return *answer // counted by the other process
		}
	}
	if !d.ContainmentID.IsZero() {
		s.count(&d, q.Point, schema.InstantOf(now))
	}
	return d
}

// ask asks the other process about a held call.
func (s *Sidecar) ask(q *schema.Question) (*schema.Decision, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	return s.follower.Ask(ctx, q)
}

// count adds an answer to the receipts.
func (s *Sidecar) count(d *schema.Decision, point string, now schema.Instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := receiptOf{d.ContainmentID, point}
	r := s.receipts[key]
	if r == nil {
		if len(s.receipts) >= maxReceipts {
			s.dropped++
			return
		}
		r = &schema.Receipt{ContainmentID: d.ContainmentID, Point: point, First: now}
		s.receipts[key] = r
	}
	r.Last = now
	if d.Verdict == schema.VerdictAllow {
		r.Allowed++
	} else {
		r.Refused++
	}
}

// report reports the receipts until ctx ends. Those that cannot be reported wait for the next time.
func (s *Sidecar) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.reportOnce(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), reportEvery)
			s.reportOnce(last)
			cancel()
			return
		}
	}
}

func (s *Sidecar) reportOnce(ctx context.Context) {
	s.mu.Lock()
	waiting := s.receipts
	s.receipts = map[receiptOf]*schema.Receipt{}
	s.mu.Unlock()
	if len(waiting) == 0 {
		return
	}
	list := make([]schema.Receipt, 0, len(waiting))
	for _, r := range waiting {
		list = append(list, *r)
	}
	if err := s.follower.Report(ctx, list); err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, old := range waiting {
		if r := s.receipts[key]; r != nil {
			r.First, r.Refused, r.Allowed = old.First, r.Refused+old.Refused, r.Allowed+old.Allowed
		} else {
			s.receipts[key] = old
		}
	}
}

// Since implements decision.Table, so that others can follow a sidecar.
func (s *Sidecar) Since(epoch schema.Instant, version uint64) *schema.Snapshot {
	k := s.known.Load()
	if k == nil {
		return &schema.Snapshot{Lost: "no table was received yet"}
	}
	snapshot := k.view.Snapshot(schema.InstantOf(k.at))
	if epoch == snapshot.Epoch && version == snapshot.Version && version > 0 {
		snapshot.Since, snapshot.Containments, snapshot.Approvals = version, nil, nil
	}
	return snapshot
}

// Changed implements decision.Table.
func (s *Sidecar) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Receive implements decision.Table: receipts of followers are reported on.
func (s *Sidecar) Receive(list []schema.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range list {
		key := receiptOf{r.ContainmentID, r.Point}
		if old := s.receipts[key]; old != nil {
			old.Refused, old.Allowed, old.Last = old.Refused+r.Refused, old.Allowed+r.Allowed, max(old.Last, r.Last)
		} else if len(s.receipts) < maxReceipts {
			s.receipts[key] = &r
		} else {
			s.dropped++
		}
	}
}

// Health returns why answers may be old, "" if they are current.
func (s *Sidecar) Health() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known.Load()
	switch {
	case k == nil:
		return "no table was received yet: " + s.problem
	case s.problem != "":
		return fmt.Sprintf("answers are %s old: %s", time.Since(k.at).Round(time.Second), s.problem)
	case s.dropped > 0:
		return fmt.Sprintf("%d receipts were dropped", s.dropped)
	}
	return ""
}
