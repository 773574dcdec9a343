package console_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/demo"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// shots is a folder for screenshots of all views; "" takes none.
var shots = flag.String("shots", "", "folder for screenshots of all views, in light and dark")

// testTime bounds a test with a browser on a busy machine.
const testTime = 4 * time.Minute

// browser is a headless Chromium that records what pages do.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	requests []string // addresses
	errors   []string // of scripts, and violations of the policy
}

// chromium starts Debian's Chromium. Without one the test is skipped, or fails if AIDR_TEST_REQUIRE names browser.
func chromium(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		if conntest.Required("browser") {
			t.Fatal("AIDR_TEST_REQUIRE names browser, and there is no Chromium: apt-get install chromium")
		}
		t.Skip("no Chromium: apt-get install chromium")
	}
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1360, 900), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx}
	b.run(t)
	if err := chromedp.Listen(ctx, b.event); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// event records requests and errors.
func (b *browser) event(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.errors = append(b.errors, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.errors = append(b.errors, e.Entry.Text)
		}
	}
}

// run runs actions that return nothing.
func (b *browser) run(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		t.Fatalf("browser: %v", err)
	}
}

// evaluate returns the value of a script.
func evaluate[T any](t *testing.T, b *browser, script string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("browser: %s: %v", script, err)
	}
	return v
}

// wait waits until a script returns true, also over a change of the page.
func (b *browser) wait(t *testing.T, what, script string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
		if ok && err == nil {
			return
		}
		if time.Now().After(deadline) {
			page := evaluate[string](t, b, `location.href + "\n" + document.body.innerText.slice(0, 3000)`)
			t.Fatalf("waiting for %s: %v\n%s", what, err, page)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// check fails the test for requests to other places than the console, and for errors of scripts.
func (b *browser) check(t *testing.T, base string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.requests {
		if !strings.HasPrefix(u, base) && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "chrome:") {
			t.Errorf("a request went to %s", u)
		}
	}
	for _, e := range b.errors {
		t.Errorf("error of a page: %s", e)
	}
}

// played is a demo whose story is over, and which stays.
type played struct {
	link, base, state string
	client            *api.Client
}

// play plays the story of the demo.
func play(t *testing.T) *played {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &played{state: t.TempDir()}
	out, in := io.Pipe()
	var complaints bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, demo.Options{Once: true, Stay: true, Console: "127.0.0.1:0", State: p.state, Out: in, Err: &complaints, Version: "test"})
		in.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("demo: %v\n%s", err, &complaints)
		}
	})
	lines := bufio.NewScanner(out)
	over := false
	for lines.Scan() && !over {
		if _, link, ok := strings.Cut(lines.Text(), "within 60 s: "); ok {
			p.link = link
		}
		over = strings.Contains(lines.Text(), "Try next")
	}
	go io.Copy(io.Discard, out)
	if p.link == "" || !over {
		t.Fatalf("the demo printed no link, or did not end: %s", &complaints)
	}
	p.base, _, _ = strings.Cut(p.link, "/open?")
	var err error
	if p.client, err = api.Dial(p.state+"/state", api.Runtime{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Close() })
	return p
}

// another returns another link.
func (p *played) another(t *testing.T) string {
	t.Helper()
	var l api.ConsoleLink
	if err := p.client.Do(t.Context(), "POST", "/v1/console/link", nil, &l); err != nil {
		t.Fatal(err)
	}
	return l.URL
}
