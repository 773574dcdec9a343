package expr

import (
	"fmt"
	"strings"
)

// unknownName returns the text of an issue for a name that does not exist, with a suggestion if a known name is similar.
func unknownName(kind, name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("there is no %s %s: did you mean %s?", kind, name, near)
	}
	if kind == "field" {
		return fmt.Sprintf("there is no field %s: schema/FIELDS.md lists them, raw.%s reads the original record", name, name)
	}
	if kind == "function" {
		return fmt.Sprintf("there is no function %s", name)
	}
	if len(known) == 0 {
		return fmt.Sprintf("there is no %s %s, nor any other", kind, name)
	}
	return fmt.Sprintf("there is no %s %s: there are %s", kind, name, strings.Join(known, ", "))
}

// nearest returns the known name whose distance is the smallest and at most a third of the letters of name, the first if
// several are equally near, or "". A known name that ends in name (gen_ai.tool.name for tool.name) has the distance 1.
func nearest(name string, known []string) string {
	const maxName = 100 // longer names are not typing errors, and the distance takes length x length steps
	if len(name) > maxName {
		return ""
	}
	best, least := "", 0
	for _, k := range known {
		d := distance(strings.ToLower(name), k)
		if strings.HasSuffix(k, "."+name) {
			d = 1
		}
		if d <= max(len(name), 3)/3 && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance returns the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
