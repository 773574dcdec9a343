package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/kafka"
	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/rules/doc"
)

var update = flag.Bool("update", false, "write KEYS.md from the structs")

// keysIntro is the beginning of KEYS.md.
const keysIntro = "# The keys of the configuration\n\n" +
	"`aidr config keys` prints this page, `aidr config init` writes a first configuration, and `aidr config check` checks one.\n" +
	"The file is strict YAML: unknown keys, duplicate keys and values of another type are errors. A text may hold `${NAME}`, an\n" +
	"environment variable, and `${file:PATH}`, the content of a file; `$$` is a dollar sign. A duration is written with units, as in\n" +
	"500ms, 90s, 5m, 12h, 30d. Relative paths are relative to the working directory. `[]` stands for each element of a list. A key\n" +
	"without a default may be left out.\n\n" +
	"This page is generated: `go test ./cmd/aidr/config -run TestKeys -update`.\n"

// keyDefaults returns the defaults as they are in the code, by key.
func keyDefaults() map[string]string {
	d := doc.FormatDuration
	var retries []string
	for _, pause := range webhook.DefaultRetries() {
		retries = append(retries, d(pause))
	}
	return map[string]string{
		"rules":                               "[library]",
		"shards":                              "one per core",
		"memory":                              "GOMEMLIMIT, or 90 % of the limit of the container, or 2GiB",
		"sources[].name":                      "source-1, source-2 ...",
		"sources[].format":                    auto,
		"sources[].idle":                      d(engine.DefaultIdle),
		"sources[].silent_after":              d(DefaultSilentAfter),
		"sources[].delay":                     "30s; 20m for cloud audit logs",
		"sources[].datasets":                  "all of the format",
		"sources[].kafka.group":               DefaultGroup("NAME"),
		"sources[].kafka.start":               "first",
		"sources[].kafka.client_id":           "aidr",
		"sources[].kafka.session":             d(kafka.DefaultSession),
		"sources[].file.follow":               "false",
		"state.dir":                           "./state",
		"state.outbox_mb":                     fmt.Sprint(DefaultOutbox >> 20),
		"state.findings_keep":                 d(DefaultFindingsKeep),
		"state.checkpoint_every":              d(engine.DefaultCheckpointEvery),
		"state.cells":                         fmt.Sprint(engine.DefaultCacheCells),
		"decisions.points[].unknown":          "allow",
		"telemetry.every":                     d(DefaultTelemetryEvery),
		"telemetry.traces":                    fmt.Sprint(DefaultTraces),
		"telemetry.tls":                       "for https the authorities of the system",
		"canary.every":                        d(DefaultCanaryEvery),
		"canary.within":                       d(DefaultCanaryWithin),
		"response.automation":                 string(contain.AutomationEnforce),
		"response.max_contained":              fmt.Sprint(contain.DefaultMaxContained),
		"response.max_share":                  fmt.Sprint(contain.DefaultMaxShare),
		"response.cooldown":                   d(contain.DefaultCooldown),
		"response.ask_for":                    d(contain.DefaultAskFor),
		"response.approval_for":               d(contain.DefaultApprovalFor),
		"response.verify_after":               d(contain.DefaultVerifyAfter),
		"response.grace":                      d(contain.DefaultGrace),
		"response.keep":                       d(contain.DefaultKeep),
		"sinks.clickhouse.migrate":            "true",
		"sinks.clickhouse.ttl":                d(clickhouse.DefaultTTL),
		"sinks.clickhouse.events_ttl":         d(clickhouse.DefaultEventsTTL),
		"sinks.clickhouse.events":             "off",
		"sinks.clickhouse.rows":               fmt.Sprint(clickhouse.DefaultRows),
		"sinks.clickhouse.linger":             d(clickhouse.DefaultLinger),
		"sinks.webhooks[].name":               "webhook-1, webhook-2 ...",
		"sinks.webhooks[].format":             string(webhook.FormatAIDR),
		"sinks.webhooks[].timeout":            d(webhook.DefaultTimeout),
		"sinks.webhooks[].retries":            strings.Join(retries, ", "),
		"sinks.webhooks[].concurrency":        fmt.Sprint(webhook.DefaultConcurrency),
		"sinks.webhooks[].rate":               "no limit",
		"sinks.webhooks[].filter":             "all findings",
		"http.pprof":                          "false",
		"log.format":                          "text",
		"log.level":                           "info",
		"redact":                              "credentials are replaced in every field",
		"sources[].kafka.tls":                 "false",
		"sources[].kafka.tls.ca":              "authorities of the system",
		"sources[].kafka.sasl.oauth.provider": kafka.ProviderClient,
		"sources[].kafka.sasl.oauth.ca":       "authorities of the system",
		"sources[].kafka.sasl.oauth.region":   "AWS_REGION",
		"sources[].kafka.registry.id_bytes":   "4",
		"sources[].kafka.registry.tls.ca":     "authorities of the system",
		"sources[].kafka.tls.server_name":     "host of the broker",
	}
}

// key is one row of KEYS.md.
type key struct {
	path, kind, unit, meaning string
	required                  bool
}

// keySection is a mapping with fixed keys.
type keySection struct {
	path string // "" for the whole file
	keys []key
}

// sectionsOf returns the section of a struct and those below it.
func sectionsOf(t *testing.T, path string, typ reflect.Type, comments map[string]string) []keySection {
	s := keySection{path: path}
	var below []keySection
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		k := key{
			path: strings.TrimPrefix(path+"."+name, "."), kind: f.Tag.Get("type"), unit: f.Tag.Get("unit"),
			required: option == "required", meaning: comments[fmt.Sprintf("%s.%d", typ.Name(), i)],
		}
		elem := f.Type
		if elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
			elem = elem.Elem()
		}
		inner := k.path
		if f.Type.Kind() == reflect.Slice {
			inner += "[]"
		}
		if name == "[]" { // the struct is a list in the file
			return sectionsOf(t, path+"[]", elem, comments)
		}
		if elem.Kind() == reflect.Struct && elem.PkgPath() == typ.PkgPath() && elem.NumField() > 0 {
			below = append(below, sectionsOf(t, inner, elem, comments)...)
			if k.kind == "" && inner != k.path {
				k.kind = "list of mappings"
			} else if k.kind == "" {
				k.kind = "mapping"
			}
		}
		if k.kind == "" {
			k.kind = kindOf(f.Type)
		}
		if k.unit == "" && strings.Contains(k.kind, "duration") {
			k.unit = "ms, s, m, h, d"
		}
		if k.meaning == "" || k.kind == "" {
			t.Errorf("%s.%s: has the kind %q and the comment %q: write both", typ.Name(), f.Name, k.kind, k.meaning)
		}
		s.keys = append(s.keys, k)
	}
	return append([]keySection{s}, below...)
}

func kindOf(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[time.Time]():
		return "day"
	case reflect.TypeFor[[]time.Duration]():
		return "list of durations"
	case reflect.TypeFor[[]string]():
		return "list of texts"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "whole number"
	case reflect.Float64:
		return "number"
	}
	return ""
}

// fieldComments returns the comments above the fields of this package's structs, by name of the struct and number of
// the field.
func fieldComments(t *testing.T) map[string]string {
	comments := map[string]string{}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				number := 0
				for _, f := range st.Fields.List {
					comments[fmt.Sprintf("%s.%d", spec.Name.Name, number)] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					number += max(1, len(f.Names))
				}
			}
			return true
		})
	}
	return comments
}

// page returns KEYS.md.
func page(sections []keySection, defaults map[string]string) string {
	var b strings.Builder
	b.WriteString(keysIntro)
	cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
	for _, s := range sections {
		title := "`" + s.path + "`"
		if s.path == "" {
			title = "Top level"
		}
		fmt.Fprintf(&b, "\n## %s\n\n| key | type | default | unit | meaning |\n|---|---|---|---|---|\n", title)
		for _, k := range s.keys {
			absent := defaults[k.path]
			if k.required {
				absent = "required"
			}
			name := strings.TrimPrefix(strings.TrimPrefix(k.path, s.path), ".")
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, k.kind, cell(absent), k.unit, cell(k.meaning))
		}
	}
	return b.String()
}

// TestKeys holds KEYS.md to the structs, and the structs to the reader: every key that the reader accepts is on the page, and
// no other.
func TestKeys(t *testing.T) {
	sections := sectionsOf(t, "", reflect.TypeFor[Config](), fieldComments(t))
	defaults := keyDefaults()
	for _, s := range sections {
		known, needed := readerKeys(t, s.path)
		var on, required []string
		for _, k := range s.keys {
			name := k.path[strings.LastIndex(k.path, ".")+1:]
			on = append(on, name)
			if k.required {
				required = append(required, name)
			}
			delete(defaults, k.path)
		}
		slices.Sort(on)
		if !slices.Equal(on, known) {
			t.Errorf("%q: the structs have the keys %q, the reader reads %q", s.path, on, known)
		}
		for _, name := range required {
			if !slices.Contains(needed, name) {
				t.Errorf("%q: %q is required on the page, but not by the reader", s.path, name)
			}
		}
		for _, name := range needed {
			if !slices.Contains(required, name) {
				t.Errorf("%q: %q is required by the reader, but not on the page", s.path, name)
			}
		}
	}
	for path := range defaults {
		t.Errorf("there is no key %q to have a default", path)
	}
	want := page(sections, keyDefaults())
	if *update {
		if err := os.WriteFile("KEYS.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if Keys != want {
		t.Error("KEYS.md is not up to date: run go test ./cmd/aidr/config -run TestKeys -update")
	}
}

// readerKeys returns the keys that the reader knows in a section, and those whose absence it reports.
func readerKeys(t *testing.T, path string) (known, needed []string) {
	t.Helper()
	const unknown = "no_such_key"
	text := "{" + unknown + ": 1}"
	if path != "" {
		parts := strings.Split(path, ".")
		for _, part := range slices.Backward(parts) {
			if name, list := strings.CutSuffix(part, "[]"); list {
				text = "{" + name + ": [" + text + "]}"
			} else {
				text = "{" + name + ": " + text + "}"
			}
		}
	}
	_, problems := person(text + "\n")
	at := strings.ReplaceAll(path, "[]", "[0]")
	for _, p := range problems {
		if p.Key == strings.TrimPrefix(at+"."+unknown, ".") {
			_, list, _ := strings.Cut(p.Cause, "known are ")
			known = strings.Split(list, ", ")
		}
		if name, ok := strings.CutSuffix(p.Cause, "\" is missing"); ok && p.Key == at {
			needed = append(needed, strings.TrimPrefix(name, "\""))
		}
	}
	if known == nil {
		t.Fatalf("%q: the reader does not report an unknown key in %s:\n%s", path, text, texts(problems))
	}
	return known, needed
}
