package console

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestBannedTypes checks that no code of the package marks a text as safe.
func TestBannedTypes(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	banned := map[string]bool{"HTML": true, "HTMLAttr": true, "JS": true, "JSStr": true, "URL": true, "CSS": true, "Srcset": true}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range tree.Imports {
			if i.Path.Value == `"text/template"` || i.Path.Value == `"html/template"` && i.Name != nil {
				t.Errorf("%s imports %s as %v", file.Name(), i.Path.Value, i.Name)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "template" && banned[s.Sel.Name] {
					t.Errorf("%s uses template.%s, which switches escaping off", file.Name(), s.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestTemplates checks that templates have no inline script or style, none of htmx's attributes that evaluate text, and no address
// outside of the console.
func TestTemplates(t *testing.T) {
	banned := map[string]*regexp.Regexp{
		"an inline style":             regexp.MustCompile(`(?i)\sstyle\s*=|<style`),
		"an inline script":            regexp.MustCompile(`(?i)<script(>|\s+(?:[^s]|s[^r]))|\son[a-z]+\s*=`),
		"an attribute that evaluates": regexp.MustCompile(`(?i)hx-on|hx-vals|hx-vars|hx-headers|hx-ext|js:|javascript:|hx-trigger="[^"]*\[`),
		"an address elsewhere":        regexp.MustCompile(`(?i)(src|href|action|hx-get|hx-post)\s*=\s*["']?\s*(https?:|//)`),
		"an unquoted attribute":       regexp.MustCompile(`=\{\{`),
		"an action by GET":            regexp.MustCompile(`(?i)hx-(post|put|delete|patch)`),
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d templates: %v", len(files), err)
	}
	for _, file := range files {
		text, err := templateFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, form := range banned {
			if hit := form.FindString(string(text)); hit != "" {
				t.Errorf("%s has %s: %q", file, what, hit)
			}
		}
	}
	script, err := staticFiles.ReadFile("static/app.js")
	if err != nil {
		t.Fatal(err)
	}
	if hit := regexp.MustCompile(`innerHTML|outerHTML\s*=|insertAdjacent|document\.write|eval\(|Function\(|setTimeout\("|\.style\b`).FindString(string(script)); hit != "" {
		t.Errorf("app.js uses %q", hit)
	}
}
