package llm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

func newRecord() *formats.Element {
	return formats.NewElement(formats.Setup{Wanted: schema.Wanted{Fields: schema.AllFields()}}, new(formats.Paths))
}

// pieces splits a text into pieces at character boundaries.
func pieces(t *rapid.T, text, label string) (list []string) {
	runes := []rune(text)
	for len(runes) > 0 {
		n := rapid.IntRange(1, len(runes)).Draw(t, label)
		list = append(list, string(runes[:n]))
		runes = runes[n:]
	}
	return list
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// dialects write an answer of one text and one call as each provider streams it.
var dialects = map[string]func(texts, arguments []string) []string{
	"openai": func(texts, arguments []string) (events []string) {
		for _, s := range texts {
			events = append(events, `{"choices":[{"index":0,"delta":{"content":`+quoted(s)+`}}]}`)
		}
		events = append(events, `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}}]}`)
		for _, s := range arguments {
			events = append(events, `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":`+quoted(s)+`}}]}}]}`)
		}
		return append(events, `{"choices":[{"index":0,"delta":{},"finish_reason":"end"}]}`)
	},
	"anthropic": func(texts, arguments []string) (events []string) {
		for _, s := range texts {
			events = append(events, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quoted(s)+`}}`)
		}
		events = append(events, `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"c","name":"f","input":{}}}`)
		for _, s := range arguments {
			events = append(events, `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":`+quoted(s)+`}}`)
		}
		return append(events, `{"type":"message_delta","delta":{"stop_reason":"end"}}`)
	},
	"converse": func(texts, arguments []string) (events []string) {
		for _, s := range texts {
			events = append(events, `{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":`+quoted(s)+`}}}`)
		}
		events = append(events, `{"contentBlockStart":{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"c","name":"f"}}}}`)
		for _, s := range arguments {
			events = append(events, `{"contentBlockDelta":{"contentBlockIndex":1,"delta":{"toolUse":{"input":`+quoted(s)+`}}}}`)
		}
		return append(events, `{"messageStop":{"stopReason":"end"}}`)
	},
}

// However an answer is split into events, the stream assembles the same answer.
func TestStreamGivesTheAnswer(t *testing.T) {
	el, s, c := newRecord(), NewStream(), NewConversation()
	for name, dialect := range dialects {
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.StringN(0, 40, -1).Draw(t, "text")
			value := quoted(rapid.String().Draw(t, "argument"))
			arguments := `{"a":` + value + `}`
			s.Reset()
			c.Reset()
			events := dialect(pieces(t, text, "text piece"), pieces(t, arguments, "argument piece"))
			s.Events(el, "data: "+strings.Join(events, "\n\ndata: ")+"\n\ndata: [DONE]\n\n")
			s.Fill(el, c)
			if got := strings.Join(c.answer, "|"); got != text {
				t.Fatalf("%s: text: got %q, want %q", name, got, text)
			}
			if len(c.Calls) != 1 || c.Calls[0].ID != "c" || c.Calls[0].Name != "f" || c.Calls[0].Arguments.Raw() != arguments {
				t.Fatalf("%s: calls: got %v, want f(%s)", name, c.Calls, arguments)
			}
			if fmt.Sprint(c.finish) != "[end]" {
				t.Fatalf("%s: got %v, want [end]", name, c.finish)
			}
		})
	}
}

// Calls with different ids at one index are different calls, and interleaved pieces are not mixed up.
func TestStreamedCallsStayApart(t *testing.T) {
	el, s, c := newRecord(), NewStream(), NewConversation()
	piece := func(index int, id, name, arguments string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"id":%s,"function":{"name":%s,"arguments":%s}}]}}]}`,
			index, quoted(id), quoted(name), quoted(arguments))
	}
	s.Events(el, strings.Join([]string{
		piece(0, "a", "f", "["), piece(1, "b", "g", "{"), piece(0, "", "", "1]"), piece(1, "", "", "}"), piece(0, "d", "h", "{}"),
		"data: {broken", "event: x", ": comment",
	}, "\n"))
	s.Fill(el, c)
	var got []string
	for _, call := range c.Calls {
		got = append(got, call.ID+call.Name+call.Arguments.Raw())
	}
	if want := "[af[1] bg{} dh{}]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// A stream of very many blocks is bounded.
func TestStreamIsBounded(t *testing.T) {
	el, s, c := newRecord(), NewStream(), NewConversation()
	var b strings.Builder
	for i := range 10 * maxPieces {
		fmt.Fprintf(&b, `data: {"type":"content_block_delta","index":%d,"delta":{"text":"t"}}`+"\n", i)
		fmt.Fprintf(&b, `data: {"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":"c%d","name":"f"}}`+"\n", i, i)
	}
	s.Events(el, b.String())
	s.Fill(el, c)
	if len(c.answer) != maxPieces || len(c.Calls) != maxPieces {
		t.Errorf("got %d texts and %d calls, want %d of each", len(c.answer), len(c.Calls), maxPieces)
	}
}

// Messages spelled out in attributes are the same whatever the order of the attributes.
func TestIndexedMessagesInAnyOrder(t *testing.T) {
	el := newRecord()
	type attr struct{ key, value string }
	attrs := []attr{
		{"llm.input_messages.0.message.role", "system"},
		{"llm.input_messages.0.message.content", "s"},
		{"gen_ai.prompt.2.role", "user"},
		{"gen_ai.prompt.2.content", "u"},
		{"gen_ai.prompt.10.role", "tool"},
		{"gen_ai.prompt.10.tool_call_id", "c"},
		{"gen_ai.prompt.10.content", "r"},
		{"llm.input_messages.3.message.role", "assistant"},
		{"llm.input_messages.3.message.tool_calls.0.tool_call.id", "c"},
		{"llm.input_messages.3.message.tool_calls.0.tool_call.function.name", "f"},
		{"llm.input_messages.3.message.tool_calls.1.tool_call.function.name", "g"},
		{"llm.input_messages.3.message.tool_calls.1.tool_call.function.arguments", "{}"},
		{"gen_ai.prompt.x.role", "no"},
		{"gen_ai.prompt.1234567.role", "no"},
		{"llm.input_messages.0.message.other", "no"},
		{"gen_ai.completion.0.content", "out"},
	}
	want := `[{"role":"system","content":"s"},{"role":"user","content":"u"},` +
		`{"role":"assistant","tool_calls":[{"id":"c","name":"f"},{"name":"g","arguments":"{}"}]},{"role":"tool","content":"r","tool_call_id":"c"}]`
	rapid.Check(t, func(t *rapid.T) {
		x := newIndexed()
		for _, a := range rapid.Permutation(attrs).Draw(t, "order") {
			x.add(a.key, el.Quote(a.value))
		}
		x.sort()
		if got := x.messages(el, listInput).Raw(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
