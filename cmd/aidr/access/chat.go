package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// slackSkew is the largest difference between the time in a request of Slack and ours, as Slack documents.
const slackSkew = 5 * time.Minute

// ErrSignature is returned for a request whose signature does not match.
var ErrSignature = errors.New("the signature does not match")

// VerifySlack checks a request of Slack against the signing secret of the app (scheme v0), and returns a text that is the
// same for a replay of it.
func VerifySlack(secret string, h http.Header, body []byte, now time.Time) (replay string, err error) {
	stamp := h.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || secret == "" {
		return "", ErrSignature
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	sum := "v0=" + hex.EncodeToString(mac.Sum(nil))
	if !hmac.Equal([]byte(sum), []byte(h.Get("X-Slack-Signature"))) {
		return "", ErrSignature
	}
	if d := now.Sub(time.Unix(seconds, 0)); d > slackSkew || d < -slackSkew {
		return "", errors.New("the request is older than 5 minutes: it may be a replay")
	}
	return "slack:" + sum, nil
}

// VerifyPagerDuty checks a v3 webhook of PagerDuty against the secrets of its subscription: one of the signatures in the
// header has to match one of the secrets.
func VerifyPagerDuty(secrets []string, h http.Header, body []byte) error {
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		sum := "v1=" + hex.EncodeToString(mac.Sum(nil))
		for text := range strings.SplitSeq(h.Get("X-PagerDuty-Signature"), ",") {
			if secret != "" && hmac.Equal([]byte(sum), []byte(strings.TrimSpace(text))) {
				return nil
			}
		}
	}
	return ErrSignature
}
