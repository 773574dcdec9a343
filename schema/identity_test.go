package schema

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// TestTenantIdentity computes the identity of a tenant's event from its definition.
func TestTenantIdentity(t *testing.T) {
	e := &Event{Record: `{"a":1}`}
	e.SetText(EventDataset, "litellm")
	alone := e.Identity()
	e.Tenant = "acme"
	sum := sha256.Sum256([]byte("\x00\x00\x00\x00\x04acme" + string(alone[:])))
	if got := e.Identity(); string(got[:]) != string(sum[:16]) {
		t.Errorf("got %s, want %x", got, sum[:16])
	}
	e.Tenant = "acma"
	other := e.Identity()
	e.Given = ID{7}
	given := e.Identity()
	e.Tenant = ""
	if other == alone || given == (ID{7}) || e.Identity() != (ID{7}) {
		t.Errorf("got %s and %s, want identities of their own for a tenant", other, given)
	}
	e.Tenant = "acme"
	e.Given = ID{}
	if n := testing.AllocsPerRun(100, func() { e.Identity() }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// TestIdentityIsItsDefinition computes identities from the definition, for ids and records of every length around the size
// of the buffer on the stack.
func TestIdentityIsItsDefinition(t *testing.T) {
	for _, given := range []bool{true, false} {
		for n := range 300 {
			text := strings.Repeat("x", n)
			e := Event{Record: text, Place: 7}
			e.SetText(EventDataset, "aws.cloudtrail")
			kind := "r"
			if given && n > 0 {
				e.SetText(EventID, text)
				e.Record, kind = "other", "i"
			}
			sum := sha256.Sum256([]byte("aws.cloudtrail\x00" + kind + "\x00\x00\x00\x07" + text))
			if got := e.Identity(); !bytes.Equal(got[:], sum[:len(got)]) {
				t.Fatalf("%d bytes, %s: got %v, want %x", n, kind, got, sum[:len(got)])
			}
		}
	}
}
