package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	// minRestart is the pause before an engine that has run for steadyTime is started again. Its clients hardly notice.
	minRestart = 100 * time.Millisecond
	// maxRestart bounds the pause, which doubles as long as the engine keeps ending. It is short because any local client
	// can cause an outage of that length; see Supervisor.
	maxRestart = 5 * time.Second
	// steadyTime is how long an engine must have run to be started again after minRestart.
	steadyTime = 10 * time.Second
)

// Supervisor keeps an engine running: if its process ends, the Supervisor starts it again with the same data, address,
// user and password.
//
// The library is not a server. In particular, its process aborts, without a message, after some failed logins on the native
// port, and any local client can cause that.
type Supervisor struct {
	DSN      string // as in Engine
	HTTPAddr string // as in Engine

	opts Options
	log  *slog.Logger
	end  chan struct{} // closed by Stop
	done chan struct{} // closed when run has ended

	mu       sync.Mutex
	restarts int
	engine   *Engine // nil between two engines
	err      error   // of the engine's clean stop; valid when done is closed
}

// Supervise starts an engine and keeps it running until Stop is called. ctx bounds the first start only, whose error is
// returned. Later failures are logged and tried again.
func Supervise(ctx context.Context, o Options, log *slog.Logger) (*Supervisor, error) {
	e, err := Start(ctx, o)
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		DSN: e.DSN, HTTPAddr: e.HTTPAddr, opts: o, log: log, engine: e, end: make(chan struct{}), done: make(chan struct{}),
	}
	s.opts.Password, s.opts.Port = e.Password, portOf(e.Addr)
	if e.HTTPAddr != "" {
		s.opts.HTTPPort = portOf(e.HTTPAddr)
	}
	go s.run(e)
	return s, nil
}

// portOf returns the port of an address, or 0 if the address lacks a port.
func portOf(addr string) int {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port) // 0 if it is not a number
	return n
}

// Restarts returns how often the engine was started again.
func (s *Supervisor) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// Stop ends the engine cleanly and waits for its end.
func (s *Supervisor) Stop() error {
	close(s.end)
	<-s.done
	return s.err
}

// run waits for the end of e and starts its successors.
func (s *Supervisor) run(e *Engine) {
	defer close(s.done)
	pause := minRestart
	for {
		started := time.Now()
		select {
		case <-e.Exited():
		case <-s.end:
			s.err = e.Stop()
			return
		}
		e.release()
		s.set(nil)
		if time.Since(started) >= steadyTime {
			pause = minRestart
		}
		err := errors.New("its process ended without an error")
		if e.err != nil {
			err = e.err
		}
		if e = s.restart(err, &pause); e == nil {
			return
		}
		s.set(e)
		s.log.Info("the clickhouse engine runs again", "address", e.Addr)
	}
}

// restart starts an engine after the pause, which it doubles, until that succeeds. It returns nil if Stop was called.
func (s *Supervisor) restart(cause error, pause *time.Duration) *Engine {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.end:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		s.log.Error("the clickhouse engine ended; it is started again, its data is kept", "error", cause, "pause", *pause)
		timer := time.NewTimer(*pause)
		*pause = min(2**pause, maxRestart)
		select {
		case <-timer.C:
		case <-s.end:
			timer.Stop()
			return nil
		}
		e, err := Start(ctx, s.opts)
		if err == nil {
			return e
		}
		if ctx.Err() != nil {
			return nil
		}
		cause = err
	}
}

func (s *Supervisor) set(e *Engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine = e; e != nil {
		s.restarts++
	}
}
