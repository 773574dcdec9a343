package decode

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// plain returns one record of each format that contains no escapes.
func plain(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/cases/decode/plain/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plain records: %v", err)
	}
	records := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		records[filepath.Base(file)] = string(text)
	}
	return records
}

// typical returns the fields that a typical set of rules wants.
func typical() (w schema.Wanted) {
	for _, f := range []schema.Field{
		schema.SessionID, schema.AIAgentName, schema.UserName, schema.CredentialUID, schema.SourceIP, schema.UserAgentOriginal,
		schema.ResourceID, schema.Disposition, schema.ErrorType, schema.URLPath, schema.HTTPResponseStatusCode,
		schema.HTTPResponseBytes, schema.GenAIRequestModel, schema.GenAIUsageInputTokens, schema.GenAIToolName,
		schema.GenAIToolCallArguments, schema.MessageContextPromptText,
	} {
		w.Fields.Add(f)
	}
	w.Raw = [][]string{{"requestParameters", "bucketName"}, {"request", "headers", "x-team"}}
	return w
}

// A record without escapes costs no allocation, because texts are views of it. Texts that are put together, such as
// s3:GetObject, go into chunks of 64 KiB: one allocation serves thousands of records.
func TestDecodeDoesNotAllocate(t *testing.T) {
	for name, record := range plain(t) {
		for _, wanted := range []schema.Wanted{typical(), everything()} {
			d, err := New(Options{Format: "auto,aidr", Wanted: wanted})
			if err != nil {
				t.Fatal(err)
			}
			events := 0
			h := &Handler{Event: func(*schema.Event) { events++ }, Dead: func(dead Dead) { t.Errorf("%s: %v", name, dead) }}
			if n := testing.AllocsPerRun(200, func() { d.Decode(record, Meta{Time: 1}, h) }); n != 0 {
				t.Errorf("%s: got %v allocations per record, want 0", name, n)
			}
			if events == 0 {
				t.Errorf("%s: got no events", name)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, record := range plain(b) {
		b.Run(name, func(b *testing.B) {
			d, err := New(Options{Format: "auto,aidr", Wanted: typical()})
			if err != nil {
				b.Fatal(err)
			}
			h := &Handler{Event: func(*schema.Event) {}}
			b.SetBytes(int64(len(record)))
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(record, Meta{Time: 1}, h)
			}
		})
	}
}
