package connectors

import "context"

// Answer is the answer of one part of an outside system to a probe.
type Answer struct {
	Subject string // such as "broker 127.0.0.1:9092" or "topic logs"; "" for the connector as a whole
	Text    string // one line; it holds no secret
	Failed  bool   // records or findings will not get through
	Warning bool   // they will, but Text is something to look into
}

// Prober is an optional interface of a Source or Sink. Probe tries the connection and the grants that running needs, and
// changes nothing in the outside system: it joins no group, commits no offset and delivers no finding. It returns when ctx
// ends, at the latest.
type Prober interface {
	Probe(ctx context.Context) []Answer
}
