package producers

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testCaddy(t *testing.T, k *shipping) {
	path := program(t, "caddy", "AIDR_CADDY", "caddy")
	version(t, path, "version")
	dir, listen, listenTLS := t.TempDir(), freeAddr(t), freeAddr(t)
	client := certificates(t, dir)
	settings := strings.NewReplacer("/var/log/caddy/", dir+"/", "/etc/caddy/", dir+"/").Replace(documented(t, caddyPage, "{client_id}"))
	file := configure(t, dir, "Caddyfile", map[string]string{
		"DOCUMENTED": settings, "LISTEN": listen, "PORT": port(t, listen), "PORT_TLS": port(t, listenTLS), "DIR": dir, "BACKEND": startBackend(t), "GONE": freeAddr(t),
	})
	var keys strings.Builder
	for _, a := range []agent{billing, research} {
		keys.WriteString(`"Bearer ` + a.key + `" ` + a.name + " " + a.hash() + "\n")
	}
	write(t, dir, "agents", keys.String())
	s := launch(t, dir, nil, path, "run", "--config", file, "--adapter", "caddyfile")
	s.listening(listen)
	sent := calls()
	for _, c := range sent {
		c.send(t, listen)
	}
	mutual := certified(client, "billing-agent")
	mutual.send(t, listenTLS)
	sent = append(sent, mutual)
	sendNoise(t, listen)
	s.stop()
	events := through(t, k, "caddy", logged(t, filepath.Join(dir, "access.log")))
	shown := func(text string) string { return strings.ReplaceAll(text, "\xe4\xf6", "\uFFFD\uFFFD") }
	checkCalls(t, abilities{dataset: "caddy.access", unit: time.Millisecond, hash: true, session: true, shown: shown}, sent, events)
}
