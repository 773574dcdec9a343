package kafka

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/google"
)

// fetcher returns the function that requests tokens of the provider. It reads the file CA and connects to nothing.
func (o *OAuth) fetcher() (func(ctx context.Context) (token, error), error) {
	switch o.provider() {
	case ProviderAWS:
		return (&awsProvider{region: o.Region, role: o.Role, now: time.Now}).token, nil
	case ProviderAzure:
		return (&azureProvider{url: azureMetadata, client: o.ClientID, scope: o.Scope}).token, nil
	case ProviderGCP:
		return (&gcpProvider{now: time.Now, metadata: gcpMetadata}).token, nil
	}
	t, err := (&connectors.TLS{CA: o.CA}).Config()
	if err != nil {
		return nil, err
	}
	return (&clientProvider{settings: o, http: httpClient(t)}).token, nil
}

// httpClient returns a client for tokens. It follows no redirects: they would carry a credential to another host.
func httpClient(t *tls.Config) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, ForceAttemptHTTP2: true, IdleConnTimeout: tokenMargin}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// clientProvider requests tokens from a token endpoint with the credentials of a client.
type clientProvider struct {
	settings *OAuth
	http     *http.Client
}

// assertionType is the type of a client assertion that is a JWT (RFC 7523).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func (p *clientProvider) token(ctx context.Context) (token, error) {
	s := p.settings
	c := clientcredentials.Config{ClientID: s.ClientID, ClientSecret: s.ClientSecret, TokenURL: s.TokenURL, EndpointParams: url.Values{}}
	if s.Scope != "" {
		c.Scopes = strings.Fields(s.Scope)
	}
	if s.Audience != "" {
		c.EndpointParams.Set("audience", s.Audience)
	}
	if s.AssertionFile != "" {
		assertion, err := os.ReadFile(s.AssertionFile)
		if err != nil {
			return token{}, fmt.Errorf("read the client assertion: %w", err)
		}
		c.AuthStyle = oauth2.AuthStyleInParams
		c.EndpointParams.Set("client_assertion_type", assertionType)
		c.EndpointParams.Set("client_assertion", strings.TrimSpace(string(assertion)))
	}
	t, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, p.http))
	if err != nil {
		return token{}, fmt.Errorf("token endpoint %s: %w", hostOf(s.TokenURL), withoutBody(err))
	}
	return token{t.AccessToken, t.Expiry}, nil
}

// hostOf returns the host of a URL for an error: the rest of a URL may hold a secret.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not a URL)"
	}
	return u.Host
}

// withoutBody returns an error of the OAuth library without the body of the response, which can be a whole page or an
// echo of the request.
func withoutBody(err error) error {
	if failed, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := "no status"
		if failed.Response != nil {
			status = strconv.Itoa(failed.Response.StatusCode)
		}
		return fmt.Errorf("answers %s %s: check client_id, the secret and the scope",
			status, printable(strings.TrimSpace(failed.ErrorCode+" "+failed.ErrorDescription)))
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return errors.New(printable(err.Error()))
}

// awsProvider makes the tokens of MSK: a presigned request to connect, in base64.
type awsProvider struct {
	region, role string
	now          func() time.Time
	credentials  aws.CredentialsProvider // nil until the first token
}

const (
	// mskTokenLife is the validity of a signed request. MSK accepts at most 15 minutes.
	mskTokenLife = 15 * time.Minute
	mskService   = "kafka-cluster"
	mskAction    = "kafka-cluster:Connect"
	roleSession  = "aidr" // the name of the session in CloudTrail
)

// token is called by one goroutine at a time; see tokens.
func (p *awsProvider) token(ctx context.Context) (token, error) {
	if err := p.load(ctx); err != nil {
		return token{}, err
	}
	credentials, err := p.credentials.Retrieve(ctx)
	if err != nil {
		return token{}, fmt.Errorf("no AWS credentials: %s: give the process a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID", printable(err.Error()))
	}
	now := p.now().UTC()
	query := url.Values{"Action": {mskAction}, "X-Amz-Expires": {strconv.Itoa(int(mskTokenLife / time.Second))}}
	host := "kafka." + p.region + ".amazonaws.com"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/?"+query.Encode(), nil)
	if err != nil {
		return token{}, fmt.Errorf("sign for region %q: not a region: set region, as in eu-central-1", p.region)
	}
	empty := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, r, hex.EncodeToString(empty[:]), mskService, p.region, now)
	if err != nil {
		return token{}, errors.New("sign the request for MSK: " + printable(err.Error()))
	}
	expires := now.Add(mskTokenLife)
	if credentials.CanExpire && credentials.Expires.Before(expires) {
		expires = credentials.Expires
	}
	// The agent is not signed: MSK logs it.
	return token{base64.RawURLEncoding.EncodeToString([]byte(signed + "&User-Agent=aidr")), expires}, nil
}

// load finds the credentials of the process, once.
func (p *awsProvider) load(ctx context.Context) error {
	if p.credentials != nil {
		return nil
	}
	var options []func(*awsconfig.LoadOptions) error
	if p.region != "" {
		options = append(options, awsconfig.WithRegion(p.region))
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return errors.New("read the AWS configuration: " + printable(err.Error()))
	}
	if c.Region == "" {
		return errors.New("no AWS region: set sasl.oauth.region to that of the cluster, or AWS_REGION")
	}
	p.region, p.credentials = c.Region, c.Credentials
	if p.role != "" {
		assumed := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c), p.role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = roleSession
		})
		p.credentials = aws.NewCredentialsCache(assumed)
	}
	return nil
}

// azureProvider requests tokens for the managed identity of the machine.
type azureProvider struct{ url, client, scope string }

// The metadata services have fixed link-local addresses, which no proxy reaches.
const (
	azureMetadata = "http://169.254.169.254/metadata/identity/oauth2/token"
	gcpMetadata   = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/email"
)

// maxMetadata is the largest answer of a metadata service, in bytes; tokens have a few kilobytes.
const maxMetadata = 64 << 10

func (p *azureProvider) token(ctx context.Context) (token, error) {
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {strings.TrimSuffix(p.scope, "/.default")}}
	if p.client != "" {
		query.Set("client_id", p.client)
	}
	body, err := metadata(ctx, p.url+"?"+query.Encode(), "Metadata", "true")
	if err != nil {
		return token{}, fmt.Errorf("managed identity of Azure: %w: assign an identity to this machine, or use a token_url of Entra", err)
	}
	var answer struct {
		Token   string `json:"access_token"`
		Expires string `json:"expires_on"` // seconds
	}
	if json.Unmarshal(body, &answer) != nil || answer.Token == "" {
		return token{}, errors.New("managed identity of Azure: the answer holds no token")
	}
	t := token{text: answer.Token}
	if seconds, err := strconv.ParseInt(answer.Expires, 10, 64); err == nil {
		t.expires = time.Unix(seconds, 0)
	}
	return t, nil
}

// metadata requests a document of a metadata service.
func metadata(ctx context.Context, address, header, value string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set(header, value)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return nil, withoutBody(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxMetadata))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answers %d", res.StatusCode)
	}
	return body, nil
}

// gcpProvider makes the tokens of Managed Service for Apache Kafka: an access token inside an unsigned JWT that names
// the account.
type gcpProvider struct {
	now      func() time.Time
	metadata string
	source   oauth2.TokenSource // nil until the first token
	account  string             // the email of the account
}

// gcpScope is the scope of the service. The permissions of the account limit it.
const gcpScope = "https://www.googleapis.com/auth/cloud-platform"

// token is called by one goroutine at a time; see tokens.
func (p *gcpProvider) token(ctx context.Context) (token, error) {
	if err := p.load(ctx); err != nil {
		return token{}, err
	}
	t, err := p.source.Token()
	if err != nil {
		return token{}, fmt.Errorf("access token of Google Cloud: %w", withoutBody(err))
	}
	claims, err := json.Marshal(map[string]any{
		"iss": "Google", "sub": p.account, "scope": "kafka", "iat": p.now().Unix(), "exp": t.Expiry.Unix(),
	})
	if err != nil {
		return token{}, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"typ":"JWT","alg":"GOOG_OAUTH2_TOKEN"}`)) + "." + encode(claims) + "." + encode([]byte(t.AccessToken))
	return token{text, t.Expiry}, nil
}

// load finds the credentials of the process, once.
func (p *gcpProvider) load(ctx context.Context) error {
	if p.source != nil {
		return nil
	}
	// The source outlives ctx, which is that of the first connection. Its requests are bounded by the client.
	lasting := context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
	found, err := google.FindDefaultCredentials(lasting, gcpScope)
	if err != nil {
		return errors.New("no credentials of Google Cloud: give the process a service account, or set GOOGLE_APPLICATION_CREDENTIALS")
	}
	var file struct {
		Email string `json:"client_email"`
	}
	if found.JSON != nil && json.Unmarshal(found.JSON, &file) == nil {
		p.account = file.Email
	}
	if p.account == "" {
		email, err := metadata(ctx, p.metadata, "Metadata-Flavor", "Google")
		if err != nil {
			return fmt.Errorf("email of the service account of Google Cloud: %w", err)
		}
		p.account = strings.TrimSpace(string(email))
	}
	p.source = found.TokenSource
	return nil
}
