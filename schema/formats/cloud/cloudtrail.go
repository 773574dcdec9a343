// Package cloud contains the formats of audit logs of clouds and of hosted services, and of events that another system
// already normalised to ECS or OCSF.
package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// CloudTrail returns the format of AWS CloudTrail: management, data, network activity and insight events.
func CloudTrail() formats.Format {
	return formats.Format{
		Name:     "aws_cloudtrail",
		Aliases:  []string{"cloudtrail"},
		Datasets: []string{"aws.cloudtrail"},
		Tells: []formats.Tell{
			{Keys: []string{"eventVersion", "eventSource", "userIdentity"}},
			{Keys: []string{"eventVersion", "eventSource", "eventName", "awsRegion"}}, // events of an AWS service itself
			{Keys: []string{"eventVersion", "insightDetails"}},
		},
		Open: newCloudTrail,
	}
}

type cloudTrail struct {
	time, id                   int // eventTime, eventID
	category                   int // eventCategory, which sets no field
	source, name, eventType    int // eventSource, eventName, eventType
	insightSource, insightName int // insightDetails: eventSource, eventName
	readOnly, region           int // readOnly, awsRegion
	requestID, recipient       int // requestID, recipientAccountId
	address, userAgent         int // sourceIPAddress, userAgent
	host                       int // tlsDetails.clientProvidedHostHeader
	errorCode, errorMessage    int // errorCode, errorMessage
	bytesIn, bytesOut          int // additionalEventData: bytesTransferredIn, bytesTransferredOut
	response                   int // responseElements
	fromConsole                int // sessionCredentialFromConsole
	principal                  principal
	resource                   resource
}

func newCloudTrail(p *formats.Paths) formats.Reader {
	return &cloudTrail{
		time: p.Add("eventTime"), id: p.Add("eventID"),
		category: p.Add("eventCategory"),
		source:   p.Add("eventSource"), name: p.Add("eventName"), eventType: p.Add("eventType"),
		insightSource: p.Add("insightDetails", "eventSource"), insightName: p.Add("insightDetails", "eventName"),
		readOnly: p.Add("readOnly"), region: p.Add("awsRegion"),
		requestID: p.Add("requestID"), recipient: p.Add("recipientAccountId"),
		address: p.Add("sourceIPAddress"), userAgent: p.Add("userAgent"),
		host:      p.Add("tlsDetails", "clientProvidedHostHeader"),
		errorCode: p.Add("errorCode"), errorMessage: p.Add("errorMessage"),
		bytesIn:     p.Add("additionalEventData", "bytesTransferredIn"),
		bytesOut:    p.Add("additionalEventData", "bytesTransferredOut"),
		response:    p.Add("responseElements"),
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

// call sets the action, which is service:Operation, the class and the type of the event.
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
	if c.isSignIn(r) {
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

// isSignIn reports whether the event is a sign-in to the console.
func (c *cloudTrail) isSignIn(r *formats.Record) bool {
	return r.Text(r.At(c.eventType)) == "AwsConsoleSignIn"
}

// serviceOf returns the service of an event source: s3 for s3.amazonaws.com.
func serviceOf(source string) string {
	service := strings.TrimSuffix(source, ".cn")
	return strings.TrimSuffix(service, ".amazonaws.com")
}

// operationType returns the event.type of an operation, by readOnly if that is true, else by the verb at the beginning of the
// operation's name. A verb of reading does not count if readOnly is false.
func operationType(name string, readOnly formats.Node) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "Admin"), "Batch") // prefixes of the verb in Cognito and elsewhere
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

// outcome sets the outcome from the error code. A sign-in has its outcome in the response instead.
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

// signInFailed reports whether a sign-in failed. The response has the outcome under the event's name, as in
// {"ConsoleLogin": "Failure"}; without that key, an error message means failure.
func (c *cloudTrail) signInFailed(r *formats.Record) (failed bool) {
	if !c.isSignIn(r) && r.Text(r.At(c.name)) != "ConsoleLogin" {
		return false
	}
	name, response := r.Text(r.At(c.name)), r.At(c.response)
	stated := false
	r.Index.Members(response.Src, response.Span, &r.Arena, func(key string, v scan.Span) bool {
		if key == name {
			stated, failed = true, r.Text(formats.Node{Src: response.Src, Span: v}) == "Failure"
		}
		return true
	})
	return failed || !stated && r.Text(r.At(c.errorMessage)) != ""
}
