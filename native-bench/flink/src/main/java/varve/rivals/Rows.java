package varve.rivals;
final class Rows implements Subject {
    Rows(org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode r) {}
    public Object call(String op, org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode r) { return null; }
    public void close() {}
}
