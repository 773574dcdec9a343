package webhook

import "embed"

//go:embed schemas/*.json
var schemas embed.FS

// Schema returns the JSON Schema (draft 2020-12) of the bodies of a format. ok is false for FormatTemplate, whose bodies are the
// operator's, and for an unknown format.
func Schema(f Format) (schema []byte, ok bool) {
	if f == "" {
		f = FormatAIDR
	}
	b, err := schemas.ReadFile("schemas/" + string(f) + ".json")
	return b, err == nil
}
