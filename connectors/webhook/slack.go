package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Limits of Slack's Block Kit and of its Web API.
const (
	maxSlackHeader  = 150  // characters of a header block
	maxSlackSection = 2900 // bytes of the escaped text of a section block; Slack allows 3000 characters
	maxSlackFacts   = 10   // fields of one section block
	maxSlackField   = 200  // bytes of one value in the list of facts; Slack allows 2000
	maxSlackTS      = 64   // bytes of the id of a message, such as 1767225600.123456
	maxSlackURL     = 3000 // characters of the address of a button
	slackPost       = "/chat.postMessage"
	slackUpdate     = "/chat.update"
	slackOpen       = "aidr.open" // the action of a button that opens a page
)

// slack renders messages for Slack: one for each finding. With a token and a channel the URL is that of chat.postMessage, and
// later changes update the message. An incoming webhook cannot update a message: there a finding gives one message when it
// opens and a short one if it is withdrawn.
//
// The text of a finding is written by attackers. Only plain text and escaped mrkdwn are used, so it can neither mention a
// channel nor show a link under another name.
type slack struct {
	sink    *Sink
	channel string
	base    string // the URL of the Web API without the method; "" for an incoming webhook
}

func newSlack(s *Sink) *slack {
	k := &slack{sink: s, channel: s.config.Channel}
	if k.channel != "" {
		k.base = strings.TrimSuffix(s.config.URL, slackPost)
	}
	return k
}

// checkSlack returns the errors of the settings of the format.
func checkSlack(c *Config) error {
	switch u, err := url.Parse(c.URL); {
	case c.Format != FormatSlack || err != nil:
		return nil
	case (c.Channel == "") != (c.Token == ""):
		return errors.New("channel and token go together: set both for chat.postMessage, or neither for an incoming webhook")
	case c.Channel != "" && !strings.HasSuffix(u.Path, slackPost):
		return errors.New("url: with a channel, want https://slack.com/api/chat.postMessage")
	}
	return nil
}

func (k *slack) form() *form {
	f := &form{contentType: "application/json; charset=utf-8", render: k.render, wants: k.wants}
	if k.base != "" {
		f.headers = map[string]string{"Authorization": "Bearer " + k.sink.config.Token}
		f.answered, f.adapt = k.answered, k.adapt
	}
	return f
}

// wants reports whether a change gives a message.
func (k *slack) wants(t connectors.EntryType) bool {
	return k.base != "" || t != connectors.FindingUpdated && t != connectors.FindingSettled
}

// adapt makes the request an update if the finding has a message.
func (k *slack) adapt(e *connectors.Entry, r *request) error {
	r.url = k.base + slackPost
	ts, err := k.sink.notes.Note(e.ID())
	if err != nil || ts == "" {
		return err
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(r.body, &m); err != nil {
		return err
	}
	m["ts"] = json.RawMessage(fmt.Sprintf("%q", ts))
	r.url = k.base + slackUpdate
	r.body, err = encode(m)
	return err
}

// answered interprets Slack's answer, whose status is 200 even if the call failed.
func (k *slack) answered(_ context.Context, e *connectors.Entry, body []byte) answer {
	var got struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		TS    string `json:"ts"`
	}
	if json.Unmarshal(body, &got) != nil {
		return answer{verdict: verdictRetry, reason: connectors.ReasonRefused, detail: "the answer is not that of Slack's Web API"}
	}
	if got.OK {
		// A note that cannot be written means a second message at worst, and the message itself is delivered.
		if ts := got.TS; ts != "" && len(ts) <= maxSlackTS && strings.Trim(ts, "0123456789.") == "" {
			_ = k.sink.notes.SetNote(e.ID(), ts)
		}
		return answer{verdict: verdictDelivered}
	}
	a := answer{verdict: verdictDead, reason: connectors.ReasonRefused, detail: "Slack refused the message: " + truncate(oneLine(got.Error), maxDetail)}
	switch got.Error {
	case "message_not_found", "cant_update_message", "edit_window_closed":
		a.verdict = verdictRetry // the message was deleted: the next attempt posts a new one
		if err := k.sink.notes.SetNote(e.ID(), ""); err != nil {
			a.reason, a.detail = connectors.ReasonNote, errorText(err)
		}
	case "ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "rate_limited":
		a.verdict = verdictRetry
	}
	return a
}

func (k *slack) render(m *message) ([]byte, error) {
	n := noticeOf(m)
	out := map[string]any{"text": slackText(n.title + " - " + n.summary)}
	blocks := []any{map[string]any{"type": "header", "text": slackPlain(slackMark(n.severity) + " " + n.title)}}
	if n.summary != "" {
		blocks = append(blocks, slackSection(n.summary))
	}
	blocks = append(blocks, map[string]any{"type": "section", "fields": slackFacts(n.facts)})
	if n.detail != "" && n.detail != n.summary {
		blocks = append(blocks, slackSection(n.detail))
	}
	if len(n.steps) > 0 {
		var b strings.Builder
		for i, step := range n.steps {
			fmt.Fprintf(&b, "%d. %s\n", i+1, step)
		}
		blocks = append(blocks, slackSection("What to do:\n"+strings.TrimSuffix(b.String(), "\n")))
	}
	if elements := k.elements(m); len(elements) > 0 {
		blocks = append(blocks, map[string]any{"type": "actions", "elements": elements})
	}
	out["blocks"] = blocks
	if k.channel != "" {
		out["channel"] = k.channel
	}
	return encode(out)
}

// slackVerdicts are the verdicts of the menu that closes a finding.
var slackVerdicts = [...][2]string{
	{"true_positive", "True positive"}, {"false_positive", "False positive"}, {"benign", "Benign"}, {"test", "Test"},
}

// elements returns the buttons of a message: those that open a page, and those that call back.
func (k *slack) elements(m *message) (out []any) {
	open := func(text, url string) {
		if url != "" && len(url) <= maxSlackURL {
			button := map[string]any{"type": "button", "text": slackPlain(text), "url": url}
			if k.sink.config.Interactive {
				button["action_id"] = slackOpen // Slack reports clicks on it too
			}
			out = append(out, button)
		}
	}
	if m.Links != nil {
		open("Open in AIDR", m.Links.Console)
		open("Runbook", m.Links.Runbook)
	}
	id := m.entry.ID().String()
	if !k.sink.config.Interactive {
		if m.Links != nil {
			open("Acknowledge", m.Links.Acknowledge)
			open("Close", m.Links.Close)
			open("Approve", m.Links.Approve)
		}
		return out
	}
	switch {
	case m.finding != nil && m.Type != connectors.FindingWithdrawn:
		out = append(out, map[string]any{"type": "button", "text": slackPlain("Acknowledge"), "action_id": "aidr.ack", "value": id})
		var options []any
		for _, v := range slackVerdicts {
			options = append(options, map[string]any{"text": slackPlain(v[1]), "value": id + ":" + v[0]})
		}
		out = append(out, map[string]any{"type": "static_select", "placeholder": slackPlain("Close as"), "action_id": "aidr.close", "options": options})
	case m.response != nil && m.Type == connectors.ApprovalAsked:
		out = append(out, map[string]any{"type": "button", "text": slackPlain("Approve"), "action_id": "aidr.approve", "value": id, "style": "danger"})
	}
	return out
}

// slackSection returns a block of text.
func slackSection(text string) map[string]any {
	return map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": slackText(text)}}
}

// slackPlain returns a text without markup.
func slackPlain(text string) map[string]any {
	return map[string]any{"type": "plain_text", "emoji": true, "text": truncate(oneLine(text), maxSlackHeader-len(ellipsis))}
}

// slackFacts returns the facts that are set. A value in a code span keeps mrkdwn from reading it.
func slackFacts(facts []fact) (out []any) {
	for _, f := range facts[:min(len(facts), maxSlackFacts)] {
		out = append(out, map[string]any{"type": "mrkdwn", "text": "*" + f.name + "*\n`" + slackCode(f.value) + "`"})
	}
	return out
}

// slackMark returns the emoji of a severity.
func slackMark(s schema.Severity) string {
	switch s {
	case schema.SeverityCritical:
		return ":rotating_light:"
	case schema.SeverityHigh:
		return ":red_circle:"
	case schema.SeverityMedium:
		return ":large_orange_circle:"
	}
	return ":large_blue_circle:"
}

// slackEscape escapes the three characters that control mrkdwn, as Slack documents, and takes its effect from the markup of
// emphasis, which attackers could use to imitate other parts of the message.
func slackEscape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "*", "\u2217", "`", "\u02cb", "~", "\u223c").Replace(visible(text))
}

// slackText escapes a text and truncates it, so that the result has at most maxSlackSection bytes.
func slackText(text string) string {
	escaped := slackEscape(text)
	for n := maxSlackSection; len(escaped) > maxSlackSection; n /= 2 {
		escaped = slackEscape(truncate(text, n-len(ellipsis)))
	}
	return escaped
}

// slackCode returns a value for a code span.
func slackCode(text string) string { return slackEscape(truncate(oneLine(text), maxSlackField)) }

// visible replaces control characters other than line ends, and the characters that change the direction of text, by spaces,
// and bytes that are not UTF-8 by question marks.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// oneLine is visible on one line.
func oneLine(text string) string { return strings.ReplaceAll(visible(text), "\n", " ") }
