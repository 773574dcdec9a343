package engine_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

// testdata/olddirs holds a state directory that `aidr run` of each later version of the state wrote, from the same records and rules as
// testdata/olddir, which is of version 1: see there. When the version is raised, add a directory that the last program of the version
// before wrote, and never regenerate one to fix a test.
const oldDirs = "testdata/olddirs"

// oldVersions are the versions of the directories in testdata/olddirs.
var oldVersions = []int{2, 3, 4}

// openVersion opens a copy of the directory of a version, and returns the version of its checkpoint and its only partition.
func openVersion(t *testing.T, version int) (s *store.Store, has int, p connectors.Partition) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "store"), os.DirFS(filepath.Join(oldDirs, "v"+strconv.Itoa(version), "store"))); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir, store.Options{Now: func() time.Time { return oldTime }, Logf: t.Logf})
	if err != nil {
		t.Fatalf("open the directory of version %d: %v", version, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	_, raw, _, err := s.Last()
	var state struct {
		Version    int `json:"version"`
		Partitions []struct {
			Source string `json:"source"`
			Topic  string `json:"topic"`
			Number int32  `json:"partition"`
		} `json:"partitions"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &state)
	}
	if err != nil || len(state.Partitions) != 1 {
		t.Fatalf("the checkpoint of version %d: %v\n%s", version, err, raw)
	}
	x := state.Partitions[0]
	return s, state.Version, connectors.Partition{Source: x.Source, Topic: x.Topic, Number: x.Number}
}

// upgraded starts the engine of this program on a store.
func upgraded(t *testing.T, s *store.Store, source string) (*engine.Engine, error) {
	t.Helper()
	set, problems := rules.Load(rules.Options{}, filepath.Join(oldDir, "rules"))
	if set == nil {
		t.Fatal(problems)
	}
	return engine.New(engine.Options{
		Set: set, Store: s, Shards: 2, Inventory: true,
		Inputs: []engine.Input{{
			Source: &memory.Source{Named: source}, Decode: decode.Options{Format: "aidr"},
			Datasets: []string{"x.test"}, Delays: map[string]time.Duration{"x.test": 5 * time.Minute},
		}},
		Clock: clock.Clock{ // the last checkpoint of Stop is the only one
			Now:  func() time.Time { return oldTime },
			Tick: func(time.Duration) (<-chan time.Time, func()) { return nil, func() {} },
		},
	})
}

// TestUpgrade continues from the directory of each version with exactly the findings that the version itself would have.
func TestUpgrade(t *testing.T) {
	for _, version := range oldVersions {
		t.Run(strconv.Itoa(version), func(t *testing.T) {
			s, has, p := openVersion(t, version)
			if has != version {
				t.Fatalf("the directory has version %d", has)
			}
			var got lines
			err := got.addFindings(s)
			got.compare(t, "findings before", err,
				"olddir.spread b open revision 1 count 4, 4 events",
				"olddir.burst b open revision 1 count 4, 4 events",
				"olddir.removed b withdrawn revision 2 count 4, 4 events",
				"olddir.burst a open revision 1 count 3, 3 events",
				"olddir.removed a withdrawn revision 2 count 3, 3 events")
			e, err := upgraded(t, s, p.Source)
			if err != nil {
				t.Fatal(err)
			}
			from, known := e.Assigned(p)
			if !known {
				t.Fatal("the partition is not known")
			}
			// The third call of agent a within a minute, and the fifth call of agent b, in its fourth session.
			batch := &connectors.Batch{Partition: p, HighWater: -1}
			for _, text := range []string{
				`{"time":"2026-01-31T11:00:12Z","event.dataset":"x.test","event.class":"api","event.action":"call","ai_agent.uid":"a","session.id":"r2"}`,
				`{"time":"2026-01-31T11:00:04Z","event.dataset":"x.test","event.class":"api","event.action":"call","ai_agent.uid":"b","session.id":"r3"}`,
			} {
				start := len(batch.Raw)
				batch.Raw += text
				batch.Records = append(batch.Records, connectors.Record{Start: start, End: len(batch.Raw), Offset: from + int64(start)})
			}
			batch.Next = from + int64(len(batch.Raw))
			if err := e.Read(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			if err := e.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			err = got.addFindings(s)
			got.compare(t, "findings after two more records", err,
				"olddir.burst a open revision 1 count 3, 3 events",
				"olddir.spread b open revision 2 count 5, 5 events",
				"olddir.burst b open revision 2 count 5, 5 events",
				"olddir.removed b withdrawn revision 2 count 4, 4 events",
				"olddir.burst a settled revision 2 count 3, 3 events", // two hours old: the watermark has passed its group
				"olddir.removed a withdrawn revision 2 count 3, 3 events")
		})
	}
}

// TestDowngrade checks that a program refuses a directory of a later version, and leaves it as it is for that version.
func TestDowngrade(t *testing.T) {
	s, _, p := openVersion(t, oldVersions[len(oldVersions)-1])
	seq, raw, _, err := s.Last()
	if err != nil {
		t.Fatal(err)
	}
	later := strings.Replace(string(raw), `"version":4`, `"version":5`, 1)
	if later == string(raw) {
		t.Fatalf("the state has no version 4: raise the version here\n%s", raw)
	}
	if err := s.Commit(&store.Checkpoint{Seq: seq + 1, State: []byte(later)}); err != nil {
		t.Fatal(err)
	}
	if _, err := upgraded(t, s, p.Source); err == nil || !strings.Contains(err.Error(), "a newer aidr wrote it") {
		t.Errorf("got %v", err)
	}
	if n, kept, _, err := s.Last(); err != nil || n != seq+1 || string(kept) != later {
		t.Errorf("the refused directory has changed: checkpoint %d, %v", n, err)
	}
}
