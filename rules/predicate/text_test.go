package predicate

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
)

// A condition over a finding can use every JSON name of a finding.
func TestFindingNames(t *testing.T) {
	typ := reflect.TypeFor[schema.Finding]()
	var want, got []string
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if name != "guide" { // it helps people to act, and says nothing about the finding
			want = append(want, name)
		}
	}
	for _, n := range FindingNames() {
		got = append(got, n.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The text functions are compared with equivalent regular expressions.
func TestTextFunctions(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("abAB*?kK\u212asS\u017f\u00e4\u00c4.")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		text, arg := letters.Draw(t, "text"), letters.Draw(t, "arg")
		fold := regexp.MustCompile("(?is)" + regexp.QuoteMeta(arg))
		if got, want := containsFold(text, arg), fold.MatchString(text); got != want {
			t.Errorf("icontains(%q, %q) is %v", text, arg, got)
		}
		pattern := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(arg))
		if got, want := globMatch(text, arg), regexp.MustCompile("(?s)^"+pattern+"$").MatchString(text); got != want {
			t.Errorf("glob(%q, %q) is %v", text, arg, got)
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := SpellOut(string(quoted)); got != `"`+text+`"` {
			t.Errorf("%s spelled out is %q, want %q", quoted, got, text)
		}
	})
	if got, want := SpellOut(`["\u0041\b\f\n\r\t\/\\\"\ud83d\ude00\ud800\uZZ\"]`), "[\"A\b\f\n\r\t/\\\"\U0001f600\ufffd\\uZZ\"]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// The slowest glob takes time proportional to the text times the pattern.
	if globMatch(strings.Repeat("a", 1<<16), strings.Repeat("*a", 8)+"b") {
		t.Error("matches without a b")
	}
}

func TestURLParts(t *testing.T) {
	for text, want := range map[string][]string{ // scheme, host, port, path
		"https://User:pw@EVIL.example.:8443/a/b?q#f": {"https", "evil.example", "8443", "/a/b"},
		"http://[::1]:80/":                           {"http", "::1", "80", "/"},
		"//host/x":                                   {"", "host", "", "/x"},
		"not a url":                                  {"", "", "", "not a url"},
		"http://bad host/":                           {"", "", "", ""},
		"http://a\nb/":                               {"http", "ab", "", "/"},
		" https://space.test ":                       {"https", "space.test", "", ""},
		"":                                           {"", "", "", ""},
	} {
		for i, part := range URLParts() {
			if got := URLPart(part, text); got != want[i] {
				t.Errorf("%s of %q: got %q, want %q", part, text, got, want[i])
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "isPrivate", "192.168.255.1": "isPrivate", "fd00::1": "isPrivate", "::ffff:10.0.0.1": "isPrivate",
		"127.0.0.1": "isLoopback", "::1": "isLoopback",
		"169.254.169.254": "isLinkLocal", "fe80::1%eth0": "isLinkLocal",
		"10.0.0.01": "isPrivate", "0x7f.1": "isLoopback",
		"8.8.8.8": "", "10.0.0.1:80": "", "": "", "x": "", strings.Repeat(":", 100): "",
	} {
		for _, kind := range AddressKinds() {
			if got := AddressIs(kind, text); got != (kind == want) {
				t.Errorf("%s(%q) is %v", kind, text, got)
			}
		}
	}
}
