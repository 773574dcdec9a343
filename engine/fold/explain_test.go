package fold

import (
	"strings"
	"testing"
	"time"
)

func TestQuote(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := quote(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("plain \u00e9", "\"plain \u00e9\"")
	f("a\nb\x1b[31m\x00\"", `"a\nb\x1b[31m\x00\""`)
	f("\u202egnp.exe\u200b", `"\u202egnp.exe\u200b"`)
	f("\xff", `"\xff"`)
	f(strings.Repeat("\u00e9", 100), `"`+strings.Repeat("\u00e9", 60)+`..."`)
}

func TestDurationText(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := durationText(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(0, "0s")
	f(1500*time.Millisecond, "1.5s")
	f(90*time.Second, "90s")
	f(5*time.Minute, "5m")
	f(36*time.Hour, "36h")
	f(30*24*time.Hour, "30d")
}
