package expr

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// regex is a compiled RE2 pattern behind a text that every match contains: most events lack it, and finding that out
// costs a hundredth of running the pattern.
type regex struct {
	re   *regexp.Regexp
	need string // "" where there is none
	fold bool   // need is found in any case
}

// minNeed is the shortest text worth looking for first.
const minNeed = 3

func newRegex(text string) (*regex, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("compile pattern %q: %w", text, err)
	}
	r := &regex{re: re}
	if tree, err := syntax.Parse(text, syntax.Perl); err == nil {
		r.need, r.fold = requiredText(tree)
	}
	if len(r.need) < minNeed {
		r.need = ""
	}
	return r, nil
}

func (r *regex) match(text string) bool {
	switch {
	case r.need == "":
	case r.fold && !containsFold(text, r.need), !r.fold && !strings.Contains(text, r.need):
		return false
	}
	return r.re.MatchString(text)
}

// requiredText returns the longest literal that every match contains.
func requiredText(tree *syntax.Regexp) (text string, fold bool) {
	switch tree.Op {
	case syntax.OpLiteral:
		text = string(tree.Rune)
		if strings.ContainsRune(text, utf8.RuneError) {
			return "", false // it stands for damaged text, too
		}
		return text, tree.Flags&syntax.FoldCase != 0
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			if t, f := requiredText(sub); len(t) > len(text) {
				text, fold = t, f
			}
		}
		return text, fold
	case syntax.OpCapture, syntax.OpPlus:
		return requiredText(tree.Sub[0])
	case syntax.OpRepeat:
		if tree.Min > 0 {
			return requiredText(tree.Sub[0])
		}
	}
	return "", false
}
