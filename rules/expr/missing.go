package expr

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// missing is the value of a raw path or a key that is absent or null. On it ==, <, text functions, `in` and exists are false,
// != and == null are true, and its size is 0; anything else is an error, which counts as no match. CEL's own operators do
// not support it, so the functions of this file replace them if an operand may be missing (see lenient.go).
type missing struct{}

// ConvertToNative fails: a missing value never leaves the package.
func (missing) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("convert a missing value to %v: it has no value", t)
}

// ConvertToType fails.
func (m missing) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("a missing value has no %s", t.TypeName())
}

// Equal reports whether other is null.
func (missing) Equal(other ref.Val) ref.Val { return types.Bool(other == types.NullValue) }

// Type returns a type that no function of CEL accepts.
func (missing) Type() ref.Type { return types.NewOpaqueType("missing") }

// Value returns nil.
func (missing) Value() any { return nil }

func isMissing(v ref.Val) bool {
	_, ok := v.(missing)
	return ok
}

// valuesEqual is the lenient ==. Two missing values are not equal: a join on a value that neither side has would hold for
// everything.
func valuesEqual(a, b ref.Val) ref.Val {
	if isMissing(a) {
		return types.Bool(b == types.NullValue)
	}
	if isMissing(b) {
		return types.Bool(a == types.NullValue)
	}
	return types.Equal(a, b)
}

// valuesDiffer is the lenient !=.
func valuesDiffer(a, b ref.Val) ref.Val {
	equal, ok := valuesEqual(a, b).(types.Bool)
	if !ok {
		return types.MaybeNoSuchOverloadErr(a)
	}
	return !equal
}

// ordered returns the lenient <, <=, > or >=; accept gets the result of Compare, which is -1, 0 or 1.
func ordered(accept func(int) bool) func(a, b ref.Val) ref.Val {
	return func(a, b ref.Val) ref.Val {
		if isMissing(a) || isMissing(b) {
			return types.False
		}
		c, ok := a.(traits.Comparer)
		if !ok {
			return types.MaybeNoSuchOverloadErr(a)
		}
		order, ok := c.Compare(b).(types.Int)
		if !ok {
			return types.NewErr("cannot order a %s and a %s", a.Type().TypeName(), b.Type().TypeName())
		}
		return types.Bool(accept(int(order)))
	}
}

// valueIn is the lenient `in`.
func valueIn(elem, container ref.Val) ref.Val {
	if isMissing(elem) || isMissing(container) {
		return types.False
	}
	switch c := container.(type) {
	case listValue:
		return c.Contains(elem)
	case traits.Mapper:
		return c.Contains(elem)
	case traits.Lister:
		for it := c.Iterator(); it.HasNext() == types.True; {
			if valuesEqual(elem, it.Next()) == types.True {
				return types.True
			}
		}
		return types.False
	}
	return types.NewErr("`in` needs a list, not a %s", container.Type().TypeName())
}

// valueSize is the lenient size().
func valueSize(v ref.Val) ref.Val {
	if isMissing(v) {
		return types.IntZero
	}
	if s, ok := v.(traits.Sizer); ok {
		return s.Size()
	}
	return types.NewErr("size() needs a text or a list, not a %s", v.Type().TypeName())
}

// valueAt is the lenient x.key, x["key"] and x[n]. An absent key or index is missing.
func valueAt(v, key ref.Val) ref.Val {
	switch c := v.(type) {
	case *object:
		return c.Get(key)
	case traits.Lister:
		n, ok := key.(types.Int)
		if !ok {
			return missing{}
		}
		if size, ok := c.Size().(types.Int); !ok || n < 0 || n >= size {
			return missing{}
		}
		return c.Get(n)
	case traits.Mapper:
		if found, ok := c.Find(key); ok {
			return found
		}
	}
	return missing{}
}

// valueBool returns a value as a condition: a missing value is false.
func valueBool(v ref.Val) ref.Val {
	if isMissing(v) {
		return types.False
	}
	if b, ok := v.(types.Bool); ok {
		return b
	}
	return types.NewErr("a condition must be true or false, not a %s", v.Type().TypeName())
}

// valueRange returns the list over which a comprehension iterates: a missing value is an empty list.
func valueRange(v ref.Val) ref.Val {
	if isMissing(v) {
		return types.NewRefValList(types.DefaultTypeAdapter, nil)
	}
	return v
}

// valuePresent is has(x) if x is not a slot, such as an element of a list. An empty text is absent.
func valuePresent(v ref.Val) ref.Val {
	if s, ok := v.(types.String); ok {
		return types.Bool(s != "")
	}
	return types.Bool(!isMissing(v))
}
