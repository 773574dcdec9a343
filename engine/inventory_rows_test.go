package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/deliver"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// rowTable is a sink that keeps of each row the one with the highest pos, as ClickHouse does. It fails now and then.
type rowTable struct {
	r        *rand.Rand
	entities map[string]string // JSON by key
	minutes  map[string]*schema.Activity
	tallied  tallyTable
	written  int
}

func (*rowTable) Name() string                                    { return "table" }
func (*rowTable) Write(context.Context, []connectors.Entry) error { return nil }
func (*rowTable) Health() connectors.Health                       { return connectors.Health{} }
func (*rowTable) Close() error                                    { return nil }
func (t *rowTable) Profile() connectors.Profile {
	return connectors.Profile{
		Dead: schema.DeadRow, Rows: t.rows, Wants: func(connectors.Entry) bool { return false },
	}
}

func (t *rowTable) rows(_ context.Context, b *connectors.RowBlock) error {
	for _, a := range b.Agents {
		t.put(inventory.Line{Agent: a}, "agent "+a.AgentUID)
	}
	for _, c := range b.Credentials {
		t.put(inventory.Line{Credential: c}, "credential "+c.CredentialUID)
	}
	for _, x := range b.Tools {
		t.put(inventory.Line{Tool: x}, string(x.Type)+" "+x.Name)
	}
	for _, a := range b.Activity {
		key := fmt.Sprint(a.AgentUID, a.Class, a.Action, a.Minute)
		if old := t.minutes[key]; old == nil || old.Pos <= a.Pos {
			t.minutes[key] = a
		}
	}
	t.tallied.rows(b)
	t.written++
	if t.r.IntN(4) == 0 {
		return errors.New("the answer was lost")
	}
	return nil
}

// put replaces a row. The rows of one entity come in the order of their pos, also when they come again.
func (t *rowTable) put(l inventory.Line, key string) {
	switch {
	case l.Agent != nil:
		l.Agent.Pos = 0
	case l.Credential != nil:
		l.Credential.Pos = 0
	default:
		l.Tool.Pos = 0
	}
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	t.entities[key] = string(b)
}

// TestRowsReachTheSink runs random streams with kills, and delivers the rows of checkpoints in every life to a sink that loses
// answers. In the end the sink has the inventory, and the activity of the agents adds up to it.
func TestRowsReachTheSink(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 15
	}
	seed := uint64(time.Now().Unix()/86400) * 1_000_037
	written := 0
	for i := range n {
		w, err := runRowsCase(t, seed+uint64(i))
		if err != nil {
			t.Fatalf("seed %d: %v", seed+uint64(i), err)
		}
		written += w
	}
	if written < n {
		t.Errorf("the sink got %d blocks in %d cases: the test shows little", written, n)
	}
}

func runRowsCase(t *testing.T, seed uint64) (written int, err error) {
	r := rand.New(rand.NewPCG(seed, 5))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(randomRule(r, 0)), 0o600); err != nil {
		return 0, err
	}
	set, _ := rules.Load(rules.Options{}, dir)
	events := inventoryEvents(r, 1+r.IntN(100))
	run := randomRun(r, set, events)
	run.inventory, run.rows = true, true
	run.archive = []schema.Archive{schema.ArchiveOff, schema.ArchiveMatched, schema.ArchiveAll}[r.IntN(3)]
	table := &rowTable{r: r, entities: map[string]string{}, minutes: map[string]*schema.Activity{}, tallied: newTallyTable()}
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		return 0, err
	}
	drain := func(st *store.Store) error {
		d, err := deliver.New(deliver.Options{Store: st, Sinks: []connectors.Sink{table}})
		if err != nil {
			return err
		}
		d.Start()
		return d.Drain(context.Background()) // a failed write ends it: the rest follows in the next life
	}
	if err := drain(st); err != nil {
		return 0, err
	}
	rnd := rand.New(rand.NewPCG(run.seed, 2))
	for lives := 0; ; lives++ {
		next, err := run.live(st, rnd, lives < 10)
		if !errors.Is(err, errKilled) {
			if err != nil {
				return 0, err
			}
			break
		}
		table.tallied.after = true
		if err := drain(st); err != nil { // of rows that the killed process delivered before it was killed
			return 0, err
		}
		table.tallied.after = false
		st.Close()
		st = next
	}
	for tries := 0; st.RowsWaiting("table") > 0; tries++ {
		if tries == 1000 {
			return 0, errors.New("rows still wait")
		}
		if err := drain(st); err != nil {
			return 0, err
		}
	}
	if err := table.tallied.compare(t, set, events, st, run.archive); err != nil {
		return 0, err
	}
	return table.written, table.compare(observed(t, events))
}

// compare compares the table with an inventory.
func (t *rowTable) compare(want map[inventory.Key]*inventory.Entity) error {
	events := map[string]int64{}
	for _, a := range t.minutes {
		events[a.AgentUID] += a.Events
	}
	for k, e := range want {
		line, err := json.Marshal(inventory.LineOf(e))
		if err != nil {
			return err
		}
		if got := t.entities[k.Kind.String()+" "+k.Name]; got != string(line) {
			return fmt.Errorf("the table has %s, want %s", got, line)
		}
		if k.Kind == inventory.Agent && events[k.Name] != e.Events {
			return fmt.Errorf("the activity of agent %q adds up to %d events, want %d", k.Name, events[k.Name], e.Events)
		}
	}
	if len(t.entities) != len(want) {
		return fmt.Errorf("the table has %d entities, want %d", len(t.entities), len(want))
	}
	return nil
}
