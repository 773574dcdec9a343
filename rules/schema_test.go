package rules_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/rules/site"
)

// A node is a JSON Schema or a part of one.
type node = map[string]any

// check validates a value against a schema. It returns the first violation, or "". It supports the keywords that
// rule.schema.json uses; any other keyword fails the test, so that no part of the schema is ignored.
func check(t testing.TB, root, s node, v any, at string) string {
	t.Helper()
	for _, key := range slices.Sorted(mapKeys(s)) {
		if cause := keyword(t, root, s, key, v, at); cause != "" {
			return at + ": " + cause
		}
	}
	return ""
}

func mapKeys(m node) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// keyword checks a value against one keyword of a schema.
func keyword(t testing.TB, root, s node, key string, v any, at string) string {
	arg := s[key]
	switch key {
	case "$schema", "$id", "$defs", "title", "description", "default", "additionalProperties":
		return ""
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		return check(t, root, root["$defs"].(node)[name].(node), v, at)
	case "type":
		return typeOf(arg, v)
	case "enum":
		if !slices.Contains(arg.([]any), v) {
			return fmt.Sprintf("%v is not one of %v", v, arg)
		}
	case "const":
		if !reflect.DeepEqual(number(arg), number(v)) {
			return fmt.Sprintf("%v is not %v", v, arg)
		}
	case "pattern":
		if text, ok := v.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return fmt.Sprintf("%q does not match %s", text, arg)
		}
	case "anyOf", "oneOf":
		return alternatives(t, root, key, arg.([]any), v, at)
	case "properties":
		return properties(t, root, s, v, at)
	case "required":
		m, ok := v.(node)
		for _, name := range arg.([]any) {
			if _, there := m[name.(string)]; ok && !there {
				return fmt.Sprintf("%s is missing", name)
			}
		}
	case "items":
		for i, item := range list(v) {
			if cause := check(t, root, arg.(node), item, fmt.Sprintf("%s[%d]", at, i)); cause != "" {
				return cause
			}
		}
	case "uniqueItems":
		for i, item := range list(v) {
			if slices.ContainsFunc(list(v)[:i], func(o any) bool { return reflect.DeepEqual(o, item) }) {
				return fmt.Sprintf("%v occurs twice", item)
			}
		}
	default:
		return limit(t, key, arg, v)
	}
	return ""
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func number(v any) any {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case int:
		return float64(n)
	}
	return v
}

func typeOf(want, v any) string {
	types := map[string]bool{}
	switch n := number(v).(type) {
	case string:
		types["string"] = true
	case float64:
		types["number"] = true
		types["integer"] = n == float64(int64(n))
	case bool:
		types["boolean"] = true
	case node:
		types["object"] = true
	case []any:
		types["array"] = true
	}
	names, ok := want.([]any)
	if !ok {
		names = []any{want}
	}
	for _, name := range names {
		if types[name.(string)] {
			return ""
		}
	}
	return fmt.Sprintf("%v is not a %v", v, want)
}

func alternatives(t testing.TB, root node, key string, all []any, v any, at string) string {
	matching := 0
	last := ""
	for _, alt := range all {
		if cause := check(t, root, alt.(node), v, at); cause == "" {
			matching++
		} else {
			last = cause
		}
	}
	if matching == 0 || key == "oneOf" && matching > 1 {
		return fmt.Sprintf("%d alternatives match; the last that does not: %s", matching, last)
	}
	return ""
}

func properties(t testing.TB, root, s node, v any, at string) string {
	known := s["properties"].(node)
	m, ok := v.(node)
	if !ok {
		return ""
	}
	for _, name := range slices.Sorted(mapKeys(m)) {
		sub, ok := known[name].(node)
		if !ok {
			if s["additionalProperties"] == false {
				return fmt.Sprintf("unknown key %s", name)
			}
			continue
		}
		if cause := check(t, root, sub, m[name], at+"."+name); cause != "" {
			return cause
		}
	}
	return ""
}

func limit(t testing.TB, key string, arg, v any) string {
	bound := arg.(float64)
	size, ok := number(v).(float64)
	switch {
	case strings.HasSuffix(key, "Length"):
		var text string
		text, ok = v.(string)
		size = float64(len([]rune(text)))
	case strings.HasSuffix(key, "Items"):
		_, ok = v.([]any)
		size = float64(len(list(v)))
	case strings.HasSuffix(key, "Properties"):
		var m node
		m, ok = v.(node)
		size = float64(len(m))
	}
	bad := false
	switch key {
	case "minimum", "minLength", "minItems", "minProperties":
		bad = size < bound
	case "maximum", "maxLength", "maxItems", "maxProperties":
		bad = size > bound
	case "exclusiveMinimum":
		bad = size <= bound
	default:
		t.Fatalf("rule.schema.json uses %q, which this test does not support", key)
	}
	if ok && bad {
		return fmt.Sprintf("%v is outside %s %v", v, key, arg)
	}
	return ""
}

func ruleSchema(t testing.TB) node { return schemaOf(t, "rule.schema.json") }

func schemaOf(t testing.TB, file string) node {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s node
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLibraryIsBySchema checks every shipped rule against the schema.
func TestLibraryIsBySchema(t *testing.T) {
	s := ruleSchema(t)
	n := 0
	err := fs.WalkDir(library.FS, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(p, "lists/") {
			return err
		}
		text, _ := fs.ReadFile(library.FS, p)
		if _, root := doc.Parse(p, text); root != nil {
			if cause := check(t, s, s, root.Any(), p); cause != "" {
				t.Errorf("%s", cause)
			}
		}
		n++
		return nil
	})
	if err != nil || n < 18 {
		t.Errorf("got %d rules, %v", n, err)
	}
}

// TestCapabilitiesAreBySchema checks the shipped capabilities against their schema, and that it refuses what the loader refuses.
func TestCapabilitiesAreBySchema(t *testing.T) {
	s := schemaOf(t, "capabilities.schema.json")
	text, err := os.ReadFile("site/capabilities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, root := doc.Parse("capabilities.yaml", text)
	if cause := check(t, s, s, root.Any(), ""); cause != "" {
		t.Error(cause)
	}
	for _, bad := range []string{
		"x: 1", "capabilities: [{tools: [a]}]", "capabilities: [{tools: [a], labels: [b]}]", "words: {sends: [A_b]}", "words: {send: [a]}",
	} {
		_, root := doc.Parse("bad.yaml", []byte(bad))
		if check(t, s, s, root.Any(), "") == "" {
			t.Errorf("%s is accepted", bad)
		}
		if c, _ := site.ParseCapabilities("bad.yaml", []byte(bad)); c != nil {
			t.Errorf("the loader accepts %s", bad)
		}
	}
}

// TestSchemaHasTheKeysOfTheLoader checks that each mapping has exactly the same keys in the schema as in the loader.
func TestSchemaHasTheKeysOfTheLoader(t *testing.T) {
	const everything = `id: x
title: x
severity: low
when: "true"
group: {zz: 1}
threshold: {zz: 1, sum: {zz: 1}, ratio: {zz: 1}}
distinct: {zz: 1}
new_value: {zz: 1}
baseline: {zz: 1}
rarity: {zz: 1}
sequence: {zz: 1, steps: [{zz: 1}, {zz: 1}], unless: {zz: 1}}
absence: {zz: 1, after: {zz: 1}, expect: {zz: 1}, act: {zz: 1}, without: {zz: 1}, silent: {zz: 1}}
flow: {zz: 1, clear: {zz: 1}}
provenance: {zz: 1, from: {zz: 1}, known: {zz: 1}, into: {zz: 1}}
respond: [{zz: 1, contain: {zz: 1}}]
exceptions: [{zz: 1}]
tests: [{zz: 1, events: [{zz: 1}]}]
zz: 1
`
	known := map[string]string{} // mapping -> its keys as the loader names them
	kinds := []string{"threshold", "distinct", "new_value", "baseline", "rarity", "sequence", "absence", "flow", "provenance"}
	for _, kind := range kinds {
		var lines []string
		for l := range strings.Lines(everything) { // one clause at a time, because the loader reads only the first
			key, _, _ := strings.Cut(l, ":")
			if key == kind || !slices.Contains(kinds, key) {
				lines = append(lines, l)
			}
		}
		for _, p := range problems(t, strings.Join(lines, "")) {
			if _, keys, ok := strings.Cut(p.Cause, "known are "); ok {
				known[strings.TrimSuffix(strings.TrimSuffix(p.Key, "zz"), ".")] = keys
			}
		}
	}
	s := ruleSchema(t)
	got := map[string]string{}
	gather(s, "", got)
	for path, keys := range got {
		if known[path] != keys {
			t.Errorf("%q: the schema has %q, the loader %q", path, keys, known[path])
		}
	}
	if len(got) < 14 {
		t.Errorf("got %d mappings in the schema: %v", len(got), got)
	}
}

// gather collects the keys of every mapping of the schema with fixed keys.
func gather(s node, path string, out map[string]string) {
	if props, ok := s["properties"].(node); ok {
		out[path] = strings.Join(slices.Sorted(mapKeys(props)), ", ")
		for name, sub := range props {
			gather(sub.(node), strings.TrimPrefix(path+"."+name, "."), out)
		}
	}
	if items, ok := s["items"].(node); ok {
		gather(items, path+"[0]", out)
	}
}

// problems loads one rule file and returns its problems.
func problems(t testing.TB, text string) []rules.Problem {
	t.Helper()
	file := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, ps := rules.Load(rules.Options{}, file)
	return ps
}
