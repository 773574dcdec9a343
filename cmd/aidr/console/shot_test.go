package console_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/aidr-engine/aidr/schema"
)

// views are the addresses of the views by name, in the demo.
func (p *played) views(t *testing.T) map[string]string {
	t.Helper()
	hijack := p.finding(t, "demo.hijack-across-sources")
	value := p.finding(t, "flow.new-use-of-read-value")
	fan := p.finding(t, "aws.secrets-fan-out")
	return map[string]string{
		"queue": "/", "findings": "/findings", "finding-sequence": "/findings/" + hijack.ID.String(), "finding-value": "/findings/" + value.ID.String(),
		"finding-limit": "/findings/" + fan.ID.String(), "agents": "/agents", "agent": "/agent?uid=research-bot", "credentials": "/credentials",
		"tools": "/tools", "contained": "/contained", "contain": "/contain?agent=research-bot&finding=" + hijack.ID.String(),
		"responses": "/responses", "story": "/story?session=research-2", "pipeline": "/pipeline", "report": "/report", "coverage": "/coverage", "tail": "/tail", "flows": "/flows", "quiet": "/quiet?finding=" + hijack.ID.String(), "try": "/try?finding=" + hijack.ID.String(), "search": "/search?q=research-2",
	}
}

// finding returns the finding of a rule.
func (p *played) finding(t *testing.T, rule string) (f schema.Finding) {
	t.Helper()
	err := p.client.Lines(t.Context(), "/v1/findings", url.Values{"rule": {rule}}, func(line []byte) bool { return json.Unmarshal(line, &f) != nil })
	if err != nil || f.RuleID != rule {
		t.Fatalf("finding of %s: %v", rule, err)
	}
	return f
}

// scheme makes the browser prefer light or dark.
func (b *browser) scheme(t *testing.T, scheme string) {
	t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
}

// TestShots takes screenshots of all views, and of their first screens, into the folder of -shots. Those in testdata are from there.
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no folder is given with -shots")
	}
	b := chromium(t)
	p := play(t)
	b.run(t, chromedp.Navigate(p.another(t)))
	for name, address := range p.views(t) {
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(t, scheme)
			b.run(t, chromedp.Navigate(p.base+address), chromedp.WaitVisible("main h1"))
			for kind, shot := range map[string]chromedp.Action[[]byte]{"": chromedp.FullScreenshot(100), "-first": chromedp.CaptureScreenshot()} {
				png, err := chromedp.Run(b.ctx, shot)
				if err == nil {
					err = os.WriteFile(filepath.Join(*shots, name+"-"+scheme+kind+".png"), png, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	b.check(t, p.base)
}
