package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/inventory/reference"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// TestInventoryDependsOnRecordsAlone runs random streams through random engines, as TestSettledFindingsDependOnRecordsAlone
// does: the inventory is that of the reference. So is what the store has of it after the engine has stopped, and what a new
// engine makes of that.
func TestInventoryDependsOnRecordsAlone(t *testing.T) {
	n := 150
	if testing.Short() {
		n = 40
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().Unix()/86400) * 1_000_033
	}
	for i := range n {
		if err := runInventoryCase(t, seed+uint64(i)); err != nil {
			t.Fatalf("go test ./engine -run TestInventoryDependsOnRecordsAlone -seed %d\n%v", seed+uint64(i), err)
		}
	}
}

func runInventoryCase(t *testing.T, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 3))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(randomRule(r, 0)), 0o600); err != nil {
		return err
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		return fmt.Errorf("the rules do not load: %v", problems)
	}
	events := inventoryEvents(r, 1+r.IntN(150))
	for range 2 {
		run := randomRun(r, set, events)
		run.inventory = true
		want := observed(t, events)
		st, err := store.Open("", store.Options{Memory: true})
		if err != nil {
			return err
		}
		run.finished = func(e *Engine) error { return sameInventory("live", e.Inventory(), want) }
		if st, err = run.lives(st, rand.New(rand.NewPCG(run.seed, 2))); err != nil {
			return fmt.Errorf("%v: %w", run, err)
		}
		if err := sameInventory("stored", StoredInventory(st), want); err != nil {
			return fmt.Errorf("%v: %w", run, err)
		}
		again, err := New(Options{
			Set: set, Store: st, Shards: 1 + r.IntN(5), Inventory: true, Clock: stillClock(),
			Inputs: []Input{{Source: &memory.Source{Named: "s"}, Decode: decode.Options{Format: "aidr"}, Datasets: []string{"litellm"}}},
		})
		if err != nil {
			return err
		}
		err = sameInventory("restored", again.Inventory(), want)
		if err := errors.Join(err, again.Stop(context.Background()), st.Close()); err != nil {
			return fmt.Errorf("%v: %w", run, err)
		}
	}
	return nil
}

// inventoryEvents makes random events with more of the fields that the inventory reads.
func inventoryEvents(r *rand.Rand, n int) []timed {
	out := randomEvents(r, n)
	for i := range out {
		e := map[string]any{}
		if err := json.Unmarshal([]byte(out[i].line), &e); err != nil {
			panic(err)
		}
		e["credential.uid"] = pick(r, "k1", "k2", "k3", "")
		e["gen_ai.request.model"] = pick(r, "m1", "m2", "")
		e["source.ip"] = fmt.Sprintf("10.0.%d.%d", r.IntN(3), r.IntN(9))
		e["event.outcome"] = pick(r, "success", "failure", "unknown")
		e["gen_ai.usage.input_tokens"] = r.IntN(100) - 5
		e["gen_ai.usage.cost"] = float64(r.IntN(1000)) / 7
		e["event.duration"] = r.IntN(3) * int(time.Second)
		line, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		out[i].line = string(line)
		out[i].at = out[i].at.Add(time.Duration(e["event.duration"].(int)))
	}
	return out
}

// observed returns the reference's inventory of the events.
func observed(t *testing.T, events []timed) map[inventory.Key]*inventory.Entity {
	d, err := decode.New(decode.Options{Format: "aidr", Wanted: schema.Wanted{Fields: inventory.Fields()}})
	if err != nil {
		t.Fatal(err)
	}
	var all []inventory.Observation
	h := decode.Handler{
		Dead:       func(x decode.Dead) { t.Errorf("dead letter: %s %s", x.Reason, x.Detail) },
		FieldError: func(string, string) {},
		Event: func(e *schema.Event) {
			var o inventory.Observation
			inventory.Observe(e, &o)
			all = append(all, o)
		},
	}
	for _, e := range events {
		d.Decode(e.line, decode.Meta{}, &h)
	}
	return reference.Inventory(all)
}

// ranksOf returns the keys of entities.
func ranksOf(all []*inventory.Entity) (keys []inventory.Key) {
	for _, e := range all {
		keys = append(keys, e.Key)
	}
	return keys
}

// topOf returns the keys of the n entities of a kind with the highest rank.
func topOf(all map[inventory.Key]*inventory.Entity, kind inventory.Kind, n int) []inventory.Key {
	var list []*inventory.Entity
	for _, e := range all {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *inventory.Entity) int {
		return cmp.Or(-cmp.Compare(a.Rank(), b.Rank()), bytes.Compare(a.Key.Append(nil), b.Key.Append(nil)))
	})
	return ranksOf(list[:min(n, len(list))])
}

func sameInventory(what string, src *Inventory, want map[inventory.Key]*inventory.Entity) error {
	n := 0
	for _, kind := range inventory.Kinds() {
		var failed error
		err := src.Entities(kind, func(e *inventory.Entity) bool {
			n++
			if !reflect.DeepEqual(e, want[e.Key]) {
				failed = fmt.Errorf("%s inventory: got %+v, want %+v", what, e, want[e.Key])
			}
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	if n != len(want) {
		return fmt.Errorf("%s inventory: got %d entities, want %d", what, n, len(want))
	}
	for k, w := range want {
		if top, err := src.Top(k.Kind, 2); err != nil || fmt.Sprint(ranksOf(top)) != fmt.Sprint(topOf(want, k.Kind, 2)) {
			return fmt.Errorf("%s inventory: top of %v: got %v, %v, want %v", what, k.Kind, ranksOf(top), err, topOf(want, k.Kind, 2))
		}
		if e, ok, err := src.Entity(k); err != nil || !ok || !reflect.DeepEqual(e, w) {
			return fmt.Errorf("%s inventory: entity %v: got %+v, %t, %v, want %+v", what, k, e, ok, err, w)
		}
	}
	return nil
}
