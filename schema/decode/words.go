package decode

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// words is a pattern that matches nothing but some words, such as (created|deleted)$, as most patterns do that look for the
// kind of an action in its name. It needs no steps: it compares the text with each word.
type words struct {
	list       []word
	begin, end bool      // a match begins at the start of the text; ends at its end
	first      [4]uint64 // bit: a byte with which a word begins; unused if a word is empty
	empty      bool      // a word is empty
}

// word is one of the texts that a pattern matches, in the order of preference, and the part of it that the pattern extracts.
type word struct {
	text     string
	from, to int // -1 if the group took no part in the match
}

const (
	// maxWords is the largest number of words of a pattern; of more, a comparison with each is slower than the steps.
	maxWords = 64
	// maxWord is the length in bytes of the longest word.
	maxWord = 128
)

// wordsOf returns the words that a pattern matches, or nil if it matches anything else.
func wordsOf(tree *syntax.Regexp) *words {
	w := &words{}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		w.begin, parts = true, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		w.end, parts = true, parts[:n-1]
	}
	var ok bool
	if w.list, ok = concatenated(parts); !ok {
		return nil
	}
	for i := range w.list {
		word := &w.list[i]
		if tree.MaxCap() == 0 {
			word.from, word.to = 0, len(word.text)
		}
		if word.text == "" {
			w.empty = true
			continue
		}
		w.first[word.text[0]>>6] |= 1 << (word.text[0] & 63)
	}
	return w
}

// concatenated returns the words of several parts in a row. Those of the first part that is preferred come first.
func concatenated(parts []*syntax.Regexp) (list []word, ok bool) {
	list = []word{{from: -1, to: -1}}
	for _, part := range parts {
		more, ok := wordsIn(part)
		if !ok || len(list)*len(more) > maxWords {
			return nil, false
		}
		joined := make([]word, 0, len(list)*len(more))
		for _, a := range list {
			for _, b := range more {
				at := len(a.text)
				a := word{a.text + b.text, a.from, a.to}
				if b.from >= 0 {
					a.from, a.to = at+b.from, at+b.to
				}
				if len(a.text) > maxWord {
					return nil, false
				}
				joined = append(joined, a)
			}
		}
		list = joined
	}
	return list, true
}

// wordsIn returns the words of one part of a pattern, in the order of preference.
func wordsIn(part *syntax.Regexp) (list []word, ok bool) {
	switch part.Op {
	case syntax.OpEmptyMatch:
		return []word{{from: -1, to: -1}}, true
	case syntax.OpLiteral:
		if part.Flags&syntax.FoldCase != 0 || strings.ContainsRune(string(part.Rune), utf8.RuneError) {
			return nil, false
		}
		return []word{{string(part.Rune), -1, -1}}, true
	case syntax.OpCharClass:
		for i := 0; i < len(part.Rune); i += 2 {
			for r := part.Rune[i]; r <= part.Rune[i+1]; r++ {
				if len(list) == maxWords || r == utf8.RuneError {
					return nil, false
				}
				list = append(list, word{string(r), -1, -1})
			}
		}
		return list, len(list) > 0
	case syntax.OpConcat:
		return concatenated(part.Sub)
	case syntax.OpAlternate:
		for _, sub := range part.Sub {
			more, ok := wordsIn(sub)
			if !ok || len(list)+len(more) > maxWords {
				return nil, false
			}
			list = append(list, more...)
		}
		return list, true
	case syntax.OpQuest:
		list, ok = wordsIn(part.Sub[0])
		if !ok || part.Flags&syntax.NonGreedy != 0 {
			return nil, false
		}
		return append(list, word{from: -1, to: -1}), true
	case syntax.OpCapture:
		list, ok = wordsIn(part.Sub[0])
		for i := range list {
			list[i].from, list[i].to = 0, len(list[i].text)
		}
		return list, ok
	}
	return nil, false
}

// find returns the part extracted from the first match in the text.
func (w *words) find(text string) (part string, ok bool) {
	for start := 0; start <= len(text); start++ {
		if w.empty || start < len(text) && w.first[text[start]>>6]>>(text[start]&63)&1 != 0 {
			if word := w.at(text[start:]); word != nil {
				if word.from < 0 {
					return "", false // the group took no part in the match
				}
				return text[start+word.from : start+word.to], true
			}
		}
		if w.begin {
			break
		}
	}
	return "", false
}

// at returns the first word with which a text begins, or nil.
func (w *words) at(text string) *word {
	for i := range w.list {
		word := &w.list[i]
		if strings.HasPrefix(text, word.text) && (!w.end || len(word.text) == len(text)) {
			return word
		}
	}
	return nil
}
