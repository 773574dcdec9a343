package conntest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// kafkaVersion is the version in pom.xml. It is part of the name of the cache folder.
	kafkaVersion = "4.1.1"
	// kafkaStart is how long a broker may take to answer. A new one takes 2 s and one that was killed 6 s, because it
	// recovers its log and waits for its old session; a loaded machine needs more.
	kafkaStart = 90 * time.Second
	// kafkaStop is how long a broker may take to shut down.
	kafkaStop = 30 * time.Second
	// clusterID may be any UUID in base64.
	clusterID = "aidrconntestkafka00000"
)

//go:embed pom.xml
var kafkaPom []byte

// Kafka is an Apache Kafka broker in KRaft mode, alone in its cluster, with its data in a temporary folder. It keeps its
// port and its data across Stop, Kill and Restart.
type Kafka struct {
	Addr string // host:port
	// OAuth is the address of a second listener, without TLS, that takes unsecured JSON Web Tokens by OAUTHBEARER. It is
	// empty unless StartOAuthKafka started the broker.
	OAuth string

	tb     testing.TB
	libs   string
	dir    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

// Required reports whether a tool or data set (java, kafka, samples ...) must be present, so that a test fails instead of
// being skipped without it. AIDR_TEST_REQUIRE lists the names, separated by commas.
func Required(dependency string) bool {
	for _, name := range strings.Split(os.Getenv("AIDR_TEST_REQUIRE"), ",") {
		if strings.TrimSpace(name) == dependency {
			return true
		}
	}
	return false
}

// Missing skips the test because a dependency is missing, or fails it if the dependency is Required.
func Missing(tb testing.TB, dependency, reason string) {
	tb.Helper()
	if Required(dependency) {
		tb.Fatalf("%s is required (AIDR_TEST_REQUIRE): %s", dependency, reason)
	}
	tb.Skipf("%s: set AIDR_TEST_REQUIRE=%s to make this a failure", reason, dependency)
}

// StartKafka starts a broker that runs as long as the test. It takes 3 s and 330 MB; the first time it also downloads
// 43 MB with Maven into the user's cache folder. If java or mvn is missing, the test is skipped.
func StartKafka(tb testing.TB) *Kafka {
	tb.Helper()
	return startKafka(tb, false)
}

// StartOAuthKafka is StartKafka with the listener OAuth.
func StartOAuthKafka(tb testing.TB) *Kafka {
	tb.Helper()
	return startKafka(tb, true)
}

func startKafka(tb testing.TB, oauth bool) *Kafka {
	tb.Helper()
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			Missing(tb, "kafka", fmt.Sprintf("no Kafka broker without %s", program))
		}
	}
	libs, err := kafkaLibs()
	if err != nil {
		Missing(tb, "kafka", fmt.Sprintf("fetch Kafka %s: %v", kafkaVersion, err))
	}
	k := &Kafka{tb: tb, libs: libs, dir: tb.TempDir()}
	tb.Cleanup(func() {
		k.Kill()
		if tb.Failed() {
			tb.Logf("end of the broker's log:\n%s", k.logTail())
		}
	})
	if err := k.create(oauth); err != nil {
		tb.Fatalf("start Kafka: %v", err)
	}
	k.Restart()
	return k
}

// kafkaLibs returns the folder of the broker's jars, downloading them if they are not cached.
func kafkaLibs() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "aidr", "kafka-"+kafkaVersion)
	libs := filepath.Join(root, "libs")
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(root, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), kafkaPom, 0o644); err != nil {
		return "", err
	}
	mvn := exec.Command("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs")
	mvn.Dir = work
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mvn: %w: %s", err, out)
	}
	// Another test may have been faster; its folder is then used.
	if err := os.Rename(filepath.Join(work, "libs"), libs); err != nil {
		if _, there := os.Stat(libs); there != nil {
			return "", err
		}
	}
	return libs, nil
}

// oauthListener follows the configuration: the ports are those of the listeners PLAINTEXT, CONTROLLER and OAUTH. Keys that
// were set before are set again.
const oauthListener = `listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d,OAUTH://127.0.0.1:%[3]d
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d,OAUTH://127.0.0.1:%[3]d
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,OAUTH:SASL_PLAINTEXT
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.jaas.config=` +
	`org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
`

// create picks ports, writes the configuration and formats the data folder.
func (k *Kafka) create(oauth bool) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	k.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	properties := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,CONTROLLER://127.0.0.1:%[2]d
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%[3]s
num.partitions=3
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.backoff.ms=200
log.initial.task.delay.ms=100
`, ports[0], ports[1], filepath.ToSlash(filepath.Join(k.dir, "data")))
	if oauth {
		k.OAuth = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[2]))
		properties += fmt.Sprintf(oauthListener, ports[0], ports[1], ports[2])
	}
	if err := os.WriteFile(k.properties(), []byte(properties), 0o644); err != nil {
		return err
	}
	format := exec.Command("java", "-cp", filepath.Join(k.libs, "*"), "kafka.tools.StorageTool",
		"format", "-t", clusterID, "-c", k.properties())
	if out, err := format.CombinedOutput(); err != nil {
		return fmt.Errorf("format the data folder: %w: %s", err, out)
	}
	return nil
}

func (k *Kafka) properties() string { return filepath.Join(k.dir, "server.properties") }
func (k *Kafka) log() string        { return filepath.Join(k.dir, "server.log") }

// freePorts returns n ports of the loopback interface that are free at the moment.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// Restart starts the broker, which must not be running, and returns once it answers requests.
func (k *Kafka) Restart() {
	k.tb.Helper()
	log, err := os.OpenFile(k.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		k.tb.Fatalf("start Kafka: %v", err)
	}
	defer log.Close()
	cmd := exec.Command("java", "-Xmx512m", "-cp", filepath.Join(k.libs, "*"), "kafka.Kafka", k.properties())
	cmd.Dir, cmd.Stdout, cmd.Stderr = k.dir, log, log
	if err := cmd.Start(); err != nil {
		k.tb.Fatalf("start Kafka: %v", err)
	}
	k.cmd, k.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		cmd.Wait()
		close(exited)
	}(k.exited)
	if err := k.awaitAnswer(); err != nil {
		k.tb.Fatalf("start Kafka: %v", err)
	}
}

func (k *Kafka) awaitAnswer() error {
	deadline := time.After(kafkaStart)
	for {
		err := k.ping()
		if err == nil {
			return nil
		}
		select {
		case <-k.exited:
			return fmt.Errorf("broker exited: %s", k.logTail())
		case <-deadline:
			return fmt.Errorf("no answer after %v: %w", kafkaStart, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ping returns nil if the broker answers a request for the cluster's brokers.
func (k *Kafka) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := kafka.DialContext(ctx, "tcp", k.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	brokers, err := conn.Brokers()
	if err == nil && len(brokers) == 0 {
		err = errors.New("the cluster has no broker yet")
	}
	return err
}

// Stop shuts the broker down and waits for its end.
func (k *Kafka) Stop() {
	k.tb.Helper()
	if err := k.cmd.Process.Signal(os.Interrupt); err != nil {
		k.tb.Fatalf("stop Kafka: %v", err)
	}
	select {
	case <-k.exited:
	case <-time.After(kafkaStop):
		k.tb.Errorf("Kafka did not stop within %v: killed", kafkaStop)
		k.Kill()
	}
}

// Kill ends the broker immediately, as a power failure would. It does nothing if the broker is not running.
func (k *Kafka) Kill() {
	if k.cmd == nil || k.cmd.Process == nil {
		return
	}
	k.cmd.Process.Kill() // fails if the broker has already ended
	<-k.exited
}

// logTail returns the end of the broker's log.
func (k *Kafka) logTail() string {
	const maxTail = 4 << 10
	text, err := os.ReadFile(k.log())
	if err != nil {
		return err.Error()
	}
	if len(text) > maxTail {
		text = text[len(text)-maxTail:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	return string(text)
}
