package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/agents"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/schema"
)

// storedUses are the kinds of values that learn and diff read from the views of ClickHouse.
var storedUses = map[string][]schema.UseKind{
	"v_agents": {
		schema.UseDataset, schema.UseCredential, schema.UseCredentialType, schema.UseOnBehalfOf, schema.UseTool, schema.UseServer,
		schema.UseModel, schema.UseDestination, schema.UseRoute, schema.UseCloudAction, schema.UseNetwork, schema.UseWorkflow,
	},
	"v_credentials": {schema.UseAgent},
}

// fromClickHouse reads the inventory from the ClickHouse of the configuration. It keeps no last time of a value: that of its
// agent takes its place.
func (o *observedFlags) fromClickHouse(cmd *cobra.Command, out *agents.Observed) error {
	if o.from.config == "" {
		return usage("--clickhouse needs the configuration that names the ClickHouse: give it with --config")
	}
	cfg, err := loadConfig(cmd, o.from.config)
	if err != nil {
		return err
	}
	if cfg.Sinks.ClickHouse == nil {
		return errors.New("the configuration has no sinks.clickhouse: add it, or leave --clickhouse out")
	}
	sink, err := clickhouse.New(pipeline.ClickHouseConfig(cfg.Sinks.ClickHouse))
	if err != nil {
		return err
	}
	defer sink.Close()
	for _, view := range []struct {
		name, key, more string
		add             func(e *storedEntity)
	}{
		{"v_agents", "agent_uid", "agent_name, agent_uid_source", func(e *storedEntity) {
			out.AddAgent(&schema.Agent{
				AgentUID: e.key, AgentName: e.name, AgentSource: e.source, FirstSeen: e.first, LastSeen: e.last,
				Totals: schema.Totals{Events: e.events, Failure: e.failure}, Uses: e.uses, Omitted: e.omitted,
			})
		}},
		{"v_credentials", "credential_uid", "'', ''", func(e *storedEntity) {
			out.AddCredential(&schema.Credential{CredentialUID: e.key, FirstSeen: e.first, LastSeen: e.last, Uses: e.uses})
		}},
	} {
		found, err := sink.Ask(cmd.Context(), storedQuery(view.name, view.key, view.more), nil)
		if err != nil {
			return err
		}
		for _, row := range found.Rows {
			e, err := readStored(view.name, row)
			if err != nil {
				return fmt.Errorf("read %s: %w", view.name, err)
			}
			view.add(e)
		}
	}
	return nil
}

// storedQuery returns the query for the entities of a view: one row for each tenant, with the columns that readStored reads.
func storedQuery(view, key, more string) string {
	var uses strings.Builder
	for _, kind := range storedUses[view] {
		uses.WriteString(", toJSONString(" + kind.String() + ")")
	}
	return "SELECT " + key + ", " + more + ", toUnixTimestamp64Nano(first_seen), toUnixTimestamp64Nano(last_seen), events, failure, toJSONString(omitted), " +
		"toJSONString(mapApply((name, at) -> (name, toUnixTimestamp(at)), first_uses))" + uses.String() +
		" FROM " + view + " ORDER BY tenant, " + key + " SETTINGS output_format_json_quote_64bit_integers = 0"
}

// storedEntity is a row of a view.
type storedEntity struct {
	key, name, source string
	first, last       schema.Instant
	events, failure   int64
	uses              schema.Uses
	omitted           schema.Omitted
}

// storedColumns is the number of columns before those of storedUses.
const storedColumns = 9

func readStored(view string, row []string) (e *storedEntity, err error) {
	kinds := storedUses[view]
	if len(row) != storedColumns+len(kinds) {
		return nil, fmt.Errorf("it has %d columns, want %d", len(row), storedColumns+len(kinds))
	}
	var numbers [4]int64
	for i := range numbers {
		if numbers[i], err = strconv.ParseInt(row[3+i], 10, 64); err != nil {
			return nil, err
		}
	}
	e = &storedEntity{
		key: row[0], name: row[1], source: row[2], first: schema.Instant(numbers[0]), last: schema.Instant(numbers[1]),
		events: numbers[2], failure: numbers[3],
	}
	firsts := map[string]int64{}
	if err := errors.Join(json.Unmarshal([]byte(row[7]), &e.omitted), json.Unmarshal([]byte(row[8]), &firsts)); err != nil {
		return nil, err
	}
	for i, kind := range kinds {
		counts := map[string]int64{}
		if err := json.Unmarshal([]byte(row[storedColumns+i]), &counts); err != nil {
			return nil, err
		}
		for _, name := range sortedKeys(counts) {
			u := schema.Use{Name: name, Count: counts[name], FirstSeen: e.first, LastSeen: e.last}
			if at, ok := firsts[kind.String()+"/"+name]; ok {
				u.FirstSeen = max(e.first, schema.Instant(at*1e9))
			}
			e.uses[kind] = append(e.uses[kind], u)
		}
	}
	return e, nil
}
