package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// delivered are the bodies that receivers have seen, by id and revision, over all lives of a state directory.
type delivered map[string]string

// watch records every entry that the bench commits.
func (d delivered) watch(t *testing.T, b *bench) {
	t.Helper()
	committed := b.e.checkpoints.committed
	b.e.checkpoints.committed = func(entries []connectors.Entry) {
		for _, e := range entries {
			f := *e.Finding
			f.DetectedAt = nil // the wall clock
			body, err := json.Marshal(&f)
			if err != nil {
				t.Error(err)
			}
			key := fmt.Sprint(f.ID, " ", f.Revision)
			if former, ok := d[key]; ok && former != string(body) {
				t.Errorf("revision %d of finding %s has two bodies:\n%s\n%s", f.Revision, f.ID, former, body)
			}
			d[key] = string(body)
		}
		committed(entries)
	}
}

// open opens a store on disk.
func openDir(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// feed hands in the events from a position on, with a checkpoint after each number of events. copyAt makes a copy of the store
// after that event and returns its folder.
func feed(t *testing.T, b *bench, st *store.Store, from, each, copyAt int) (dir string) {
	t.Helper()
	for i := from; i < 240; i++ {
		action := "y"
		if i%3 == 0 {
			action = "x"
		}
		b.offset[0] = int64(i)
		b.read(0, false, event{"litellm", 20 * i, 20 * i, action})
		if i%each == 0 {
			b.checkpoint()
		}
		if i == copyAt {
			b.checkpoint()
			var err error
			if dir, err = st.Copy(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.checkpoint()
	return dir
}

// A state directory that is restored from a backup ends with the findings of one that never failed, and no receiver sees one
// id and revision with two bodies, although the restored engine makes its checkpoints at other records, and one backup is
// restored twice.
func TestRestoredBackup(t *testing.T) {
	rules := map[string]string{
		"plain": "when: event.action == \"x\"\ngroup: {for: 4m}\n",
		"count": "when: event.action == \"x\"\nthreshold: {count: 4, within: 6m, by: [ai_agent.uid]}\ngroup: {for: 15m}\n",
	}
	seen := delivered{}
	st := openDir(t, t.TempDir())
	b := newBench(t, st, 1, rules)
	seen.watch(t, b)
	saved := feed(t, b, st, 0, 5, 120)
	b.stop()
	want := settledOf(b.latest)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(backup, os.DirFS(saved)); err != nil { // before Close, after which another Open removes the copy
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if len(want) < 4 {
		t.Fatalf("the events give only %d findings: %v", len(want), want)
	}
	for life, each := range []int{7, 11} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.CopyFS(dir, os.DirFS(backup)); err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 12, 1, 0, life, 0, 0, time.UTC)
		incarnation, err := store.Renew(dir, now)
		if err != nil {
			t.Fatal(err)
		}
		st := openDir(t, dir)
		if st.Incarnation() != incarnation || incarnation == 0 {
			t.Fatalf("incarnation %d of the store, want %d", st.Incarnation(), incarnation)
		}
		restored := newBench(t, st, 1, rules)
		seen.watch(t, restored)
		position, ok := restored.e.Assigned(restored.partition(0))
		if !ok || position != 121 {
			t.Fatalf("the restored engine continues at %v (%v), want 121", position, ok)
		}
		feed(t, restored, st, 121, each, -1)
		restored.stop()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if got := settledOf(restored.latest); !subset(got, want) || len(got) == 0 {
			t.Errorf("findings after restore %d:\n%v\nwant those of the run without it:\n%v", life, got, want)
		}
		for _, f := range restored.latest {
			if f.Revision>>schema.RevisionShift != incarnation {
				t.Errorf("revision %d of %s lacks incarnation %d", f.Revision, f.ID, incarnation)
			}
		}
	}
}

// settledOf returns the settled findings without their revisions and wall clock times.
func settledOf(latest map[schema.ID]*schema.Finding) map[schema.ID]string {
	out := map[schema.ID]string{}
	for id, f := range latest {
		if f.Status != schema.StatusSettled {
			continue
		}
		g := *f
		g.Revision, g.DetectedAt = 0, nil
		body, _ := json.Marshal(&g) // a finding can be encoded
		out[id] = string(body)
	}
	return out
}

func subset(a, b map[schema.ID]string) bool {
	for id, body := range a {
		if b[id] != body {
			return false
		}
	}
	return true
}
