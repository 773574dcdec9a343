package producers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

const (
	// patience is how long a test waits for a producer: far longer than it takes even on a busy machine.
	patience = 90 * time.Second
	// poll is the pause between two looks at a condition.
	poll = 20 * time.Millisecond
)

// program returns the path of a producer's program, from the environment variable or from PATH. If it is not there, the test
// is skipped, or fails if AIDR_TEST_REQUIRE names the producer.
func program(t *testing.T, producer, variable string, names ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a broker and a server")
	}
	if path := os.Getenv(variable); path != "" {
		return path
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		if path := filepath.Join("/usr/sbin", name); isFile(path) { // not in the PATH of every user
			return path
		}
	}
	conntest.Missing(t, producer, fmt.Sprintf("no %s in PATH, and %s is not set", strings.Join(names, " or "), variable))
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// version logs the first line that a program prints for its version.
func version(t *testing.T, path string, args ...string) {
	t.Helper()
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", path, args, err, out)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	t.Logf("version: %s", first)
}

// server is a running producer.
type server struct {
	t      *testing.T
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	stdout *output
	stderr *output
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// launch starts a producer in a folder. It ends with the test at the latest.
func launch(t *testing.T, dir string, env []string, path string, args ...string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan struct{}), stdout: &output{}, stderr: &output{}}
	s.cmd = exec.Command(path, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, s.stdout, s.stderr
	s.cmd.Env = append(append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir), env...)
	s.cmd.WaitDelay = time.Second // a child of the producer may keep its output open
	setGroup(s.cmd)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		killGroup(s.cmd)
		<-s.ended
		if t.Failed() {
			t.Logf("the producer's output:\n%s\n%s", tail(s.stdout.String()), tail(s.stderr.String()))
		}
	})
	return s
}

// stop ends the producer as an operator would, so that it writes all it has.
func (s *server) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatalf("stop the producer: %v", err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatal("the producer does not end")
	}
}

// listening waits until the producer accepts connections.
func (s *server) listening(addr string) {
	s.t.Helper()
	s.await("it listens on "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// await polls until the condition holds. The producer must be running.
func (s *server) await(name string, condition func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		select {
		case <-s.ended:
			s.t.Fatalf("the producer ended before %s", name)
		case <-time.After(poll):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain until %s", name)
		}
	}
}

// tail returns the end of a text.
func tail(text string) string {
	const limit = 8 << 10
	return text[max(0, len(text)-limit):]
}

// freeAddr returns an address of the loopback interface that is free at the moment.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// configure writes a file of testdata into a folder with values in place of names, which are written as @NAME@, and returns
// its path.
func configure(t *testing.T, dir, name string, values map[string]string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, name, replace(string(src), values))
}

// replace replaces @NAME@ by the value of NAME. The lines of a value get the indentation of the line that names it.
func replace(text string, values map[string]string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		for name, value := range values {
			if strings.Contains(line, "@"+name+"@") {
				value = strings.ReplaceAll(strings.TrimRight(value, "\n"), "\n", "\n"+indent)
				line = strings.ReplaceAll(line, "@"+name+"@", value)
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// logged returns the lines of a log file.
func logged(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}
