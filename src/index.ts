// Public entry point.
export { openKeyedStateBackend } from "./backend/open.ts";
export type {
  KeyedStateBackendOptions,
  RestoreMode,
  RestoreTarget,
  RestoreVerification,
} from "./backend/options.ts";
export type { ChangelogOptions } from "./backend/changelog-options.ts";
export type { LsmTuning } from "./backend/memory-plan.ts";
export { openCheckpointCoordinator } from "./job/open-coordinator.ts";
export type { CheckpointCoordinatorOptions } from "./job/open-coordinator.ts";
export { keyedStateTask } from "./job/keyed-state-task.ts";
export type { CoordinatorOptions } from "./coordinator/options.ts";
export type { ExternalizedRetention } from "./coordinator/retention.ts";
export { openStateHost } from "./backend/state-host.ts";
export type { StateHost, StateHostOptions } from "./backend/state-host.ts";
export { fileSystemStorage } from "./checkpoint/file-system-storage.ts";
export type { FileSystemStorageOptions } from "./checkpoint/file-system-storage.ts";
export { protectedStorage } from "./checkpoint/protected-storage.ts";
export type { ProtectionKey, ProtectionOptions } from "./checkpoint/protected-storage.ts";
export { bigint64, bool, bytes, f64, i64, json, u32, utf8, v8 } from "./state/serializers.ts";
export { array, optional, struct, tuple } from "./state/serializer-combinators.ts";
export type { SerializedBy } from "./state/serializer-combinators.ts";
export { GIB, KIB, MIB } from "./common/units.ts";
export * from "./errors.ts";
export * from "./diagnostics.ts";
export type * from "./api/checkpoint-coordinator.ts";
export type * from "./api/checkpoint-storage.ts";
export type * from "./api/environment.ts";
export type * from "./api/keyed-state-backend.ts";
export type * from "./api/serializer.ts";
export type * from "./api/state.ts";
