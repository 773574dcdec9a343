package library_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// record is one record of a log, as a tree of JSON.
type record map[string]any

// week makes the records of a week of ordinary administration.
type week struct {
	*rand.Rand
	at      time.Time
	lines   []string
	times   []schema.Instant
	persons []string
}

const weekAccount = "111122223333"

// add adds a record at the current time, which it advances by some seconds.
func (w *week) add(r record) {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	w.lines, w.times = append(w.lines, string(b)), append(w.times, schema.InstantOf(w.at))
	w.at = w.at.Add(time.Duration(1+w.IntN(9)) * time.Second)
}

func (w *week) id() string { return fmt.Sprintf("week-%d", len(w.lines)) }

func (w *week) instant() string { return w.at.Format("2006-01-02T15:04:05.000Z") }

// aws adds calls of a role, each with its parameters as JSON: "iam:CreateUser", `{"userName":"x"}`.
func (w *week) aws(role, session string, calls ...string) {
	address := "203.0.113.10"
	if role == "ci-deploy" {
		address = "20.1.2.3" // not that of GCP's builder: cloud.secrets-two-clouds asks for an exception of an address that reads both
	}
	for i := 0; i+1 < len(calls); i += 2 {
		service, name, _ := strings.Cut(calls[i], ":")
		w.add(record{
			"eventVersion": "1.08", "eventTime": w.at.Format(time.RFC3339), "eventID": w.id(), "eventSource": service + ".amazonaws.com", "eventName": name,
			"awsRegion": "eu-west-1", "sourceIPAddress": address, "userAgent": "aws-cli/2.15", "recipientAccountId": weekAccount, "eventType": "AwsApiCall",
			"readOnly": strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Describe"),
			"userIdentity": record{
				"type": "AssumedRole", "principalId": "AROA" + role + ":" + session, "accountId": weekAccount, "accessKeyId": "ASIA" + strings.ToUpper(role),
				"arn":            "arn:aws:sts::" + weekAccount + ":assumed-role/" + role + "/" + session,
				"sessionContext": record{"sessionIssuer": record{"type": "Role", "arn": "arn:aws:iam::" + weekAccount + ":role/" + role, "userName": role}},
			},
			"requestParameters": json.RawMessage(calls[i+1]),
		})
	}
}

func (w *week) okta(person, target string, kinds ...string) {
	for _, k := range kinds {
		w.add(record{
			"uuid": w.id(), "published": w.instant(), "eventType": k, "displayMessage": k, "outcome": record{"result": "SUCCESS"},
			"actor":  record{"id": "00u" + person, "type": "User", "displayName": person, "alternateId": person + "@example.org"},
			"client": record{"ipAddress": "203.0.113.10"}, "target": []record{{"id": "00u" + target, "type": "User", "alternateId": target + "@example.org"}},
		})
	}
}

func (w *week) github(person, repo string, actions ...string) {
	for _, a := range actions {
		w.add(record{"_document_id": w.id(), "@timestamp": w.at.UnixMilli(), "created_at": w.at.UnixMilli(), "action": a, "actor": person, "org": "example",
			"repo": "example/" + repo, "actor_ip": "203.0.113.10"})
	}
}

// kubernetes adds requests of a user: "patch deployments".
func (w *week) kubernetes(user, namespace string, requests ...string) {
	for _, r := range requests {
		verb, resource, _ := strings.Cut(r, " ")
		w.add(record{
			"kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": w.id(), "stage": "ResponseComplete", "level": "Metadata", "verb": verb,
			"user": record{"username": user, "groups": []string{"system:authenticated"}}, "sourceIPs": []string{"203.0.113.10"}, "userAgent": "kubectl/v1.30",
			"objectRef":      record{"resource": resource, "namespace": namespace, "name": "web", "apiVersion": "v1"},
			"responseStatus": record{"code": 200}, "requestReceivedTimestamp": w.instant(), "stageTimestamp": w.instant(),
		})
	}
}

// gcp adds calls of a principal: "run.googleapis.com", "google.cloud.run.v2.Services.UpdateService".
func (w *week) gcp(principal string, calls ...string) {
	for i := 0; i+1 < len(calls); i += 2 {
		w.add(record{
			"insertId": w.id(), "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": w.instant(), "resource": record{"type": "project"},
			"protoPayload": record{
				"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": calls[i], "methodName": calls[i+1], "resourceName": "projects/p/x",
				"authenticationInfo": record{"principalEmail": principal}, "requestMetadata": record{"callerIp": "203.0.113.10"},
			},
		})
	}
}

func (w *week) azure(person string, operations ...string) {
	for _, o := range operations {
		w.add(record{
			"time": w.instant(), "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.WEB/SITES/WEB", "operationName": o, "category": "Administrative",
			"resultType": "Success", "callerIpAddress": "203.0.113.10", "correlationId": w.id(), "tenantId": "t",
			"identity": record{"claims": record{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": person + "@example.org"}},
		})
	}
}

// pipeline is a deployment, which reads the same few secrets each time.
func (w *week) pipeline() {
	run := fmt.Sprint("run", len(w.lines))
	w.github("deploy-bot", "web", "workflows.created_workflow_run")
	w.aws("ci-deploy", run, "secretsmanager:GetSecretValue", `{"secretId":"prod/db"}`, "secretsmanager:GetSecretValue", `{"secretId":"prod/tls"}`,
		"ecs:RegisterTaskDefinition", `{"family":"web"}`, "ecs:UpdateService", `{"service":"web"}`,
		"lambda:UpdateFunctionCode20150331v2", `{"functionName":"resize"}`)
	w.kubernetes("system:serviceaccount:ci:deployer", "apps", "patch deployments", "get secrets")
	w.gcp("ci@p.iam.gserviceaccount.com", "run.googleapis.com", "google.cloud.run.v2.Services.UpdateService",
		"secretmanager.googleapis.com", "google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion")
	w.azure("ci", "MICROSOFT.WEB/SITES/PUBLISH/ACTION")
}

// task is one piece of work of an administrator.
func (w *week) task() {
	p := w.persons[w.IntN(len(w.persons))]
	fresh := fmt.Sprint("new", len(w.lines))
	w.okta(p, p, "user.session.start")
	switch w.IntN(9) {
	case 0: // a new colleague
		w.okta(p, fresh, "user.lifecycle.create", "group.user_membership.add")
		w.aws("admin", p, "iam:CreateUser", `{"userName":"`+fresh+`"}`, "iam:AddUserToGroup", `{"userName":"`+fresh+`","groupName":"developers"}`)
		w.github(p, "web", "org.invite_member")
	case 1: // keys are rotated
		w.aws("admin", p, "iam:ListAccessKeys", `{"userName":"backup"}`, "iam:CreateAccessKey", `{"userName":"backup"}`,
			"iam:UpdateAccessKey", `{"userName":"backup","accessKeyId":"AKIAOLD","status":"Inactive"}`,
			"iam:DeleteAccessKey", `{"userName":"backup","accessKeyId":"AKIAOLD"}`, "secretsmanager:RotateSecret", `{"secretId":"prod/db"}`)
	case 2: // a trail is edited and records as much as before
		w.aws("admin", p, "cloudtrail:UpdateTrail", `{"name":"main","isMultiRegionTrail":true,"enableLogFileValidation":true}`,
			"cloudtrail:PutEventSelectors", `{"trailName":"main","eventSelectors":[{"readWriteType":"All","includeManagementEvents":true}]}`)
	case 3: // a machine comes, a port is opened within the network, the machine goes
		w.aws("admin", p, "ec2:DescribeInstances", `{}`, "ec2:RunInstances", `{"instanceType":"t3.small"}`, "ec2:AuthorizeSecurityGroupIngress",
			`{"groupId":"sg-1","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":443,"toPort":443,"ipRanges":{"items":[{"cidrIp":"10.0.0.0/8"}]}}]}}`,
			"ec2:TerminateInstances", `{"instancesSet":{"items":[{"instanceId":"i-1"}]}}`)
	case 4:
		w.kubernetes(p+"@example.org", fresh, "create namespaces", "create rolebindings", "create secrets", "delete pods")
	case 5:
		w.github(p, fresh, "repo.create", "protected_branch.create", "team.add_repository", "org_credential_authorization.grant")
	case 6:
		w.gcp(p+"@example.org", "iam.googleapis.com", "google.iam.admin.v1.CreateServiceAccount", "iam.googleapis.com", "google.iam.admin.v1.CreateServiceAccountKey",
			"iam.googleapis.com", "google.iam.admin.v1.DeleteServiceAccountKey", "storage.googleapis.com", "storage.buckets.create")
	case 7:
		w.azure(p, "MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE", "MICROSOFT.STORAGE/STORAGEACCOUNTS/WRITE", "MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/WRITE")
	case 8:
		w.aws("admin", p, "rds:CreateDBSnapshot", `{"dBSnapshotIdentifier":"s"}`, "rds:DeleteDBSnapshot", `{"dBSnapshotIdentifier":"old"}`, "s3:PutBucketPolicy",
			`{"bucketName":"prod","bucketPolicy":{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+weekAccount+`:role/reader"},"Action":"s3:GetObject"}]}}`,
			"iam:ListUsers", `{}`, "sts:GetCallerIdentity", `{}`)
	}
}

// TestOrdinaryWeekIsSilent replays generated weeks of administration: users are created, keys are rotated, secrets are read in
// pipelines, services are deployed, trails are edited. No finding may be high.
func TestOrdinaryWeekIsSilent(t *testing.T) {
	for seed := range uint64(3) {
		w := &week{Rand: rand.New(rand.NewPCG(seed, 1)), persons: []string{"ann", "bob", "cleo"}}
		monday := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		for hour := range 7 * 24 {
			w.at = monday.Add(time.Duration(hour)*time.Hour + time.Duration(w.IntN(30))*time.Minute)
			w.pipeline()
			if day, of := hour/24, hour%24; day < 5 && of >= 8 && of < 18 {
				w.task()
			}
		}
		found := replay(t, w.lines, w.times)
		silent(t, fmt.Sprintf("week %d of %d records", seed, len(w.lines)), found)
	}
}

// TestTerraformIsSilent replays what Terraform did in a real account.
func TestTerraformIsSilent(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples(t), "aws_cloudtrail", "invictus", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var lines []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var log struct{ Records []json.RawMessage }
		if err := json.Unmarshal(text, &log); err != nil {
			t.Fatal(err)
		}
		for _, r := range log.Records {
			var agent struct{ UserAgent string }
			if err := json.Unmarshal(r, &agent); err == nil && strings.Contains(agent.UserAgent, "Terraform") {
				lines = append(lines, string(r))
			}
		}
	}
	if len(lines) < 300 {
		t.Fatalf("%d events of Terraform, want 300", len(lines))
	}
	silent(t, fmt.Sprintf("%d events of Terraform", len(lines)), replay(t, lines, nil))
}

// replay returns the findings of the library about records of any format.
func replay(t *testing.T, lines []string, times []schema.Instant) []*schema.Finding {
	t.Helper()
	set, _ := rules.LoadFS(rules.Options{}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	delays := map[string]time.Duration{}
	for _, f := range decode.Formats() {
		for _, ds := range f.Datasets {
			delays[ds] = 100 * 365 * 24 * time.Hour // no record is late
		}
	}
	src := &memory.Source{Named: "week", Partitions: []memory.Partition{{Partition: connectors.Partition{Source: "week", Topic: "week"}, Records: lines, Times: times}}}
	opts := engine.Options{Set: set, Inputs: []engine.Input{{Source: src, Delays: delays}}, Shards: 1, Workers: 1}
	found, err := engine.Replay(t.Context(), opts, 0)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// silent reports findings of high severity, and logs how many others there are.
func silent(t *testing.T, what string, found []*schema.Finding) {
	t.Helper()
	other := map[string]int{}
	for _, f := range found {
		if slices.Contains([]schema.Severity{schema.SeverityHigh, schema.SeverityCritical}, f.Severity) {
			t.Errorf("%s: a finding of %s: %s", what, f.RuleID, f.Summary)
			continue
		}
		other[f.RuleID]++
	}
	t.Logf("%s: %d findings below high: %v", what, len(found), other)
}
