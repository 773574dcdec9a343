package sigma

import (
	"encoding/json"
	"fmt"
	"strings"
)

// writer writes a rule file.
type writer struct{ b strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.b, format+"\n", args...) }

// text writes a key with a text.
func (w *writer) text(key, value string) {
	if value != "" {
		w.line("%s: %s", key, yamlText(value))
	}
}

// list writes a key with a list of texts, on one line if it is short.
func (w *writer) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	n := len(key)
	for i, v := range values {
		quoted[i] = yamlText(v)
		n += len(quoted[i]) + 2
	}
	if n <= lineWidth {
		w.line("%s: [%s]", key, strings.Join(quoted, ", "))
		return
	}
	w.line("%s:", key)
	for _, q := range quoted {
		w.line("  - %s", q)
	}
}

// yamlText returns a text as a YAML value: bare if it cannot be mistaken for anything else, else in double quotes.
func yamlText(s string) string {
	bare := s != ""
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !(r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')) {
			bare = false
		}
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		bare = false
	}
	if bare {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("BUG: " + err.Error()) // a text always has a form in JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// severities are the severities of Sigma's levels.
var severities = map[string]string{"informational": "info", "low": "low", "medium": "medium", "high": "high", "critical": "critical"}

// stage returns the status of the translated rule.
func (o *rule) stage() string {
	switch {
	case o.block:
		return "block"
	case o.status == "experimental":
		return "shadow"
	case o.status == "deprecated" || o.status == "unsupported":
		return "disabled"
	}
	return "stable"
}

// text returns the rule file. ok is false if the correlation cannot be translated; its problems are recorded.
func (o *rule) text(known map[string]string) (text string, ok bool) {
	w := &writer{}
	w.line("# Translated by aidr rules import sigma from %s:%d.", comment(o.file), o.at.Line)
	if o.id != "" {
		w.line("# Sigma id: %s", comment(o.id))
	}
	if o.author != "" {
		w.line("# Author: %s", comment(o.author))
	}
	if o.license != "" {
		w.line("# License: %s", comment(o.license))
	}
	w.line("id: %s", o.outID)
	w.text("title", shorten(o.title))
	w.text("description", o.description)
	w.line("severity: %s", severities[o.level])
	w.line("status: %s", o.stage())
	ok = true
	if o.correlation == nil {
		w.list("datasets", o.source.datasets)
	}
	w.list("tags", o.outTags(known))
	w.list("references", o.references)
	w.list("false_positives", o.knownFalseAlarms())
	if o.correlation != nil {
		ok = o.correlation.translate(w)
		return w.b.String(), ok
	}
	w.line("when: |-")
	for line := range strings.Lines(o.condition.cel()) {
		w.line("  %s", strings.TrimSuffix(line, "\n"))
	}
	return w.b.String(), ok
}

// knownFalseAlarms returns the false positives without those that say nothing.
func (o *rule) knownFalseAlarms() (out []string) {
	for _, f := range o.falseAlarms {
		switch strings.ToLower(strings.Trim(f, ".")) {
		case "unknown", "none", "unlikely", "-":
		default:
			out = append(out, f)
		}
	}
	return out
}

// comment returns a text that stays on its line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

// shorten cuts a title to the length of a rule's title.
func shorten(s string) string {
	const longest = 190 // bytes; the limit of a rule is 200
	if len(s) <= longest {
		return s
	}
	cut := longest
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return strings.TrimSpace(s[:cut]) + "..."
}
