//go:build !linux

package doctor

// freeBytes is known on Linux only.
func freeBytes(string) (free uint64, ok bool) { return 0, false }

// clockSynchronised is known on Linux only.
func clockSynchronised() (synchronised, known bool) { return false, false }
