package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
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

// MaxBroughtValues is the largest number of brought values of a key, and of known values, that State holds. An agent reads
// a few hundred in a session.
const MaxBroughtValues = 4096

// ProvenanceTool is the field that names the tool of which a `from` event is the result.
const ProvenanceTool = schema.GenAIToolName

func (p *Provenance) operands() []Operand {
	return append(p.Texts[:len(p.Texts):len(p.Texts)], FieldOperand(ProvenanceTool))
}
func (p *Provenance) conditions() []*predicate.Cond { return nil }
func (p *Provenance) lookback() time.Duration       { return p.Within }

func (p *Provenance) appendShape(b *strings.Builder, r *Rule) {
	fmt.Fprintf(b, "texts=%s;within=%s;", operandShapes(p.Texts[:]), doc.FormatDuration(p.Within))
	appendRoleKeys(b, r)
}

// provenance reads the clause of that name. The roles have the order in which one event takes part in them, whatever the
// order in the file.
func (r *reader) provenance(clause *doc.Node) {
	f := clause.Fields()
	p := &Provenance{}
	r.rule.Provenance = p
	parts := [...]struct {
		node *doc.Node
		role Role
	}{
		ProvenanceKnown: {f.Need("known"), Role{Name: "known", Order: 1, Excepted: true, Optional: true}},
		ProvenanceFrom:  {f.Need("from"), Role{Name: "from", Order: 2}},
		ProvenanceInto:  {f.Need("into"), Role{Name: "into", Order: 3}},
	}
	p.Within = f.Need("within").Duration(time.Millisecond, MaxSpan)
	key := r.by(clause, f)
	f.Done()
	for i := range parts {
		r.role(parts[i].node, parts[i].role, key, func(f *doc.Fields) { p.Texts[i] = r.textOperand(f.Need("text")) })
	}
}

// textOperand reads the text of a part: the name of a field, a raw path, or an expression that gives a text.
func (r *reader) textOperand(n *doc.Node) Operand {
	text := n.Filled()
	if strings.TrimSpace(text) == "" {
		return Operand{}
	}
	if isName(text) || r.isRawPath(text) {
		o, _ := r.operand(n)
		return o
	}
	return Operand{Name: text, Raw: -1, Text: r.text(n)}
}

// isName reports whether a text is a name with dots, that of a field or of a raw path.
func isName(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '.' && !nameByte(c) {
			return false
		}
	}
	return true
}

// isRawPath reports whether a text is a raw path and no more.
func (r *reader) isRawPath(text string) bool {
	if !strings.HasPrefix(text, "raw.") && !strings.HasPrefix(text, "raw[") {
		return false
	}
	_, issues := r.compiler.env.CompileRaw(text)
	return issues == nil
}
