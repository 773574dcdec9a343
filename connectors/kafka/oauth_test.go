package kafka

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/oauth2"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

const clientSecret = "s3cr3t-of-the-client"

// unsecured returns a JSON Web Token without a signature.
func unsecured(subject string, expires time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, time.Now().Add(-time.Minute).Unix(), expires.Unix())
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}

// startTokenServer starts a token endpoint that answers with the given handler.
func startTokenServer(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL + "/token"
}

// issue answers a request for a token.
func issue(t *testing.T, w http.ResponseWriter, text string, seconds int) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, text, seconds); err != nil {
		t.Error(err)
	}
}

func clientOf(tokenURL string) *OAuth {
	return &OAuth{TokenURL: tokenURL, ClientID: "aidr", ClientSecret: clientSecret, Scope: "logs.read other", Audience: "kafka"}
}

func TestOAuthHandshake(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	o := clientOf(startTokenServer(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		user, password, _ := r.BasicAuth()
		if user != "aidr" || password != clientSecret || r.FormValue("grant_type") != "client_credentials" ||
			r.FormValue("scope") != "logs.read other" || r.FormValue("audience") != "kafka" {
			t.Errorf("request of %q with %v", user, r.Form)
		}
		issue(t, w, "the.token", 3600)
	}))
	o.Extensions = map[string]string{"logicalCluster": "lkc-1", "identityPoolId": "pool-1"}
	m, err := (&SASL{Mechanism: mechanismOAuth, OAuth: o}).mechanism()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			state, first, err := m.Start(t.Context())
			want := "n,,\x01auth=Bearer the.token\x01identityPoolId=pool-1\x01logicalCluster=lkc-1\x01\x01"
			if err != nil || string(first) != want {
				t.Errorf("start: %q, %v, want %q", first, err, want)
				return
			}
			if done, _, err := state.Next(t.Context(), nil); !done || err != nil {
				t.Errorf("accepted: done %t, %v", done, err)
			}
			done, _, err := state.Next(t.Context(), []byte("{\"status\":\"invalid_token\",\n\"scope\":\"x\"}"))
			if done || err == nil || !strings.Contains(err.Error(), `{"status":"invalid_token", "scope":"x"}`) {
				t.Errorf("refused: done %t, %v", done, err)
			}
		})
	}
	all.Wait()
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests for a token, want 1", n)
	}
	if m.Name() != "OAUTHBEARER" {
		t.Errorf("name %q", m.Name())
	}
}

// Errors name the endpoint's code and the settings to check, and hold neither the secret nor the body of the answer.
func TestOAuthErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"refused": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"no such client\n%s","echo":%q}`, strings.Repeat("x", 1000), clientSecret)
		}, "answers 401 invalid_client no such client"},
		"a page": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, clientSecret, http.StatusServiceUnavailable)
		}, "answers 503"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "answers 307"},
		"no token": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"echo":"`+clientSecret+`"}`)
		}, "access_token"},
		"control character": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"a\u0001auth=b"}`)
		}, "control character"},
	} {
		m, err := newOAuthBearer(clientOf(startTokenServer(t, test.answer)))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = m.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), clientSecret) || len(err.Error()) > 600 {
			t.Errorf("%s: error %v, want %q in it", name, err, test.want)
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	m, err := newOAuthBearer(clientOf(gone.URL))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("no endpoint: error %v", err)
	}
	if text := fmt.Sprintf("%v %+v %s", token{text: "secret"}, []token{{text: "secret"}}, token{text: "secret"}); strings.Contains(text, "secret") {
		t.Errorf("a token prints as %s", text)
	}
}

// A token is replaced before it expires. While that fails, it is used to its end, with pauses between the attempts.
func TestTokenCache(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	var fetched int
	var fail error
	life := 10 * time.Minute
	cache := &tokens{now: func() time.Time { return now }, fetch: func(context.Context) (token, error) {
		fetched++
		if fail != nil {
			return token{}, fail
		}
		return token{fmt.Sprint("t", fetched), now.Add(life)}, nil
	}}
	f := func(after time.Duration, text string, fetches int) {
		t.Helper()
		now = now.Add(after)
		got, err := cache.get(t.Context())
		if (err != nil) != (text == "") || got.text != text || fetched != fetches {
			t.Errorf("got %q, %v after %d requests, want %q after %d", got.text, err, fetched, text, fetches)
		}
	}
	f(0, "t1", 1)
	f(8*time.Minute, "t1", 1)
	f(time.Minute, "t2", 2) // tokenMargin before the end of t1
	fail = errors.New("down")
	f(9*time.Minute, "t2", 3)
	f(tokenPause/2, "t2", 3)
	f(tokenPause, "t2", 4)
	f(time.Minute, "", 5)
	f(0, "", 5)
	fail, life = nil, 10*time.Second
	f(tokenPause, "t6", 6)
	f(7*time.Second, "t6", 6)
	f(time.Second, "t7", 7) // four fifths of its life
}

func TestOAuthValidate(t *testing.T) {
	t.Parallel()
	f := func(change func(*OAuth), want string) {
		t.Helper()
		o := clientOf("https://login.example.com/token")
		change(o)
		err := (&SASL{Mechanism: mechanismOAuth, OAuth: o}).validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), clientSecret)) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	f(func(o *OAuth) {}, "")
	f(func(o *OAuth) { o.TokenURL = "http://127.0.0.1:1/t" }, "")
	f(func(o *OAuth) { o.TokenURL = "http://login.example.com/t" }, "use https")
	f(func(o *OAuth) { o.TokenURL = "login.example.com" }, "write the token endpoint")
	f(func(o *OAuth) { o.ClientID = "" }, "no client id")
	f(func(o *OAuth) { o.ClientSecret = "" }, "either a client secret or an assertion file")
	f(func(o *OAuth) { o.AssertionFile = "f" }, "either a client secret or an assertion file")
	f(func(o *OAuth) { o.Extensions = map[string]string{"auth": "x"} }, `extension "auth"`)
	f(func(o *OAuth) { o.Extensions = map[string]string{"a": "x\x01auth=y"} }, `extension "a"`)
	f(func(o *OAuth) { *o = OAuth{Provider: ProviderAzure} }, "no scope")
	f(func(o *OAuth) { *o = OAuth{Provider: ProviderAWS} }, "")
	f(func(o *OAuth) { *o = OAuth{Provider: "okta"} }, "use one of client_credentials, aws, azure, gcp")
	if err := (&SASL{Mechanism: mechanismOAuth}).validate(); err == nil {
		t.Error("no oauth: no error")
	}
	if _, err := newOAuthBearer(&OAuth{CA: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("no CA file: no error")
	}
}

// An assertion takes the place of the secret. Its file is read for each token, because Kubernetes replaces it.
func TestOAuthAssertion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assertion")
	address := startTokenServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("client_assertion_type") != assertionType || r.FormValue("client_id") != "aidr" {
			t.Errorf("request with %v", r.Form)
		}
		issue(t, w, "for "+r.FormValue("client_assertion"), 0)
	})
	p := &clientProvider{settings: &OAuth{TokenURL: address, ClientID: "aidr", AssertionFile: path}, http: httpClient(nil)}
	if _, err := p.token(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
	for _, text := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := p.token(t.Context()); err != nil || got.text != "for "+text {
			t.Errorf("got %q, %v", got.text, err)
		}
	}
}

func TestAWSToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	p := &awsProvider{region: "eu-central-1", now: func() time.Time { return now },
		credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider("AKID", clientSecret, "session"))}
	got, err := p.token(t.Context())
	if err != nil || !got.expires.Equal(now.Add(15*time.Minute)) {
		t.Fatalf("expires %v, %v", got.expires, err)
	}
	text, err := base64.RawURLEncoding.DecodeString(got.text)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(string(text))
	if err != nil || u.Scheme != "https" || u.Host != "kafka.eu-central-1.amazonaws.com" || u.Path != "/" {
		t.Errorf("signed %s, %v", text, err)
	}
	for key, want := range map[string]string{
		"Action": "kafka-cluster:Connect", "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Expires": "900", "X-Amz-Date": "20260131T120000Z",
		"X-Amz-Credential": "AKID/20260131/eu-central-1/kafka-cluster/aws4_request", "X-Amz-Security-Token": "session",
		"X-Amz-SignedHeaders": "host", "User-Agent": "aidr",
	} {
		if u.Query().Get(key) != want {
			t.Errorf("%s: %q, want %q", key, u.Query().Get(key), want)
		}
	}
	if len(u.Query().Get("X-Amz-Signature")) != 64 || strings.Contains(string(text), clientSecret) {
		t.Errorf("signature of %s", text)
	}
	p.region = "not a region"
	if _, err := p.token(t.Context()); err == nil || !strings.Contains(err.Error(), "set region") {
		t.Errorf("wrong region: error %v", err)
	}
}

func TestMetadataTokens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/azure" && r.Header.Get("Metadata") == "true" && r.FormValue("client_id") == "id" &&
			r.FormValue("resource") == "https://n.servicebus.windows.net":
			fmt.Fprint(w, `{"access_token":"azure","expires_on":"1800000000","resource":"r"}`)
		case r.URL.Path == "/email" && r.Header.Get("Metadata-Flavor") == "Google":
			fmt.Fprint(w, "aidr@project.iam.gserviceaccount.com\n")
		default:
			http.Error(w, "no identity", 400)
		}
	}))
	t.Cleanup(server.Close)
	azure := &azureProvider{url: server.URL + "/azure", client: "id", scope: "https://n.servicebus.windows.net/.default"}
	if got, err := azure.token(t.Context()); err != nil || got.text != "azure" || got.expires.Unix() != 1800000000 {
		t.Errorf("azure: %q until %v, %v", got.text, got.expires, err)
	}
	azure.client = ""
	if _, err := azure.token(t.Context()); err == nil || !strings.Contains(err.Error(), "assign an identity") {
		t.Errorf("azure without an identity: error %v", err)
	}
	expires := time.Unix(1800000000, 0)
	email, err := metadata(t.Context(), server.URL+"/email", "Metadata-Flavor", "Google")
	if err != nil {
		t.Fatal(err)
	}
	gcp := &gcpProvider{now: func() time.Time { return expires.Add(-time.Hour) }, account: strings.TrimSpace(string(email)),
		source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "ya29", Expiry: expires})}
	got, err := gcp.token(t.Context())
	if err != nil || !got.expires.Equal(expires) {
		t.Fatalf("gcp: until %v, %v", got.expires, err)
	}
	parts := strings.Split(got.text, ".")
	var claims map[string]any
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(body, &claims) != nil || len(parts) != 3 || claims["sub"] != "aidr@project.iam.gserviceaccount.com" ||
		claims["exp"] != float64(1800000000) {
		t.Errorf("gcp: claims %s, %v", body, err)
	}
	if access, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil || string(access) != "ya29" {
		t.Errorf("gcp: access token %q, %v", access, err)
	}
}

// TestOAuthKafka reads from a real broker that takes tokens, and reports a token that it refuses.
func TestOAuthKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("a real broker is slow")
	}
	broker := conntest.StartOAuthKafka(t)
	var life atomic.Int64
	life.Store(int64(time.Hour))
	address := startTokenServer(t, func(w http.ResponseWriter, _ *http.Request) {
		left := time.Duration(life.Load())
		issue(t, w, unsecured("aidr", time.Now().Add(left)), 3600)
	})
	with := func() *Source {
		return newSource(t, broker.OAuth, func(c *Config) {
			c.Topics, c.SASL = []string{"t"}, &SASL{Mechanism: mechanismOAuth, OAuth: clientOf(address)}
		})
	}
	readsOne(t, with())
	life.Store(-int64(time.Hour))
	answers := with().Probe(t.Context())
	if len(answers) == 0 || !answers[0].Failed || !strings.Contains(answers[0].Text, "the broker refuses the token") {
		t.Errorf("an expired token: %+v", answers)
	}
}
