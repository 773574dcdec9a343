package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// nasty controls terminals: an escape sequence, its C1 form, bidirectional overrides, a tag character, a bell, DEL.
const nasty = "a\x1b[31mb\u009bcd\u202ee\u2066f\U000e0041g\ah\x7fi\u2028j\ue000 \u00e4\u4e2d\U0001f600"

func TestPlain(t *testing.T) {
	if got, want := plain(nasty+"\xff\n"), "a?[31mb?cd?e?f?g?h?i?j? \u00e4\u4e2d\U0001f600??"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := plainLines("a\x1b[1m\nb\r\n"), "a?[1m\nb?\n"; got != want {
		t.Errorf("lines: got %q, want %q", got, want)
	}
}

// TestPlainJSON checks that the output has no control characters and the same meaning, for any division into writes.
func TestPlainJSON(t *testing.T) {
	var src bytes.Buffer
	enc := json.NewEncoder(&src)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	want := map[string]string{"k": nasty, nasty: "v"}
	if err := enc.Encode(want); err != nil {
		t.Fatal(err)
	}
	for size := 1; size < 9; size++ {
		var out bytes.Buffer
		w := &plainJSON{w: &out}
		for b := src.Bytes(); len(b) > 0; {
			n := min(size, len(b))
			if k, err := w.Write(b[:n]); k != n || err != nil {
				t.Fatalf("write: %d, %v", k, err)
			}
			b = b[n:]
		}
		if i := strings.IndexFunc(out.String(), func(r rune) bool { return controls(r) && r != '\n' && r != '\t' }); i >= 0 {
			t.Errorf("in writes of %d: control characters in %q", size, out.String()[i:])
		}
		var got map[string]string
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != 2 || got["k"] != nasty || got[nasty] != "v" {
			t.Errorf("in writes of %d: got %q, %v", size, got, err)
		}
		if !strings.Contains(out.String(), `\u202e`) || !strings.Contains(out.String(), `\udb40\udc41`) || !strings.Contains(out.String(), "\u4e2d") {
			t.Errorf("in writes of %d: got %s", size, &out)
		}
	}
}
