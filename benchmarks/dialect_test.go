package benchmarks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A dialect writes the conjunctions of the generated rules in the language of another engine, for the programs in peers/. The
// conditions read the raw paths of a record.
type dialect struct {
	file string // with %d for the number of rules
	text func(conjunctions []conjunction) string
}

var dialects = []dialect{
	{"cel-%d.txt", lines(celTerm, " && ")},
	{"vrl-%d.txt", lines(vrlTerm, " && ")},
	{"epl-%d.txt", lines(eplTerm, " and ")},
	{"sigma-%d.yml", sigmaRules},
	{"ruler-%d.jsonl", rulerRules},
}

// writeDialects writes the conjunctions in all dialects.
func writeDialects(tb testing.TB, dir string, conjunctions []conjunction) {
	for _, d := range dialects {
		path := filepath.Join(dir, fmt.Sprintf(d.file, len(conjunctions)))
		if err := os.WriteFile(path, []byte(d.text(conjunctions)), 0o666); err != nil {
			tb.Fatal(err)
		}
	}
}

// lines returns a dialect with one expression a line.
func lines(text func(t term, path string) string, and string) func([]conjunction) string {
	return func(conjunctions []conjunction) string {
		var b strings.Builder
		for _, c := range conjunctions {
			for i, t := range c {
				if i > 0 {
					b.WriteString(and)
				}
				b.WriteString(text(t, cloudTrailColumns[t.column].path))
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
}

// quotedList returns the texts in quotes, with commas between them.
func quotedList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = fmt.Sprintf("%q", text)
	}
	return strings.Join(quoted, ", ")
}

// globPattern returns a glob as an anchored regular expression.
func globPattern(glob string) string {
	return "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(glob)) + "$"
}

// celTerm returns a condition on the variable e, a map that has no key for an absent value.
func celTerm(t term, path string) string {
	name := "e." + path
	switch t.op {
	case opEqual:
		return fmt.Sprintf("%s == %q", name, t.raw[0])
	case opIn:
		return fmt.Sprintf("%s in [%s]", name, quotedList(t.raw))
	case opNotIn:
		return fmt.Sprintf("!(has(%s) && %s in [%s])", name, name, quotedList(t.raw))
	case opExists:
		return fmt.Sprintf("has(%s)", name)
	case opAbsent:
		return fmt.Sprintf("!has(%s)", name)
	case opGlob:
		return fmt.Sprintf("%s.matches(%q)", name, globPattern(t.raw[0]))
	}
	return fmt.Sprintf("%s.%s(%q)", name, t.op, t.raw[0])
}

// vrlTerm returns a condition of Vector's remap language.
func vrlTerm(t term, path string) string {
	name := "." + path
	switch t.op {
	case opEqual:
		return fmt.Sprintf("%s == %q", name, t.raw[0])
	case opIn:
		return fmt.Sprintf("includes([%s], %s)", quotedList(t.raw), name)
	case opNotIn:
		return fmt.Sprintf("!includes([%s], %s)", quotedList(t.raw), name)
	case opExists:
		return fmt.Sprintf("exists(%s)", name)
	case opAbsent:
		return fmt.Sprintf("!exists(%s)", name)
	case opPrefix:
		return fmt.Sprintf("(starts_with(%s, %q) ?? false)", name, t.raw[0])
	case opContains:
		return fmt.Sprintf("(contains(%s, %q) ?? false)", name, t.raw[0])
	}
	return fmt.Sprintf("(match(%s, r'%s') ?? false)", name, strings.ReplaceAll(globPattern(t.raw[0]), "'", `\'`))
}

// eplTerm returns a filter of Esper. A like without a wildcard at an end is anchored there. Esper reports an event once for each
// time that its value is in a list, so values that recur are left out.
func eplTerm(t term, path string) string {
	like := func(before, text, after string) string {
		text = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
		return fmt.Sprintf("%s like %q escape '!'", path, before+text+after)
	}
	switch t.op {
	case opEqual:
		return fmt.Sprintf("%s = %q", path, t.raw[0])
	case opIn:
		return fmt.Sprintf("%s in (%s)", path, quotedList(distinct(t.raw)))
	case opNotIn:
		return fmt.Sprintf("(%s is null or %s not in (%s))", path, path, quotedList(distinct(t.raw)))
	case opExists:
		return path + " is not null"
	case opAbsent:
		return path + " is null"
	case opPrefix:
		return like("", t.raw[0], "%")
	case opContains:
		return like("%", t.raw[0], "%")
	}
	text := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_", "*", "%", "?", "_").Replace(t.raw[0])
	return fmt.Sprintf("%s like %q escape '!'", path, text)
}

// distinct returns the texts without those that occurred before, in order.
func distinct(texts []string) (out []string) {
	for _, text := range texts {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// sigmaRules returns Sigma rules as documents of one YAML file. Sigma ignores case without the modifier cased.
func sigmaRules(conjunctions []conjunction) string {
	plain := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)
	var b strings.Builder
	for i, c := range conjunctions {
		fmt.Fprintf(&b, "---\ntitle: r%05d\nlogsource: {product: aws, service: cloudtrail}\ndetection:\n", i)
		condition := ""
		for n, t := range c {
			name, modifier, not := fmt.Sprintf("s%d", n), "|cased", ""
			values := make([]string, len(t.raw))
			for j, text := range t.raw {
				values[j] = plain.Replace(text)
			}
			switch t.op {
			case opNotIn:
				not = "not "
			case opPrefix:
				modifier = "|startswith|cased"
			case opContains:
				modifier = "|contains|cased"
			case opGlob:
				values = t.raw
			case opExists, opAbsent:
				modifier, values = "|exists", nil
			}
			list := fmt.Sprint(t.op == opExists)
			if values != nil {
				list = "[" + quotedList(values) + "]"
			}
			fmt.Fprintf(&b, "  %s:\n    %s%s: %s\n", name, cloudTrailColumns[t.column].path, modifier, list)
			if n > 0 {
				condition += " and "
			}
			condition += not + name
		}
		fmt.Fprintf(&b, "  condition: %s\n", condition)
	}
	return b.String()
}

// rulerRules returns patterns of event-ruler, one a line. Its wildcards have no sign for one character, so * takes the place
// of ?.
func rulerRules(conjunctions []conjunction) string {
	escape := strings.NewReplacer(`\`, `\\`, `*`, `\*`)
	var b strings.Builder
	for _, c := range conjunctions {
		rule := map[string]any{}
		for _, t := range c {
			var values []any
			switch t.op {
			case opEqual, opIn:
				for _, text := range t.raw {
					values = append(values, text)
				}
			case opNotIn:
				values = []any{map[string]any{"anything-but": t.raw}, map[string]any{"exists": false}}
			case opExists, opAbsent:
				values = []any{map[string]any{"exists": t.op == opExists}}
			case opPrefix:
				values = []any{map[string]any{"prefix": t.raw[0]}}
			case opContains:
				values = []any{map[string]any{"wildcard": "*" + escape.Replace(t.raw[0]) + "*"}}
			case opGlob:
				values = []any{map[string]any{"wildcard": starRuns.ReplaceAllString(strings.ReplaceAll(t.raw[0], "?", "*"), "*")}}
			}
			object := rule
			path := strings.Split(cloudTrailColumns[t.column].path, ".")
			for _, key := range path[:len(path)-1] {
				inner, _ := object[key].(map[string]any)
				if inner == nil {
					inner = map[string]any{}
					object[key] = inner
				}
				object = inner
			}
			object[path[len(path)-1]] = values
		}
		line, err := json.Marshal(rule)
		if err != nil {
			panic("BUG: texts and booleans cannot be marshaled: " + err.Error())
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// event-ruler refuses two stars in a row.
var starRuns = regexp.MustCompile(`\*+`)
