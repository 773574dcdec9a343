package inventory

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// memory is a Source of entities in memory.
type memory map[Key]*Entity

func (m memory) Entities(kind Kind, yield func(*Entity) bool) error {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b Key) int { return bytes.Compare(a.Append(nil), b.Append(nil)) })
	for _, k := range keys {
		if k.Kind == kind && !yield(m[k]) {
			return nil
		}
	}
	return nil
}

func (m memory) Entity(k Key) (*Entity, bool, error) { return m[k], m[k] != nil, nil }

// TestExport writes an inventory and reads it again: the lines hold all of it.
func TestExport(t *testing.T) {
	call := Observation{Tenant: "acme", Time: 90e9, Totals: schema.Totals{Events: 1, Success: 1, InputTokens: 7, Cost: schema.CostOf(0.25)}}
	call.Uses[schema.UseAgent], call.Uses[schema.UseCredential] = "bot", "key-1"
	call.Uses[schema.UseTool], call.Uses[schema.UseNetwork], call.Uses[schema.UseName] = "read_mail", "10.1.2.3", "Invoice bot"
	later := call
	later.Time, later.Uses[schema.UseTool] = 200e9, "send_mail"
	src := memory(reference([]Observation{later, call}))

	var out bytes.Buffer
	if err := Export(src, &out); err != nil {
		t.Fatal(err)
	}
	var lines []Line
	if err := ReadLines(bytes.NewReader(out.Bytes()), func(l *Line) bool { lines = append(lines, *l); return true }); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 4 { // agent, credential, two tools
		t.Fatalf("got %d lines, want 4:\n%s", len(lines), out.String())
	}
	e, _, _ := src.Entity(Key{Agent, "acme", "bot"})
	if want := AgentOf(e); !reflect.DeepEqual(lines[0].Agent, want) {
		t.Errorf("got the agent %+v, want %+v", lines[0].Agent, want)
	}
	const want = `{"tenant":"acme","agent_uid":"bot","agent_name":"Invoice bot","first_seen":"1970-01-01T00:01:30Z",` +
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
