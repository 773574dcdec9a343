package schema

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the files generated from field.tsv")

type fieldRow struct{ name, typ, doc, ocsf, ecs, otel string }

func readFieldRows(t *testing.T) []fieldRow {
	t.Helper()
	src, err := os.ReadFile("field.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var rows []fieldRow
	for _, line := range strings.Split(strings.TrimRight(string(src), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := strings.Split(line, "\t")
		if len(c) != 6 {
			t.Fatalf("field.tsv: %q has %d columns, want 6", line, len(c))
		}
		rows = append(rows, fieldRow{c[0], c[1], c[2], c[3], c[4], c[5]})
	}
	return rows
}

var initialisms = map[string]string{
	"id": "ID", "uid": "UID", "ip": "IP", "url": "URL", "http": "HTTP", "ai": "AI", "mcp": "MCP",
	"as": "AS", "iso": "ISO", "uri": "URI", "gen": "Gen", "raw": "Raw",
}

// goName returns the name of the constant for a dotted name: GenAIToolName for gen_ai.tool.name.
func goName(name string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' }) {
		if s, ok := initialisms[part]; ok {
			b.WriteString(s)
		} else {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

func generateGo(rows []fieldRow) []byte {
	typeNames := map[string]string{
		"string": "TypeString", "int": "TypeInt", "double": "TypeDouble", "bool": "TypeBool",
		"timestamp": "TypeTimestamp", "dyn": "TypeDyn", "list": "TypeList",
	}
	var b bytes.Buffer
	b.WriteString("// Code generated from field.tsv by go test ./schema -run TestFieldsAreCurrent -update; DO NOT EDIT.\n\n")
	b.WriteString("package schema\n\n")
	b.WriteString("// The fields of an event, in the order of the table. Numbers are never stored; names are.\nconst (\n")
	for i, r := range rows {
		kind := ""
		if i == 0 {
			kind = " Field = iota"
		}
		fmt.Fprintf(&b, "\t// %s: %s\n\t%s%s\n", r.name, r.doc, goName(r.name), kind)
	}
	fmt.Fprintf(&b, ")\n\n// NumFields is the number of fields.\nconst NumFields = %d\n\nvar fieldInfo = [NumFields]FieldInfo{\n", len(rows))
	for _, r := range rows {
		fmt.Fprintf(&b, "\t%s: {\n\t\tName: %q, Type: %s,\n\t\tDoc: %q,\n", goName(r.name), r.name, typeNames[r.typ], r.doc)
		fmt.Fprintf(&b, "\t\tOCSF: %q, ECS: %q, OTel: %q,\n\t},\n", r.ocsf, r.ecs, r.otel)
	}
	b.WriteString("}\n")
	out, err := format.Source(b.Bytes())
	if err != nil {
		panic(err)
	}
	return out
}

func generateMarkdown(rows []fieldRow) []byte {
	var b bytes.Buffer
	b.WriteString("# The normalised event\n\nGenerated from `field.tsv`. Durations are nanoseconds, sizes are bytes, times are UTC. ")
	b.WriteString("A field that a record does not have is absent.\n\n")
	b.WriteString("| field | type | meaning | OCSF 1.9-dev | ECS | OpenTelemetry |\n|---|---|---|---|---|---|\n")
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return strings.ReplaceAll(s, "|", "\\|")
	}
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", r.name, r.typ, r.doc, dash(r.ocsf), dash(r.ecs), dash(r.otel))
	}
	return b.Bytes()
}

func TestFieldsAreCurrent(t *testing.T) {
	rows := readFieldRows(t)
	for file, want := range map[string][]byte{"field.go": generateGo(rows), "FIELDS.md": generateMarkdown(rows)} {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s does not match field.tsv: run go test ./schema -run TestFieldsAreCurrent -update", file)
		}
	}
}

// TestFieldNamesSuitCEL checks that no name is a dotted prefix of another, which CEL would shadow because it resolves the
// longest name first, and that no name begins with a reserved word, which CEL would not parse.
func TestFieldNamesSuitCEL(t *testing.T) {
	reserved := strings.Fields("as break const continue else false for function if import in let loop package namespace null return " +
		"true var void while raw lists agent")
	rows := readFieldRows(t)
	for _, a := range rows {
		for _, b := range rows {
			if strings.HasPrefix(b.name, a.name+".") {
				t.Errorf("%s is a dotted prefix of %s", a.name, b.name)
			}
		}
		for _, word := range reserved {
			if first, _, _ := strings.Cut(a.name, "."); first == word {
				t.Errorf("%s begins with the reserved word %s", a.name, word)
			}
		}
	}
}
