package sigma_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/aidr-engine/aidr/rules/sigma"
)

func parse(s string) (v any) {
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		panic(err)
	}
	return v
}

// encoded returns a text in base64, in one of four ways: alone, within another text, and as UTF-16.
func encoded(s string, how int) string {
	b := []byte(s)
	switch how {
	case 1:
		b = []byte("x" + s + "yz")
	case 2, 3:
		b = nil
		for _, u := range utf16.Encode([]rune(s)) {
			if how == 2 {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
	}
	return base64.StdEncoding.EncodeToString(b)
}

func writeAll(t *testing.T, dir string, files []sigma.File) {
	t.Helper()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
