package producers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pages that document the settings of the producers, relative to the root of the repository.
const (
	readmePage  = "README.md"
	nginxPage   = "cmd/aidr/maps/shipped/nginx.yaml"
	caddyPage   = "cmd/aidr/maps/shipped/caddy.yaml"
	haproxyPage = "cmd/aidr/maps/shipped/haproxy_json.yaml"
	envoyPage   = "schema/formats/gateway/envoy_access_log.md"
	litellmPage = "schema/formats/llm/litellm.md"
	otlpPage    = "schema/formats/llm/otlp.md"
)

// documented returns the block of a page that contains a text, without its indentation. A block is the text between fences,
// or consecutive lines with an indentation; in a YAML file the page is the comment at its beginning.
func documented(t *testing.T, page, contains string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(lines(page, string(src))) {
		if strings.Contains(block, contains) {
			return block
		}
	}
	t.Fatalf("%s has no block that contains %q", page, contains)
	return ""
}

// lines returns the lines of a page, for YAML those of the comment at its beginning.
func lines(page, src string) []string {
	all := strings.Split(src, "\n")
	if !strings.HasSuffix(page, ".yaml") {
		return all
	}
	var comment []string
	for _, line := range all {
		text, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		comment = append(comment, strings.TrimPrefix(text, " "))
	}
	return comment
}

// blocks returns the blocks of a page. Blank lines inside a block belong to it.
func blocks(lines []string) (all []string) {
	var block []string
	fenced := false
	end := func() {
		if text := strings.TrimRight(dedent(block), "\n"); text != "" {
			all = append(all, text+"\n")
		}
		block = nil
	}
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "```"):
			end()
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "  ") || line == "" && block != nil:
			block = append(block, line)
		default:
			end()
		}
	}
	end()
	return all
}

// dedent removes the indentation that all lines have.
func dedent(block []string) string {
	common := -1
	for _, line := range block {
		if n := len(line) - len(strings.TrimLeft(line, " ")); line != "" && (common < 0 || n < common) {
			common = n
		}
	}
	var b strings.Builder
	for _, line := range block {
		b.WriteString(line[min(max(common, 0), len(line)):])
		b.WriteByte('\n')
	}
	return b.String()
}
