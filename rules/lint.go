package rules

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// Lints are warnings of what loads and cannot be meant. They are for authors: a load warns only if it has Options.Today.

// closedSets are the fields of which only a few values occur.
var closedSets = map[string][]string{
	"event.class":   {"api", "audit", "auth", "guardrail", "http", "llm", "tool"},
	"event.outcome": {"failure", "success", "unknown"},
}

var (
	// comparison is FIELD == "TEXT" and FIELD != "TEXT"; inList is FIELD in ["TEXT", ...].
	comparison = regexp.MustCompile(`\b([a-z_]+(?:\.[a-z_]+)+) (==|!=) "([^"\\]*)"`)
	inList     = regexp.MustCompile(`\b([a-z_]+(?:\.[a-z_]+)+) in \[((?:"[^"\\]*"(?:, ?)?)*)\]`)
	quotedText = regexp.MustCompile(`"([^"\\]*)"`)
	network    = regexp.MustCompile(`\bcidr\("([^"\\]*)"\)`)
	// operation is the name of an operation of AWS without its service.
	operation = regexp.MustCompile(`^[A-Z][a-z]+[A-Z][A-Za-z]*$`)
)

// lint warns of a condition that loads and cannot be meant. conjuncts are the operands of its top-level &&.
func (r *reader) lint(n *doc.Node, text string, conjuncts []string) {
	if r.compiler.today.IsZero() {
		return
	}
	at := func(offset int, format string, args ...any) {
		line := 1 + strings.Count(text[:offset], "\n")
		col := 1 + utf8.RuneCountInString(text[strings.LastIndexByte(text[:offset], '\n')+1:offset])
		n.WarnAt(line, col, format, args...)
	}
	r.lintValues(text, at)
	for _, m := range network.FindAllStringSubmatchIndex(text, -1) {
		p, err := netip.ParsePrefix(text[m[2]:m[3]])
		if err == nil && p.Masked() != p {
			at(m[0], "the network %s has bits of a host, which do not count: write %s", p, p.Masked())
		}
	}
	is := map[string]string{} // by field: the text that it must equal
	for _, c := range conjuncts {
		m := comparison.FindStringSubmatch(c)
		if m == nil || m[0] != c || m[2] != "==" {
			continue
		}
		field, value, offset := m[1], m[3], max(0, strings.Index(text, c))
		if other, ok := is[field]; ok && other != value {
			at(offset, "the condition is never true: %s cannot be %q and %q: join the two by ||", field, other, value)
		}
		is[field] = value
		if field == "event.dataset" && len(r.rule.Datasets) > 0 && !slices.Contains(r.rule.Datasets, value) {
			at(offset, "the condition is never true: %q is not in the rule's datasets: add it there", value)
		}
	}
	r.lintAlways(text, at)
}

// lintValues warns of values that a field never has.
func (r *reader) lintValues(text string, at func(int, string, ...any)) {
	check := func(offset int, field, value string) {
		known := closedSets[field]
		switch {
		case known != nil && value != "" && !slices.Contains(known, value):
			hint := ""
			if near := doc.Nearest(value, known); near != "" {
				hint = ": did you mean " + near + "?"
			}
			at(offset, "%s is never %q, but one of %s%s", field, doc.Short(value), strings.Join(known, ", "), hint)
		case field == "event.action" && operation.MatchString(value) && slices.Equal(r.rule.Datasets, []string{"aws.cloudtrail"}):
			at(offset, "actions of aws.cloudtrail have their service, as in s3:PutBucketPolicy: write SERVICE:%s", doc.Short(value))
		}
	}
	for _, m := range comparison.FindAllStringSubmatchIndex(text, -1) {
		check(m[0], text[m[2]:m[3]], text[m[6]:m[7]])
	}
	for _, m := range inList.FindAllStringSubmatchIndex(text, -1) {
		for _, v := range quotedText.FindAllStringSubmatch(text[m[4]:m[5]], -1) {
			check(m[0], text[m[2]:m[3]], v[1])
		}
	}
}

// lintAlways warns of a condition that is an || with two alternatives of which one always holds.
func (r *reader) lintAlways(text string, at func(int, string, ...any)) {
	parts := strings.Split(text, " || ")
	if len(parts) < 2 || strings.ContainsAny(text, "()?") || strings.Contains(text, "&&") {
		return
	}
	seen := map[string]bool{}
	offset := 0
	for _, p := range parts {
		m := comparison.FindStringSubmatch(strings.TrimSpace(p))
		if m != nil && m[0] == strings.TrimSpace(p) {
			opposite := map[string]string{"==": "!=", "!=": "=="}[m[2]]
			if seen[m[1]+opposite+m[3]] {
				at(offset, "the condition is always true: %s is %s or it is not: join the two by &&, or leave one out", m[1], strconv.Quote(m[3]))
			}
			seen[m[1]+m[2]+m[3]] = true
		}
		offset += len(p) + len(" || ")
	}
}

// lintKey warns of a key that keeps all events apart.
func (r *reader) lintKey(items []*doc.Node, key []Operand) {
	if r.compiler.today.IsZero() {
		return
	}
	for i := range key {
		if !strings.Contains(items[i].Key, "by") {
			continue // of several values, one may be the event's own
		}
		if key[i].IsField(schema.Time) || key[i].IsField(schema.EventID) {
			items[i].Warn("%s differs from event to event, so that no two events have one key: name what they have in common, such as ai_agent.uid",
				key[i].Name)
		}
	}
}

// lintDataset warns of a family that is named as a dataset.
func (r *reader) lintDataset(n *doc.Node, name string) {
	if _, isFamily := r.compiler.families.table[name]; isFamily && !r.compiler.today.IsZero() {
		n.Warn("%s is a family, and no dataset: write \"@%s\"", name, name)
	}
}
