package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// entryTypes are the types of entries in these tests.
func entryTypes() []string { return []string{"finding.opened", "finding.updated", "finding.settled"} }

// Severities are ordered: a comparison follows their rank, never their spelling.
func TestFilterOrdersSeverities(t *testing.T) {
	env := newTestEnv(t)
	for text, holds := range map[string]string{
		`severity >= "high"`:                            "high critical",
		`"high" <= severity`:                            "high critical",
		`severity > "high"`:                             "critical",
		`"high" > severity`:                             "info low medium",
		`severity < "medium"`:                           "info low",
		`severity <= "info"`:                            "info",
		`severity == "critical"`:                        "critical",
		`severity != "info"`:                            "low medium high critical",
		`severity in ["low", "critical"]`:               "low critical",
		`!(severity in ["low", "critical"])`:            "info medium high",
		`severity >= "low" && severity < "critical"`:    "low medium high",
		`late ? severity >= "low" : severity >= "high"`: "high critical",
		`tags.exists(t, severity >= "high")`:            "high critical",
		`(severity >= "high") == true`:                  "high critical",
		`[severity >= "high"].exists(x, x)`:             "high critical",
	} {
		filter, issues := env.CompileFinding(text)
		if issues != nil {
			t.Errorf("%s: %+v", text, issues)
			continue
		}
		var got []string
		for _, s := range schema.Severities() {
			if ok, err := filter("", &schema.Finding{Severity: s, Tags: []string{"x"}}); err != nil {
				t.Errorf("%s of %s: %v", text, s, err)
			} else if ok {
				got = append(got, string(s))
			}
		}
		if strings.Join(got, " ") != holds {
			t.Errorf("%s: holds for %q, want %q", text, got, holds)
		}
		if ok, err := filter("", &schema.Finding{Severity: "apocalyptic", Tags: []string{"x"}}); err != nil || ok && strings.Contains(text, `>= "`) {
			t.Errorf("%s of an unknown severity: got %t, %v", text, ok, err)
		}
	}
}

// A value that a name cannot have is an issue at its position: otherwise the condition would never hold, or always.
func TestFilterValues(t *testing.T) {
	env := newTestEnv(t)
	const severities = "there are info, low, medium, high, critical"
	for text, want := range map[string]string{
		`severity == "hihg"`:                        `1:13: there is no severity hihg: did you mean high?`,
		`severity == "High"`:                        `1:13: there is no severity High: did you mean high?`,
		`severity >= "urgent"`:                      `1:13: there is no severity urgent: ` + severities,
		`"urgent" < severity`:                       `1:1: there is no severity urgent: ` + severities,
		`count > 1 && severity in ["high", "crit"]`: `1:35: there is no severity crit: ` + severities,
		`severity >= ""`:                            `1:13: there is no severity "": ` + severities,
		`severity >= 3`:                             `1:10: severity can only be compared with a severity`,
		`severity == title`:                         `1:10: severity can only be compared with a severity`,
		`severity == null`:                          `1:10: severity can only be compared with a severity`,
		`severity in lists.paste_sites`:             `1:10: severity can only be compared with a severity`,
		`severity in ["high", title]`:               `1:10: severity can only be compared with a severity`,
		`severity + 1 == 2`:                         `1:1: severity can only be compared with a severity`,
		`severity.startsWith("h")`:                  `1:1: severity can only be compared with a severity`,
		`severity.matches("high|critical")`:         `1:1: severity can only be compared with a severity`,
		`size(severity) > 4`:                        `1:6: severity can only be compared with a severity`,
		`has(severity)`:                             `1:5: severity can only be compared with a severity`,
		`severity.x == "high"`:                      `1:9: severity can only be compared with a severity`,
		`[severity].exists(s, s >= "high")`:         `1:2: severity can only be compared with a severity`,
		`(late ? severity : "low") >= "high"`:       `1:9: severity can only be compared with a severity`,
		`"high" in [severity]`:                      `1:12: severity can only be compared with a severity`,
		`status == "opne"`:                          `1:11: there is no status opne: did you mean open?`,
		`status in ["open", "closed"]`:              `1:20: there is no status closed: there are open, settled, withdrawn`,
		`status > "open"`:                           `1:8: the values of status have no order: compare it with ==, != or in`,
		`kind != "treshold"`:                        `1:9: there is no kind treshold: did you mean threshold?`,
		`type == "finding.open"`:                    `1:9: there is no type finding.open: did you mean finding.opened?`,
		`"opened" == type`:                          `1:1: there is no type opened: did you mean finding.opened?`,
		`severty == "high"`:                         `1:1: there is no value of a finding severty: did you mean severity?`,
	} {
		_, issues := env.CompileFinding(text, entryTypes()...)
		var got []string
		for _, i := range issues {
			got = append(got, fmt.Sprintf("%d:%d: %s", i.Line, i.Col, i.Text))
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// A filter can use the type of the entry, the agent and the tenant of the finding, and its response.
func TestFilterSees(t *testing.T) {
	env := newTestEnv(t)
	f := &schema.Finding{
		Severity: "high", Status: schema.StatusOpen, Kind: "none", Tenant: "acme", AgentUID: "arn:x", AgentName: "research-bot",
		Response: []schema.Response{{Action: "notify", Target: "soc"}, {Action: "contain", Target: "session", State: "deny", Mode: "enforce"}},
	}
	for text, want := range map[string]string{
		`type == "finding.opened"`:                                                 "true",
		`type != "finding.opened"`:                                                 "false",
		`type in ["finding.settled", "finding.opened"]`:                            "true",
		`type.startsWith("finding.")`:                                              "true",
		`tenant == "acme" && agent_name == "research-bot" && agent_uid == "arn:x"`: "true",
		`agent_name.glob("research-*") && status == "open" && kind == "none"`:      "true",
		`response.exists(r, r.action == "contain" && r.mode == "enforce")`:         "true",
		`response.exists(r, r.action == "notify" && r.target == "soc")`:            "true",
		`response.exists(r, r.action == "contain" && r.state == "observe")`:        "false",
	} {
		filter, issues := env.CompileFinding(text, entryTypes()...)
		if issues != nil {
			t.Errorf("%s: %+v", text, issues)
			continue
		}
		if got := outcome(filter("finding.opened", f)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	_, issues := env.CompileFinding(`type == "finding.opened"`)
	if len(issues) != 1 || !strings.Contains(issues[0].Text, "type") {
		t.Errorf("without entries, type is not a name: got %+v", issues)
	}
}
