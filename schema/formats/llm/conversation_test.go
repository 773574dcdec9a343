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

// session draws the conversation of an agent's loop: its messages in order, and the number of messages in each request.
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

// Each request repeats the whole conversation, yet each user's text, result and call is new exactly once.
func TestEverythingIsNewOnce(t *testing.T) {
	c := NewConversation()
	el := formats.NewElement(formats.Setup{Wanted: schema.Wanted{Fields: schema.AllFields()}}, new(formats.Paths))
	rapid.Check(t, func(t *rapid.T) {
		messages, ends := session(t)
		ends = append(ends, len(messages)) // a last request, not yet answered by the model
		seen := map[string]int{}
		for i, end := range ends {
			c.Reset()
			c.Request(el, parse(t, "["+strings.Join(messages[:end], ",")+"]"))
			if i < len(ends)-1 {
				c.Response(el, parse(t, `{"choices":[{"message":`+messages[end]+`}]}`))
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
		for item, n := range seen {
			if n != 1 {
				t.Errorf("%s is new %d times", item, n)
			}
		}
		all := strings.Join(messages, "")
		for kind, want := range map[string]int{
			"prompt": strings.Count(all, `"user"`), "result": strings.Count(all, `"tool"`), "call": strings.Count(all, `"arguments"`),
		} {
			got := 0
			for item := range seen {
				if strings.HasPrefix(item, kind) {
					got++
				}
			}
			if got != want {
				t.Errorf("got %d of kind %s, want %d", got, kind, want)
			}
		}
		for i := range strings.Count(all, `"tool"`) {
			if item := fmt.Sprintf("result c%d t%d r%d", i, i, i); seen[item] != 1 {
				t.Errorf("%s: not seen", item)
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

// A place without a path would select the whole value.
func TestEveryPlaceHasAPath(t *testing.T) {
	for name, paths := range map[string][][]string{
		"body": BodyPaths(), "message": messagePaths(), "call": callPaths(), "part": partPaths(), "answer": AnswerPaths(),
		"choice": choicePaths(), "request": requestPaths(), "response": responsePaths(), "rpc": rpcPaths(), "chunk": chunkPaths(),
		"chunk choice": chunkChoicePaths(), "piece": piecePaths(), "usage": usagePaths(),
	} {
		for place, path := range paths {
			if len(path) == 0 {
				t.Errorf("%s: place %d has no path", name, place)
			}
		}
	}
	for name, n := range map[string][2]int{
		"body": {len(BodyPaths()), BodyPlaces}, "answer": {len(AnswerPaths()), AnswerPlaces}, "usage": {len(usagePaths()), usagePlaces},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: got %d paths, want %d", name, n[0], n[1])
		}
	}
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
