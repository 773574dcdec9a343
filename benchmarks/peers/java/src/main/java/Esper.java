import com.espertech.esper.common.client.configuration.Configuration;
import com.espertech.esper.compiler.client.CompilerArguments;
import com.espertech.esper.compiler.client.EPCompilerProvider;
import com.espertech.esper.runtime.client.EPEventService;
import com.espertech.esper.runtime.client.EPRuntime;
import com.espertech.esper.runtime.client.EPRuntimeProvider;
import com.espertech.esper.runtime.client.EPStatement;
import java.util.List;

/** Esper: `Esper RULES.txt LOG.jsonl`, one filter a line. */
final class Esper extends Peer {
    private static final String SCHEMA = "@public @buseventtype create json schema Identity("
        + "userName string, principalId string, accountId string, arn string);\n"
        + "@public @buseventtype create json schema Record(eventSource string, eventName string, awsRegion string, "
        + "sourceIPAddress string, userAgent string, errorCode string, userIdentity Identity);\n";

    private EPEventService service;
    private int found;

    @Override
    void load(List<String> rules) throws Exception {
        EPRuntime runtime = EPRuntimeProvider.getDefaultRuntime(new Configuration());
        CompilerArguments arguments = new CompilerArguments(new Configuration());
        var types = EPCompilerProvider.getCompiler().compile(SCHEMA, arguments);
        runtime.getDeploymentService().deploy(types);
        arguments.getPath().add(types);
        for (String rule : rules) {
            var compiled = EPCompilerProvider.getCompiler().compile("select 1 as one from Record(" + rule + ")", arguments);
            for (EPStatement statement : runtime.getDeploymentService().deploy(compiled).getStatements()) {
                statement.addListener((in, out, s, r) -> found += in.length);
            }
        }
        service = runtime.getEventService();
    }

    @Override
    int matches(String record) {
        found = 0;
        service.sendEventJson(record, "Record");
        return found;
    }

    public static void main(String[] args) throws Exception {
        new Esper().measure("Esper 8.9.0", args);
    }
}
