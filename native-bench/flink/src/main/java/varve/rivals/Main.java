package varve.rivals;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * Answers a line of JSON with a line of JSON: {"op":"open","subject":…} first, then what the subject
 * knows. An answer is {"value":…} or {"error":…}. Between two lines nothing runs but what the backend
 * does in the background.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        System.setOut(System.err); // Libraries print too.
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Subject subject = null;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> answer;
            try {
                JsonNode request = json.readTree(line);
                String op = request.get("op").asText();
                Object value = null;
                if (op.equals("open")) {
                    if (subject != null) subject.close();
                    subject = null;
                    subject = open(request);
                } else {
                    if (subject == null) throw new IllegalStateException("nothing was assigned yet");
                    value = subject.call(op, request);
                }
                answer = Collections.singletonMap("value", value);
            } catch (Throwable error) {
                error.printStackTrace();
                answer = Collections.singletonMap("error", String.valueOf(error));
            }
            answers.println(json.writeValueAsString(answer));
            answers.flush();
        }
        if (subject != null) subject.close();
        System.exit(0);
    }

    private static Subject open(JsonNode request) throws Exception {
        String name = request.get("subject").asText();
        switch (name) {
            case "operations":
                return new Operations(request);
            case "rows":
                return new Rows(request);
            case "job":
                return new Job(request);
            default:
                throw new IllegalArgumentException("no subject " + name);
        }
    }
}
