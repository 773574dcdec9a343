package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"text/template/parse"
	"unicode/utf8"
)

const (
	// MaxTemplate is the largest size of a template in bytes.
	MaxTemplate = 64 << 10
	// maxSteps is the number of passes through loops and of calls of other templates that one body may take. It bounds the
	// time of a template that counts to a billion without printing anything.
	maxSteps = 20_000
)

// The template is escaped as the content of a script element of type application/json: html/template then knows for each
// value whether it is inside a text or outside of quotes, and escapes or encodes it accordingly.
const (
	scriptBegin = `<script type="application/json">`
	scriptEnd   = `</script>`
)

// bodyTemplate renders a body from a template of the operator's. The data is the body of FormatAIDR, so a template reads
// {{.data.title}}. A value within quotes is escaped, and a value outside of quotes becomes JSON, so no finding changes the
// structure of a body.
type bodyTemplate struct {
	set *template.Template
}

func newTemplateForm(text, base string) (*form, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	f := &form{contentType: "application/json", render: t.render}
	for _, typ := range Types() {
		e := SampleEntry(typ)
		if _, err := fit(&e, pages{base: base}, t.render); err != nil {
			return nil, fmt.Errorf("with a %s: %w", typ, err)
		}
	}
	return f, nil
}

// CheckTemplate reports whether Config.Template can be used, by rendering made-up findings with it.
func CheckTemplate(text string) error {
	_, err := newTemplateForm(text, "")
	return err
}

// parseTemplate parses a template and adds a count of steps to its loops.
func parseTemplate(text string) (*bodyTemplate, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("is empty: want JSON with actions such as {{.data.title}}")
	case len(text) > MaxTemplate:
		return nil, fmt.Errorf("has %d bytes, want at most %d", len(text), MaxTemplate)
	case strings.Contains(strings.ToLower(text), "</script"):
		return nil, errors.New("contains </script, which no JSON needs: write <\\/script")
	case strings.Contains(text, "`"):
		return nil, errors.New("contains a backquote, which is no part of JSON: write a text of an action in double quotes")
	}
	set, err := template.New("body").Option("missingkey=zero").Funcs(templateFuncs(new(int))).Parse(scriptBegin + text + scriptEnd)
	if err != nil {
		return nil, err
	}
	counter, err := template.New("count").Funcs(templateFuncs(new(int))).Parse("{{if step}}{{end}}")
	if err != nil {
		return nil, err
	}
	step := counter.Tree.Root.Nodes[0]
	for _, t := range set.Templates() {
		if t.Tree != nil {
			countSteps(t.Tree.Root, step)
			t.Tree.Root.Nodes = append([]parse.Node{step.Copy()}, t.Tree.Root.Nodes...)
		}
	}
	return &bodyTemplate{set}, nil
}

// countSteps adds the node step to the beginning of each loop below a node.
func countSteps(n parse.Node, step parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			countSteps(c, step)
		}
	case *parse.IfNode:
		countSteps(n.List, step)
		countSteps(n.ElseList, step)
	case *parse.WithNode:
		countSteps(n.List, step)
		countSteps(n.ElseList, step)
	case *parse.RangeNode:
		countSteps(n.List, step)
		countSteps(n.ElseList, step)
		n.List.Nodes = append([]parse.Node{step.Copy()}, n.List.Nodes...)
	}
}

// templateFuncs returns the functions of templates beside those of text/template. They depend on nothing but their
// arguments. steps counts the calls of step.
func templateFuncs(steps *int) template.FuncMap {
	return template.FuncMap{
		"upper": strings.ToUpper,
		"lower": strings.ToLower,
		"join":  joinAny,
		"truncate": func(n int, s string) string {
			return truncate(s, max(0, n))
		},
		"default": func(fallback, v any) any {
			if v == nil || v == "" {
				return fallback
			}
			return v
		},
		"step": func() (bool, error) {
			if *steps++; *steps > maxSteps {
				return false, fmt.Errorf("takes more than %d steps", maxSteps)
			}
			return false, nil
		},
	}
}

// joinAny joins the elements of a list.
func joinAny(separator string, list any) string {
	items, _ := list.([]any)
	texts := make([]string, len(items))
	for i, v := range items {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, separator)
}

// limitedWriter fails once more than a body's bytes were written, so that a template cannot use up memory.
type limitedWriter struct {
	bytes.Buffer
	limit int
}

var errTooLarge = errors.New("the body is too large")

func (w *limitedWriter) Write(b []byte) (int, error) {
	if w.Len()+len(b) > w.limit {
		return 0, errTooLarge
	}
	return w.Buffer.Write(b)
}

// maxTemplateOutput bounds the output of a template before white space is removed, which templates have a lot of.
const maxTemplateOutput = 16 * MaxBody

func (t *bodyTemplate) render(m *message) ([]byte, error) {
	b, err := encode(m)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var values map[string]any
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	set, err := t.set.Clone()
	if err != nil {
		return nil, err
	}
	out := &limitedWriter{limit: maxTemplateOutput}
	switch err := set.Funcs(templateFuncs(new(int))).Execute(out, templateNumbers(values)); {
	case errors.Is(err, errTooLarge):
		return bytes.Repeat([]byte(" "), MaxBody+1), nil // fit reduces the finding
	case err != nil:
		return nil, errors.New(strings.ReplaceAll(oneLine(err.Error()), scriptBegin, ""))
	}
	body := bytes.TrimSuffix(bytes.TrimPrefix(out.Bytes(), []byte(scriptBegin)), []byte(scriptEnd))
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		return nil, fmt.Errorf("the output is not JSON: %w: %s", err, around(body, err))
	}
	if !utf8.Valid(compact.Bytes()) {
		return nil, errors.New("the output is not UTF-8")
	}
	return compact.Bytes(), nil
}

// around returns the part of a body in which a syntax error is.
func around(body []byte, err error) string {
	const before, after = 40, 20
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return ""
	}
	at := min(int(syntax.Offset), len(body))
	return oneLine(string(body[max(0, at-before):min(len(body), at+after)]))
}

// templateNumbers replaces numbers by integers or floats, which a template can compare, and which html/template encodes as
// numbers. A json.Number is a string for it.
func templateNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = templateNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = templateNumbers(v[i])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if x, err := v.Float64(); err == nil {
			return x
		}
		return v.String()
	}
	return v
}
