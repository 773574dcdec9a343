package config

import (
	"slices"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
)

const (
	// DefaultCanaryEvery is the time between two events of the canary.
	DefaultCanaryEvery = 5 * time.Minute
	// DefaultCanaryWithin is the time that a finding of the canary and its deliveries have.
	DefaultCanaryWithin = 2 * time.Minute
)

// Canary configures synthetic events that show that detection and delivery work. If one gives no finding, or its delivery does
// not arrive, that is an operational finding (`aidr.canary-missing`). Without the section there is no canary.
type Canary struct {
	// Time between two events.
	Every time.Duration `key:"every"`
	// Time within which the finding of an event and its deliveries have to come.
	Within time.Duration `key:"within"`
	// Endpoints that get the findings of the canary, by name. Without one, detection is watched, and nothing is delivered.
	Endpoints []string `key:"endpoints"`
}

// canary reads the section.
func (r *reader) canary(n *doc.Node, sinks *Sinks) (c Canary) {
	if n == nil {
		return c
	}
	f := n.Fields()
	c.Every = duration(f.Get("every"), DefaultCanaryEvery, 10*time.Second, day)
	c.Within = duration(f.Get("within"), DefaultCanaryWithin, time.Second, day)
	for _, item := range f.Get("endpoints").Items() {
		name := r.text(item)
		if !slices.ContainsFunc(sinks.Webhooks, func(w Webhook) bool { return w.Name == name }) {
			item.Fail("%q is not the name of an endpoint in sinks.webhooks", doc.Short(name))
		}
		c.Endpoints = append(c.Endpoints, name)
	}
	f.Done()
	return c
}
