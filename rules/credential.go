package rules

import "strings"

// credentialNames are what keys of records are called that hold a secret, lower case, dashes and underscores left out.
var credentialNames = []string{
	"authorization", "proxyauthorization", "cookie", "setcookie", "apikey", "xapikey", "accesstoken", "refreshtoken",
	"idtoken", "sessiontoken", "clientsecret", "secretaccesskey", "secretkey", "privatekey", "password", "passwd",
	"xamzsecuritytoken", "xauthtoken", "bearertoken", "secretstring", "secretbinary", "plaintextkey", "credentials",
}

// holdsCredential says whether a record's key holds a credential by its name.
func holdsCredential(key string) bool {
	name := strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(key))
	for _, c := range credentialNames {
		if name == c {
			return true
		}
	}
	return false
}
