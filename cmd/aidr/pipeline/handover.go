package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// wantedFile is the file in a state directory by which a process that was assigned partitions requests the directory from
// the process that has it open. The waiting process rewrites the file periodically, and only a change of the file counts
// as a request, so a file left behind by a killed process requests nothing. The process that opens the directory removes
// the file.
//
// The file is only a hint: ownership is decided by the lock of the store. A process with partitions of its own ignores
// requests.
const wantedFile = "wanted"

// requestHandover writes wantedFile, which asks the owner of the state directory to close it.
func (p *Pipeline) requestHandover() {
	text := fmt.Sprintf("process %d waits for this directory since it was assigned partitions\n", os.Getpid())
	if err := os.WriteFile(filepath.Join(p.cfg.State.Dir, wantedFile), []byte(text), 0o600); err != nil {
		p.log.Debug("cannot request the state directory", "error", err) // not fatal: its owner may close it anyway
	}
}

// removeRequest removes wantedFile after this process has opened the directory.
func (p *Pipeline) removeRequest() {
	if err := os.Remove(filepath.Join(p.cfg.State.Dir, wantedFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.log.Debug("cannot remove the request for the state directory", "error", err)
	}
}

// watchRequests closes the state directory when another process requests it. stop ends the watch and waits for it.
func (p *Pipeline) watchRequests() (stop func()) {
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
				seen = p.checkRequest(seen)
			}
		}
	}()
	return func() {
		close(end)
		<-done
	}
}

// checkRequest hands the state directory over if wantedFile was written at another time than since, and returns that time.
func (p *Pipeline) checkRequest(since time.Time) time.Time {
	info, err := os.Stat(filepath.Join(p.cfg.State.Dir, wantedFile))
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

// handOver closes the state directory if this process has nothing to read, so that another process can open it.
func (p *Pipeline) handOver(why string) {
	p.life.Lock()
	defer p.life.Unlock()
	if p.opened == nil || len(p.active) > 0 || !p.canHandOver() || p.isStopping() {
		return
	}
	p.log.Info("closing the state directory for another process", "reason", why)
	if err := p.close(handoverTime); err != nil {
		p.fail(fmt.Errorf("close the state directory for another process: %w", err))
	}
}
