package varve.rivals;

import java.io.File;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ReducingState;
import org.apache.flink.api.common.state.ReducingStateDescriptor;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.base.DoubleSerializer;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.StringSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * One operation on one backend: the definitions are those of bench/rivals/operations.ts, call for
 * call. Loops over primitive arrays; keys are boxed, or made, at each call.
 */
final class Operations implements Subject {
    private static final int KEYS = 500_000;
    private static final int VALUES = 1_000_000;
    private static final int ENTRIES = 10;
    private static final int RUN_CALLS = 2_000;
    private static final long SETTLE_MS = 10_000;
    private static final long TURN_SETTLE_MS = 2_000;

    private final String operation;
    private final int keyCount;
    private final int passCalls;
    private final boolean isFresh;
    private final Backend<Object> backend;
    private final StateDescriptor<?, ?> descriptor;
    private final int[] order;
    private final int[] values = Sequences.shuffled(VALUES, 0, 44);
    private final int[] mapKeys = Sequences.shuffled(ENTRIES, 0, 46);
    private final double[] mapValues = new double[ENTRIES];
    private final Map<Long, Double> tenEntries = new HashMap<>();
    private final List<Long> hundred = new ArrayList<>();
    private final byte[] stringBytes;
    private final String[] strings;
    private ValueState<Long> value;
    private ListState<Long> list;
    private MapState<Long, Double> map;
    private ReducingState<Long> reducing;
    private long next;
    private double sum;

    @SuppressWarnings({"unchecked", "rawtypes"})
    Operations(JsonNode request) throws Exception {
        operation = request.get("operation").asText();
        keyCount = request.get("keys").asInt();
        passCalls = request.get("passCalls").asInt();
        isFresh = request.get("fresh").asBoolean();
        boolean isString = operation.startsWith("string");
        int[] called =
                isFresh
                        ? Sequences.shuffled(KEYS, KEYS, 43)
                        : Sequences.shuffled(keyCount, 0, keyCount == 10_000 ? 45 : 42);
        order = isString ? ascending(keyCount) : called;
        int[] ordered = isString ? positionsOf(called) : ascending(keyCount);
        for (int i = 0; i < ENTRIES; i++) {
            mapValues[i] = 1.0 / (i + 3);
            tenEntries.put((long) mapKeys[i], mapValues[i]);
        }
        for (long i = 0; i < 100; i++) hundred.add(i);
        stringBytes = isString ? Sequences.stringKeys(called) : null;
        strings = operation.equals("stringRmw500k") ? new String[keyCount] : null;
        if (strings != null) {
            for (int i = 0; i < keyCount; i++) strings[i] = Sequences.stringKey(stringBytes, i);
        }
        File directory = new File(request.get("directory").asText());
        TypeSerializer<Object> keys =
                isString ? (TypeSerializer) StringSerializer.INSTANCE : (TypeSerializer) LongSerializer.INSTANCE;
        backend =
                new Backend<>(
                        new Backend.Options(
                                request.get("backend").asText(),
                                new File(directory, "working"),
                                new File(directory, "checkpoints"),
                                request.get("managedBytes").asLong(),
                                false),
                        keys);
        descriptor = openState();
        for (int key : ordered) fill(key);
        if (operation.startsWith("list")) backend.compact(descriptor);
        backend.settle(SETTLE_MS);
    }

    private static int[] ascending(int count) {
        return IntStream.range(0, count).toArray();
    }

    /** Where each of the numbers from 0 on stands among them. */
    private static int[] positionsOf(int[] numbers) {
        int[] positions = new int[numbers.length];
        for (int position = 0; position < numbers.length; position++) positions[numbers[position]] = position;
        return positions;
    }

    private StateDescriptor<?, ?> openState() throws Exception {
        if (operation.startsWith("list")) {
            ListStateDescriptor<Long> of = new ListStateDescriptor<>("list", LongSerializer.INSTANCE);
            list = backend.state(of);
            return of;
        }
        if (operation.startsWith("map")) {
            MapStateDescriptor<Long, Double> of =
                    new MapStateDescriptor<>("map", LongSerializer.INSTANCE, DoubleSerializer.INSTANCE);
            map = backend.state(of);
            return of;
        }
        if (operation.startsWith("reducing")) {
            ReducingStateDescriptor<Long> of =
                    new ReducingStateDescriptor<>("sum", Long::sum, LongSerializer.INSTANCE);
            reducing = backend.state(of);
            return of;
        }
        ValueStateDescriptor<Long> of = new ValueStateDescriptor<>("value", LongSerializer.INSTANCE);
        value = backend.state(of);
        return of;
    }

    /** By its number, or, of a string, by its position in the stream. */
    private void setKey(int key) {
        if (stringBytes == null) backend.keyed.setCurrentKey((long) key);
        else if (strings != null) backend.keyed.setCurrentKey(strings[key]);
        else backend.keyed.setCurrentKey(Sequences.stringKey(stringBytes, key));
    }

    private void fill(int key) throws Exception {
        setKey(key);
        if (list != null) {
            list.update(Collections.singletonList((long) key));
            if (operation.equals("listGetAndIterate101")) list.addAll(hundred);
        } else if (map != null) {
            for (int i = 0; i < ENTRIES; i++) map.put((long) mapKeys[i], mapValues[i]);
        } else if (reducing != null) reducing.add(0L);
        else value.update(operation.equals("valueGet") ? (long) key : 0L);
    }

    @Override
    public Object call(String op, JsonNode request) throws Exception {
        switch (op) {
            case "runTo":
                while (next < request.get("calls").asLong()) step();
                return next;
            case "repetition":
                Map<String, Object> timing = passCalls > 0 ? pass() : timed(request.get("millis").asLong());
                backend.settle(TURN_SETTLE_MS);
                return timing;
            case "checksum":
                return checksum(request.get("keys").asInt(), request.get("base").asDouble());
            default:
                throw new IllegalArgumentException("no op " + op);
        }
    }

    private void step() throws Exception {
        int first = (int) next;
        sum += run(first, first + RUN_CALLS);
        next += RUN_CALLS;
    }

    private Map<String, Object> timed(long millis) throws Exception {
        long first = next;
        long start = System.nanoTime();
        long elapsed = 0;
        while (elapsed < millis * 1_000_000) {
            step();
            elapsed = System.nanoTime() - start;
        }
        return Map.of("ops", next - first, "millis", elapsed / 1e6);
    }

    private Map<String, Object> pass() throws Exception {
        for (int i = 0; i < passCalls; i++) undo(i);
        if (list != null) backend.compact(descriptor);
        backend.settle(SETTLE_MS);
        long start = System.nanoTime();
        for (int i = 0; i < passCalls; i += RUN_CALLS) run(i, i + RUN_CALLS);
        next = passCalls;
        return Map.of("ops", passCalls, "millis", (System.nanoTime() - start) / 1e6);
    }

    private void undo(int i) throws Exception {
        setKey(order[i]);
        if (operation.equals("mapRemove")) map.put((long) mapKeys[i % ENTRIES], mapValues[i % ENTRIES]);
        else if (isFresh) {
            if (list != null) list.clear();
            else if (map != null) map.clear();
            else value.clear();
        } else list.update(Collections.singletonList((long) order[i]));
    }

    private double run(int first, int end) throws Exception {
        switch (operation) {
            case "valueGet":
                return valueGet(first, end);
            case "valueUpdate":
            case "valueAdd":
                return valueUpdate(first, end);
            case "valueRmw500k":
            case "valueRmw10k":
            case "stringRmw500k":
            case "stringRmw500k/fresh":
                return readModifyWrite(first, end);
            case "reducingAdd":
                return reducingAdd(first, end);
            default:
                return list != null ? runList(first, end) : runMap(first, end);
        }
    }

    private double valueGet(int first, int end) throws Exception {
        double read = 0;
        for (int i = first; i < end; i++) {
            setKey(order[i % keyCount]);
            read += value.value();
        }
        return read;
    }

    private double valueUpdate(int first, int end) throws Exception {
        for (int i = first; i < end; i++) {
            setKey(order[i % order.length]);
            value.update((long) values[i % VALUES]);
        }
        return 0;
    }

    private double readModifyWrite(int first, int end) throws Exception {
        for (int i = first; i < end; i++) {
            setKey(order[i % keyCount]);
            Long before = value.value();
            value.update(before + 1);
        }
        return 0;
    }

    private double reducingAdd(int first, int end) throws Exception {
        for (int i = first; i < end; i++) {
            setKey(order[i % keyCount]);
            reducing.add((long) values[i % VALUES]);
        }
        return 0;
    }

    private double runList(int first, int end) throws Exception {
        double read = 0;
        switch (operation) {
            case "listGet":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    read += ((Collection<Long>) list.get()).size();
                }
                return read;
            case "listGetAndIterate":
            case "listGetAndIterate101":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    for (Long element : list.get()) read += element;
                }
                return read;
            case "listAppend":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    list.add((long) values[i % VALUES]);
                }
                return 0;
            case "listAddAll100":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    list.addAll(hundred);
                }
                return 0;
            case "listUpdate":
            case "listAdd":
                for (int i = first; i < end; i++) {
                    setKey(order[i % order.length]);
                    list.update(Collections.singletonList((long) values[i % VALUES]));
                }
                return 0;
            default:
                throw new IllegalArgumentException("no operation " + operation);
        }
    }

    private double runMap(int first, int end) throws Exception {
        double read = 0;
        switch (operation) {
            case "mapGet":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    read += map.get((long) mapKeys[i % ENTRIES]);
                }
                return read;
            case "mapContains":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    if (map.contains((long) mapKeys[i % ENTRIES] << 1)) read++;
                }
                return read;
            case "mapIsEmpty":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    if (map.isEmpty()) read++;
                }
                return read;
            case "mapIterator":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    for (Map.Entry<Long, Double> entry : map.entries()) {
                        read += entry.getKey() + entry.getValue();
                    }
                }
                return read;
            case "mapUpdate":
            case "mapAdd":
                for (int i = first; i < end; i++) {
                    setKey(order[i % order.length]);
                    map.put((long) mapKeys[i % ENTRIES], mapValues[i % ENTRIES]);
                }
                return 0;
            case "mapRemove":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    map.remove((long) mapKeys[i % ENTRIES]);
                }
                return 0;
            case "mapPutAll10":
                for (int i = first; i < end; i++) {
                    setKey(order[i % keyCount]);
                    map.putAll(tenEntries);
                }
                return 0;
            default:
                throw new IllegalArgumentException("no operation " + operation);
        }
    }

    /** Of the first so many keys of the calls. `base` is subtracted from what counts calls. */
    private Map<String, Object> checksum(int keys, double base) throws Exception {
        int folded = 0;
        for (int i = 0; i < Math.min(keys, order.length); i++) {
            setKey(order[i]);
            if (list != null) {
                Iterable<Long> elements = list.get();
                if (elements == null) continue;
                for (Long element : elements) folded = Sequences.fold(folded, element);
            } else if (map != null) {
                for (long key = 0; key < ENTRIES; key++) folded = Sequences.fold(folded, orAbsent(map.get(key)));
            } else {
                Long found = reducing != null ? reducing.get() : value.value();
                folded = Sequences.fold(folded, found == null ? -1.5 : found - base);
            }
        }
        return Map.of("state", folded, "sum", sum);
    }

    private static double orAbsent(Double value) {
        return value == null ? -1.5 : value;
    }

    @Override
    public void close() throws Exception {
        backend.close();
    }
}
