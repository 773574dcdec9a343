package content

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// samplesDir returns the folder of real logs. If it does not exist, the test is skipped, or fails if AIDR_TEST_REQUIRE
// contains "samples".
func samplesDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("AIDR_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	if _, err := os.Stat(dir); err != nil {
		if strings.Contains(os.Getenv("AIDR_TEST_REQUIRE"), "samples") {
			t.Fatalf("the samples are required: %v", err)
		}
		t.Skipf("no samples: set AIDR_SAMPLES (%v)", err)
	}
	return dir
}

func readFile(t *testing.T, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampleMessage is a message of a recorded session.
type sampleMessage struct {
	Role    string `json:"role"`
	Content any    `json:"content"`
}

func (m sampleMessage) text() string {
	if s, ok := m.Content.(string); ok {
		return s
	}
	b, _ := json.Marshal(m.Content)
	return string(b)
}

// eachLine calls yield with each line of a text, numbered from 1.
func eachLine(t *testing.T, r io.Reader, yield func(n int, line []byte)) {
	t.Helper()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		yield(n, lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// table reads a CSV file into maps by column.
func table(t *testing.T, b []byte) (out []map[string]string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			m[name] = r[i]
		}
		out = append(out, m)
	}
	return out
}

// sampleTexts are the texts of the samples by what they are.
type sampleTexts struct {
	injected [][]string // the results of tools of each session in which the model read an injection, AgentDojo
	direct   []string   // prompts that attack a model, CyberSecEval
	benign   []string   // results of tools and mails without an injection, harmless prompts
}

func readSamples(t *testing.T) (out sampleTexts) {
	dir := samplesDir(t)
	kind := map[string]string{}
	for _, r := range table(t, readFile(t, dir, "agentdojo", "labels.csv")) {
		at := r["file"] + ":" + r["line"]
		if r["injection_text_seen_by_model"] == "1" {
			kind[at] = "seen"
		} else if r["attack_present"] == "0" {
			kind[at] = "benign"
		}
	}
	// The wrapper of the benchmark's attack is a text that is widely known.
	unwrap := strings.NewReplacer("<INFORMATION>", "", "</INFORMATION>", "")
	files, _ := filepath.Glob(filepath.Join(dir, "agentdojo", "*.jsonl"))
	for _, file := range files {
		eachLine(t, bytes.NewReader(readFile(t, file)), func(n int, line []byte) {
			k := kind[filepath.Base(file)+":"+strconv.Itoa(n)]
			if k == "" {
				return
			}
			var s struct{ Messages []sampleMessage }
			if err := json.Unmarshal(line, &s); err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, m := range s.Messages {
				if m.Role == "tool" {
					texts = append(texts, unwrap.Replace(m.text()))
				}
			}
			if k == "seen" {
				out.injected = append(out.injected, texts)
			} else {
				out.benign = append(out.benign, texts...)
			}
		})
	}
	benign := map[string]bool{}
	for _, r := range table(t, readFile(t, dir, "agentdyn", "dev.labels.csv")) {
		benign[r["session"]] = r["attack_present"] == "0"
	}
	z, err := gzip.NewReader(bytes.NewReader(readFile(t, dir, "agentdyn", "dev.jsonl.gz")))
	if err != nil {
		t.Fatal(err)
	}
	eachLine(t, z, func(_ int, line []byte) {
		var r struct {
			Trace    string `json:"trace_id"`
			Messages []sampleMessage
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		if last := len(r.Messages) - 1; benign[r.Trace] && last >= 0 && r.Messages[last].Role == "tool" {
			out.benign = append(out.benign, r.Messages[last].text())
		}
	})
	eachLine(t, bytes.NewReader(readFile(t, dir, "tau_bench", "gpt-4o-airline.jsonl")), func(_ int, line []byte) {
		var s struct{ Messages []sampleMessage }
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		for _, m := range s.Messages {
			if m.Role == "tool" || m.Role == "user" {
				out.benign = append(out.benign, m.text())
			}
		}
	})
	eachLine(t, bytes.NewReader(readFile(t, dir, "prompt_injection", "bipia", "email_train.jsonl")), func(_ int, line []byte) {
		var m struct{ Context string }
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		out.benign = append(out.benign, m.Context)
	})
	var harmless []struct {
		Text string `json:"mutated_prompt"`
	}
	if err := json.Unmarshal(readFile(t, dir, "prompt_injection", "cyberseceval_frr_benign.json"), &harmless); err != nil {
		t.Fatal(err)
	}
	for _, p := range harmless {
		out.benign = append(out.benign, p.Text)
	}
	var attacks []struct {
		Text string `json:"user_input"`
	}
	if err := json.Unmarshal(readFile(t, dir, "prompt_injection", "cyberseceval_prompt_injection.json"), &attacks); err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks {
		out.direct = append(out.direct, a.Text)
	}
	return out
}

// suspicious is the estimate of Injection from which rules take a text for one that gives orders to a model.
const suspicious = 40

// The disguises of a text that must not matter.
var disguises = map[string]func(string) string{
	"as it is":      func(s string) string { return s },
	"hard wraps":    func(s string) string { return strings.ReplaceAll(s, " ", "\n") },
	"wraps in JSON": func(s string) string { return strings.ReplaceAll(s, " ", `\n`) },
	"capitals":      strings.ToUpper,
	"zero-width":    func(s string) string { return strings.ReplaceAll(s, "o", "o\u200b") },
	"look-alikes": func(s string) string {
		return strings.NewReplacer("o", "\u043e", "e", "\u0435", "a", "\u0430").Replace(s)
	},
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 twice": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	},
	"hex":           func(s string) string { return hex.EncodeToString([]byte(s)) },
	"URL":           url.QueryEscape,
	"URL, per cent": url.PathEscape,
	"base64 in text": func(s string) string {
		return "Please see " + base64.StdEncoding.EncodeToString([]byte(s)) + " for it."
	},
}

// TestContentFunctionsOnSamples holds the measurements in the comments of Injection, Invisible, Decoded and Entropy.
func TestContentFunctionsOnSamples(t *testing.T) {
	s := readSamples(t)
	if len(s.injected) < 200 || len(s.direct) < 100 || len(s.benign) < 4000 {
		t.Fatalf("got %d, %d and %d texts", len(s.injected), len(s.direct), len(s.benign))
	}
	back, encoded := 0, 0
	for _, text := range s.benign {
		if n := Injection(text); n >= suspicious {
			t.Errorf("falsely %d: %.300q", n, text)
		}
		if Invisible(text) != 0 {
			t.Errorf("invisible characters in %.200q", text)
		}
		if d := Decoded(text); d != text {
			t.Errorf("%.100q is decoded to %.100q", text, d)
		}
		if len(text) < minEncoded {
			continue
		}
		for _, name := range []string{"base64", "base64 twice", "hex", "URL, per cent"} {
			if encoded++; Decoded(disguises[name](text)) == text {
				back++
			}
		}
	}
	t.Logf("decoded: %d of %d", back, encoded)
	if back*100 < encoded*99 {
		t.Errorf("decoded %d of %d", back, encoded)
	}
	for name, f := range disguises {
		sessions := 0
		for _, texts := range s.injected {
			if slices.ContainsFunc(texts, func(text string) bool { return Injection(f(text)) >= suspicious }) {
				sessions++
			}
		}
		t.Logf("%-15s %d of %d sessions", name, sessions, len(s.injected))
		if sessions*100 < len(s.injected)*95 {
			t.Errorf("%s: found %d of %d sessions", name, sessions, len(s.injected))
		}
	}
	direct := 0
	for _, text := range s.direct {
		if Injection(text) >= suspicious {
			direct++
		}
	}
	t.Logf("direct: %d of %d", direct, len(s.direct))
	if direct*10 < len(s.direct) {
		t.Errorf("direct: found %d of %d prompts", direct, len(s.direct))
	}
	// As a sign of a key: runs of at least 20 letters and digits with at least 4 bits per byte.
	runs, falsely := 0, 0
	for _, text := range s.benign {
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r > 'z' || !wordByte(byte(r)) }) {
			if len(w) < 20 {
				continue
			}
			if runs++; Entropy(w) >= 4 {
				falsely++
			}
		}
	}
	keys, random := 0, rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		key := make([]byte, 24)
		for i := range key {
			key[i] = byte(random.Uint32())
		}
		if Entropy(base64.RawURLEncoding.EncodeToString(key)) >= 4 {
			keys++
		}
	}
	t.Logf("entropy from 4 on: %d of %d words, %d of 1000 keys", falsely, runs, keys)
	if keys < 990 {
		t.Errorf("entropy: found %d of 1000 keys", keys)
	}
}
