package varve.rivals;

import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.StateChangelogOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.configuration.WebOptions;
import org.apache.flink.changelog.fs.FsStateChangelogOptions;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.runtime.checkpoint.AbstractCheckpointStats;
import org.apache.flink.runtime.checkpoint.CheckpointStatsStatus;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/** The keyed count from end to end: source and operator chained in one thread of a MiniCluster. */
final class Job implements Subject {
    private static final int STRIDE = 314_159;
    private static final long VERIFY_MINUTES = 5;

    private final MiniCluster cluster;
    private final Configuration configuration = new Configuration();
    private final int keys;
    private final int valueBytes;
    private final long intervalMs;
    private JobID running;

    /** Makes the string of a record, from the bytes of all. */
    static final class KeyOf implements GeneratorFunction<Long, String> {
        private static final long serialVersionUID = 1L;
        private final int keys;
        private transient byte[] bytes;

        KeyOf(int keys) {
            this.keys = keys;
        }

        private int[] numbers() {
            int[] numbers = new int[keys];
            for (int i = 0; i < keys; i++) numbers[i] = (int) ((long) i * STRIDE % keys);
            return numbers;
        }

        @Override
        public String map(Long i) {
            if (bytes == null) bytes = Sequences.stringKeys(numbers());
            return Sequences.stringKey(bytes, (int) (i % keys));
        }
    }

    Job(JsonNode request) throws Exception {
        keys = request.get("keys").asInt();
        valueBytes = request.get("valueBytes").asInt();
        intervalMs = request.get("intervalMs").asLong();
        File directory = new File(request.get("directory").asText());
        String checkpoints = new File(directory, "checkpoints").toURI().toString();
        String backend = request.get("backend").asText();
        configuration.set(StateBackendOptions.STATE_BACKEND, backend.equals("heap") ? "hashmap" : "rocksdb");
        configuration.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, !backend.equals("heap"));
        configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, checkpoints);
        configuration.set(WebOptions.CHECKPOINTS_HISTORY_SIZE, 10_000);
        configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
        configuration.set(
                TaskManagerOptions.MANAGED_MEMORY_SIZE,
                new MemorySize(request.get("managedBytes").asLong()));
        configuration.setString("io.tmp.dirs", new File(directory, "working").getAbsolutePath());
        if (backend.equals("rocksdb-changelog")) {
            configuration.set(StateChangelogOptions.ENABLE_STATE_CHANGE_LOG, true);
            configuration.set(StateChangelogOptions.STATE_CHANGE_LOG_STORAGE, "filesystem");
            configuration.set(FsStateChangelogOptions.BASE_PATH, checkpoints + "/changelog");
        }
        new File(directory, "checkpoints").mkdirs();
        new File(directory, "working").mkdirs();
        cluster =
                new MiniCluster(
                        new MiniClusterConfiguration.Builder()
                                .setConfiguration(configuration)
                                .setNumTaskManagers(1)
                                .setNumSlotsPerTaskManager(1)
                                .withRandomPorts()
                                .build());
        cluster.start();
    }

    @Override
    public Object call(String op, JsonNode request) throws Exception {
        switch (op) {
            case "start":
                start(request.get("warmUpMs").asLong());
                return null;
            case "window":
                return window(request.get("millis").asLong());
            case "finish":
                return finish();
            default:
                throw new IllegalArgumentException("no op " + op);
        }
    }

    private void start(long warmUpMs) throws Exception {
        CountFunction.reset();
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        environment.setParallelism(1);
        environment.setMaxParallelism(Backend.KEY_GROUPS);
        environment.enableCheckpointing(intervalMs);
        DataStream<String> records =
                environment.fromSource(
                        new DataGeneratorSource<>(new KeyOf(keys), Long.MAX_VALUE, Types.STRING),
                        WatermarkStrategy.noWatermarks(),
                        "records");
        DataStreamUtils.reinterpretAsKeyedStream(records, key -> key, Types.STRING)
                .process(new CountFunction(keys, valueBytes))
                .returns(Types.VOID)
                .sinkTo(new DiscardingSink<>());
        running = cluster.submitJob(environment.getStreamGraph().getJobGraph()).get().getJobID();
        while (CountFunction.PROCESSED.get() == 0) {
            refuseEnded();
            Thread.sleep(10);
        }
        Thread.sleep(warmUpMs);
    }

    private void refuseEnded() throws Exception {
        JobStatus status = cluster.getJobStatus(running).get();
        if (status.isTerminalState()) {
            throw new IllegalStateException(
                    "the job is "
                            + status
                            + ": "
                            + cluster.getArchivedExecutionGraph(running).get().getFailureInfo());
        }
    }

    private Map<String, Object> window(long millis) throws Exception {
        long startMs = System.currentTimeMillis();
        long start = System.nanoTime();
        long before = CountFunction.PROCESSED.get();
        Thread.sleep(millis);
        long ops = CountFunction.PROCESSED.get() - before;
        double elapsed = (System.nanoTime() - start) / 1e6;
        long endMs = System.currentTimeMillis();
        // Those that were triggered in the window; the last may still be under way.
        Thread.sleep(intervalMs);
        refuseEnded();
        List<Long> durations = new ArrayList<>();
        int failed = 0;
        for (AbstractCheckpointStats checkpoint :
                cluster.getExecutionGraph(running).get().getCheckpointStatsSnapshot().getHistory().getCheckpoints()) {
            long triggered = checkpoint.getTriggerTimestamp();
            if (triggered < startMs || triggered >= endMs) continue;
            if (checkpoint.getStatus() == CheckpointStatsStatus.COMPLETED) {
                durations.add(checkpoint.getEndToEndDuration());
            } else if (checkpoint.getStatus() == CheckpointStatsStatus.FAILED) failed++;
        }
        return Map.of("ops", ops, "millis", elapsed, "checkpointMs", durations, "failed", failed);
    }

    /** Verifies all counts in one more cycle, and ends the job. */
    private Map<String, Object> finish() throws Exception {
        CountFunction.isEnding = true;
        boolean isDone = CountFunction.verified.await(VERIFY_MINUTES, TimeUnit.MINUTES);
        cluster.cancelJob(running).get();
        while (!cluster.getJobStatus(running).get().isTerminalState()) Thread.sleep(20);
        if (!isDone) throw new IllegalStateException("the counts were not verified in time");
        return Map.of("verifiedKeys", CountFunction.verifiedKeys, "mismatches", CountFunction.mismatches);
    }

    @Override
    public void close() throws Exception {
        cluster.closeAsync().get(Duration.ofSeconds(20).toMillis(), TimeUnit.MILLISECONDS);
    }
}
