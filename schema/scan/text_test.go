package scan

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzText compares Text and spells with encoding/json.
func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", `\n\"\\\/`, `\ud83d\ude00`, `\ud83d`, `\ude00\ud83d\ude00`,
		`\ud83d\u0041`, "\u20ac", `\u0000`, `\ud83d\ud83d\ude00`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, inner string) {
		src := `"` + inner + `"`
		v, err := Valid(src)
		if err != nil || v.Kind != String || int(v.End) != len(src) {
			return
		}
		var want string
		if err := json.Unmarshal([]byte(src), &want); err != nil {
			t.Fatalf("encoding/json does not read %s: %v", src, err)
		}
		var a Arena
		if got := Text(src, v, &a); got != want {
			t.Errorf("Text(%s): got %q, want %q", src, got, want)
		}
		if !spells(inner, want) {
			t.Errorf("%s does not spell %q", src, want)
		}
		if spells(inner, want+"x") || (want != "" && spells(inner, want[1:])) {
			t.Errorf("%s spells more than %q", src, want)
		}
	})
}

// TestArenaViewsStay checks that a view of the arena is unchanged after many more texts were stored.
func TestArenaViewsStay(t *testing.T) {
	var a Arena
	var views, want []string
	for i := range 5000 {
		raw := `"\n` + strings.Repeat("x", i%300) + `\t"`
		if i%1000 == 999 {
			raw = `"\n` + strings.Repeat("y", 2*arenaChunk) + `"`
		}
		var text string
		if err := json.Unmarshal([]byte(raw), &text); err != nil {
			t.Fatal(err)
		}
		v := Span{End: int32(len(raw)), Kind: String, note: 1}
		views = append(views, Text(raw, v, &a), a.Concat("a", text), a.Copy([]byte(text)))
		want = append(want, text, "a"+text, text)
	}
	for i := range views {
		if views[i] != want[i] {
			t.Fatalf("view %d: got %.20q, want %.20q", i, views[i], want[i])
		}
	}
}
