package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// fillStore commits n checkpoints with one finding each, a second apart, and closes the store.
func fillStore(t *testing.T, dir string, opts Options, n int) {
	t.Helper()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	opts.Now = func() time.Time { return now }
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		now = now.Add(time.Second)
		f := &schema.Finding{ID: schema.ID{15: byte(i + 1)}, RuleID: "r", Title: strings.Repeat("x", 200)}
		mustCommit(t, s, &Checkpoint{Seq: uint64(i + 1), State: []byte("state"), Outbox: []connectors.Entry{{Finding: f}}})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// findings returns the number of findings of a store, or the error of opening it.
func findings(dir string, opts Options) (n int, loss *Loss, err error) {
	s, err := Open(dir, opts)
	if err != nil {
		return 0, nil, err
	}
	defer s.Close()
	err = s.Findings(FindingFilter{}, func(*schema.Finding) bool { n++; return true })
	return n, s.Loss(), err
}

// lastLog returns the path of the last write-ahead log in a folder.
func lastLog(t *testing.T, folder string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(folder, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: got %v, %v", logs, err)
	}
	return logs[len(logs)-1]
}

// TestFlippedBitInTheLog flips a bit at many places of the last write-ahead log. Either everything is there, or Open fails
// and names the last checkpoint, or the loss is reported with its number and its times.
func TestFlippedBitInTheLog(t *testing.T) {
	const n = 8
	original := t.TempDir()
	fillStore(t, original, Options{}, n)
	log, err := os.ReadFile(lastLog(t, filepath.Join(original, "store")))
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	for at := 0; at < len(log); at += 1 + len(log)/40 {
		dir := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
			t.Fatal(err)
		}
		bad := append([]byte(nil), log...)
		bad[at] ^= 1 << (at % 8)
		if err := os.WriteFile(lastLog(t, filepath.Join(dir, "store")), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, loss, err := findings(dir, Options{})
		switch {
		case err != nil:
			outcomes["refused"]++
			if !strings.Contains(err.Error(), "(its last checkpoint, number 8, was made at 2026-01-01T12:00:08Z)") {
				t.Errorf("bit %d of byte %d: got %v, which does not name the last checkpoint", at%8, at, err)
			}
		case loss != nil:
			outcomes["reported"]++
			from := schema.Instant(0)
			if got > 0 {
				from = schema.InstantOf(time.Date(2026, 1, 1, 12, 0, got, 0, time.UTC))
			}
			want := Loss{Checkpoints: uint64(n - got), From: from, Until: schema.InstantOf(time.Date(2026, 1, 1, 12, 0, n, 0, time.UTC))}
			if *loss != want {
				t.Errorf("bit %d of byte %d: %d findings are left: got %+v, want %+v", at%8, at, got, *loss, want)
			}
			if _, again, err := findings(dir, Options{}); again == nil || *again != want || err != nil {
				t.Errorf("bit %d of byte %d: opened again: got %+v, %v, want the same loss", at%8, at, again, err)
			}
		case got != n:
			t.Errorf("bit %d of byte %d: %d of %d findings and no word", at%8, at, got, n)
		default:
			outcomes["complete"]++
		}
	}
	t.Logf("%d bytes of log: %v", len(log), outcomes)
	if outcomes["reported"] == 0 {
		t.Errorf("got %v: no flip at the end of the log", outcomes)
	}
}

// TestLossInMemory checks, on a file system in memory, that a loss lasts until a checkpoint is committed, that damage of the
// receipt is harmless, and that a power cut is not taken for a loss.
func TestLossInMemory(t *testing.T) {
	mem := vfs.NewCrashableMem()
	fillStore(t, "", Options{FS: mem}, 5)
	var said []string
	logf := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }

	cut := mem.CrashClone(vfs.CrashCloneCfg{})
	if n, loss, err := findings("", Options{FS: cut, Logf: logf}); n != 5 || loss != nil || err != nil || len(said) > 0 {
		t.Errorf("after a power cut: got %d, %v, %v, %q", n, loss, err, said)
	}

	names, err := mem.List("store")
	if err != nil {
		t.Fatal(err)
	}
	log := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			log = mem.PathJoin("store", name)
		}
	}
	f, err := mem.OpenReadWrite(log, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(writeAt(f, []byte{0xff}, 20), f.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open("", Options{FS: mem, Logf: logf})
	if err != nil {
		t.Fatal(err)
	}
	if loss := s.Loss(); loss == nil || loss.Checkpoints != 5 || loss.From != 0 {
		t.Errorf("got %+v, want the loss of all 5 checkpoints", loss)
	}
	if len(said) != 1 || !strings.Contains(said[0], "5 checkpoints are lost, made after the creation of the store and until 2026-01-01T12:00:05Z") {
		t.Errorf("logged %q", said)
	}
	mustCommit(t, s, &Checkpoint{Seq: 1})
	if s.Loss() == nil {
		t.Error("the process that found the loss no longer reports it")
	}
	s.Close()
	if _, loss, err := findings("", Options{FS: mem}); loss != nil || err != nil {
		t.Errorf("after a checkpoint: got %v, %v", loss, err)
	}

	receipt, err := mem.OpenReadWrite(mem.PathJoin("store", receiptName), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(writeAt(receipt, []byte{0xff}, 0), receipt.Close()); err != nil {
		t.Fatal(err)
	}
	if _, loss, err := findings("", Options{FS: mem}); loss != nil || err != nil {
		t.Errorf("with a damaged receipt: got %v, %v", loss, err)
	}
}

func writeAt(f vfs.File, b []byte, off int64) error {
	_, err := f.WriteAt(b, off)
	return err
}

// TestReceiptWithoutDatabase checks that a store whose files are gone is not taken for a new one.
func TestReceiptWithoutDatabase(t *testing.T) {
	dir := t.TempDir()
	fillStore(t, dir, Options{}, 1)
	err := filepath.WalkDir(filepath.Join(dir, "store"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != receiptName {
			err = os.Remove(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := findings(dir, Options{}); err == nil || !strings.Contains(err.Error(), receiptName) {
		t.Errorf("got %v", err)
	}
}
