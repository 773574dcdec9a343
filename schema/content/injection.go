package content

import (
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// The weights of the signals of Injection. A signal that ordinary texts have is below suspicious.
const (
	weightOverride = 60 // an order to drop what was asked before
	weightMarkup   = 60 // markers of a chat template
	weightLeak     = 50 // an order to print the instructions
	weightBefore   = 50 // something to do before the task
	weightSecrecy  = 45 // an order to keep something from the user
	weightAddress  = 45 // a salutation of a model
	weightMode     = 45 // a mode without rules
	weightRole     = 45 // another task or role
	weightToYou    = 40 // an important message to you
	weightHidden   = 40 // words in tag characters
	weightCall     = 25 // an order to call a tool
)

// Injection estimates from 0 to 100 how likely a text gives orders to a language model: it is a heuristic over wording, never
// proof. From 40 on a text has at least one phrase that ordinary texts rarely have.
//
//	60  ignore, disregard, forget ... previous, all, your ... instructions, rules, prompt ...
//	60  markers of chat templates: <|im_start|>, [INST], <<SYS>>
//	50  reveal, print, repeat ... system, hidden, initial ... prompt, instructions
//	50  before, in order to ... complete, solve, answer ... the task, question ... please, you must, first
//	45  do not tell, without telling ... the user
//	45  dear, attention, note to, instructions for ... AI, language model, assistant, names of models
//	45  developer mode, do anything now and the like
//	45  your real task, you are now a, new instructions:, you are no longer a
//	40  an important, urgent ... message, request ... to you
//	40  words in tag characters, which only a model reads
//	25  call, invoke ... the ... tool, function
//
// The highest counts, and half of each other one, up to 100. The text is searched as Folded gives it, and so are the texts
// that Decoded finds in it, so neither line breaks, letter case, zero-width characters, look-alike letters nor encodings
// decide. Overrides are known in English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Czech, Swedish,
// Danish, Russian, Ukrainian, Turkish, Indonesian, Arabic, Chinese, Japanese and Korean. Orders in other words, without a
// word to the model, are not found: they read like the work that an agent does.
//
// Measured from 40 on (TestContentFunctionsOnSamples): precision 100 % (none of 4,020 results of tools, mails and harmless
// prompts), recall 100 % of 224 sessions of AgentDojo in which the model read an injection, without the wrapper of that
// benchmark, as they are and with hard wraps, capitals, zero-width and look-alike letters, percent-encoding, hex, base64 and two layers of it. Of
// the 146 prompts of CyberSecEval, which attack a model in many ways, most have no such wording: 20 are found.
//
// The cost is linear in the text.
func Injection(text string) int { return new(Injector).Of(text) }

// Injector is Injection with memory that is used again for the next text, so that in steady state a text that is not encoded
// and not disguised costs no allocation. The zero Injector is ready to use. It belongs to one goroutine.
type Injector struct{ folded []byte }

// Of returns Injection(text).
func (j *Injector) Of(text string) int {
	found := signals(j.fold(text))
	if plain := Decoded(text); plain != text {
		for i, w := range signals(j.fold(plain)) {
			found[i] = max(found[i], w)
		}
	}
	if Invisible(text)&tagCharacters != 0 {
		found[signalHidden] = weightHidden
	}
	highest, sum := 0, 0
	for _, w := range found {
		highest, sum = max(highest, w), sum+w
	}
	return min(100, highest+(sum-highest)/2)
}

// fold returns Folded(text), which is valid until the next call.
func (j *Injector) fold(text string) string {
	if isFolded(text) {
		return text
	}
	if cap(j.folded) > maxKept {
		j.folded = nil
	}
	if j.folded = AppendFolded(j.folded[:0], text); len(j.folded) == 0 {
		return ""
	}
	return unsafe.String(&j.folded[0], len(j.folded))
}

// The signals by number.
const (
	signalOverride = iota
	signalMarkup
	signalLeak
	signalBefore
	signalSecrecy
	signalAddress
	signalMode
	signalRole
	signalToYou
	signalHidden
	signalCall
	numSignals
)

// markup lists the markers that only chat templates have.
var markup = [...]string{"<|im_start|>", "<|start_header_id|>", "<|system|>", "[inst]", "<<sys>>", "<|begin_of_text|>", "<|endofprompt|>"}

// modes lists names of modes in which a model is said to have no rules.
var modes = [...]string{"do anything now", "developer mode", "god mode", "sudo mode", "jailbreak mode", "dan mode", "unrestricted mode",
	"override mode", "admin mode activated", "debug mode activated"}

// signals returns the weights of the signals in a folded text, 0 for those that it does not have.
func signals(text string) (found [numSignals]int) {
	if strings.ContainsAny(text, "<[") {
		for _, m := range markup {
			if strings.Contains(text, m) {
				found[signalMarkup] = weightMarkup
			}
		}
	}
	if strings.Contains(text, " mode") || strings.Contains(text, modes[0]) {
		for _, m := range modes {
			if strings.Contains(text, m) {
				found[signalMode] = weightMode
			}
		}
	}
	r := phraseReader{found: &found}
	for i := range r.last {
		r.last[i] = -1 << 30
	}
	script := false
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf && !alnum(c) {
			switch {
			case c == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r' || text[i+1] == 't'):
				i++ // the letter of an escape is no part of a word
			case c == '.' || c == '!' || c == '?' || c == ';':
				r.endSentence()
			}
			i++
			continue
		}
		end, solid := phraseWordEnd(text, i)
		script = script || solid
		if end == i { // a mark of punctuation
			_, n := utf8.DecodeRuneInString(text[i:])
			i += n
			continue
		}
		r.word(text[i:end], text[end:])
		i = end
	}
	if script && solidOverride(text) {
		found[signalOverride] = weightOverride
	}
	return found
}

// phraseWordEnd returns the end of the word at i, which is i if there is none. solid reports whether it has a character of a script
// without spaces.
func phraseWordEnd(text string, i int) (end int, solid bool) {
	for end = i; end < len(text); {
		if c := text[end]; c < utf8.RuneSelf {
			if !alnum(c) && (c != '\'' || end+1 == len(text) || !alnum(text[end+1])) {
				break
			}
			end++
			continue
		}
		letter, n := utf8.DecodeRuneInString(text[end:])
		if !unicode.IsLetter(letter) && !unicode.Is(unicode.M, letter) {
			break
		}
		solid = solid || letter >= firstSolid && letter <= lastSolid
		end += n
	}
	return end, solid
}

// phraseReader reads the words of a text one by one and recognises phrases in them. It knows the last place of each class of
// words, so its cost does not depend on the lengths of phrases.
type phraseReader struct {
	found    *[numSignals]int
	n        int // number of words so far
	sentence int // number of the first word of the sentence
	last     [numClasses]int
}

// endSentence notes the end of a sentence: most phrases do not reach beyond it.
func (r *phraseReader) endSentence() { r.sentence = r.n }

// within reports whether the class was read in the last n words, this one included, and in this sentence.
func (r *phraseReader) within(c class, n int) bool {
	return r.last[c] >= r.sentence && r.n-r.last[c] <= n
}

// after reports whether a was read after b.
func (r *phraseReader) after(a, b class) bool { return r.last[a] > r.last[b] }

// The widths of phrases in words.
const (
	overrideWidth = 9
	leakWidth     = 8
	beforeWidth   = 10
	requestWidth  = 16
	addressWidth  = 4
	roleWidth     = 4
	secrecyWidth  = 5
	toYouWidth    = 14
	callWidth     = 7
)

// word reads one word; rest is the text after it.
func (r *phraseReader) word(w, rest string) {
	if len(w) <= maxVocabulary && vocabularyLengths[w[0]]&(1<<len(w)) == 0 {
		r.n++
		return
	}
	if bits, known := vocabulary[w]; known {
		for b := bits; b != 0; b &= b - 1 {
			r.last[lowestClass(b)] = r.n
		}
		r.phrases(bits, rest)
	}
	r.n++
}

func (r *phraseReader) hit(signal, weight int) { r.found[signal] = weight }

// phrases looks for the phrases that end with a word of the given classes.
func (r *phraseReader) phrases(bits classes, rest string) {
	if bits.any(order, prior) && r.within(drop, overrideWidth) &&
		r.after(prior, drop) && r.after(order, drop) && r.last[prior] != r.last[order] {
		r.hit(signalOverride, weightOverride)
	}
	if bits.any(dropLast) && r.within(prior, overrideWidth) && r.within(order, overrideWidth) {
		r.hit(signalOverride, weightOverride)
	}
	if bits.any(order) && r.within(reveal, leakWidth) && r.within(secret, 4) && r.after(secret, reveal) {
		r.hit(signalLeak, weightLeak)
	}
	if bits.any(request) && r.last[task] >= 0 && r.n-r.last[task] <= requestWidth && r.last[task]-r.last[before] <= beforeWidth &&
		r.after(task, before) && r.after(solve, before) && !r.after(solve, task) {
		r.hit(signalBefore, weightBefore)
	}
	if bits.any(person) && r.within(tell, secrecyWidth) && r.within(not, secrecyWidth+3) && r.after(tell, not) && r.last[tell]-r.last[not] <= 3 {
		r.hit(signalSecrecy, weightSecrecy)
	}
	r.address(bits, rest)
	r.role(bits, rest)
	if bits.any(you) && r.within(important, toYouWidth) && r.within(message, toYouWidth) && r.after(message, important) &&
		r.last[to] == r.n-1 && r.after(to, message) {
		r.hit(signalToYou, weightToYou)
	}
	if bits.any(tool) && r.within(call, callWidth) && r.within(the, callWidth) && r.after(the, call) && r.within(request, callWidth+4) {
		r.hit(signalCall, weightCall)
	}
}

// address looks for salutations of models and conditions on being one.
func (r *phraseReader) address(bits classes, rest string) {
	if !bits.any(model) && !(bits.any(ai) && !startsWord(rest)) && !(bits.any(modelNoun) && (r.last[ai] == r.n-1 || r.last[language] == r.n-1)) {
		return
	}
	switch {
	case r.within(greeting, addressWidth),
		r.within(notice, addressWidth+2) && r.within(to, addressWidth) && r.after(to, notice),
		r.within(condition, addressWidth+2) && r.within(you, addressWidth) && r.after(you, condition):
		r.hit(signalAddress, weightAddress)
	}
}

// startsWord reports whether the next character but blanks is a letter or a digit.
func startsWord(rest string) bool {
	rest = strings.TrimLeft(rest, " ")
	if rest == "" {
		return false
	}
	c, _ := utf8.DecodeRuneInString(rest)
	return unicode.IsLetter(c) || unicode.IsDigit(c)
}

// nextIs reports whether the next word is one of the given ones; blanks, plus signs and escapes of line ends may precede it.
func nextIs(rest string, words ...string) bool {
	for rest != "" && (rest[0] == ' ' || rest[0] == '+') {
		rest = rest[1:]
	}
	for len(rest) > 1 && rest[0] == '\\' && strings.IndexByte("nrt", rest[1]) >= 0 {
		rest = rest[2:]
	}
	for _, w := range words {
		if after, ok := strings.CutPrefix(rest, w); ok && (after == "" || !alnum(after[0])) {
			return true
		}
	}
	return false
}

// role looks for another task, role or set of instructions.
func (r *phraseReader) role(bits classes, rest string) {
	isYour := func() bool { return r.within(your, roleWidth) }
	switch {
	case bits.any(goal) && isYour() && r.within(other, roleWidth-1) && r.after(other, your) && (r.last[other] != r.n) &&
		(!bits.any(job) || nextIs(rest, "is")):
		r.hit(signalRole, weightRole)
	case bits.any(order) && r.within(newWord, 3) && strings.HasPrefix(strings.TrimLeft(rest, " "), ":"):
		r.hit(signalRole, weightRole)
	case bits.any(now) && r.last[are] == r.n-1 && r.last[you] == r.n-2 && nextIs(rest, "a", "an", "in"):
		r.hit(signalRole, weightRole)
	case bits.any(longer) && r.last[are] == r.n-2 && r.last[you] == r.n-3 && nextIs(rest, "a", "an", "bound", "restricted"):
		r.hit(signalRole, weightRole)
	}
}
