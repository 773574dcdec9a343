package webhook

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Secrets that are used in tests only.
const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// keyPair returns a private key in its two forms, and the public key.
func keyPair() (seed, whole, public string) {
	k := ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", ed25519.SeedSize)))
	b := base64.StdEncoding.EncodeToString
	return prefixPrivate + b(k.Seed()), prefixPrivate + b(k), prefixPublic + b(k.Public().(ed25519.PublicKey))
}

func headers(id string, at time.Time, signature string) http.Header {
	h := http.Header{}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, signature)
	return h
}

func mustSigner(t testing.TB, secrets ...string) *Signer {
	t.Helper()
	s, err := NewSigner(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustVerifier(t testing.TB, keys ...string) *Verifier {
	t.Helper()
	v, err := NewVerifier(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ExampleSigner_Sign shows the signed text and the signature, byte for byte.
func ExampleSigner_Sign() {
	s, err := NewSigner("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	// The signed text: msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}
	fmt.Println(s.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
	// Output: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}

// TestSignAgainstLibrary checks that the public library accepts our signatures, with each of the secrets, and that our
// Verifier accepts those of the library.
func TestSignAgainstLibrary(t *testing.T) {
	seed, _, _ := keyPair()
	now := time.Now()
	body := []byte(`{"type":"finding.opened"}`)
	signature := mustSigner(t, seed, secretA, secretB).Sign("fnd_1", now, body)
	for _, secret := range []string{secretA, secretB} {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(body, headers("fnd_1", now, signature)); err != nil {
			t.Errorf("the library refuses our signature: %v", err)
		}
		if err := wh.Verify(append(body, ' '), headers("fnd_1", now, signature)); err == nil {
			t.Error("the library accepts a changed body")
		}
		theirs, err := wh.Sign("fnd_2", now, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := mustVerifier(t, secretA, secretB).Verify(headers("fnd_2", now, theirs), body, now); err != nil {
			t.Errorf("Verify refuses the signature of the library: %v", err)
		}
	}
}

func TestVerify(t *testing.T) {
	seed, whole, public := keyPair()
	now := time.Unix(1767225600, 0)
	body := []byte("body")
	f := func(secrets, keys []string, change func(h http.Header), want error) {
		t.Helper()
		h := headers("id", now, mustSigner(t, secrets...).Sign("id", now, body))
		if change != nil {
			change(h)
		}
		if err := mustVerifier(t, keys...).Verify(h, body, now); !errors.Is(err, want) {
			t.Errorf("signed with %q, verified with %q: got %v, want %v", secrets, keys, err, want)
		}
	}
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	f([]string{secretA}, []string{secretA}, nil, nil)
	f([]string{seed}, []string{public}, nil, nil)
	f([]string{whole}, []string{public}, nil, nil)
	f([]string{whole}, []string{seed}, nil, nil)
	f([]string{secretA, secretB}, []string{secretB}, nil, nil) // a rotation in which the sender is first
	f([]string{secretA}, []string{secretB, secretA}, nil, nil) // a rotation in which the receiver is first
	f([]string{secretA}, []string{secretB}, nil, ErrSignature)
	f([]string{secretA}, []string{public}, nil, ErrSignature)
	f([]string{seed}, []string{secretA}, nil, ErrSignature)
	f([]string{secretA}, []string{secretA}, set(HeaderID, "other"), ErrSignature)
	f([]string{secretA}, []string{secretA}, set(HeaderID, ""), ErrHeaders)
	f([]string{secretA}, []string{secretA}, set(HeaderTimestamp, "soon"), ErrHeaders)
	f([]string{secretA}, []string{secretA}, set(HeaderSignature, ""), ErrHeaders)
	f([]string{secretA}, []string{secretA}, set(HeaderSignature, "v1, v1,x v2,"), ErrSignature)
	f([]string{secretA}, []string{secretA}, set(HeaderTimestamp, strconv.Itoa(1767225600-301)), ErrTimestamp)
	f([]string{secretA}, []string{secretA}, set(HeaderTimestamp, strconv.Itoa(1767225600+301)), ErrTimestamp)
	// The last timestamp within Tolerance is not refused as such, but it is not the one that was signed.
	f([]string{secretA}, []string{secretA}, set(HeaderTimestamp, strconv.Itoa(1767225600-300)), ErrSignature)
	f([]string{secretA}, []string{secretA}, set(HeaderTimestamp, "-9223372036854775808"), ErrTimestamp)
}

// TestKeys checks that malformed secrets are refused, and that the errors do not quote them.
func TestKeys(t *testing.T) {
	_, _, public := keyPair()
	b := base64.StdEncoding.EncodeToString
	for _, secret := range []string{
		"", "whsec_", "whsec_not base64 hunter2", "whsec_" + b([]byte("hunter2")), "whsec_" + b(make([]byte, 65)),
		"hunter2hunter2hunter2hunter2hunt", "whsk_" + b([]byte("hunter2")), "whsk_" + b(make([]byte, 64)), public,
		"whsec_whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	} {
		_, err := NewSigner(secretA, secret)
		if err == nil {
			t.Errorf("%q: accepted", secret)
			continue
		}
		leaks := strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), b([]byte("hunter2")))
		if leaks || !strings.Contains(err.Error(), "secret 2: ") {
			t.Errorf("got %v, want an error about secret 2 that does not quote it", err)
		}
	}
	if _, err := NewVerifier(); err == nil {
		t.Error("NewVerifier accepts an empty list of keys")
	}
}

func TestID(t *testing.T) {
	e := &connectors.Entry{Finding: &schema.Finding{ID: schema.ID{0xab}, Revision: 7}}
	if got, want := ID(e, "soc-1_A"), "fnd_ab000000-0000-0000-0000-000000000000_7_soc-1_A"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := ID(e, "a.b \u20ac~"), "fnd_ab000000-0000-0000-0000-000000000000_7_a~2eb~20~e2~82~ac~7e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzVerify checks that Verify does not panic whatever the headers are, and accepts only messages that were signed.
func FuzzVerify(f *testing.F) {
	seed, _, public := keyPair()
	now := time.Unix(1767225600, 0)
	signer := mustSigner(f, secretA, seed)
	f.Add("id", "1767225600", signer.Sign("id", now, []byte("{}")), []byte("{}"))
	f.Add("id", "1767225600", "v1a,AAAA v1,", []byte("{}"))
	f.Add("", "", strings.Repeat(" ,", 100), []byte(nil))
	v := mustVerifier(f, secretA, public)
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{}
		h.Set(HeaderID, id)
		h.Set(HeaderTimestamp, timestamp)
		h.Set(HeaderSignature, signature)
		if v.Verify(h, body, now) != nil {
			return
		}
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil {
			t.Fatalf("timestamp %q was accepted", timestamp)
		}
		matches := false
		for _, s := range strings.Split(signer.Sign(id, time.Unix(seconds, 0), body), " ") {
			matches = matches || strings.Contains(signature, s)
		}
		// A timestamp has several spellings (+1, 01) and is signed as it is spelled; only the usual one is compared.
		if !matches && timestamp == strconv.FormatInt(seconds, 10) {
			t.Fatalf("id %q with signature %q was accepted", id, signature)
		}
	})
}
