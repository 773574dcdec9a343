// Package cloud reads the audit logs of clouds.
package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// CloudTrail is the record of AWS CloudTrail: management, data, network activity and insight events.
func CloudTrail() formats.Format {
	return formats.Format{
		Name:     "aws_cloudtrail",
		Aliases:  []string{"cloudtrail"},
		Datasets: []string{"aws.cloudtrail"},
		Tells: []formats.Tell{
			{Keys: []string{"eventVersion", "eventSource", "userIdentity"}},
			{Keys: []string{"eventVersion", "eventSource", "eventName", "awsRegion"}}, // a service's own events
			{Keys: []string{"eventVersion", "insightDetails"}},
		},
		Open: newCloudTrail,
	}
}

type cloudTrail struct {
	time, id, source, name, eventType, category, region, readOnly, requestID, recipient int
	address, userAgent, host, errorCode, errorMessage                                   int
	bytesIn, bytesOut, response, insightSource, insightName, fromConsole                int
	principal                                                                           principal
	resource                                                                            resource
}

func newCloudTrail(p *formats.Paths) formats.Reader {
	return &cloudTrail{
		time: p.Add("eventTime"), id: p.Add("eventID"), source: p.Add("eventSource"), name: p.Add("eventName"), eventType: p.Add("eventType"),
		category: p.Add("eventCategory"), region: p.Add("awsRegion"), readOnly: p.Add("readOnly"), requestID: p.Add("requestID"),
		recipient: p.Add("recipientAccountId"), address: p.Add("sourceIPAddress"), userAgent: p.Add("userAgent"),
		host: p.Add("tlsDetails", "clientProvidedHostHeader"), errorCode: p.Add("errorCode"), errorMessage: p.Add("errorMessage"),
		bytesIn: p.Add("additionalEventData", "bytesTransferredIn"), bytesOut: p.Add("additionalEventData", "bytesTransferredOut"),
		response: p.Add("responseElements"), insightSource: p.Add("insightDetails", "eventSource"), insightName: p.Add("insightDetails", "eventName"),
		fromConsole: p.Add("sessionCredentialFromConsole"),
		principal:   newPrincipal(p),
		resource:    newResource(p),
	}
}

func (c *cloudTrail) Read(r *formats.Record) {
	r.Begin("aws.cloudtrail")
	if !r.Start(r.At(c.time)) {
		return
	}
	r.SetText(schema.EventID, r.At(c.id))
	c.call(r)
	c.outcome(r)
	r.SetCaller(r.At(c.address))
	c.principal.read(r)
	if r.At(c.fromConsole).True() {
		r.Put(schema.CredentialType, "session")
	}
	r.AgentByAddress(r.Text(r.At(c.userAgent)))
	r.SetText(schema.UserAgentOriginal, r.At(c.userAgent))
	r.Put(schema.CloudProvider, "aws")
	r.SetFirst(schema.CloudAccountID, r.At(c.recipient), r.At(c.principal.account))
	r.SetText(schema.CloudRegion, r.At(c.region))
	r.SetText(schema.HTTPRequestID, r.At(c.requestID))
	r.SetText(schema.URLDomain, r.At(c.host))
	r.SetInt(schema.HTTPRequestBytes, r.At(c.bytesIn))
	r.SetInt(schema.HTTPResponseBytes, r.At(c.bytesOut))
	c.resource.read(r)
	r.Emit()
}

// call sets what was called: service:Operation, and what kind of operation it is.
func (c *cloudTrail) call(r *formats.Record) {
	source, name := r.Text(r.At(c.source)), r.Text(r.At(c.name))
	if source == "" {
		source = r.Text(r.At(c.insightSource))
	}
	if name == "" {
		name = r.Text(r.At(c.insightName))
	}
	r.Put(schema.ServiceTargetName, source)
	action := name
	if service := serviceOf(source); service != "" && name != "" {
		action = r.Arena.Concat(service, ":", name)
	}
	if c.signIn(r) {
		r.SetClass(formats.ClassAuth, action)
		return
	}
	r.SetClass(formats.ClassAudit, action)
	r.Put(schema.EventType, operationType(name, r.At(c.readOnly)))
	if strings.HasPrefix(source, "bedrock") {
		r.Put(schema.GenAIProviderName, "aws.bedrock")
		r.SetText(schema.GenAIRequestModel, r.At(c.resource.model))
	}
}

// signIn says that the event is somebody's way into the console.
func (c *cloudTrail) signIn(r *formats.Record) bool {
	return r.Text(r.At(c.eventType)) == "AwsConsoleSignIn"
}

// serviceOf returns the service of an event source: s3 of s3.amazonaws.com.
func serviceOf(source string) string {
	service := strings.TrimSuffix(source, ".cn")
	return strings.TrimSuffix(service, ".amazonaws.com")
}

// operationType tells read, create, update and delete apart: by readOnly where it is there, and by the verb that every
// operation's name begins with.
func operationType(name string, readOnly formats.Node) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "Admin"), "Batch") // before the verb in Cognito and elsewhere
	verb := name
	for i := 1; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' {
			verb = name[:i]
			break
		}
	}
	switch {
	case readOnly.True():
		return "read"
	case name == "":
		return ""
	}
	switch verb {
	case "Create", "Run", "Allocate", "Register", "Import", "Copy", "Issue", "Generate", "Request", "Provision", "Publish", "Send":
		return "create"
	case "Delete", "Terminate", "Remove", "Deregister", "Release", "Purge", "Destroy":
		return "delete"
	case "Get", "List", "Describe", "Head", "Lookup", "Search", "Query", "Scan", "Select", "Check",
		"View", "Filter", "Discover", "Preview", "Test", "Verify", "Validate":
		if !readOnly.Present() {
			return "read"
		}
	}
	return "update"
}

// outcome reads the error code; a sign-in says in its answer how it went.
func (c *cloudTrail) outcome(r *formats.Record) {
	code := r.Text(r.At(c.errorCode))
	switch {
	case code != "":
		r.SetOutcome(formats.Failure)
		r.Put(schema.ErrorType, code)
		if formats.Denied(code) {
			r.Block()
		}
	case c.signInFailed(r):
		r.SetOutcome(formats.Failure)
	default:
		r.SetOutcome(formats.Success)
	}
}

// signInFailed looks for Failure in the answer, under the event's own name: {"ConsoleLogin": "Failure"}.
func (c *cloudTrail) signInFailed(r *formats.Record) (failed bool) {
	if !c.signIn(r) && r.Text(r.At(c.name)) != "ConsoleLogin" {
		return false
	}
	name, answer := r.Text(r.At(c.name)), r.At(c.response)
	said := false
	r.Index.Members(answer.Src, answer.Span, &r.Arena, func(key string, v scan.Span) bool {
		if key == name {
			said, failed = true, r.Text(formats.Node{Src: answer.Src, Span: v}) == "Failure"
		}
		return true
	})
	return failed || !said && r.Text(r.At(c.errorMessage)) != ""
}
