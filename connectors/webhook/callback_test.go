package webhook

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// TestCallbackLinks checks the signed addresses in bodies: they fit the schemas, are the same at all attempts, outlive the
// schedule of attempts, and are in no dead letter.
func TestCallbackLinks(t *testing.T) {
	const base = "https://aidr.example.com/callback/"
	for _, format := range []Format{FormatAIDR, FormatSplunkHEC, FormatSlack, FormatPagerDuty, FormatOCSF, FormatCloudEvents} {
		for _, interactive := range []bool{false, true} {
			var last schema.Instant
			change := func(c *Config) {
				settings[format](c)
				c.Interactive = interactive
				c.Callback = func(action CallbackAction, id schema.ID, until schema.Instant) string {
					last = until
					return fmt.Sprintf("%s%s/%s/%d", base, action, id, until)
				}
			}
			for _, typ := range Types() {
				if format == FormatOCSF && typ == connectors.EndpointDisabled {
					continue
				}
				e := SampleEntry(typ)
				body := bodyOf(t, &e, change)
				var v any
				if err := json.Unmarshal(body, &v); err != nil {
					t.Fatal(err)
				}
				if err := compileSchema(t, format).Validate(v); err != nil {
					t.Errorf("%s, %s: %v\n%s", format, typ, err, body)
				}
				text := string(body)
				if content, err := json.Marshal(e.Content()); err != nil || strings.Contains(string(content), base) {
					t.Errorf("%s: a dead letter would hold an address: %s", typ, content)
				}
				shows := format == FormatAIDR || format == FormatSplunkHEC || format == FormatSlack && !interactive
				for action, want := range map[string]bool{
					"acknowledge": e.Finding != nil && typ != connectors.FindingWithdrawn, "close": e.Finding != nil && typ != connectors.FindingWithdrawn,
					"approve": typ == connectors.ApprovalAsked && e.Response != nil, "release": false,
				} {
					if got := strings.Contains(text, base+action+"/"+e.ID().String()); got != (want && shows) {
						t.Errorf("%s, %s, interactive %v: the address of %s is in the body: %v", format, typ, interactive, action, got)
					}
				}
				if strings.Contains(text, "aidr.ack") != (format == FormatSlack && interactive && e.Finding != nil && typ != connectors.FindingWithdrawn) {
					t.Errorf("%s, %s, interactive %v: %s", format, typ, interactive, text)
				}
			}
			schedule := schema.Instant(0)
			for _, pause := range DefaultRetries() {
				schedule += schema.Instant(pause)
			}
			if last < sampleTime+schedule {
				t.Errorf("an address is valid until %s, and attempts go on until %s", last, sampleTime+schedule)
			}
		}
	}
	proposal := SampleEntry(connectors.AgentContained)
	proposal.Type = connectors.ApprovalAsked
	body := bodyOf(t, &proposal, func(c *Config) {
		c.Callback = func(action CallbackAction, _ schema.ID, _ schema.Instant) string { return base + string(action) }
	})
	if !strings.Contains(string(body), base+"approve") {
		t.Errorf("a proposal has no address to approve it: %s", body)
	}
}
