package schema_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

func TestTargetsOf(t *testing.T) {
	f := &schema.Finding{Tenant: "acme", AgentUID: "a", SessionID: "s", Evidence: []schema.Evidence{
		{CredentialUID: "k2", Tool: "mail", ToolServer: "erp", Resource: "r"}, {CredentialUID: "k1", Tool: "mail"}, {},
	}}
	want := &schema.Targets{
		Tenant: "acme", Agent: "a", Session: "s", Credentials: []string{"k1", "k2"}, Tools: []string{"mail"}, Servers: []string{"erp"},
		Resources: []string{"r"},
	}
	if got := schema.TargetsOf(f); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for i := range 20 {
		f.Evidence = append(f.Evidence, schema.Evidence{Tool: fmt.Sprint(i)})
	}
	if got := schema.TargetsOf(f); len(got.Tools) != schema.MaxTargets {
		t.Errorf("%d tools, want %d", len(got.Tools), schema.MaxTargets)
	}
}
