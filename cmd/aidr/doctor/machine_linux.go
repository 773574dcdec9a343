package doctor

import "golang.org/x/sys/unix"

// freeBytes returns the bytes of the file system of dir that this user may fill.
func freeBytes(dir string) (free uint64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}

// clockSynchronised returns the state that NTP clients keep in the kernel.
func clockSynchronised() (synchronised, known bool) {
	var t unix.Timex // no modes: nothing is set
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, false
	}
	return t.Status&unix.STA_UNSYNC == 0, true
}
