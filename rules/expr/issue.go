package expr

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
)

// issuesOf translates CEL's issues into plain words. Of several syntax errors it returns the first, because CEL guesses
// at the text after it.
func issuesOf(iss *cel.Issues) []Issue {
	var out []Issue
	for i, e := range iss.Errors() {
		if i > 0 && strings.HasPrefix(e.Message, "Syntax error: ") {
			continue
		}
		out = append(out, Issue{max(e.Location.Line(), 1), max(e.Location.Column()+1, 1), plainText(e.Message)})
	}
	return sortIssues(out)
}

// sortIssues sorts issues by their position and removes duplicates.
func sortIssues(issues []Issue) []Issue {
	slices.SortStableFunc(issues, func(a, b Issue) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(issues)
}

// plainText translates a message of CEL, so that authors need not know its specification.
func plainText(message string) string {
	switch {
	case strings.HasPrefix(message, "Syntax error: "):
		return plainSyntax(strings.TrimPrefix(message, "Syntax error: "))
	case strings.HasPrefix(message, "found no matching overload for "):
		return plainOverload(message)
	case strings.HasPrefix(message, "undeclared reference to "):
		name := between(message, "'", "'")
		return unknownName("function", name+"()", functionNames[:])
	case strings.Contains(message, "does not support field selection"):
		name := typeName(between(message, "'", "'"))
		return fmt.Sprintf("%s has nothing below it: remove the part after the last dot", name)
	case strings.Contains(message, "argument must be a simple name"):
		return "the first argument of exists, all, map and filter is the name of a variable, such as x"
	case strings.Contains(message, "recursion limit exceeded"):
		return fmt.Sprintf("the condition is nested more than %d deep: split it, or put its values into a list", maxNesting)
	case strings.Contains(message, "code point size exceeds limit"):
		return fmt.Sprintf("the condition is longer than %d characters: put its values into a list", maxExpressionRunes)
	}
	return message
}

// functionNames are the functions that authors can use, for suggestions.
var functionNames = [...]string{
	"contains()", "startsWith()", "endsWith()", "matches()", "lowerAscii()", "normalised()", "decoded()", "text()", "injection()", "entropy()", "invisible()", "secrets()", "iequals()", "icontains()", "glob()",
	"size()", "has()", "exists()", "exists_one()", "all()", "filter()", "map()", "ip()", "cidr()", "url()", "isPrivate()",
	"isLoopback()", "isLinkLocal()", "timestamp()", "duration()", "string()", "int()", "double()", "getFullYear()",
	"getMonth()", "getDate()", "getDayOfMonth()", "getDayOfWeek()", "getDayOfYear()", "getHours()", "getMinutes()", "getSeconds()",
}

// plainSyntax translates a syntax error.
func plainSyntax(message string) string {
	message, _, _ = strings.Cut(message, " expecting ")
	switch {
	case strings.Contains(message, "token recognition error at: '= '"),
		strings.Contains(message, "token recognition error at: '='"):
		return "a single = means nothing here: write == to compare"
	case strings.Contains(message, "'<EOF>'"):
		return "the condition ends too early: something is missing at its end"
	case strings.HasPrefix(message, "token recognition error at: "):
		return "this is not part of the language: " + strings.TrimPrefix(message, "token recognition error at: ")
	case strings.HasPrefix(message, "mismatched input ") || strings.HasPrefix(message, "extraneous input "):
		return fmt.Sprintf("%s is not valid here: an operator such as && or == may be missing before it", message[strings.Index(message, "'"):])
	}
	return "syntax: " + message
}

// plainOverload translates "found no matching overload for '_==_' applied to '(string, int)'".
func plainOverload(message string) string {
	function := between(message, "'", "'")
	applied := message[strings.Index(message, " applied to ")+len(" applied to "):]
	applied = strings.Trim(applied, "'")
	target, args, member := strings.Cut(strings.TrimSuffix(applied, ")"), ".(")
	if !member {
		target, args = "", strings.TrimPrefix(target, "(")
	}
	var operands []string
	if target != "" {
		operands = append(operands, typeName(target))
	}
	for _, a := range splitTypes(args) {
		operands = append(operands, typeName(a))
	}
	name := operatorName(function)
	switch len(operands) {
	case 1:
		return fmt.Sprintf("%s cannot take %s", name, operands[0])
	case 2:
		if operands[0] != operands[1] && (name == "==" || name == "!=") {
			return fmt.Sprintf("%s compares %s with %s: they are never equal", name, operands[0], operands[1])
		}
		return fmt.Sprintf("%s cannot take %s and %s", name, operands[0], operands[1])
	}
	return fmt.Sprintf("%s cannot take (%s)", name, strings.Join(operands, ", "))
}

// splitTypes splits a list of types at the commas outside brackets.
func splitTypes(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	if rest := strings.TrimSpace(s[start:]); rest != "" {
		out = append(out, rest)
	}
	return out
}

// operatorName returns the notation in a condition of a function of CEL or of this package.
func operatorName(function string) string {
	switch function {
	case "@in":
		return "in"
	case "_?_:_":
		return "? :"
	case "_[_]":
		return "[ ]"
	case "@address":
		return "ip()"
	case "@network":
		return "cidr().contains()"
	case "@url":
		return "url()"
	case "@allows":
		return "agent.allows()"
	}
	if op := strings.Trim(function, "_"); strings.HasPrefix(function, "_") || strings.HasSuffix(function, "_") {
		return op
	}
	return function + "()"
}

// typeName returns a type of CEL in plain words.
func typeName(t string) string {
	switch t {
	case "string":
		return "a text"
	case "int", "uint":
		return "a whole number"
	case "double":
		return "a decimal number"
	case "bool":
		return "true or false"
	case "dyn":
		return "any value"
	case "null_type", "null":
		return "null"
	case "timestamp", "google.protobuf.Timestamp":
		return "a time"
	case "duration", "google.protobuf.Duration":
		return "a duration"
	}
	if inner, ok := strings.CutPrefix(t, "list("); ok {
		return "a list of " + strings.TrimPrefix(typeName(strings.TrimSuffix(inner, ")")), "a ") + "s"
	}
	return t
}

// between returns the part of s between the first occurrence of before and the next occurrence of after.
func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}

// Error returns an issue as an error.
func Error(i Issue) error { return errors.New(i.Text) }
