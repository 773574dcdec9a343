package expr

import "strings"

// splitConjuncts returns the texts of the operands of the top-level && of a valid expression, in order, without the brackets
// and blanks around them. It scans the text because CEL's syntax tree has the start of an operand, but not its end.
func splitConjuncts(text string) []string { return splitOperands(text, "&&", "||") }

// splitDisjuncts is splitConjuncts for ||, which binds less than &&.
func splitDisjuncts(text string) []string { return splitOperands(text, "||", "?") }

// splitOperands splits a text at an operator, unless it has an operator that binds less.
func splitOperands(text, operator, weaker string) []string {
	text = unwrap(text)
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(text); {
		c := text[i]
		if !isSpecial[c] {
			i++
			continue
		}
		switch {
		case c == '(' || c == '[' || c == '{':
			depth++
			i++
		case c == ')' || c == ']' || c == '}':
			depth--
			i++
		case depth == 0 && (strings.HasPrefix(text[i:], weaker) || c == '?'):
			return []string{text}
		case depth == 0 && strings.HasPrefix(text[i:], operator):
			parts = append(parts, text[start:i])
			i += 2
			start = i
		default:
			i = skipToken(text, i)
		}
	}
	if parts == nil {
		return []string{text}
	}
	out := make([]string, 0, len(parts)+1)
	for _, p := range append(parts, text[start:]) {
		if p = unwrap(p); strings.Contains(p, operator) {
			out = append(out, splitOperands(p, operator, weaker)...)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// isSpecial holds the bytes that may begin something other than a name, a number or a blank.
var isSpecial = func() (special [256]bool) {
	for _, c := range []byte("()[]{}\"'`/&|?") {
		special[c] = true
	}
	return special
}()

// unwrap removes the blanks, comments and pairs of brackets around the whole text.
func unwrap(text string) string {
	for {
		text = trimComments(text)
		if !strings.HasPrefix(text, "(") || bracketEnd(text) != len(text) {
			return text
		}
		text = text[1 : len(text)-1]
	}
}

// trimComments removes blanks and comments from both ends.
func trimComments(text string) string {
	if strings.Contains(text, "//") {
		text = text[:codeEnd(text)]
	}
	for text != "" && isBlank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	for text != "" && (isBlank(text[0]) || strings.HasPrefix(text, "//")) {
		text = text[skipToken(text, 0):]
	}
	return text
}

// codeEnd returns the offset after the last byte that is neither blank nor in a comment.
func codeEnd(text string) (end int) {
	for i := 0; i < len(text); {
		next := skipToken(text, i)
		if !isBlank(text[i]) && !strings.HasPrefix(text[i:], "//") {
			end = next
		}
		i = next
	}
	return end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' }

// bracketEnd returns the offset after the bracket that closes the bracket at 0, or -1 if it is not closed.
func bracketEnd(text string) int {
	depth := 0
	for i := 0; i < len(text); {
		switch text[i] {
		case '(':
			depth++
			i++
		case ')':
			depth--
			i++
			if depth == 0 {
				return i
			}
		default:
			i = skipToken(text, i)
		}
	}
	return -1
}

// skipToken returns the offset after the string, escaped name or comment at i, or else after one byte.
func skipToken(text string, i int) int {
	switch text[i] {
	case '"', '\'', '`':
		return stringEnd(text, i)
	case '/':
		if strings.HasPrefix(text[i:], "//") {
			if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
				return i + n + 1
			}
			return len(text)
		}
	}
	return i + 1
}

// stringEnd returns the offset after the string that opens at i; in r"..." a backslash is an ordinary character.
func stringEnd(text string, i int) int {
	raw := i > 0 && (text[i-1] == 'r' || text[i-1] == 'R') && (i < 2 || !isNameByte(text[i-2]) || text[i-2] == 'b' || text[i-2] == 'B')
	quote, size := text[i], 1
	if quote != '`' && i+2 < len(text) && text[i+1] == quote && text[i+2] == quote {
		size = 3
	}
	for j := i + size; j < len(text); j++ {
		if text[j] == '\\' && !raw {
			j++
		} else if text[j] == quote && (size == 1 || strings.HasPrefix(text[j:], text[i:i+size])) {
			return j + size
		}
	}
	return len(text)
}

func isNameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
