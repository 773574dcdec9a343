package expr

import (
	"cmp"
	"strings"

	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/schema"
)

const valuesTrue = types.True

func isNumber(v schema.Value) bool { return v.Kind == schema.KindInt || v.Kind == schema.KindDouble }

// equalValues is CEL's == of two scalars, without boxes. What is missing equals nothing.
func equalValues(a, b schema.Value) bool {
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b) == 0
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case schema.KindString:
		return a.Text == b.Text
	case schema.KindBool, schema.KindTimestamp:
		return a.Num == b.Num
	}
	return false
}

// compareValues orders two scalars as CEL does; ok is false where it does not.
func compareValues(a, b schema.Value) (order int, ok bool) {
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b), true
	}
	if a.Kind != b.Kind {
		return 0, false
	}
	switch a.Kind {
	case schema.KindString:
		return strings.Compare(a.Text, b.Text), true
	case schema.KindBool:
		return cmp.Compare(a.Num, b.Num), true
	case schema.KindTimestamp:
		return cmp.Compare(a.Int(), b.Int()), true
	}
	return 0, false
}

// compareNumbers orders ints and doubles with each other; an int beside a double is compared as one, as CEL does.
func compareNumbers(a, b schema.Value) int {
	if a.Kind == schema.KindInt && b.Kind == schema.KindInt {
		return cmp.Compare(a.Int(), b.Int())
	}
	return cmp.Compare(asDouble(a), asDouble(b))
}

func asDouble(v schema.Value) float64 {
	if v.Kind == schema.KindInt {
		return float64(v.Int())
	}
	return v.Double()
}
