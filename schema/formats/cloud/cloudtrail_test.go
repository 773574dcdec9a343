package cloud

import (
	"testing"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

func TestRoleOfSession(t *testing.T) {
	el := formats.NewElement(formats.Setup{}, new(formats.Paths))
	for arn, want := range map[string][2]string{
		"arn:aws:sts::111122223333:assumed-role/rag-agent/session-1": {"arn:aws:iam::111122223333:role/rag-agent", "session-1"},
		"arn:aws-us-gov:sts::1:assumed-role/r/a/b":                   {"arn:aws-us-gov:iam::1:role/r/a", "b"},
		"arn:aws:sts::1:federated-user/bob":                          {"", "bob"},
		"arn:aws:iam::1:role/r":                                      {"", ""},
		"arn:aws:iam::1:user/u":                                      {"", ""},
		"arn:aws:sts::1:assumed-role/no-session":                     {"", ""},
		"":                                                           {"", ""},
		":assumed-role//":                                            {":iam::role/", ""},
		"arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_0123/jane@x.y": {"arn:aws:iam::1:role/AWSReservedSSO_Admin_0123", "jane@x.y"},
	} {
		if got := [2]string{formats.RoleOfSession(el, arn), formats.SessionName(arn)}; got != want {
			t.Errorf("%q: got %q, want %q", arn, got, want)
		}
	}
}

func TestOperationType(t *testing.T) {
	node := func(text string) formats.Node {
		v, err := scan.Valid(text)
		if err != nil {
			t.Fatal(err)
		}
		return formats.Node{Src: text, Span: v}
	}
	for _, c := range []struct{ name, readOnly, want string }{
		{"GetObject", "true", "read"}, {"GetObject", "null", "read"}, {"GetSecretValue", `"true"`, "read"}, {"AssumeRole", "true", "read"},
		{"CreateUser", "false", "create"}, {"RunInstances", "null", "create"}, {"CreateFunction20150331", "false", "create"},
		{"DeleteTrail", "false", "delete"}, {"TerminateInstances", "false", "delete"}, {"DeregisterImage", "null", "delete"},
		{"PutBucketPolicy", "false", "update"}, {"StopLogging", "false", "update"}, {"AttachUserPolicy", "null", "update"},
		{"GetFederationToken", "false", "update"},
		{"BatchGetSecretValue", "null", "read"}, {"BatchDeleteImage", "null", "delete"}, {"AdminCreateUser", "false", "create"},
		{"", "null", ""}, {"lowercase", "false", "update"},
	} {
		if got := operationType(c.name, node(c.readOnly)); got != c.want {
			t.Errorf("%s, readOnly %s: got %q, want %q", c.name, c.readOnly, got, c.want)
		}
	}
}

func TestServiceOf(t *testing.T) {
	for source, want := range map[string]string{
		"s3.amazonaws.com": "s3", "ec2.amazonaws.com.cn": "ec2", "bedrock-runtime.amazonaws.com": "bedrock-runtime", "custom": "custom", "": "",
	} {
		if got := serviceOf(source); got != want {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	}
}
