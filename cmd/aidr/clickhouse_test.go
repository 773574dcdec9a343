package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

// TestProgressLine checks that updates replace each other, at most every progressEvery, and that each stage has a line.
func TestProgressLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		line := progressLine{w: &out}
		for _, mb := range []int64{1, 2, 3, 4} {
			line.show(host.Progress{Stage: "download", Done: mb * 1e6, Total: 4e6})
			time.Sleep(progressEvery * 3 / 4)
		}
		line.show(host.Progress{Stage: "unpack", Done: 1e6, Total: 9e6})
		line.end()
		want := "\rdownload 1 / 4 MB\rdownload 3 / 4 MB\rdownload 4 / 4 MB\n\runpack 1 / 9 MB\n"
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	})
}

// TestProgressLineEmpty checks that nothing is printed if there was no progress.
func TestProgressLineEmpty(t *testing.T) {
	var out strings.Builder
	line := progressLine{w: &out}
	if line.end(); out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}
