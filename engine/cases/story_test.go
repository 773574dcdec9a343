package cases

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

var rewrite = flag.Bool("update", false, "write the findings of stories as they are now")

// TestStories replays each file of testdata/cases/story: every part NAME.jsonl but findings.jsonl is a log, whose format is
// detected, and rules/ holds the rules; a story without rules/ is about the shipped rules. findings.jsonl is the output of
// `aidr replay`.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../../testdata/cases/story/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("stories: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { story(t, file) })
	}
}

func story(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, own := t.TempDir(), false
	var inputs []engine.Input
	var want *txtar.File
	for i := range archive.Files {
		f := &archive.Files[i]
		switch {
		case f.Name == "findings.jsonl":
			want = f
		case strings.HasPrefix(f.Name, "rules/"):
			own = true
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			inputs = append(inputs, storyInput(f))
		}
	}
	if want == nil || len(inputs) == 0 {
		t.Fatal("a story needs records and findings.jsonl")
	}
	if !own {
		dir = "../../rules/library"
	}
	set, problems := rules.Load(rules.Options{}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	found, err := engine.Replay(t.Context(), engine.Options{Set: set, Inputs: inputs}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, f := range found {
		if err := json.NewEncoder(&got).Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(got.Bytes(), want.Data) {
		return
	}
	if !*rewrite {
		t.Fatalf("found\n%swant\n%srun with -update if the new findings are right", got.Bytes(), want.Data)
	}
	want.Data = got.Bytes()
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// storyInput is a log as a bounded source of one partition.
func storyInput(f *txtar.File) engine.Input {
	name := strings.TrimSuffix(f.Name, ".jsonl")
	return engine.Input{
		Decode: decode.Options{Format: decode.Auto},
		Source: &memory.Source{Named: name, Partitions: []memory.Partition{{
			Partition: connectors.Partition{Source: name, Topic: f.Name},
			Records:   strings.Split(strings.TrimSpace(string(f.Data)), "\n"),
		}}},
	}
}
