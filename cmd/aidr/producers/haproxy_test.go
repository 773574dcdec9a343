package producers

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func testHAProxy(t *testing.T, k *shipping) {
	path := program(t, "haproxy", "AIDR_HAPROXY", "haproxy")
	version(t, path, "-v")
	dir, listen, listenTLS := t.TempDir(), freeAddr(t), freeAddr(t)
	client := certificates(t, dir)
	file := configure(t, dir, "haproxy.cfg", map[string]string{
		"GLOBAL":   documented(t, haproxyPage, "setenv"),
		"FRONTEND": strings.ReplaceAll(documented(t, haproxyPage, "log-format"), "/etc/haproxy/", dir+"/"),
		"LISTEN":   listen, "LISTEN_TLS": listenTLS, "DIR": dir, "BACKEND": startBackend(t), "GONE": freeAddr(t),
	})
	write(t, dir, "agents.map", billing.key+" "+billing.name+"\n"+research.key+" "+research.name+"\n")
	s := launch(t, dir, nil, path, "-db", "-f", file)
	s.listening(listen)
	sent := calls()
	for _, c := range sent {
		c.send(t, listen)
	}
	mutual := certified(client, "/CN=billing-agent")
	mutual.send(t, listenTLS)
	sent = append(sent, mutual)
	sendNoise(t, listen)
	s.stop()
	lines := strings.Split(strings.TrimSpace(s.stdout.String()), "\n")
	events := through(t, k, "haproxy", lines)
	checkCalls(t, abilities{
		dataset: "haproxy.access", unit: 2 * time.Millisecond, hash: true, arguments: true, session: true, shown: shownByHAProxy,
	}, sent, events)
}

// shownByHAProxy leaves out the bytes that are not UTF-8 and the letters beyond \uffff, because its converter json(utf8s) drops
// both, and cuts what is longer than the captures.
func shownByHAProxy(text string) string {
	const captured = 1000
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r > 0xffff {
			return -1
		}
		return r
	}, text[:min(len(text), captured)])
}
