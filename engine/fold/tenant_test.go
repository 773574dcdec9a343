package fold_test

import (
	"testing"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

func TestGroupKeyOfATenant(t *testing.T) {
	p := fold.NewProgram(capturetest.Rule(rules.KindNone))
	got, err := p.GroupKey(map[string]string{"ai_agent.uid": "a1", fold.TenantKey: "acme"})
	if err != nil || got != "acme\x00\x02a1\x00\x01" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, known := schema.FieldByName(fold.TenantKey); known {
		t.Errorf("a field has the name %s", fold.TenantKey)
	}
}
