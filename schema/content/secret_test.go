package content

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKinds(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		got := Kinds(text)
		if !slices.Equal(got.Names(), want) {
			t.Errorf("%q: got %v, want %v", text, got.Names(), want)
		}
		if got.Len() != len(want) {
			t.Errorf("%q: got %d kinds, want %d", text, got.Len(), len(want))
		}
		for _, k := range AllKinds() {
			if got.Has(k) != slices.Contains(want, k) {
				t.Errorf("%q: has %s: got %v", text, k, got.Has(k))
			}
		}
	}
	f("")
	f("nothing to see, the token count is 12 and the secret of success is work")
	f("key "+skOpenAI, "openai")
	f("keys "+skOpenAI+" and "+skAnt+" and again "+skOpenAI, "anthropic", "openai")
	f("Authorization: Bearer "+jwt, "authorization")
	f("see "+jwt, "jwt")
	f(`{"password":"hunter2-is-mine","note":"`+ghp+`"}`, "github", "secret")
	f(`{"aws_secret_access_key":"`+body40+`"}`, "aws")
	f("postgres://user:pa55word@db.example/x", "url")
	if KindSet(0).Has("no such kind") {
		t.Errorf("the empty set has a kind that does not exist")
	}
	if !slices.IsSorted(AllKinds()) {
		t.Errorf("the kinds are not sorted: %v", AllKinds())
	}
}

// TestKindsAreThoseOfMarkers checks that Kinds returns the kinds of the markers that one pass of Redact writes.
func TestKindsAreThoseOfMarkers(t *testing.T) {
	marker := regexp.MustCompile(`\[redacted:([a-z_]+):[0-9a-f]{8}\]`)
	pieces := []string{skOpenAI, skAnt, jwt, ghp, ghPat, aiza, slack, "Authorization: Basic " + basic,
		`{"api_key":"` + body48 + `"}`, "password=" + body40,
		" ", "\n", "x", `"`, `\`, "://", "token", "=", ":", "[redacted:jwt:00000000]"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), "")
		once, found := redactOnce(text)
		got := Kinds(text)
		if found != (got != 0) {
			t.Fatalf("%q: redacted %v, kinds %v", text, found, got.Names())
		}
		for _, k := range got.Names() {
			if !strings.Contains(once, "[redacted:"+k+":") {
				t.Fatalf("%q: kind %s is in no marker of %q", text, k, once)
			}
		}
		for _, m := range marker.FindAllStringSubmatch(once, -1) {
			if !got.Has(m[1]) && !strings.Contains(text, m[0]) {
				t.Fatalf("%q: marker %s of no kind in %v", text, m[0], got.Names())
			}
		}
	})
}

func TestKindsAllocateNothing(t *testing.T) {
	text := strings.Repeat("some words of a prompt, ", 100) + skOpenAI + ` {"password":"hunter2-is-mine"}`
	if n := testing.AllocsPerRun(100, func() { Kinds(text) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
