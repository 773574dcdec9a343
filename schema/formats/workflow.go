package formats

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// The field ai_agent.workflow is the job that the agent was set to do, as far as the record shows it. Of these, the first that
// the record has:
//
//  1. The producer's own name: the id of a managed prompt, the tags of the request, the name of the workflow or of the agent
//     in telemetry, the route of a gateway. The page of each format lists its names. A name stays as it is, except that
//     parts of tags that look like ids become # (StableTag).
//  2. Workflow hash: "hash:" and the first 32 hex digits of a SHA-256 over the system instructions, normalised by
//     appendStable, and the set of the names of the tools on offer, in any order. Only instructions in front of the first
//     other message count: frameworks add more of them later in a session.
//
// It is absent from a record that shows neither. The events of one record have the same workflow.
//
// The workflow is a key, under which rules learn the usual, and no proof: the author of an agent's instructions or of a
// request's tags chooses it. A workflow that is new for a known agent is something that rules can see.

// HashPrefix begins an ai_agent.workflow that is a hash.
const HashPrefix = "hash:"

// maxWorkflowName is the maximum length in bytes of a workflow's name, because it is a key of State. A longer name is hashed.
const maxWorkflowName = 256

// MaxOffered is the number of offered tools that count for the workflow hash: the first ones. No agent has that many, and
// hostile requests would take long to sort.
const MaxOffered = 1024

// SetWorkflow sets ai_agent.workflow to the producer's own name, unless the name is empty or an earlier call set it. Readers
// call it before they read a conversation, whose hash counts only without a name.
func (el *Element) SetWorkflow(name string) {
	if name == "" || !el.WantsWorkflowHash() {
		return
	}
	if len(name) > maxWorkflowName {
		el.scratch = append(el.scratch[:0], name...)
		name = el.workflowHash()
	}
	el.hashedWorkflow = false
	el.Event.SetText(schema.AIAgentWorkflow, name)
}

// WantsWorkflowHash reports whether HashWorkflow has an effect: the field is wanted, and the producer has not named the
// workflow.
func (el *Element) WantsWorkflowHash() bool {
	return el.Wanted(schema.AIAgentWorkflow) && (el.hashedWorkflow || !el.Event.Has(schema.AIAgentWorkflow))
}

// HashWorkflow sets ai_agent.workflow to the hash of system instructions and of the names of the tools on offer. It replaces
// an earlier hash of the same element, and clears the field if there is nothing to hash. It sorts tools.
func (el *Element) HashWorkflow(instructions, tools []string) {
	if !el.WantsWorkflowHash() {
		return
	}
	el.Event.Clear(schema.AIAgentWorkflow)
	if len(instructions)+len(tools) == 0 {
		return
	}
	sum := el.stableHash(instructions)
	el.scratch = append(el.scratch[:0], sum[:]...)
	slices.Sort(tools)
	for i, name := range tools {
		if i == 0 || name != tools[i-1] {
			el.scratch = binary.AppendUvarint(el.scratch, uint64(len(name)))
			el.scratch = append(el.scratch, name...)
		}
	}
	el.Event.SetText(schema.AIAgentWorkflow, el.workflowHash())
	el.hashedWorkflow = true
}

// stableHash returns the SHA-256 of the normalised instructions. Without any it is that of the empty text.
func (el *Element) stableHash(instructions []string) [sha256.Size]byte {
	var known *hashedText
	if len(instructions) == 1 && instructions[0] != "" && len(instructions[0]) <= maxKnownText {
		text := instructions[0]
		if known = el.knownTexts.of(text); string(known.text) == text {
			return known.sum
		}
		known.text = append(known.text[:0], text...)
	}
	el.scratch = el.scratch[:0]
	for _, text := range instructions {
		el.scratch = appendStable(el.scratch, text)
	}
	sum := sha256.Sum256(el.scratch)
	if known != nil {
		known.sum = sum
	}
	return sum
}

// knownTexts holds the hashes of the instructions seen last, because an agent sends the same ones with every request. It
// saves time and changes no result.
type knownTexts [32]hashedText

type hashedText struct {
	text []byte // "" if the entry is free
	sum  [sha256.Size]byte
}

// maxKnownText is the maximum length in bytes of the instructions in knownTexts, which bounds it to 512 KiB for each worker.
const maxKnownText = 16 << 10

// of returns the only entry in which a text may be.
func (k *knownTexts) of(text string) *hashedText {
	h := uint64(len(text))
	if len(text) >= 8 {
		for _, at := range [...]int{0, (len(text) - 8) / 2, len(text) - 8} {
			h = (h ^ binary.LittleEndian.Uint64([]byte(text[at:at+8]))) * 0x9e3779b97f4a7c15 // the golden ratio spreads similar values
		}
	}
	return &k[h>>32%uint64(len(k))]
}

// workflowHash returns the workflow hash of el.scratch.
func (el *Element) workflowHash() string {
	const size = sha256.Size / 2
	sum := sha256.Sum256(el.scratch)
	var text [len(HashPrefix) + 2*size]byte
	copy(text[:], HashPrefix)
	hex.Encode(text[len(HashPrefix):], sum[:size])
	return el.Arena.Copy(text[:])
}

// maxStableWord is the maximum length in bytes of a word that appendStable replaces. Ids, hashes and times are shorter. The
// limit keeps a caller from hiding a sentence in one word.
const maxStableWord = 64

// appendStable appends system instructions in the form that is hashed: without parts that differ between the sessions of one job.
// Texts that differ only in white space, dates, times, numbers, ids and addresses have the same form. Words are separated by
// one space each. These become #, each by itself, so that adding one changes the form:
//
//   - a word of up to 64 bytes of ASCII that contains a digit, or an @ behind its first byte: 42, 2026-11-30, 10:30:00Z,
//     550e8400-e29b-41d4-a716-446655440000, #1234, ann@example.com
//   - the names of months and of days of the week in English, full or of three letters, and AM and PM
//
// In any other word, a run of digits becomes a single 0. Names of users cannot be recognised: instructions that name the
// user are a workflow for each user.
func appendStable(dst []byte, text string) []byte {
	number := false // the previous word became #
	for i := 0; i < len(text); i++ {
		from, kinds := i, kind(0)
		for i < len(text) && kinds&kindSpace == 0 {
			kinds |= kindOf[text[i]]
			i++
		}
		if kinds&kindSpace != 0 {
			i--
		}
		word := text[from:i]
		switch {
		case word == "":
			continue
		case isVariable(word, kinds) || word[0] <= 'z' && isDateWord(word, number):
			dst, number = append(dst, "# "...), true
			continue
		case kinds&kindDigit == 0:
			dst = append(dst, word...)
		default:
			dst = appendDigitless(dst, word)
		}
		dst, number = append(dst, ' '), false
	}
	return dst
}

// appendDigitless appends a word with a single 0 in place of each run of digits.
func appendDigitless(dst []byte, word string) []byte {
	for i := range len(word) {
		switch isDigit := kindOf[word[i]] == kindDigit; {
		case !isDigit:
			dst = append(dst, word[i])
		case i == 0 || kindOf[word[i-1]] != kindDigit:
			dst = append(dst, '0')
		}
	}
	return dst
}

// kind is a set of kinds of bytes.
type kind uint8

const (
	kindSpace kind = 1 << iota // white space of ASCII
	kindDigit
	kindAt
	kindOther // not printable ASCII
)

// kindOf holds the kind of each byte, 0 for most of ASCII.
var kindOf = func() (table [256]kind) {
	for c := range table {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			table[c] = kindSpace
		case c >= '0' && c <= '9':
			table[c] = kindDigit
		case c == '@':
			table[c] = kindAt
		case c < ' ' || c > '~':
			table[c] = kindOther
		}
	}
	return table
}()

// isVariable reports whether a word with bytes of these kinds is a number, an id, a time or an address.
func isVariable(word string, kinds kind) bool {
	if kinds&kindOther != 0 || len(word) > maxStableWord {
		return false
	}
	return kinds&kindDigit != 0 || kinds&kindAt != 0 && strings.IndexByte(word[1:], '@') >= 0
}

// isDateWord reports whether a word, without the punctuation around it, is the name of a month or of a day of the week, or AM
// or PM. In lower case these two count only behind a number.
func isDateWord(word string, number bool) bool {
	const longest = len("(September),")
	if len(word) < len("am") || len(word) > longest {
		return false
	}
	for word != "" && isPunctuation(word[0]) {
		word = word[1:]
	}
	for word != "" && isPunctuation(word[len(word)-1]) {
		word = word[:len(word)-1]
	}
	switch word {
	case "AM", "PM", "a.m", "p.m",
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
		"January", "February", "March", "April", "June", "July", "August", "September", "October", "November", "December",
		"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
		"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday":
		return true
	case "am", "pm":
		return number
	}
	return false
}

func isPunctuation(c byte) bool {
	switch c {
	case '(', ')', '[', ']', ',', '.', ';', ':', '"', '\'':
		return true
	}
	return false
}

// StableTag returns a tag of a request without the part that differs between requests: text that consists of digits or has
// at least 4 of them, such as an id or a date, becomes #. If the tag has the form name:value or name=value, this applies to
// its value. It returns "" if nothing is left.
func (el *Element) StableTag(tag string) string {
	value := strings.IndexAny(tag, ":=") + 1
	digits := 0
	for i := value; i < len(tag); i++ {
		if tag[i]-'0' <= 9 {
			digits++
		}
	}
	switch {
	case digits < idDigits && (digits == 0 || digits < len(tag)-value):
		return tag
	case value == 0:
		return ""
	}
	return el.Arena.Concat(tag[:value], "#")
}

// idDigits is the number of digits from which a tag holds an id: a version has fewer.
const idDigits = 4
