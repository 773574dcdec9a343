package inventory_test

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/inventory/reference"
	"github.com/aidr-engine/aidr/schema"
)

// eventOf returns an event with an observation's values, and its end.
func eventOf(o *inventory.Observation) *schema.Event {
	e := &schema.Event{Tenant: o.Tenant}
	e.SetTime(schema.Time, int64(o.Time))
	for kind, name := range o.Uses {
		if kind != int(schema.UseCloudAction) {
			e.SetText(inventory.FieldOf(schema.UseKind(kind)), name)
		}
	}
	e.SetText(schema.EventClass, o.Class)
	e.SetText(schema.EventAction, o.Action)
	switch {
	case o.Totals.Success > 0:
		e.SetText(schema.EventOutcome, "success")
	case o.Totals.Failure > 0:
		e.SetText(schema.EventOutcome, "failure")
	}
	if o.Totals.Blocked > 0 {
		e.SetText(schema.Disposition, "blocked")
	}
	e.SetInt(schema.GenAIUsageInputTokens, o.Totals.InputTokens)
	e.Set(schema.GenAIUsageCost, schema.DoubleValue(o.Totals.Cost.USD()))
	return e
}

// drawObservations returns random observations. Few agents with many names, so that the limits are reached.
func drawObservations(r *rapid.T) []inventory.Observation {
	names := rapid.SampledFrom([]int{3, 30, 2 * inventory.MaxUses}).Draw(r, "names")
	span := rapid.SampledFrom([]int{50, 100, 400}).Draw(r, "span")
	n := rapid.IntRange(1, 40).Draw(r, "events")
	if names > inventory.MaxUses {
		n = rapid.SampledFrom([]int{400, 1500}).Draw(r, "many events")
	}
	agents, tenants := []string{"", "bot-1", "bot-2"}, []string{"", "acme"}
	if names > inventory.MaxUses {
		agents, tenants = agents[1:2], tenants[:1]
	}
	rnd := rapid.Uint64().Draw(r, "seed")
	random := func(n int) int { // a generator of its own, because thousands of draws are slow
		rnd = rnd*6364136223846793005 + 1442695040888963407
		return int(rnd>>33) % n
	}
	out := make([]inventory.Observation, n)
	for i := range out {
		o := &out[i]
		o.Time = schema.Instant(random(span)) * 1e9
		o.Tenant = tenants[random(len(tenants))]
		o.Class, o.Action = "tool", fmt.Sprint("action ", random(names))
		o.Totals = schema.Totals{Events: 1, InputTokens: int64(random(9)), Cost: schema.Cost(random(1000))}
		o.Totals.Success = int64(random(2))
		o.Totals.Failure = 1 - o.Totals.Success
		o.Totals.Blocked = int64(random(2))
		o.Uses[schema.UseAgent] = agents[random(len(agents))]
		o.Uses[schema.UseTool] = fmt.Sprint("tool ", random(names))
		o.Uses[schema.UseNetwork] = fmt.Sprintf("10.0.%d.%d", random(3), random(3))
		if random(2) == 0 {
			o.Uses[schema.UseCredential] = fmt.Sprint("key ", random(3))
		}
	}
	return out
}

// system is a small engine: batches, shards, checkpoints with what the store would hold, and kills.
type system struct {
	t       *rapid.T
	shards  []*inventory.Shard
	base    map[string][]byte // as stored
	journal []journaled
}

type journaled struct {
	deltas []string
	newest int64
}

func (s *system) start(shards int) {
	s.shards = nil
	for range shards {
		s.shards = append(s.shards, inventory.NewShard(func(key []byte) []byte { return bytes.Clone(s.base[string(key)]) }))
	}
	for _, j := range s.journal {
		for _, d := range j.deltas {
			for sh, part := range split(s.t, d, shards) {
				if err := s.shards[sh].Restore(part); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
}

// split distributes deltas to the shards that own them now.
func split(t *rapid.T, deltas string, shards int) []string {
	out, _, err := inventory.Split(deltas, shards)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *system) checkpoint(watermark schema.Instant) {
	j := journaled{newest: inventory.NoMinute}
	oldest := int64(1 << 62)
	for _, sh := range s.shards {
		p := sh.Checkpoint(watermark, inventory.NoRows)
		for _, kv := range p.Base {
			s.base[string(kv.Key)] = kv.Value
		}
		j.deltas, j.newest = append(j.deltas, p.Journal...), max(j.newest, p.Newest)
		oldest = min(oldest, p.Oldest)
	}
	s.journal = append(s.journal, j)
	s.journal = slices.DeleteFunc(s.journal, func(j journaled) bool { return j.newest < oldest })
}

// entities returns the inventory as a reader sees it.
func (s *system) entities() map[inventory.Key]*inventory.Entity {
	out := map[inventory.Key]*inventory.Entity{}
	keys := map[string]bool{}
	for k := range s.base {
		keys[k] = true
	}
	for _, sh := range s.shards {
		for k := range inventory.Pending(sh) {
			keys[k] = true
		}
	}
	for key := range keys {
		k, _ := inventory.ReadKey([]byte(key))
		e, ok := s.shards[k.Hash()%uint64(len(s.shards))].Entity(k)
		if !ok {
			s.t.Fatalf("entity %q is not there", k)
		}
		out[k] = e
	}
	for _, kind := range inventory.Kinds() {
		overlay := inventory.NewOverlay(kind)
		for _, sh := range s.shards {
			sh.AddTo(overlay)
		}
		err := overlay.Entities(s.scan, func(e *inventory.Entity) bool {
			if !reflect.DeepEqual(e, out[e.Key]) {
				s.t.Fatalf("entity %v of the list: got %+v, want %+v", e.Key, e, out[e.Key])
			}
			delete(keys, string(e.Key.Append(nil)))
			return true
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if len(keys) > 0 {
		s.t.Fatalf("the lists lack %q", slices.Collect(maps.Keys(keys)))
	}
	return out
}

// scan is that of a store.
func (s *system) scan(from, to []byte, yield func(key, value []byte) bool) error {
	for _, k := range slices.Sorted(maps.Keys(s.base)) {
		if k >= string(from) && (to == nil || k < string(to)) && !yield([]byte(k), bytes.Clone(s.base[k])) {
			return nil
		}
	}
	return nil
}

// TestInventoryDependsOnEventsAlone runs random observations in random batches through random shards, with checkpoints at any
// watermark that the delivered events allow, kills after which the last checkpoint counts, and other numbers of shards.
func TestInventoryDependsOnEventsAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		all := drawObservations(r)
		want := reference.Inventory(all)
		s := &system{t: r, base: map[string][]byte{}}
		s.start(rapid.IntRange(1, 3).Draw(r, "shards"))
		slices.SortFunc(all, func(a, b inventory.Observation) int { return int(a.Time - b.Time) })
		const disorder = 100 * schema.Instant(1e9)
		b := inventory.NewBatch(nil)
		durable := 0 // position of the last checkpoint
		kills := rapid.IntRange(0, 3).Draw(r, "kills")
		order := delivery(r, all, disorder)
		for at := 0; at < len(order); {
			b.Reset()
			n := min(len(order)-at, rapid.IntRange(1, 1+len(order)/3).Draw(r, "batch"))
			for _, o := range order[at : at+n] {
				b.Add(eventOf(&all[o]), all[o].Time)
			}
			var late []bool
			if rapid.Bool().Draw(r, "with a late event") {
				extra := all[order[at]]
				extra.Uses[schema.UseTool] = "late"
				b.Add(eventOf(&extra), extra.Time-7e9)
				b.Seal(len(s.shards), nil)
				late = make([]bool, b.Len())
				late[n] = true
			}
			for sh, d := range b.Seal(len(s.shards), late) {
				if err := s.shards[sh].Add(d); err != nil {
					r.Fatal(err)
				}
			}
			at += n
			if rapid.Bool().Draw(r, "checkpoint") {
				s.checkpoint(watermark(all, order[at:], disorder))
				durable = at
			}
			if kills > 0 && rapid.IntRange(0, 3).Draw(r, "kill") == 0 {
				kills--
				s.start(rapid.IntRange(1, 3).Draw(r, "shards after the kill"))
				at = durable
			}
		}
		got := s.entities()
		if !reflect.DeepEqual(got, want) {
			for k := range maps.Keys(want) {
				if !reflect.DeepEqual(got[k], want[k]) {
					r.Fatalf("entity %v:\ngot  %+v\nwant %+v", k, got[k], want[k])
				}
			}
			r.Fatalf("got %d entities, want %d", len(got), len(want))
		}
	})
}

// delivery returns an order of the observations, which are sorted by time, in which none comes later than disorder after a
// later one.
func delivery(r *rapid.T, all []inventory.Observation, disorder schema.Instant) []int {
	rnd := rapid.Uint64().Draw(r, "delivery")
	arrival := make([]schema.Instant, len(all))
	order := make([]int, len(all))
	for i := range all {
		rnd = rnd*6364136223846793005 + 1442695040888963407
		arrival[i], order[i] = all[i].Time+schema.Instant(rnd>>33)%disorder, i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(arrival[a] - arrival[b]) })
	return order
}

// watermark returns a watermark that no observation that is still to come is below.
func watermark(all []inventory.Observation, rest []int, disorder schema.Instant) schema.Instant {
	low := schema.Instant(1 << 40)
	for _, i := range rest {
		low = min(low, all[i].Time)
	}
	return low
}
