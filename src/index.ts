// Public entry point.
export { openKeyedStateBackend } from "./backend/open.ts";
export type {
  KeyedStateBackendOptions,
  RestoreHandles,
  RestoreMode,
  RestoreTarget,
  RestoreVerification,
} from "./backend/options.ts";
export type { LsmTuning } from "./backend/memory-plan.ts";
export { openStateHost } from "./backend/state-host.ts";
export type { StateHost, StateHostOptions } from "./backend/state-host.ts";
export { fileSystemStorage } from "./checkpoint/file-system-storage.ts";
export type { FileSystemStorageOptions } from "./checkpoint/file-system-storage.ts";
export { bigint64, bool, bytes, f64, i64, json, u32, utf8, v8 } from "./state/serializers.ts";
export { array, optional, struct, tuple } from "./state/serializer-combinators.ts";
export type { SerializedBy } from "./state/serializer-combinators.ts";
export { GIB, KIB, MIB } from "./common/units.ts";
export * from "./errors.ts";
export * from "./diagnostics.ts";
export type * from "./api/checkpoint-storage.ts";
export type * from "./api/environment.ts";
export type * from "./api/keyed-state-backend.ts";
export type * from "./api/serializer.ts";
export type * from "./api/state.ts";
