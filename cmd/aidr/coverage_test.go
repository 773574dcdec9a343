package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// coverageInput has two calls of tools, one without arguments and agent, and a result.
const coverageInput = `{"ts":"2026-01-01T10:00:00Z","direction":"client_to_server","session_id":"s","server":"g","agent":"a",` +
	`"message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":1}}}}
{"ts":"2026-01-01T10:00:01Z","direction":"client_to_server","session_id":"s","server":"g",` +
	`"message":{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}}
{"ts":"2026-01-01T10:00:02Z","direction":"server_to_client","session_id":"s","server":"g","agent":"a",` +
	`"message":{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"ok"}]}}}
no record
`

func TestCoverage(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	input := file("calls.jsonl", coverageInput)
	config := file("aidr.yaml", "sources: [{name: mcp, file: {paths: ["+input+"]}}]\nredact: {session.id: drop}\nstate: {dir: "+filepath.Join(dir, "s")+"}\n")
	f := func(want string, args ...string) {
		t.Helper()
		got := aidr(t, append([]string{"formats", "coverage", "--json"}, args...)...)
		if got.code != 0 || strings.TrimSpace(got.stdout) != want || !strings.Contains(got.stderr, "1 records could not be decoded") {
			t.Errorf("%q: got %+v, want %s", args, got, want)
		}
	}
	line := func(source string) string {
		return `{"source":"` + source + `","dataset":"mcp.jsonrpc","events":3,"without":{"agent":0.3333333333333333,"arguments":0.5,"outcome":` +
			`0.6666666666666666,"result":0,"session":0,"tool":0.3333333333333333}}`
	}
	f(line("files"), input)
	f(line("mcp"), "--config", config)
	f(line("mcp"), "--config", config, input)
	table := aidr(t, "formats", "coverage", input)
	if !strings.Contains(table.stdout, "NO AGENT") || !strings.Contains(table.stdout, "34 %") {
		t.Errorf("table: %+v", table)
	}
	if got := aidr(t, "formats", "coverage"); got.code == 0 || !strings.Contains(got.stderr, "--config") {
		t.Errorf("without files: %+v", got)
	}
	none := aidr(t, "formats", "coverage", file("empty", "no record\n"))
	if none.code != 0 || !strings.Contains(none.stderr, "0 events") {
		t.Errorf("no events: %+v", none)
	}
}
