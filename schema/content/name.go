package content

import "strings"

// The kinds of credentials, as they are named in markers.
const (
	kindAuth    = "authorization" // an Authorization header's value
	kindCookie  = "cookie"        // a Cookie or Set-Cookie header's value
	kindKey     = "api_key"       // an API key of no vendor in particular
	kindSecret  = "secret"        // a password or secret that follows its name
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

// maxName is the length in bytes of the longest name that is looked up. It bounds the cost of a hostile run of letters.
const maxName = 48

// CredentialName reports whether a header or JSON key of that name holds a credential. Case, '-', '_', '.' and blanks are
// ignored, so X-API-Key, x_api_key and xApiKey are one name.
func CredentialName(name string) bool { return credentialKind(name) != "" }

// credentialKind returns the kind of credential that a header or JSON key of that name holds, or "".
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

// kindOfName is credentialKind for a name in lower case without separators. Two names are left out on purpose: token alone,
// because model APIs call pieces of words tokens, and user_api_key, because in LiteLLM it is a hash.
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
