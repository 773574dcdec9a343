package expr

import (
	"strconv"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// contentFunction is a function of one argument that looks into a text, or into a JSON value as text functions search it. Of a
// missing value, and of a value that is not searched as a text, it gives what it gives of "".
type contentFunction struct {
	name    string
	result  *cel.Type
	example string
	box     func(ref.Val) ref.Val
}

// contentFunctions are the functions of package schema/content in CEL.
var contentFunctions = [...]contentFunction{
	{"secrets", cel.ListType(cel.StringType), "size(secrets(gen_ai.tool.call.arguments)) > 0", boxSecrets},
	{"invisible", cel.ListType(cel.StringType), `"tag" in invisible(gen_ai.tool.call.result)`, boxInvisible},
	{predicate.Normalise, cel.StringType, `normalised(gen_ai.tool.name) == "bash"`, ofText(func(s string) ref.Val {
		return types.String(content.Folded(s))
	})},
	{predicate.Spelled, cel.StringType, `text(raw.port) == "443"`, boxSpelled},
	{predicate.Decode, cel.StringType, `decoded(gen_ai.tool.call.arguments).contains("/etc/shadow")`, ofText(func(s string) ref.Val {
		return types.String(content.Decoded(s))
	})},
	{predicate.Inject, cel.IntType, "injection(gen_ai.tool.call.result) >= 40", ofText(func(s string) ref.Val {
		return types.Int(content.Injection(s))
	})},
	{predicate.Entropy, cel.DoubleType, "entropy(gen_ai.tool.call.arguments.data) > 4.5", ofText(func(s string) ref.Val {
		return types.Double(content.Entropy(s))
	})},
}

// boxSpelled is text(x): "" of a missing value.
func boxSpelled(v ref.Val) ref.Val {
	switch n := v.(type) {
	case types.Int:
		return types.String(predicate.AppendNumber(nil, schema.IntValue(int64(n))))
	case types.Uint:
		return types.String(strconv.FormatUint(uint64(n), 10))
	case types.Double:
		return types.String(predicate.AppendNumber(nil, schema.DoubleValue(float64(n))))
	case types.Bool:
		return types.String(strconv.FormatBool(bool(n)))
	}
	text, _ := jsonText(v)
	return types.String(text)
}

func ofText(f func(string) ref.Val) func(ref.Val) ref.Val {
	return func(v ref.Val) ref.Val {
		text, _ := jsonText(v)
		return f(text)
	}
}

// boxInvisible is invisible(x): the sorted kinds of invisible characters.
func boxInvisible(v ref.Val) ref.Val {
	text, _ := jsonText(v)
	return types.NewStringList(types.DefaultTypeAdapter, content.Invisible(text).Names())
}
