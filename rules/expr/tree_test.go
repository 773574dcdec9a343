package expr

import "testing"

// FuzzTree builds the values of CEL from any text. It must not panic if the text is not JSON.
func FuzzTree(f *testing.F) {
	for _, s := range []string{`{"a":{"a":"x"},"a":[null]}`, `{"\u0061":"\ud83d\ude00"}`, `["x",1,["y"]]`, `{"a`, `{"a":1]`, ``} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		jsonTree(text, 0)
		listTexts(text)
	})
}
