package predicate

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzJSON compares JSONAt, Unquote and jsonSpells with encoding/json. They must not panic on a text that is not JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":1}`, `{"a":{"a":"x"},"a":[null]}`, `{"\u0061":"\ud83d\ude00"}`, `{"a":"\ud800"}`, ` { "a" : 1e400 } `,
		`[1,{"a":2}]`, `{"a`, `{"a":1]`, `"a"`, `{"a":01}`, ``,
	} {
		f.Add(s, "a")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		got := JSONAt(text, []string{key})
		for _, quoted := range []string{text, `"` + text + `"`} {
			var want string
			if s, ok := Unquote(quoted); ok && json.Unmarshal([]byte(quoted), &want) == nil && jsonValid(quoted) {
				if s != want || !jsonSpells(quoted, want) || jsonSpells(quoted, want+"x") {
					t.Errorf("%q: unquoted %q, want %q, jsonSpells is %v", quoted, s, want, jsonSpells(quoted, want))
				}
			}
		}
		var object map[string]json.RawMessage
		if !jsonValid(text) || json.Unmarshal([]byte(text), &object) != nil {
			return
		}
		member, ok := object[key]
		if !ok {
			if got.Present() {
				t.Errorf("%q: %q is %+v, want an absent value", text, key, got)
			}
			return
		}
		if want := JSONValue(strings.TrimSpace(string(member))); got != want {
			t.Errorf("%q: %q is %+v, want %+v", text, key, got, want)
		}
	})
}

// jsonValid reports whether decoding accepts the text: valid JSON in valid UTF-8.
func jsonValid(text string) bool {
	return json.Valid([]byte(text)) && strings.ToValidUTF8(text, "?") == text
}
