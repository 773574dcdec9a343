package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// healthy are the samples of a process without faults, one each minute for three hours.
var healthy = map[string]string{
	`aidr_build_info{instance="a"}`:                                                 "1x180",
	`aidr_component_health{instance="a",component="sources"}`:                       "0x180",
	`aidr_source_records_total{instance="a",source="logs",topic="t",partition="0"}`: "0+600x180",
	`aidr_source_lag_records{instance="a",source="logs",topic="t",partition="0"}`:   "10x180",
	`aidr_events_total{instance="a",dataset="litellm"}`:                             "0+600x180",
	`aidr_late_events_total{instance="a",dataset="litellm",why="late"}`:             "0x180",
	`aidr_dead_letters_total{instance="a",kind="record",reason="invalid_json"}`:     "0x180",
	`aidr_dead_letters_given_up_total{instance="a",share="records"}`:                "0x180",
	`aidr_outbox_oldest_seconds{instance="a",sink="clickhouse"}`:                    "1x180",
	`aidr_checkpoint_last_timestamp_seconds{instance="a"}`:                          "0+60x180",
	`aidr_state_lost_checkpoints{instance="a"}`:                                     "0x180",
	`aidr_state_disk_free_bytes{instance="a"}`:                                      "100000000000x180",
	`aidr_rules_last_reload_success{instance="a"}`:                                  "1x180",
	`aidr_config_last_reload_success{instance="a"}`:                                 "1x180",
	`aidr_rule_events_total{instance="a",rule="r",why="error"}`:                     "0x180",
	`aidr_containments{instance="a",status="active",stage="verified"}`:              "1x180",
	`aidr_containments{instance="a",status="active",stage="failed"}`:                "0x180",
	`aidr_decision_requests_refused_total{instance="a"}`:                            "0x180",
	`aidr_memory_bytes{instance="a",part="cells"}`:                                  "100x180",
	`aidr_memory_budget_bytes{instance="a"}`:                                        "1000x180",
}

// faults are changes of the healthy samples, with the alerts that fire because of them, consequences included. A series
// with the value "" is missing.
var faults = []struct {
	name   string
	series map[string]string
	alerts []string
}{
	{"none", nil, nil},
	{"the process is gone", gone(), []string{"AidrAbsent"}},
	{"a component is down", map[string]string{`aidr_component_health{instance="a",component="sources"}`: "0x100 2x79"}, []string{"AidrComponentDown"}},
	{"a component is degraded", map[string]string{`aidr_component_health{instance="a",component="sources"}`: "0x100 1x79"}, []string{"AidrComponentDegraded"}},
	{"a source falls silent", map[string]string{
		`aidr_source_records_total{instance="a",source="logs",topic="t",partition="0"}`: "0+600x100 60000x79",
		`aidr_events_total{instance="a",dataset="litellm"}`:                             "0+600x100 60000x79",
	}, []string{"AidrBlindSource"}},
	{"aidr falls back", map[string]string{`aidr_source_lag_records{instance="a",source="logs",topic="t",partition="0"}`: "0+6000x180"}, []string{"AidrLag"}},
	{"a backlog shrinks", map[string]string{`aidr_source_lag_records{instance="a",source="logs",topic="t",partition="0"}`: "2000000-6000x180"}, nil},
	{"events are late", map[string]string{`aidr_late_events_total{instance="a",dataset="litellm",why="late"}`: "0+20x180"}, []string{"AidrLateEvents"}},
	{"records cannot be decoded", map[string]string{`aidr_dead_letters_total{instance="a",kind="record",reason="invalid_json"}`: "0x100 0+5x79"}, []string{"AidrDeadLetters"}},
	{"dead letters have no room", map[string]string{
		`aidr_dead_letters_total{instance="a",kind="record",reason="invalid_json"}`: "0x100 0+50x79",
		`aidr_dead_letters_given_up_total{instance="a",share="records"}`:            "0x130 0+50x49",
	}, []string{"AidrDeadLetters", "AidrDeadLettersGivenUp"}},
	{"a sink is away", map[string]string{`aidr_outbox_oldest_seconds{instance="a",sink="clickhouse"}`: "0x100 0+60x79"}, []string{"AidrOutbox"}},
	{"checkpoints fail", map[string]string{`aidr_checkpoint_last_timestamp_seconds{instance="a"}`: "0+60x100 6000x79"}, []string{"AidrCheckpointAge"}},
	{"checkpoints rest because nothing is read", map[string]string{
		`aidr_checkpoint_last_timestamp_seconds{instance="a"}`:                          "0+60x100 6000x79",
		`aidr_source_records_total{instance="a",source="logs",topic="t",partition="0"}`: "0+600x100 60000x79",
		`aidr_events_total{instance="a",dataset="litellm"}`:                             "0+600x100 60000x79",
	}, []string{"AidrBlindSource"}},
	{"the state directory was damaged", map[string]string{`aidr_state_lost_checkpoints{instance="a"}`: "3x180"}, []string{"AidrCheckpointsLost"}},
	{"the disk is full", map[string]string{`aidr_state_disk_free_bytes{instance="a"}`: "1000000000x180"}, []string{"AidrDiskFull"}},
	{"the disk fills up", map[string]string{`aidr_state_disk_free_bytes{instance="a"}`: "100000000000-200000000x180"}, []string{"AidrDiskFull"}},
	{"a rule does not load", map[string]string{`aidr_rules_last_reload_success{instance="a"}`: "1x100 0x79"}, []string{"AidrReloadFailed"}},
	{"the configuration does not load", map[string]string{`aidr_config_last_reload_success{instance="a"}`: "1x100 0x79"}, []string{"AidrReloadFailed"}},
	{"a condition fails", map[string]string{`aidr_rule_events_total{instance="a",rule="r",why="error"}`: "0+60x180"}, []string{"AidrRuleErrors"}},
	{"a contained agent goes on", map[string]string{`aidr_containments{instance="a",status="active",stage="failed"}`: "0x100 1x79"}, []string{"AidrContainmentFails"}},
	{"a gateway has the wrong token", map[string]string{`aidr_decision_requests_refused_total{instance="a"}`: "0+60x180"}, []string{"AidrDecisionsRefused"}},
	{"memory is short", map[string]string{`aidr_memory_bytes{instance="a",part="cells"}`: "990x180"}, []string{"AidrMemory"}},
}

// gone removes every series.
func gone() map[string]string {
	none := maps.Clone(healthy)
	for name := range none {
		none[name] = ""
	}
	return none
}

// TestAlerts fires each alert by the fault that it is for. No other alert may fire with it, except consequences.
func TestAlerts(t *testing.T) {
	promtool := tool(t, "promtool", "install prometheus")
	file, err := filepath.Abs(filepath.Join(Folder, "prometheus", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	output(t, promtool, "check", "rules", file)
	fired := map[string]bool{}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: 1m\ntests:\n", file)
	for _, f := range faults {
		fmt.Fprintf(&b, "  - name: %q\n    interval: 1m\n    input_series:\n", f.name)
		for _, name := range slices.Sorted(maps.Keys(healthy)) {
			values, changed := f.series[name]
			if !changed {
				values = healthy[name]
			}
			if values != "" {
				fmt.Fprintf(&b, "      - {series: '%s', values: '%s'}\n", name, values)
			}
		}
		b.WriteString("    promql_expr_test:\n      - expr: count by (alertname) (ALERTS{alertstate=\"firing\"}) > 0\n        eval_time: 175m\n        exp_samples:\n")
		for _, alert := range f.alerts {
			fired[alert] = true
			fmt.Fprintf(&b, "          - {labels: '{alertname=%q}', value: 1}\n", alert)
		}
	}
	tests := filepath.Join(t.TempDir(), "alerts_test.yaml")
	if err := os.WriteFile(tests, []byte(strings.ReplaceAll(b.String(), "exp_samples:\n  -", "exp_samples: []\n  -")), 0o644); err != nil {
		t.Fatal(err)
	}
	output(t, promtool, "test", "rules", tests)
	for _, alert := range alertNames(t) {
		if !fired[alert] {
			t.Errorf("%s: no fault fires it", alert)
		}
	}
}

var alertName = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)

// alertNames returns the names of all alerts.
func alertNames(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Folder, "prometheus", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range alertName.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	return names
}

// TestRunbooks checks that each alert has a runbook, and each runbook an alert.
func TestRunbooks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(Folder, "runbooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (Aidr\w+)$`).FindAllStringSubmatch(string(text), -1) {
		sections = append(sections, m[1])
	}
	if names := alertNames(t); !slices.Equal(sections, names) {
		t.Errorf("runbooks.md has sections for %v\nwant one for each alert, in their order: %v", sections, names)
	}
}
