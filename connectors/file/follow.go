package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/aidr-engine/aidr/connectors"
)

// The file at a path can be replaced while it is followed: it is rotated away or truncated, and another file begins.
// Offsets of a partition must not go backwards, so each of these files is a partition of its own, whose Number is a
// checksum of the file's first line. After a restart, the file at the path therefore gets the position that was
// checkpointed for it, and never the position of another file.

// maxFirstLine is how much of the first line makes the checksum, in bytes. That is enough to distinguish files, because
// log lines begin with a time or an ID.
const maxFirstLine = 1 << 10

// follower follows the files of one source.
type follower struct {
	*Source
	to     *ledger
	rescan chan struct{} // receives when a tail has ended, because its path may hold another file

	mu    sync.Mutex
	tails map[string]*tail        // by path
	read  map[int32][]os.FileInfo // files of this run by checksum, so that a file rotated to another name is not read again
	used  map[connectors.Partition]bool
}

// tail follows one file.
type tail struct {
	path string
	wake chan struct{} // receives when the file may have changed; has a buffer of one

	// Guarded by follower.mu.
	finished bool        // the file was read to its end, or under another name
	file     os.FileInfo // the finished file; nil for standard input
}

func (s *Source) follow(ctx context.Context, r connectors.Reader) error {
	f := &follower{
		Source: s, to: newLedger(r), rescan: make(chan struct{}, 1),
		tails: make(map[string]*tail), read: make(map[int32][]os.FileInfo), used: make(map[connectors.Partition]bool),
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("file notifications unavailable, only polling", "source", s.cfg.Name, "poll", s.cfg.Poll, "error", err)
		watcher = &fsnotify.Watcher{} // its nil channels never fire
	} else {
		defer watcher.Close()
	}
	var wg sync.WaitGroup
	f.watch(runCtx, watcher, func(t *tail) {
		wg.Go(func() {
			if err := f.run(runCtx, t); err != nil {
				cancel(err)
			}
		})
	})
	wg.Wait()
	err = context.Cause(runCtx)
	if ctx.Err() != nil {
		err = nil // Run was asked to end
	}
	return errors.Join(err, f.to.revokeAll(ctx))
}

// watch starts a tail for each file that exists or appears, and wakes the tails when files may have changed, until ctx
// ends.
func (f *follower) watch(ctx context.Context, w *fsnotify.Watcher, start func(*tail)) {
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	for {
		f.scan(w, start)
		select {
		case <-ctx.Done():
			return
		case <-f.rescan:
		case <-poll.C:
		case _, ok := <-w.Events:
			if !ok {
				return
			}
		case err := <-w.Errors:
			f.log.Warn("file notification lost, continuing with polling", "source", f.cfg.Name, "error", err)
		}
		f.wakeAll()
	}
}

func (f *follower) wakeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tails {
		select {
		case t.wake <- struct{}{}:
		default: // it has already been woken
		}
	}
}

// scan starts tails for files without one and requests notifications for the folders of all files.
func (f *follower) scan(w *fsnotify.Watcher, start func(*tail)) {
	for _, named := range f.cfg.Paths {
		files, err := List([]string{named}, f.cfg.Include)
		if err != nil {
			f.failOnce(named, err)
			continue
		}
		f.recovered(named)
		for _, path := range files {
			if t := f.newTail(path); t != nil {
				start(t)
			}
			if w.Events != nil && path != "-" {
				w.Add(filepath.Dir(path)) // if this fails, polling remains
			}
		}
	}
}

// failOnce calls fail unless the path has failed already, so that a lasting failure is logged once.
func (f *follower) failOnce(path string, err error) {
	f.Source.mu.Lock()
	known := f.failed[path] != nil
	f.Source.mu.Unlock()
	if !known {
		f.fail(path, err)
	}
}

// newTail returns a new tail for path, or nil if the path has one already or its file has been read.
func (f *follower) newTail(path string) *tail {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.tails[path]; old != nil {
		if !old.finished || old.file == nil {
			return nil
		}
		if info, err := os.Stat(path); err != nil || os.SameFile(info, old.file) {
			return nil
		}
	}
	t := &tail{path: path, wake: make(chan struct{}, 1)}
	f.tails[path] = t
	return t
}

// run reads one file until it is rotated away, truncated or removed.
func (f *follower) run(ctx context.Context, t *tail) error {
	file, finished, err := f.readTail(ctx, t)
	if err != nil {
		return err
	}
	f.mu.Lock()
	if t.finished, t.file = finished, file; !finished {
		delete(f.tails, t.path)
	}
	f.mu.Unlock()
	select {
	case f.rescan <- struct{}{}:
	default:
	}
	return nil
}

// readTail reads one file as it grows, until it is replaced. finished reports that the file itself need not be read again;
// if it is false, the path may hold another file by now.
func (f *follower) readTail(ctx context.Context, t *tail) (info os.FileInfo, finished bool, err error) {
	if t.path == "-" || special(t.path) {
		return nil, true, f.readOnce(ctx, f.to, t.path, f.to.assign(f.partition(t.path, 0)))
	}
	file, err := os.Open(t.path)
	if err != nil {
		f.failOnce(t.path, fmt.Errorf("open source file: %w", err))
		return nil, false, t.wait(ctx)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, false, t.wait(ctx)
	}
	f.recovered(t.path)
	r := &tailReader{t: t, file: file, info: info, grace: f.cfg.Poll}
	if r.first, err = r.firstLine(ctx); err != nil || r.first == nil {
		return nil, false, err
	}
	if isEncoded(r.first) {
		return info, true, f.readOnce(ctx, f.to, t.path, f.to.assign(f.partition(t.path, 0)))
	}
	p, isNew := f.claim(t.path, r.first, info)
	if !isNew {
		return info, true, nil
	}
	return nil, false, f.readGrowing(ctx, p, r)
}

func (f *follower) readGrowing(ctx context.Context, p connectors.Partition, r *tailReader) error {
	split := newSplitter(ctx, r, batcher{to: f.to, partition: p, from: f.to.assign(p)})
	split.wait = func(ctx context.Context) error { return r.t.wait(ctx) }
	if err := split.run(); err != nil {
		return err
	}
	if err := split.win.fault(); err != nil {
		f.fail(p.Topic, fmt.Errorf("read source file %q: after byte %d: %w", p.Topic, split.win.end(), err))
	}
	return nil
}

// checksum returns the partition number of a file with this first line.
func checksum(first []byte) int32 { return int32(crc32.ChecksumIEEE(first) >> 1) }

// claim returns the partition of a file. isNew is false if this run has already read the file under another name.
func (f *follower) claim(path string, first []byte, info os.FileInfo) (p connectors.Partition, isNew bool) {
	sum := checksum(first)
	f.mu.Lock()
	defer f.mu.Unlock()
	p = f.partition(path, sum)
	for _, other := range f.read[sum] {
		if os.SameFile(other, info) && !f.used[p] {
			return p, false
		}
	}
	f.read[sum] = append(f.read[sum], info)
	for f.used[p] {
		p.Number = max(p.Number+1, 0) // the file was truncated and begins with the same line again
	}
	f.used[p] = true
	return p, true
}

// wait returns once the file may have changed, or with an error once ctx has ended.
func (t *tail) wait(ctx context.Context) error {
	select {
	case <-t.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tailReader reads a file that grows. It returns errIdle at the present end of the file, and io.EOF once the file will not
// grow further.
type tailReader struct {
	t     *tail
	file  *os.File
	info  os.FileInfo
	first []byte // the first line of the file, or its beginning
	off   int64
	grace time.Duration // how long a file is still read after it was moved away, because its writer may not have noticed
	moved time.Time     // when the move was noticed; zero if the file has not moved
}

func (r *tailReader) Read(p []byte) (int, error) {
	if n, err := r.file.ReadAt(p, r.off); n > 0 {
		// A file that is rewritten gets its first line before it gets any bytes at this offset. The bytes read are valid
		// only if the first line has not changed.
		if !r.beginsSame() {
			return 0, io.EOF
		}
		r.off += int64(n)
		r.moved = time.Time{}
		return n, nil
	} else if err != nil && err != io.EOF {
		return 0, err
	}
	if r.ended() {
		return 0, io.EOF
	}
	return 0, errIdle
}

// ended reports whether the file, which has been read to its end, will not grow further.
func (r *tailReader) ended() bool {
	info, err := r.file.Stat()
	if err != nil || info.Size() < r.off || !r.beginsSame() {
		return true // truncated or rewritten
	}
	if now, err := os.Stat(r.t.path); err == nil && os.SameFile(now, r.info) {
		r.moved = time.Time{}
		return false
	}
	if r.moved.IsZero() {
		r.moved = time.Now()
	}
	return time.Since(r.moved) >= r.grace
}

// beginsSame reports whether the file still begins with the same line.
func (r *tailReader) beginsSame() bool {
	now := make([]byte, len(r.first))
	n, err := r.file.ReadAt(now, 0)
	return n == len(now) && (err == nil || err == io.EOF) && bytes.Equal(now, r.first)
}

// firstLine waits until the file has its first line, or maxFirstLine bytes of it, and returns these bytes. It returns nil
// if the file ends earlier.
func (r *tailReader) firstLine(ctx context.Context) ([]byte, error) {
	b := make([]byte, maxFirstLine)
	for {
		n, err := r.file.ReadAt(b, 0)
		if err != nil && err != io.EOF {
			return nil, r.t.wait(ctx) // the file is then opened again
		}
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			return b[:i+1], nil
		}
		if n == len(b) {
			return b, nil
		}
		if r.ended() {
			return nil, nil
		}
		if err := r.t.wait(ctx); err != nil {
			return nil, err
		}
	}
}
