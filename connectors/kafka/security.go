package kafka

import (
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// SASL holds the credentials of this client.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	Username  string // and Password: for all mechanisms but OAUTHBEARER
	Password  string
	OAuth     *OAuth // for OAUTHBEARER
}

const (
	mechanismPlain  = "PLAIN"
	mechanismSCRAM2 = "SCRAM-SHA-256"
	mechanismSCRAM5 = "SCRAM-SHA-512"
)

func (s *SASL) validate() error {
	if s == nil {
		return nil
	}
	var errs []error
	switch s.Mechanism {
	case mechanismPlain, mechanismSCRAM2, mechanismSCRAM5:
	case mechanismOAuth:
		return s.OAuth.validate()
	default:
		errs = append(errs, fmt.Errorf("sasl mechanism %q: use %s, %s, %s or %s",
			s.Mechanism, mechanismPlain, mechanismSCRAM2, mechanismSCRAM5, mechanismOAuth))
	}
	if s.Username == "" {
		errs = append(errs, errors.New("sasl: no username"))
	}
	if s.Password == "" {
		errs = append(errs, errors.New("sasl: no password"))
	}
	return errors.Join(errs...)
}

// mechanism returns the client's form of s, or nil for a nil SASL.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil
	}
	switch s.Mechanism {
	case mechanismOAuth:
		return newOAuthBearer(s.OAuth)
	case mechanismSCRAM2:
		return scram.Mechanism(scram.SHA256, s.Username, s.Password)
	case mechanismSCRAM5:
		return scram.Mechanism(scram.SHA512, s.Username, s.Password)
	}
	return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
}
