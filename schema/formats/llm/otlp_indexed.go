package llm

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
)

// indexed collects messages and tools that are spelled out one attribute at a time: gen_ai.prompt.0.content in
// OpenLLMetry, llm.input_messages.0.message.content in OpenInference. The attributes come in any order.
type indexed struct {
	entries []indexedEntry
	text    []byte
}

// indexedEntry is one of these attributes.
type indexedEntry struct {
	list         indexedList
	message, sub int // sub is the index of the call or content part, or -1 for a part of the message itself
	part         indexedPart
	value        formats.Node
}

type indexedList uint8

const (
	listInput indexedList = iota
	listOutput
	listTools
)

type indexedPart uint8

const (
	partOfRole indexedPart = iota
	partOfContent
	partOfToolCallID
	partOfName
	partOfFinish
	partOfFunction // the arguments of a function_call, whose name is partOfFunctionName
	partOfFunctionName
	partOfContents // one text of a list
	partOfCallID   // this and the next two are parts of one call and must stay adjacent
	partOfCallName
	partOfCallArguments
	partOfTool
)

func newIndexed() *indexed { return new(indexed) }

func (x *indexed) reset() { x.entries = x.entries[:0] }

// indexedPrefixes are the prefixes of names before the first index.
var indexedPrefixes = [...]struct {
	prefix string
	list   indexedList
}{
	{"gen_ai.prompt.", listInput},
	{"llm.input_messages.", listInput},
	{"gen_ai.completion.", listOutput},
	{"llm.output_messages.", listOutput},
	{"llm.tools.", listTools},
	{"llm.request.functions.", listTools},
}

// maxIndexed is the number of these attributes that are kept of one span. Instrumentations stop far below it.
const maxIndexed = 10_000

// add adds an attribute if its key is of this kind.
func (x *indexed) add(key string, value formats.Node) {
	for i := range indexedPrefixes {
		rest, ok := strings.CutPrefix(key, indexedPrefixes[i].prefix)
		if !ok {
			continue
		}
		message, rest, ok := readIndex(rest)
		if !ok || len(x.entries) == maxIndexed {
			return
		}
		e := indexedEntry{list: indexedPrefixes[i].list, message: message, sub: -1, value: value}
		if e.list == listTools {
			e.part = partOfTool
			if rest != "name" && rest != "tool.json_schema" {
				return
			}
			x.entries = append(x.entries, e)
			return
		}
		if e.part, e.sub, ok = partOfKey(strings.TrimPrefix(rest, "message.")); ok {
			x.entries = append(x.entries, e)
		}
		return
	}
}

// readIndex reads an index and the dot after it from the front of s. An index of more than six digits is refused,
// because no instrumentation writes one.
func readIndex(s string) (index int, rest string, ok bool) {
	digits, rest, ok := strings.Cut(s, ".")
	if !ok || digits == "" || len(digits) > 6 {
		return 0, "", false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, "", false
		}
		index = index*10 + int(digits[i]-'0')
	}
	return index, rest, true
}

// partOfKey returns the part of a message that a key refers to. The key is given without its prefix and index.
func partOfKey(key string) (part indexedPart, sub int, ok bool) {
	switch key {
	case "role":
		return partOfRole, -1, true
	case "content":
		return partOfContent, -1, true
	case "tool_call_id":
		return partOfToolCallID, -1, true
	case "name":
		return partOfName, -1, true
	case "finish_reason":
		return partOfFinish, -1, true
	case "function_call_name", "function_call.name":
		return partOfFunctionName, -1, true
	case "function_call_arguments_json", "function_call.arguments":
		return partOfFunction, -1, true
	}
	if rest, ok := strings.CutPrefix(key, "contents."); ok {
		sub, rest, ok = readIndex(rest)
		return partOfContents, sub, ok && rest == "message_content.text"
	}
	rest, found := strings.CutPrefix(key, "tool_calls.")
	if !found {
		return 0, 0, false
	}
	sub, rest, ok = readIndex(rest)
	switch strings.TrimPrefix(strings.TrimPrefix(rest, "tool_call."), "function.") {
	case "id":
		return partOfCallID, sub, ok
	case "name":
		return partOfCallName, sub, ok
	case "arguments":
		return partOfCallArguments, sub, ok
	}
	return 0, 0, false
}

// sort orders the entries by list and message. In a message, its own parts come first.
func (x *indexed) sort() {
	slices.SortStableFunc(x.entries, func(a, b indexedEntry) int {
		switch {
		case a.list != b.list:
			return int(a.list) - int(b.list)
		case a.message != b.message:
			return a.message - b.message
		case kindOf(a.part) != kindOf(b.part):
			return int(kindOf(a.part)) - int(kindOf(b.part))
		case a.sub != b.sub:
			return a.sub - b.sub
		}
		return int(a.part) - int(b.part)
	})
}

// kindOf returns the same kind for all parts of calls, so that sort keeps the parts of one call together.
func kindOf(p indexedPart) indexedPart { return min(p, partOfCallID) }

// messages returns the messages of a list as an array of OpenAI messages, or an absent node if the list is
// empty. The entries must be sorted.
func (x *indexed) messages(el *formats.Element, list indexedList) formats.Node {
	dst := append(x.text[:0], '[')
	for i := 0; i < len(x.entries); {
		e := &x.entries[i]
		if e.list != list {
			i++
			continue
		}
		end := i
		for end < len(x.entries) && x.entries[end].list == list && x.entries[end].message == e.message {
			end++
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = appendMessage(dst, x.entries[i:end])
		i = end
	}
	x.text = append(dst, ']')
	if len(x.text) == len("[]") {
		return formats.Node{}
	}
	return el.Parse(x.text)
}

// messageKeys are the keys of the parts of a message itself.
var messageKeys = [...]string{
	partOfRole:       `"role":`,
	partOfContent:    `"content":`,
	partOfToolCallID: `"tool_call_id":`,
	partOfName:       `"name":`,
	partOfFinish:     `"finish_reason":`,
}

// appendMessage appends the message that the entries describe.
func appendMessage(dst []byte, entries []indexedEntry) []byte {
	dst = append(dst, '{')
	from := len(dst)
	comma := func() {
		if len(dst) > from {
			dst = append(dst, ',')
		}
	}
	for i := 0; i < len(entries); {
		e := &entries[i]
		end := i + 1
		switch {
		case e.part <= partOfFinish:
			comma()
			dst = append(append(dst, messageKeys[e.part]...), e.value.Raw()...)
		case e.part == partOfFunction || e.part == partOfFunctionName:
			end = i + countFunction(entries[i:])
			comma()
			dst = appendFunction(append(dst, `"function_call":`...), entries[i:end])
		case e.part == partOfContents:
			for end < len(entries) && entries[end].part == partOfContents {
				end++
			}
			comma()
			dst = appendContents(append(dst, `"content":[`...), entries[i:end])
		default:
			end = len(entries)
			comma()
			dst = appendCalls(append(dst, `"tool_calls":[`...), entries[i:end])
		}
		i = end
	}
	return append(dst, '}')
}

// countFunction returns the number of leading entries that belong to a function_call.
func countFunction(entries []indexedEntry) int {
	n := 0
	for n < len(entries) && (entries[n].part == partOfFunction || entries[n].part == partOfFunctionName) {
		n++
	}
	return n
}

func appendFunction(dst []byte, entries []indexedEntry) []byte {
	dst = append(dst, '{')
	for i := range entries {
		key := `"arguments":`
		if entries[i].part == partOfFunctionName {
			key = `"name":`
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, key...), entries[i].value.Raw()...)
	}
	return append(dst, '}')
}

func appendContents(dst []byte, entries []indexedEntry) []byte {
	for i := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, `{"type":"text","text":`...), entries[i].value.Raw()...), '}')
	}
	return append(dst, ']')
}

// callKeys are the keys of a call's parts, from partOfCallID on.
var callKeys = [...]string{`"id":`, `"name":`, `"arguments":`}

func appendCalls(dst []byte, entries []indexedEntry) []byte {
	for i := range entries {
		e := &entries[i]
		if i > 0 && entries[i-1].sub == e.sub {
			dst = append(dst, ',')
		} else {
			if i > 0 {
				dst = append(dst, '}', ',')
			}
			dst = append(dst, '{')
		}
		dst = append(append(dst, callKeys[e.part-partOfCallID]...), e.value.Raw()...)
	}
	return append(dst, '}', ']')
}

// tools returns the tool definitions as an array, or an absent node if the list is empty. The entries must be sorted.
func (x *indexed) tools(el *formats.Element) formats.Node {
	dst := append(x.text[:0], '[')
	for i := range x.entries {
		if x.entries[i].list != listTools {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, x.entries[i].value.Raw()...)
	}
	x.text = append(dst, ']')
	if len(x.text) == len("[]") {
		return formats.Node{}
	}
	return el.Parse(x.text)
}

// has reports whether a list has entries.
func (x *indexed) has(list indexedList) bool {
	return slices.ContainsFunc(x.entries, func(e indexedEntry) bool { return e.list == list })
}
