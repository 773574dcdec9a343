package webhook

import (
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// CallbackAction is an action that a receiver's people can take by a signed address in a body. No action releases a
// containment.
type CallbackAction string

// The actions.
const (
	CallbackAcknowledge CallbackAction = "acknowledge" // of a finding
	CallbackClose       CallbackAction = "close"       // of a finding
	CallbackApprove     CallbackAction = "approve"     // of a proposed containment
)

// callbackSlack is how long an address is valid after the last attempt to deliver it: people read a message days later.
const callbackSlack = 7 * 24 * time.Hour

// pages makes the links of bodies.
type pages struct {
	base     string // the address of the console; "" if there is none
	callback func(action CallbackAction, id schema.ID, until schema.Instant) string
	valid    time.Duration // of addresses of actions, from the time of the change
}

// pages returns the links of the endpoint's bodies. Addresses of actions outlive the schedule of attempts.
func (c *Config) pages() pages {
	p := pages{base: c.Links, callback: c.Callback, valid: callbackSlack}
	for _, pause := range c.Retries {
		p.valid += pause + pause/2 // with the most jitter
	}
	return p
}

// links returns the links of an entry that changed at an instant, nil if there are none. page is the path of its page.
func (p *pages) links(e *connectors.Entry, page string, changed schema.Instant) *links {
	var l links
	if p.base != "" {
		l.Console = consolePage(p.base, page, e.ID())
	}
	if e.Finding != nil && e.Finding.Guide != nil { // the addresses at the time of the revision, so that it never has two bodies
		l.Console, l.Runbook = e.Finding.Guide.Console, e.Finding.Guide.Runbook
	}
	if p.callback != nil {
		until := changed.Add(p.valid)
		switch {
		case e.Finding != nil && e.Type != connectors.FindingWithdrawn:
			l.Acknowledge, l.Close = p.callback(CallbackAcknowledge, e.ID(), until), p.callback(CallbackClose, e.ID(), until)
		case e.Response != nil && e.Type == connectors.ApprovalAsked:
			l.Approve = p.callback(CallbackApprove, e.ID(), until)
		}
	}
	if l == (links{}) {
		return nil
	}
	return &l
}
