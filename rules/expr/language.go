package expr

import (
	"net/netip"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/aidr-engine/aidr/schema"
)

// twin is the name of the function that stands in for another where an operand may be missing. It takes anything.
func twin(name string) string { return "@@" + name }

// newCEL builds the language: CEL's own functions, ours, those that names become, and the twins.
func newCEL() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.StdLib(),
		cel.ClearMacros(),
		cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableIdentifierEscapeSyntax(),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(maxExpressionRunes),
	}
	opts = append(opts, ownFunctions()...)
	opts = append(opts, nameFunctions()...)
	opts = append(opts, twins()...)
	return cel.NewCustomEnv(opts...)
}

// ownFunctions are those that authors write and CEL lacks.
func ownFunctions() []cel.EnvOption {
	text := cel.StringType
	out := []cel.EnvOption{
		cel.Function("secrets", cel.Overload("dyn_secrets", []*cel.Type{cel.DynType}, cel.ListType(text), cel.UnaryBinding(boxSecrets))),
		cel.Function("lowerAscii", cel.MemberOverload("text_lowerAscii", []*cel.Type{text}, text, cel.UnaryBinding(boxLower))),
	}
	for _, name := range []string{"iequals", "icontains", "glob"} {
		out = append(out, cel.Function(name, cel.MemberOverload("text_"+name, []*cel.Type{text, text}, cel.BoolType, cel.BinaryBinding(boxTextTest(name)))))
	}
	return out
}

// nameFunctions are what resolve.go makes of names; they are checked and never run (lenient.go replaces them).
func nameFunctions() []cel.EnvOption {
	declare := func(name string, result *cel.Type, args ...*cel.Type) cel.EnvOption {
		return cel.Function(name, cel.Overload(name, args, result))
	}
	text, texts := cel.StringType, cel.ListType(cel.StringType)
	out := []cel.EnvOption{
		declare("@list", texts, text),
		declare("@unknown", cel.DynType),
		declare("@has", cel.BoolType, cel.DynType),
		declare("@equal", cel.BoolType, cel.DynType, cel.DynType),
		declare("@differ", cel.BoolType, cel.DynType, cel.DynType),
		declare("@address", cel.BoolType, text, text),
		declare("@network", cel.BoolType, text, text),
		declare("@url", text, text, text),
		declare("@allows", cel.BoolType, text, text, text),
	}
	for t := schema.TypeString; t <= schema.TypeList; t++ {
		out = append(out, declare(slotFunction(t), celType(t), cel.IntType))
	}
	return out
}

// slotFunction is the name of the function that reads a slot of the type.
func slotFunction(t schema.Type) string {
	return [...]string{"@string", "@int", "@double", "@bool", "@time", "@dyn", "@strings"}[t]
}

func celType(t schema.Type) *cel.Type {
	return [...]*cel.Type{
		cel.StringType, cel.IntType, cel.DoubleType, cel.BoolType, cel.TimestampType, cel.DynType, cel.ListType(cel.StringType),
	}[t]
}

// twins are the functions that know of missing values.
func twins() []cel.EnvOption {
	var out []cel.EnvOption
	unary := func(name string, f func(ref.Val) ref.Val) {
		out = append(out, cel.Function(twin(name), cel.Overload(twin(name), []*cel.Type{cel.DynType}, cel.DynType, cel.UnaryBinding(f))))
	}
	binary := func(name string, f func(a, b ref.Val) ref.Val) {
		args := []*cel.Type{cel.DynType, cel.DynType}
		out = append(out, cel.Function(twin(name), cel.Overload(twin(name), args, cel.DynType, cel.BinaryBinding(f))))
	}
	unary("size", valueSize)
	unary("bool", valueBool)
	unary("range", valueRange)
	unary("has", valuePresent)
	unary("lowerAscii", boxLower)
	unary("secrets", boxSecrets)
	binary("_==_", valuesEqual)
	binary("_!=_", valuesDiffer)
	binary("_<_", ordered(func(c int) bool { return c < 0 }))
	binary("_<=_", ordered(func(c int) bool { return c <= 0 }))
	binary("_>_", ordered(func(c int) bool { return c > 0 }))
	binary("_>=_", ordered(func(c int) bool { return c >= 0 }))
	binary("@in", valueIn)
	binary("_[_]", valueAt)
	binary("matches", boxMatches)
	binary("@address", boxAddress)
	binary("@network", boxNetwork)
	binary("@url", boxURL)
	for _, name := range textTestNames {
		binary(name, boxTextTest(name))
	}
	args := []*cel.Type{cel.DynType, cel.DynType, cel.DynType, cel.DynType}
	out = append(out, cel.Function(twin("@allows"), cel.Overload(twin("@allows"), args, cel.DynType, cel.FunctionBinding(boxAllows))))
	return out
}

// boxTextTest makes CEL's function of a text test: false on what is missing, an error on what is no text.
func boxTextTest(name string) func(a, b ref.Val) ref.Val {
	test := textTest(name)
	return func(a, b ref.Val) ref.Val {
		if isMissing(a) || isMissing(b) {
			return types.False
		}
		text, ok := jsonText(a)
		arg, argOK := b.(types.String)
		if !ok || !argOK {
			return notText(name, a)
		}
		return types.Bool(test(text, string(arg)))
	}
}

func notText(name string, v ref.Val) ref.Val {
	return types.NewErr("%s needs a text, not a %s", name, v.Type().TypeName())
}

func boxLower(v ref.Val) ref.Val {
	if isMissing(v) {
		return v
	}
	s, ok := jsonText(v)
	if !ok {
		return notText("lowerAscii", v)
	}
	return types.String(lowerASCII(s))
}

func boxMatches(v, pattern ref.Val) ref.Val {
	if isMissing(v) {
		return types.False
	}
	s, ok := jsonText(v)
	re, reOK := pattern.(constant).value.(*regex)
	if !ok || !reOK {
		return notText("matches", v)
	}
	return types.Bool(re.match(s))
}

func boxAddress(kind, v ref.Val) ref.Val {
	s, _ := v.(types.String)
	k, _ := kind.(types.String)
	return types.Bool(addressIs(string(k), string(s)))
}

func boxNetwork(network, v ref.Val) ref.Val {
	s, _ := v.(types.String)
	p, ok := network.(constant).value.(netip.Prefix)
	return types.Bool(ok && networkHas(p, string(s)))
}

func boxURL(part, v ref.Val) ref.Val {
	s, _ := v.(types.String)
	p, _ := part.(types.String)
	return types.String(urlPart(string(p), string(s)))
}

func boxAllows(args ...ref.Val) ref.Val {
	registry, ok := args[0].(constant).value.(Registry)
	what, _ := args[1].(types.String)
	uid, _ := args[2].(types.String)
	x, isText := args[3].(types.String)
	return types.Bool(ok && isText && registry.Allows(string(uid), string(what), string(x)))
}

// constant is a Go value inside an expression: a compiled pattern, a network, the registry.
type constant struct{ value any }

var constantType = types.NewOpaqueType("constant")

// ConvertToNative fails: constants never leave the package.
func (constant) ConvertToNative(t reflect.Type) (any, error) { return missing{}.ConvertToNative(t) }

// ConvertToType fails.
func (constant) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("a constant has no %s", t.TypeName())
}

// Equal is false.
func (constant) Equal(ref.Val) ref.Val { return types.False }

// Type returns a type of its own.
func (constant) Type() ref.Type { return constantType }

// Value returns the Go value.
func (c constant) Value() any { return c.value }

// listValue is a list of the site inside an expression: `in` asks the list itself, everything else sees its literals.
type listValue struct {
	traits.Lister
	list List
}

func newListValue(l List) listValue {
	literals, _ := l.Literals()
	return listValue{types.NewStringList(types.DefaultTypeAdapter, literals), l}
}

// Contains says whether the text is in the list; what is no text is not.
func (l listValue) Contains(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	return types.Bool(ok && l.list.Contains(string(s)))
}

// Size returns how many entries the list has.
func (l listValue) Size() ref.Val { return types.Int(l.list.Size()) }
