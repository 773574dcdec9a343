package engine_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Replay records through the engine. The format aidr is that of `aidr decode`; it counts because the input names it.
func ExampleReplay() {
	set, problems := rules.LoadFS(rules.Options{}, fstest.MapFS{"calls.yaml": {Data: []byte(`
id: example.calls
title: Agent makes three calls a minute
severity: low
when: event.class == "tool"
threshold: {count: 3, within: 1m, by: [ai_agent.uid]}
`)}}, "rules")
	if set == nil {
		fmt.Println(problems)
		return
	}
	var records []string
	for second := range 5 {
		records = append(records, fmt.Sprintf(
			`{"time":"2026-01-01T00:00:%02dZ","event.dataset":"example","event.class":"tool","event.action":"search","ai_agent.uid":"a1"}`, second))
	}
	source := &memory.Source{Named: "logs", Partitions: []memory.Partition{{
		Partition: connectors.Partition{Source: "logs", Topic: "example"}, Records: records,
	}}}
	findings, err := engine.Replay(context.Background(), engine.Options{
		Set: set, Inputs: []engine.Input{{Source: source, Decode: decode.Options{Format: "aidr"}}},
	}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range findings {
		fmt.Println(f.RuleID, f.Status, f.Count)
	}
	// Output: example.calls open 5
}
