package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// Provenance is a rule's `provenance` clause. Its roles are `known` (Order 1, Excepted), `from` (2) and `into` (3), in this
// order.
type Provenance struct {
	Within time.Duration
	// Texts are the texts in which values are looked for, by role.
	Texts [3]Operand
}

// The roles of a provenance, as indexes into Rule.Roles.
const (
	ProvenanceKnown = iota
	ProvenanceFrom
	ProvenanceInto
)

func (p *Provenance) operands() []Operand           { return p.Texts[:] }
func (p *Provenance) conditions() []*predicate.Cond { return nil }
func (p *Provenance) lookback() time.Duration       { return p.Within }

func (p *Provenance) appendShape(b *strings.Builder, r *Rule) {
	fmt.Fprintf(b, "texts=%s;within=%s;", operandShapes(p.Texts[:]), doc.FormatDuration(p.Within))
	appendRoleKeys(b, r)
}

// provenance reads the clause of that name.
func (r *reader) provenance(clause *doc.Node) {
	r.rule.Provenance = &Provenance{}
	clause.Fail("is not supported yet")
}
