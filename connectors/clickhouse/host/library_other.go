//go:build !(linux && amd64)

package host

import (
	"fmt"
	"runtime"
)

func runLibrary(path string, args []string) error { return supported() }

// program returns the program that runs the engine.
func program() (string, error) { return "", supported() }

// supported returns an error if the engine does not run on this platform.
func supported() error {
	return fmt.Errorf("run engine: it does not exist for %s/%s, only for Linux on x64 with glibc: "+
		"use a ClickHouse server (--clickhouse DSN)", runtime.GOOS, runtime.GOARCH)
}
