// Package deploy tests the files of cmd/aidr/deploy with the tools that read them: the chart with helm and the schemas of
// Kubernetes, the unit with systemd, the alerts with promtool, the dashboards against the metrics that aidr has. It also
// generates the dashboards.
//
// A tool that is not here skips its test with the reason, unless AIDR_TEST_REQUIRE names deploy.
package deploy

import "path/filepath"

// Folder is the folder of the deployment files, seen from this package.
var Folder = filepath.Join("..", "..", "aidr", "deploy")
