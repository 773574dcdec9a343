package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
)

// childDir is the environment variable that turns a run of TestKilledProcess into the process to kill.
const childDir = "AIDR_STORE_TEST_CHILD"

// TestKilledProcess kills a committing process with SIGKILL. Every checkpoint that the process reported as committed must
// be there, complete. While the process runs, the directory must be locked.
func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		commitUntilKilled(dir)
	}
	dir := t.TempDir()
	for round := range 3 {
		reported := killAfter(t, dir, 10+20*round)
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatalf("open after the kill: %v", err)
		}
		seq, state, _, err := s.Last()
		if err != nil || seq < reported || seq > reported+1 || string(state) != fmt.Sprint(seq) {
			t.Errorf("last checkpoint: got %d %q, %v; want %d, or the one after it", seq, state, err, reported)
		}
		entries, err := s.Outbox(1, 1<<20, 1<<40)
		if err != nil || uint64(len(entries)) != 2*seq {
			t.Errorf("outbox: got %d entries, %v; want 2 for each of %d checkpoints", len(entries), err, seq)
		}
		if got := len(strings.Fields(cellsOf(t, s, ""))); uint64(got) != seq {
			t.Errorf("cells: got %d, want one for each of %d checkpoints", got, seq)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// killAfter starts a committing process, kills it after some checkpoints, and returns the last checkpoint that the process
// reported.
func killAfter(t *testing.T, dir string, checkpoints int) (reported uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; n < checkpoints && lines.Scan(); n++ {
		if reported, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatalf("the process printed %q %s", lines.Text(), errs.String())
		}
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("open while the process runs: got %v, want ErrLocked", err)
	}
	_ = cmd.Process.Kill()
	for lines.Scan() { // lines printed before the kill
		if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
			reported = n
		}
	}
	_ = cmd.Wait()
	return reported
}

// commitUntilKilled commits checkpoints and prints the number of each.
func commitUntilKilled(dir string) {
	s, err := Open(dir, Options{})
	if err == nil {
		_, err = s.SetSinks([]SinkSpec{{Name: "a"}})
	}
	for seq := uint64(1); err == nil; seq++ {
		if last, _, _, _ := s.Last(); seq <= last {
			continue
		}
		err = s.Commit(&Checkpoint{Seq: seq, State: fmt.Append(nil, seq), Cells: []KV{{fmt.Appendf(nil, "cell-%06d", seq), []byte("1")}},
			Outbox: []connectors.Entry{entryOf(testFinding(int(seq%50), seq, "open")), entryOf(testFinding(int(seq%50)+50, seq, "open"))}})
		fmt.Println(seq)
	}
	fmt.Println(err)
	os.Exit(1)
}
