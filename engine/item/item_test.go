package item

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/aidr-engine/aidr/engine/flat"
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

// TestReadOldEvidence reads evidence as versions without a core wrote it: State still holds it after an update.
func TestReadOldEvidence(t *testing.T) {
	const old = "\x09\x04logs\x04\x9a\x01\x02" + "\x09\x00\x02a1\x00\x00\x02s1" +
		"\x02e1\x07litellm\x04call\x02r1\x07failure" + "\x01\x02\x03\x04values"
	want := Evidence{
		Topic: "logs", Partition: 2, Offset: 77, Index: 1,
		EventID: "e1", Dataset: "litellm", Action: "call", Resource: "r1", Outcome: "failure", Tag: 0x01020304, Values: []byte("values"),
	}
	if got := ReadEvidence(old); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, want := ReadSubject(SubjectOf(old)), (Subject{AgentUID: "a1", SessionID: "s1"}); got != want {
		t.Errorf("got subject %+v, want %+v", got, want)
	}
	// The same with a version, a core of two of its texts, and branches of the roles 0 and 2.
	now := "\x0a\x04logs\x04\x9a\x01\x02\x01" + old[10:len(old)-10] +
		"\x0a\x04tool\x04read" + "\x0a\x05\x06\x07\x08\x00\x01\x01\x02\x01\x03" + "\x01\x02\x03\x04values"
	want.Class, want.Tool = "tool", "read"
	want.BranchesTag, want.Branches = 0x05060708, []byte("\x00\x01\x01\x02\x01\x03")
	got := ReadEvidence(now)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for role, want := range []string{"\x01", "", "\x03"} {
		if b, ok := got.RoleBranches(role); string(b) != want || ok != (want != "") {
			t.Errorf("branches of role %d: got %q, %t; want %q", role, b, ok, want)
		}
	}
}

// FuzzReadEvidence reads damaged evidence and subjects; neither may panic.
func FuzzReadEvidence(f *testing.F) {
	position := AppendPosition(nil, schema.Position{Topic: "logs", Partition: 2, Offset: 77, Index: 1})
	f.Add(string(position))
	f.Add(string(flat.AppendText(nil, position)) + "\x00\x00\x00\x00\x00\x00" + "\x02\x01a" + "\x07\x00\x00\x00\x01\x01\x01\x01" + "\x00\x00\x00\x01")
	f.Fuzz(func(t *testing.T, evidence string) {
		e := ReadEvidence(evidence)
		e.RoleBranches(1)
		if a, b := SubjectOf(evidence), string(SubjectOf([]byte(evidence))); a != b {
			t.Fatalf("the subject of a string is %q, of the same bytes %q", a, b)
		}
		ReadSubject(evidence)
	})
}
