package connectors

import (
	"context"
	"fmt"
	"time"
)

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

// MaxSkew is the largest difference between two clocks that a probe accepts. Instants of findings, and what counts as late, are then
// off by no more than the shortest delay of a source that a site would set.
const MaxSkew = 2 * time.Second

// ClockAnswer returns the answer about the clock of an outside system: theirs is its time, asked and answered are the times of this
// machine between which it was read, and step is the precision of theirs. The difference is a warning only if it is more than MaxSkew
// whatever the delays of the exchange were.
func ClockAnswer(theirs, asked, answered time.Time, step time.Duration) Answer {
	a := Answer{Subject: "clock", Text: "agrees with the clock of this machine"}
	behind, ahead := asked.Sub(theirs.Add(step)), theirs.Sub(answered) // at least; negative: it may agree
	switch {
	case ahead > MaxSkew:
		a.Warning, a.Text = true, skewText(ahead, "ahead of")
	case behind > MaxSkew:
		a.Warning, a.Text = true, skewText(behind, "behind")
	}
	return a
}

func skewText(by time.Duration, how string) string {
	return fmt.Sprintf("is at least %v %s the clock of this machine: synchronise both with NTP", by.Round(time.Millisecond), how)
}
