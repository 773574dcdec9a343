package decode

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// auditFolder is one folder of samples: their dataset and, as documented by the producer, the top-level keys of the
// format.
type auditFolder struct {
	name, dataset string
	keys          [][]string
}

var auditFolders = []auditFolder{
	{"azure_activity", "azure.activity", [][]string{{"category", "resourceId", "operationName"}}},
	{"azure_audit", "azure.", [][]string{{"category", "resourceId", "operationName"}}},
	{"gcp_audit", "gcp.audit", [][]string{{"protoPayload", "logName"}}},
	{"k8s_audit", "kubernetes.audit", [][]string{{"apiVersion"}}},
	{"github_audit", "github.audit", [][]string{{"action", "_document_id"}, {"action", "actor_is_agent"}, {"action", "operation_type"}}},
	{"okta_system_log", "okta.system", [][]string{{"eventType", "published", "actor", "outcome"}}},
	{"m365_audit", "m365.audit", [][]string{{"CreationTime", "Operation", "RecordType"}}},
	{"openai_audit", "openai.audit", [][]string{{"effective_at", "type", "actor"}}},
	{"anthropic_activity", "anthropic.activity", [][]string{{"created_at", "organization_id", "type", "actor"}}},
	{"aws_cloudtrail", "aws.cloudtrail", [][]string{{"eventVersion", "eventSource", "userIdentity"}}},
}

// carries reports whether a record, parsed by another parser, holds one of the key sets.
func (f *auditFolder) carries(record map[string]json.RawMessage) bool {
	for _, keys := range f.keys {
		all := true
		for _, key := range keys {
			_, ok := record[key]
			all = all && ok
		}
		if all {
			return true
		}
	}
	return false
}

// coverage is a line of the table of understood records.
type coverage struct {
	records, carrying, recognised, events, withAgent, withTime int
}

// Every sample record that carries its format's keys is recognised as that format. The rule tests of Panther are logs
// after its parser, which renames keys, so many carry none; the table has the numbers.
func TestAuditSamplesAreRecognised(t *testing.T) {
	dir := samplesDir(t)
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-20s %7s %8s %10s %12s %8s %10s %9s", "folder", "records", "carrying", "recognised", "unrecognised",
		"events/r", "with agent", "with time")
	for _, folder := range auditFolders {
		file := filepath.Join(dir, folder.name, "panther_rule_tests.jsonl")
		c := cover(t, d, &folder, linesOf(t, file))
		fmt.Fprintf(&table, "\n%-20s %7d %8d %10d %12d %8.2f %9.0f%% %8.0f%%", folder.name, c.records, c.carrying, c.recognised,
			c.records-c.recognised,
			float64(c.events)/float64(c.records), share(c.withAgent, c.events), share(c.withTime, c.events))
		if c.records == 0 || c.carrying > 0 && c.events == 0 {
			t.Errorf("%s: %d records, %d events", folder.name, c.records, c.events)
		}
	}
	t.Log("\n" + table.String())
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// cover decodes the records of a folder.
func cover(t *testing.T, d *Decoder, folder *auditFolder, lines []string) (c coverage) {
	t.Helper()
	for _, line := range lines {
		var wrapped struct{ Log json.RawMessage }
		if err := json.Unmarshal([]byte(line), &wrapped); err != nil {
			t.Fatal(err)
		}
		var record map[string]json.RawMessage
		if err := json.Unmarshal(wrapped.Log, &record); err != nil {
			t.Fatal(err)
		}
		c.records++
		res := d.all(t, string(wrapped.Log), Meta{Time: 1})
		c.events += len(res.events)
		own := len(res.events) > 0
		for _, e := range res.events {
			own = own && strings.HasPrefix(e["event.dataset"].(string), folder.dataset)
			if e["ai_agent.uid"] != nil {
				c.withAgent++
			}
			if e["time"] != "1970-01-01T00:00:00.000000001Z" {
				c.withTime++
			}
		}
		if own {
			c.recognised++
		}
		if folder.carries(record) {
			c.carrying++
			if !own {
				t.Errorf("%s: a record that carries its format's keys gave %v, dead letters %v: %.200s", folder.name, res.lines,
					res.dead, wrapped.Log)
			}
		}
	}
	return c
}

// auditFormats are the formats of clouds' and services' audit logs.
var auditFormats = []string{
	"azure_diagnostics", "gcp_audit", "kubernetes_audit", "github_audit", "okta_system", "m365_audit", "openai_audit",
	"anthropic_activity", "ocsf", "ecs",
}

// Each reader copes with any record. The format is fixed by its name, so most of its keys may be missing or damaged.
// Every event has the mandatory fields and reads back as itself.
func FuzzAuditFormats(f *testing.F) {
	for i, name := range auditFormats {
		_, cases := readCases(f, "../../testdata/cases/decode/"+name+".txtar")
		for _, c := range cases {
			f.Add(uint8(i), c.record, int64(1))
		}
	}
	var decoders []*Decoder
	for _, name := range append([]string{"aidr"}, auditFormats...) {
		d, err := New(Options{Format: name, Wanted: everything()})
		if err != nil {
			f.Fatal(err)
		}
		decoders = append(decoders, d)
	}
	f.Fuzz(func(t *testing.T, which uint8, text string, broker int64) {
		d := decoders[1+int(which)%len(auditFormats)]
		d.Decode(text, Meta{Time: schema.Instant(broker)}, &Handler{
			Event: func(e *schema.Event) {
				if !e.Has(schema.Time) || e.Text(schema.EventDataset) == "" || e.Text(schema.EventClass) == "" {
					t.Fatalf("event without time, dataset or class: %s", formats.AppendEvent(nil, e, false))
				}
				if e.Has(schema.AIAgentUID) != e.Has(schema.AIAgentUIDSource) {
					t.Fatalf("an agent without its rung, or a rung without an agent: %s", formats.AppendEvent(nil, e, false))
				}
				roundTrip(t, decoders[0], e)
			},
			Dead: func(dead Dead) {
				if dead.Reason == "" || dead.Detail == "" {
					t.Fatalf("dead letter without a reason: %v", dead)
				}
			},
			FieldError: func(dataset, name string) {
				if dataset == "" || name == "" {
					t.Fatalf("field error without a name: %q %q", dataset, name)
				}
			},
		})
	})
}
