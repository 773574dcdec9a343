package webhook

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	g := newGuard(nil)
	for _, a := range []string{
		"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200",
		"0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255",
		"192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "168.63.129.16", "192.88.99.1",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::1",
		"2002:7f00:1::1", "2002:a00:1::", "2001::1", "2001:db8::1", "100::1", "::ffff:0:127.0.0.1", "3fff::1", "5f00::1",
	} {
		if err := g.check(netip.MustParseAddr(a)); !errors.Is(err, errDenied) {
			t.Errorf("%s: got %v, want errDenied", a, err)
		}
	}
	if err := g.check(netip.Addr{}); !errors.Is(err, errDenied) {
		t.Errorf("the zero address: got %v, want errDenied", err)
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2a00:1450::1"} {
		if err := g.check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s: got %v, want it allowed", a, err)
		}
	}
}

func TestGuardAllows(t *testing.T) {
	f := func(network, address string, ok bool) {
		t.Helper()
		err := newGuard([]netip.Prefix{netip.MustParsePrefix(network)}).check(netip.MustParseAddr(address))
		if (err == nil) != ok {
			t.Errorf("network %s allowed, address %s: got %v, want allowed: %t", network, address, err, ok)
		}
	}
	f("127.0.0.0/8", "127.0.0.1", true)
	f("127.0.0.0/8", "::ffff:127.0.0.1", true)
	f("127.0.0.0/8", "::1", false)
	f("127.0.0.0/8", "10.0.0.1", false)
	f("127.0.0.1/8", "127.9.9.9", true) // bits after the prefix are ignored
	f("::ffff:10.1.0.0/112", "10.1.2.3", true)
	f("::ffff:10.1.0.0/112", "10.2.2.3", false)
	f("fd00::/8", "fd00::1", true)
	f("10.0.0.0/8", "169.254.169.254", false)
	f("64:ff9b::/96", "64:ff9b::7f00:1", true)
}

func TestGuardControl(t *testing.T) {
	g := newGuard(nil)
	for _, a := range []string{"127.0.0.1:80", "[::1]:80", "[fe80::1%lo]:80", "localhost:80", "", "127.0.0.1"} {
		if err := g.control(t.Context(), "tcp", a, nil); !errors.Is(err, errDenied) {
			t.Errorf("%q: got %v, want errDenied", a, err)
		}
	}
	if err := g.control(t.Context(), "tcp", "1.1.1.1:443", nil); err != nil {
		t.Error(err)
	}
}

// TestRefused checks which hosts are refused before they are resolved.
func TestRefused(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	f := func(refused bool, allow []netip.Prefix, hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			if err := Refused(host, allow); (err != nil) != refused {
				t.Errorf("%q with %v: got %v, want an error: %t", host, allow, err, refused)
			}
		}
	}
	f(true, nil, "localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.0.0.1.", "::1", "::ffff:127.0.0.1", "10.1.2.3",
		"169.254.169.254", "fe80::1%eth0", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "ip6-localhost", "0")
	f(false, nil, "soc.example.com", "1.1.1.1", "0x1.example", "2606:4700::1111", "16843009", "1_0.0.0.1", "0b1", "256.1.1.1", "1.2.3.4.5")
	f(false, loopback, "localhost", "127.0.0.1", "127.1", "2130706433")
	f(true, loopback, "::1", "10.1.2.3")
	f(false, []netip.Prefix{netip.MustParsePrefix("::1/128")}, "localhost", "::1")
}
