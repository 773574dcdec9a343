package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes the bill of materials of the program in CycloneDX 1.6: its modules with their versions and package URLs
// (https://github.com/package-url/purl-spec, type golang).
func (r *release) writeBill(info *debug.BuildInfo) error {
	bom := cyclonedx.NewBOM()
	bom.SpecVersion = cyclonedx.SpecVersion1_6
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: r.time.Format("2006-01-02T15:04:05Z"),
		Component: &cyclonedx.Component{
			BOMRef: purl(info.Main.Path, r.version), Type: cyclonedx.ComponentTypeApplication, Name: "aidr",
			Version: strings.TrimPrefix(r.version, "v"), PackageURL: purl(info.Main.Path, r.version),
			Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
		},
	}
	components := []cyclonedx.Component{{
		BOMRef: purl("std", strings.TrimPrefix(info.GoVersion, "go")), Type: cyclonedx.ComponentTypeLibrary, Name: "std",
		Version: strings.TrimPrefix(info.GoVersion, "go"), PackageURL: purl("std", strings.TrimPrefix(info.GoVersion, "go")),
	}}
	refs := []string{components[0].BOMRef}
	for _, m := range info.Deps {
		c := cyclonedx.Component{
			BOMRef: purl(m.Path, m.Version), Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version,
			PackageURL: purl(m.Path, m.Version),
		}
		if sum := moduleHash(m.Sum); sum != "" {
			// The h1 hash of go.sum is the SHA-256 of a list of files, not of an archive, so it is a property, not a hash.
			c.Properties = &[]cyclonedx.Property{{Name: "go:sum:h1", Value: sum}}
		}
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: bom.Metadata.Component.BOMRef, Dependencies: &refs}}
	var b bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&b, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return fmt.Errorf("bill of materials: %w", err)
	}
	return r.write(r.name("sbom.cdx.json"), b.Bytes())
}

// purl returns the package URL of a module.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// moduleHash returns the hash of go.sum, "h1:" and base64, in hexadecimal, or "" if there is no such hash.
func moduleHash(sum string) string {
	encoded, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return ""
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(b)
}

// provenance is a statement of in-toto (https://in-toto.io/Statement/v1) with the predicate of SLSA 1.0
// (https://slsa.dev/provenance/v1): from which commit, by which Go and with which settings the files were built. The workflow
// signs it.
type provenance struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]string `json:"externalParameters"`
			InternalParameters   map[string]string `json:"internalParameters"`
			ResolvedDependencies []subject         `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

// subject is a resource with its digests.
type subject struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// source is the address of the repository.
const source = "https://github.com/aidr-engine/aidr"

// writeProvenance writes the provenance of every file.
func (r *release) writeProvenance(info *debug.BuildInfo) error {
	p := provenance{Type: "https://in-toto.io/Statement/v1", PredicateType: "https://slsa.dev/provenance/v1"}
	for _, name := range r.files {
		sum, err := r.checksum(name)
		if err != nil {
			return err
		}
		p.Subject = append(p.Subject, subject{Name: name, Digest: map[string]string{"sha256": sum}})
	}
	d := &p.Predicate.BuildDefinition
	d.BuildType = source + "/blob/main/.ci/release"
	d.ExternalParameters = map[string]string{"repository": source, "version": r.version}
	d.InternalParameters = map[string]string{"go": info.GoVersion}
	for _, s := range info.Settings {
		if !strings.HasPrefix(s.Key, "vcs") && s.Key != "GOOS" && s.Key != "GOARCH" && s.Key != "GOAMD64" {
			d.InternalParameters[s.Key] = s.Value
		}
	}
	d.ResolvedDependencies = []subject{{URI: "git+" + source, Digest: map[string]string{"gitCommit": r.commit}}}
	p.Predicate.RunDetails.Builder.ID = source + "/blob/main/.github/workflows/release.yml"
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return r.write(r.name("provenance.intoto.json"), append(b, '\n'))
}
