package maxmind

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"testing"
)

// network is one row of a test's file. A value in the map is a string, a uint32 or another map.
type network struct {
	prefix string
	value  map[string]any
}

// database returns a file in MaxMind's format, version 2: an IPv6 tree with records of 24 bits and with IPv4 below ::/96.
func database(t testing.TB, rows ...network) []byte {
	t.Helper()
	const empty = -1
	nodes := [][2]int{{empty, empty}} // v >= 0: a node; v <= -2: data at -v-2
	var data []byte
	for _, row := range rows {
		at := -len(data) - 2
		data = appendValue(t, data, row.value)
		p := netip.MustParsePrefix(row.prefix)
		bits, ip := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() {
			four := p.Addr().As4()
			ip, bits = [16]byte{12: four[0], 13: four[1], 14: four[2], 15: four[3]}, bits+96
		}
		node := 0
		for i := range bits {
			bit := int(ip[i/8] >> (7 - i%8) & 1)
			if i == bits-1 {
				nodes[node][bit] = at
				break
			}
			if nodes[node][bit] < 0 {
				nodes = append(nodes, [2]int{empty, empty})
				nodes[node][bit] = len(nodes) - 1
			}
			node = nodes[node][bit]
		}
	}
	var out []byte
	for _, n := range nodes {
		for _, v := range n {
			switch {
			case v == empty:
				v = len(nodes)
			case v < 0:
				v = len(nodes) + 16 - v - 2
			}
			out = append(out, byte(v>>16), byte(v>>8), byte(v))
		}
	}
	out = append(append(out, make([]byte, 16)...), data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return appendValue(t, out, map[string]any{
		"node_count": uint32(len(nodes)), "record_size": uint32(24), "ip_version": uint32(6), "database_type": "test",
		"binary_format_major_version": uint32(2), "binary_format_minor_version": uint32(0), "build_epoch": uint32(1),
	})
}

// appendValue appends the encoding of v to dst.
func appendValue(t testing.TB, dst []byte, v any) []byte {
	t.Helper()
	const text, number, mapping, short = 2, 6, 7, 29
	switch v := v.(type) {
	case string:
		if len(v) >= short {
			t.Fatalf("%q is too long for this writer", v)
		}
		return append(append(dst, text<<5|byte(len(v))), v...)
	case uint32:
		return binary.BigEndian.AppendUint32(append(dst, number<<5|4), v)
	case map[string]any:
		dst = append(dst, mapping<<5|byte(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			value := v[key]
			dst = appendValue(t, appendValue(t, dst, key), value)
		}
		return dst
	}
	t.Fatalf("%v cannot be written", v)
	return nil
}
