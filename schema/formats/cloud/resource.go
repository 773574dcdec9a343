package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// resource reads the object of a CloudTrail event: the first of its resources, else the one that its request parameters
// name.
type resource struct {
	list               int // resources
	bucket, key, model int // requestParameters: bucketName, key, modelId
	parameters         [len(parameters)]int
	shape              *formats.Shape
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
	key  string
	kind string // CloudFormation's name of the resource's type
}

// parameters lists the request parameters that name a resource, the most specific ones first. The first that is present
// counts.
var parameters = [...]parameter{
	{"modelId", "AWS::Bedrock::Model"},
	{"agentId", "AWS::Bedrock::Agent"},
	{"knowledgeBaseId", "AWS::Bedrock::KnowledgeBase"},
	{"guardrailIdentifier", "AWS::Bedrock::Guardrail"},
	{"secretId", "AWS::SecretsManager::Secret"},
	{"functionName", "AWS::Lambda::Function"},
	{"keyId", "AWS::KMS::Key"},
	{"roleArn", "AWS::IAM::Role"},
	{"roleName", "AWS::IAM::Role"},
	{"userName", "AWS::IAM::User"},
	{"groupName", "AWS::IAM::Group"},
	{"policyArn", "AWS::IAM::ManagedPolicy"},
	{"instanceProfileName", "AWS::IAM::InstanceProfile"},
	{"instanceId", "AWS::EC2::Instance"},
	{"imageId", "AWS::EC2::Image"},
	{"snapshotId", "AWS::EC2::Snapshot"},
	{"volumeId", "AWS::EC2::Volume"},
	{"groupId", "AWS::EC2::SecurityGroup"},
	{"vpcId", "AWS::EC2::VPC"},
	{"subnetId", "AWS::EC2::Subnet"},
	{"dBInstanceIdentifier", "AWS::RDS::DBInstance"},
	{"dBSnapshotIdentifier", "AWS::RDS::DBSnapshot"},
	{"tableName", "AWS::DynamoDB::Table"},
	{"queueUrl", "AWS::SQS::Queue"},
	{"topicArn", "AWS::SNS::Topic"},
	{"streamName", "AWS::Kinesis::Stream"},
	{"clusterName", "AWS::ECS::Cluster"},
	{"repositoryName", "AWS::ECR::Repository"},
	{"logGroupName", "AWS::Logs::LogGroup"},
	{"trailName", "AWS::CloudTrail::Trail"},
	{"stackName", "AWS::CloudFormation::Stack"},
	{"resourceArn", ""},
	{"name", ""},
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
	return res
}

// read sets the fields of the resource.
func (c *resource) read(el *formats.Element) {
	c.shape.Select(el, el.FirstItem(el.At(c.list)))
	if arn := el.FirstText(c.shape.At(resourceARN), c.shape.At(resourceARNLower)); arn != "" {
		el.SetText(schema.ResourceID, arn)
		el.CopyText(schema.ResourceType, c.shape.At(resourceType))
		el.CopyText(schema.ResourceName, c.shape.At(resourceName))
		return
	}
	if bucket := el.Text(el.At(c.bucket)); bucket != "" {
		c.object(el, bucket, el.Text(el.At(c.key)))
		return
	}
	for i, place := range c.parameters {
		text := el.Text(el.At(place))
		if text == "" {
			continue
		}
		el.SetText(schema.ResourceID, text)
		el.SetText(schema.ResourceType, parameters[i].kind)
		if !strings.HasPrefix(text, "arn:") {
			el.SetText(schema.ResourceName, text)
		}
		return
	}
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
