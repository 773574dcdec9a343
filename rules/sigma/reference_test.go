package sigma_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
)

// A reference evaluates a Sigma rule on a record as the specification defines it, straight from the YAML of the rule and the JSON of
// the record. It shares no code with the translation.
type reference struct {
	selections map[string]any
	conditions []string
	paths      func(field string) []string // of a field in the record
	keywords   []string                    // the paths that a search without a field looks into
}

func newReference(rule string, paths func(string) []string, keywords []string) (*reference, error) {
	var doc struct {
		Detection map[string]any
	}
	if err := yaml.Unmarshal([]byte(rule), &doc); err != nil {
		return nil, err
	}
	r := &reference{selections: map[string]any{}, paths: paths, keywords: keywords}
	for k, v := range doc.Detection {
		if k != "condition" {
			r.selections[k] = v
			continue
		}
		for _, c := range asList(v) {
			r.conditions = append(r.conditions, c.(string))
		}
	}
	return r, nil
}

func asList(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

// matches reports whether the rule matches a record.
func (r *reference) matches(record any) bool {
	for _, c := range r.conditions {
		words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(c))
		v, rest := r.or(words, record)
		if len(rest) > 0 {
			panic(fmt.Sprintf("condition %q: %q is left", c, rest))
		}
		if v {
			return true
		}
	}
	return false
}

func (r *reference) or(w []string, record any) (bool, []string) {
	v, w := r.and(w, record)
	for len(w) > 0 && w[0] == "or" {
		var x bool
		x, w = r.and(w[1:], record)
		v = v || x
	}
	return v, w
}

func (r *reference) and(w []string, record any) (bool, []string) {
	v, w := r.unary(w, record)
	for len(w) > 0 && w[0] == "and" {
		var x bool
		x, w = r.unary(w[1:], record)
		v = v && x
	}
	return v, w
}

func (r *reference) unary(w []string, record any) (bool, []string) {
	switch {
	case w[0] == "not":
		v, rest := r.unary(w[1:], record)
		return !v, rest
	case w[0] == "(":
		v, rest := r.or(w[1:], record)
		return v, rest[1:]
	case len(w) > 2 && w[1] == "of":
		n, all := 0, 0
		for name := range r.selections {
			in, _ := path.Match(w[2], name)
			if w[2] == "them" {
				in = !strings.HasPrefix(name, "_")
			}
			if in {
				if all++; r.selection(r.selections[name], record) {
					n++
				}
			}
		}
		return n > 0 && (w[0] != "all" || n == all), w[3:]
	}
	return r.selection(r.selections[w[0]], record), w[1:]
}

func (r *reference) selection(s any, record any) bool {
	switch s := s.(type) {
	case map[string]any:
		for k, v := range s {
			if !r.item(k, v, record) {
				return false
			}
		}
		return true
	case []any:
		for _, x := range s {
			if r.selection(x, record) {
				return true
			}
		}
		return false
	}
	return r.item("", s, record)
}

// item evaluates field|modifiers: values.
func (r *reference) item(key string, values any, record any) bool {
	parts := strings.Split(key, "|")
	var found []any
	if parts[0] == "" {
		for _, p := range r.keywords {
			found = append(found, lookUp(record, strings.Split(p, "."))...)
		}
	} else {
		for _, p := range r.paths(parts[0]) {
			found = append(found, lookUp(record, strings.Split(p, "."))...)
		}
	}
	mods := map[string]bool{}
	for _, m := range parts[1:] {
		mods[m] = true
	}
	hits, n := 0, 0
	for _, v := range asList(values) {
		n++
		hit := false
		if text, isText := v.(string); isText && mods["fieldref"] {
			for _, a := range found {
				for _, p := range r.paths(text) {
					for _, b := range lookUp(record, strings.Split(p, ".")) {
						hit = hit || refers(textOf(a), textOf(b), mods)
					}
				}
			}
		} else if v == nil || mods["exists"] {
			hit = (len(found) == 0) == (v == nil || v == false)
		} else {
			for _, x := range found {
				hit = hit || one(parts[1:], mods, v, x, parts[0] == "")
			}
		}
		if hit {
			hits++
		}
	}
	out := hits > 0
	if mods["all"] {
		out = hits == n
	}
	return out != mods["neq"]
}

func refers(a, b string, mods map[string]bool) bool {
	if !mods["cased"] {
		a, b = strings.ToLower(a), strings.ToLower(b)
	}
	switch {
	case mods["contains"]:
		return strings.Contains(a, b)
	case mods["startswith"]:
		return strings.HasPrefix(a, b)
	case mods["endswith"]:
		return strings.HasSuffix(a, b)
	}
	return a == b
}

// one compares one value of a rule with one of the record.
func one(chain []string, mods map[string]bool, want, got any, keyword bool) bool {
	text := textOf(got)
	switch {
	case mods["re"]:
		flags := ""
		for _, f := range []string{"i", "m", "s"} {
			if mods[f] {
				flags += f
			}
		}
		if flags != "" {
			flags = "(?" + flags + ")"
		}
		return regexp.MustCompile(flags + textOf(want)).MatchString(text)
	case mods["cidr"]:
		a, err := netip.ParseAddr(text)
		return err == nil && netip.MustParsePrefix(want.(string)).Masked().Contains(a)
	case mods["lt"], mods["lte"], mods["gt"], mods["gte"]:
		f, ok := got.(float64)
		limit, err := strconv.ParseFloat(textOf(want), 64)
		return ok && err == nil && (mods["lt"] && f < limit || mods["lte"] && f <= limit || mods["gt"] && f > limit || mods["gte"] && f >= limit)
	}
	// A text with wildcards: 0 and 1 represent * and ?, as runes that are in no text.
	const any, single = 0xf0000, 0xf0001
	forms := [][]rune{[]rune(textOf(want))}
	if s, ok := want.(string); ok {
		forms[0] = unescape([]rune(s), any, single)
	}
	for _, m := range chain {
		var next [][]rune
		for _, f := range forms {
			switch m {
			case "contains":
				next = append(next, append(append([]rune{any}, f...), any))
			case "startswith":
				next = append(next, append(append([]rune{}, f...), any))
			case "endswith":
				next = append(next, append([]rune{any}, f...))
			case "windash":
				next = append(next, dashed(f)...)
			case "wide", "utf16le":
				var out []rune
				for _, r := range f {
					out = append(out, r, 0)
				}
				next = append(next, out)
			case "utf16be":
				var out []rune
				for _, r := range f {
					out = append(out, 0, r)
				}
				next = append(next, out)
			case "base64":
				next = append(next, []rune(base64.StdEncoding.EncodeToString([]byte(string(f)))))
			case "base64offset":
				next = append(next, offsets(string(f))...)
			default:
				next = append(next, f)
			}
		}
		forms = next
	}
	for _, f := range forms {
		if keyword {
			f = append(append([]rune{any}, f...), any)
		}
		if wildcard(f, []rune(text), any, single, mods["cased"]) {
			return true
		}
	}
	return false
}

func unescape(s []rune, any, single rune) (out []rune) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.ContainsRune(`*?\`, s[i+1]):
			i++
			out = append(out, s[i])
		case s[i] == '*':
			out = append(out, any)
		case s[i] == '?':
			out = append(out, single)
		default:
			out = append(out, s[i])
		}
	}
	return out
}

func dashed(f []rune) [][]rune {
	for i, r := range f {
		if strings.ContainsRune("-/\u2013\u2014\u2015", r) {
			var out [][]rune
			for _, rest := range dashed(f[i+1:]) {
				for _, d := range "-/\u2013\u2014\u2015" {
					out = append(out, append(append(append([]rune{}, f[:i]...), d), rest...))
				}
			}
			return out
		}
	}
	return [][]rune{f}
}

// offsets are the parts of base64 that a text has at each of the three places in any longer text: those that are the same
// whatever comes before and after.
func offsets(s string) (out [][]rune) {
	for shift := range 3 {
		var same string
		for i, fill := range []string{"\x00\x00\x00", "\xff\xff\xff", "Zq7"} {
			whole := base64.StdEncoding.EncodeToString([]byte(fill[:shift] + s + fill))
			if i == 0 {
				same = whole
				continue
			}
			keep := []byte(same)
			for j := range keep {
				if whole[j] != keep[j] {
					keep[j] = 0
				}
			}
			same = string(keep)
		}
		// What differs is at the ends only. Characters of the fillers are equal by chance nowhere.
		out = append(out, []rune(strings.Trim(same, "\x00=")))
	}
	return out
}

// wildcard is the textbook match of a text with wildcards.
func wildcard(p, s []rune, any, single rune, cased bool) bool {
	at, star, back := 0, -1, 0
	i := 0
	for i < len(s) {
		switch {
		case at < len(p) && p[at] == any:
			star, back = at, i
			at++
		case at < len(p) && (p[at] == single || p[at] == s[i] || !cased && sameLetter(p[at], s[i])):
			at++
			i++
		case star >= 0:
			back++
			at, i = star+1, back
		default:
			return false
		}
	}
	for at < len(p) && p[at] == any {
		at++
	}
	return at == len(p)
}

func sameLetter(a, b rune) bool { return unicode.ToLower(a) == unicode.ToLower(b) }

// lookUp returns the values at a path that are not null; of lists on the way, those of all elements.
func lookUp(v any, keys []string) (out []any) {
	switch x := v.(type) {
	case nil:
		return nil
	case []any:
		if len(keys) > 0 {
			for _, e := range x {
				out = append(out, lookUp(e, keys)...)
			}
			return out
		}
	case map[string]any:
		if len(keys) > 0 {
			return lookUp(x[keys[0]], keys[1:])
		}
	}
	if len(keys) > 0 {
		return nil
	}
	return []any{v}
}

// textOf returns a value as text: JSON of a list and a mapping.
func textOf(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case uint64, int64, int:
		return fmt.Sprint(x)
	}
	return spelled(v)
}

// spelled returns a list or a mapping as JSON in which the texts have no escapes.
func spelled(v any) string {
	var parts []string
	switch x := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(x) {
			parts = append(parts, `"`+k+`":`+spelled(x[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		for _, e := range x {
			parts = append(parts, spelled(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case string:
		return `"` + x + `"`
	}
	return encode(v)
}

// encode returns a value as JSON with sorted keys.
func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
