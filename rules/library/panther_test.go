package library_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// pantherTest is a test of a rule of Panther.
type pantherTest struct {
	Rule   string `json:"rule_id"`
	Alerts bool   `json:"expected_alert"`
	Log    record `json:"log"`
	found  map[string]bool
}

// agreement matches a row of PANTHER.md: the rule of Panther, the shipped rule, and how many of how many tests agree.
var agreement = regexp.MustCompile(`(?m)^\| ([A-Z][\w.]+) \| ([a-z.-]+) \| (\d+) \| (\d+) \| (.*?) ?\|$`)

// pantherApart is the time between two records, so that they share no group and no window.
const pantherApart = 30 * time.Hour

// TestPantherAgreement holds PANTHER.md to the numbers that the engine gives.
func TestPantherAgreement(t *testing.T) {
	dir := samples(t)
	byRule := map[string][]*pantherTest{}
	for _, source := range []string{"aws_cloudtrail", "openai_audit", "anthropic_activity"} {
		file, err := os.Open(filepath.Join(dir, source, "panther_rule_tests.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var all []*pantherTest
		var lines []string
		var times []schema.Instant
		in := bufio.NewScanner(file)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			one := &pantherTest{found: map[string]bool{}}
			if err := json.Unmarshal(in.Bytes(), one); err != nil {
				t.Fatal(err)
			}
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(len(all)) * pantherApart)
			id := fmt.Sprint("panther-", len(all))
			switch source {
			case "aws_cloudtrail":
				one.Log["eventTime"], one.Log["eventID"] = at.Format(time.RFC3339), id
			case "openai_audit":
				one.Log["effective_at"], one.Log["id"] = at.Unix(), id
			default:
				one.Log["created_at"], one.Log["id"] = at.Format(time.RFC3339), id
			}
			line, err := json.Marshal(one.Log)
			if err != nil {
				t.Fatal(err)
			}
			all, lines, times = append(all, one), append(lines, string(line)), append(times, schema.InstantOf(at))
			byRule[one.Rule] = append(byRule[one.Rule], one)
		}
		for _, f := range replay(t, lines, times) {
			for i := range f.Evidence {
				all[f.Evidence[i].Offset].found[f.RuleID] = true
			}
		}
	}
	page, err := os.ReadFile("PANTHER.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := agreement.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 20 {
		t.Errorf("%d rows, want 20", len(rows))
	}
	for _, row := range rows {
		agree := 0
		for _, one := range byRule[row[1]] {
			if one.found[row[2]] == one.Alerts {
				agree++
			}
		}
		if got := fmt.Sprint(len(byRule[row[1]]), agree); got != row[3]+" "+row[4] {
			t.Errorf("%s and %s: %s tests and agreements, the page has %s %s", row[1], row[2], got, row[3], row[4])
		}
		if (row[3] != row[4]) != (row[5] != "") {
			t.Errorf("%s: a reason is given exactly if tests disagree, got %q", row[1], row[5])
		}
	}
}
