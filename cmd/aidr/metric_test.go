package main

import (
	"fmt"
	"strconv"
	"strings"
)

// metric returns the sum of a metric's samples whose labels contain all of with, such as `topic="a"`. ok reports whether
// such a sample exists.
func metric(addr, name string, with ...string) (sum float64, ok bool, err error) {
	body, code, err := get("http://" + addr + "/metrics")
	if err != nil || code != 200 {
		return 0, false, fmt.Errorf("/metrics: %d, %w", code, err)
	}
	for line := range strings.Lines(string(body)) {
		rest, is := strings.CutPrefix(strings.TrimSpace(line), name)
		end := strings.LastIndexByte(rest, ' ')
		if !is || end < 0 || end > 0 && rest[0] != '{' || !containsAll(rest[:end], with) {
			continue
		}
		v, err := strconv.ParseFloat(rest[end+1:], 64)
		if err != nil {
			return 0, false, fmt.Errorf("%s: %w", line, err)
		}
		sum, ok = sum+v, true
	}
	return sum, ok, nil
}

func containsAll(s string, all []string) bool {
	for _, x := range all {
		if !strings.Contains(s, x) {
			return false
		}
	}
	return true
}

// metricIs returns an error unless a metric has the given value.
func metricIs(addr string, want float64, name string, with ...string) error {
	got, ok, err := metric(addr, name, with...)
	if err == nil && (!ok || got != want) {
		err = fmt.Errorf("%s%v: got %v (there is one: %v), want %v", name, with, got, ok, want)
	}
	return err
}
