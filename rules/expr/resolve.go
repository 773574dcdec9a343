package expr

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// resolver replaces the names of a parsed expression, in place, before types are checked: a field becomes `@string(n)`, a
// list `@list("name")`, agent.allows_tool(x) `@allows("tool", uid, x)`. Authors cannot write an @. An unknown name becomes
// `@unknown()`, which has any type, so that one pass finds all problems.
type resolver struct {
	env      *Env
	scope    scope
	roots    []string
	ast      *ast.AST
	factory  ast.ExprFactory
	nextID   int64
	bound    []string // comprehension variables in scope
	slots    []predicate.Slot
	mentions []predicate.StepMention
	issues   []Issue
}

func newResolver(env *Env, names scope, a *ast.AST) *resolver {
	return &resolver{
		env: env, scope: names, roots: names.roots(),
		ast: a, factory: ast.NewExprFactory(), nextID: ast.MaxID(a) + 1,
	}
}

// issue records a problem at the position of e.
func (r *resolver) issue(e ast.Expr, text string) {
	at := r.ast.SourceInfo().GetStartLocation(e.ID())
	r.issues = append(r.issues, Issue{max(at.Line(), 1), at.Column() + 1, text})
}

// unknown records a problem and replaces e, so that the checker does not report further problems in it.
func (r *resolver) unknown(e ast.Expr, text string) {
	r.issue(e, text)
	r.call(e, "@unknown")
}

// call replaces e by a call.
func (r *resolver) call(e ast.Expr, function string, args ...ast.Expr) {
	e.SetKindCase(r.factory.NewCall(e.ID(), function, args...))
}

// literal returns a constant with the position of e.
func (r *resolver) literal(e ast.Expr, v any) ast.Expr {
	id := r.nextID
	r.nextID++
	if o, ok := r.ast.SourceInfo().GetOffsetRange(e.ID()); ok {
		r.ast.SourceInfo().SetOffsetRange(id, o)
	}
	return r.factory.NewLiteral(id, types.DefaultTypeAdapter.NativeToValue(v))
}

// slotCall replaces e by a call that reads the slot.
func (r *resolver) slotCall(e ast.Expr, s predicate.Slot) {
	n := slices.IndexFunc(r.slots, func(o predicate.Slot) bool { return o.SameSource(&s) })
	if n < 0 {
		n = len(r.slots)
		r.slots = append(r.slots, s)
	}
	r.call(e, slotFunction(s.Type), r.literal(e, int64(n)))
}

// mention records a value that the expression reads.
func (r *resolver) mention(m predicate.StepMention) {
	if !slices.ContainsFunc(r.mentions, func(o predicate.StepMention) bool { return sameValue(o, m) }) {
		r.mentions = append(r.mentions, m)
	}
}

// visit resolves the names in e.
func (r *resolver) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		if !r.name(e) {
			r.visit(e.AsSelect().Operand())
		}
	case ast.CallKind:
		r.visitCall(e)
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			r.visit(x)
		}
	case ast.MapKind:
		for _, x := range e.AsMap().Entries() {
			r.visit(x.AsMapEntry().Key())
			r.visit(x.AsMapEntry().Value())
		}
	case ast.StructKind:
		name := e.AsStruct().TypeName()
		r.unknown(e, name+"{...} makes a message: conditions have texts, numbers, lists and maps")
	case ast.ComprehensionKind:
		r.visitComprehension(e)
	}
}

func (r *resolver) visitComprehension(e ast.Expr) {
	c := e.AsComprehension()
	for _, name := range []string{c.IterVar(), c.IterVar2()} {
		if name == "" {
			continue
		}
		if slices.Contains(r.roots, name) {
			r.issue(e, fmt.Sprintf("%s is the beginning of names that rules have: give the variable another name, such as x", name))
		}
	}
	r.visit(c.IterRange())
	r.bound = append(r.bound, c.IterVar(), c.IterVar2(), c.AccuVar())
	r.visit(c.AccuInit())
	r.visit(c.LoopCondition())
	r.visit(c.LoopStep())
	r.visit(c.Result())
	r.bound = r.bound[:len(r.bound)-3]
}

// chain splits `a.b["c"]` into its names, and for each name the expression that ends with it. It returns nil for any other
// expression, and if the first name is a comprehension variable.
func (r *resolver) chain(e ast.Expr) (names []string, at []ast.Expr) {
	for {
		at = append(at, e)
		switch e.Kind() {
		case ast.IdentKind:
			if slices.Contains(r.bound, e.AsIdent()) {
				return nil, nil
			}
			names = append(names, strings.TrimPrefix(e.AsIdent(), "."))
			slices.Reverse(names)
			slices.Reverse(at)
			return names, at
		case ast.SelectKind:
			names = append(names, e.AsSelect().FieldName())
			e = e.AsSelect().Operand()
		case ast.CallKind:
			key, ok := constantKey(e)
			if !ok {
				return nil, nil
			}
			names = append(names, key)
			e = e.AsCall().Args()[0]
		default:
			return nil, nil
		}
	}
}

// constantKey returns the text in x["text"]; ok is false for other expressions.
func constantKey(e ast.Expr) (key string, ok bool) {
	if c := e.AsCall(); c.FunctionName() == operators.Index && len(c.Args()) == 2 {
		return literalText(c.Args()[1])
	}
	return "", false
}

// literalText returns the value of a text literal; ok is false for other expressions.
func literalText(e ast.Expr) (text string, ok bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// name resolves a chain of names, or a part of a URL. It returns false for other expressions, whose parts the caller visits.
func (r *resolver) name(e ast.Expr) bool {
	if r.urlPart(e) || r.toolCapability(e) {
		return true
	}
	names, at := r.chain(e)
	if names == nil {
		return e.Kind() == ast.IdentKind
	}
	switch names[0] {
	case "lists":
		r.list(e, names, at)
		return true
	case "agent":
		if registry, known := r.scope.agents(); known {
			r.agent(e, names, registry)
			return true
		}
	case "cap":
		if can, known := r.scope.capabilities(); known {
			r.capability(e, names, can)
			return true
		}
	}
	found := r.scope.resolve(names)
	if found.used == 0 {
		r.unknown(e, found.problem)
		return true
	}
	if found.slot.Source != predicate.FromFinding {
		r.mention(found.mention)
	}
	r.slotCall(at[found.used-1], found.slot)
	return true
}

// list resolves lists.NAME.
func (r *resolver) list(e ast.Expr, names []string, at []ast.Expr) {
	if len(names) < 2 {
		r.unknown(e, "lists needs the name of one list: write lists.NAME")
		return
	}
	if _, ok := r.env.site.Lists[names[1]]; !ok {
		text := unknownName("list", names[1], r.env.listNames())
		if similar(names[1], r.env.listNames()) == "" {
			text += ", or write lists/" + names[1] + ".yaml in the folder of rules"
		}
		r.unknown(e, text)
		return
	}
	r.call(at[1], "@list", r.literal(e, names[1]))
}

// agent resolves agent.NAME.
func (r *resolver) agent(e ast.Expr, names []string, registry predicate.Registry) {
	if len(names) == 2 {
		for _, a := range agentAttributes {
			if a.name == names[1] {
				r.mention(agentMention)
				r.slotCall(e, predicate.Slot{Source: predicate.FromAgent, Name: a.name, Type: a.typ, Agents: registry})
				return
			}
		}
	}
	r.unknown(e, unknownName("attribute", strings.Join(names, "."), agentNames()))
}

// capability resolves cap.NAME.
func (r *resolver) capability(e ast.Expr, names []string, can predicate.Capabilities) {
	if len(names) != 2 || predicate.LabelOf(names[1]) == 0 {
		var all []string
		for _, l := range predicate.LabelNames() {
			all = append(all, "cap."+l)
		}
		r.unknown(e, unknownName("capability", strings.Join(names, "."), all))
		return
	}
	for _, f := range predicate.CapabilityFields() {
		r.mention(predicate.StepMention{Mention: predicate.Mention{Name: f.String(), Field: f, Raw: -1}})
	}
	r.slotCall(e, predicate.Slot{
		Source: predicate.FromCapability, At: int(predicate.LabelOf(names[1])), Name: names[1], Type: schema.TypeBool, Can: can,
	})
}

// toolCapability resolves tool(x).NAME, the capability of a tool by its name alone.
func (r *resolver) toolCapability(e ast.Expr) bool {
	if e.Kind() != ast.SelectKind {
		return false
	}
	op := e.AsSelect().Operand()
	if op.Kind() != ast.CallKind || op.AsCall().FunctionName() != "tool" || len(op.AsCall().Args()) != 1 {
		return false
	}
	label := e.AsSelect().FieldName()
	if _, known := r.scope.capabilities(); !known || predicate.LabelOf(label) == 0 {
		r.unknown(e, "a tool has "+strings.Join(predicate.LabelNames(), ", ")+", as in tool(x).egress")
		return true
	}
	x := op.AsCall().Args()[0]
	r.visit(x)
	r.call(e, "@tool", r.literal(e, label), x)
	return true
}

// agentMention is the value of the event that agent.* reads.
var agentMention = predicate.StepMention{
	Mention: predicate.Mention{Name: schema.AIAgentUID.String(), Field: schema.AIAgentUID, Raw: -1},
}

func (r *resolver) visitCall(e ast.Expr) {
	c := e.AsCall()
	name := c.FunctionName()
	if _, ok := constantKey(e); ok && r.name(e) {
		return
	}
	if r.enumerated(e, c, name) {
		return
	}
	if c.IsMemberFunction() && r.memberCall(e, c, name) {
		return
	}
	if !c.IsMemberFunction() && r.globalCall(e, c, name) {
		return
	}
	if c.IsMemberFunction() {
		r.visit(c.Target())
	}
	for _, a := range c.Args() {
		r.visit(a)
	}
	r.literalArgument(e, c, name)
	r.secretKind(c, name)
	r.foldedText(c, name)
	r.equality(e, c, name)
}

// literalArgument rejects arguments that must be known when rules are loaded and are not constant.
func (r *resolver) literalArgument(e ast.Expr, c ast.CallExpr, name string) {
	args := c.Args()
	if len(args) == 0 {
		return
	}
	last := args[len(args)-1]
	switch {
	case name == "matches":
		text, ok := literalText(last)
		if !ok {
			r.issue(last, "a pattern must be a constant text: it is checked when rules are loaded")
		} else if _, err := regexp.Compile(text); err != nil {
			why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			r.issue(last, "the pattern is not in RE2 syntax: "+why)
		}
	case name == "glob":
		if _, ok := literalText(last); !ok {
			r.issue(last, "a glob must be a constant text")
		}
	case strings.HasPrefix(name, "get") && c.IsMemberFunction():
		zone, ok := literalText(last)
		if !ok || !fixedZone(zone) {
			r.issue(last, `a time zone is a constant offset such as "+02:00": the meaning of a name depends on the machine`)
		}
	}
}

// fixedZone reports whether a time zone is UTC or an offset.
func fixedZone(zone string) bool {
	if zone == "UTC" {
		return true
	}
	zone = strings.TrimLeft(zone, "+-")
	if len(zone) != 5 || zone[2] != ':' {
		return false
	}
	for _, i := range []int{0, 1, 3, 4} {
		if zone[i] < '0' || zone[i] > '9' {
			return false
		}
	}
	return zone[:2] <= "14" && zone[3:] < "60"
}

// memberCall resolves the calls with a target that are not CEL's own. It returns false for other calls.
func (r *resolver) memberCall(e ast.Expr, c ast.CallExpr, name string) bool {
	target := c.Target()
	if target.Kind() == ast.IdentKind && target.AsIdent() == "agent" {
		if _, known := r.scope.agents(); known {
			r.allows(e, c, name)
			return true
		}
	}
	if target.Kind() != ast.CallKind || target.AsCall().IsMemberFunction() {
		return false
	}
	inner := target.AsCall()
	switch inner.FunctionName() {
	case "ip":
		if len(inner.Args()) != 1 || len(c.Args()) != 0 || !slices.Contains(predicate.AddressKinds(), name) {
			kinds := strings.Join(predicate.AddressKinds(), "(), ")
			r.unknown(e, "an address has "+kinds+"(), as in ip(source.ip).isPrivate()")
			return true
		}
		r.visit(inner.Args()[0])
		r.call(e, "@address", r.literal(e, name), inner.Args()[0])
		return true
	case "cidr":
		r.cidr(e, c, inner, name)
		return true
	}
	return false
}

// cidr resolves cidr("10.0.0.0/8").contains(x), where x is a text or ip(text).
func (r *resolver) cidr(e ast.Expr, c, inner ast.CallExpr, name string) {
	if name != "contains" || len(c.Args()) != 1 || len(inner.Args()) != 1 {
		r.unknown(e, `a network has contains(address), as in cidr("10.0.0.0/8").contains(source.ip)`)
		return
	}
	text, ok := literalText(inner.Args()[0])
	if _, err := netip.ParsePrefix(text); !ok || err != nil {
		r.issue(inner.Args()[0], `a network is a constant text such as "10.0.0.0/8" or "fd00::/8"`)
		r.visit(c.Args()[0])
		r.call(e, "@unknown")
		return
	}
	x := c.Args()[0]
	if x.Kind() == ast.CallKind && x.AsCall().FunctionName() == "ip" && len(x.AsCall().Args()) == 1 {
		x = x.AsCall().Args()[0]
	}
	r.visit(x)
	r.call(e, "@network", inner.Args()[0], x)
}

// allows resolves agent.allows_tool(x) and agent.allows("tool", x).
func (r *resolver) allows(e ast.Expr, c ast.CallExpr, name string) {
	kind, short := strings.CutPrefix(name, "allows_")
	args := c.Args()
	switch {
	case name == "allows":
		if len(args) != 2 {
			r.unknown(e, `agent.allows() takes a kind and one text, as in agent.allows("tool", gen_ai.tool.name)`)
			return
		}
		var ok bool
		if kind, ok = literalText(args[0]); !ok || !slices.Contains(allowKinds[:], kind) {
			r.visit(args[1])
			problem := "a kind is a constant text: one of " + strings.Join(allowKinds[:], ", ")
			if ok {
				problem = unknownName("kind", kind, allowKinds[:]) + "; the kinds are " + strings.Join(allowKinds[:], ", ")
			}
			r.issue(args[0], problem)
			r.call(e, "@unknown")
			return
		}
	case !short || !slices.Contains(allowKinds[:], kind):
		r.unknown(e, unknownName("attribute", "agent."+c.FunctionName(), agentNames()))
		return
	case len(args) != 1:
		r.unknown(e, "agent."+c.FunctionName()+"() takes one text")
		return
	}
	x := args[len(args)-1]
	uid := r.literal(e, int64(0))
	r.mention(agentMention)
	r.slotCall(uid, predicate.Slot{Source: predicate.FromField, At: int(schema.AIAgentUID), Type: schema.TypeString})
	r.visit(x)
	r.call(e, "@allows", r.literal(e, kind), uid, x)
}

// urlPart resolves url(x).host.
func (r *resolver) urlPart(e ast.Expr) bool {
	if e.Kind() != ast.SelectKind {
		return false
	}
	op := e.AsSelect().Operand()
	if op.Kind() != ast.CallKind || op.AsCall().FunctionName() != "url" || len(op.AsCall().Args()) != 1 {
		return false
	}
	part := e.AsSelect().FieldName()
	if !slices.Contains(predicate.URLParts(), part) {
		r.unknown(e, "a URL has "+strings.Join(predicate.URLParts(), ", ")+", as in url(x).host")
		return true
	}
	x := op.AsCall().Args()[0]
	r.visit(x)
	r.call(e, "@url", r.literal(e, part), x)
	return true
}

// globalCall resolves the calls without a target that are not CEL's own. It returns false for other calls.
func (r *resolver) globalCall(e ast.Expr, c ast.CallExpr, name string) bool {
	switch {
	case slices.ContainsFunc(contentFunctions[:], func(f contentFunction) bool { return f.name == name }) && len(c.Args()) == 1:
		r.searched(c.Args()[0], name)
		return true
	case name == "ip" || name == "cidr" || name == "url" || name == "tool":
		r.unknown(e, name+`() is valid only in forms such as ip(x).isPrivate(), cidr("10.0.0.0/8").contains(x), url(x).host, tool(x).egress`)
		return true
	case name == "has":
		r.has(e, c)
		return true
	}
	return false
}

// searched resolves secrets(x), normalised(x) and the like, where x is a text or any JSON value.
func (r *resolver) searched(x ast.Expr, name string) {
	r.visit(x)
	if name == predicate.Spelled && !isCall(x, "@time") {
		return
	}
	if isCall(x, "@int") || isCall(x, "@double") || isCall(x, "@bool") || isCall(x, "@time") || isCall(x, "@strings") {
		for _, f := range contentFunctions {
			if f.name == name {
				r.issue(x, name+"() takes a text or a JSON value, as in "+f.example)
			}
		}
	}
}

// secretKind rejects "kind" in secrets(x) and in invisible(x) if the kind is unknown: it would never hold.
func (r *resolver) secretKind(c ast.CallExpr, name string) {
	if name != operators.In {
		return
	}
	what, kinds := "kind of secret", content.AllKinds()
	switch {
	case isCall(c.Args()[1], "secrets"):
	case isCall(c.Args()[1], "invisible"):
		what, kinds = "kind of invisible characters", content.AllInvisible()
	default:
		return
	}
	kind, ok := literalText(c.Args()[0])
	if ok && !slices.Contains(kinds, kind) {
		r.issue(c.Args()[0], unknownName(what, kind, kinds))
	}
}

// foldedText rejects a test of normalised(x) with a text that is not normalised itself: it would never hold.
func (r *resolver) foldedText(c ast.CallExpr, name string) {
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	if len(args) != 2 {
		return
	}
	switch name {
	case operators.Equals, operators.NotEquals, operators.In, "contains", "startsWith", "endsWith":
	default:
		return
	}
	for i, x := range args {
		if !isCall(x, predicate.Normalise) {
			continue
		}
		others := []ast.Expr{args[1-i]}
		if others[0].Kind() == ast.ListKind {
			others = others[0].AsList().Elements()
		}
		for _, o := range others {
			text, ok := literalText(o)
			if folded := content.Folded(" " + text + " "); ok && folded != strings.TrimSpace(text) {
				r.issue(o, fmt.Sprintf("normalised() gives lower case and single spaces, so this never holds: write %q", folded))
			}
		}
	}
}

// has resolves has(field), has(raw.path), has(x.key).
func (r *resolver) has(e ast.Expr, c ast.CallExpr) {
	if len(c.Args()) != 1 {
		r.unknown(e, "has() takes one field")
		return
	}
	x := c.Args()[0]
	issues := len(r.issues)
	r.visit(x)
	if len(r.issues) > issues {
		r.call(e, "@unknown")
		return
	}
	switch {
	case x.Kind() == ast.SelectKind:
	case x.Kind() == ast.CallKind && slices.Contains(hasArguments[:], x.AsCall().FunctionName()):
	default:
		r.issue(e, "has() takes a field or a key: write has(session.id) or has(raw.a.b)")
	}
	r.call(e, "@has", x)
}

// hasArguments are the calls that can be the argument of has(): slots, keys and parts of a URL.
var hasArguments = [...]string{
	"@string", "@int", "@double", "@bool", "@time", "@dyn", "@strings", operators.Index, "@url", "@unknown",
}
