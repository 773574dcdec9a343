package llm

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// session draws a conversation as an agent's loop makes it: the messages in order, and where each request ended.
func session(t *rapid.T) (messages []string, ends []int) {
	messages = append(messages, `{"role":"system","content":"s"}`, `{"role":"user","content":"u0"}`)
	call := 0
	for range rapid.IntRange(1, 6).Draw(t, "rounds") {
		ends = append(ends, len(messages))
		n := rapid.IntRange(0, 3).Draw(t, "calls")
		var calls []string
		for i := range n {
			calls = append(calls, fmt.Sprintf(`{"id":"c%d","function":{"name":"t%d","arguments":"{}"}}`, call+i, call+i))
		}
		messages = append(messages, `{"role":"assistant","content":"a","tool_calls":[`+strings.Join(calls, ",")+`]}`)
		for i := range n {
			messages = append(messages, fmt.Sprintf(`{"role":"tool","tool_call_id":"c%d","content":"r%d"}`, call+i, call+i))
		}
		if n == 0 || rapid.Bool().Draw(t, "user speaks") {
			messages = append(messages, fmt.Sprintf(`{"role":"user","content":"u%d"}`, len(ends)))
		}
		call += n
	}
	return messages, ends
}

// Each request repeats all that was said; still every user's text, every result and every call is new exactly once.
func TestEverythingIsNewOnce(t *testing.T) {
	c := NewConversation()
	r := formats.NewRecord(formats.Setup{Wanted: schema.Wanted{Fields: schema.AllFields()}}, new(formats.Paths))
	rapid.Check(t, func(t *rapid.T) {
		messages, ends := session(t)
		ends = append(ends, len(messages)) // a last request, which the model has not answered
		seen := map[string]int{}
		for i, end := range ends {
			c.Reset()
			c.Request(r, parse(t, "["+strings.Join(messages[:end], ",")+"]"))
			if i < len(ends)-1 {
				c.Response(r, parse(t, `{"choices":[{"message":`+messages[end]+`}]}`))
			}
			for _, text := range c.prompt {
				seen["prompt "+text]++
			}
			for _, res := range c.Results {
				seen["result "+res.ID+" "+res.Name+" "+res.Text]++
			}
			for _, call := range c.Calls {
				seen["call "+call.ID+" "+call.Name]++
			}
		}
		for what, n := range seen {
			if n != 1 {
				t.Errorf("%s is new %d times", what, n)
			}
		}
		all := strings.Join(messages, "")
		for kind, want := range map[string]int{"prompt": strings.Count(all, `"user"`), "result": strings.Count(all, `"tool"`), "call": strings.Count(all, `"arguments"`)} {
			got := 0
			for what := range seen {
				if strings.HasPrefix(what, kind) {
					got++
				}
			}
			if got != want {
				t.Errorf("got %d of kind %s, want %d", got, kind, want)
			}
		}
		for i := range strings.Count(all, `"tool"`) {
			if what := fmt.Sprintf("result c%d t%d r%d", i, i, i); seen[what] != 1 {
				t.Errorf("%s: not seen", what)
			}
		}
	})
}

func parse(t *rapid.T, text string) formats.Node {
	v, err := scan.Valid(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return formats.Node{Src: text, Span: v}
}

func TestOperation(t *testing.T) {
	for callType, want := range map[string]string{
		"acompletion": "chat", "completion": "chat", "aembedding": "embeddings", "atext_completion": "text_completion", "aresponses": "chat",
		"anthropic_messages": "chat", "agenerate_content": "generate_content", "amoderation": "moderation", "": "chat",
	} {
		if got := operation(callType); got != want {
			t.Errorf("%q: got %q, want %q", callType, got, want)
		}
	}
}
