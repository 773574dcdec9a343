package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/engine/cases"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// findingOrigin is the place that a finding is read from, by flags.
type findingOrigin struct {
	id, state, findings string
	clickhouse          bool
	sql                 sqlFlags // its config also names the state directory
}

func (o *findingOrigin) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.id, "from-finding", "", "id of a finding: print a test that is made of its evidence")
	f.StringVar(&o.state, "state", "", "state directory with the finding (default: that of --config, or ./state)")
	f.StringVar(&o.findings, "findings", "", "file with the finding, as aidr replay --findings writes it")
	f.BoolVar(&o.clickhouse, "clickhouse", false, "read the finding from the ClickHouse of --config")
	f.StringVar(&o.sql.dsn, "dsn", "", "ClickHouse with the finding, as clickhouse://user:password@host:9000/database")
	f.StringVar(&o.sql.config, "config", "", "configuration that names the state directory and the ClickHouse")
	c.MarkFlagsMutuallyExclusive("state", "findings", "clickhouse", "dsn")
}

// finding reads the finding.
func (o *findingOrigin) finding(cmd *cobra.Command) (*schema.Finding, error) {
	switch {
	case o.findings != "":
		return findingInFile(o.findings, o.id)
	case o.clickhouse || o.sql.dsn != "":
		return o.stored(cmd)
	}
	w := stateFlags{config: o.sql.config, state: o.state}
	dir, err := w.dir(cmd)
	if err != nil {
		return nil, err
	}
	c, err := api.Dial(dir, api.Runtime{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	f := &schema.Finding{}
	if err := c.Do(cmd.Context(), http.MethodGet, "/v1/findings/"+url.PathEscape(o.id), nil, f); err != nil {
		return nil, err
	}
	return f, nil
}

// findingInFile returns the last revision of a finding in a file of JSON lines.
func findingInFile(name, id string) (found *schema.Finding, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxFindingLine)
	for n := 1; lines.Scan(); n++ {
		if !bytes.Contains(lines.Bytes(), []byte(id)) {
			continue
		}
		f := &schema.Finding{}
		if err := json.Unmarshal(lines.Bytes(), f); err != nil {
			return nil, fmt.Errorf("%s:%d: not a finding: %w: give a file of aidr replay --findings", name, n, err)
		}
		if f.ID.String() == id {
			found = f
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if found == nil {
		return nil, fmt.Errorf("%s has no finding %s: give the whole id", name, id)
	}
	return found, nil
}

// maxFindingLine is the size in bytes of the longest finding in a file: its 8 events have at most 8 KiB each, before escapes.
const maxFindingLine = 4 << 20

// findingSQL selects a finding as JSON, one row for each event of its evidence.
const findingSQL = `SELECT f.rule_id, f.rule_version, f.tenant, f.agent_uid, toJSONString(f.key), f.count, f.baseline,
    toUnixTimestamp64Nano(toDateTime64(e.time, 9)), e.dataset, e.class, e.action, e.tool, e.tool_server, e.outcome, e.credential_uid, e.source_ip, e.workflow,
    e.step, toJSONString(e.fields)
FROM v_findings AS f LEFT JOIN v_finding_events AS e ON e.finding_id = f.id
WHERE toString(f.id) = {id:String} ORDER BY e.number`

// stored reads the finding from ClickHouse.
func (o *findingOrigin) stored(cmd *cobra.Command) (*schema.Finding, error) {
	s, err := o.sql.sink(cmd)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	found, err := s.Ask(cmd.Context(), findingSQL, map[string]string{"id": o.id})
	if err != nil {
		return nil, err
	}
	f := &schema.Finding{}
	for i, row := range found.Rows {
		var ns int64
		if _, err := fmt.Sscan(row[1]+" "+row[5]+" "+row[7], &f.RuleVersion, &f.Count, &ns); err != nil {
			return nil, fmt.Errorf("read finding %s of ClickHouse: %w", o.id, err)
		}
		if i == 0 {
			f.RuleID, f.Tenant, f.AgentUID = row[0], row[2], row[3]
			if row[6] != "" {
				f.Baseline = json.RawMessage(row[6])
			}
		}
		ev := schema.Evidence{
			Time: schema.InstantOf(time.Unix(0, ns)), Dataset: row[8], Class: row[9], Action: row[10], Tool: row[11], ToolServer: row[12], Outcome: row[13],
			CredentialUID: row[14], SourceIP: row[15], Workflow: row[16], Step: row[17],
		}
		var texts map[string]string
		if err := errors.Join(json.Unmarshal([]byte(row[4]), &f.Key), json.Unmarshal([]byte(row[18]), &texts)); err != nil {
			return nil, fmt.Errorf("read finding %s of ClickHouse: %w", o.id, err)
		}
		ev.Fields = fieldsOfTexts(texts)
		f.Evidence = append(f.Evidence, ev)
	}
	if len(found.Rows) == 0 {
		return nil, fmt.Errorf("ClickHouse has no finding %s", o.id)
	}
	return f, f.ID.UnmarshalText([]byte(o.id))
}

// fieldsOfTexts returns the fields of evidence that ClickHouse holds: texts are themselves, other values are JSON. Only the type of a
// field determines which of both it is.
func fieldsOfTexts(texts map[string]string) map[string]any {
	out := map[string]any{}
	for name, text := range texts {
		field, ok := schema.FieldByName(name)
		isText := ok && (field.Info().Type == schema.TypeString || field.Info().Type == schema.TypeTimestamp)
		var v any
		if isText || json.Unmarshal([]byte(text), &v) != nil {
			v = text
		}
		out[name] = v
	}
	return out
}

// testFromFinding prints a test that is made of a finding, or adds it to the file of the rule.
func testFromFinding(cmd *cobra.Command, o *findingOrigin, set *pipeline.Set, update bool) error {
	var id schema.ID
	if err := id.UnmarshalText([]byte(o.id)); err != nil {
		return usage("--from-finding %q: write the id of a finding, as aidr findings ls prints it", o.id)
	}
	f, err := o.finding(cmd)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(set.Rules, func(r *rules.Rule) bool { return r.ID == f.RuleID })
	if at < 0 {
		return fmt.Errorf("finding %s is of rule %q, which is not among these rules: name its folder", o.id, f.RuleID)
	}
	r := set.Rules[at]
	if f.RuleVersion != r.Version {
		fmt.Fprintf(cmd.ErrOrStderr(), "aidr: the finding is of version %d of the rule, and this is version %d\n", f.RuleVersion, r.Version)
	}
	made, err := cases.FromFinding(cmd.Context(), set, r, f)
	if err != nil {
		return err
	}
	if !update {
		cmd.Printf("  - %s\n", made.Text(4))
		return nil
	}
	if strings.HasPrefix(r.File, pipeline.Shipped+"/") {
		return usage("--update cannot change the shipped rules: copy %s to a folder of your own, and name it", r.File)
	}
	src, err := os.ReadFile(r.File)
	if err != nil {
		return err
	}
	text, err := made.Add(r.File, src)
	if err != nil {
		return err
	}
	if err := output.Edit(r.File, text); err != nil {
		return err
	}
	cmd.Printf("added the test %q to %s\n", made.Name, r.File)
	return nil
}
