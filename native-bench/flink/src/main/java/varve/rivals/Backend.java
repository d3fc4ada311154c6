package varve.rivals;

import java.io.File;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Collection;
import java.util.Collections;
import java.util.concurrent.RunnableFuture;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.State;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.changelog.fs.FsStateChangelogOptions;
import org.apache.flink.changelog.fs.FsStateChangelogStorage;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.StateChangelogOptions;
import org.apache.flink.core.fs.CloseableRegistry;
import org.apache.flink.core.fs.Path;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.checkpoint.CheckpointOptions;
import org.apache.flink.runtime.mailbox.SyncMailboxExecutor;
import org.apache.flink.runtime.metrics.groups.UnregisteredMetricGroups;
import org.apache.flink.runtime.operators.testutils.MockEnvironment;
import org.apache.flink.runtime.state.CheckpointStorageAccess;
import org.apache.flink.runtime.state.CheckpointStorageLocationReference;
import org.apache.flink.runtime.state.CheckpointableKeyedStateBackend;
import org.apache.flink.runtime.state.ConfigurableStateBackend;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyedStateBackendParametersImpl;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.LocalRecoveryConfig;
import org.apache.flink.runtime.state.SharedStateRegistry;
import org.apache.flink.runtime.state.SharedStateRegistryImpl;
import org.apache.flink.runtime.state.SnapshotResult;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.TestTaskStateManager;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.runtime.state.filesystem.FsCheckpointStorageAccess;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.runtime.state.ttl.TtlTimeProvider;
import org.apache.flink.runtime.util.TestingTaskManagerRuntimeInfo;
import org.apache.flink.state.changelog.ChangelogKeyedStateBackend;
import org.apache.flink.state.changelog.ChangelogStateBackend;
import org.apache.flink.state.common.PeriodicMaterializationManager.MaterializationRunnable;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.state.rocksdb.RocksDBConfigurableOptions;
import org.apache.flink.state.rocksdb.RocksDBKeyedStateBackend;
import org.apache.flink.util.InstantiationUtil;
import org.rocksdb.RocksDB;

/** One keyed backend of Flink, unaltered, in an environment of Flink's own tests. */
final class Backend<K> implements AutoCloseable {
    static final int KEY_GROUPS = 128;
    private static final long QUIET_POLL_MS = 5;

    /** What a backend is opened with. `kind`: heap, rocksdb, rocksdb-changelog. */
    record Options(
            String kind, File directory, File checkpoints, long managedBytes, boolean ingest) {}

    final CheckpointableKeyedStateBackend<K> keyed;
    private final MockEnvironment environment;
    private final CheckpointStorageAccess storage;
    private final CloseableRegistry registry = new CloseableRegistry();
    private final SharedStateRegistry shared = new SharedStateRegistryImpl();

    Backend(
            Options options,
            TypeSerializer<K> keys,
            KeyGroupRange range,
            Collection<KeyedStateHandle> restored)
            throws Exception {
        options.directory().mkdirs();
        options.checkpoints().mkdirs();
        Configuration configuration = configurationOf(options);
        JobID job = new JobID();
        TestTaskStateManager manager =
                TestTaskStateManager.builder()
                        .setStateChangelogStorage(changelogIn(options, job, configuration))
                        .build();
        environment =
                MockEnvironment.builder()
                        .setTaskStateManager(manager)
                        .setTaskConfiguration(configuration)
                        .setJobID(job)
                        .setMaxParallelism(KEY_GROUPS)
                        .setTaskManagerRuntimeInfo(
                                new TestingTaskManagerRuntimeInfo(configuration, options.directory()))
                        .build();
        environment.setMainMailboxExecutor(new SyncMailboxExecutor());
        Path root = Path.fromLocalFile(options.checkpoints());
        FsCheckpointStorageAccess access =
                new FsCheckpointStorageAccess(root, null, job, 20 * 1024, 20 * 1024);
        access.initializeBaseLocationsForCheckpoint();
        storage = access;
        environment.setCheckpointStorageAccess(storage);
        keyed =
                stateBackend(options, configuration)
                        .createKeyedStateBackend(
                                new KeyedStateBackendParametersImpl<>(
                                        environment,
                                        job,
                                        "operator",
                                        keys,
                                        KEY_GROUPS,
                                        range,
                                        environment.getTaskKvStateRegistry(),
                                        TtlTimeProvider.DEFAULT,
                                        new UnregisteredMetricsGroup(),
                                        restored,
                                        registry));
    }

    Backend(Options options, TypeSerializer<K> keys) throws Exception {
        this(options, keys, KeyGroupRange.of(0, KEY_GROUPS - 1), Collections.emptyList());
    }

    private static Configuration configurationOf(Options options) {
        Configuration configuration = new Configuration();
        configuration.set(RocksDBConfigurableOptions.USE_INGEST_DB_RESTORE_MODE, options.ingest());
        configuration.set(StateChangelogOptions.PERIODIC_MATERIALIZATION_ENABLED, false);
        configuration.set(
                StateChangelogOptions.PERIODIC_MATERIALIZATION_INTERVAL, Duration.ofDays(7));
        configuration.set(
                FsStateChangelogOptions.BASE_PATH,
                new File(options.checkpoints(), "changelog").toURI().toString());
        return configuration;
    }

    private static FsStateChangelogStorage changelogIn(
            Options options, JobID job, Configuration configuration) throws Exception {
        if (!options.kind().equals("rocksdb-changelog")) return null;
        return new FsStateChangelogStorage(
                job,
                configuration,
                UnregisteredMetricGroups.createUnregisteredTaskManagerJobMetricGroup(),
                LocalRecoveryConfig.BACKUP_AND_RECOVERY_DISABLED);
    }

    private static StateBackend stateBackend(Options options, Configuration configuration)
            throws Exception {
        ClassLoader loader = Backend.class.getClassLoader();
        if (options.kind().equals("heap")) return new HashMapStateBackend();
        EmbeddedRocksDBStateBackend rocks = new EmbeddedRocksDBStateBackend(true);
        rocks.setDbStoragePath(options.directory().getAbsolutePath());
        if (options.managedBytes() > 0) {
            rocks.getMemoryConfiguration()
                    .setFixedMemoryPerSlot(new MemorySize(options.managedBytes()));
        } else {
            rocks.getMemoryConfiguration().setUseManagedMemory(false);
        }
        EmbeddedRocksDBStateBackend configured = rocks.configure(configuration, loader);
        if (options.kind().equals("rocksdb")) return configured;
        // Flink's loader makes it with this constructor, which is not public.
        Constructor<ChangelogStateBackend> wrap =
                ChangelogStateBackend.class.getDeclaredConstructor(StateBackend.class);
        wrap.setAccessible(true);
        ConfigurableStateBackend changelog = wrap.newInstance(configured);
        return changelog.configure(configuration, loader);
    }

    <S extends State> S state(StateDescriptor<S, ?> descriptor) throws Exception {
        return keyed.getPartitionedState(
                VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
    }

    /** Runs to the handle, on this thread, and confirms. */
    KeyedStateHandle checkpoint(long id) throws Exception {
        RunnableFuture<SnapshotResult<KeyedStateHandle>> future =
                keyed.snapshot(
                        id,
                        id,
                        storage.resolveCheckpointStorageLocation(
                                id, CheckpointStorageLocationReference.getDefault()),
                        CheckpointOptions.forCheckpointWithDefaultLocation());
        if (!future.isDone()) future.run();
        // What the coordinator does: it gets a copy, and puts files of earlier checkpoints in their place.
        KeyedStateHandle handle =
                InstantiationUtil.clone(future.get().getJobManagerOwnedSnapshot());
        handle.registerSharedStates(shared, id);
        ((CheckpointListener) keyed).notifyCheckpointComplete(id);
        return handle;
    }

    void materialize() throws Exception {
        ChangelogKeyedStateBackend<K> changelog = (ChangelogKeyedStateBackend<K>) keyed;
        MaterializationRunnable materialization = changelog.initMaterialization().orElseThrow();
        Method runnable = MaterializationRunnable.class.getDeclaredMethod("getMaterializationRunnable");
        runnable.setAccessible(true);
        @SuppressWarnings("unchecked")
        RunnableFuture<SnapshotResult<KeyedStateHandle>> future =
                (RunnableFuture<SnapshotResult<KeyedStateHandle>>) runnable.invoke(materialization);
        if (!future.isDone()) future.run();
        changelog.handleMaterializationResult(
                future.get(),
                materialization.getMaterializationID(),
                materialization.getMaterializedTo());
    }

    void compact(StateDescriptor<?, ?> descriptor) throws Exception {
        if (keyed instanceof RocksDBKeyedStateBackend) {
            ((RocksDBKeyedStateBackend<K>) keyed).compactState(descriptor);
        }
    }

    /** Waits for flushes and compactions, at most so long. */
    void settle(long atMostMs) throws Exception {
        RocksDB database = database();
        if (database == null) return;
        long end = System.currentTimeMillis() + atMostMs;
        while (System.currentTimeMillis() < end && isBusy(database)) Thread.sleep(QUIET_POLL_MS);
    }

    private static boolean isBusy(RocksDB database) throws Exception {
        for (String property :
                new String[] {
                    "rocksdb.num-running-compactions",
                    "rocksdb.num-running-flushes",
                    "rocksdb.compaction-pending",
                    "rocksdb.mem-table-flush-pending"
                }) {
            if (database.getAggregatedLongProperty(property) > 0) return true;
        }
        return false;
    }

    private RocksDB database() throws Exception {
        if (!(keyed instanceof RocksDBKeyedStateBackend)) return null;
        Field field = RocksDBKeyedStateBackend.class.getDeclaredField("db");
        field.setAccessible(true);
        return (RocksDB) field.get(keyed);
    }

    @Override
    public void close() throws Exception {
        registry.close();
        keyed.dispose();
        environment.close();
    }
}
