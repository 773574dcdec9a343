package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/cloud"
	"github.com/aidr-engine/aidr/schema/scan"
)

// cloudEnvelope holds the places of the keys of the envelopes of cloud services.
type cloudEnvelope struct {
	eventSource, snsSource   int // eventSource, EventSource: notifications of AWS
	kinesis, sqsBody         int // kinesis.data, body
	snsMessage, topics       int // Sns.Message, records: a notification of Kafka, by topic
	detailType, detail       int // EventBridge: detail-type, detail
	messageType, logEvents   int // CloudWatch Logs subscription: messageType, logEvents
	logGroup                 int // CloudWatch Logs: logGroup
	awslogs                  int // the same, as gzip in base64 for a Lambda function: awslogs.data
	kind, topicARN, message  int // SNS: Type, TopicArn, Message
	receipt, body            int // SQS: ReceiptHandle, Body
	trailID, trailEvent      int // an event of lookup-events: EventId, CloudTrailEvent
	auditData, pageAuditData int // Microsoft 365: AuditData of an export, auditData of a page of Graph
	generated, role          int // Log Analytics and Application Insights: TimeGenerated, AppRoleName, beside Type
	created, activityTime    int // Entra in Microsoft Graph: createdDateTime, activityDateTime
	activity, initiatedBy    int // activityDisplayName, initiatedBy
	status, signedInTo       int // status, resourceDisplayName
	event                    *formats.Shape
	kafka                    *formats.Shape
}

// Place in the shape of a CloudWatch log event.
const logEventMessage = 0

func openCloudEnvelope(p *formats.Paths) cloudEnvelope {
	return cloudEnvelope{
		eventSource: p.Add("eventSource"), snsSource: p.Add("EventSource"),
		kinesis: p.Add("kinesis", "data"), sqsBody: p.Add("body"),
		snsMessage: p.Add("Sns", "Message"), topics: p.Add("records"),
		detailType: p.Add("detail-type"), detail: p.Add("detail"),
		messageType: p.Add("messageType"), logEvents: p.AddIndexed("logEvents"), logGroup: p.Add("logGroup"),
		awslogs: p.Add("awslogs", "data"),
		kind:    p.Add("Type"), topicARN: p.Add("TopicArn"), message: p.Add("Message"),
		receipt: p.Add("ReceiptHandle"), body: p.Add("Body"),
		trailID: p.Add("EventId"), trailEvent: p.Add("CloudTrailEvent"),
		auditData: p.Add("AuditData"), pageAuditData: p.Add("auditData"),
		generated: p.Add("TimeGenerated"), role: p.Add("AppRoleName"),
		created: p.Add("createdDateTime"), activityTime: p.Add("activityDateTime"),
		activity: p.Add("activityDisplayName"), initiatedBy: p.Add("initiatedBy"),
		status: p.Add("status"), signedInTo: p.Add("resourceDisplayName"),
		event: formats.NewShape([][]string{logEventMessage: {"message"}}...),
		kafka: formats.NewShape([]string{"value"}),
	}
}

// peelCloud peels the envelope of a cloud service. It returns false if the object is not such an envelope.
func (d *Decoder) peelCloud(src string, v scan.Span, level int) bool {
	at := func(place int) scan.Span { return d.found[place] }
	e := &d.envelope.cloud
	switch {
	case at(e.messageType).Kind == scan.String && at(e.logEvents).Kind == scan.Array:
		if isText(src, at(e.messageType), "CONTROL_MESSAGE") {
			d.skip(cloudWatchDataset, formats.SkipControlMessage)
			return true
		}
		d.noteEnvelope(level, "CloudWatch Logs")
		outer := d.workload
		d.workload = outer || isWorkloadGroup(scan.Text(src, at(e.logGroup), &d.elem.Arena))
		d.decodeLogEvents(src, at(e.logEvents), level)
		d.workload = outer
		return true
	case at(e.awslogs).Kind == scan.String:
		d.noteEnvelope(level, "awslogs")
		d.decodeBase64(src, v, at(e.awslogs), "awslogs.data", level)
		return true
	case at(e.detailType).Kind == scan.String && at(e.detail).Kind == scan.Object:
		d.noteEnvelope(level, "EventBridge")
		return d.decodeInner(src, at(e.detail), level)
	case isText(src, at(e.kind), "Notification") && d.has(e.topicARN):
		return d.decodeEncoded(src, at(e.message), "SNS", level)
	case d.has(e.receipt) && d.has(e.body):
		return d.decodeEncoded(src, at(e.body), "SQS", level)
	case d.has(e.trailID) && at(e.trailEvent).Kind == scan.String:
		d.noteEnvelope(level, "CloudTrailEvent")
		return d.decodeInner(src, at(e.trailEvent), level)
	case d.has(e.auditData) || d.has(e.pageAuditData):
		d.noteEnvelope(level, "AuditData")
		return d.decodeInner(src, at(e.auditData), level) || d.decodeInner(src, at(e.pageAuditData), level)
	case at(e.kind).Kind == scan.String && (d.has(e.generated) || d.has(e.role)):
		return d.decodeRow(src, v, level)
	case d.has(e.created) && d.has(e.status) && d.has(e.signedInTo):
		node := func(place int) formats.Node { return formats.Node{Src: src, Span: at(place)} }
		d.json = cloud.AppendGraphRow(d.json[:0], formats.Node{Src: src, Span: v}, node(e.created), "SignInLogs", formats.Node{})
		d.decodeRebuilt(src, v, "Microsoft Graph", level)
		return true
	case d.has(e.activityTime) && d.has(e.activity) && d.has(e.initiatedBy):
		node := func(place int) formats.Node { return formats.Node{Src: src, Span: at(place)} }
		d.json = cloud.AppendGraphRow(d.json[:0], formats.Node{Src: src, Span: v}, node(e.activityTime), "AuditLogs", node(e.activity))
		d.decodeRebuilt(src, v, "Microsoft Graph", level)
		return true
	}
	return false
}

// decodeRow decodes a row of a table of Log Analytics or Application Insights as the record that it was made from.
func (d *Decoder) decodeRow(src string, v scan.Span, level int) bool {
	row := formats.Node{Src: src, Span: v}
	record, ok := cloud.AppendInsightsRow(d.json[:0], d.elem, row)
	if !ok {
		record, ok = cloud.AppendAzureRow(record[:0], d.elem, row)
	}
	if d.json = record; !ok {
		return false
	}
	d.decodeRebuilt(src, v, "Log Analytics", level)
	return true
}

// decodeRebuilt decodes the record in d.json, which was made of the object at v.
func (d *Decoder) decodeRebuilt(src string, v scan.Span, name string, level int) {
	d.noteEnvelope(level, name)
	if d.enter(level, src[v.Start:v.End]) {
		d.decodeText(d.elem.Arena.Copy(d.json), level+1)
	}
	if cap(d.json) > maxKeptJSON {
		d.json = nil
	}
}

// isNotification reports whether the current object is a notification of AWS, which has the keys of a CloudTrail event but a
// source like aws:kinesis in place of kinesis.amazonaws.com. Lambda functions get them from services.
func (d *Decoder) isNotification(src string) bool {
	for _, place := range [...]int{d.envelope.cloud.eventSource, d.envelope.cloud.snsSource} {
		if v := d.found[place]; v.Kind == scan.String {
			source := src[v.Start+1 : v.End-1]
			return strings.HasPrefix(source, "aws:") || source == "SelfManagedKafka"
		}
	}
	return false
}

// decodeNotification decodes what a notification of AWS holds, if that is data and not a change of an object in S3 or of an
// item in DynamoDB.
func (d *Decoder) decodeNotification(src string, v scan.Span, level int) {
	e := &d.envelope.cloud
	switch {
	case d.found[e.topics].Kind == scan.Object:
		d.decodeTopics(src, d.found[e.topics], level)
		return
	case d.decodeEncoded(src, d.found[e.kinesis], "Kinesis", level),
		d.decodeEncoded(src, d.found[e.sqsBody], "SQS", level),
		d.decodeEncoded(src, d.found[e.snsMessage], "SNS", level):
		return
	}
	d.deadLetter(ReasonUnknownFormat, "a notification of a service of AWS, which holds no record", src[v.Start:v.End])
}

// decodeTopics decodes a notification of Kafka, which has a list of records, with base64 as value, for each partition.
func (d *Decoder) decodeTopics(src string, topics scan.Span, level int) {
	d.noteEnvelope(level, "Kafka")
	if !d.enter(level, src[topics.Start:topics.End]) {
		return
	}
	d.elem.Index.Members(src, topics, &d.elem.Arena, func(_ string, list scan.Span) bool {
		d.elem.Index.Each(src, list, func(elem scan.Span) bool {
			d.envelope.cloud.kafka.Select(d.elem, formats.Node{Src: src, Span: elem})
			if value := d.envelope.cloud.kafka.At(0).Span; !d.decodeEncoded(src, value, "value", level+1) {
				d.deadLetter(ReasonUnknownFormat, "the value is not base64 of JSON or gzip", src[elem.Start:elem.End])
			}
			return !d.elem.LimitExceeded()
		})
		return !d.elem.LimitExceeded()
	})
}

// isWorkloadGroup reports whether a log group of CloudWatch Logs holds the output of workloads, by the names that AWS
// gives to such groups. Other groups may be those of CloudTrail or of a cluster's audit log.
func isWorkloadGroup(name string) bool {
	for _, prefix := range [...]string{
		"/ecs/", "/aws/ecs/", "/aws/lambda/", "/aws/containerinsights/", "/aws/batch/", "/aws/codebuild/", "/aws/sagemaker/",
		"/aws/apprunner/", "/aws/elasticbeanstalk/",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// decodeLogEvents decodes each line of a CloudWatch Logs subscription.
func (d *Decoder) decodeLogEvents(src string, list scan.Span, level int) {
	if !d.enter(level, src[list.Start:list.End]) {
		return
	}
	empty := true
	d.elem.Index.Each(src, list, func(elem scan.Span) bool {
		empty = false
		d.envelope.cloud.event.Select(d.elem, formats.Node{Src: src, Span: elem})
		line := d.envelope.cloud.event.At(logEventMessage).Span
		d.noteEnvelope(level+1, "message")
		if !d.decodeInner(src, line, level+1) {
			d.deadLetter(ReasonUnknownFormat, "the log line is not JSON", src[elem.Start:elem.End])
		}
		return !d.elem.LimitExceeded()
	})
	if empty {
		d.skip(cloudWatchDataset, formats.SkipEmpty)
	}
}
