package config

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors/webhook"
)

func TestWebhookFormats(t *testing.T) {
	c, problems := person(source + `
links: {base: "https://aidr.example.com"}
sinks:
  webhooks:
    - {name: pager, url: "https://events.example/v2/enqueue", format: pagerduty, routing_key: "${TOKEN}"}
    - {name: chat, url: "https://slack.example/api/chat.postMessage", format: slack, channel: C1, token: "${TOKEN}"}
    - {name: siem, url: "https://splunk.example:8088/services/collector/event", format: splunk_hec, token: x, index: i, tls: {ca: ca.pem}}
    - name: ticket
      url: https://tickets.example/hook
      format: template
      template: |
        {"text": "{{range $i, $e := .data.evidence}}{{$e.action}} {{end}}", "price": "$$ {{.data.title}}"}
`)
	if len(problems) > 0 {
		t.Fatalf("got %v", problems)
	}
	w := c.Sinks.Webhooks
	if c.Links.Base != "https://aidr.example.com" || w[0].Format != webhook.FormatPagerDuty || w[0].RoutingKey != hidden ||
		w[1].Channel != "C1" || w[1].Token != hidden || w[2].Index != "i" || w[2].TLS.CA != "ca.pem" || !strings.Contains(w[3].Template, `"$$ {{.data.title}}"`) {
		t.Errorf("got %+v, %+v", c.Links, w)
	}
	f := func(text, want string) {
		t.Helper()
		_, problems := person(source + text)
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %q", text, problems, want)
		}
	}
	f("links: {base: nowhere}\n", "links.base: is not an http or https URL")
	f("sinks: {webhooks: [{url: \"https://x\", format: teams, secret: x}]}\n", `f.yaml:3:47: sinks.webhooks[0].format: "teams" is not one of aidr, ocsf`)
	f("sinks: {webhooks: [{url: \"https://x\", format: ocsf}]}\n", "has no secret to sign deliveries with")
	f("sinks: {webhooks: [{url: \"https://x\", format: template, template: '{\"a\": {{.data.title}}'}]}\n", "template: cannot be used: with a finding.opened")
	f("sinks: {webhooks: [{url: \"https://x\", format: slack, tls: {cert: c}}]}\n", "has only one of cert and key")
}
