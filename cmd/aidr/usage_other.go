//go:build !unix

package main

import "time"

// processUsage returns 0, 0: this system does not report it.
func processUsage() (cpu time.Duration, peak int64) { return 0, 0 }
