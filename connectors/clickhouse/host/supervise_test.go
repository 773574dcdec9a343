package host

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lines collects log lines.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// supervise starts a supervised engine for a test.
func supervise(t *testing.T) (*Supervisor, *lines) {
	t.Helper()
	ForTest(t) // skips the test if an engine cannot be started
	log := &lines{}
	s, err := Supervise(t.Context(), Options{Dir: t.TempDir()}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Skip(err)
	}
	return s, log
}

// answers waits until the engine answers at the Supervisor's DSN.
func answers(t *testing.T, s *Supervisor) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		c, _ := open(t, s.DSN)
		err := c.Ping(t.Context())
		c.Close()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the engine does not answer again: %v", err)
		}
	}
}

// TestSupervisorOutlivesWrongPasswords logs in with wrong names and passwords, which aborts the engine's process. The
// engine is there again at the same address, with the same password and data.
func TestSupervisorOutlivesWrongPasswords(t *testing.T) {
	s, log := supervise(t)
	c, _ := open(t, s.DSN)
	exec1(t, c, "CREATE DATABASE aidr")
	exec1(t, c, "CREATE TABLE aidr.t (a UInt64) ENGINE = MergeTree ORDER BY a")
	exec1(t, c, "INSERT INTO aidr.t VALUES (7)")
	c.Close()
	addr := s.DSN[strings.LastIndex(s.DSN, "@")+1:]
	for i := range 40 {
		wrong, _ := open(t, fmt.Sprintf("clickhouse://%s:wrong@%s", []string{"aidr", "nobody"}[i%2], addr))
		if err := wrong.Ping(t.Context()); err == nil {
			t.Error("a wrong password is accepted")
		}
		wrong.Close()
	}
	answers(t, s)
	c, _ = open(t, s.DSN)
	var sum uint64
	if err := c.QueryRow(t.Context(), "SELECT sum(a) FROM aidr.t").Scan(&sum); err != nil || sum != 7 {
		t.Errorf("got sum %d, %v; want 7", sum, err)
	}
	c.Close()
	t.Logf("%d restarts:\n%s", s.Restarts(), log)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// TestSupervisorRestarts aborts the engine's process and checks that another follows, with one log line for each change.
func TestSupervisorRestarts(t *testing.T) {
	s, log := supervise(t)
	s.mu.Lock()
	process := s.engine.cmd.Process
	s.mu.Unlock()
	if err := process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(startTimeout); s.Restarts() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the engine was not started again")
		}
	}
	answers(t, s)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	text := log.String()
	if strings.Count(text, "signal: aborted") != 1 || strings.Count(text, "runs again") != 1 {
		t.Errorf("want one line with the signal and one with the restart, got:\n%s", text)
	}
	if strings.Contains(text, s.opts.Password) {
		t.Error("the log holds the password")
	}
}

// TestSupervisorStops checks that Stop ends the wait for the next start.
func TestSupervisorStops(t *testing.T) {
	s := &Supervisor{log: slog.New(slog.DiscardHandler), end: make(chan struct{}), done: make(chan struct{})}
	e := &Engine{exited: make(chan struct{})}
	close(e.exited)
	go s.run(e)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}
