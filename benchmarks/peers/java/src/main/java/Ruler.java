import java.util.List;
import software.amazon.event.ruler.Machine;

/** event-ruler: `Ruler RULES.jsonl LOG.jsonl`, one pattern a line. */
final class Ruler extends Peer {
    private final Machine machine = new Machine();

    @Override
    void load(List<String> rules) throws Exception {
        for (int i = 0; i < rules.size(); i++) {
            machine.addRule("r" + i, rules.get(i));
        }
    }

    @Override
    int matches(String record) throws Exception {
        return machine.rulesForJSONEvent(record).size();
    }

    public static void main(String[] args) throws Exception {
        new Ruler().measure("event-ruler 2.1.0", args);
    }
}
