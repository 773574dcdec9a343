package cloud

import (
	"testing"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

func TestTypeOfOperation(t *testing.T) {
	for name, want := range map[string]string{
		"get": "read", "LIST": "read", "deletecollection": "delete", "patch": "update", "impersonate": "", "": "",
		"CreateServiceAccountKey": "create", "setIamPolicy": "update", "New-InboxRule": "create", "FileDownloaded": "read",
		"MailItemsAccessed": "read", "claude_file_deleted": "delete", "Add app role assignment": "create",
		"LISTKEYS": "", "listKeys": "read", "X": "", "a_very_long_word_that_is_no_verb": "",
		"\xff\xfe": "", "Deleted\u00e9": "delete",
	} {
		if got := typeOfOperation(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestTypeOfAction(t *testing.T) {
	for name, want := range map[string]string{
		"Microsoft.Storage/storageAccounts/listKeys/action": "read", "Microsoft.Compute/virtualMachines/write": "update",
		"action": "", "/action": "",
		"MICROSOFT.RESOURCES/DEPLOYMENTS/DELETE": "delete", "Delete conditional access policy": "delete", "GetBlob": "read", "": "",
	} {
		if got := typeOfAction(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestAzureResource(t *testing.T) {
	for id, want := range map[string][2]string{
		"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.STORAGE/STORAGEACCOUNTS/A": {
			"S1", "MICROSOFT.STORAGE/STORAGEACCOUNTS"},
		"/subscriptions/s/providers/Microsoft.X/a/b/providers/Microsoft.Insights/diagnosticSettings/d": {
			"s", "Microsoft.Insights/diagnosticSettings"},
		"/tenants/t/providers/Microsoft.aadiam": {"", "Microsoft.aadiam"},
		"/subscriptions/s/resourceGroups/rg":    {"s", ""},
		"/subscriptions":                        {"", ""},
		"/providers/":                           {"", ""},
		"":                                      {"", ""},
		"x":                                     {"", ""},
	} {
		if got := [2]string{segmentAfter(id, "subscriptions"), providerOf(id)}; got != want {
			t.Errorf("%q: got %q, want %q", id, got, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for text, want := range map[string]int64{
		"639028296015394150": 1767232801539415000, `"621355968000000000"`: 0, "621355968000000001": 100,
		"0": -1, "-5": -1, "9223372036854775807": -1, "1": -1, `"x"`: -1, "null": -1, "true": -1, "[]": -1,
	} {
		v, err := scan.Valid(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := ticks(formats.Node{Src: text, Span: v})
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%s: got %d %v, want %d", text, got, ok, want)
		}
	}
}

func TestSameWords(t *testing.T) {
	for _, c := range []struct {
		key, kind string
		want      bool
	}{
		{"api_key_created", "api_key.created", true}, {"api_key.created", "api_key.created", true},
		{"role_assignment_created", "role.assignment.created", true}, {"apixkeyxcreated", "api_key.created", false},
		{"actor", "login", false}, {"", "", true},
	} {
		if got := sameWords(c.key, c.kind); got != c.want {
			t.Errorf("%q %q: got %v", c.key, c.kind, got)
		}
	}
}

func TestOperations(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/chat/completions": "chat", "/v1/messages": "chat", "/openai/v1/responses": "chat", "/v1/embeddings": "embeddings",
		"/openai/deployments/d/completions": "text_completion",
		"/surveys/5/responses":              "", "/orders/5": "", "/completions/x": "", "": "",
	} {
		if got := operationOfPath(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
	for name, want := range map[string]string{
		"ChatCompletions_Create": "chat", "Completions_Create": "text_completion", "Embeddings_Create": "embeddings", "ListKey": "", "": "",
	} {
		if got := operationOfName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
