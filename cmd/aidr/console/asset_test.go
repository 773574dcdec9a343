package console

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// pinned are the SHA-256 of the libraries, as their npm packages have them. LICENSES.txt names their versions.
var pinned = map[string]string{
	"htmx-2.0.11.min.js":   "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
	"uplot-1.6.32.min.js":  "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
	"uplot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}

// TestLibraries checks that the libraries are those that were reviewed, with their licences.
func TestLibraries(t *testing.T) {
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	licences, err := staticFiles.ReadFile("static/LICENSES.txt")
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{"app.js": true, "app.css": true, "icon.svg": true, "LICENSES.txt": true}
	for _, f := range files {
		body, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		if want := pinned[f.Name()]; !own[f.Name()] && hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: SHA-256 is %x, want %s", f.Name(), sum, want)
		}
		if version := regexp.MustCompile(`\d+\.\d+\.\d+`).FindString(f.Name()); version != "" && !strings.Contains(string(licences), version) {
			t.Errorf("LICENSES.txt does not name the version of %s", f.Name())
		}
		if strings.Contains(string(body), "sourceMappingURL") {
			t.Errorf("%s names a source map, which browsers ask for", f.Name())
		}
	}
	for _, want := range []string{"Zero-Clause BSD", "The MIT License", "Leon Sorokin"} {
		if !strings.Contains(string(licences), want) {
			t.Errorf("LICENSES.txt lacks %q", want)
		}
	}
}

// maxFirst is the largest first visit, compressed, in bytes.
const maxFirst = 150_000

// TestFirstVisit checks the size of the queue with everything that it loads, as it is sent.
func TestFirstVisit(t *testing.T) {
	c, cookie := newFake(t, func() string { return "An ordinary text of a finding, with some words in it" })
	gzipped := func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }
	w := ask(c, "GET", "/", cookie, gzipped)
	total := w.Body.Len()
	page := ask(c, "GET", "/", cookie).Body.String()
	loads := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(loads) < 5 {
		t.Fatalf("the page loads %d files", len(loads))
	}
	seen := map[string]bool{}
	for _, l := range loads {
		if seen[l[1]] {
			continue
		}
		seen[l[1]] = true
		w := ask(c, "GET", l[1], nil, gzipped)
		b, _ := io.ReadAll(w.Body)
		if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: got %d, %s", l[1], w.Code, w.Header().Get("Content-Encoding"))
		}
		total += len(b)
	}
	t.Logf("the first visit is %d bytes", total)
	if total > maxFirst {
		t.Errorf("the first visit is %d bytes, the limit is %d", total, maxFirst)
	}
}
