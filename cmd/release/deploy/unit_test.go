package deploy

import (
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// maxExposure is the exposure that `systemd-analyze security` may find, from 0 to 10. What is left is the network, which
// the unit cannot restrict because it does not know the brokers.
const maxExposure = 1.5

// TestUnit verifies the unit of systemd and how much it exposes.
func TestUnit(t *testing.T) {
	analyze := tool(t, "systemd-analyze", "install systemd")
	unit := filepath.Join(Folder, "systemd", "aidr.service")
	text := output(t, analyze, "security", "--offline=true", unit)
	m := regexp.MustCompile(`Overall exposure level for aidr\.service: ([0-9.]+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no exposure level in:\n%s", text)
	}
	level, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exposure %.1f", level)
	if level > maxExposure {
		t.Errorf("exposure %.1f, want at most %.1f:\n%s", level, maxExposure, text)
	}
}
