package pipeline

import (
	"context"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long files must stay as they are before rules are read again: an editor, or a rollout of many
	// files, is done by then.
	settleTime = 500 * time.Millisecond
	// settleMost is how long a reload is put off at most while files keep changing.
	settleMost = 5 * time.Second
)

// watch reloads the rules on SIGHUP and when their files change, until ctx ends or the returned func is called, which
// waits for a reload under way.
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

// newWatcher looks at the folders of rules; nil where the system can not.
func (p *Pipeline) newWatcher() *fsnotify.Watcher {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		p.watchFolders(w)
		return w
	}
	p.log.Warn("changes of rule files are not noticed here: send SIGHUP after a change", "error", err)
	return nil
}

// reloadOn reloads on signals, and once files that changed have settled.
func (p *Pipeline) reloadOn(ctx context.Context, hup <-chan os.Signal, files *fsnotify.Watcher) {
	var events <-chan fsnotify.Event // nil: nothing is ever seen
	var lost <-chan error
	if files != nil {
		events, lost = files.Events, files.Errors
	}
	var settled <-chan time.Time
	var first time.Time // when the change that is waited for began
	changed := func() {
		if settled == nil {
			first = now()
		}
		if now().Sub(first) < settleMost {
			settled = time.After(settleTime)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			p.Reload(ctx) // it has said what is wrong
		case e := <-events:
			if e.Op != fsnotify.Chmod { // a backup or an indexer touches it
				changed()
			}
		case <-lost: // events were: look
			changed()
		case <-settled:
			settled = nil
			p.watchFolders(files) // there may be new ones
			p.Reload(ctx)
		}
	}
}

// watchFolders has the watcher look at every folder that rules, field maps, lists and the registry come from.
func (p *Pipeline) watchFolders(w *fsnotify.Watcher) {
	paths := append(append([]string{}, p.cfg.Rules...), p.cfg.Maps...)
	if p.cfg.Lists != "" {
		paths = append(paths, p.cfg.Lists)
	}
	if p.cfg.Agents != "" {
		paths = append(paths, p.cfg.Agents)
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return w.Add(name)
			case name == path: // a file was named: its folder, because editors replace files
				return w.Add(filepath.Dir(name))
			}
			return nil
		})
		if err != nil {
			p.log.Warn("changes of a rule folder are not noticed: send SIGHUP after a change", "folder", path, "error", err)
		}
	}
}
