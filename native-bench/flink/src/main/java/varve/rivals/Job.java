package varve.rivals;
final class Job implements Subject {
    Job(org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode r) {}
    public Object call(String op, org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode r) { return null; }
    public void close() {}
}
