package content

import "strings"

// Kinds of credentials, as markers name them.
const (
	kindAuth    = "authorization" // an Authorization header's value
	kindCookie  = "cookie"        // a Cookie or Set-Cookie header's value
	kindKey     = "api_key"       // an API key of no vendor in particular
	kindSecret  = "secret"        // a password or secret beside its name
	kindToken   = "token"         // a bearer token, an OAuth or session token
	kindBasic   = "basic"         // user and password in base64
	kindAWS     = "aws"           // a secret access key
	kindPEM     = "private_key"   // in PEM
	kindURL     = "url"           // a password in a URL
	kindJWT     = "jwt"
	kindOpenAI  = "openai"
	kindClaude  = "anthropic"
	kindGitHub  = "github"
	kindGoogle  = "google"
	kindSlack   = "slack"
	kindStripe  = "stripe"
	kindWebhook = "webhook" // a signing secret of Standard Webhooks
)

// maxName is the longest name in bytes that is looked up; it bounds what a hostile run of letters costs.
const maxName = 48

// CredentialName says whether a header or JSON key of that name holds a credential. Case, '-', '_', '.' and blanks do
// not count, so X-API-Key, x_api_key and xApiKey are one name.
func CredentialName(name string) bool { return credentialKind(name) != "" }

// credentialKind returns the kind of credential that a name says it holds, "" for none.
func credentialKind(name string) string {
	if len(name) > maxName {
		return ""
	}
	var buf [maxName]byte
	n := 0
	for _, c := range []byte(name) {
		switch {
		case c == '-' || c == '_' || c == '.' || c == ' ':
			continue
		case c-'A' < 26:
			c |= 0x20
		}
		buf[n] = c
		n++
	}
	return kindOfName(string(buf[:n]))
}

// kindOfName is credentialKind for a name in lower case without separators. The word token alone is none: model APIs
// call pieces of words that. LiteLLM's user_api_key is a hash.
func kindOfName(name string) string {
	switch name {
	case "authorization", "proxyauthorization", "httpauthorization", "xforwardedauthorization", "xserverlessauthorization":
		return kindAuth
	case "cookie", "setcookie", "httpcookie", "cookie2", "setcookie2":
		return kindCookie
	case "awssecretaccesskey", "secretaccesskey", "awssecretkey":
		return kindAWS
	case "awssessiontoken", "sessiontoken", "xamzsecuritytoken", "securitytoken", "accesstoken", "refreshtoken", "idtoken",
		"authtoken", "xauthtoken", "bearertoken", "xvaulttoken", "xaccesstoken", "oauthtoken", "xcsrftoken", "csrftoken":
		return kindToken
	case "password", "passwd", "passphrase", "userpassword", "masterpassword", "masteruserpassword", "dbpassword",
		"secret", "clientsecret", "secretkey", "privatekey", "signingsecret", "webhooksecret", "secretstring", "xapisecret", "apisecret":
		return kindSecret
	case "masterkey", "litellmmasterkey", "subscriptionkey", "ocpapimsubscriptionkey", "xfunctionskey", "xapitoken", "apitoken":
		return kindKey
	}
	if strings.HasSuffix(name, "apikey") && name != "userapikey" {
		return kindKey
	}
	return ""
}
