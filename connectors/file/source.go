// Package file reads records from files: lines of JSON, JSON documents over several lines, and arrays and Records
// documents of any size. Files may be plain, compressed, in UTF-16 or containers of Avro. They are read once or followed
// as they grow.
//
// Each file is one partition. Topic is its path as given, and the Offset of a record is its byte offset in the
// decompressed stream. Number is 0, except for followed files (see follow.go).
package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// maxOpen is the number of files that are read at the same time: enough to keep the cores busy and the watermarks of
	// the files close together, but few enough for the usual limit of 1,024 open files and for the buffers, about 1 MB each.
	maxOpen = 64
	// revokeTimeout bounds how long Run waits at its end for the engine to make the records read durable.
	revokeTimeout = 30 * time.Second
)

// Source reads the files of its Config. It is a connectors.Source.
type Source struct {
	cfg Config
	log *slog.Logger

	mu     sync.Mutex
	health connectors.Health
	failed map[string]error // by path: the reason why a file could not be read to its end
}

// New returns a source. It fails if Validate does.
func New(c Config) (*Source, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure file source %q: %w", c.Name, err)
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	s := &Source{cfg: c, log: c.Log, failed: make(map[string]error)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Name implements connectors.Source.
func (s *Source) Name() string { return s.cfg.Name }

// Commit implements connectors.Source. It does nothing, because no tool shows positions in files.
func (s *Source) Commit(context.Context, map[connectors.Partition]int64) error { return nil }

// Health implements connectors.Source. It is degraded while a file cannot be read.
func (s *Source) Health() connectors.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Run implements connectors.Source. Without Follow it returns when all files were read. A file that cannot be read to its
// end does not keep the others from being read; the error names it.
func (s *Source) Run(ctx context.Context, r connectors.Reader) error {
	if s.cfg.Follow {
		return s.follow(ctx, r)
	}
	files, err := List(s.cfg.Paths, s.cfg.Include)
	if err != nil {
		return err
	}
	open := newLedger(r)
	from := make([]int64, len(files))
	for i, path := range files {
		from[i] = open.assign(s.partition(path, 0))
	}
	err = s.readAll(ctx, open, files, from)
	if ctx.Err() != nil {
		err = nil // Run was asked to end
	}
	return errors.Join(err, open.revokeAll(ctx))
}

func (s *Source) partition(path string, number int32) connectors.Partition {
	return connectors.Partition{Source: s.cfg.Name, Topic: path, Number: number}
}

// readAll reads the files, at most maxOpen of them at the same time, and starts them in order.
func (s *Source) readAll(ctx context.Context, open *ledger, files []string, from []int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, maxOpen)
	var wg sync.WaitGroup
	for i, path := range files {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := s.readOnce(ctx, open, path, from[i]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.failures()
}

// readOnce reads one file from its beginning to its end. If the file cannot be read, readOnce records that and ends the
// partition. An error that it returns comes from the Reader.
func (s *Source) readOnce(ctx context.Context, open *ledger, path string, from int64) error {
	p := s.partition(path, 0)
	in, err := openStream(ctx, path, s.cfg.Stdin)
	if ctx.Err() != nil {
		if err == nil {
			in.Close()
		}
		return context.Cause(ctx)
	}
	if err != nil {
		s.fail(path, err)
		err := open.Read(ctx, &connectors.Batch{Partition: p, Next: from, HighWater: -1, AtEnd: true, Final: true})
		return err
	}
	defer in.Close()
	split := newSplitter(ctx, in, batcher{to: open, partition: p, from: from})
	if in.plain {
		split.out.highWater = in.size
	}
	if err := split.run(); err != nil {
		return err
	}
	if err := split.win.fault(); err != nil {
		s.fail(path, fmt.Errorf("read source file %q: after byte %d: %w", path, split.win.end(), err))
	}
	return nil
}

// fail records that a file could not be read.
func (s *Source) fail(path string, err error) {
	s.log.Error("cannot read source file", "source", s.cfg.Name, "path", path, "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[path] = err
	s.setHealth()
}

// recovered withdraws a failure.
func (s *Source) recovered(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.failed, path)
	s.setHealth()
}

func (s *Source) setHealth() {
	if len(s.failed) == 0 {
		s.health = connectors.Health{}
		return
	}
	paths := s.failedPaths()
	since := s.health.Since
	if !s.health.Degraded {
		since = time.Now()
	}
	s.health = connectors.Health{
		Degraded: true,
		Reason:   fmt.Sprintf("%d files cannot be read, the first: %v", len(paths), s.failed[paths[0]]),
		Since:    since,
	}
}

func (s *Source) failedPaths() []string {
	paths := make([]string, 0, len(s.failed))
	for p := range s.failed {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// failures returns the failures, in order of path and joined.
func (s *Source) failures() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.failedPaths() {
		errs = append(errs, s.failed[p])
	}
	return errors.Join(errs...)
}
