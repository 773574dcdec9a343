package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asking is a load of questions: connections that each ask one question after the other.
type asking struct {
	addr, token string
	path        string   // of the interface
	bodies      []string // of the questions, in turn
	connections int
	rate        int // questions a second of all connections; 0: as many as are answered
	time        time.Duration
}

// asked is the outcome of a load.
type asked struct {
	answers, denied int
	took            []time.Duration // sorted, of each answer
	elapsed         time.Duration
}

func (a *asked) at(share float64) time.Duration {
	return a.took[int(share*float64(len(a.took)-1))].Round(time.Microsecond)
}

func (a *asked) String() string {
	return fmt.Sprintf("%d answers (%d denied), %.0f/s, p50 %v, p99 %v, p99.9 %v, most %v", a.answers, a.denied,
		float64(a.answers)/a.elapsed.Seconds(), a.at(.5), a.at(.99), a.at(.999), a.at(1))
}

// run sends the load and returns what was answered. Requests are bytes that are made before, so that the generator costs as
// little as a gateway does.
func (l asking) run(t testing.TB) *asked {
	t.Helper()
	requests := make([][]byte, len(l.bodies))
	for i, body := range l.bodies {
		requests[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: aidr\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			l.path, l.token, len(body), body)
	}
	var mu sync.Mutex
	total := &asked{}
	var failed error
	var all sync.WaitGroup
	began := time.Now()
	for n := range l.connections {
		all.Go(func() {
			one, err := l.ask(requests, n, began)
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			total.answers += one.answers
			total.denied += one.denied
			total.took = append(total.took, one.took...)
		})
	}
	all.Wait()
	total.elapsed = time.Since(began)
	if failed != nil || total.answers == 0 {
		t.Fatalf("the load: %d answers: %v", total.answers, failed)
	}
	slices.Sort(total.took)
	return total
}

// ask asks over one connection, the n-th.
func (l asking) ask(requests [][]byte, n int, began time.Time) (out asked, err error) {
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	interval := time.Duration(0)
	if l.rate > 0 {
		interval = time.Second * time.Duration(l.connections) / time.Duration(l.rate)
	}
	due := began.Add(interval * time.Duration(n) / time.Duration(l.connections))
	for i := n; ; i++ {
		start := time.Now()
		if interval > 0 {
			if wait := due.Sub(start); wait > 0 {
				time.Sleep(wait)
			}
			start, due = due, due.Add(interval) // a question that is late counts from when it was due
		}
		if start.Sub(began) > l.time {
			return out, nil
		}
		if _, err := conn.Write(requests[i%len(requests)]); err != nil {
			return out, err
		}
		body, err := readAnswer(in)
		if err != nil {
			return out, err
		}
		out.took = append(out.took, time.Since(start))
		out.answers++
		if bytes.Contains(body, []byte(`"verdict":"deny"`)) {
			out.denied++
		}
	}
}

// readAnswer reads one answer with the status 200 and returns its body, which is valid until the next call.
func readAnswer(in *bufio.Reader) ([]byte, error) {
	length := -1
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return nil, fmt.Errorf("answered %q", line)
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return nil, err
			}
		}
		if len(line) == 2 {
			break
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without Content-Length")
	}
	body, err := in.Peek(length)
	if err != nil {
		return nil, err
	}
	_, err = in.Discard(length)
	return body, errors.Join(err)
}

// pinTo runs this process on one core from now on.
func pinTo(t testing.TB, core int) {
	t.Helper()
	var set unix.CPUSet
	set.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = unix.SchedSetaffinity(id, &set) // a thread may have ended
		}
	}
}

// startOn starts an aidr on one core, or on all of them if core is negative.
func startOn(t testing.TB, core int, args ...string) *process {
	t.Helper()
	if core < 0 {
		return start(t, args...)
	}
	f, err := os.CreateTemp(t.TempDir(), "log-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &process{t: t, cmd: exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), os.Getenv(envBinary)}, args...)...), log: f.Name(), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
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

// cpuTime returns the processor time that a process has used.
func (p *process) cpuTime() time.Duration {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	var ticks int
	for _, text := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(text)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // the kernel's USER_HZ
}
