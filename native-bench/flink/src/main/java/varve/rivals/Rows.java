package varve.rivals;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.util.FileUtils;

/** Rows of incompressible bytes by number: cold read-modify-writes, checkpoints and restores. */
final class Rows implements Subject {
    private static final int BATCH_CALLS = 1_000;
    private static final int ROUNDS = 8;
    private static final int READS = 1_000;
    private static final long SETTLE_MS = 60_000;
    private static final int LAST_GROUP = Backend.KEY_GROUPS - 1;

    private final String kind;
    private final File directory;
    private final int keys;
    private final int valueBytes;
    private final long managedBytes;
    private final boolean ingest;
    private int[] draws;
    private Opened opened;
    private KeyedStateHandle whole;
    private final List<KeyedStateHandle> halves = new ArrayList<>();
    private int next;
    private int directories;

    /** A backend and its one state. */
    private static final class Opened implements AutoCloseable {
        final Backend<Long> backend;
        final ValueStateDescriptor<byte[]> descriptor =
                new ValueStateDescriptor<>("value", BytePrimitiveArraySerializer.INSTANCE);
        final ValueState<byte[]> state;
        final File working;

        Opened(Backend.Options options, KeyGroupRange range, Collection<KeyedStateHandle> handles)
                throws Exception {
            working = options.directory();
            backend = new Backend<>(options, LongSerializer.INSTANCE, range, handles);
            state = backend.state(descriptor);
        }

        @Override
        public void close() throws Exception {
            backend.close();
            FileUtils.deleteDirectoryQuietly(working);
        }
    }

    Rows(JsonNode request) throws Exception {
        kind = request.get("backend").asText();
        directory = new File(request.get("directory").asText());
        keys = request.get("keys").asInt();
        valueBytes = request.get("valueBytes").asInt();
        managedBytes = request.get("managedBytes").asLong();
        ingest = request.get("ingest").asBoolean();
    }

    private Opened open(KeyGroupRange range, Collection<KeyedStateHandle> handles) throws Exception {
        File working = new File(directory, "working-" + ++directories);
        File checkpoints = new File(directory, "checkpoints");
        return new Opened(
                new Backend.Options(kind, working, checkpoints, managedBytes, ingest), range, handles);
    }

    @Override
    public Object call(String op, JsonNode request) throws Exception {
        switch (op) {
            case "load":
                opened = open(KeyGroupRange.of(0, LAST_GROUP), Collections.emptyList());
                for (int key : keysByGroup()) put(key, 0);
                opened.backend.settle(SETTLE_MS);
                return keys;
            case "draws":
                draws = Sequences.numbersIn(request.get("path").asText());
                next = 0;
                return null;
            case "readModifyWrite":
                return readModifyWrite(request.get("calls").asInt());
            case "checksum":
                return checksum(request.get("every").asInt());
            case "prepare":
                return prepare();
            case "halve":
                return halve();
            case "restore":
                return restore(request.get("what").asText());
            default:
                throw new IllegalArgumentException("no op " + op);
        }
    }

    /** Group by group: an engine need not merge what comes in order. */
    private int[] keysByGroup() {
        int[] starts = new int[Backend.KEY_GROUPS + 1];
        for (int key = 0; key < keys; key++) starts[groupOf(key) + 1]++;
        for (int group = 0; group < Backend.KEY_GROUPS; group++) starts[group + 1] += starts[group];
        int[] ordered = new int[keys];
        for (int key = 0; key < keys; key++) ordered[starts[groupOf(key)]++] = key;
        return ordered;
    }

    private static int groupOf(int key) {
        return KeyGroupRangeAssignment.assignToKeyGroup((long) key, Backend.KEY_GROUPS);
    }

    private void put(int key, int version) throws Exception {
        byte[] value = new byte[valueBytes];
        Sequences.fillBytes(value, valueBytes, key, version);
        opened.backend.keyed.setCurrentKey((long) key);
        opened.state.update(value);
    }

    /** The first four bytes count. */
    private Map<String, Object> readModifyWrite(int calls) throws Exception {
        long start = System.nanoTime();
        for (int call = 0; call < calls; call++) {
            int key = draws[next];
            if (++next == draws.length) next = 0;
            opened.backend.keyed.setCurrentKey((long) key);
            byte[] value = opened.state.value();
            if (value == null) throw new IllegalStateException("key " + key + " is lost");
            increment(value);
            opened.state.update(value);
        }
        return Map.of("ops", calls, "millis", (System.nanoTime() - start) / 1e6);
    }

    private static void increment(byte[] value) {
        for (int i = 3; i >= 0; i--) {
            if (++value[i] != 0) return;
        }
    }

    private int checksum(int every) throws Exception {
        int folded = 0;
        for (int key = 0; key < keys; key += every) {
            opened.backend.keyed.setCurrentKey((long) key);
            folded = Sequences.fold(folded, opened.state.value(), valueBytes);
        }
        return folded;
    }

    /** The load, a base, and a checkpoint after each of eight times one percent. */
    private Map<String, Object> prepare() throws Exception {
        call("load", null);
        long id = 1;
        whole = opened.backend.checkpoint(id);
        if (kind.equals("rocksdb-changelog")) opened.backend.materialize();
        for (int round = 0; round < ROUNDS; round++) {
            for (int key = residueOf(round); key < keys; key += 100) put(key, round + 1);
            whole = opened.backend.checkpoint(++id);
        }
        opened.close();
        opened = null;
        return Map.of("stateBytes", whole.getStateSize());
    }

    private static int residueOf(int round) {
        return 37 * round % 100;
    }

    private static int versionOf(int key) {
        for (int round = 0; round < ROUNDS; round++) {
            if (key % 100 == residueOf(round)) return round + 1;
        }
        return 0;
    }

    private static KeyGroupRange rangeOf(int half) {
        int middle = Backend.KEY_GROUPS / 2;
        return half == 0 ? KeyGroupRange.of(0, middle - 1) : KeyGroupRange.of(middle, LAST_GROUP);
    }

    /** Checkpoints of two subtasks, compacted, to be merged. */
    private Object halve() throws Exception {
        for (int half = 0; half < 2; half++) {
            try (Opened task = open(rangeOf(half), List.of(whole))) {
                task.backend.compact(task.descriptor);
                halves.add(task.backend.checkpoint(100 + half));
            }
        }
        return null;
    }

    /** Until the backends are usable, a row is read, and a thousand more. */
    private Map<String, Object> restore(String what) throws Exception {
        List<Opened> tasks = new ArrayList<>();
        long start = System.nanoTime();
        double usableMs;
        double firstMs;
        if (what.equals("split")) {
            for (int half = 0; half < 2; half++) tasks.add(open(rangeOf(half), List.of(whole)));
        } else {
            tasks.add(open(KeyGroupRange.of(0, LAST_GROUP), what.equals("merge") ? halves : List.of(whole)));
        }
        usableMs = (System.nanoTime() - start) / 1e6;
        for (Opened task : tasks) verify(task, 1);
        firstMs = (System.nanoTime() - start) / 1e6;
        for (Opened task : tasks) verify(task, READS / tasks.size());
        double withReadsMs = (System.nanoTime() - start) / 1e6;
        for (Opened task : tasks) task.close();
        return Map.of("usableMs", usableMs, "firstMs", firstMs, "withReadsMs", withReadsMs);
    }

    private void verify(Opened task, int reads) throws Exception {
        byte[] expected = new byte[valueBytes];
        KeyGroupRange range = task.backend.keyed.getKeyGroupRange();
        int x = 49;
        for (int read = 0; read < reads; ) {
            x = Sequences.xorshift32(x);
            int key = (int) (Integer.toUnsignedLong(x) % keys);
            if (!range.contains(groupOf(key))) continue;
            task.backend.keyed.setCurrentKey((long) key);
            Sequences.fillBytes(expected, valueBytes, key, versionOf(key));
            if (!Arrays.equals(expected, task.state.value())) {
                throw new IllegalStateException("the row of key " + key + " is wrong");
            }
            read++;
        }
    }

    @Override
    public void close() throws Exception {
        if (opened != null) opened.close();
    }
}
