package predicate

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestURLPart(t *testing.T) {
	const meta = "169.254.169.254"
	for text, want := range map[string]string{
		"http://" + meta + "/latest":                     meta,
		"http://0251.0376.0251.0376/latest":              meta,
		"http://0xa9.0xfe.0xa9.0xfe/latest":              meta,
		"http://0xA9FEA9FE/latest":                       meta,
		"http://2852039166/":                             meta,
		"http://169.254.43518/":                          meta,
		"http://169.16689662/":                           meta,
		"http://[::ffff:a9fe:a9fe]/latest":               meta,
		"http://[::ffff:169.254.169.254]:80/":            meta,
		"http://169.254.169.254./":                       meta,
		"http://%31%36%39.254.169.254/":                  meta,
		"http://\uff11\uff16\uff19.254.169.254/":         meta,
		"http://169\u3002254\u3002169\u3002254/":         meta,
		"http://user:pass@169.254.169.254:8080/x@y":      meta,
		"http:\\\\169.254.169.254\\latest":               meta,
		"http:/169.254.169.254/":                         meta,
		"http:////169.254.169.254/":                      meta,
		" \thttp://169.254.\n169.254/ ":                  meta,
		"//169.254.169.254/x":                            meta,
		"HTTPS://ABC.WEBHOOK.SITE./x":                    "abc.webhook.site",
		"https://example.com@abc.webhook.site/x":         "abc.webhook.site",
		"https://example.com#@abc.webhook.site/x":        "example.com",
		"https://example.com?@abc.webhook.site/x":        "example.com",
		"https://abc.web\u200bhook.site/":                "abc.webhook.site",
		"https://\u0430bc.webhook.site/":                 "abc.webhook.site",
		"https://[fd00:ec2::254]/":                       "fd00:ec2::254",
		"https://[FD00:EC2:0:0::254%25eth0]/":            "fd00:ec2::254",
		"s3://bucket/key":                                "bucket",
		"file:///etc/shadow":                             "",
		"mailto:a@example.com":                           "",
		"/etc/shadow":                                    "",
		"etc/shadow":                                     "",
		"http://":                                        "",
		"http://a b/":                                    "",
		"http://host:port/":                              "",
		"http://[::1":                                    "",
		"http://1.2.3.4.5/":                              "1.2.3.4.5",
		"http://256.1.1.1/":                              "256.1.1.1",
		"http://09.1.1.1/":                               "09.1.1.1",
		"http://example.com:443/":                        "example.com",
		"http://" + strings.Repeat("a", 2*maxHost) + "/": "",
		"": "",
	} {
		if got := URLPart("host", text); got != want {
			t.Errorf("host of %q: got %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"https://h/a/b":                "/a/b",
		"https://h/a//b":               "/a/b",
		"https://h/a/./b/":             "/a/b/",
		"https://h/a/x/../b?q=/..":     "/a/b",
		"https://h/../../a":            "/a",
		"https://h/%61dmin/%2e%2e/%62": "/b",
		"https://h/a%2Fb%20c":          "/a%2Fb%20c",
		"https://h":                    "",
		"/etc//shadow":                 "/etc/shadow",
		"/etc/./shadow":                "/etc/shadow",
		"/var/../etc/shadow#x":         "/etc/shadow",
		"file:///etc//shadow":          "/etc/shadow",
		"etc/../../shadow":             "shadow",
		"./a":                          "a",
		"..":                           "",
		"\\etc\\shadow":                "/etc/shadow",
	} {
		if got := URLPart("path", text); got != want {
			t.Errorf("path of %q: got %q, want %q", text, got, want)
		}
	}
	if s, p := URLPart("scheme", "HTTPS://h:8443/"), URLPart("port", "HTTPS://h:8443/"); s != "https" || p != "8443" {
		t.Errorf("got scheme %q and port %q", s, p)
	}
}

func TestAddressIs(t *testing.T) {
	for text, want := range map[string]bool{
		"169.254.169.254": true, "0xa9.0xfe.0xa9.0xfe": true, "0251.0376.0251.0376": true, "2852039166": true, "0xa9fea9fe": true,
		"::ffff:169.254.169.254": true, "[::ffff:a9fe:a9fe]": true, "fe80::1%eth0": true, "169.254.1": true, "169.254.169.254.": true,
		"10.0.0.1": false, "17": false, "": false, "x": false, "169.254.169.999": false,
	} {
		if got := AddressIs("isLinkLocal", text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if !NetworkContains(netip.MustParsePrefix("10.0.0.0/8"), "012.1.1.1") {
		t.Errorf("012.1.1.1 is 10.1.1.1 in octal")
	}
}

// FuzzURLPart checks that the parts are canonical: a URL made of them has the same parts.
func FuzzURLPart(f *testing.F) {
	for _, text := range []string{"http://h/p", "//h", "a/../b", "http://0x7f.1/", "x:y", "file:////a/b", "http://[::1]:80/x", "http://h\\..//a%2e"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, path := URLPart("host", text), URLPart("path", text)
		again := URLPart("host", "http://"+bracketed(host)+"/")
		if utf8.ValidString(host) && host != again && !strings.ContainsAny(host, "%@:/?#\\[]") {
			t.Fatalf("%q: host %q, and of that %q", text, host, again)
		}
		if strings.Contains(path, "//") || strings.Contains(path, "/./") || strings.Contains(path, "/../") {
			t.Fatalf("%q: path %q", text, path)
		}
	})
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
