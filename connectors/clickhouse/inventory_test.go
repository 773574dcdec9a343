package clickhouse

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestInventoryColumns compares the columns of rows with those of the tables.
func TestInventoryColumns(t *testing.T) {
	s := newSink(t, nil)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := func(table string, want []string) {
		t.Helper()
		got := query[[]string](t, s, "SELECT groupArray(name) FROM (SELECT name FROM system.columns WHERE database = '%s' AND table = '%s' ORDER BY position)",
			s.dialect.database, table)
		if !slices.Equal(got, want) {
			slices.Sort(got)
			slices.Sort(want)
			if table != "tools" || !slices.Equal(got, want) {
				t.Errorf("table %s has the columns %q, a row %q", table, got, want)
			}
		}
	}
	f("agents", columnNames(agentColumns))
	f("credentials", columnNames(credentialColumns))
	f("tools", columnNames(toolColumns))
	f("agent_activity_1m", columnNames(activityColumns))
	f("rule_stats_1m", columnNames(statsColumns))
	f("source_quality_1h", columnNames(qualityColumns))
	f("rules", columnNames(ruleColumns))
	f("deliveries", columnNames(attemptColumns))
	f("dead_letters", columnNames(deadColumns))
	f("events", append(columnNames(eventColumns), "archived_at"))
}

func columnNames[T any](columns []inventoryColumn[T]) (out []string) {
	for _, c := range columns {
		out = append(out, c.name)
	}
	return out
}

// growth is the life of an entity in a test: each step is absolute, as checkpoints make rows.
type growth struct {
	tenant string
	steps  []*connectors.RowBlock
}

var inventoryStart = schema.InstantOf(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

// drawGrowth returns blocks of one agent, its credential, its tool and its minutes, which grow with each checkpoint.
func drawGrowth(r *rapid.T, tenant string) *growth {
	g := &growth{tenant: tenant}
	var events int64
	tools, minutes := map[string]int64{}, map[int]int64{}
	for pos := range rapid.IntRange(1, 8).Draw(r, "checkpoints") {
		at, minute := inventoryStart.Add(time.Duration(pos)*20*time.Second), pos/3
		n := int64(rapid.IntRange(1, 5).Draw(r, "events"))
		events += n
		tools[rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "tool")] += n
		minutes[minute] += n
		b := &connectors.RowBlock{Pos: uint64(pos + 1)}
		totals := schema.Totals{Events: events, Success: events, Cost: schema.Cost(events * 1e6)}
		a := &schema.Agent{Tenant: tenant, AgentUID: "bot", AgentName: fmt.Sprint("name ", pos), FirstSeen: inventoryStart, LastSeen: at,
			NewestUse: inventoryStart, Totals: totals, Pos: b.Pos, Part: 3}
		c := &schema.Credential{Tenant: tenant, CredentialUID: "key", FirstSeen: inventoryStart, LastSeen: at, NewestUse: inventoryStart, Totals: totals, Pos: b.Pos}
		for _, name := range slices.Sorted(maps.Keys(tools)) {
			a.Uses[schema.UseTool] = append(a.Uses[schema.UseTool], schema.Use{Name: name, Count: tools[name], FirstSeen: inventoryStart, LastSeen: at})
		}
		c.Uses[schema.UseAgent] = []schema.Use{{Name: "bot", Count: events, FirstSeen: inventoryStart, LastSeen: at}}
		b.Agents, b.Credentials = append(b.Agents, a), append(b.Credentials, c)
		b.Activity = append(b.Activity, &schema.Activity{
			Tenant: tenant, AgentUID: "bot", Minute: inventoryStart.Add(time.Duration(minute) * time.Minute), Class: "tool", Action: "tools/call",
			Totals: schema.Totals{Events: minutes[minute], Cost: schema.Cost(minutes[minute])}, Pos: b.Pos, Part: 3,
		})
		g.steps = append(g.steps, b)
	}
	return g
}

// TestAnyHistoryOfRows writes the blocks of checkpoints in their order, some of them again, as after crashes, with merges
// between. In the end the views show the last step, and each minute as its last row has it.
func TestAnyHistoryOfRows(t *testing.T) {
	s := newSink(t, nil)
	cases := 0
	checks := 12 // each takes a tenth of a second
	rapid.Check(t, func(r *rapid.T) {
		if cases++; cases > checks {
			return
		}
		tenant := fmt.Sprint("rows ", cases)
		g := drawGrowth(r, tenant)
		for i := 0; i < len(g.steps); i++ {
			if err := s.writeInventory(t.Context(), g.steps[i]); err != nil {
				r.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(r, "repeat") == 0 {
				again := rapid.IntRange(0, i).Draw(r, "from")
				for ; again <= i; again++ {
					if err := s.writeInventory(t.Context(), g.steps[again]); err != nil {
						r.Fatal(err)
					}
				}
			}
		}
		if rapid.Bool().Draw(r, "merge") {
			for _, table := range []string{"agents", "credentials", "agent_activity_1m"} {
				run(t, s, "OPTIMIZE TABLE DB.%s FINAL", table)
			}
		}
		last := g.steps[len(g.steps)-1].Agents[0]
		if n := query[uint64](t, s, "SELECT sum(events) FROM DB.v_agents WHERE tenant = '%s'", tenant); n != uint64(last.Events) {
			r.Fatalf("v_agents has %d events, want %d", n, last.Events)
		}
		if name := query[string](t, s, "SELECT any(agent_name) FROM DB.v_agents WHERE tenant = '%s'", tenant); name != last.AgentName {
			r.Fatalf("v_agents has the name %q, want %q", name, last.AgentName)
		}
		tools := query[map[string]uint64](t, s, "SELECT tools FROM DB.v_agents WHERE tenant = '%s'", tenant)
		want := map[string]uint64{}
		for _, u := range last.Uses[schema.UseTool] {
			want[u.Name] = uint64(u.Count)
		}
		if !reflect.DeepEqual(tools, want) {
			r.Fatalf("v_agents has the tools %v, want %v", tools, want)
		}
		if n := query[uint64](t, s, "SELECT sum(events) FROM DB.v_agent_activity_1m WHERE tenant = '%s'", tenant); n != uint64(last.Events) {
			r.Fatalf("v_agent_activity_1m has %d events, want %d", n, last.Events)
		}
		if n := query[uint64](t, s, "SELECT agents['bot'] FROM DB.v_credentials WHERE tenant = '%s'", tenant); n != uint64(last.Events) {
			r.Fatalf("v_credentials has %d events of the agent, want %d", n, last.Events)
		}
	})
}
