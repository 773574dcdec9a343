package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/cmd/aidr/demo"
	"github.com/aidr-engine/aidr/schema"
)

var updateFlag = flag.Bool("update", false, "write what the commands print into testdata/golden")

// TestDecodeSamples decodes every file of the samples and checks that each record is decoded or becomes a dead letter.
func TestDecodeSamples(t *testing.T) {
	folders, err := os.ReadDir(sampleDir(t))
	if err != nil {
		t.Fatal(err)
	}
	files, events, dead := 0, 0, 0
	for _, folder := range folders {
		var names []string
		err := filepath.WalkDir(sampleDir(t, folder.Name()), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				names = append(names, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		e, d := decodeFiles(t, names)
		files, events, dead = files+len(names), events+e, dead+d
	}
	t.Logf("%d files: %d events, %d dead letters", files, events, dead)
	if files < 50 || events < 1000 {
		t.Errorf("got %d events of %d files: the samples are not what they were", events, files)
	}
}

// decodeFiles decodes files and checks the output.
func decodeFiles(t *testing.T, names []string) (events, dead int) {
	t.Helper()
	letters := filepath.Join(t.TempDir(), "dead.jsonl")
	o := aidr(t, append([]string{"decode", "--identity", "--dead-letters", letters}, names...)...)
	if o.code != exitOK || strings.Contains(o.stderr, "goroutine ") {
		t.Errorf("aidr decode %s: exit code %d\n%s", strings.Join(names, " "), o.code, o.stderr)
	}
	for _, e := range jsonLines[map[string]any](t, o.stdout) {
		if e["time"] == nil || e["event.dataset"] == nil || e["event.class"] == nil || e["_identity"] == nil {
			t.Fatalf("aidr decode %s: an event without time, dataset, class or identity: %v", strings.Join(names, " "), e)
		}
		events++
	}
	text, err := os.ReadFile(letters)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range jsonLines[deadLine](t, string(text)) {
		if !slices.Contains(names, l.File) || l.Reason == "" {
			t.Fatalf("a dead letter that does not name its file and reason: %+v", l)
		}
		dead++
	}
	return events, dead
}

// TestDecodedIsReadBack checks that decoding the output of decode yields the same events.
func TestDecodedIsReadBack(t *testing.T) {
	first := mustAidr(t, "decode", "--identity", sampleDir(t, "aws_cloudtrail", "stratus"), sampleDir(t, "fixtures_handmade"))
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := mustAidr(t, "decode", "--identity", "--format", "aidr", file); again != first {
		t.Errorf("decode of what decode printed differs:\n%s", lineDifference(again, first))
	}
}

// TestReplayIsTheSame checks that the output of replay is byte-identical from run to run and for any number of shards.
func TestReplayIsTheSame(t *testing.T) {
	args := append([]string{"replay", "--rules", library, "--rules", filepath.Join("testdata", "rules")}, writeCorpus(t, corpus(t, ""))...)
	want := mustAidr(t, args...)
	if n := strings.Count(want, "\n"); n < 100 {
		t.Fatalf("%d findings: too few to tell anything", n)
	}
	for shards := range 8 {
		if got := mustAidr(t, append(slices.Clone(args), "--shards", fmt.Sprint(shards+1))...); got != want {
			t.Errorf("%d shards: the output differs:\n%s", shards+1, lineDifference(got, want))
		}
	}
	findings := jsonLines[schema.Finding](t, want)
	if !slices.IsSortedFunc(findings, func(a, b schema.Finding) int {
		if a.GroupStart != b.GroupStart {
			return int(min(max(a.GroupStart-b.GroupStart, -1), 1))
		}
		return strings.Compare(a.ID.String(), b.ID.String())
	}) {
		t.Error("the findings are not sorted by group_start and id")
	}
	for _, f := range findings {
		if f.Revision != 0 || f.DetectedAt != nil || f.Status == schema.StatusWithdrawn {
			t.Fatalf("finding %s: got revision %d, detected_at %v, status %s", f.ID, f.Revision, f.DetectedAt, f.Status)
		}
	}
}

// TestDemo checks that the demo yields the findings of the story, and that every delivery is verified.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	began := time.Now()
	out := mustAidr(t, "demo", "--once", "--json", "--state", dir)
	var s demo.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil || strings.Count(strings.TrimSpace(out), "\n") != 0 {
		t.Fatalf("not one JSON summary: %v\n%s", err, out)
	}
	t.Logf("%d records, %d findings in %v", s.Records, len(s.Findings), time.Since(began).Round(time.Millisecond))
	got := map[string]string{}
	for _, f := range s.Findings {
		got[f.Rule] = f.Agent
	}
	for rule, agent := range map[string]string{
		"llm.override-in-tool-result": "research-bot", "llm.override-then-send": "research-bot", "gateway.denied-then-allowed": "research-bot",
		"aws.secrets-fan-out": "research-bot", "identity.unregistered-agent": "shadow-7",
		"flow.new-use-of-read-value": "payables-bot",
	} {
		if got[rule] != agent {
			t.Errorf("%s: got agent %q, want %q; findings: %v", rule, got[rule], agent, got)
		}
	}
	if got["identity.shared-credential"] == "" {
		t.Errorf("the shared key was not found: %v", got)
	}
	d := s.Deliveries
	if d.Received < len(s.Findings) || d.Verified != d.Received || d.Rejected != 0 {
		t.Errorf("got deliveries %+v for %d findings", d, len(s.Findings))
	}
	if kept := strings.Count(mustAidr(t, "findings", "ls", "--json", "--limit", "0", "--state", s.State), "\n"); kept < len(s.Findings) {
		t.Errorf("the state directory that it names has %d findings, want %d", kept, len(s.Findings))
	}
}

// TestGolden runs the command lines of txtar files: `cmd` has the arguments, `stdout` and `stderr` the expected output,
// `code` the exit code. The other files are input. In arguments and YAML, $DIR is the folder of the input.
//
//	go test ./cmd/aidr -run TestGolden -update
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	parts := map[string]*txtar.File{}
	for i := range a.Files {
		f := &a.Files[i]
		parts[f.Name] = f
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		data := f.Data
		if filepath.Ext(path) == ".yaml" {
			data = bytes.ReplaceAll(data, []byte("$DIR"), []byte(dir))
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if parts["cmd"] == nil {
		t.Fatalf("%s has no cmd", file)
	}
	args := strings.Fields(strings.ReplaceAll(string(parts["cmd"].Data), "$DIR", dir))
	o := aidr(t, args...)
	got := map[string]string{"stdout": o.stdout, "stderr": o.stderr, "code": fmt.Sprintln(o.code)}
	for _, name := range []string{"stdout", "stderr", "code"} {
		part := parts[name]
		if part == nil {
			continue
		}
		text := strings.ReplaceAll(got[name], dir, "$DIR")
		if *updateFlag {
			part.Data = []byte(text)
		} else if text != string(part.Data) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, text, part.Data)
		}
	}
	if *updateFlag {
		if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
