package expr

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema/content"
)

// boxSecrets is secrets(x) in CEL: the sorted kinds of credentials, empty if x is missing.
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

// secretSlot returns the slot in secrets(slot), nil for other expressions.
func (b *builder) secretSlot(e ast.Expr) *predicate.Slot {
	if !isCall(e, lenientName("secrets")) {
		return nil
	}
	return b.slot(e.AsCall().Args()[0])
}

// hasSecret returns the node of "kind" in secrets(slot), nil for other operands.
func (b *builder) hasSecret(x, list ast.Expr) predicate.Node {
	kind, ok := literalText(x)
	if s := b.secretSlot(list); s != nil && ok {
		return predicate.HasSecret(s, kind)
	}
	return nil
}

// countSecrets returns the node of size(secrets(slot)) compared with n, nil if x is another expression.
func (b *builder) countSecrets(op predicate.Order, x ast.Expr, n int64) predicate.Node {
	if !isCall(x, "size") || len(x.AsCall().Args()) != 1 {
		return nil
	}
	if s := b.secretSlot(x.AsCall().Args()[0]); s != nil {
		return predicate.CountSecrets(s, op, n)
	}
	return nil
}
