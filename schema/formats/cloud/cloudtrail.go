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
		Families: []string{formats.FamilyAudit},
		Signatures: []formats.Signature{
			{Keys: []string{"eventVersion", "eventSource", "userIdentity"}},
			{Keys: []string{"eventVersion", "eventSource", "eventName", "awsRegion"}}, // events of an AWS service itself
			{Keys: []string{"eventSource", "eventName", "userIdentity", "eventTime"}}, // exports that drop the version
			{Keys: []string{"eventVersion", "insightDetails"}},
		},
		Scope:     formats.ScopePlatform,
		NewReader: newCloudTrail,
	}
}

type cloudTrail struct {
	time, id                int // eventTime, eventID
	category                int // eventCategory, which sets no field
	source, name, eventType int // eventSource, eventName, eventType
	details                 int // serviceEventDetails: the outcome of a sign-in of IAM Identity Center
	endpoint                int // vpcEndpointId
	insight                 insight
	readOnly, region        int // readOnly, awsRegion
	requestID, recipient    int // requestID, recipientAccountId
	address, userAgent      int // sourceIPAddress, userAgent
	host                    int // tlsDetails.clientProvidedHostHeader
	errorCode, errorMessage int // errorCode, errorMessage
	bytesIn, bytesOut       int // additionalEventData: bytesTransferredIn, bytesTransferredOut
	response                int // responseElements
	fromConsole             int // sessionCredentialFromConsole
	principal               principal
	resource                resource
}

func newCloudTrail(p *formats.Paths) formats.Reader {
	return &cloudTrail{
		time: p.Add("eventTime"), id: p.Add("eventID"),
		category: p.Add("eventCategory"),
		source:   p.Add("eventSource"), name: p.Add("eventName"), eventType: p.Add("eventType"),
		details: p.Add("serviceEventDetails"), endpoint: p.Add("vpcEndpointId"), insight: newInsight(p),
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

func (c *cloudTrail) Read(el *formats.Element) {
	el.SetDataset("aws.cloudtrail")
	if !el.SetTime(el.At(c.time)) {
		return
	}
	el.CopyText(schema.EventID, el.At(c.id))
	if el.At(c.insight.whole).Present() {
		c.insight.read(el, c)
		return
	}
	c.call(el)
	c.outcome(el)
	el.CopySource(el.At(c.address))
	c.principal.read(el)
	if el.At(c.fromConsole).True() {
		el.SetText(schema.CredentialType, "session")
	}
	el.SetAgentByAddress(el.Text(el.At(c.userAgent)))
	el.CopyText(schema.UserAgentOriginal, el.At(c.userAgent))
	el.SetText(schema.CloudProvider, "aws")
	c.where(el)
	el.CopyText(schema.HTTPRequestID, el.At(c.requestID))
	el.CopyText(schema.URLDomain, el.At(c.host))
	el.CopyInt(schema.HTTPRequestBytes, el.At(c.bytesIn))
	el.CopyInt(schema.HTTPResponseBytes, el.At(c.bytesOut))
	if !c.resource.read(el, serviceOf(el.Text(el.At(c.source)))) {
		if endpoint := el.Text(el.At(c.endpoint)); endpoint != "" {
			el.SetText(schema.ResourceID, endpoint)
			el.SetText(schema.ResourceType, "AWS::EC2::VPCEndpoint")
		}
	}
	c.resource.emit(el)
}

// where sets the account and region in which the event was logged. The account of a caller from another one is the
// organization.
func (c *cloudTrail) where(el *formats.Element) {
	recipient, caller := el.At(c.recipient), el.At(c.principal.account)
	el.CopyFirstText(schema.CloudAccountID, recipient, caller)
	el.CopyText(schema.CloudRegion, el.At(c.region))
	if account := el.Text(caller); el.Text(recipient) != account && recipient.Present() && !formats.Everybody(account) {
		el.SetText(schema.OrganizationID, account)
	}
}

// call sets the action, which is service:Operation, the class and the type of the event.
func (c *cloudTrail) call(el *formats.Element) {
	source, name := el.Text(el.At(c.source)), el.Text(el.At(c.name))
	el.SetText(schema.ServiceTargetName, source)
	action := operationOfService(el, source, name)
	if c.isSignIn(el) {
		el.SetClass(formats.ClassAuth, action)
		return
	}
	el.SetClass(formats.ClassAudit, action)
	el.SetText(schema.EventType, operationType(name, el.At(c.readOnly)))
	if strings.HasPrefix(source, "bedrock") {
		el.SetText(schema.GenAIProviderName, "aws.bedrock")
		el.CopyText(schema.GenAIRequestModel, el.At(c.resource.model))
	}
}

// operationOfService returns service:Operation, as in a policy.
func operationOfService(el *formats.Element, source, name string) string {
	if service := serviceOf(source); service != "" && name != "" {
		return el.Arena.Concat(service, ":", name)
	}
	return name
}

// isSignIn reports whether the event is a sign-in to the console or through IAM Identity Center.
func (c *cloudTrail) isSignIn(el *formats.Element) bool {
	return el.Text(el.At(c.eventType)) == "AwsConsoleSignIn" || el.Text(el.At(c.source)) == "signin.amazonaws.com"
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
func (c *cloudTrail) outcome(el *formats.Element) {
	code := el.Text(el.At(c.errorCode))
	switch {
	case code != "":
		el.SetOutcome(formats.Failure)
		el.SetText(schema.ErrorType, code)
		if formats.IsDenied(code) {
			el.SetBlocked()
		}
	case c.signInFailed(el):
		el.SetOutcome(formats.Failure)
	default:
		el.SetOutcome(formats.Success)
	}
}

// signInFailed reports whether a sign-in failed. The response has the outcome under the event's name, as in
// {"ConsoleLogin": "Failure"}, and events of IAM Identity Center have it in their details; without either, an error message
// means failure.
func (c *cloudTrail) signInFailed(el *formats.Element) (failed bool) {
	if !c.isSignIn(el) && el.Text(el.At(c.name)) != "ConsoleLogin" {
		return false
	}
	name := el.Text(el.At(c.name))
	stated := false
	for _, n := range [...]formats.Node{el.At(c.response), el.At(c.details)} {
		el.Index.Members(n.Src, n.Span, &el.Arena, func(key string, v scan.Span) bool {
			if result := el.Text(formats.Node{Src: n.Src, Span: v}); key == name || result == "Failure" {
				stated, failed = true, failed || result == "Failure"
			}
			return true
		})
	}
	return failed || !stated && el.Text(el.At(c.errorMessage)) != ""
}
