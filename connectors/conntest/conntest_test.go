package conntest

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// destination is the destination of a sink, in memory.
type destination struct {
	mu        sync.Mutex
	revisions map[schema.ID]uint64
	down      bool
}

func (d *destination) stored(*testing.T) map[schema.ID]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.revisions)
}

func (d *destination) setDown(down bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = down
}

// memorySink is a sink that follows the contract.
type memorySink struct {
	*destination
	health connectors.Health
}

func (s *memorySink) Name() string              { return "memory" }
func (s *memorySink) Close() error              { return nil }
func (s *memorySink) Health() connectors.Health { return s.health }
func (s *memorySink) Profile() connectors.Profile {
	return connectors.Profile{Watch: func(ctx context.Context) { <-ctx.Done() }}
}
func (s *memorySink) Write(ctx context.Context, entries []connectors.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		s.health = connectors.Health{Degraded: true, Reason: "unreachable", Since: time.Now()}
		return errors.New("unreachable")
	}
	s.health = connectors.Health{}
	var partial connectors.Partial
	for _, e := range entries {
		if e.Finding.Title == "poison" {
			partial.Entries = append(partial.Entries, connectors.Undelivered{Seq: e.Seq, Poison: true, Reason: "poison"})
			continue
		}
		s.revisions[e.Finding.ID] = max(s.revisions[e.Finding.ID], e.Finding.Revision)
	}
	if len(partial.Entries) > 0 {
		return &partial
	}
	return nil
}

func TestSinkSuite(t *testing.T) {
	TestSink(t, func(*testing.T) SinkTarget {
		d := &destination{revisions: map[schema.ID]uint64{}}
		return SinkTarget{
			New:    func(*testing.T) connectors.Sink { return &memorySink{destination: d} },
			Stored: d.stored,
			Poison: func(f *schema.Finding) { f.Title = "poison" },
			TakeDown: func(*testing.T) (bringBack func()) {
				d.setDown(true)
				return func() { d.setDown(false) }
			},
		}
	})
}

// list is a bounded source of one partition, in memory.
type list struct {
	p     connectors.Partition
	texts []string
}

func (l *list) Name() string                                                 { return l.p.Source }
func (l *list) Health() connectors.Health                                    { return connectors.Health{} }
func (l *list) Commit(context.Context, map[connectors.Partition]int64) error { return nil }
func (l *list) Run(ctx context.Context, r connectors.Reader) error {
	from, ok := r.Assigned(l.p)
	if !ok {
		from = 0
	}
	for {
		b := &connectors.Batch{Partition: l.p, HighWater: int64(len(l.texts))}
		for ; from < int64(len(l.texts)) && len(b.Records) < 100; from++ {
			text := l.texts[from]
			b.Records = append(b.Records, connectors.Record{Start: len(b.Raw), End: len(b.Raw) + len(text), Offset: from})
			b.Raw += text
		}
		b.Next, b.AtEnd = from, from == int64(len(l.texts))
		b.Final = b.AtEnd
		final := b.Final
		if err := r.Read(ctx, b); err != nil {
			revokeErr := r.Revoked(context.WithoutCancel(ctx), l.p)
			if ctx.Err() != nil {
				return revokeErr
			}
			return err
		}
		if final {
			return nil
		}
	}
}

func TestSourceSuite(t *testing.T) {
	TestSource(t, func(*testing.T) SourceTarget {
		p := connectors.Partition{Source: "list", Topic: "l"}
		return SourceTarget{
			New:        func(*testing.T) connectors.Source { return &list{p, Texts(0)} },
			Partitions: []connectors.Partition{p},
		}
	})
}

// A Recorder reports each way of breaking the contract.
func TestRecorderComplains(t *testing.T) {
	p := connectors.Partition{Source: "s", Topic: "t"}
	batch := func(next int64, offsets ...int64) *connectors.Batch {
		b := &connectors.Batch{Partition: p, Raw: "x", Next: next, HighWater: -1}
		for _, o := range offsets {
			b.Records = append(b.Records, connectors.Record{End: 1, Offset: o})
		}
		return b
	}
	f := func(name string, broken func(r *Recorder)) {
		t.Helper()
		r := NewRecorder()
		broken(r)
		if len(r.problems) == 0 {
			t.Errorf("%s: not reported", name)
		}
	}
	read := func(r *Recorder, b *connectors.Batch) {
		if err := r.Read(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	f("read before it is assigned", func(r *Recorder) { read(r, batch(1, 0)) })
	f("read after it is revoked", func(r *Recorder) {
		r.Assigned(p)
		r.Revoked(t.Context(), p)
		read(r, batch(1, 0))
	})
	f("assigned twice", func(r *Recorder) { r.Assigned(p); r.Assigned(p) })
	f("revoked and not assigned", func(r *Recorder) { r.Revoked(t.Context(), p) })
	f("an offset twice", func(r *Recorder) { r.Assigned(p); read(r, batch(2, 1)); read(r, batch(2, 1)) })
	f("offsets out of order", func(r *Recorder) { r.Assigned(p); read(r, batch(9, 3, 2)) })
	f("next before the last record", func(r *Recorder) { r.Assigned(p); read(r, batch(3, 2, 3)) })
	f("record outside the text", func(r *Recorder) {
		r.Assigned(p)
		b := batch(1, 0)
		b.Records[0].End = 2
		read(r, b)
	})
	f("at its end before the high water mark", func(r *Recorder) {
		r.Assigned(p)
		b := batch(1, 0)
		b.AtEnd, b.HighWater = true, 5
		read(r, b)
	})
	f("read after the final batch", func(r *Recorder) {
		r.Assigned(p)
		b := batch(1, 0)
		b.Final = true
		read(r, b)
		read(r, batch(2, 1))
	})
}
