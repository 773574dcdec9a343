package rules

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// Operand is a value that a clause reads of an event: an entry of `by` or `of`, or a text. It is a field, a raw path, or
// an expression.
type Operand struct {
	Name  string          // as findings and keys name it: the name of the field, the raw path, or `as`
	Field schema.Field    // of a field
	Raw   int             // of a raw path: its index in Event.Raws; else -1
	Text  *predicate.Name // of an expression; else nil
}

// FieldOperand returns the operand that is a field.
func FieldOperand(f schema.Field) Operand { return Operand{Name: f.String(), Field: f, Raw: -1} }

// FieldOperands returns the operands that are the fields.
func FieldOperands(fields ...schema.Field) (out []Operand) {
	for _, f := range fields {
		out = append(out, FieldOperand(f))
	}
	return out
}

// IsField reports whether the operand is the field f.
func (o *Operand) IsField(f schema.Field) bool { return o.Raw < 0 && o.Text == nil && o.Field == f }

// Mentions returns the values of the event that the operand reads.
func (o *Operand) Mentions() []predicate.Mention {
	if o.Text != nil {
		return o.Text.Mentions()
	}
	return []predicate.Mention{{Name: o.Name, Field: o.Field, Raw: o.Raw}}
}

// valueType returns the type of the operand's value; TypeDyn if it is known at run time only.
func (o *Operand) valueType() schema.Type {
	switch {
	case o.Text != nil:
		return schema.TypeString
	case o.Raw >= 0:
		return schema.TypeDyn
	}
	return o.Field.Info().Type
}

// shape returns the operand's part of Rule.Shape: its name, and the text of an expression.
func (o *Operand) shape() string {
	if o.Text != nil {
		return o.Name + "=" + o.Text.Text()
	}
	return o.Name
}

func operandNames(os []Operand) string {
	names := make([]string, len(os))
	for i := range os {
		names[i] = os[i].Name
	}
	return strings.Join(names, ", ")
}

func operandShapes(os []Operand) string {
	shapes := make([]string, len(os))
	for i := range os {
		shapes[i] = os[i].shape()
	}
	return strings.Join(shapes, ", ")
}

// operandList reads a list of 1 to most different operands. A single operand may be written without brackets.
func (r *reader) operandList(n *doc.Node, most int) (out []Operand, ok bool) {
	if n == nil {
		return nil, false
	}
	items := []*doc.Node{n}
	if n.Kind == doc.List {
		items = n.Items()
		if len(items) == 0 || len(items) > most {
			n.Fail("names %d fields: name 1 to %d", len(items), most)
			return nil, false
		}
	}
	return r.operands(items)
}

// operands reads different operands.
func (r *reader) operands(items []*doc.Node) (out []Operand, ok bool) {
	ok = true
	for _, v := range items {
		o, valid := r.operand(v)
		if valid && slices.ContainsFunc(out, func(p Operand) bool { return p.Name == o.Name }) {
			v.Fail("%s is listed twice: remove one", o.Name)
			valid = false
		}
		ok = ok && valid
		out = append(out, o)
	}
	if ok {
		r.lintKey(items, out)
	}
	return out, ok && len(out) > 0
}

// operand reads a field, a raw path or an expression {as: NAME, is: CEL}. ok is false if the node is absent or holds none.
func (r *reader) operand(n *doc.Node) (o Operand, ok bool) {
	if n != nil && n.Kind == doc.Map {
		return r.expression(n)
	}
	name := n.Filled()
	if strings.HasPrefix(name, "raw.") || strings.HasPrefix(name, "raw[") {
		return r.rawPath(n, name)
	}
	f, ok := r.field(n)
	return FieldOperand(f), ok
}

// rawPath reads an operand that is a path of the original record.
func (r *reader) rawPath(n *doc.Node, name string) (o Operand, ok bool) {
	m, issues := r.compiler.env.CompileRaw(name)
	r.issues(n, issues)
	if issues != nil {
		return Operand{}, false
	}
	r.mentions(n, []predicate.Mention{m})
	return Operand{Name: m.Name, Raw: m.Raw}, true
}

// expression reads an operand {as: NAME, is: CEL}.
func (r *reader) expression(n *doc.Node) (o Operand, ok bool) {
	f := n.Fields()
	as, is := f.Need("as"), f.Need("is")
	f.Done()
	o = Operand{Name: as.Filled(), Raw: -1}
	if o.Name != "" && !r.operandName(as, o.Name) {
		return o, false
	}
	o.Text = r.text(is)
	return o, o.Name != "" && o.Text != nil
}

// operandName reports whether a name can be that of an expression in a key. If it cannot, it reports the problem.
func (r *reader) operandName(n *doc.Node, name string) bool {
	bad := strings.IndexFunc(name, func(c rune) bool { return c != '_' && c != '.' && (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	_, isField := schema.FieldByName(name)
	first, _, _ := strings.Cut(name, ".")
	switch {
	case bad >= 0 || name[0] < 'a' || name[0] > 'z' || len(name) > maxOperandName:
		n.Fail("%q is not the name of a value: use at most %d characters a-z, 0-9, _ and dot, with a letter first", doc.Short(name), maxOperandName)
	case isField || first == "raw" || name == TenantName:
		n.Fail("%q already is the name of a value: choose another", name)
	default:
		return true
	}
	return false
}

const (
	// maxOperandName is the size in bytes of the name of an expression, which is a key in findings and tables.
	maxOperandName = 64
	// TenantName is the name of the tenant beside the values of a key. No operand has it.
	TenantName = "tenant"
)

// text compiles the text of a node as an expression that gives a text. It is nil if the node is absent or has an issue.
func (r *reader) text(n *doc.Node) *predicate.Name {
	text := n.Filled()
	if strings.TrimSpace(text) == "" {
		return nil
	}
	compile := r.compiler.env.CompileText
	if r.rule.Over != nil {
		compile = r.compiler.env.CompileTriggerText
	}
	name, issues := compile(text)
	r.issues(n, issues)
	if name == nil {
		return nil
	}
	r.mentions(n, name.Mentions())
	r.rule.noteRegistry(text)
	return name
}

// issues reports the issues of an expression at their positions in the file.
func (r *reader) issues(n *doc.Node, issues []expr.Issue) {
	for _, i := range issues {
		n.FailAt(i.Line, i.Col, "%s", i.Text)
	}
}

// subset returns the indexes in the key of the group's values, ascending.
func (r *reader) subset(n *doc.Node, names []string) []int {
	var indexes []int
	for _, name := range names {
		i := slices.IndexFunc(r.rule.Key, func(o Operand) bool { return o.Name == name })
		if i < 0 {
			if r.keyValid {
				n.Fail("%s is not in the rule's by (%s): name values of by only", doc.Short(name), operandNames(r.rule.Key))
			}
			continue
		}
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	return slices.Compact(indexes)
}

// firstIndexes returns 0, 1, ... n-1.
func firstIndexes(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
