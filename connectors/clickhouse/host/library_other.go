//go:build !(linux && amd64) || noengine

package host

import (
	"fmt"
	"runtime"
)

func runLibrary(path string, args []string) error { return supported() }

// supported says why this platform has no engine; nil where it has one.
func supported() error {
	return fmt.Errorf("run engine: there is none in this program (%s/%s), only for Linux on x64 with glibc: use a ClickHouse server (--clickhouse DSN)", runtime.GOOS, runtime.GOARCH)
}
