package expr

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// secretsIn returns the kinds of credentials in a value: in a text, or in JSON as it stands in the record, whose keys
// tell too. Other values hold none.
func secretsIn(v schema.Value) content.KindSet {
	if v.Kind != schema.KindString && v.Kind != schema.KindJSON {
		return 0
	}
	return content.Kinds(v.Text)
}

// boxSecrets is secrets(x) for CEL: a sorted list of kinds, empty where x is missing.
func boxSecrets(v ref.Val) ref.Val {
	var kinds content.KindSet
	switch v := v.(type) {
	case types.String:
		kinds = content.Kinds(string(v))
	case *object:
		kinds = content.Kinds(v.text)
	case array:
		kinds = content.Kinds(v.text)
	}
	return types.NewStringList(types.DefaultTypeAdapter, kinds.Names())
}

// secretKind is "kind" in secrets(slot).
type secretKind struct {
	search
	slot *slot
	kind string
}

func (n *secretKind) eval(s *Scratch) verdict {
	return verdictOf(secretsIn(s.read(n.slot)).Has(n.kind))
}

// secretCount is size(secrets(slot)) compared with an int.
type secretCount struct {
	search
	slot *slot
	op   order
	n    int64
}

func (n *secretCount) eval(s *Scratch) verdict {
	c, _ := compareValues(schema.IntValue(int64(secretsIn(s.read(n.slot)).Len())), schema.IntValue(n.n))
	return verdictOf(n.op&(1<<(c+1)) != 0)
}

// secretSlot returns the slot in secrets(slot), nil where e is something else.
func (b *builder) secretSlot(e ast.Expr) *slot {
	if !isCall(e, twin("secrets")) {
		return nil
	}
	return b.slot(e.AsCall().Args()[0])
}

func (b *builder) secretKind(x, list ast.Expr) node {
	kind, ok := literalText(x)
	if s := b.secretSlot(list); s != nil && ok {
		return &secretKind{slot: s, kind: kind}
	}
	return nil
}

func (b *builder) secretCount(op order, x ast.Expr, n int64) node {
	if !isCall(x, "size") || len(x.AsCall().Args()) != 1 {
		return nil
	}
	if s := b.secretSlot(x.AsCall().Args()[0]); s != nil {
		return &secretCount{slot: s, op: op, n: n}
	}
	return nil
}
