package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/aidr-engine/aidr/schema"
)

// full is a writer that fails after the first bytes, like a full file system.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

// Findings are encoded on all cores and written in order. If a write fails, encoding stops.
func TestWriteFindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fs []*schema.Finding
		for i := range 10*findingsChunk + 1 {
			fs = append(fs, &schema.Finding{RuleID: fmt.Sprint(i), Title: "<&>"})
		}
		var out, want bytes.Buffer
		if err := writeFindings(&out, "-", fs); err != nil {
			t.Fatal(err)
		}
		if err := encodeLines(&want, fs); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want.Bytes()) {
			t.Errorf("got\n%.300s\nwant\n%.300s", out.Bytes(), want.Bytes())
		}
		// The bubble ends when all goroutines have ended.
		if err := writeFindings(&full{room: out.Len() / 4}, "-", fs); err == nil || err.Error() != "write findings: no space left" {
			t.Errorf("got %v", err)
		}
	})
}
