package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Format is the form of the bodies that an endpoint gets.
type Format string

// The formats. Receivers of the first three and of a template verify the signature of Standard Webhooks; the others are the
// interfaces of products, which authenticate in their own way.
const (
	FormatAIDR        Format = "aidr"        // {type, timestamp, data: finding}
	FormatOCSF        Format = "ocsf"        // Detection Finding, class 2004
	FormatCloudEvents Format = "cloudevents" // CloudEvents 1.0, structured mode; data is the finding
	FormatTemplate    Format = "template"    // JSON that Config.Template makes of the body of FormatAIDR
	FormatSlack       Format = "slack"       // a message for an incoming webhook or for chat.postMessage
	FormatPagerDuty   Format = "pagerduty"   // Events API v2
	FormatSplunkHEC   Format = "splunk_hec"  // HTTP Event Collector
)

// Formats returns all formats, the default first.
func Formats() []Format {
	return []Format{FormatAIDR, FormatOCSF, FormatCloudEvents, FormatTemplate, FormatSlack, FormatPagerDuty, FormatSplunkHEC}
}

// Signed reports whether receivers of the format verify a signature, so that the endpoint needs a secret.
func (f Format) Signed() bool {
	return f == "" || f == FormatAIDR || f == FormatOCSF || f == FormatCloudEvents
}

// form is the Format of one endpoint.
type form struct {
	contentType string
	// render returns the body of a message that may be reduced. It depends on nothing but the message and the
	// configuration, so that a body is the same at all attempts.
	render func(m *message) ([]byte, error)
	// wants reports whether a change is sent at all; nil: every change is.
	wants func(connectors.EntryType) bool
	// headers are added to each request.
	headers map[string]string
	// answered interprets the body of an answer with a 2xx status; nil: the status alone means that the entry is
	// delivered.
	answered func(ctx context.Context, e *connectors.Entry, body []byte) answer
	// adapt changes a request by what earlier answers said about the finding; nil: a request depends on the entry alone.
	adapt func(e *connectors.Entry, r *request) error
}

// request is one request before it is signed.
type request struct {
	url  string
	body []byte
}

// newForm returns the form of the endpoint that s sends to.
func newForm(s *Sink) (*form, error) {
	c := &s.config
	switch c.Format {
	case "", FormatAIDR:
		return &form{contentType: "application/json", render: renderMessage}, nil
	case FormatOCSF:
		return &form{contentType: "application/json", render: renderOCSF, wants: func(t connectors.EntryType) bool {
			return t != connectors.EndpointDisabled // OCSF has no class for it
		}}, nil
	case FormatCloudEvents:
		return &form{contentType: "application/cloudevents+json; charset=utf-8", render: cloudEvents{c.Links}.render}, nil
	case FormatTemplate:
		f, err := newTemplateForm(c.Template, c.Links)
		if err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
		return f, nil
	case FormatSlack:
		return newSlack(s).form(), nil
	case FormatPagerDuty:
		return newPagerDuty(c)
	case FormatSplunkHEC:
		return newSplunk(s)
	}
	names := make([]string, 0, len(Formats()))
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	return nil, fmt.Errorf("format: %q is not one of %s", c.Format, strings.Join(names, ", "))
}

// checkFormat returns the errors of settings that the format needs or does not know.
func (c *Config) checkFormat() error {
	var wrong []error
	only := func(set bool, name string, f Format) {
		if set && c.Format != f {
			wrong = append(wrong, fmt.Errorf("%s: is for the format %s only", name, f))
		}
	}
	only(c.Template != "", "template", FormatTemplate)
	only(c.Channel != "", "channel", FormatSlack)
	only(c.RoutingKey != "", "routing_key", FormatPagerDuty)
	only(c.Index != "", "index", FormatSplunkHEC)
	only(c.Token != "" && c.Format != FormatSlack, "token", FormatSplunkHEC)
	if err := checkSlack(c); err != nil {
		wrong = append(wrong, err)
	}
	if c.Format.Signed() && len(c.Secrets) == 0 {
		wrong = append(wrong, errors.New("secret: missing: want whsec_ and 24 to 64 random bytes in base64"))
	}
	return errors.Join(wrong...)
}

// renderMessage encodes the body of FormatAIDR.
func renderMessage(m *message) ([]byte, error) { return encode(m) }

// renderOCSF encodes a finding as a Detection Finding, and a response as a Remediation Activity.
func renderOCSF(m *message) ([]byte, error) {
	if m.finding == nil {
		return encode(ocsfResponse(m))
	}
	out := m.finding.OCSF(ocsfActivity(m.Type))
	if m.finding.Omitted != nil {
		out["metadata"].(map[string]any)["is_truncated"] = true
		out["unmapped"].(map[string]any)["cut"] = m.finding.Omitted
	}
	if m.Links != nil && m.Links.Console != "" {
		out["finding_info"].(map[string]any)["src_url"] = m.Links.Console
	}
	return encode(out)
}

// ocsfResponse returns a Remediation Activity (class 7001) of OCSF: Isolate for a containment, Restore for a release.
func ocsfResponse(m *message) map[string]any {
	const class, isolate, restore, other = 7001, 1, 3, 99
	activity, name := isolate, "Isolate"
	switch m.Type {
	case connectors.AgentReleased:
		activity, name = restore, "Restore"
	case connectors.ApprovalAsked:
		activity, name = other, "Approval asked"
	}
	n, ms := noticeOf(m), int64(m.Timestamp)/int64(time.Millisecond)
	return map[string]any{
		"activity_id": activity, "activity_name": name, "category_uid": class / 1000, "category_name": "Remediation",
		"class_uid": class, "class_name": "Remediation Activity", "type_uid": class*100 + activity, "type_name": "Remediation Activity: " + name,
		"time": ms, "severity_id": 1, "severity": "Informational", "message": n.title + ": " + n.summary,
		"command_uid": m.entry.ID().String(), "metadata": schema.OCSFMetadata(m.entry.ID(), m.entry.Version(), n.tenant),
		"unmapped": map[string]any{"response": m.Data},
	}
}

// ocsfActivity returns the activity that a change is in OCSF.
func ocsfActivity(t connectors.EntryType) schema.OCSFActivity {
	switch t {
	case connectors.FindingOpened:
		return schema.OCSFCreate
	case connectors.FindingWithdrawn:
		return schema.OCSFClose
	}
	return schema.OCSFUpdate
}

// cloudEvents renders events of CloudEvents 1.0.2 in structured mode. The id and the source together identify an event, as
// the specification demands.
type cloudEvents struct{ source string }

// cloudEventsType is the beginning of the type of an event; the type of the change follows.
const cloudEventsType = "com.github.aidr-engine.aidr."

func (c cloudEvents) render(m *message) ([]byte, error) {
	source := c.source
	if source == "" {
		source = "urn:aidr"
	}
	out := map[string]any{
		"specversion": "1.0", "id": fmt.Sprintf("%s-%d", m.entry.ID(), m.entry.Version()), "source": source,
		"type": cloudEventsType + string(m.Type), "time": m.Timestamp, "datacontenttype": "application/json", "data": m.Data,
	}
	if uid := noticeOf(m).agentUID; uid != "" {
		out["subject"] = uid
	}
	return encode(out)
}
