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

// envBinary names the program under test; TestMain builds one where it is not set.
const envBinary = "AIDR_TEST_BINARY"

const (
	// buildTime bounds the build of the program with an empty cache on a small machine.
	buildTime = 10 * time.Minute
	// commandTime bounds one command that ends by itself.
	commandTime = 2 * time.Minute
	// pollEvery is how often a condition is looked at.
	pollEvery = 50 * time.Millisecond
)

// library and samples are where the shipped rules and the real logs are, seen from this folder.
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

// build builds the program, without cgo: that is how it is shipped, and quicker.
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

// sampleDir returns a folder of the samples. A test that lacks it is skipped, or fails where samples are required.
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

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// aidr runs a command that ends by itself.
func aidr(t testing.TB, args ...string) outcome { return aidrWith(t, nil, nil, args...) }

// aidrWith also gives it variables of the environment and a standard input.
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

// mustAidr runs a command that has to succeed, and returns what it printed.
func mustAidr(t testing.TB, args ...string) string {
	t.Helper()
	o := aidr(t, args...)
	if o.code != exitOK {
		t.Fatalf("aidr %s: exit code %d, want 0\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	return o.stdout
}

// process is an aidr that runs until it is ended.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  string // file of stdout and stderr
	gone chan struct{}
}

// start starts an aidr. It goes with the test, and a failed test shows its last words.
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
		p.cmd.Wait() // its state is in ProcessState
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

// kill ends it at once, as kill -9 does.
func (p *process) kill() {
	p.cmd.Process.Kill() // it may have ended already
	<-p.gone
}

// terminate asks it to end and returns its exit code. It is given as long as it promises: 10 s to drain, and a last
// checkpoint.
func (p *process) terminate() int {
	p.t.Helper()
	const most = 15 * time.Second
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
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

// alive fails the test where the process has ended by itself.
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

// await polls until check returns nil, and fails the test with its last answer after most.
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

// freeAddr returns an address of loopback that nobody listens on at this moment.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// readiness is the answer of /readyz.
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

// isReady says whether /readyz is ok.
func isReady(addr string) error {
	r, err := readyz(addr)
	if err == nil && r.Status != "ok" {
		err = fmt.Errorf("/readyz says %+v", r)
	}
	return err
}

// jsonLines reads one value a line.
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
