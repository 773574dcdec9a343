package inventory

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// MaxUses is the largest number of values of one kind that an entity lists. The events of further values are counted. A
// few hundred are more than an agent needs, and a hostile one cannot fill the disk with inventions.
const MaxUses = 256

// MaxActions is the largest number of actions of one agent and minute that have a row of their own.
const MaxActions = 256

// MaxName is the size in bytes of the longest name. Longer ones are cut.
const MaxName = 512

// Kind is a kind of entity. The numbers are part of the format of State.
type Kind uint8

// The kinds of entities.
const (
	Agent Kind = iota
	Credential
	Tool
	Server
	Model
	numKinds
)

var kindNames = [numKinds]string{"agent", "credential", "tool", "mcp_server", "model"}

// String returns the name of the kind; those of tools, MCP servers and models are schema.ToolType.
func (k Kind) String() string { return kindNames[k] }

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Agent, Credential, Tool, Server, Model} }

// Key names an entity.
type Key struct {
	Kind   Kind
	Tenant string
	Name   string // ai_agent.uid, credential.uid, or the name of the tool, MCP server or model
}

// Append appends the key's flat form: the kind in one byte, the tenant with its length, and the name. Keys sort by it.
func (k Key) Append(dst []byte) []byte {
	return append(flat.AppendText(append(dst, byte(k.Kind)), k.Tenant), k.Name...)
}

// Hash returns the hash of the key, by which entities belong to shards.
func (k Key) Hash() uint64 { return hash(k.Append(nil)) }

// readKey reads a flat form. ok is false if it is damaged.
func readKey(b []byte) (k Key, ok bool) {
	r := flat.NewReader(b)
	k.Kind = Kind(r.Byte())
	k.Tenant = string(r.Text())
	k.Name = string(r.Rest())
	return k, !r.Bad() && k.Kind < numKinds
}

// hash returns the hash of a flat key, by which entities belong to shards and parts.
func hash[T string | []byte](key T) uint64 { return xxh3.HashString(string(key)) }

// part returns the part of a flat key: the highest bits of its hash, so that it does not depend on the number of shards.
func part[T string | []byte](key T) uint8 { return uint8(hash(key) >> 58) }

// Entity is what events show of one agent, credential, tool, MCP server or model.
type Entity struct {
	Key
	FirstSeen, LastSeen schema.Instant
	NewestUse           schema.Instant // FirstSeen of the value that was the last one to be new
	schema.Totals
	Uses    schema.Uses
	Omitted schema.Omitted
}

// Source is an inventory to read.
type Source interface {
	// Entities calls yield with each entity of a kind, in the order of their flat keys, until yield returns false. yield
	// owns the entity.
	Entities(kind Kind, yield func(*Entity) bool) error
	// Entity returns one entity. ok is false if no event has shown it.
	Entity(k Key) (e *Entity, ok bool, err error)
}

// AgentOf returns the row of an agent without Pos.
func AgentOf(e *Entity) *schema.Agent {
	return &schema.Agent{
		Tenant: e.Tenant, AgentUID: e.Name, AgentName: latest(e.Uses[schema.UseName]), AgentSource: latest(e.Uses[schema.UseSource]),
		FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, NewestUse: e.NewestUse, Totals: e.Totals, Uses: e.Uses, Omitted: e.Omitted,
		Part: part(e.Key.Append(nil)),
	}
}

// CredentialOf returns the row of a credential without Pos.
func CredentialOf(e *Entity) *schema.Credential {
	return &schema.Credential{
		Tenant: e.Tenant, CredentialUID: e.Name, CredentialType: latest(e.Uses[schema.UseCredentialType]),
		FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, NewestUse: e.NewestUse, Totals: e.Totals, Uses: e.Uses, Omitted: e.Omitted,
		Part: part(e.Key.Append(nil)),
	}
}

// ToolOf returns the row of a tool, an MCP server or a model without Pos.
func ToolOf(e *Entity) *schema.Tool {
	return &schema.Tool{
		Tenant: e.Tenant, Type: schema.ToolType(e.Kind.String()), Name: e.Name,
		FirstSeen: e.FirstSeen, LastSeen: e.LastSeen, NewestUse: e.NewestUse, Totals: e.Totals, Uses: e.Uses, Omitted: e.Omitted,
		Part: part(e.Key.Append(nil)),
	}
}

// latest returns the name that was seen last, the smallest of several.
func latest(uses []schema.Use) string {
	var last schema.Use
	for _, u := range uses {
		if last.Name == "" || cmp.Or(cmp.Compare(u.LastSeen, last.LastSeen), strings.Compare(last.Name, u.Name)) > 0 {
			last = u
		}
	}
	return last.Name
}

// Line is one line of an export: exactly one of its fields is set.
type Line struct {
	Agent      *schema.Agent      `json:"agent,omitempty"`
	Credential *schema.Credential `json:"credential,omitempty"`
	Tool       *schema.Tool       `json:"tool,omitempty"`
}

// LineOf returns the line of an entity.
func LineOf(e *Entity) Line {
	switch e.Kind {
	case Agent:
		return Line{Agent: AgentOf(e)}
	case Credential:
		return Line{Credential: CredentialOf(e)}
	}
	return Line{Tool: ToolOf(e)}
}

// Export writes all entities of an inventory as JSON lines, each a Line.
func Export(s Source, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, kind := range Kinds() {
		var failed error
		err := s.Entities(kind, func(e *Entity) bool {
			failed = enc.Encode(LineOf(e))
			return failed == nil
		})
		if err = cmp.Or(err, failed); err != nil {
			return fmt.Errorf("export the inventory: %w", err)
		}
	}
	return nil
}

// ReadLines reads an export and calls yield with each line, until yield returns false.
func ReadLines(r io.Reader, yield func(*Line) bool) error {
	dec := json.NewDecoder(r)
	for n := 1; ; n++ {
		var l Line
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read line %d of an inventory: %w", n, err)
		}
		if !yield(&l) {
			return nil
		}
	}
}

// minute is the unit of event time in which the inventory is folded.
const minute = schema.Instant(60 * 1e9)

// MinuteOf returns the number of the minute of an instant, counted from 1970.
func MinuteOf(t schema.Instant) int64 {
	m := int64(t / minute)
	if t%minute < 0 {
		m--
	}
	return m
}
