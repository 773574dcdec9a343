package webhook

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// guided returns an entry whose finding has a guide.
func guided() connectors.Entry {
	e := SampleEntry(connectors.FindingOpened)
	e.Finding.Guide = &schema.Guide{
		Description: "An agent pays by itself.", WhatToDo: []string{"Ask the owner.", "Stop <payments>."}, Runbook: "https://wiki.example.com/r/t.pay",
		Owner: "erp-team@example.com", Console: "https://aidr.example.com/findings/x", Targets: &schema.Targets{Agent: "a", Credentials: []string{"k"}},
	}
	return e
}

// TestBodiesHaveTheGuide: each format shows what to do, the runbook, the owner, the target ids and the console's page, as they were
// when the revision was committed, whatever the endpoint's configuration is now.
func TestBodiesHaveTheGuide(t *testing.T) {
	e := guided()
	for _, c := range []struct {
		format Format
		want   []string
	}{
		{FormatAIDR, []string{`"what_to_do":["Ask the owner.","Stop <payments>."]`, `"runbook":"https://wiki.example.com/r/t.pay"`, `"credentials":["k"]`, `"links":{"console":"https://aidr.example.com/findings/x"`}},
		{FormatOCSF, []string{`"remediation":{"desc":"Ask the owner.\nStop <payments>.","references":["https://wiki.example.com/r/t.pay"]}`, `"src_url":"https://aidr.example.com/findings/x"`, `"owner":"erp-team@example.com"`}},
		{FormatCloudEvents, []string{`"description":"An agent pays by itself."`, `"owner":"erp-team@example.com"`}},
		{FormatSlack, []string{`What to do:\n1. Ask the owner.\n2. Stop &lt;payments&gt;.`, `"text":"Runbook"`, `"url":"https://aidr.example.com/findings/x"`, "`erp-team@example.com`"}},
		{FormatPagerDuty, []string{`{"href":"https://wiki.example.com/r/t.pay","text":"Runbook"}`, `"client_url":"https://aidr.example.com/findings/x"`}},
		{FormatSplunkHEC, []string{`"what_to_do":["Ask the owner."`, `"runbook":"https://wiki.example.com/r/t.pay"`}},
	} {
		var bodies []string
		for _, links := range []string{"https://aidr.example.com", "https://moved.example.com", ""} {
			config := Config{Name: "x", URL: "https://example.com", Format: c.format, Links: links}
			switch c.format {
			case FormatPagerDuty:
				config.RoutingKey = "key"
			case FormatSplunkHEC:
				config.Token = "token"
			case FormatAIDR, FormatOCSF, FormatCloudEvents:
				config.Secrets = []string{"whsec_" + strings.Repeat("MDEy", 11)}
			}
			s, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			body, err := fit(&e, s.config.pages(), s.form.render)
			if err != nil {
				t.Fatal(err)
			}
			if c.format != FormatCloudEvents { // its source is the address of this AIDR
				bodies = append(bodies, string(body))
			}
			for _, want := range c.want {
				if !strings.Contains(string(body), want) {
					t.Errorf("%s lacks %s:\n%s", c.format, want, body)
				}
			}
		}
		for _, b := range bodies {
			if b != bodies[0] {
				t.Errorf("%s has another body after a change of links.base", c.format)
			}
		}
	}
}

// TestGuideIsReduced: a guide never keeps a body from fitting.
func TestGuideIsReduced(t *testing.T) {
	e := guided()
	g := e.Finding.Guide
	long := strings.Repeat("\x01", 100_000)
	g.Description, g.Owner, g.Targets.Session = long, long, long
	for range 100 {
		g.WhatToDo, g.Targets.Tools = append(g.WhatToDo, long), append(g.Targets.Tools, long)
	}
	before, err := json.Marshal(e.Finding)
	if err != nil {
		t.Fatal(err)
	}
	body, err := Body(&e)
	if err != nil || len(body) > MaxBody {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if after, err := json.Marshal(e.Finding); err != nil || string(after) != string(before) {
		t.Error("the finding was changed, which others share")
	}
}

// TestExchangeIsWhatWasSent: aidr webhook test shows the request as the endpoint got it.
func TestExchangeIsWhatWasSent(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Clone(t.Context())
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	s, err := New(Config{
		Name: "x", URL: server.URL, Secrets: []string{"whsec_" + strings.Repeat("MDEy", 11)}, Headers: map[string]string{"X-Secret": "s"},
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Links: "https://aidr.example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	e := SampleEntry(connectors.FindingOpened)
	x, err := s.Test(t.Context(), &e)
	if err != nil || !x.Delivered {
		t.Fatalf("%+v, %v", x, err)
	}
	if string(body) != string(x.Body) || !strings.Contains(string(body), `"console":"https://aidr.example.com/findings/`) {
		t.Errorf("sent %s\nshown %s", body, x.Body)
	}
	shown := x.Headers.Clone()
	if shown.Get("X-Secret") != hidden {
		t.Errorf("shown headers: %v", shown)
	}
	shown.Set("X-Secret", "s")
	got.Header.Del("Content-Length")  // net/http adds these two
	got.Header.Del("Accept-Encoding") //
	if !reflect.DeepEqual(got.Header, shown) {
		t.Errorf("sent %v\nshown %v", got.Header, shown)
	}
}
