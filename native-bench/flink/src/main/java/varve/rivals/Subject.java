package varve.rivals;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/** What answers the lines of one assignment. */
interface Subject extends AutoCloseable {
    /** A number, a map or null, as JSON. */
    Object call(String op, JsonNode request) throws Exception;
}
