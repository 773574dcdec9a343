package formats

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/schema"
)

func TestParseIP(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "10.0.0.1:443": "10.0.0.1", " 10.0.0.1 ": "10.0.0.1",
		"::ffff:10.0.0.1": "10.0.0.1", "[::ffff:10.0.0.1]:5": "10.0.0.1",
		"2001:DB8::1": "2001:db8::1", "[2001:db8::1]:8080": "2001:db8::1", "[2001:db8::1]": "2001:db8::1",
		"fe80::1%eth0": "fe80::1", "::1": "::1",
		"010.0.0.1": "", "10.0.0.***": "", "10.0.0.0/8": "", "AWS Internal": "", "s3.amazonaws.com": "", "": "",
		"[::1": "", "[::1]x": "", "1.2.3": "", "300.1.1.1": "",
	} {
		ip, _, ok := parseIP(in)
		got := ""
		if ok {
			got = ip.String()
		}
		if got != want {
			t.Errorf("parseIP(%q): got %q, want %q", in, got, want)
		}
	}
}

// parseQuad accepts the same texts of IPv4's form as package netip, with the same result, and only in normal form.
func TestParseQuad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{0,3}(\.[0-9]{0,3}){2,4}x?`).Draw(t, "text")
		want, err := netip.ParseAddr(text)
		octets, ok := parseQuad(text)
		ip := netip.AddrFrom4(octets)
		if ok != (err == nil) || ok && (ip != want || ip.String() != text) {
			t.Errorf("parseQuad(%q): got %v %v, want %v %v", text, ip, ok, want, err)
		}
	})
}

func TestSplitURL(t *testing.T) {
	for in, want := range map[string][2]string{
		"https://api.example.com:8443/orders/5?x=1#f": {"api.example.com", "/orders/5"},
		"https://user:secret@example.com/p":           {"example.com", "/p"},
		"http://[2001:db8::1]:80/p":                   {"2001:db8::1", "/p"},
		"https://example.com":                         {"example.com", ""},
		"https://example.com?q=://x":                  {"example.com", ""},
		"/path?next=https://evil.example/":            {"", "/path"},
		"/a://b":                                      {"", "/a://b"},
		"":                                            {"", ""},
	} {
		host, path := SplitURL(in)
		if got := [2]string{host, path}; got != want {
			t.Errorf("SplitURL(%q): got %q, want %q", in, got, want)
		}
	}
}

// SplitURL, which makes one pass, gives the same result as its definition in terms of searches.
func TestSplitURLBySearch(t *testing.T) {
	bySearch := func(url string) (host, path string) {
		if i := strings.Index(url, "://"); i >= 0 && !strings.ContainsAny(url[:i], "/?#") {
			url = url[i+len("://"):]
			end := strings.IndexAny(url+"/", "/?#")
			host, url = url[:end], url[end:]
			host = Host(host[strings.LastIndexByte(host, '@')+1:])
		}
		return host, url[:strings.IndexAny(url+"?", "?#")]
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SampledFrom([]string{"://", ":", "/", "?", "#", "@", "a", "[", "]", "\u00e9"})
		url := strings.Join(rapid.SliceOf(parts).Draw(t, "url"), "")
		wantHost, wantPath := bySearch(url)
		host, path := SplitURL(url)
		if host != wantHost || path != wantPath || URLPath(url) != wantPath {
			t.Errorf("SplitURL(%q): got %q %q, and the path %q, want %q %q", url, host, path, URLPath(url), wantHost, wantPath)
		}
	})
}

func TestDenied(t *testing.T) {
	for code, want := range map[string]bool{
		"AccessDenied": true, "AccessDeniedException": true, "VpceAccessDenied": true,
		"Client.UnauthorizedOperation": true, "UnauthorizedOperation": true,
		"ThrottlingException": false, "NoSuchBucket": false, "": false, "ExpiredToken": false,
	} {
		if got := IsDenied(code); got != want {
			t.Errorf("Denied(%q): got %v, want %v", code, got, want)
		}
	}
}

func TestSecret(t *testing.T) {
	el := NewElement(Setup{}, new(Paths))
	for in, want := range map[string]string{
		"sk-1234567890": "581d30b4caecfdbad68803e06cde0f826b06850314fbadc988d9ad6d0d4d3298",
		"REDACTED":      "", "sk-***7890": "", "short": "", "": "", "[REDACTED]": "",
	} {
		if got := el.HashSecret(in); got != want {
			t.Errorf("Secret(%q): got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"Bearer abc": "abc", "bearer  abc ": "abc", "Basic abc": "", "abc": "", "": ""} {
		if got := BearerToken(in); got != want {
			t.Errorf("Bearer(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestAgentLadderStopsAtTheFirst(t *testing.T) {
	el := NewElement(Setup{}, new(Paths))
	el.SetAgent("a", "")
	el.SetAgent("b", "two")
	el.SetAgent("c", "three")
	el.SetAgentByAddress("ua")
	if got, from := el.Event.Text(schema.AIAgentUID), el.Event.Text(schema.AIAgentUIDSource); got != "two" || from != "b" {
		t.Errorf("got %q from %q, want two from b", got, from)
	}
	el.Event.Reset()
	el.SetSourceIP("10.0.0.1:5", "")
	el.SetAgentByAddress("ua")
	if got, from := el.Event.Text(schema.AIAgentUID), el.Event.Text(schema.AIAgentUIDSource); got != "10.0.0.1|ua" || from != UIDSourceAddress {
		t.Errorf("got %q from %q", got, from)
	}
}

// Neither an address nor the service name or mask that logs have in its place costs an allocation.
func TestParseIPDoesNotAllocate(t *testing.T) {
	for _, in := range []string{"10.0.0.1", "s3.amazonaws.com", "AWS Internal", "010.0.0.1", "10.0.0.***", "2001:db8::1", "beef.example"} {
		if n := testing.AllocsPerRun(20, func() { parseIP(in) }); n != 0 {
			t.Errorf("parseIP(%q): got %v allocations, want 0", in, n)
		}
	}
}
