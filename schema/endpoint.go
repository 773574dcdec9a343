package schema

import "crypto/sha256"

// Endpoint is a change of a destination of deliveries. Its JSON names are a contract with webhooks.
type Endpoint struct {
	ID     ID      `json:"id"` // of the change
	Name   string  `json:"name"`
	Status string  `json:"status"` // disabled
	Since  Instant `json:"since"`  // wall clock
	Reason string  `json:"reason"`
}

// EndpointDisabled returns the change of a destination that wants no further deliveries. The same change has the same id.
func EndpointDisabled(name string, since Instant, reason string) *Endpoint {
	e := &Endpoint{Name: name, Status: "disabled", Since: since, Reason: reason}
	sum := sha256.Sum256([]byte("aidr endpoint\x00" + name + "\x00" + since.String()))
	copy(e.ID[:], sum[:])
	return e
}
