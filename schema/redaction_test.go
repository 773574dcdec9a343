package schema

import (
	"strings"
	"testing"
)

func TestRedaction(t *testing.T) {
	var none *Redaction
	if none.Field(UserEmail) != Redacted || none.Raw([]string{"a"}) != Redacted || none.DeadLetters() != Redacted {
		t.Errorf("a nil Redaction is not Redacted everywhere")
	}
	r := &Redaction{}
	if r.Strictest() != Redacted {
		t.Errorf("nothing set: got %d", r.Strictest())
	}
	r.SetField(AIAgentName, Kept)
	if r.Strictest() != Redacted {
		t.Errorf("one field kept: got %d, want Redacted", r.Strictest())
	}
	r.SetField(UserEmail, Hashed)
	r.SetRaw([]string{"request", "body"}, Dropped)
	r.SetRaw([]string{"request"}, Kept)
	r.SetRaw([]string{"user", "id"}, Hashed)
	r.SetDeadLetters(Dropped)
	if r.Field(UserEmail) != Hashed || r.Field(UserName) != Redacted || r.DeadLetters() != Dropped || r.Strictest() != Dropped {
		t.Errorf("got %d, %d, %d, %d", r.Field(UserEmail), r.Field(UserName), r.DeadLetters(), r.Strictest())
	}
	f := func(path string, want Exposure) {
		t.Helper()
		if got := r.Raw(strings.Split(path, ".")); got != want {
			t.Errorf("raw.%s: got %d, want %d", path, got, want)
		}
	}
	f("request.body", Dropped)
	f("request.body.messages", Dropped)
	f("request", Dropped)
	f("request.headers", Kept)
	f("user", Hashed)
	f("user.id", Hashed)
	f("user.name", Redacted)
	f("requests", Redacted)
}

func TestExpose(t *testing.T) {
	star := func(s string) string { return strings.ReplaceAll(s, "key", "***") }
	f := func(x Exposure, text, want string) {
		t.Helper()
		if got := x.Expose(text, star); got != want {
			t.Errorf("%d of %q: got %q, want %q", x, text, got, want)
		}
	}
	f(Redacted, "my key", "my ***")
	f(Kept, "my key", "my key")
	f(Dropped, "my key", "")
	f(Hashed, "my key", HashText("my key"))
	f(Hashed, "", "")
	if got := HashText("a"); got != "sha256:ca978112ca1bbdcafac231b39a23dc4d" {
		t.Errorf("got %s", got)
	}
	if got := Redacted.Expose("my key", nil); got != "my key" {
		t.Errorf("got %q", got)
	}
}
