package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/contain"
)

func TestResponse(t *testing.T) {
	c, problems := person("sources: [{file: {paths: [x]}}]\nresponse: {automation: monitor, max_contained: 3, max_share: 0.1, cooldown: 1h, " +
		"never: [billing, 'sre-*'], ask_for: 2h, approval_for: 5m, verify_after: 10m, grace: 30s, keep: 30d}\n")
	if c == nil || len(problems) > 0 {
		t.Fatal(texts(problems))
	}
	want := contain.Policy{
		Automation: contain.AutomationMonitor, MaxContained: 3, MaxShare: 0.1, Cooldown: time.Hour, Never: []string{"billing", "sre-*"},
		AskFor: 2 * time.Hour, ApprovalFor: 5 * time.Minute, VerifyAfter: 10 * time.Minute, Grace: 30 * time.Second, Keep: 30 * day,
	}
	if got := c.Response.Policy(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for text, want := range map[string]string{
		"{automation: on}": "is not one of enforce, monitor, off", "{max_share: 0}": "is not a share", "{max_share: 1.5}": "is not a share",
		"{max_contained: 0}": "max_contained", "{cooldown: 0s}": "cooldown", "{nevr: []}": "did you mean never?",
	} {
		_, problems := person("sources: [{file: {paths: [x]}}]\nresponse: " + text + "\n")
		if got := texts(problems); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want it to hold %q", text, got, want)
		}
	}
}
