package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// resource is what a CloudTrail event acted on: the first of its resources, else what the request names.
type resource struct {
	list        int
	shape       *formats.Shape
	bucket, key int
	model       int
	parameters  [len(parameters)]int
}

// Places of the shape of one resource.
const (
	resourceARN = iota
	resourceARNLower
	resourceType
	resourceName
)

// parameter is a request parameter that names a resource.
type parameter struct {
	key  string
	kind string // type as CloudFormation calls it
}

// parameters are looked at in this order: what is more exact comes first.
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
		shape:  formats.NewShape([]string{"ARN"}, []string{"arn"}, []string{"type"}, []string{"resourceName"}),
		bucket: at("bucketName"), key: at("key"), model: at("modelId"),
	}
	for i, param := range parameters {
		res.parameters[i] = at(param.key)
	}
	return res
}

func (c *resource) read(r *formats.Record) {
	c.shape.Select(r, r.First(r.At(c.list)))
	if arn := r.FirstText(c.shape.At(resourceARN), c.shape.At(resourceARNLower)); arn != "" {
		r.Put(schema.ResourceID, arn)
		r.SetText(schema.ResourceType, c.shape.At(resourceType))
		r.SetText(schema.ResourceName, c.shape.At(resourceName))
		return
	}
	if bucket := r.Text(r.At(c.bucket)); bucket != "" {
		c.object(r, bucket, r.Text(r.At(c.key)))
		return
	}
	for i, place := range c.parameters {
		text := r.Text(r.At(place))
		if text == "" {
			continue
		}
		r.Put(schema.ResourceID, text)
		r.Put(schema.ResourceType, parameters[i].kind)
		if !strings.HasPrefix(text, "arn:") {
			r.Put(schema.ResourceName, text)
		}
		return
	}
}

// object is an S3 bucket, or an object in one.
func (c *resource) object(r *formats.Record, bucket, key string) {
	if key == "" {
		r.Put(schema.ResourceID, r.Arena.Concat("arn:aws:s3:::", bucket))
		r.Put(schema.ResourceType, "AWS::S3::Bucket")
		r.Put(schema.ResourceName, bucket)
		return
	}
	r.Put(schema.ResourceID, r.Arena.Concat("arn:aws:s3:::", bucket, "/", key))
	r.Put(schema.ResourceType, "AWS::S3::Object")
	r.Put(schema.ResourceName, r.Arena.Concat(bucket, "/", key))
}
