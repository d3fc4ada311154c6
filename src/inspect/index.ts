// `varve/inspect`: looks into checkpoints without restoring them. Writes nothing into what it reads,
// but for pins and the removal of garbage.
// Page: docs/inspect.md.
export { openCheckpoint } from "./open.ts";
export type {
  CheckpointView,
  LogDescription,
  OpenCheckpointOptions,
  ScanOptions,
  StateDescription,
} from "./checkpoint-view.ts";
export type { CheckpointSource, LocationOptions } from "./checkpoint-location.ts";
export type { Groups } from "./row-source.ts";
export type { CheckpointFile } from "./checkpoint-files.ts";
export type { StoredEntry } from "./entry-decoder.ts";
export type { FingerprintOptions } from "./fingerprint.ts";
export type { KeyGroupStatistics } from "./statistics.ts";
export { listCheckpoints } from "./retained.ts";
export type { CheckpointListing, DamagedCheckpoint, ListedCheckpoint } from "./retained.ts";
export { verifyCheckpoint } from "./verify.ts";
export type { Damage, DamagedFile, VerifyOptions, VerifyProgress, VerifyReport } from "./verify.ts";
export { diffCheckpoints } from "./diff.ts";
export type { DiffOptions, Difference } from "./diff.ts";
export { copyCheckpoint } from "./copy.ts";
export type { CopiedCheckpoint, CopyOptions, CopyProgress } from "./copy.ts";
export { convertCheckpoint } from "./convert.ts";
export type { ConvertedCheckpoint, ConvertOptions, ConvertProgress } from "./convert.ts";
export type { SerializerParts, StateChange, StateChanges } from "./state-change.ts";
export { pinCheckpoint, unpinCheckpoint } from "./pins.ts";
export type { PinnedCheckpoint } from "./pins.ts";
export { collectGarbage } from "./garbage.ts";
export type { GarbageOptions, GarbageReport } from "./garbage.ts";
export { timingOf } from "../format/timing.ts";
export type { CheckpointTiming, TimingPhases } from "../format/timing.ts";
export { exportCheckpoint } from "./export.ts";
export type { ExportOptions } from "./export.ts";
export { differenceLineOf, jsonLineOf, jsonOf } from "./json-text.ts";
export type { BackendKind, CheckpointMetadata, WriterEpoch } from "../format/metadata.ts";
