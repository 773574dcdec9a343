package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// resource reads the object of a CloudTrail event: the first of its resources, else the one that its request parameters
// name.
type resource struct {
	list               int // resources
	bucket, key, model int // requestParameters: bucketName, key, modelId
	parameters         [len(parameters)]int
	lists              [len(lists)]int
	items              [len(lists)]*formats.Shape
	shape              *formats.Shape

	named formats.Node // of the current element: the list that names its resources, or Absent
	kind  int          // its index in lists
}

// Places in the shape of a resource.
const (
	resourceARN = iota
	resourceARNLower
	resourceType
	resourceName
)

// parameter is a request parameter that names a resource.
type parameter struct {
	key     string
	kind    string // CloudFormation's name of the resource's type
	service string // if not "", the parameter counts for this service only
}

// list is a request parameter that names resources in a list.
type list struct {
	path []string
	item string // the key of the name in an item, "" if the items are the names
	kind string // CloudFormation's name of the resources' type
}

// lists lists the request parameters that name resources in a list.
var lists = [...]list{
	{[]string{"secretIdList"}, "", "AWS::SecretsManager::Secret"},
	{[]string{"names"}, "", "AWS::SSM::Parameter"},
	{[]string{"instancesSet", "items"}, "instanceId", "AWS::EC2::Instance"},
	{[]string{"instanceIds"}, "", "AWS::EC2::Instance"},
	{[]string{"volumeSet", "items"}, "volumeId", "AWS::EC2::Volume"},
	{[]string{"snapshotSet", "items"}, "snapshotId", "AWS::EC2::Snapshot"},
	{[]string{"imagesSet", "items"}, "imageId", "AWS::EC2::Image"},
	{[]string{"securityGroupIdSet", "items"}, "groupId", "AWS::EC2::SecurityGroup"},
	{[]string{"resourcesSet", "items"}, "resourceId", ""},
	{[]string{"resourceARNList"}, "", ""},
	{[]string{"resourceArns"}, "", ""},
	{[]string{"logGroupNames"}, "", "AWS::Logs::LogGroup"},
	{[]string{"logGroupIdentifiers"}, "", "AWS::Logs::LogGroup"},
}

// parameters lists the request parameters that name a resource, the most specific ones first. The first that is present
// counts.
var parameters = [...]parameter{
	{"modelId", "AWS::Bedrock::Model", ""},
	{"agentId", "AWS::Bedrock::Agent", ""},
	{"knowledgeBaseId", "AWS::Bedrock::KnowledgeBase", ""},
	{"guardrailIdentifier", "AWS::Bedrock::Guardrail", ""},
	{"secretId", "AWS::SecretsManager::Secret", ""},
	{"functionName", "AWS::Lambda::Function", ""},
	{"keyId", "AWS::KMS::Key", ""},
	{"roleArn", "AWS::IAM::Role", ""},
	{"roleName", "AWS::IAM::Role", ""},
	{"userName", "AWS::IAM::User", ""},
	{"groupName", "AWS::IAM::Group", ""},
	{"policyArn", "AWS::IAM::ManagedPolicy", ""},
	{"instanceProfileName", "AWS::IAM::InstanceProfile", ""},
	{"instanceId", "AWS::EC2::Instance", ""},
	{"imageId", "AWS::EC2::Image", ""},
	{"snapshotId", "AWS::EC2::Snapshot", ""},
	{"volumeId", "AWS::EC2::Volume", ""},
	{"groupId", "AWS::EC2::SecurityGroup", ""},
	{"vpcId", "AWS::EC2::VPC", ""},
	{"subnetId", "AWS::EC2::Subnet", ""},
	{"dBInstanceIdentifier", "AWS::RDS::DBInstance", ""},
	{"dBSnapshotIdentifier", "AWS::RDS::DBSnapshot", ""},
	{"tableName", "AWS::DynamoDB::Table", ""},
	{"queueUrl", "AWS::SQS::Queue", ""},
	{"topicArn", "AWS::SNS::Topic", ""},
	{"streamName", "AWS::Kinesis::Stream", ""},
	{"clusterName", "AWS::ECS::Cluster", ""},
	{"repositoryName", "AWS::ECR::Repository", ""},
	{"logGroupName", "AWS::Logs::LogGroup", ""},
	{"trailName", "AWS::CloudTrail::Trail", ""},
	{"stackName", "AWS::CloudFormation::Stack", ""},
	{"agentRuntimeArn", "AWS::BedrockAgentCore::Runtime", ""},
	{"resourceArn", "", ""},
	{"path", "AWS::SSM::Parameter", "ssm"},
	{"name", "", ""},
}

func newResource(p *formats.Paths) resource {
	at := func(keys ...string) int { return p.Add(append([]string{"requestParameters"}, keys...)...) }
	res := resource{
		list:   p.Add("resources"),
		bucket: at("bucketName"), key: at("key"), model: at("modelId"),
		shape: formats.NewShape([][]string{
			resourceARN: {"ARN"}, resourceARNLower: {"arn"}, resourceType: {"type"}, resourceName: {"resourceName"},
		}...),
	}
	for i, param := range parameters {
		res.parameters[i] = at(param.key)
	}
	for i, param := range lists {
		res.lists[i] = at(param.path...)
		if param.item != "" {
			res.items[i] = formats.NewShape([]string{param.item})
		}
	}
	return res
}

// read sets the fields of the resource, and reports whether there is one.
func (c *resource) read(el *formats.Element, service string) bool {
	c.named = formats.Node{}
	if c.listed(el) {
		return true
	}
	if bucket := el.Text(el.At(c.bucket)); bucket != "" {
		c.object(el, bucket, el.Text(el.At(c.key)))
		return true
	}
	for i, place := range c.lists {
		if list := el.At(place); list.Kind == scan.Array && el.FirstItem(list).Present() {
			c.named, c.kind = list, i
			return true
		}
	}
	for i, place := range c.parameters {
		text := el.Text(el.At(place))
		if text == "" || parameters[i].service != "" && parameters[i].service != service {
			continue
		}
		el.SetText(schema.ResourceID, text)
		el.SetText(schema.ResourceType, parameters[i].kind)
		if !strings.HasPrefix(text, "arn:") {
			el.SetText(schema.ResourceName, text)
		}
		return true
	}
	return false
}

// listed sets the fields of the resource from the first of the event's resources that has a name.
func (c *resource) listed(el *formats.Element) (found bool) {
	c.shape.Each(el, el.At(c.list), func(formats.Node) bool {
		arn := el.FirstText(c.shape.At(resourceARN), c.shape.At(resourceARNLower))
		if arn == "" { // a prefix of several names
			return true
		}
		found = true
		el.SetText(schema.ResourceID, arn)
		el.CopyText(schema.ResourceType, c.shape.At(resourceType))
		el.CopyText(schema.ResourceName, c.shape.At(resourceName))
		return false
	})
	return found
}

// emit emits the event, or an event for each resource if the request names several in a list. Only the first of these has the
// bytes that were transferred.
func (c *resource) emit(el *formats.Element) {
	if !c.named.Present() {
		el.Emit()
		return
	}
	param := &lists[c.kind]
	el.SetText(schema.ResourceType, param.kind)
	first := true
	el.Index.Each(c.named.Src, c.named.Span, func(elem scan.Span) bool {
		n := formats.Node{Src: c.named.Src, Span: elem}
		if param.item != "" {
			c.items[c.kind].Select(el, n)
			n = c.items[c.kind].At(0)
		}
		name := el.Text(n)
		if !first {
			el.Event.Set(schema.HTTPRequestBytes, schema.Value{})
			el.Event.Set(schema.HTTPResponseBytes, schema.Value{})
		}
		first = false
		el.Event.Set(schema.ResourceID, schema.Value{})
		el.Event.Set(schema.ResourceName, schema.Value{})
		el.SetText(schema.ResourceID, name)
		if name != "" && !strings.HasPrefix(name, "arn:") {
			el.SetText(schema.ResourceName, name)
		}
		el.Emit()
		return !el.LimitExceeded()
	})
}

// object sets the fields of the resource for an S3 bucket, or for an object in it if key is not empty.
func (c *resource) object(el *formats.Element, bucket, key string) {
	if key == "" {
		el.SetText(schema.ResourceID, el.Arena.Concat("arn:aws:s3:::", bucket))
		el.SetText(schema.ResourceType, "AWS::S3::Bucket")
		el.SetText(schema.ResourceName, bucket)
		return
	}
	el.SetText(schema.ResourceID, el.Arena.Concat("arn:aws:s3:::", bucket, "/", key))
	el.SetText(schema.ResourceType, "AWS::S3::Object")
	el.SetText(schema.ResourceName, el.Arena.Concat(bucket, "/", key))
}
