package sigma

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// maxValues is the largest number of values of one item, after modifiers that make several of one.
const maxValues = 2000

// item is one key of a selection: a field with modifiers, and values of which one has to match, or all.
type item struct {
	at     *doc.Node // the key
	source *source
	places []place
	query  bool // the field is the query of a URL, which the places hold with the path
	field  string

	all, cased, negated bool
	kind                kind
	flags               string // of a regular expression
	order               string // < and the like, or the unit of a time
	refer               string // of a fieldref: contains, startswith, endswith or ""
	values              []value
}

// kind is what an item compares its values with.
type kind uint8

const (
	kindText kind = iota
	kindRegexp
	kindNetwork
	kindOrder
	kindExists
	kindField
	kindTime
)

// value is one value of an item.
type value struct {
	node    *doc.Node
	pattern pattern
	text    string // of a regular expression, a network or the name of a field
	isNull  bool
	isBool  bool
	yes     bool
	number  string // of a number, as a CEL literal
}

// item reads a key with its values. It returns nil after recording problems.
func (r *reader) item(s *source, key, values *doc.Node) *node {
	it := &item{at: key, source: s}
	name, mods, _ := strings.Cut(key.String(), "|")
	it.field = strings.TrimSpace(name)
	if !it.read(values) {
		return nil
	}
	if mods != "" || strings.Contains(key.String(), "|") {
		for _, m := range strings.Split(mods, "|") {
			if !it.modify(strings.TrimSpace(m)) {
				return nil
			}
		}
	}
	if it.field == "" {
		return it.keyword()
	}
	if !it.resolve() {
		return nil
	}
	if it.all && len(it.values) == 1 && values.Kind != doc.List {
		key.Fail("all needs a list of values: remove it, or write several")
		return nil
	}
	return it.node()
}

// resolve finds the places of the field.
func (it *item) resolve() bool {
	var problem string
	it.places, problem = it.source.places(it.field)
	if problem != "" {
		it.at.Fail("%s", problem)
		return false
	}
	switch strings.ToLower(it.field) {
	case "cs-uri-query", "c-uri-query":
		it.query = true
	}
	return true
}

// read reads the values as texts with wildcards.
func (it *item) read(n *doc.Node) bool {
	items := []*doc.Node{n}
	if n.Kind == doc.List {
		if items = n.Items(); len(items) == 0 {
			n.Fail("is an empty list, which matches nothing: write a value or remove the key")
			return false
		}
	}
	for _, v := range items {
		x := value{node: v}
		switch v.Kind {
		case doc.Text:
			x.pattern = parsePattern(v.String())
			x.text = v.String()
		case doc.Int, doc.Float:
			n, ok := numberText(v)
			if !ok {
				return false
			}
			x.text, x.number = n, n
			x.pattern = literal(n)
		case doc.Bool:
			x.isBool, x.yes = true, v.Bool()
			x.text = strconv.FormatBool(x.yes)
			x.pattern = literal(x.text)
		case doc.Null:
			x.isNull = true
		default:
			v.Fail("is %s: a value is a text, a number, true, false or null", v.Kind)
			return false
		}
		it.values = append(it.values, x)
	}
	return true
}

func literal(s string) pattern {
	if s == "" {
		return nil
	}
	return pattern{{text: s}}
}

// numberText returns a number as the text that it has in an event.
func numberText(n *doc.Node) (string, bool) {
	switch v := n.Any().(type) {
	case int64:
		if n.Kind == doc.Int {
			return strconv.FormatInt(v, 10), true
		}
	case float64:
		return string(predicate.AppendNumber(nil, schema.DoubleValue(v))), true
	}
	return "", false
}

// node returns the condition of the item.
func (it *item) node() *node {
	var kids []*node
	if it.kind == kindText && !it.all {
		kids = it.sets()
	}
	for i := range it.values {
		n := it.compare(&it.values[i])
		if n == nil {
			return nil
		}
		kids = append(kids, n)
	}
	out := or(kids)
	if it.all {
		out = and(kids)
	}
	if it.negated {
		return not(out)
	}
	return out
}

// minSet is the number of plain texts from which on an item is a look-up in a list.
const minSet = 3

// sets takes plain texts out of the values and returns a look-up of them for each place, or nothing if they are few.
func (it *item) sets() (kids []*node) {
	var rest []value
	var texts []string
	for _, v := range it.values {
		text, ok := v.pattern.plain()
		if !ok || v.isNull || text == "" || it.query || !isASCII(text) {
			rest = append(rest, v)
			continue
		}
		if !it.cased {
			text = strings.ToLower(text)
		}
		texts = append(texts, strconv.Quote(text))
	}
	if len(texts) < minSet {
		return nil
	}
	it.values = rest
	list := "[" + strings.Join(texts, ", ") + "]"
	if len(list) > lineWidth {
		list = "[\n    " + wrap(texts, lineWidth-4, "\n    ") + "\n  ]"
	}
	for _, p := range it.places {
		kids = append(kids, test(p.each(func(v string) string {
			v = textOf(p, v)
			if !it.cased {
				v += ".lowerAscii()"
			}
			return v + " in " + list
		})))
	}
	return kids
}

// wrap joins texts with commas in lines of a width.
func wrap(texts []string, width int, newline string) string {
	var b strings.Builder
	line := 0
	for i, t := range texts {
		if i > 0 {
			b.WriteString(",")
			if line += 2 + len(t); line > width {
				b.WriteString(newline)
				line = len(t)
			} else {
				b.WriteString(" ")
			}
		} else {
			line = len(t)
		}
		b.WriteString(t)
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// compare returns the condition for one value: that one of the places has it. It returns nil after recording a problem.
func (it *item) compare(v *value) *node {
	var kids []*node
	for _, p := range it.places {
		if it.isPart(p, v) {
			continue
		}
		n := it.at1(p, v)
		if n == nil {
			return nil
		}
		kids = append(kids, n)
	}
	if v.isNull || it.kind == kindExists && !v.yes {
		return and(kids)
	}
	return or(kids)
}

// isPart reports whether the place holds a part of what the field has, and the value is not searched within it: url.path is a
// part of the target of a request.
func (it *item) isPart(p place, v *value) bool {
	if p.isRaw || p.field != schema.URLPath || len(it.places) == 1 {
		return false
	}
	_, before, after := v.pattern.closed()
	return it.kind != kindText || !before || !after
}

// at1 returns the condition for one value at one place.
func (it *item) at1(p place, v *value) *node {
	switch {
	case v.isNull && it.kind != kindText:
		v.node.Fail("null has no use with this modifier: write a selection of its own for it")
		return nil
	case v.isNull, it.kind == kindExists && !v.yes:
		return not(test(p.record().each(has)))
	case it.kind == kindExists:
		return test(p.record().each(has))
	case it.kind == kindRegexp:
		return it.regexp(p, v)
	case it.kind == kindNetwork:
		return it.network(p, v)
	case it.kind == kindOrder:
		return it.ordered(p, v)
	case it.kind == kindField:
		return it.sameField(p, v)
	case it.kind == kindTime:
		return it.timePart(p, v)
	}
	return it.textTest(p, v)
}

// has returns the test that a value is present. Of an element of a list, has() takes "" for absent.
func has(value string) string {
	for _, v := range listVariables {
		if value == v || strings.HasPrefix(value, v+".") || strings.HasPrefix(value, v+"[") {
			return value + " != null"
		}
	}
	return "has(" + value + ")"
}

// textTest returns the comparison with a text with wildcards.
func (it *item) textTest(p place, v *value) *node {
	for _, x := range v.pattern {
		if !isText(x.text) {
			v.node.Fail("its bytes are not text, which a log in JSON cannot hold: add base64 or base64offset")
			return nil
		}
	}
	want := v.pattern
	if it.query {
		if _, before, _ := want.closed(); !before {
			want = append(pattern{{wild: '*'}, {text: "?"}}, want...)
		}
	}
	if t, typed := p.typed(); typed {
		return it.typedTest(p, t, v, want)
	}
	if text, ok := want.plain(); ok && text == "" {
		if p = p.record(); !p.isRaw {
			v.node.Fail("a field of the normalised event is never empty: write null for one that is absent")
			return nil
		}
		return test(p.each(func(x string) string { return x + ` == ""` }))
	}
	if want.isAny() {
		p = p.record()
	}
	return test(p.each(func(x string) string { return textTest(textOf(p, x), x, want, it.cased) }))
}

// textTest returns the comparison of a text with a pattern that is not empty. value is the value of which text is the text.
func textTest(text, value string, p pattern, cased bool) string {
	if p.isAny() {
		return has(value)
	}
	inner, before, after := p.closed()
	plain, ok := inner.plain()
	name := ""
	switch {
	case !ok:
	case !before && !after && cased:
		return text + " == " + quote(plain)
	case !before && !after:
		name = "iequals"
	case before && after && cased:
		name = "contains"
	case before && after:
		name = "icontains"
	case after && cased:
		name = "startsWith"
	case before && cased:
		name = "endsWith"
	case after && isASCII(plain):
		return text + ".lowerAscii().startsWith(" + quote(strings.ToLower(plain)) + ")"
	case before && isASCII(plain):
		return text + ".lowerAscii().endsWith(" + quote(strings.ToLower(plain)) + ")"
	}
	if name != "" {
		return text + "." + name + "(" + quote(plain) + ")"
	}
	return text + ".matches(" + quotePattern(p.expression(cased)) + ")"
}

// typedTest returns the comparison of a field of numbers with a text.
func (it *item) typedTest(p place, t schema.Type, v *value, want pattern) *node {
	text, ok := want.plain()
	if ok && t == schema.TypeInt {
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return test(neverText)
		}
		return test(p.value() + " == " + text)
	}
	if want.isAny() {
		return test(has(p.value()))
	}
	if t == schema.TypeInt {
		return test(textTest("text("+p.value()+")", p.value(), want, it.cased))
	}
	v.node.Fail("%s is %s: compare it with the modifiers minute, hour, day, month and year", it.field, "a time")
	return nil
}

func (it *item) regexp(p place, v *value) *node {
	text := v.text
	flags := ""
	for _, f := range "ims" {
		if strings.ContainsRune(it.flags, f) {
			flags += string(f)
		}
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	parsed, err := regexp.Compile(text)
	if err != nil {
		v.node.Fail("RE2 does not have this regular expression: %s: write it without look-arounds and back references", cause(err))
		return nil
	}
	matchesNothing := parsed.MatchString("")
	if matchesNothing { // absent values have the text "", too
		p = p.record()
	}
	return test(p.each(func(x string) string {
		out := textOf(p, x) + ".matches(" + quotePattern(text) + ")"
		if matchesNothing {
			return "(" + has(x) + " && " + out + ")"
		}
		return out
	}))
}

// cause returns the reason why a regular expression does not compile, on one line.
func cause(err error) string {
	if e, ok := err.(*syntax.Error); ok {
		return strings.ReplaceAll(string(e.Code)+" "+doc.Short(e.Expr), "\n", " ")
	}
	return doc.Short(strings.ReplaceAll(err.Error(), "\n", " "))
}

func (it *item) network(p place, v *value) *node {
	return test(p.each(func(x string) string { return "cidr(" + quote(v.text) + ").contains(" + x + ")" }))
}

func (it *item) ordered(p place, v *value) *node {
	if t, typed := p.typed(); typed && t != schema.TypeInt && t != schema.TypeDouble {
		it.at.Fail("%s is a time, not a number: use the modifiers minute, hour, day, month and year", it.field)
		return nil
	}
	if !p.isRaw && p.field.Info().Type == schema.TypeString {
		it.at.Fail("%s is a text: numbers cannot be ordered with it", it.field)
		return nil
	}
	return test(p.each(func(x string) string {
		out := x + " " + it.order + " " + v.number
		if !p.isRaw {
			return "(" + has(x) + " && " + out + ")" // an absent field is 0
		}
		return out
	}))
}

// sameField returns the comparison with another field of the event.
func (it *item) sameField(p place, v *value) *node {
	others, problem := it.source.places(v.text)
	if problem != "" {
		v.node.Fail("%s", problem)
		return nil
	}
	var kids []*node
	for _, o := range others {
		if p.isList() || o.isList() {
			v.node.Fail("a field below a list cannot be compared with another: leave the item out")
			return nil
		}
		a, b := textOf(p, p.value()), textOf(o, o.value())
		if !it.cased {
			a, b = a+".lowerAscii()", b+".lowerAscii()"
		}
		cmp := a + " == " + b
		if name := map[string]string{"contains": "contains", "startswith": "startsWith", "endswith": "endsWith"}[it.refer]; name != "" {
			cmp = a + "." + name + "(" + b + ")"
		}
		kids = append(kids, and([]*node{test(has(p.value())), test(has(o.value())), test(cmp)}))
	}
	return or(kids)
}

// timePart returns the comparison of a part of the event's time.
func (it *item) timePart(p place, v *value) *node {
	if p.isRaw || p.field != schema.Time {
		it.at.Fail("%s is not known to be the time of the event: only its parts can be compared", it.field)
		return nil
	}
	get := map[string]string{"minute": "getMinutes()", "hour": "getHours()", "day": "getDate()", "month": "getMonth() + 1", "year": "getFullYear()"}[it.order]
	return test("time." + get + " == " + v.number)
}

// keyword returns the condition that a text is anywhere in the event: in one of the places of the log that hold texts.
func (it *item) keyword() *node {
	switch it.kind {
	case kindText, kindRegexp:
	default:
		it.at.Fail("a search without a field takes texts and regular expressions only: write the field")
		return nil
	}
	if it.kind == kindText {
		ok := it.texts("keyword", func(v value) ([]pattern, string) {
			if len(v.pattern) == 0 {
				return nil, "is empty, which is everywhere: remove it"
			}
			return []pattern{v.pattern.open(true, true)}, ""
		})
		if !ok {
			return nil
		}
	}
	var kids []*node
	for i := range it.values {
		v := &it.values[i]
		var at []*node
		for _, p := range it.source.keywords {
			n := it.at1(p, v)
			if n == nil {
				return nil
			}
			at = append(at, n)
		}
		kids = append(kids, or(at))
	}
	out := or(kids)
	if it.all {
		out = and(kids)
	}
	if it.negated {
		return not(out)
	}
	return out
}
