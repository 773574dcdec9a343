package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// insight reads CloudTrail's insights: alerts that an operation is called, or fails, unusually often. An insight is no call
// of the operation.
type insight struct {
	whole        int // insightDetails
	source, name int // insightDetails: eventSource, eventName
	state, kind  int // insightDetails: state, insightType
	code         int // insightDetails.errorCode
	attributions int // insightDetails.insightContext.attributions
	attribution  *formats.Shape
	value        *formats.Shape
}

// Places in the shape of an attribution.
const (
	attributionName = iota
	attributionInsight
)

func newInsight(p *formats.Paths) insight {
	at := func(keys ...string) int { return p.Add(append([]string{"insightDetails"}, keys...)...) }
	return insight{
		whole: at(), source: at("eventSource"), name: at("eventName"), state: at("state"), kind: at("insightType"), code: at("errorCode"),
		attributions: at("insightContext", "attributions"),
		attribution:  formats.NewShape([][]string{attributionName: {"attribute"}, attributionInsight: {"insight"}}...),
		value:        formats.NewShape([]string{"value"}),
	}
}

// read emits the alert: its type, whether it begins or ends, the operation, and the caller to which most of it is attributed.
func (i *insight) read(el *formats.Element, c *cloudTrail) {
	el.SetClass(classGuardrail, "insight")
	el.SetOutcome(formats.Unknown)
	el.SetText(schema.CloudProvider, "aws")
	c.where(el)
	source, name := el.Text(el.At(i.source)), el.Text(el.At(i.name))
	el.SetText(schema.ServiceTargetName, source)
	el.SetText(schema.ResourceID, operationOfService(el, source, name))
	el.SetText(schema.ResourceType, "AWS::API::Operation")
	el.SetText(schema.ResourceName, name)
	el.CopyText(schema.ErrorType, el.At(i.code))
	el.SetText(schema.GuardrailName, "CloudTrail Insights")
	el.CopyText(schema.GuardrailRiskCategory, el.At(i.kind))
	switch el.Text(el.At(i.state)) {
	case "Start":
		el.SetText(schema.GuardrailVerdict, "detected")
	case "End":
		el.SetText(schema.GuardrailVerdict, "ended")
	}
	i.attributed(el)
	el.Emit()
}

// attributed sets the caller and its user agent, the first of those that the insight lists.
func (i *insight) attributed(el *formats.Element) {
	i.attribution.Each(el, el.At(i.attributions), func(formats.Node) bool {
		i.value.Select(el, el.FirstItem(i.attribution.At(attributionInsight)))
		value := i.value.At(0)
		switch el.Text(i.attribution.At(attributionName)) {
		case "userIdentityArn":
			arn := el.Text(value)
			el.SetAgent(sourceAttribution, formats.RoleOfSession(el, arn))
			el.SetAgent(sourceAttribution, arn)
			el.SetText(schema.AIAgentInstanceUID, formats.SessionName(arn))
			if uid := el.Event.Text(schema.AIAgentUID); strings.Contains(uid, ":role/") {
				el.SetText(schema.AIAgentName, lastPart(uid, '/'))
			}
		case "userAgent":
			el.CopyText(schema.UserAgentOriginal, value)
		}
		return true
	})
}

// sourceAttribution is the value of ai_agent.uid_source for the caller to which an insight is attributed.
const sourceAttribution = "insightDetails.insightContext.attributions"
