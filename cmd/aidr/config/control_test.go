package config

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
)

func TestControl(t *testing.T) {
	const head = "sources: [{file: {paths: [a]}}]\ncontrol:\n"
	none := func(string) (string, bool) { return "", false }
	c, problems := Parse("a.yaml", []byte(head+`  listen: 0.0.0.0:8474
  tls: {cert: c.pem, key: k.pem, client_ca: ca.pem}
  hosts: [aidr.example.com]
  origins: ["https://console.example.com"]
  clients: [{name: soar, scopes: [responder], tenant: acme}]
`), none)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	x := c.Control
	if x.Listen != "0.0.0.0:8474" || x.Hosts[0] != "aidr.example.com" || len(x.Clients) != 1 || x.Clients[0].Tenant != "acme" || len(x.Clients[0].Scopes) != 4 ||
		x.Clients[0].Scopes[0] != access.Read {
		t.Errorf("got %+v", x)
	}
	for text, want := range map[string]string{
		"  listen: 0.0.0.0:8474": "a.yaml:3:11: control.listen: is reached beyond this machine, and tokens would pass in the clear: set control.tls",
		"  listen: somewhere":    "not host:port",
		"  listen: 127.0.0.1:8474\n  clients: [{name: a, scopes: [viewer]}]": "needs control.tls with client_ca",
		"  listen: 127.0.0.1:8474\n  origins: [console.example.com]":         "is not an origin",
		"  listen: 127.0.0.1:8474\n  origins: [\"https://a/b\"]":             "is not an origin",
		"  listen: 127.0.0.1:8474\n  hosts: [\"a:80\"]":                      "is not a name without a port",
		"  listen: 127.0.0.1:8474\n  clients: [{name: a, scopes: [root]}]":   "neither a scope",
		"  listen: 127.0.0.1:8474\n  token: x":                               "token",
	} {
		_, problems := Parse("a.yaml", []byte(head+text+"\n"), none)
		var all []string
		for _, p := range problems {
			all = append(all, p.String())
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if c, problems := Parse("a.yaml", []byte(head+"  listen: 127.0.0.1:0\n"), none); c == nil || c.Control.Listen == "" {
		t.Error(problems)
	}
}

func TestCallbacksAndCanary(t *testing.T) {
	const head = "sources: [{file: {paths: [a]}}]\nsinks: {webhooks: [{name: soar, url: \"https://soar.example.com/x\", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}]}\n"
	none := func(string) (string, bool) { return "", false }
	c, problems := Parse("a.yaml", []byte(head+`control:
  listen: 127.0.0.1:8474
  slack: {secret: s, approvers: [U1]}
  pagerduty: {secret: p, resolved: benign}
links: {callbacks: "https://aidr.example.com:8474"}
canary: {endpoints: [soar]}
`), none)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if x := c.Control; x.Slack.Secret != "s" || x.Slack.Approvers[0] != "U1" || x.PagerDuty.Resolved != "benign" || c.Links.Callbacks == "" {
		t.Errorf("got %+v", x)
	}
	if x := c.Canary; x.Every != DefaultCanaryEvery || x.Within != DefaultCanaryWithin || len(x.Endpoints) != 1 {
		t.Errorf("got %+v", x)
	}
	for text, want := range map[string]string{
		"links: {callbacks: \"https://a.example\"}":                               "needs control.listen",
		"control: {slack: {secret: s}}":                                           "set control.listen",
		"control: {listen: 127.0.0.1:0, slack: {approvers: [U]}}":                 "secret",
		"control: {listen: 127.0.0.1:0, pagerduty: {secret: s, resolved: maybe}}": "true_positive",
		"canary: {endpoints: [nobody]}":                                           "is not the name of an endpoint",
		"canary: {every: 1s}":                                                     "every",
	} {
		_, problems := Parse("a.yaml", []byte(head+text+"\n"), none)
		var all []string
		for _, p := range problems {
			all = append(all, p.String())
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
