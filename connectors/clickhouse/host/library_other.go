//go:build !(linux && amd64) || noengine

package host

import (
	"fmt"
	"runtime"
)

func runLibrary(path string, args []string) error { return supported() }

// supported returns an error if the engine does not run on this platform.
func supported() error {
	return fmt.Errorf("run engine: not included in this program (%s/%s), only for Linux on x64 with glibc: "+
		"use a ClickHouse server (--clickhouse DSN)", runtime.GOOS, runtime.GOARCH)
}
