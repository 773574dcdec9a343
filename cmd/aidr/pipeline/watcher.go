package pipeline

import (
	"context"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quietTime is how long files must be unchanged before they are read again. An editor, or a rollout of many files,
	// is done by then.
	quietTime = 500 * time.Millisecond
	// maxDelay limits how long changes that keep coming put off a reload.
	maxDelay = 5 * time.Second
	// maxPaths is the number of changed paths up to which a reload looks at these alone.
	maxPaths = 10_000
)

// watch reloads the configuration on SIGHUP, and the rules when their files change, until ctx is done or stop is
// called. stop waits for a reload in progress.
func (p *Pipeline) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	files := p.newWatcher()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.reloadOn(ctx, hup, files)
	}()
	return func() {
		cancel()
		<-done
		signal.Stop(hup)
		if files != nil {
			files.Close()
		}
	}
}

// newWatcher watches the folders of rules. It returns nil if the system cannot watch files.
func (p *Pipeline) newWatcher() *fsnotify.Watcher {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		p.watchFolders(w)
		return w
	}
	p.log.Warn("cannot watch rule files: send SIGHUP after a change", "error", err)
	return nil
}

// reloadOn reloads on each signal, and after a change of files once no further change has come for quietTime.
func (p *Pipeline) reloadOn(ctx context.Context, hup <-chan os.Signal, files *fsnotify.Watcher) {
	var events <-chan fsnotify.Event // nil if files cannot be watched
	var errs <-chan error
	if files != nil {
		events, errs = files.Events, files.Errors
	}
	var quiet <-chan time.Time // nil while no reload is due
	var first time.Time        // time of the first change that is not loaded yet
	var paths []string         // that changed since the last reload
	known := true              // no other path changed
	changed := func() {
		if quiet == nil {
			first = now()
		}
		if now().Sub(first) < maxDelay {
			quiet = time.After(quietTime)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			p.ReloadConfig(ctx) // logs its error
			if files != nil {
				p.watchFolders(files) // the configuration may name others now
			}
		case e := <-events:
			if e.Op != fsnotify.Chmod { // backups and indexers change attributes only
				if len(paths) < maxPaths {
					paths = append(paths, e.Name)
				} else {
					known = false
				}
				changed()
			}
		case <-errs: // events may have been lost, so assume a change
			known = false
			changed()
		case <-quiet:
			quiet = nil
			if !known || !onlyFiles(paths) {
				p.watchFolders(files) // the change may have added folders
				paths = nil
			}
			p.reloadChanged(ctx, paths)
			paths, known = nil, true
		}
	}
}

// onlyFiles reports whether no path is that of a folder or link.
func onlyFiles(paths []string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && !info.Mode().IsRegular()
	})
}

// watchFolders adds every folder of rules, field maps, lists and the registry to the watcher.
func (p *Pipeline) watchFolders(w *fsnotify.Watcher) {
	cfg := p.live.Load()
	paths := append(append([]string{}, cfg.Rules...), cfg.Maps...)
	if cfg.Lists != "" {
		paths = append(paths, cfg.Lists)
	}
	if cfg.Agents != "" {
		paths = append(paths, cfg.Agents)
	}
	for _, path := range paths {
		if path == Library {
			continue // part of the program
		}
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return w.Add(name)
			case name == path: // the path names a file: watch its folder, because editors replace files
				return w.Add(filepath.Dir(name))
			}
			return nil
		})
		if err != nil {
			p.log.Warn("cannot watch a rule folder: send SIGHUP after a change", "folder", path, "error", err)
		}
	}
}
