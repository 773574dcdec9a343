package llm

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
)

// indexed are messages and tools that attributes spell out one by one: gen_ai.prompt.0.content of OpenLLMetry,
// llm.input_messages.0.message.content of OpenInference. They come in any order.
type indexed struct {
	entries []indexedEntry
	text    []byte
}

// indexedEntry is one attribute of these.
type indexedEntry struct {
	list         indexedList
	message, sub int // sub: which call or part, -1 for what is the message's own
	what         indexedPart
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
	partOfCallID   // one call: these stand in a row
	partOfCallName
	partOfCallArguments
	partOfTool
)

func newIndexed() *indexed { return new(indexed) }

func (x *indexed) reset() { x.entries = x.entries[:0] }

// indexedPrefixes are the names before the first index.
var indexedPrefixes = [...]struct {
	prefix string
	list   indexedList
}{
	{"gen_ai.prompt.", listInput}, {"llm.input_messages.", listInput}, {"gen_ai.completion.", listOutput}, {"llm.output_messages.", listOutput},
	{"llm.tools.", listTools}, {"llm.request.functions.", listTools},
}

// maxIndexed is how many of these attributes one span may have; instrumentations stop at far fewer.
const maxIndexed = 10_000

// add takes an attribute, if it is one of these.
func (x *indexed) add(key string, value formats.Node) {
	for i := range indexedPrefixes {
		rest, ok := strings.CutPrefix(key, indexedPrefixes[i].prefix)
		if !ok {
			continue
		}
		message, rest, ok := cutIndex(rest)
		if !ok || len(x.entries) == maxIndexed {
			return
		}
		e := indexedEntry{list: indexedPrefixes[i].list, message: message, sub: -1, value: value}
		if e.list == listTools {
			e.what = partOfTool
			if rest != "name" && rest != "tool.json_schema" {
				return
			}
			x.entries = append(x.entries, e)
			return
		}
		if e.what, e.sub, ok = partOfKey(strings.TrimPrefix(rest, "message.")); ok {
			x.entries = append(x.entries, e)
		}
		return
	}
}

// cutIndex cuts an index and a dot off the front. Indexes of more than six digits are nobody's.
func cutIndex(s string) (index int, rest string, ok bool) {
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

// partOfKey tells what of a message a key behind its index means.
func partOfKey(key string) (what indexedPart, sub int, ok bool) {
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
		sub, rest, ok = cutIndex(rest)
		return partOfContents, sub, ok && rest == "message_content.text"
	}
	rest, found := strings.CutPrefix(key, "tool_calls.")
	if !found {
		return 0, 0, false
	}
	sub, rest, ok = cutIndex(rest)
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

// sort puts the entries in the order of their messages, each message's own parts first.
func (x *indexed) sort() {
	slices.SortStableFunc(x.entries, func(a, b indexedEntry) int {
		switch {
		case a.list != b.list:
			return int(a.list) - int(b.list)
		case a.message != b.message:
			return a.message - b.message
		case kindOf(a.what) != kindOf(b.what):
			return int(kindOf(a.what)) - int(kindOf(b.what))
		case a.sub != b.sub:
			return a.sub - b.sub
		}
		return int(a.what) - int(b.what)
	})
}

// kindOf puts the parts of one call next to one another.
func kindOf(p indexedPart) indexedPart { return min(p, partOfCallID) }

// messages returns the messages of a list as an array of OpenAI's messages, absent where there are none. The entries
// are sorted.
func (x *indexed) messages(r *formats.Record, list indexedList) formats.Node {
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
	return r.Parse(x.text)
}

// ownKeys are the keys of what is a message's own.
var ownKeys = [...]string{partOfRole: `"role":`, partOfContent: `"content":`, partOfToolCallID: `"tool_call_id":`, partOfName: `"name":`, partOfFinish: `"finish_reason":`}

// appendMessage appends the message that these entries spell.
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
		case e.what <= partOfFinish:
			comma()
			dst = append(append(dst, ownKeys[e.what]...), e.value.Raw()...)
		case e.what == partOfFunction || e.what == partOfFunctionName:
			end = i + countFunction(entries[i:])
			comma()
			dst = appendFunction(append(dst, `"function_call":`...), entries[i:end])
		case e.what == partOfContents:
			for end < len(entries) && entries[end].what == partOfContents {
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

// countFunction returns how many of the first entries are of one function_call.
func countFunction(entries []indexedEntry) int {
	n := 0
	for n < len(entries) && (entries[n].what == partOfFunction || entries[n].what == partOfFunctionName) {
		n++
	}
	return n
}

func appendFunction(dst []byte, entries []indexedEntry) []byte {
	dst = append(dst, '{')
	for i := range entries {
		key := `"arguments":`
		if entries[i].what == partOfFunctionName {
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

// callKeys are the keys of a call's parts.
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
		dst = append(append(dst, callKeys[e.what-partOfCallID]...), e.value.Raw()...)
	}
	return append(dst, '}', ']')
}

// tools returns the definitions of the tools as an array, absent where there are none. The entries are sorted.
func (x *indexed) tools(r *formats.Record) formats.Node {
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
	return r.Parse(x.text)
}

// has says that a list has entries.
func (x *indexed) has(list indexedList) bool {
	return slices.ContainsFunc(x.entries, func(e indexedEntry) bool { return e.list == list })
}
