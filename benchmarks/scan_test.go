package benchmarks

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema/scan"
	"github.com/valyala/fastjson"
)

// cloudTrailPaths are the 20 fields that both scanners look up: those of a CloudTrail decoder and of a few rules.
var cloudTrailPaths = [][]string{
	{"eventVersion"}, {"eventID"}, {"eventTime"}, {"eventSource"}, {"eventName"}, {"awsRegion"}, {"sourceIPAddress"},
	{"userAgent"}, {"errorCode"}, {"requestID"}, {"readOnly"}, {"recipientAccountId"},
	{"userIdentity", "type"}, {"userIdentity", "arn"}, {"userIdentity", "accountId"}, {"userIdentity", "accessKeyId"},
	{"userIdentity", "sessionContext", "sessionIssuer", "arn"}, {"userIdentity", "invokedBy"},
	{"requestParameters", "bucketName"}, {"requestParameters", "roleArn"},
}

// samplesDir is the folder of sample logs.
func samplesDir() string {
	if dir := os.Getenv("AIDR_SAMPLES"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "shared", "samples")
}

// cloudTrailRecords returns the real CloudTrail records of the samples: the elements of Records (invictus, compact) and of
// arrays (stratus, indented), unchanged, or without blanks as they are in Kafka.
func cloudTrailRecords(tb testing.TB, compact bool) (records []string, bytes int64) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(samplesDir(), "aws_cloudtrail", "*", "*.json"))
	if err != nil || len(files) == 0 {
		const why = "no samples of CloudTrail: set AIDR_SAMPLES to their folder"
		if strings.Contains(os.Getenv("AIDR_TEST_REQUIRE"), "samples") {
			tb.Fatal(why)
		}
		tb.Skip(why)
	}
	var trie scan.Trie
	inner := trie.Add("Records")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		src := string(text)
		list, err := scan.Valid(src)
		if err != nil {
			tb.Fatalf("read %s: %v", file, err)
		}
		if list.Kind == scan.Object {
			out := make([]scan.Span, trie.Len())
			trie.SelectAt(src, list, out)
			list = out[inner]
		}
		scan.Each(src, list, func(v scan.Span) bool {
			record := strings.Clone(src[v.Start:v.End])
			if compact {
				record = compacted(tb, record)
			}
			records, bytes = append(records, record), bytes+int64(len(record))
			return true
		})
	}
	return records, bytes
}

func compacted(tb testing.TB, src string) string {
	tb.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(src)); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// BenchmarkScanCloudTrail validates each record and finds the 20 fields. Run it with -cpu 1.
func BenchmarkScanCloudTrail(b *testing.B) {
	runLayouts(b, func(b *testing.B, records []string) {
		var trie scan.Trie
		for _, p := range cloudTrailPaths {
			trie.Add(p...)
		}
		out := make([]scan.Span, trie.Len())
		var arena scan.Arena
		for b.Loop() {
			found := 0
			for _, src := range records {
				if _, err := trie.Select(src, out); err != nil {
					b.Fatal(err)
				}
				for _, v := range out {
					if v.Kind == scan.String {
						found += len(scan.Text(src, v, &arena))
					}
				}
			}
			if found == 0 {
				b.Fatal("nothing was found")
			}
		}
	})
}

// BenchmarkFastjsonCloudTrail parses each record with fastjson and looks up the same fields. fastjson does not check UTF-8,
// and limits the depth to 300.
func BenchmarkFastjsonCloudTrail(b *testing.B) {
	runLayouts(b, func(b *testing.B, records []string) {
		var parser fastjson.Parser
		for b.Loop() {
			found := 0
			for _, src := range records {
				v, err := parser.Parse(src)
				if err != nil {
					b.Fatal(err)
				}
				for _, p := range cloudTrailPaths {
					found += len(v.GetStringBytes(p...))
				}
			}
			if found == 0 {
				b.Fatal("nothing was found")
			}
		}
	})
}

// BenchmarkValidCloudTrail validates each record and selects nothing, which measures the cost of skipping.
func BenchmarkValidCloudTrail(b *testing.B) {
	runLayouts(b, func(b *testing.B, records []string) {
		for b.Loop() {
			for _, src := range records {
				if _, err := scan.Valid(src); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func runLayouts(b *testing.B, run func(b *testing.B, records []string)) {
	for _, layout := range []string{"as-is", "compact"} {
		b.Run(layout, func(b *testing.B) {
			records, size := cloudTrailRecords(b, layout == "compact")
			b.SetBytes(size)
			b.ReportAllocs()
			run(b, records)
			b.ReportMetric(float64(len(records))*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// The two scanners find the same texts. Otherwise the comparison would be meaningless.
func TestScanAndFastjsonFindTheSame(t *testing.T) {
	records, _ := cloudTrailRecords(t, false)
	var trie scan.Trie
	for _, p := range cloudTrailPaths {
		trie.Add(p...)
	}
	out := make([]scan.Span, trie.Len())
	var arena scan.Arena
	var parser fastjson.Parser
	for _, src := range records {
		if _, err := trie.Select(src, out); err != nil {
			t.Fatalf("Select(%.80q): %v", src, err)
		}
		v, err := parser.Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range cloudTrailPaths {
			if got, want := scan.Text(src, out[i], &arena), string(v.GetStringBytes(p...)); got != want {
				t.Errorf("%q of %.80q: got %q, want %q", p, src, got, want)
			}
		}
	}
}
