package expr

import (
	"net/netip"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// lenientPrefix begins the name of the lenient form of a function, which accepts missing operands. Authors cannot write an @.
const lenientPrefix = "@@"

func lenientName(name string) string { return lenientPrefix + name }

// newCEL returns the language: CEL's functions, the functions of this package, the functions that replace names, and the
// lenient functions.
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
	opts = append(opts, lenientFunctions()...)
	return cel.NewCustomEnv(opts...)
}

// ownFunctions returns the functions that authors can write and CEL does not have.
func ownFunctions() []cel.EnvOption {
	text := cel.StringType
	out := []cel.EnvOption{
		cel.Function("lowerAscii",
			cel.MemberOverload("text_lowerAscii", []*cel.Type{text}, text, cel.UnaryBinding(boxLower))),
	}
	for _, f := range contentFunctions {
		overload := cel.Overload("dyn_"+f.name, []*cel.Type{cel.DynType}, f.result, cel.UnaryBinding(f.box))
		out = append(out, cel.Function(f.name, overload))
	}
	for _, name := range []string{"iequals", "icontains", "glob"} {
		args := []*cel.Type{text, text}
		overload := cel.MemberOverload("text_"+name, args, cel.BoolType, cel.BinaryBinding(boxTextFunc(name)))
		out = append(out, cel.Function(name, overload))
	}
	return out
}

// nameFunctions returns the functions by which resolve.go replaces names. They are only type-checked and never run, because
// lenient.go replaces them.
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
		declare("@tool", cel.BoolType, text, text),
		declare("@allows", cel.BoolType, text, text, text),
	}
	for t := schema.TypeString; t <= schema.TypeList; t++ {
		out = append(out, declare(slotFunction(t), celType(t), cel.IntType))
	}
	return out
}

// slotFunction returns the name of the function that reads a slot of type t.
func slotFunction(t schema.Type) string {
	return [...]string{"@string", "@int", "@double", "@bool", "@time", "@dyn", "@strings"}[t]
}

func celType(t schema.Type) *cel.Type {
	return [...]*cel.Type{
		cel.StringType, cel.IntType, cel.DoubleType, cel.BoolType, cel.TimestampType, cel.DynType, cel.ListType(cel.StringType),
	}[t]
}

// lenientFunctions returns the lenient functions.
func lenientFunctions() []cel.EnvOption {
	var out []cel.EnvOption
	unary := func(name string, f func(ref.Val) ref.Val) {
		args := []*cel.Type{cel.DynType}
		overload := cel.Overload(lenientName(name), args, cel.DynType, cel.UnaryBinding(f))
		out = append(out, cel.Function(lenientName(name), overload))
	}
	binary := func(name string, f func(a, b ref.Val) ref.Val) {
		args := []*cel.Type{cel.DynType, cel.DynType}
		overload := cel.Overload(lenientName(name), args, cel.DynType, cel.BinaryBinding(f))
		out = append(out, cel.Function(lenientName(name), overload))
	}
	unary("size", valueSize)
	unary("bool", valueBool)
	unary("range", valueRange)
	unary("has", valuePresent)
	unary("lowerAscii", boxLower)
	for _, f := range contentFunctions {
		unary(f.name, f.box)
	}
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
	for _, name := range predicate.TextFuncs() {
		binary(name, boxTextFunc(name))
	}
	three := []*cel.Type{cel.DynType, cel.DynType, cel.DynType}
	out = append(out, cel.Function(lenientName("@tool"), cel.Overload(lenientName("@tool"), three, cel.DynType, cel.FunctionBinding(boxTool))))
	args := []*cel.Type{cel.DynType, cel.DynType, cel.DynType, cel.DynType}
	allows := cel.Overload(lenientName("@allows"), args, cel.DynType, cel.FunctionBinding(boxAllows))
	return append(out, cel.Function(lenientName("@allows"), allows))
}

// boxTextFunc returns the CEL form of predicate.TextFunc: false if an operand is missing, an error if it is not a text.
func boxTextFunc(name string) func(a, b ref.Val) ref.Val {
	test := predicate.TextFunc(name)
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
	return types.String(predicate.LowerASCII(s))
}

func boxMatches(v, pattern ref.Val) ref.Val {
	if isMissing(v) {
		return types.False
	}
	s, ok := jsonText(v)
	re, reOK := pattern.(constant).value.(*predicate.Pattern)
	if !ok || !reOK {
		return notText("matches", v)
	}
	return types.Bool(re.Match(s))
}

func boxAddress(kind, v ref.Val) ref.Val {
	s, _ := v.(types.String)
	k, _ := kind.(types.String)
	return types.Bool(predicate.AddressIs(string(k), string(s)))
}

func boxNetwork(network, v ref.Val) ref.Val {
	s, _ := v.(types.String)
	p, ok := network.(constant).value.(netip.Prefix)
	return types.Bool(ok && predicate.NetworkContains(p, string(s)))
}

func boxURL(part, v ref.Val) ref.Val {
	s, _ := v.(types.String)
	p, _ := part.(types.String)
	return types.String(predicate.URLPart(string(p), string(s)))
}

func boxAllows(args ...ref.Val) ref.Val {
	registry, ok := args[0].(constant).value.(predicate.Registry)
	kind, _ := args[1].(types.String)
	uid, _ := args[2].(types.String)
	name, isText := args[3].(types.String)
	return types.Bool(ok && isText && registry.Allows(string(uid), string(kind), string(name)))
}

// boxTool is tool(x).label: args are the capabilities, the label and the name.
func boxTool(args ...ref.Val) ref.Val {
	can, ok := args[0].(constant).value.(predicate.Capabilities)
	label, _ := args[1].(types.String)
	name, isText := args[2].(types.String)
	if !ok || !isText || name == "" {
		return types.False
	}
	labels, _ := can.Tool("", string(name))
	return types.Bool(labels.Has(predicate.LabelOf(string(label))))
}

// constant is a Go value in an expression: a compiled pattern, a network or the registry.
type constant struct{ value any }

var constantType = types.NewOpaqueType("constant")

// ConvertToNative fails: a constant never leaves the package.
func (constant) ConvertToNative(t reflect.Type) (any, error) { return missing{}.ConvertToNative(t) }

// ConvertToType fails.
func (constant) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("a constant has no %s", t.TypeName())
}

// Equal returns false.
func (constant) Equal(ref.Val) ref.Val { return types.False }

// Type returns a type that no function of CEL accepts.
func (constant) Type() ref.Type { return constantType }

// Value returns the Go value.
func (c constant) Value() any { return c.value }

// listValue is a list of the site in an expression. `in` uses the list itself; everything else uses its literals.
type listValue struct {
	traits.Lister
	list predicate.List
}

func newListValue(l predicate.List) listValue {
	literals, _ := l.Literals()
	return listValue{types.NewStringList(types.DefaultTypeAdapter, literals), l}
}

// Contains reports whether the value is a text and in the list.
func (l listValue) Contains(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	return types.Bool(ok && l.list.Contains(string(s)))
}

// Size returns the number of entries of the list.
func (l listValue) Size() ref.Val { return types.Int(l.list.Size()) }
