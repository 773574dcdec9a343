package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// envBinary is the environment variable with the path of the program under test. If it is not set, TestMain builds the
// program.
const envBinary = "AIDR_TEST_BINARY"

const (
	// buildTime bounds the build of the program, with an empty cache on a small machine.
	buildTime = 10 * time.Minute
	// commandTime bounds a command that ends by itself.
	commandTime = 2 * time.Minute
	// pollEvery is the interval at which a condition is checked.
	pollEvery = 50 * time.Millisecond
)

// library and samples are the folders of the shipped rules and of the real logs, relative to this folder.
var (
	library = filepath.Join("..", "..", "rules", "library")
	samples = filepath.Join("..", "..", "..", "shared", "samples")
)

func TestMain(m *testing.M) {
	os.Exit(host.Test(func() int {
		dir, err := os.MkdirTemp("", "aidr-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if os.Getenv(envBinary) == "" {
			if err := build(filepath.Join(dir, "aidr")); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return m.Run()
	}))
}

// build builds the program without cgo, as it is shipped. This is also faster.
func build(binary string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build aidr: %w\n%s", err, out)
	}
	return os.Setenv(envBinary, binary)
}

// sampleDir returns a folder of the samples. If it does not exist, the test is skipped, or fails if samples are required.
func sampleDir(t testing.TB, parts ...string) string {
	t.Helper()
	root := os.Getenv("AIDR_SAMPLES")
	if root == "" {
		root = samples
	}
	dir := filepath.Join(append([]string{root}, parts...)...)
	if _, err := os.Stat(dir); err != nil {
		conntest.Missing(t, "samples", fmt.Sprintf("no samples: %v: name their folder in AIDR_SAMPLES", err))
	}
	return dir
}

// outcome is the exit code and the output of a command.
type outcome struct {
	code           int
	stdout, stderr string
}

// aidr runs a command that ends by itself.
func aidr(t testing.TB, args ...string) outcome { return aidrWith(t, nil, nil, args...) }

// aidrWith is aidr with environment variables and a standard input.
func aidrWith(t testing.TB, env []string, stdin io.Reader, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv(envBinary), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = stdin, &stdout, &stderr, append(os.Environ(), env...)
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || ctx.Err() != nil {
		t.Fatalf("aidr %s: %v, %v\n%s", strings.Join(args, " "), err, ctx.Err(), stderr.String())
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// mustAidr runs a command that must succeed, and returns its standard output.
func mustAidr(t testing.TB, args ...string) string {
	t.Helper()
	o := aidr(t, args...)
	if o.code != exitOK {
		t.Fatalf("aidr %s: exit code %d, want 0\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	return o.stdout
}

// process is a running aidr.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  string // file with stdout and stderr
	gone chan struct{}
}

// start starts an aidr. It is killed at the end of the test, and a failed test prints the end of its log.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "log-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &process{t: t, cmd: exec.Command(os.Getenv(envBinary), args...), log: f.Name(), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait() // the result is in ProcessState
		close(p.gone)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("aidr %s said:\n%s", strings.Join(args, " "), p.lastWords())
		}
	})
	return p
}

// kill ends the process at once, like kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill() // the process may have ended already
	<-p.gone
}

// terminate sends SIGTERM and returns the exit code. It waits for the documented time: 10 s for draining, and the time of a
// last checkpoint.
func (p *process) terminate() int {
	p.t.Helper()
	const most = 15 * time.Second
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) { // it may have ended by itself
		p.t.Fatalf("SIGTERM: %v\n%s", err, p.lastWords())
	}
	select {
	case <-p.gone:
	case <-time.After(most):
		p.t.Errorf("aidr still runs %v after SIGTERM", most)
		p.kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

// alive fails the test if the process has ended.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.gone:
		p.t.Fatalf("aidr ended by itself with %d:\n%s", p.cmd.ProcessState.ExitCode(), p.lastWords())
	default:
	}
}

func (p *process) lastWords() string {
	const most = 6 << 10
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	var kept []byte
	for line := range bytes.Lines(b) {
		if !bytes.Contains(line, []byte("warning in a rule file")) { // the rules of testdata have no tests
			kept = append(kept, line...)
		}
	}
	b = kept
	if len(b) > most {
		b = append([]byte("... "), b[len(b)-most:]...)
	}
	return string(b)
}

// await polls until check returns nil. After most it fails the test with the last error of check.
func await(t testing.TB, most time.Duration, what string, check func() error) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.After(most)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %v: %v", what, most, err)
		}
	}
}

// freeAddr returns a loopback address with a port that is free at the moment.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// readiness is the response of /readyz.
type readiness struct {
	code       int
	Status     string
	Components map[string]api.Component
}

func readyz(addr string) (r readiness, err error) {
	body, code, err := get("http://" + addr + "/readyz")
	if err != nil {
		return r, err
	}
	r.code = code
	return r, json.Unmarshal(body, &r)
}

func get(url string) (body []byte, code int, err error) {
	c := http.Client{Timeout: 5 * time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return body, resp.StatusCode, err
}

// isReady returns an error unless the status of /readyz is ok.
func isReady(addr string) error {
	r, err := readyz(addr)
	if err == nil && r.Status != "ok" {
		err = fmt.Errorf("/readyz says %+v", r)
	}
	return err
}

// jsonLines reads one JSON value per line.
func jsonLines[T any](t testing.TB, text string) (out []T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		var v T
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("not JSON lines: %v\n%s", err, text)
		}
		out = append(out, v)
	}
}
