package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine"
)

func TestTopRules(t *testing.T) {
	h := Handler(memory(t), Runtime{Ledger: func() (*engine.Ledger, error) {
		return &engine.Ledger{Events: 100, Busy: 2, Rules: []engine.RuleCost{
			{Rule: "a", Candidates: 9, Match: 0.1}, {Rule: "b", Hits: 5, Match: 0.2, Fold: 0.3}, {Rule: "c", Errors: 1, Fold: 0.4},
		}}, nil
	}})
	order := func(query string) (ids string) {
		t.Helper()
		body := request(h, "GET", "/v1/rules/top?"+query)
		if !strings.HasPrefix(body, "200 ") {
			t.Fatal(body)
		}
		for _, part := range strings.Split(body, `"rule":"`)[1:] {
			ids += part[:1]
		}
		return ids
	}
	for query, want := range map[string]string{
		"": "bca", "by=cpu&limit=2": "bc", "by=candidates&limit=1": "a", "by=hits": "bac", "by=errors": "cab", "by=state&limit=0": "abc",
	} {
		if got := order(query); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{"by=price": "400 ", "limit=x": "400 ", "limit=-1": "400 "} {
		if got := request(h, "GET", "/v1/rules/top?"+query); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
	if got := request(Handler(memory(t), Runtime{}), "GET", "/v1/rules/top"); !strings.HasPrefix(got, "503 ") {
		t.Errorf("without a process: got %s", got)
	}
	failing := Runtime{Ledger: func() (*engine.Ledger, error) { return nil, errors.New("not open") }}
	if got := request(Handler(memory(t), failing), "GET", "/v1/rules/top"); !strings.HasPrefix(got, "503 ") {
		t.Errorf("with an engine that is not open: got %s", got)
	}
}
