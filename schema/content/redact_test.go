package content

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The credentials of these tests are made up. They are concatenated so that secret scanners do not report this file.
const (
	body48   = "Ab3dEf6hIj9kLmN0pQrS" + "tUv2xYz5Ab8dEf1hIj4kLmN7"
	body40   = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
	jwt      = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".dozjgNryP4J3jVmNHl0w5N"
	basic    = "dXNlcjpwYXNzd29yZA=="
	skLite   = "sk-" + "Zx81Kq_4mPt-7Yb2Lw9cRv"
	skOpenAI = "sk-proj-" + body48
	skAnt    = "sk-ant-api03-" + body48
	ghp      = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
	ghPat    = "github_pat_" + "11ABCDEFG0abcdefghijkl_" + body48
	aiza     = "AIza" + "SyD4x7Qm2Lk9Vb5Nc8Zp1Ws6Tf3Rg0Hj-_Ka"
	slack    = "xoxb-" + "123456789012-abcdefABCDEF"
	stripe   = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
	whsec    = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	akia     = "AKIAIOSFODNN7EXAMPLE"
)

// marker returns the marker of a credential.
func marker(kind, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "[redacted:" + kind + ":" + hex.EncodeToString(sum[:4]) + "]"
}

func TestRedact(t *testing.T) {
	// f replaces {} in text by the credential, and expects the text with {} replaced by the marker.
	f := func(kind, secret, text string) {
		t.Helper()
		in := strings.ReplaceAll(text, "{}", secret)
		want := strings.ReplaceAll(text, "{}", marker(kind, secret))
		got := Redact(in)
		if got != want {
			t.Errorf("Redact(%q):\n got %q\nwant %q", in, got, want)
		}
		if again := Redact(got); again != got {
			t.Errorf("Redact twice of %q:\n got %q\nwant %q", in, again, got)
		}
		if got, want := json.Valid([]byte(got)), json.Valid([]byte(in)); got != want {
			t.Errorf("Redact(%q) is JSON: got %v, want %v", in, got, want)
		}
	}
	// key shapes
	f("openai", skOpenAI, "my key is {}.")
	f("openai", "sk-"+body48[:20]+"T3BlbkFJ"+body48[:20], "{}")
	f("anthropic", skAnt, "x-key {}, and more")
	f("api_key", skLite, `{"prompt":"use {} please"}`)
	f("api_key", skLite, `{"prompt":"first\n{}\nlast"}`)
	f("api_key", skLite, "%20{}")
	f("api_key", skLite, "{} \u20ac{}\u20ac {}")
	f("github", ghp, "https://example.com/?x={}&y=1")
	f("github", "gho_"+ghp[4:], "'{}'")
	f("github", "ghs_"+ghp[4:], "({})")
	f("github", ghPat, "git clone with {}")
	f("google", aiza, "key={}")
	f("slack", slack, "{}")
	f("stripe", stripe, "{}")
	f("webhook", whsec, "secret {}")
	f("webhook", "whsk_"+whsec[6:], "{}")
	f("jwt", jwt, "{}")
	f("jwt", jwt, `{"note":"{}"}`)
	f("jwt", jwt, "It is {}. Use it.")
	f("token", body48, "curl sends bearer {}")
	f("token", jwt, "Bearer%20{}")
	f("basic", basic, "Basic {}")
	// AWS: the id is not redacted
	f("aws", body40, akia+" {}")
	f("aws", body40, akia+`","{}"`)
	f("aws", body40, "aws_secret_access_key = {}\n")
	f("aws", body40, "export AWS_SECRET_ACCESS_KEY={}")
	f("aws", body40, `{"accessKeyId":"`+akia+`","secretAccessKey":"{}"}`)
	f("token", "IQoJb3JpZ2luX2VjEXAMPLE//", `{"sessionToken":"{}","n":1}`)
	// headers in JSON, in JSON in JSON, and in text
	f("authorization", "Bearer "+body48, `{"headers":{"authorization":"{}","host":"a"}}`)
	f("authorization", "Bearer "+body48, `{"body":"{\"Authorization\": \"{}\"}"}`)
	f("authorization", `a\\\"b\\\\`, `{"body":"{\"Authorization\" : \"{}\"}"}`)
	f("authorization", `a\"b\\`, `{"Authorization":"{}","x":"y"}`)
	f("authorization", "opaque", `{"proxy-authorization":["{}"]}`)
	f("cookie", `a=1","b=2`, `{"set-cookie":["{}"],"x":["y"]}`)
	f("cookie", "sid=abc; theme=dark", `{"request":{"headers":{"Cookie":"{}"}}}`)
	f("cookie", "sid=abc; theme=dark", `[{"name":"Cookie","value":"{}"},{"name":"Host","value":"a"}]`)
	f("api_key", "abc", `{"X-API-Key" : "{}"}`)
	f("api_key", "abc", `{'x-api-key': '{}', 'n': 1}`)
	f("secret", "hunter2", `{"user":"a","password":"{}"}`)
	f("authorization", "Bearer "+body48, "POST / HTTP/1.1\r\nAuthorization: {}\r\nHost: a\r\n")
	f("authorization", "Basic "+basic, `{"curl":"curl -H 'Authorization: {}' https://a.example"}`)
	f("authorization", "Token abcdef", `{"log":"\nauthorization: {}\n"}`)
	f("authorization", "AWS4-HMAC-SHA256 Credential=a, Signature=b", "Authorization: {}\n")
	f("cookie", "sid=abc; theme=dark", "Cookie: {}\r\nHost: a")
	f("api_key", "k3yk3yk3y", "x-api-key: {}")
	f("api_key", "k3yk3yk3y", "https://a.example/?api_key={}&x=1")
	f("token", "ab12cd34ef", "https://a.example/#access_token={}&x=1")
	f("token", "ab12cd34ef", "X-Amz-Security-Token={}")
	// a truncated text
	f("authorization", "Bearer abc", `{"authorization":"{}`)
	f("jwt", jwt[:40], `{"t":"{}`)
	// PEM
	pem := "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0qJDr\nabc=\n-----END RSA PRIVATE KEY-----"
	f("private_key", pem, "file:\n{}\nend")
	f("private_key", strings.ReplaceAll(pem, "\n", `\n`), `{"key":"{}\n"}`)
	f("private_key", strings.ReplaceAll(pem, "\n", `\\n`), `{"json":"{\"key\":\"{}\\n\"}"}`)
	f("private_key", strings.ReplaceAll(pem[:70], "\n", `\n`), `{"key":"{}"}`)
	f("secret", pem, `{"private_key":"`+"{}")
	// URLs
	f("url", "user:pa$$w:rd@x", "postgres://{}@db.example:5432/x?y=z")
	f("url", ghp+":x-oauth-basic", "git clone https://{}@github.com/a/b")
}

func TestRedactLeavesLookAlikes(t *testing.T) {
	for _, text := range []string{
		"", "plain", "sk-learn", "pip install sk-learn-contrib-something-very-long", "sk-estimator-2-0-final-version", "task-management-sk-",
		"claude-3-5-sonnet-20241022", "anthropic.claude-3-sonnet-20240229-v1:0", "gpt-4o-mini-2024-07-18",
		"text-embedding-3-large", "meta-llama/Llama-3.1-70B-Instruct",
		"6f1ed002-ab5d-4b2e-9b0e-9f1ed002ab5d", "arn:aws:iam::123456789012:role/service-role/AgentRole", akia, akia + " used", "accessKeyId=" + akia,
		akia + " da39a3ee5e6b4b0d3255bfef95601890afd80709", "da39a3ee5e6b4b0d3255bfef95601890afd80709", strings.Repeat("0123456789abcdef", 4),
		`{"user_api_key":"88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"}`,
		`{"user_api_key_hash":"88dc28d0f030c55ed4ab77ed8faf0981"}`,
		`{"max_tokens":1000,"prompt_tokens":17,"token":"Hello","logprob":-0.1}`, "max_tokens: 4096", "nextToken=abc", `{"tokens":["a","b"]}`,
		"basic knowledge of authentication", "Basic authentication is required", "bearer of bad news", "bearer authentication-required-for-this",
		"the cookie jar", "Cookie: none", "cookies: a=b", "password: please choose one", "password reset", "token: invalid",
		"api key: required", "x-api-key: <your key>",
		`{"authorization":{"decision":"allow"}}`, `{"authorization":"{\"scope\":\"/subscriptions/1\"}"}`,
		`{"authorization.k8s.io/decision":"allow"}`, `{"authorization":""}`, `{"password":null}`,
		`{"masterUserPassword":"****"}`, `{"password":"HIDDEN_DUE_TO_SECURITY_REASONS","sessionToken":"REDACTED"}`, `{"a password":12345e678}`,
		"http://example.com:8080/path@x", "https://medium.com/@user:x", "http://[::1]:80/", "mailto:a@b", "user@host:22", "ssh://git@github.com/x",
		"arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/Db1-AbC12x", "projects/p1/secret=Db1AbC12x",
		"https://a.example/password:Reset1Form",
		"eyJhbGciOiJIUzI1NiJ9", "keyJournal.something.else", "eyJa.b",
		"-----BEGIN CERTIFICATE-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\n-----END CERTIFICATE-----",
		"-----BEGIN PUBLIC KEY-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3xfn\n-----END PUBLIC KEY-----", "look for -----BEGIN RSA PRIVATE KEY----- in files",
		"ghp_short", "AIzaShort", "xoxo-hugs-and-kisses-dear", "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "sk_live_short", "sk-1234",
		marker("authorization", "x"), "authorization: " + marker("authorization", "x"),
		`{"cookie":"` + marker("cookie", "x") + `"}`, "https://" + marker("url", "x") + "@host/",
		"\xff\xfe sk-", "sk-\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac",
	} {
		if got := Redact(text); got != text {
			t.Errorf("Redact(%q): got %q, want it unchanged", text, got)
		}
	}
}

func TestCredentialName(t *testing.T) {
	for _, name := range []string{
		"Authorization", "proxy-authorization", "Proxy_Authorization", "X-API-Key", "x_api_key", "xApiKey", "api-key",
		"Cookie", "Set-Cookie", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "secretAccessKey",
		"sessionToken", "x-amz-security-token", "access_token", "refresh_token", "client_secret", "password", "private_key",
	} {
		if !CredentialName(name) {
			t.Errorf("CredentialName(%q): got false, want true", name)
		}
	}
	for _, name := range []string{
		"", "token", "max_tokens", "user_api_key", "user_api_key_hash", "accessKeyId", "keyId", "cookies",
		"authorizationType", "nextToken", "secretId", "secretName", "passwordLastChanged",
		"key", "x-request-id", strings.Repeat("a", 1000) + "apikey", "\xff", "\u20ac",
	} {
		if CredentialName(name) {
			t.Errorf("CredentialName(%q): got true, want false", name)
		}
	}
}

// pieces are the parts of the hostile texts in these tests: credentials, names, parts of both, and separators.
var pieces = []string{
	skLite, skOpenAI, skAnt, ghp, ghPat, aiza, slack, stripe, whsec, akia, body40, body48, jwt, basic, "AKIA", "sk-", "eyJ",
	"ghp_", "://", "@", ":", "=", "-", "_", ".", "/", "+", "%20",
	"Authorization", "proxy-authorization", "cookie", "x-api-key", "password", "secretAccessKey", "access_token", "token",
	"value", "name", "Bearer ", "Basic ", "Digest ", "bearer", "basic",
	"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "-----", "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn", "[redacted:",
	"[redacted:cookie:12345678]", "[redacted:jwt:abcdef01]", "]", "[", ", ", "{", "}",
	" ", "\n", "\r\n", "\t", "\"", "'", "\\", `\n`, `\"`, `\\`, `\u000a`, `": "`, `\": \"`, `","`, "a", "Z9", "1e5",
	"x=1; y=2", "\u20ac", "\U0001f600", "\xff", "\x00",
}

// drawText draws a text made of pieces.
func drawText(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 14).Draw(t, "pieces"), "")
}

// TestRedactIsIdempotent checks the properties of checkRedact for texts made of pieces.
func TestRedactIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkRedact(t, drawText(t)) })
}

// TestRedactKeepsJSON checks that JSON stays valid with texts at any depth in it, also in JSON inside JSON strings.
func TestRedactKeepsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var value any = drawText(t)
		for range rapid.IntRange(0, 3).Draw(t, "levels") {
			switch rapid.IntRange(0, 3).Draw(t, "shape") {
			case 0:
				value = map[string]any{drawText(t): value, rapid.SampledFrom(pieces).Draw(t, "key"): drawText(t)}
			case 1:
				value = []any{drawText(t), value, 12345e67}
			case 2:
				value = map[string]any{rapid.SampledFrom(pieces).Draw(t, "key"): []any{value, drawText(t)}, "value": value, "n": nil}
			case 3:
				inner, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				value = string(inner)
			}
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		checkRedact(t, string(text))
	})
}

func FuzzRedact(f *testing.F) {
	for _, p := range pieces {
		f.Add(p)
	}
	f.Add(`{"authorization":"Bearer x","body":"{\"cookie\":\"a=b\"}"}`)
	f.Fuzz(func(t *testing.T, text string) { checkRedact(t, text) })
}

// checkRedact checks that redacting a second time changes nothing, that UTF-8 and JSON stay valid, and that everything
// outside of the markers is unchanged.
func checkRedact(t interface {
	Errorf(string, ...any)
}, text string) {
	got := Redact(text)
	if again := Redact(got); again != got {
		t.Errorf("Redact twice of %q:\n got %q\nwant %q", text, again, got)
	}
	if utf8.ValidString(text) && !utf8.ValidString(got) {
		t.Errorf("Redact(%q) is not UTF-8: %q", text, got)
	}
	if json.Valid([]byte(text)) && !json.Valid([]byte(got)) {
		t.Errorf("Redact(%q) is not JSON: %q", text, got)
	}
	for i, p := 0, 0; i < len(got); i++ { // got is text with some parts replaced by markers
		if end := markerEnd(got, i); end >= 0 && !strings.HasPrefix(text[p:], got[i:end]) {
			break // the length of the replaced part is not known
		}
		if p >= len(text) || got[i] != text[p] {
			t.Errorf("Redact(%q) changed more than it marks: %q", text, got)
			break
		}
		p++
	}
}

// TestRedactLeavesRealLogs redacts real logs in which AWS masked every credential itself, so ids, ARNs of secrets, hashes and
// user agents must not be redacted.
func TestRedactLeavesRealLogs(t *testing.T) {
	dir := os.Getenv("AIDR_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	files, err := filepath.Glob(filepath.Join(dir, "aws_cloudtrail", "*", "*.json"))
	if err != nil || len(files) == 0 {
		const why = "no samples of CloudTrail found: set AIDR_SAMPLES to their folder"
		if strings.Contains(os.Getenv("AIDR_TEST_REQUIRE"), "samples") {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if before, _, found := strings.Cut(Redact(string(text)), markerHead); found {
			t.Errorf("Redact of %s redacts text after %q", file, before[max(0, len(before)-80):])
		}
	}
}

// TestFilterMissesNothing checks that nextAnchor finds every anchor at every offset, as a search at each byte does.
func TestFilterMissesNothing(t *testing.T) {
	for i := range anchors {
		a := &anchors[i]
		for before := range 20 {
			for after := range 10 {
				text := strings.Repeat(".", before) + strings.ToUpper(a.text[:1]) + a.text[1:] + strings.Repeat(".", after)
				if !a.fold {
					text = strings.Repeat(".", before) + a.text + strings.Repeat(".", after)
				}
				want := before
				for p := range before + 1 {
					if anchorFilter.anchorAt(text, p) != nil {
						want = p
						break
					}
				}
				if p, found := nextAnchor(text, 0); found == nil || p != want {
					t.Fatalf("nextAnchor(%q): got %d, %v; want %d", text, p, found, want)
				}
			}
		}
	}
}

func TestNothingToRedactAllocatesNothing(t *testing.T) {
	text := strings.Repeat(`{"model":"gpt-4o","max_tokens":100,"user_api_key":"88dc28d0f030c55e",`+
		`"prompt":"Use the basic token of the cookie jar at https://example.com/ please"}`, 20)
	if got := testing.AllocsPerRun(100, func() {
		if len(Redact(text)) != len(text) || CredentialName("user_api_key") {
			t.Fatal("something was redacted")
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// TestRedactIsLinear redacts texts full of anchors that do not belong to a credential. A megabyte takes milliseconds; with
// quadratic cost it would take minutes.
func TestRedactIsLinear(t *testing.T) {
	const limit = 5 * time.Second
	for _, unit := range []string{
		"sk-", "_eyJ", "-eyJ-", "token", "api_key=", `"cookie":"{`, `\"cookie\":\"{`, "-----BEGIN PRIVATE KEY-----", "://",
		"://a:", "bearer ", "basic ",
		"AKIA", "ghp_", "Authorization: ", "'cookie'", `"cookie":["`, `"cookie":["{`, `\`, "[redacted:", "bearer sk-", "xoxb-",
	} {
		text := strings.Repeat(unit, (1<<20)/len(unit))
		start := time.Now()
		Redact(text)
		if took := time.Since(start); took > limit {
			t.Errorf("Redact of a megabyte of %q took %v, want less than %v", unit, took, limit)
		}
	}
}

func BenchmarkRedactNothing(b *testing.B) {
	for name, text := range map[string]string{
		"prose": strings.Repeat("The agent reads the document and answers the question of the user in a few words, as it was asked to. ", 40),
		"json": strings.Repeat(`{"eventVersion":"1.08","eventTime":"2023-07-10T11:40:09Z",`+
			`"userAgent":"Boto3/1.26.165 Python/3.8.10","requestID":"0c0c4d5a-7b5e-4a3f-8a8e-9c4ad5b3c1f2"}`, 30),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if len(Redact(text)) != len(text) {
					b.Fatal("something was redacted")
				}
			}
		})
	}
}

func ExampleRedact() {
	fmt.Println(Redact(`{"authorization":"Bearer abc"}`))
	// Output: {"authorization":"[redacted:authorization:c355dce9]"}
}
