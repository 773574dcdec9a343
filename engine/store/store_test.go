package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// start is the time of the wall clock when a test begins.
const start = schema.Instant(1_760_000_000_000_000_000)

// testClock is a wall clock that a test sets.
type testClock struct{ t schema.Instant }

func (c *testClock) now() time.Time { return time.Unix(0, int64(c.t)) }

// openMemory opens a store in memory, which is closed at the end of the test.
func openMemory(t *testing.T, o Options) *Store {
	t.Helper()
	o.Memory = true
	s, err := Open("", o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// testFinding returns the finding number n at a revision, with every kind of value that encoding and decoding could change.
func testFinding(n int, revision uint64, status schema.Status) *schema.Finding {
	f := &schema.Finding{
		ID: schema.ID{0: byte(n >> 8), 1: byte(n), 15: 1}, Revision: revision, Status: status,
		RuleID: fmt.Sprintf("rule.%d", n%3), RuleVersion: 1, Kind: "threshold", Title: "T <&> \u2028",
		Severity: [...]schema.Severity{"low", "high"}[n%2], AgentUID: fmt.Sprintf("agent-%d", n%5), AgentName: fmt.Sprintf("bot %d", n%5),
		Key: map[string]string{"b": "2", "a": "1"}, GroupStart: start + schema.Instant(n)*schema.Instant(time.Second),
		Count: int64(revision), Value: "1.50", Baseline: json.RawMessage(`{"z": 1.0}`), Explanation: "bad \xff utf-8",
		Evidence: []schema.Evidence{{EventID: "e", Fields: map[string]any{"big": int64(1<<62 + 1), "f": 0.1, "t": true, "l": []any{"x", 1e21}}}},
	}
	return f
}

func entryOf(f *schema.Finding) connectors.Entry {
	return connectors.Entry{Type: connectors.EntryType("finding." + string(f.Status)), Finding: f}
}

func mustCommit(t *testing.T, s *Store, c *Checkpoint) {
	t.Helper()
	if err := s.Commit(c); err != nil {
		t.Fatalf("commit checkpoint %d: %v", c.Seq, err)
	}
}

// mustJSON returns v as JSON, also in functions that have no testing.T.
func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func bodyOf(t *testing.T, f *schema.Finding) string {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatalf("marshal finding: %v", err)
	}
	return string(b)
}

func TestCommitAndReopen(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if _, err := s.SetSinks([]SinkSpec{{Name: "ch"}}); err != nil {
		t.Fatalf("set sinks: %v", err)
	}
	if _, _, ok, err := s.Last(); ok || err != nil {
		t.Fatalf("last of a new store: ok %v, err %v", ok, err)
	}
	c1 := &Checkpoint{Seq: 1, State: []byte("state1"), Items: [][]byte{[]byte("ite"), []byte("ms1")},
		Cells:  []KV{{[]byte("r1/a"), []byte("A")}, {[]byte("r1/b"), []byte{}}, {[]byte("r2/a"), []byte("C")}},
		Outbox: []connectors.Entry{entryOf(testFinding(1, 1, "open")), entryOf(testFinding(2, 1, "open"))}}
	mustCommit(t, s, c1)
	c2 := &Checkpoint{Seq: 2, State: []byte("state2"), Items: [][]byte{[]byte("items2")}, Drop: []uint64{1},
		Cells:  []KV{{[]byte("r1/a"), nil}, {[]byte("r2/a"), []byte("CC")}},
		Outbox: []connectors.Entry{entryOf(testFinding(1, 2, "settled"))}}
	mustCommit(t, s, c2)
	if got := []uint64{c1.Outbox[0].Seq, c1.Outbox[1].Seq, c2.Outbox[0].Seq}; got[0] != 1 || got[1] != 2 || got[2] != 3 {
		t.Errorf("Seq of entries: got %v, want 1 2 3", got)
	}
	before := outboxBodies(t, s)
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := s.Commit(&Checkpoint{Seq: 3}); !errors.Is(err, ErrClosed) {
		t.Errorf("commit after close: got %v, want ErrClosed", err)
	}

	if s, err = Open(dir, Options{}); err != nil {
		t.Fatalf("open again: %v", err)
	}
	defer s.Close()
	seq, state, ok, err := s.Last()
	if seq != 2 || string(state) != "state2" || !ok || err != nil {
		t.Errorf("last: got %d %q %v %v, want 2 state2", seq, state, ok, err)
	}
	if got, want := cellsOf(t, s, ""), "r1/b= r2/a=CC "; got != want {
		t.Errorf("cells: got %q, want %q", got, want)
	}
	if got, want := cellsOf(t, s, "r2"), "r2/a=CC "; got != want {
		t.Errorf("cells of r2: got %q, want %q", got, want)
	}
	if v, err := s.Cell([]byte("r1/b")); v == nil || len(v) != 0 || err != nil {
		t.Errorf("empty cell: got %v, %v; want empty and not nil", v, err)
	}
	if v, err := s.Cell([]byte("r1/a")); v != nil || err != nil {
		t.Errorf("deleted cell: got %v, %v; want nil", v, err)
	}
	items := ""
	if err := s.Items(func(seq uint64, b []byte) bool { items += fmt.Sprintf("%d=%s ", seq, b); return true }); err != nil {
		t.Errorf("items: %v", err)
	}
	if want := "2=items2 "; items != want {
		t.Errorf("items: got %q, want %q", items, want)
	}
	if after := outboxBodies(t, s); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("bodies differ after reopening:\n%s\n%s", before, after)
	}
}

// outboxBodies renders every entry of the outbox.
func outboxBodies(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := s.Outbox(1, 1000, 1<<30)
	if err != nil {
		t.Fatalf("outbox: %v", err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%d %s %s", e.Seq, e.Type, bodyOf(t, e.Finding)))
	}
	return out
}

func cellsOf(t *testing.T, s *Store, prefix string) string {
	t.Helper()
	var got strings.Builder
	err := s.Cells([]byte(prefix), func(k, v []byte) bool { fmt.Fprintf(&got, "%s=%s ", k, v); return true })
	if err != nil {
		t.Fatalf("cells: %v", err)
	}
	return got.String()
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	_, err = Open(dir, Options{})
	if !errors.Is(err, ErrLocked) || !strings.Contains(fmt.Sprint(err), dir) {
		t.Errorf("second open: got %v, want ErrLocked with the directory", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatalf("open after close: %v", err)
	}
	_ = s.Close()
}

func TestForeignDirectories(t *testing.T) {
	f := func(name, want string, fill func(dir string) error) {
		t.Helper()
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "store"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := fill(filepath.Join(dir, "store")); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: open succeeded, want an error with %q", name, want)
			return
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %q, want the directory and %q", name, err, want)
		}
	}
	f("files of another program", "belongs to another program", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600)
	})
	f("newer format", "newer than this program", func(dir string) error { return setVersion(dir, []byte{99}) })
	f("damaged version", "damaged", func(dir string) error { return setVersion(dir, []byte{0x80}) })
	f("other database", "of another program", func(dir string) error { return otherDatabase(dir) })
	f("manifest lost", "damaged", func(dir string) error { return breakFiles(dir, "MANIFEST-*", nil) })
	f("manifest damaged", "damaged", func(dir string) error { return breakFiles(dir, "MANIFEST-*", []byte("garbage garbage garbage")) })
}

// TestPagedItems checks that paged items are set and deleted with a checkpoint, appended outside of one, and dropped.
func TestPagedItems(t *testing.T) {
	s, err := Open("", Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(key, want string) {
		t.Helper()
		if got, err := s.Paged([]byte(key)); err != nil || string(got) != want {
			t.Errorf("paged items of %s: got %q, %v, want %q", key, got, err, want)
		}
	}
	if err := s.Commit(&Checkpoint{Seq: 1, Paged: []KV{{[]byte("a"), []byte("1")}, {[]byte("b"), []byte("2")}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&Checkpoint{Seq: 2, Paged: []KV{{[]byte("b"), nil}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendPaged([]KV{{[]byte("a"), []byte("3")}, {[]byte("c"), []byte("4")}, {[]byte("c"), []byte("5")}}); err != nil {
		t.Fatal(err)
	}
	check("a", "13")
	check("b", "")
	check("c", "45")
	for range 2 {
		if err := s.DropPaged(); err != nil {
			t.Fatal(err)
		}
	}
	check("a", "")
	check("c", "")
	if err := s.AppendPaged([]KV{{[]byte("c"), []byte("6")}}); err != nil {
		t.Fatal(err)
	}
	check("c", "6")
}

// TestRareCell checks that both ways to read a cell give the same, also for owners between others, in tables and in memory.
func TestRareCell(t *testing.T) {
	s := openMemory(t, Options{})
	mustCommit(t, s, &Checkpoint{Seq: 1, Cells: []KV{{[]byte("a"), []byte("1")}, {[]byte("c"), []byte("2")}, {[]byte("e"), []byte{}}}})
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, &Checkpoint{Seq: 2, Cells: []KV{{[]byte("c"), nil}, {[]byte("d"), []byte("3")}}})
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		want, err := s.Cell([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.RareCell([]byte(key)); err != nil || string(got) != string(want) || (got == nil) != (want == nil) {
			t.Errorf("%s: got %q (error: %v), want %q", key, got, err, want)
		}
	}
}
