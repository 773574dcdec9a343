import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** Measures a rule engine with the rules and the log that AIDR's benchmarks write. See benchmarks/README.md. */
abstract class Peer {
    /** Loads rules, one a line. */
    abstract void load(List<String> rules) throws Exception;

    /** Returns the number of rules that match a record. */
    abstract int matches(String record) throws Exception;

    /**
     * Matches every record once, which warms up and counts, then measures passes over the log for at least PEER_SECONDS
     * (default: 2) of CPU time, after four times as long that warms up the compiler, and prints one line of JSON.
     */
    void measure(String name, String[] args) throws Exception {
        List<String> rules = Files.readAllLines(Path.of(args[0]));
        List<String> records = Files.readAllLines(Path.of(args[1]));
        double least = Double.parseDouble(System.getenv().getOrDefault("PEER_SECONDS", "2"));
        double began = cpu();
        load(rules);
        double loading = cpu() - began;
        began = cpu();
        int matches = pass(records);
        while (cpu() - began < 4 * least) {
            pass(records);
        }
        long events = 0;
        double seconds = 0;
        for (began = cpu(); events == 0 || seconds < least; seconds = cpu() - began) {
            if (pass(records) != matches) {
                throw new IllegalStateException("a pass has other matches than the first");
            }
            events += records.size();
        }
        System.out.printf(Locale.ROOT,
            "{\"engine\":\"%s\",\"rules\":%d,\"records\":%d,\"matches\":%d,\"events\":%d,\"cpu_seconds\":%.4f,\"load_seconds\":%.3f}%n",
            name, rules.size(), records.size(), matches, events, seconds, loading);
        System.exit(0);
    }

    private int pass(List<String> records) throws Exception {
        int n = 0;
        for (String record : records) {
            n += matches(record);
        }
        return n;
    }

    /** Returns the CPU time of all threads of this process, in seconds. */
    private static double cpu() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }
}
