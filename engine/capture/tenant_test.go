package capture_test

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// TestTenantsAreSeparate checks that equal events of different tenants differ in key, group and finding id.
func TestTenantsAreSeparate(t *testing.T) {
	r := capturetest.Rule(rules.KindNone)
	r.Key = rules.FieldOperands(schema.AIAgentUID, schema.SessionID)
	r.Roles[0].Key = r.Key
	of := func(tenant string) (item.Item, *schema.Finding) {
		e := capturetest.Event(t, map[string]schema.Value{"session.id": schema.StringValue("s1")})
		e.Tenant = tenant
		items, _ := capturetest.Take(t, r, e, 1)
		if len(items) != 1 {
			t.Fatalf("got %d items, want 1", len(items))
		}
		return items[0], fold.Late(fold.NewProgram(r), &items[0])
	}
	none, bare := of("")
	acme, finding := of("acme")
	if acme.Key != "acme\x00\x02"+none.Key || acme.Group != "acme\x00\x02"+none.Group || acme.ID == none.ID {
		t.Errorf("got key %q, group %q", acme.Key, acme.Group)
	}
	if finding.Tenant != "acme" || finding.Key["ai_agent.uid"] != "a1" || finding.ID == bare.ID {
		t.Errorf("got %q %v %s, want the tenant, the key without it, and another id", finding.Tenant, finding.Key, finding.ID)
	}
	if strings.Contains(finding.Explanation, "acme") != strings.Contains(bare.Explanation, "acme") {
		t.Errorf("the explanation shows the tenant as part of the key: %s", finding.Explanation)
	}
	odd, _ := of("a\x00\x02b")
	if odd.Key != "a\x00\xff\x02b\x00\x02"+none.Key {
		t.Errorf("got %q", odd.Key)
	}
}
