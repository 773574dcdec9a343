package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// azureOpenAI reads the logs of Azure OpenAI and of the other models in a Cognitive Services account: the caller and the
// deployment of each call, but neither tokens nor text.
type azureOpenAI struct {
	properties *block
}

// Places in the properties.
const (
	aoaiObject = iota
	aoaiDeployment
	aoaiModel
	aoaiRequestTime
	aoaiResponseTime
	aoaiRequestLength
	aoaiResponseLength
	aoaiAPI
)

var aoaiPaths = [][]string{
	aoaiObject:         {"objectId"},
	aoaiDeployment:     {"modelDeploymentName"},
	aoaiModel:          {"modelName"},
	aoaiRequestTime:    {"requestTime"},
	aoaiResponseTime:   {"responseTime"},
	aoaiRequestLength:  {"requestLength"},
	aoaiResponseLength: {"responseLength"},
	aoaiAPI:            {"apiName"},
}

func newAzureOpenAI(p *formats.Paths) *azureOpenAI {
	return &azureOpenAI{properties: newBlock(p, []string{"properties"}, aoaiPaths)}
}

func (o *azureOpenAI) read(el *formats.Element, a *azure, category string) {
	o.properties.open(el)
	action := el.Text(el.At(a.operation))
	if op := operationOfName(action); op != "" && category != "Audit" {
		el.SetClass(formats.ClassLLM, action)
		el.SetText(schema.GenAIOperationName, op)
		el.SetText(schema.GenAIProviderName, "azure.ai.openai")
	} else {
		el.SetClass(formats.ClassAudit, action)
		el.SetText(schema.EventType, typeOfOperation(action))
	}
	o.duration(el)
	a.outcome.read(el)
	a.source(el)
	el.SetAgent("properties.objectId", el.Text(o.properties.at(el, aoaiObject)))
	el.SetAgentByAddress("")
	el.CopyText(schema.UserID, o.properties.at(el, aoaiObject))
	el.CopyText(schema.CloudRegion, el.At(a.location))
	el.CopyText(schema.ServiceTargetName, o.properties.at(el, aoaiAPI))
	el.CopyFirstText(schema.GenAIRequestModel, o.properties.at(el, aoaiDeployment), o.properties.at(el, aoaiModel))
	el.CopyText(schema.GenAIResponseModel, o.properties.at(el, aoaiModel))
	el.CopyInt(schema.HTTPRequestBytes, o.properties.at(el, aoaiRequestLength))
	el.CopyInt(schema.HTTPResponseBytes, o.properties.at(el, aoaiResponseLength))
	el.Emit()
}

// duration sets event.duration from the times of request and response if durationMs is missing or negative, which happens.
func (o *azureOpenAI) duration(el *formats.Element) {
	if el.Event.Has(schema.EventDuration) {
		return
	}
	start, ok := ticks(o.properties.at(el, aoaiRequestTime))
	end, ok2 := ticks(o.properties.at(el, aoaiResponseTime))
	if ok && ok2 && end >= start {
		el.Event.SetInt(schema.EventDuration, end-start)
	}
}

// .NET counts ticks of 100 ns since the year 1.
const (
	nsPerTick    = 100
	ticksAt1970  = 621355968000000000
	maxTicksSpan = (1<<63 - 1) / nsPerTick // the greatest number of ticks whose ns fit into an int64
)

// ticks converts .NET ticks to ns since 1970.
func ticks(n formats.Node) (ns int64, ok bool) {
	if n.Kind != scan.Number && n.Kind != scan.String {
		return 0, false
	}
	t, ok := scan.Int(n.Src, n.Span)
	if !ok || t <= 0 || t-ticksAt1970 > maxTicksSpan || t-ticksAt1970 < -maxTicksSpan {
		return 0, false
	}
	return (t - ticksAt1970) * nsPerTick, true
}

// operationOfName returns the gen_ai.operation.name for the name of an operation, such as ChatCompletions_Create; "" if the
// operation is not a call of a model.
func operationOfName(name string) string {
	switch {
	case hasPrefixFold(name, "chatcompletions"), hasPrefixFold(name, "chat completions"), hasPrefixFold(name, "responses"),
		hasPrefixFold(name, "messages"), hasPrefixFold(name, "extensionschatcompletions"):
		return opChat
	case hasPrefixFold(name, "completions"):
		return opCompletion
	case hasPrefixFold(name, "embeddings"):
		return opEmbeddings
	case strings.Contains(name, "image") || strings.Contains(name, "Image") || hasPrefixFold(name, "audio"):
		return "generate_content"
	}
	return ""
}
