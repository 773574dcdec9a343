package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages are the templates by name of the page: each with the layout and the parts of all pages. The types of html/template that
// mark text as safe are not used in this package, see TestBannedTypes.
var pages = parsePages()

// shared are the files that belong to every page.
var shared = []string{"templates/layout.html", "templates/parts.html"}

func parsePages() map[string]*template.Template {
	out := map[string]*template.Template{}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic("BUG: the templates are embedded: " + err.Error())
	}
	base := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, shared...))
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		out[name] = template.Must(template.Must(base.Clone()).ParseFS(templateFiles, file))
	}
	return out
}

// functions are the functions of the templates.
var functions = template.FuncMap{
	"runs": Runs, "plain": func(v any) string { return Plain(fmt.Sprint(v)) }, "link": address, "iso": iso, "utc": utc, "age": age, "severity": severityClass, "spark": sparkline,
	"number": number, "asset": assetPath, "value": fieldText, "add": func(a, b int) int { return a + b }, "short": short,
	"words": func(s string) string { return Plain(strings.ReplaceAll(s, "_", " ")) }, "use": useOf, "json": jsonText, "list": func(v ...any) []any { return v },
	"sevof": func(v any) schema.Severity { return schema.Severity(fmt.Sprint(v)) }, "str": func(v any) string { return fmt.Sprint(v) },
	"plural": plural, "half": func(x, w int) int { return x + w/2 }, "navigation": navigation, "newcount": newCount, "mib": func(n int64) int64 { return n >> 20 },
	"percent": percent, "keyline": keyLine,
	"gotime": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
	"before": func(t schema.Instant) string { return t.Sub(storyMargin).String() }, "after": func(t schema.Instant) string { return t.Add(storyMargin).String() },
}

// iso returns an instant for machines.
func iso(t schema.Instant) string { return t.String() }

// timeOf returns an instant as a time in UTC.
func timeOf(t schema.Instant) time.Time { return time.Unix(0, int64(t)).UTC() }

// utc returns an instant for people, to the millisecond.
func utc(t schema.Instant) string { return timeOf(t).Format("2006-01-02 15:04:05.000") }

// age returns how long ago an instant of the wall clock was, in the largest unit that fits.
func age(t schema.Instant) string { return span(time.Since(timeOf(t))) }

// span returns a duration in the largest unit that fits.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "in " + span(-d)
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// number returns a whole number with thin spaces between its thousands.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

// plural returns a number with its noun.
func plural(n any, noun string) string {
	if fmt.Sprint(n) == "1" {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// severityClass returns the class of a severity in the style sheet.
func severityClass(s schema.Severity) string {
	if s.Rank() < 0 {
		return "sev-info"
	}
	return "sev-" + string(s)
}

// shortened is the length of a long id in a table: enough to tell two apart.
const shortened = 22

// short cuts a long id, such as a hash, for a table. The whole of it is in the title of the element.
func short(s string) string {
	if r := []rune(s); len(r) > shortened {
		return string(r[:shortened-1]) + "…"
	}
	return s
}

// fieldText returns the value of a field of an event as text: texts as they are, others as JSON.
func fieldText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return jsonText(v)
}

func jsonText(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// storyMargin is the time around a finding that its story covers.
const storyMargin = 15 * time.Minute

// newCount returns the number of values that are new within a week.
func newCount(r api.Risk) (n int) {
	for _, names := range r.New {
		n += len(names)
	}
	return n
}

// navGroup is a group of entries of the navigation.
type navGroup struct {
	Title   string
	Entries []navEntry
}

type navEntry struct{ Name, Title, Path string }

// navigation returns the entries of the navigation.
func navigation() []navGroup {
	return []navGroup{
		{"On duty", []navEntry{{"queue", "Queue", "/"}, {"findings", "Findings", "/findings"}, {"contained", "Contained", "/contained"},
			{"report", "Shift report", "/report"}}},
		{"Inventory", []navEntry{{"agents", "Agents", "/agents"}, {"credentials", "Credentials", "/credentials"}, {"tools", "Tools and models", "/tools"},
			{"flows", "Flows", "/flows"}}},
		{"Engine", []navEntry{{"pipeline", "Pipeline", "/pipeline"}, {"coverage", "Coverage", "/coverage"}, {"tail", "Live tail", "/tail"}, {"try", "Try a rule", "/try"}}},
	}
}
