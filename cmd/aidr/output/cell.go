package output

import "strings"

// Cell returns a cell of a CSV that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe in front.
func Cell(text string) string {
	if t := strings.TrimLeft(text, " \t\r\n"); t != "" && strings.ContainsRune("=+-@|%", rune(t[0])) || text != "" && strings.ContainsRune("\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
