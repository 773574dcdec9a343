package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/aidr-engine/aidr/engine/cases"
)

// settleTime is how long files must stay as they are before rules are read again: an editor, or a rollout of many
// files, is done by then.
const settleTime = 500 * time.Millisecond

// watch reloads the rules on SIGHUP and when their files change, until ctx ends or the returned func is called.
func (p *Pipeline) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		p.log.Warn("changes of rule files are not noticed here: send SIGHUP after a change", "error", err)
		w = &fsnotify.Watcher{}
	} else {
		p.watchFolders(w)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var settled <-chan time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				p.Reload(ctx)
			case <-w.Events:
				settled = time.After(settleTime)
			case <-w.Errors:
				settled = time.After(settleTime) // events may be lost: look
			case <-settled:
				settled = nil
				if w.Events != nil {
					p.watchFolders(w) // new folders
				}
				p.Reload(ctx)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		signal.Stop(hup)
		if w.Events != nil {
			w.Close()
		}
	}
}

// watchFolders has the watcher look at every folder that rules, lists and the registry come from.
func (p *Pipeline) watchFolders(w *fsnotify.Watcher) {
	paths := append([]string{}, p.cfg.Rules...)
	if p.cfg.Lists != "" {
		paths = append(paths, p.cfg.Lists)
	}
	if p.cfg.Agents != "" {
		paths = append(paths, filepath.Dir(p.cfg.Agents))
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

// Reload reads the rules again and swaps them between two batches. On any error, and where a test in a rule file fails,
// the old ones keep running, and the log and /readyz say why.
func (p *Pipeline) Reload(ctx context.Context) error {
	err := p.reload(ctx)
	p.mu.Lock()
	p.rules.set(err)
	p.mu.Unlock()
	if err != nil {
		p.log.Error("the rules were not reloaded: the old ones keep running", "error", err)
	}
	return err
}

func (p *Pipeline) reload(ctx context.Context) error {
	set, problems := LoadRules(p.ruleFiles())
	if set == nil {
		return errors.Join(problemErrors(problems)...)
	}
	var failed error
	err := cases.Run(ctx, set, func(r cases.Result) {
		if r.Diff != "" && failed == nil {
			failed = fmt.Errorf("%s:%d: rule %q: test %q fails: %s", r.File, r.Line, r.Rule, r.Test, r.Diff)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping || ctx.Err() != nil {
		return nil
	}
	old := p.set
	p.set = set
	if p.engine == nil {
		return nil
	}
	return p.swap(ctx, old)
}

// swap ends the engine with a checkpoint and starts one with the new rules on it: State whose shape is the same lives
// on. mu is held for writing.
func (p *Pipeline) swap(ctx context.Context, old *Set) error {
	if err := p.engine.Stop(ctx); err != nil {
		return err
	}
	err := p.start()
	if err != nil {
		p.set = old
		if again := p.start(); again != nil {
			p.lost = errors.Join(err, again)
			return p.lost
		}
	}
	for part := range p.active {
		p.engine.Assigned(part)
	}
	p.log.Info("the rules were reloaded", "rules", len(p.set.Rules))
	return err
}
