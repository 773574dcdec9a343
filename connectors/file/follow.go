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

// A followed file changes under its name: it is rotated away or truncated, and another one begins. Offsets must not go
// backwards, so each of them is a partition of its own: Number is a checksum of the file's first line. After a restart
// the file at the path has the position that was checkpointed for it, and no other file's.

// headLine is how much of the first line makes the checksum, in bytes: log lines begin with a time or an id.
const headLine = 1 << 10

// follower follows the files of one source.
type follower struct {
	*Source
	to    *ledger
	again chan struct{} // a tail ended: look at its path again

	mu    sync.Mutex
	tails map[string]*tail
	read  map[int32][]os.FileInfo // files of this run by checksum: a file rotated to another name is not read again
	used  map[connectors.Partition]bool
}

// tail is one file as it grows.
type tail struct {
	path string
	wake chan struct{} // has room for one
	over bool          // read to its end, or read under another name; guarded by follower.mu, as is file
	file os.FileInfo   // the file that over is about; nil for standard input
}

func (s *Source) follow(ctx context.Context, r connectors.Reader) error {
	f := &follower{
		Source: s, to: newLedger(r), again: make(chan struct{}, 1),
		tails: make(map[string]*tail), read: make(map[int32][]os.FileInfo), used: make(map[connectors.Partition]bool),
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("no file notifications, polling alone", "source", s.cfg.Name, "poll", s.cfg.Poll, "error", err)
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
		err = nil // asked to stop
	}
	return errors.Join(err, f.to.revokeAll(ctx))
}

// watch starts a tail for each file that there is or appears, and wakes the tails, until ctx ends.
func (f *follower) watch(ctx context.Context, w *fsnotify.Watcher, start func(*tail)) {
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	for {
		f.scan(w, start)
		select {
		case <-ctx.Done():
			return
		case <-f.again:
		case <-poll.C:
		case _, ok := <-w.Events:
			if !ok {
				return
			}
		case err := <-w.Errors:
			f.log.Warn("file notification lost, polling", "source", f.cfg.Name, "error", err)
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
		default: // it is awake already
		}
	}
}

// scan starts tails for files that have none and asks for notifications of their folders.
func (f *follower) scan(w *fsnotify.Watcher, start func(*tail)) {
	for _, named := range f.cfg.Paths {
		files, err := List([]string{named}, f.cfg.Include)
		if err != nil {
			f.failOnce(named, err)
			continue
		}
		f.recovered(named)
		for _, path := range files {
			if t := f.begin(path); t != nil {
				start(t)
			}
			if w.Events != nil && path != "-" {
				w.Add(filepath.Dir(path)) // where it fails there is the poll
			}
		}
	}
}

// failOnce is fail, told once as long as it lasts.
func (f *follower) failOnce(path string, err error) {
	f.Source.mu.Lock()
	known := f.failed[path] != nil
	f.Source.mu.Unlock()
	if !known {
		f.fail(path, err)
	}
}

// begin returns a new tail for path, or nil where there is one or the file was read.
func (f *follower) begin(path string) *tail {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old := f.tails[path]; old != nil {
		if !old.over || old.file == nil {
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
	file, over, err := f.readTail(ctx, t)
	if err != nil {
		return err
	}
	f.mu.Lock()
	if t.over, t.file = over, file; !over {
		delete(f.tails, t.path)
	}
	f.mu.Unlock()
	select {
	case f.again <- struct{}{}:
	default:
	}
	return nil
}

// readTail returns over where the file needs not be looked at again; else the path may hold another one by now.
func (f *follower) readTail(ctx context.Context, t *tail) (info os.FileInfo, over bool, err error) {
	if t.path == "-" {
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
	if bytes.HasPrefix(r.first, []byte(gzipMagic)) || bytes.HasPrefix(r.first, []byte(zstdMagic)) {
		return info, true, f.readOnce(ctx, f.to, t.path, f.to.assign(f.partition(t.path, 0)))
	}
	p, fresh := f.claim(t.path, r.first, info)
	if !fresh {
		return info, true, nil
	}
	return nil, false, f.readGrowing(ctx, p, r)
}

func (f *follower) readGrowing(ctx context.Context, p connectors.Partition, r *tailReader) error {
	c := newCutter(ctx, r, batcher{to: f.to, partition: p, from: f.to.assign(p)})
	c.wait = func(ctx context.Context) error { return r.t.wait(ctx) }
	if err := c.run(); err != nil {
		return err
	}
	if err := c.win.fault(); err != nil {
		f.fail(p.Topic, fmt.Errorf("read source file %q: behind byte %d: %w", p.Topic, c.win.end(), err))
	}
	return nil
}

// checksum is the number of the file that begins with first.
func checksum(first []byte) int32 { return int32(crc32.ChecksumIEEE(first) >> 1) }

// claim returns the partition of a file; fresh is false where this run has read the file under another name.
func (f *follower) claim(path string, first []byte, info os.FileInfo) (p connectors.Partition, fresh bool) {
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
		p.Number = max(p.Number+1, 0) // truncated, and begun with the same line
	}
	f.used[p] = true
	return p, true
}

// wait returns when the file may have changed.
func (t *tail) wait(ctx context.Context) error {
	select {
	case <-t.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tailReader reads a file that grows: errIdle at its present end, io.EOF once nothing more will come.
type tailReader struct {
	t     *tail
	file  *os.File
	info  os.FileInfo
	first []byte // what the file begins with
	off   int64
	grace time.Duration // how long a file that was moved away is still read: its writer may not know yet
	moved time.Time     // when that was seen
}

func (r *tailReader) Read(p []byte) (int, error) {
	if n, err := r.file.ReadAt(p, r.off); n > 0 {
		// A file that is written anew has its first line before it has anything here: what was read counts only if the
		// line is still the old one.
		if !r.beginsSame() {
			return 0, io.EOF
		}
		r.off += int64(n)
		r.moved = time.Time{}
		return n, nil
	} else if err != nil && err != io.EOF {
		return 0, err
	}
	if r.over() {
		return 0, io.EOF
	}
	return 0, errIdle
}

// over says that the file at its end will not grow any more.
func (r *tailReader) over() bool {
	info, err := r.file.Stat()
	if err != nil || info.Size() < r.off || !r.beginsSame() {
		return true // truncated or written anew
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

func (r *tailReader) beginsSame() bool {
	now := make([]byte, len(r.first))
	n, err := r.file.ReadAt(now, 0)
	return n == len(now) && (err == nil || err == io.EOF) && bytes.Equal(now, r.first)
}

// firstLine waits until the file has its first line, or headLine bytes of it; nil where the file is over before.
func (r *tailReader) firstLine(ctx context.Context) ([]byte, error) {
	b := make([]byte, headLine)
	for {
		n, err := r.file.ReadAt(b, 0)
		if err != nil && err != io.EOF {
			return nil, r.t.wait(ctx) // opened again then
		}
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			return b[:i+1], nil
		}
		if n == len(b) {
			return b, nil
		}
		if r.over() {
			return nil, nil
		}
		if err := r.t.wait(ctx); err != nil {
			return nil, err
		}
	}
}
