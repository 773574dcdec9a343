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

// slotIn returns the slot in function(slot), nil for other expressions.
func (b *builder) slotIn(e ast.Expr, function string) *predicate.Slot {
	if !isCall(e, lenientName(function)) {
		return nil
	}
	return b.slot(e.AsCall().Args()[0])
}

// hasSecret returns the node of "kind" in secrets(slot) or in invisible(slot), nil for other operands.
func (b *builder) hasSecret(x, list ast.Expr) predicate.Node {
	kind, ok := literalText(x)
	if !ok {
		return nil
	}
	if s := b.slotIn(list, "secrets"); s != nil {
		return predicate.HasSecret(s, kind)
	}
	if s := b.slotIn(list, "invisible"); s != nil {
		return predicate.HasInvisible(s, kind)
	}
	return nil
}

// countSecrets returns the node of size(secrets(slot)) or size(invisible(slot)) compared with n, nil if x is another expression.
func (b *builder) countSecrets(op predicate.Order, x ast.Expr, n int64) predicate.Node {
	if !isCall(x, "size") || len(x.AsCall().Args()) != 1 {
		return nil
	}
	if s := b.slotIn(x.AsCall().Args()[0], "secrets"); s != nil {
		return predicate.CountSecrets(s, op, n)
	}
	if s := b.slotIn(x.AsCall().Args()[0], "invisible"); s != nil {
		return predicate.CountInvisible(s, op, n)
	}
	return nil
}
