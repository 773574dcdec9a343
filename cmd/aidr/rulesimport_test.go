package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sigmaRule = `title: A user is created
id: 0f0f0f0f-1111-4222-8333-444444444444
logsource: {product: aws, service: cloudtrail}
detection:
    selection: {eventSource: iam.amazonaws.com, eventName: CreateUser}
    condition: selection
level: low
`

// TestImportSigma checks the files, the messages and the exit codes of aidr rules import sigma.
func TestImportSigma(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yml", sigmaRule)
	bad := write("bad.yml", strings.Replace(sigmaRule, "product: aws, service: cloudtrail", "product: windows, service: system", 1))
	out := filepath.Join(dir, "rules")
	file := filepath.Join(out, "sigma.a-user-is-created-0f0f0f0f.yaml")

	if o := aidr(t, "rules", "import", "sigma", "--out", out, bad); o.code != exitFailed || !strings.Contains(o.stderr, bad+":3:12: logsource: no dataset") {
		t.Errorf("a refused rule: exit code %d\n%s", o.code, o.stderr)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused rule left a folder")
	}
	o := aidr(t, "rules", "import", "sigma", "--out", out, good, bad)
	if o.code != exitWarnings || !strings.Contains(o.stdout, "2 Sigma rules: 1 translated") {
		t.Errorf("one of two rules: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := aidr(t, "rules", "import", "sigma", "--out", out, good); o.code != exitOK {
		t.Errorf("the same rule again: exit code %d\n%s", o.code, o.stderr)
	}
	if o := aidr(t, "rules", "check", out); o.code != exitWarnings || strings.Contains(o.stderr, "error") {
		t.Errorf("rules check: exit code %d, want only the warning that tests are missing\n%s", o.code, o.stderr)
	}
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := aidr(t, "rules", "import", "sigma", "--out", out, good); o.code != exitFailed || !strings.Contains(o.stderr, "--force") {
		t.Errorf("a file that was changed: exit code %d\n%s", o.code, o.stderr)
	}
	mustAidr(t, "rules", "import", "sigma", "--force", "--out", out, dir+"/good.yml")
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "x.sigma.0f0f0f0f-1111-4222-8333-444444444444") {
		t.Errorf("%s, %v", text, err)
	}
	if o := aidr(t, "rules", "import", "sigma", good); o.code != exitUsage {
		t.Errorf("without --out: exit code %d", o.code)
	}
}
