package sigma

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// texts changes every value that is a text; f returns the texts that take its place.
func (it *item) texts(modifier string, f func(v value) ([]pattern, string)) bool {
	var out []value
	for _, v := range it.values {
		if v.isNull {
			v.node.Fail("null has no %s: write a text, or a second selection without the modifier", modifier)
			return false
		}
		forms, problem := f(v)
		if problem != "" {
			v.node.Fail("%s", problem)
			return false
		}
		for _, p := range forms {
			out = append(out, value{node: v.node, pattern: p})
		}
	}
	if len(out) > maxValues {
		it.at.Fail("%s makes %d texts of the values, the limit is %d: write fewer values", modifier, len(out), maxValues)
		return false
	}
	it.values = out
	return true
}

// encode changes every value by its bytes.
func (it *item) encode(modifier string, f func(text string) []string) bool {
	return it.texts(modifier, func(v value) ([]pattern, string) {
		text, ok := v.pattern.plain()
		if !ok {
			return nil, modifier + " cannot encode a wildcard: escape it as \\* or \\?, or split the value"
		}
		var out []pattern
		for _, t := range f(text) {
			out = append(out, literal(t))
		}
		return out, ""
	})
}

// modify applies a modifier.
func (it *item) modify(m string) bool {
	if it.kind != kindText && m != "all" && !it.isFlag(m) {
		it.at.Fail("%s does not follow the modifier before it: remove one of them", strconv.Quote(doc.Short(m)))
		return false
	}
	switch m {
	case "all":
		it.all = true
	case "cased":
		it.cased = true
	case "neq":
		it.negated = true
	case "contains", "startswith", "endswith":
		if it.kind == kindField {
			it.refer = m
			return true
		}
		return it.texts(m, func(v value) ([]pattern, string) {
			return []pattern{v.pattern.open(m != "startswith", m != "endswith")}, ""
		})
	case "windash":
		return it.windash()
	case "wide", "utf16le":
		return it.encode(m, func(t string) []string { return []string{wide(t, false)} })
	case "utf16be":
		return it.encode(m, func(t string) []string { return []string{wide(t, true)} })
	case "utf16":
		return it.encode(m, func(t string) []string { return []string{"\xff\xfe" + wide(t, false)} })
	case "base64":
		return it.encode(m, func(t string) []string { return []string{base64.StdEncoding.EncodeToString([]byte(t))} })
	case "base64offset":
		return it.encode(m, base64Offsets)
	case "re":
		it.kind = kindRegexp
	case "i", "m", "s":
		it.flags += m
	case "cidr":
		it.kind = kindNetwork
		return it.networks()
	case "lt", "lte", "gt", "gte":
		it.kind, it.order = kindOrder, map[string]string{"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}[m]
		return it.numbers(m)
	case "exists":
		it.kind = kindExists
		if len(it.values) != 1 || !it.values[0].isBool {
			it.at.Fail("exists needs true or false")
			return false
		}
	case "fieldref":
		it.kind = kindField
	case "minute", "hour", "day", "month", "year":
		it.kind, it.order = kindTime, m
		return it.numbers(m)
	case "week":
		it.at.Fail("no function gives the week of a time: write month and day")
		return false
	case "expand":
		it.at.Fail("placeholders need values of your site: replace %%name%% by them and remove expand")
		return false
	default:
		it.at.Fail("unknown modifier %q%s", doc.Short(m), didYouMean(m))
		return false
	}
	return true
}

// modifiers are the known modifiers.
var modifiers = []string{"all", "base64", "base64offset", "cased", "cidr", "contains", "endswith", "exists", "expand", "fieldref", "gt", "gte",
	"i", "lt", "lte", "m", "neq", "re", "s", "startswith", "utf16", "utf16be", "utf16le", "wide", "windash", "minute", "hour", "day", "month", "year"}

func didYouMean(m string) string {
	if near := doc.Nearest(m, modifiers); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// isFlag reports whether a modifier may follow one that is not about texts.
func (it *item) isFlag(m string) bool {
	switch it.kind {
	case kindRegexp:
		return m == "i" || m == "m" || m == "s" || m == "cased" || m == "neq"
	case kindField:
		return m == "contains" || m == "startswith" || m == "endswith" || m == "cased" || m == "neq"
	case kindNetwork:
		return m == "neq"
	}
	return false
}

func (it *item) windash() bool {
	return it.texts("windash", func(v value) ([]pattern, string) {
		out := []pattern{nil}
		for _, x := range v.pattern {
			forms := []string{x.text}
			if x.wild == 0 {
				var ok bool
				if forms, ok = withDashes(x.text); !ok {
					return nil, fmt.Sprintf("windash makes too many texts of a value with more than %d dashes: split the value", maxDashes)
				}
			}
			var next []pattern
			for _, p := range out {
				for _, f := range forms {
					next = append(next, append(p[:len(p):len(p)], part{text: f, wild: x.wild}))
				}
			}
			if out = next; len(out) > maxValues {
				return nil, "windash makes too many texts of the value: split it"
			}
		}
		return out, ""
	})
}

func (it *item) networks() bool {
	for i := range it.values {
		v := &it.values[i]
		p, err := netip.ParsePrefix(v.text)
		if err != nil {
			v.node.Fail("%q is not a network: write it as 10.0.0.0/8", doc.Short(v.text))
			return false
		}
		v.text = p.Masked().String()
	}
	return true
}

func (it *item) numbers(modifier string) bool {
	for i := range it.values {
		v := &it.values[i]
		if v.number == "" {
			f, err := strconv.ParseFloat(v.text, 64)
			if err != nil || v.isNull || f-f != 0 {
				v.node.Fail("%s needs a number", modifier)
				return false
			}
			v.number = string(predicate.AppendNumber(nil, schema.DoubleValue(f)))
		}
		if !strings.ContainsAny(v.number, ".eIN") && len(strings.TrimPrefix(v.number, "-")) > 18 {
			v.number += ".0" // beyond 64 bits CEL needs a decimal
		}
	}
	return true
}
