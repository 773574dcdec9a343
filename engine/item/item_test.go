package item

import (
	"bytes"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// FuzzRead reads damaged items: an item that Read accepts must survive Append and Read.
func FuzzRead(f *testing.F) {
	f.Add(Append(nil, &Item{
		Group: "group", Key: "a\x00\x01", Time: 3e9, Roles: 1, Counted: true, ID: schema.ID{7: 4}, Data: "data", Evidence: "evidence",
	}))
	f.Fuzz(func(t *testing.T, src []byte) {
		it, rest, ok := Read(src)
		if !ok {
			return
		}
		written := Append(nil, &it)
		got, left, ok := Read(append(written, rest...))
		if !ok || got != it || !bytes.Equal(left, rest) {
			t.Fatalf("got %+v, %v, %d bytes left; want %+v, %d bytes left", got, ok, len(left), it, len(rest))
		}
	})
}

// FuzzReadEvidence reads damaged evidence and subjects; neither may panic.
func FuzzReadEvidence(f *testing.F) {
	position := AppendPosition(nil, schema.Position{Topic: "logs", Partition: 2, Offset: 77, Index: 1})
	f.Add(string(position))
	f.Fuzz(func(t *testing.T, evidence string) {
		ReadEvidence(evidence)
		if a, b := SubjectOf(evidence), string(SubjectOf([]byte(evidence))); a != b {
			t.Fatalf("the subject of a string is %q, of the same bytes %q", a, b)
		}
		ReadSubject(evidence)
	})
}
