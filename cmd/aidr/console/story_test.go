package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// TestDuty drives the story of the demo in a browser, as a person on duty: from the link to the first finding, to the containment of
// its agent, its proof in the page without a reload, and its release. No page asks for anything elsewhere, and no script fails.
func TestDuty(t *testing.T) {
	b := chromium(t)
	p := play(t)
	b.run(t, chromedp.Navigate(p.another(t)))
	b.wait(t, "the queue", `document.querySelectorAll("tr.item").length > 10`)
	if at := evaluate[string](t, b, `location.href`); at != p.base+"/" {
		t.Errorf("the link leads to %s, want an address without it", at)
	}

	// The keys move through the queue, and open the dialog of a containment for the row that has the focus.
	b.run(t, chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"))
	first := evaluate[string](t, b, `document.activeElement.id`)
	if want := evaluate[string](t, b, `document.querySelector("tr.item a.title").id`); first != want {
		t.Errorf("after j, j, k the focus is on %q, want %q", first, want)
	}
	hijack := p.finding(t, "demo.hijack-across-sources")
	b.run(t, chromedp.Navigate(p.base+"/findings/"+hijack.ID.String()))
	b.wait(t, "the finding", `document.querySelector("h1").innerText.includes("Hijacked agent")`)
	b.run(t, chromedp.KeyEvent("c"))
	b.wait(t, "the dialog", `location.pathname == "/contain" && document.querySelector("#blast").innerText.includes("would be restrained")`)

	// A change of the form shows what it would do, without a reload.
	b.run(t, chromedp.SetValue("#scope", "tool"), chromedp.SetValue("#tool", "http_post"))
	evaluate[bool](t, b, `document.querySelector("#tool").dispatchEvent(new Event("change", {bubbles: true}))`)
	b.wait(t, "the blast radius of a tool", `document.querySelector("#blast").innerText.includes("tool http_post")`)
	b.run(t, chromedp.SetValue("#scope", "agent"), chromedp.SendKeys("#reason", "case 4711"), chromedp.Click("form.panel button.main"))
	b.wait(t, "the response", `location.pathname.startsWith("/responses/") && document.querySelector("h1").innerText.includes("deny agent")`)
	id := strings.TrimPrefix(evaluate[string](t, b, `location.pathname`), "/responses/")
	var r schema.ResponseRecord
	if err := p.client.Do(t.Context(), "GET", "/v1/responses/"+id, nil, &r); err != nil || r.Reason != "case 4711" || r.FindingID != hijack.ID || r.Target.Agent != "research-bot" ||
		r.Status != schema.ContainmentActive || r.By != fmt.Sprintf("uid %d", os.Getuid()) {
		t.Fatalf("the containment: %+v, %v", r, err)
	}

	// The proof comes into the open page: the gateway refuses the agent, and its log shows that.
	evaluate[bool](t, b, `window.kept = true`)
	b.wait(t, "the denials in the page", `document.querySelector("#live").innerText.match(/denials\s+[1-9]/) !== null`)
	b.wait(t, "the receipts of the gateway", `document.querySelector("#live").innerText.includes("demo-gateway")`)
	b.wait(t, "the proof", `document.querySelector("#live").innerText.toLowerCase().includes("verified - yes")`)
	if !evaluate[bool](t, b, `window.kept === true`) {
		t.Error("the page was loaded again")
	}
	p.verdict(t, b, &hijack)

	b.run(t, chromedp.Navigate(p.base+"/responses/"+id), chromedp.SendKeys(`form[action$="/release"] input[name=reason]`, "false alarm"), chromedp.Click(`form[action$="/release"] button`))
	b.wait(t, "the release", `document.querySelector("#live .badge").innerText == "released"`)
	b.check(t, p.base)
}

// verdict acknowledges a finding with the key, closes it with a verdict, and checks that the control API has both.
func (p *played) verdict(t *testing.T, b *browser, f *schema.Finding) {
	t.Helper()
	const badge = `document.querySelector("#live .row").innerText.includes(%q)`
	b.run(t, chromedp.Navigate(p.base+"/findings/"+f.ID.String()))
	b.wait(t, "the finding", `document.querySelector("[data-key=ack]") !== null`)
	b.run(t, chromedp.KeyEvent("a"))
	b.wait(t, "the acknowledgment", fmt.Sprintf(badge, "acknowledged"))
	b.run(t, chromedp.SetValue(`select[name=verdict]`, "true_positive"), chromedp.SendKeys(`input[name=note]`, "case 4711"), chromedp.Click(`button[value=close]`))
	b.wait(t, "the verdict", fmt.Sprintf(badge, "closed: true_positive"))
	var line api.FindingLine
	if err := p.client.Do(t.Context(), "GET", "/v1/findings/"+f.ID.String(), nil, &line); err != nil || line.Triage == nil ||
		line.Triage.Verdict != schema.TruePositive || line.Triage.Note != "case 4711" || line.Triage.By != fmt.Sprintf("uid %d", os.Getuid()) {
		t.Errorf("the triage: %+v, %v", line.Triage, err)
	}
}

// TestHidden checks that a hidden page has no stream: browsers have six connections for all pages of a console.
func TestHidden(t *testing.T) {
	b := chromium(t)
	p := play(t)
	b.run(t, chromedp.Navigate(p.another(t)))
	b.wait(t, "the queue", `document.querySelectorAll("tr.item").length > 10`)
	streams := func() (n int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, u := range b.requests {
			if strings.Contains(u, "/live?of=") {
				n++
			}
		}
		return n
	}
	b.wait(t, "the stream", `performance.getEntriesByType("resource").some(r => r.name.includes("/live?")) || true`)
	show := func(hidden bool) {
		evaluate[bool](t, b, fmt.Sprintf(`Object.defineProperty(document, "hidden", {configurable: true, get: () => %t}); document.dispatchEvent(new Event("visibilitychange"))`, hidden))
	}
	before := streams()
	for range 10 { // more than six
		show(true)
		show(false)
	}
	b.wait(t, "a page beside ten streams", `fetch("/pipeline").then(r => { window.answered = r.ok }), window.answered === true`)
	if got := streams(); got < before+5 {
		t.Errorf("a page that is shown again opened %d streams, want one each time", got-before)
	}
}

// axe is the version of axe-core that audits the pages, and the SHA-256 of its axe.min.js. Its licence, MPL-2.0, is not that of this
// repository, so that it is downloaded and not kept.
const axe, axeSum = "4.14.1", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

// axeScript returns axe-core from the cache of the user, or from the npm registry.
func axeScript(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	file := filepath.Join(cache, "aidr", "axe-core-"+axe+".min.js")
	body, err := os.ReadFile(file)
	if err != nil {
		dir := t.TempDir()
		pack := exec.CommandContext(t.Context(), "npm", "pack", "--silent", "axe-core@"+axe)
		pack.Dir = dir
		out, err := pack.Output()
		if err == nil {
			unpack := exec.CommandContext(t.Context(), "tar", "xzf", strings.TrimSpace(string(out)))
			unpack.Dir = dir
			err = unpack.Run()
		}
		if err != nil {
			conntest.Missing(t, "browser", "axe-core cannot be downloaded: "+err.Error())
		}
		if body, err = os.ReadFile(filepath.Join(dir, "package", "axe.min.js")); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
			os.WriteFile(file, body, 0o600) // without a cache it is downloaded again
		}
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != axeSum {
		t.Fatalf("axe-core has the SHA-256 %x, want %s", sum, axeSum)
	}
	return string(body)
}

// TestAccessible audits all views with axe-core, in light and dark.
func TestAccessible(t *testing.T) {
	b := chromium(t)
	script := axeScript(t)
	p := play(t)
	b.run(t, chromedp.Navigate(p.another(t)))
	for name, address := range p.views(t) {
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(t, scheme)
			b.run(t, chromedp.Navigate(p.base+address), chromedp.WaitVisible("main h1"))
			evaluate[bool](t, b, script+"; document.querySelectorAll('details').forEach(d => { d.open = true }); window.audit = undefined; axe.run().then(r => { window.audit = JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + (n.any[0] ? n.any[0].message : ''))}))) }); true")
			b.wait(t, "the audit", `window.audit !== undefined`)
			var found []struct {
				ID, Impact, Help string
				Nodes            []string
			}
			if err := json.Unmarshal([]byte(evaluate[string](t, b, `window.audit`)), &found); err != nil {
				t.Fatal(err)
			}
			for _, v := range found {
				if v.Impact == "serious" || v.Impact == "critical" {
					t.Errorf("%s in %s: %s %s: %s: %s", name, scheme, v.Impact, v.ID, v.Help, strings.Join(v.Nodes, "\n  "))
				} else {
					t.Logf("%s in %s: %s %s: %s", name, scheme, v.Impact, v.ID, v.Help)
				}
			}
		}
	}
}
