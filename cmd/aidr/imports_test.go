package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mayImport states the policy for imports: the packages of this module that each package may import. owners, below,
// lists libraries that belong to a single package. Do not edit either to fix a build: the code is wrong, unless the
// architecture changes on purpose. A trailing /... means a folder and everything below it. Tests may also import
// packages that they test with.
var mayImport = map[string][]string{
	"schema":                     {},
	"schema/scan":                {},
	"schema/content":             {"schema"},
	"schema/formats":             {"schema", "schema/scan"},
	"schema/formats/cloud":       {"schema", "schema/scan", "schema/formats", "schema/formats/llm"},
	"schema/formats/gateway":     {"schema", "schema/scan", "schema/formats", "schema/formats/llm"},
	"schema/formats/llm":         {"schema", "schema/scan", "schema/formats"},
	"schema/decode":              {"schema/..."},
	"rules/doc":                  {},
	"rules/site":                 {"schema", "schema/content", "rules/doc", "rules/predicate"},
	"rules/predicate":            {"schema", "schema/content"},
	"rules/expr":                 {"schema", "schema/content", "rules/doc", "rules/predicate"},
	"rules/match":                {"schema", "rules/predicate"},
	"rules/library":              {},
	"rules":                      {"schema/...", "rules/..."},
	"rules/sigma":                {"schema", "rules", "rules/doc", "rules/predicate"},
	"connectors":                 {"schema"},
	"connectors/conntest":        {"schema", "connectors"},
	"connectors/kafka":           {"schema", "connectors"},
	"connectors/file":            {"schema", "connectors", "connectors/avro"},
	"connectors/avro":            {},
	"connectors/protobuf":        {"connectors/avro"},
	"connectors/registry":        {"schema/scan", "connectors", "connectors/avro", "connectors/protobuf"},
	"connectors/maxmind":         {"schema"},
	"connectors/memory":          {"schema", "connectors"},
	"connectors/clickhouse":      {"schema", "connectors"},
	"connectors/clickhouse/host": {},
	"connectors/webhook":         {"schema", "connectors"},
	"connectors/decision":        {"schema", "schema/scan", "connectors"},
	"engine/flat":                {"schema"},
	"engine/item":                {"schema", "engine/flat"},
	"engine/capture":             {"schema", "schema/content", "rules", "rules/predicate", "engine/flat", "engine/item"},
	"engine/capture/capturetest": {"schema", "rules", "rules/predicate", "engine/item", "engine/capture"},
	"engine/fold":                {"schema", "rules", "rules/predicate", "engine/flat", "engine/item"},
	"engine/fold/reference":      {"schema", "rules", "rules/predicate", "engine/fold", "engine/item"},
	"engine/store":               {"schema", "connectors", "engine/flat"},
	"engine/clock":               {},
	"engine/inventory":           {"schema", "engine/flat"},
	"engine/tally":               {"schema", "engine/flat"},
	"engine/inventory/reference": {"schema", "engine/inventory"},
	"engine/gate":                {"schema", "connectors"},
	"engine/label":               {},
	"engine/contain":             {"schema", "connectors", "engine/clock", "engine/store"},
	"engine/triage":              {"schema", "connectors", "engine/clock", "engine/store"},
	"engine/deliver":             {"schema", "connectors", "engine/clock", "engine/inventory", "engine/store", "engine/tally"},
	"engine":                     {"schema/...", "rules/...", "connectors", "engine/..."},
	"engine/budget":              {},
	"engine/cases":               {"schema/...", "rules/...", "connectors", "connectors/memory", "engine"},
	"cmd/...":                    {"..."},
	"benchmarks":                 {"..."},
}

// owners lists the packages, separated by blanks, that may import a library. No other package may.
var owners = map[string]string{
	"github.com/goccy/go-yaml":                               "rules/doc",
	"github.com/google/cel-go":                               "rules/expr",
	"github.com/cockroachdb/pebble":                          "engine/store",
	"github.com/ebitengine/purego":                           "connectors/clickhouse/host",
	"github.com/ClickHouse/clickhouse-go":                    "connectors/clickhouse",
	"github.com/oschwald/maxminddb-golang":                   "connectors/maxmind",
	"github.com/segmentio/kafka-go":                          "connectors/kafka cmd/aidr/demo",
	"github.com/aws/aws-sdk-go-v2":                           "connectors/kafka",
	"golang.org/x/oauth2":                                    "connectors/kafka",
	"github.com/hashicorp/golang-lru/v2":                     "connectors/registry connectors/webhook",
	"github.com/twmb/avro":                                   "connectors/avro",
	"github.com/bufbuild/protocompile":                       "connectors/protobuf",
	"golang.org/x/time":                                      "connectors/webhook",
	"google.golang.org/grpc":                                 "connectors/decision",
	"github.com/envoyproxy/go-control-plane":                 "connectors/decision",
	"pgregory.net/rapid":                                     "",
	"github.com/standard-webhooks":                           "",
	"github.com/chromedp":                                    "",
	"github.com/valyala/fastjson":                            "",
	"github.com/twmb/franz-go/pkg/kfake":                     "cmd/aidr/demo",
	"github.com/aidr-engine/aidr/engine/fold/reference":      "",
	"github.com/aidr-engine/aidr/engine/inventory/reference": "",
}

const module = "github.com/aidr-engine/aidr/"

func TestImports(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2 {
			return fs.SkipDir
		}
		if d != nil && d.IsDir() && path != root {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return fs.SkipDir // another module, such as a peer of the benchmarks
			}
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		checkImports(t, filepath.ToSlash(rel), path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, rel, path string) {
	pkg := strings.TrimSuffix(rel[:strings.LastIndex(rel, "/")+1], "/")
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			t.Errorf("%s has a func init: nothing happens on import", rel)
		}
	}
	test := strings.HasSuffix(rel, "_test.go") || pkg == "connectors/conntest"
	allowed, ok := allowedFor(pkg)
	if !ok {
		t.Errorf("%s: package %s has no row in the table of imports", rel, pkg)
	}
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Error(err)
			continue
		}
		if test {
			continue
		}
		if ours, is := strings.CutPrefix(name, module); is && !matches(allowed, ours) {
			t.Errorf("%s imports %s, which %s may not", rel, ours, pkg)
		}
		for library, owner := range owners {
			if strings.HasPrefix(name, library) && !strings.Contains(" "+owner+" ", " "+pkg+" ") {
				t.Errorf("%s imports %s, which belongs to %q alone", rel, name, owner)
			}
		}
	}
}

func allowedFor(pkg string) ([]string, bool) {
	if a, ok := mayImport[pkg]; ok {
		return a, true
	}
	for k, a := range mayImport {
		if folder, ok := strings.CutSuffix(k, "/..."); ok && (pkg == folder || strings.HasPrefix(pkg, folder+"/")) {
			return a, true
		}
	}
	return nil, false
}

func matches(allowed []string, pkg string) bool {
	for _, a := range allowed {
		folder, below := strings.CutSuffix(a, "...")
		folder = strings.TrimSuffix(folder, "/")
		if a == pkg || below && (folder == "" || pkg == folder || strings.HasPrefix(pkg, folder+"/")) {
			return true
		}
	}
	return false
}
