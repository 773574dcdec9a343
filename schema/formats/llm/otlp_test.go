package llm

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// nanos accepts only texts of its form, and gives the same time as scan.Time.
func TestNanos(t *testing.T) {
	check := func(t rapid.TB, src string, plain bool) {
		t.Helper()
		v, err := scan.Valid(src)
		if err != nil {
			return
		}
		got, ok := nanos(formats.Node{Src: src, Span: v})
		if ok != plain {
			t.Fatalf("%s: got %v, want %v", src, ok, plain)
		}
		want, there := scan.Time(src, v)
		if ok && (!there || got != want) {
			t.Fatalf("%s: got %d, want %d, %v", src, got, want, there)
		}
	}
	for src, plain := range map[string]bool{
		`"1767261600000000000"`: true, `"1000000000000000000"`: true, `"8999999999999999999"`: true,
		`"9223372036854775807"`: false, `"9999999999999999999"`: false, `"0767261600000000000"`: false, `"0000000000000000000"`: false,
		`"-767261600000000000"`: false, `"176726160000000000."`: false, `"17672616000000000e1"`: false, `"176726160000000000"`: false,
		`"17672616000000000000"`: false, `1767261600000000000`: true, `176726160000000000.1`: false, `9767261600000000000`: false, `"1\u0030672616000000"`: false, `"2026-01-01T10:00:00"`: false,
		`""`: false, `null`: false, `{"a":1767261600000}`: false,
	} {
		check(t, src, plain)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, `"`+rapid.StringMatching(`[1-8][0-9]{18}`).Draw(t, "digits")+`"`, true)
		check(t, `"`+rapid.StringMatching(`[1-8][0-9]{6}[^0-9"\\\x00-\x1f\x7f-\x{10ffff}][0-9]{11}`).Draw(t, "other")+`"`, false)
	})
}

// An id accepted by plainID needs no change.
func TestPlainID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("0000fF@AZ[`az/9:_\x7f\u00e9\u4e00")), 0, 32, 40).Draw(t, "text")
		if plainID(text) && (strings.Trim(text, "0") == "" || strings.ToLower(text) != text) {
			t.Fatalf("%q is not plain", text)
		}
		hex := rapid.StringMatching(`([0-9a-f]{8}){1,4}`).Draw(t, "hex")
		if plainID(hex) != (strings.Trim(hex, "0") != "") {
			t.Fatalf("%q: got %v", hex, plainID(hex))
		}
	})
}
