package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// wanted is the file in a state directory by which a process that was assigned partitions asks the one that has the
// directory open for it: it writes the file again and again while it waits. Only a change asks, so that what a process
// left that was killed asks for nothing. Whoever opens the directory takes the file away.
//
// The file decides nothing: the lock of the store does. One that has partitions itself does not answer.
const wanted = "wanted"

// ask asks who has the state directory open for it.
func (p *Pipeline) ask() {
	text := fmt.Sprintf("process %d waits for this directory since it was assigned partitions\n", os.Getpid())
	if err := os.WriteFile(filepath.Join(p.cfg.State.Dir, wanted), []byte(text), 0o600); err != nil {
		p.log.Debug("the state directory could not be asked for", "error", err) // who has it may close it all the same
	}
}

// answered takes the question away: the directory is ours.
func (p *Pipeline) answered() {
	if err := os.Remove(filepath.Join(p.cfg.State.Dir, wanted)); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.log.Debug("the file by which the state directory is asked for stays", "error", err)
	}
}

// watchWanted hands the state directory over when somebody asks for it. stop ends that and waits for it.
func (p *Pipeline) watchWanted() (stop func()) {
	tick := time.NewTicker(lockRetry)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer tick.Stop()
		var seen time.Time
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				seen = p.answer(seen)
			}
		}
	}()
	return func() {
		close(end)
		<-done
	}
}

// answer hands over where somebody has asked since, and returns when that was.
func (p *Pipeline) answer(since time.Time) time.Time {
	info, err := os.Stat(filepath.Join(p.cfg.State.Dir, wanted))
	if err != nil {
		return since
	}
	at := info.ModTime()
	if !at.Equal(since) && p.isIdle() {
		p.handOver("another process waits for it")
	}
	return at
}

func (p *Pipeline) isIdle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}

// handOver closes the state directory where there is nothing to read here, so that another process can open it.
func (p *Pipeline) handOver(why string) {
	p.life.Lock()
	defer p.life.Unlock()
	if p.opened == nil || len(p.active) > 0 || !p.handsOver() || p.isStopping() {
		return
	}
	p.log.Info("the state directory is handed over", "reason", why)
	if err := p.close(handoverTime); err != nil {
		p.fail(fmt.Errorf("hand the state directory over: %w", err))
	}
}
