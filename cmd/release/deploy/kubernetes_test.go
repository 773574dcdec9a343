package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubernetes is the version of the schemas, and schemas the module that holds them.
const (
	kubernetes = "1.36.0"
	schemas    = "k8s.io/kubernetes@v1.36.0"
)

// TestChart renders the chart with its defaults and with everything switched on, and validates each object strictly.
func TestChart(t *testing.T) {
	helm := tool(t, "helm", "go install helm.sh/helm/v3/cmd/helm@v3.22.0")
	chart := filepath.Join(Folder, "helm", "aidr")
	output(t, helm, "lint", "--strict", chart)
	for name, set := range map[string][]string{
		"defaults": nil,
		"all": {"replicas=2", "git.enabled=true", "git.repo=https://git.example.com/rules", "git.existingSecret=git", "git.username=aidr", "site.configMap=rules",
			"serviceMonitor.enabled=true", "serviceMonitor.labels.release=prometheus", "decisions.port=9443", "existingSecret=aidr",
			"persistence.storageClass=fast", "env[0].name=A", "env[0].value=b", "networkPolicy.egress[0].to[0].ipBlock.cidr=10.0.0.0/8",
			"priorityClassName=high", "serviceAccount.annotations.a=b", "podLabels.a=b", "podAnnotations.a=b", "nodeSelector.a=b",
			"imagePullSecrets[0].name=pull"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "site", chart, "--namespace", "aidr", "--kube-version", kubernetes}
			for _, s := range set {
				args = append(args, "--set-string", s)
			}
			validate(t, output(t, helm, typed(args)...))
		})
	}
}

// typed gives --set instead of --set-string to values that are not texts.
func typed(args []string) []string {
	for i := range args {
		if _, value, ok := strings.Cut(args[i], "="); ok && (value == "true" || strings.Trim(value, "0123456789") == "") {
			args[i-1] = "--set"
		}
	}
	return args
}

// TestChartRefusesWrongValues checks that the schema of the values catches common mistakes.
func TestChartRefusesWrongValues(t *testing.T) {
	helm := tool(t, "helm", "go install helm.sh/helm/v3/cmd/helm@v3.22.0")
	for _, set := range []string{"replicas=0", "replica=2", "config.http.listen=0.0.0.0:1", "config.state.dir=/data", "config.sources=null", "persistence.size=1", "git.branch=main"} {
		text, err := exec.Command(helm, "template", "site", filepath.Join(Folder, "helm", "aidr"), "--kube-version", kubernetes, "--set", set).CombinedOutput()
		if err == nil {
			t.Errorf("--set %s: rendered, want an error", set)
		} else if !strings.Contains(string(text), "values") {
			t.Errorf("--set %s: %s: the error is not about values", set, text)
		}
	}
}

// TestManifests validates the plain manifests.
func TestManifests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(Folder, "kubernetes", "aidr.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	validate(t, string(text))
}

// validate checks objects with kubeconform against local schemas. The ServiceMonitor belongs to the operator of Prometheus, whose
// schema is not among them.
func validate(t *testing.T, manifests string) {
	t.Helper()
	kubeconform := tool(t, "kubeconform", "go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0")
	dir := writeSchemas(t)
	cmd := exec.Command(kubeconform, "-strict", "-summary", "-skip", "ServiceMonitor",
		"-schema-location", filepath.Join(dir, "{{ .ResourceKind }}{{ .KindSuffix }}.json"))
	cmd.Stdin = strings.NewReader(manifests)
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "Invalid: 0, Errors: 0") {
		t.Errorf("kubeconform: %v\n%s\n%s", err, text, manifests)
	}
	t.Logf("%s", text)
}

// writeSchemas writes a JSON Schema for each kind in the API of Kubernetes, and returns the folder.
func writeSchemas(t *testing.T) string {
	t.Helper()
	var m struct{ Dir string }
	if err := json.Unmarshal([]byte(output(t, "go", "mod", "download", "-json", schemas)), &m); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(m.Dir, "api", "openapi-spec", "swagger.json"))
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(text, &api); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{} // file name -> definition
	for name, d := range api.Definitions {
		if d["properties"] != nil && d["additionalProperties"] == nil {
			d["additionalProperties"] = false
		}
		if d["format"] == "int-or-string" {
			delete(d, "type")
			d["anyOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "integer"}}
		}
		if strings.HasSuffix(name, ".api.resource.Quantity") {
			delete(d, "type")
			d["anyOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "number"}}
		}
		list, _ := d["x-kubernetes-group-version-kind"].([]any)
		for _, v := range list {
			k, _ := v.(map[string]any)
			kind, _ := k["kind"].(string)
			group, _ := k["group"].(string)
			version, _ := k["version"].(string)
			if group, _, _ = strings.Cut(group, "."); group != "" {
				group = "-" + group
			}
			kinds[strings.ToLower(kind+group+"-"+version)] = name
		}
	}
	dir := t.TempDir()
	for file, name := range kinds {
		if !strings.HasSuffix(file, "-v1") {
			continue // the chart and the manifests use stable versions only
		}
		b, err := json.Marshal(map[string]any{"$ref": "#/definitions/" + name, "definitions": reachable(api.Definitions, name)})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file+".json"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// reachable returns a definition and those that it refers to, directly or not.
func reachable(all map[string]map[string]any, name string) map[string]map[string]any {
	found := map[string]map[string]any{}
	var visit func(v any)
	add := func(name string) {
		if _, ok := found[name]; !ok {
			found[name] = all[name]
			visit(all[name])
		}
	}
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				add(strings.TrimPrefix(ref, "#/definitions/"))
			}
			for _, e := range v {
				visit(e)
			}
		case []any:
			for _, e := range v {
				visit(e)
			}
		}
	}
	add(name)
	return found
}
