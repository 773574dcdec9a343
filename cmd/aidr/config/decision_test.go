package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const gateToken = "0123456789abcdef0123456789"

func TestDecisions(t *testing.T) {
	c, problems := person(source + `
decisions:
  listen: 127.0.0.1:8473
  grpc: "[::1]:8474"
  open: local
  first_start: 2026-12-01
  points:
    - {name: envoy, token: ` + gateToken + `, agent: "claim:sub", credential: authorization, session: x-session, tool: x-tool, mcp_server: x-server, tenant: acme, unknown: deny}
`)
	if len(problems) > 0 {
		t.Fatalf("got %v", problems)
	}
	d := c.Decisions
	if p := d.DecisionPoints(); d.Listen != "127.0.0.1:8473" || d.GRPC != "[::1]:8474" || d.Open != "local" || len(p) != 1 ||
		p[0].Name != "envoy" || p[0].Agent != "claim:sub" || p[0].Server != "x-server" || p[0].Unknown != "deny" || p[0].Tenant != "acme" {
		t.Errorf("got %+v", d)
	}
	for at, want := range map[string]bool{
		"2026-11-29T23:59:59Z": false, "2026-11-30T12:00:00Z": true, "2026-12-01T00:00:00Z": true, "2026-12-02T23:59:59Z": true,
		"2026-12-03T00:00:00Z": false,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if got := d.StartsFirst(now); err != nil || got != want || (&Decisions{}).StartsFirst(now) {
			t.Errorf("first start at %s: %v, want %v", at, got, want)
		}
	}
	f := func(text, want string) {
		t.Helper()
		_, problems := person(source + text + "\n")
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) || strings.Contains(problems[0].String(), gateToken) {
			t.Errorf("%s: got %v, want %q", text, problems, want)
		}
	}
	f("decisions: {listen: '8473', open: x}", "is not host:port")
	f("decisions: {listen: '127.0.0.1:1'}", "names no gateway that may ask")
	f("decisions: {listen: '0.0.0.0:1', open: x, tls: {cert: c, key: k}}", "open: is for addresses of loopback only")
	f("decisions: {listen: '0.0.0.0:1', points: [{name: a, token: "+gateToken+"}]}", "without TLS")
	f("decisions: {listen: '127.0.0.1:1', points: [{name: a}]}", "the point a cannot authenticate")
	f("decisions: {listen: '127.0.0.1:1', points: [{name: a, token: short}]}", "token: shorter than 22 bytes")
	f("decisions: {listen: '127.0.0.1:1', points: [{name: a, token: "+gateToken+", agent: x-agent}]}", "is not header:NAME")
}

func TestLoadDecide(t *testing.T) {
	file := filepath.Join(t.TempDir(), "decide.yaml")
	f := func(text, want string) *Decide {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, problems := LoadDecide(file)
		got := ""
		for _, p := range problems {
			got += p.String() + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) || (c == nil) != (want != "") {
			t.Errorf("%s: got %v and problems %s, want %q", text, c, got, want)
		}
		return c
	}
	c := f("from: {url: 'https://a:1', token: t, tls: {ca: x}}\ncache: /c\ndecisions: {listen: '127.0.0.1:1', open: gate}\n", "")
	if c.From.URL != "https://a:1" || c.From.TLS.CA != "x" || c.Cache != "/c" || c.Decisions.Open != "gate" || c.Log.Level != "info" {
		t.Errorf("got %+v", c)
	}
	f("decisions: {listen: '127.0.0.1:1', open: gate}\n", `"from" is missing`)
	f("from: {url: 'https://a:1'}\n", `"decisions" is missing`)
	f("from: {url: 'nowhere'}\ndecisions: {listen: '127.0.0.1:1', open: gate}\n", "is not an http or https URL")
	f("from: {url: 'https://a:1'}\ndecisions: {open: gate}\n", "has neither listen nor grpc")
	f("from: {url: 'https://a:1'}\nsources: []\ndecisions: {listen: '127.0.0.1:1', open: gate}\n", "unknown key")
}
