package inventory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/engine/inventory"
	"github.com/aidr-engine/aidr/engine/inventory/reference"
	"github.com/aidr-engine/aidr/schema"
)

// memory is a Source of entities in memory.
type memory map[inventory.Key]*inventory.Entity

func (m memory) Entities(kind inventory.Kind, yield func(*inventory.Entity) bool) error {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b inventory.Key) int { return bytes.Compare(a.Append(nil), b.Append(nil)) })
	for _, k := range keys {
		if k.Kind == kind && !yield(m[k]) {
			return nil
		}
	}
	return nil
}

func (m memory) Entity(k inventory.Key) (*inventory.Entity, bool, error) {
	return m[k], m[k] != nil, nil
}

// TestExport writes an inventory and reads it again: the lines hold all of it.
func TestExport(t *testing.T) {
	call := inventory.Observation{Tenant: "acme", Time: 90e9, Totals: schema.Totals{Events: 1, Success: 1, InputTokens: 7, Cost: schema.CostOf(0.25)}}
	call.Uses[schema.UseAgent], call.Uses[schema.UseCredential] = "bot", "key-1"
	call.Uses[schema.UseTool], call.Uses[schema.UseNetwork], call.Uses[schema.UseName] = "read_mail", "10.1.2.3", "Invoice bot"
	later := call
	later.Time, later.Uses[schema.UseTool] = 200e9, "send_mail"
	src := memory(reference.Inventory([]inventory.Observation{later, call}))

	var out bytes.Buffer
	if err := inventory.Export(src, &out); err != nil {
		t.Fatal(err)
	}
	var lines []inventory.Line
	if err := inventory.ReadLines(bytes.NewReader(out.Bytes()), func(l *inventory.Line) bool { lines = append(lines, *l); return true }); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 4 { // agent, credential, two tools
		t.Fatalf("got %d lines, want 4:\n%s", len(lines), out.String())
	}
	e, _, _ := src.Entity(inventory.Key{Kind: inventory.Agent, Tenant: "acme", Name: "bot"})
	if want := inventory.AgentOf(e); !reflect.DeepEqual(lines[0].Agent, want) {
		t.Errorf("got the agent %+v, want %+v", lines[0].Agent, want)
	}
	const want = `{"tenant":"acme","agent_uid":"bot","agent_name":"Invoice bot","registered":false,"first_seen":"1970-01-01T00:01:30Z",` +
		`"last_seen":"1970-01-01T00:03:20Z","newest_use":"1970-01-01T00:03:20Z","events":2,"success":2,"failure":0,"blocked":0,` +
		`"input_tokens":14,"output_tokens":0,"cost":0.5,"uses":{` +
		`"credentials":[{"name":"key-1","count":2,"first_seen":"1970-01-01T00:01:30Z","last_seen":"1970-01-01T00:03:20Z"}],` +
		`"names":[{"name":"Invoice bot","count":2,"first_seen":"1970-01-01T00:01:30Z","last_seen":"1970-01-01T00:03:20Z"}],` +
		`"networks":[{"name":"10.1.2.0/24","count":2,"first_seen":"1970-01-01T00:01:30Z","last_seen":"1970-01-01T00:03:20Z"}],` +
		`"tools":[{"name":"read_mail","count":1,"first_seen":"1970-01-01T00:01:30Z","last_seen":"1970-01-01T00:01:30Z"},` +
		`{"name":"send_mail","count":1,"first_seen":"1970-01-01T00:03:20Z","last_seen":"1970-01-01T00:03:20Z"}]},"pos":0,"part":`
	got, err := json.Marshal(lines[0].Agent)
	if err != nil || !bytes.HasPrefix(got, []byte(want)) {
		t.Errorf("got  %s\nwant %s...", got, want)
	}
}

// TestMinuteLimit fills a minute with more tools than a minute lists: those with the smallest names count, and the events of
// the others are omitted, also that of a tool that base lists.
func TestMinuteLimit(t *testing.T) {
	var all []inventory.Observation
	call := func(at schema.Instant, tool string) {
		o := inventory.Observation{Time: at, Class: "tool", Totals: schema.Totals{Events: 1}}
		o.Uses[schema.UseAgent], o.Uses[schema.UseTool] = "bot", tool
		all = append(all, o)
	}
	call(0, "zip")
	for i := range inventory.MaxUses + 9 {
		call(70e9, fmt.Sprintf("tool %03d", i))
	}
	call(80e9, "zip")
	call(130e9, "zip")
	want := reference.Inventory(all)[inventory.Key{Name: "bot"}]
	if want.Omitted[schema.UseTool] != 11 || len(want.Uses[schema.UseTool]) != inventory.MaxUses {
		t.Fatalf("the reference omits %d events and lists %d tools", want.Omitted[schema.UseTool], len(want.Uses[schema.UseTool]))
	}
	s := inventory.NewShard(nil)
	b := inventory.NewBatch(nil)
	for i := range all {
		b.Reset()
		b.Add(eventOf(&all[i]), all[i].Time)
		if err := s.Add(b.Seal(1, nil)[0]); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := s.Entity(want.Key); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
