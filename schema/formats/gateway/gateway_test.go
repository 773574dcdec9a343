package gateway

import "testing"

func TestOperationOf(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/chat/completions": "chat", "/v1/messages": "chat", "": "chat", "/v1/embeddings?x=1": "embeddings",
		"/v1/completions": "text_completion", "https://h/v1/completions": "text_completion",
	} {
		if got := operationOf(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func TestHasFlag(t *testing.T) {
	for flags, want := range map[string]bool{"UAEX": true, "DC,UAEX": true, "UAEX,DC": true, "UAEXX": false, "": false, "UF,URX": false, ",": false} {
		if got := hasFlag(flags, "UAEX"); got != want {
			t.Errorf("%q: got %v, want %v", flags, got, want)
		}
	}
}

func TestIsPlugin(t *testing.T) {
	for name, want := range map[string]bool{
		"proxy": true, "ai-proxy-advanced": true, "my-instance": true, "mcp": false, "sanitizer": false, "payload": false,
	} {
		if got := isPlugin(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
