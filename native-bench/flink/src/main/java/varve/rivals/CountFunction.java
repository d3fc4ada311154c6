package varve.rivals;

import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts records by key: a Long, or the first eight bytes of a longer value. The cluster is in the
 * process that measures, so it is told and asked through static fields.
 */
public final class CountFunction extends KeyedProcessFunction<String, String, Void> {
    private static final long serialVersionUID = 1L;

    static final AtomicLong PROCESSED = new AtomicLong();
    /** Once set, the next whole cycle over all keys is verified, and what follows it ignored. */
    static volatile boolean isEnding;
    static volatile CountDownLatch verified = new CountDownLatch(1);
    static volatile long verifiedKeys;
    static volatile long mismatches;

    private final int keys;
    private final int valueBytes;
    private transient ValueState<Long> count;
    private transient ValueState<byte[]> wide;
    private transient long processed;
    private transient long verifyFrom;

    CountFunction(int keys, int valueBytes) {
        this.keys = keys;
        this.valueBytes = valueBytes;
    }

    static void reset() {
        PROCESSED.set(0);
        isEnding = false;
        verified = new CountDownLatch(1);
        verifiedKeys = 0;
        mismatches = 0;
    }

    @Override
    public void open(OpenContext context) throws Exception {
        verifyFrom = -1;
        if (valueBytes == Long.BYTES) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
        } else {
            wide =
                    getRuntimeContext()
                            .getState(
                                    new ValueStateDescriptor<>(
                                            "wide",
                                            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        }
    }

    @Override
    public void processElement(String key, Context context, Collector<Void> out) throws Exception {
        if (verifiedKeys > 0) return;
        long now = wide == null ? countUp() : countUpWide(key);
        if (isEnding) verify(now);
        PROCESSED.setOpaque(++processed);
    }

    private long countUp() throws Exception {
        Long before = count.value();
        long now = before == null ? 1 : before + 1;
        count.update(now);
        return now;
    }

    private long countUpWide(String key) throws Exception {
        byte[] before = wide.value();
        byte[] value = before == null ? new byte[valueBytes] : before.clone();
        if (before == null) {
            Sequences.fillBytes(value, valueBytes, Integer.parseInt(key.substring(5)), 0);
            ByteBuffer.wrap(value).putLong(0, 0);
        }
        ByteBuffer first = ByteBuffer.wrap(value);
        long now = first.getLong(0) + 1;
        first.putLong(0, now);
        wide.update(value);
        return now;
    }

    /** In a whole cycle each key comes once, and has one count more than there were cycles before. */
    private void verify(long now) {
        if (verifyFrom < 0) {
            if (processed % keys != 0) return;
            verifyFrom = processed;
        }
        if (now != verifyFrom / keys + 1) mismatches++;
        if (processed - verifyFrom + 1 == keys) {
            verifiedKeys = keys;
            verified.countDown();
        }
    }
}
