package console

import (
	"fmt"
	"slices"
	"strings"
)

// patchContext is the number of unchanged lines around a change in a patch.
const patchContext = 3

// maxPatchLines is the number of lines between the first and the last change beyond which a patch replaces them as a whole.
const maxPatchLines = 1500

// patch returns the difference of two texts of a rule as `patch` reads it; "" if they are equal. before is "" for a new rule.
func patch(id, before, after string) string {
	if before == after {
		return ""
	}
	name := id + ".yaml"
	old := "a/" + name
	if before == "" {
		old = "/dev/null"
	}
	a, b := splitLines(before), splitLines(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	edits := editsOf(a[head:len(a)-tail], b[head:len(b)-tail])
	from := max(0, head-patchContext)
	to := min(tail, patchContext)
	var body []string
	for _, l := range a[from:head] {
		body = append(body, " "+l)
	}
	body = append(body, edits...)
	for _, l := range a[len(a)-tail : len(a)-tail+to] {
		body = append(body, " "+l)
	}
	olds := len(a) - tail + to - from
	news := len(b) - tail + to - from
	first := func(n int) int { // the line before the hunk, if the hunk has none of the file
		if n == 0 {
			return from
		}
		return from + 1
	}
	return fmt.Sprintf("--- %s\n+++ b/%s\n@@ -%d,%d +%d,%d @@\n%s\n", old, name, first(olds), olds, first(news), news, strings.Join(body, "\n"))
}

// splitLines returns the lines of a text. A text without a line feed at its end has one here: rules are text files.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// editsOf returns the lines of a hunk that makes b of a.
func editsOf(a, b []string) (out []string) {
	if len(a) > maxPatchLines || len(b) > maxPatchLines {
		for _, l := range a {
			out = append(out, "-"+l)
		}
		for _, l := range b {
			out = append(out, "+"+l)
		}
		return out
	}
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width) // length of the longest common subsequence of the rests
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, " "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return slices.Clip(out)
}
