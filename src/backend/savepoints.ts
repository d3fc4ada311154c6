// Takes savepoints of one backend: cut, write into a directory of its own, metadata.
//   V1. The cut is made in the call, whatever becomes of the directory.
//   V2. Checkpoints know nothing of it: no file is shared with them, no number of theirs is used.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type {
  CompletedSavepoint,
  JsonValue,
  SavepointOptions,
  SnapshotResult,
} from "../api/keyed-state-backend.ts";
import { SavepointTarget } from "../checkpoint/savepoint-target.ts";
import { refuseUnknownOptions } from "../common/options.ts";
import { type SavepointTrace, savepointTracing } from "../diagnostics.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { InvalidArgumentError } from "../errors.ts";
import { checkUserMetadata } from "../format/metadata.ts";
import type { Checkpointing } from "./checkpointing.ts";
import type { Tier } from "./tier.ts";

interface Plan {
  readonly directory: string;
  readonly metadata: JsonValue | undefined;
  readonly startMs: number;
}

export class Savepoints {
  readonly #tier: Tier;
  readonly #checkpointing: Checkpointing;
  readonly #environment: Environment;
  readonly #ownStorage: CheckpointStorage;

  constructor(
    tier: Tier,
    checkpointing: Checkpointing,
    environment: Environment,
    ownStorage: CheckpointStorage,
  ) {
    this.#tier = tier;
    this.#checkpointing = checkpointing;
    this.#environment = environment;
    this.#ownStorage = ownStorage;
  }

  take(directory: string, options: SavepointOptions): Promise<CompletedSavepoint> {
    const { format, transfer, metadata } = checked(directory, options);
    const { clock } = this.#environment;
    const startMs = clock.monotonicMs();
    return this.#checkpointing.aside(options.signal, (checkpointId, signal) => {
      const trace: SavepointTrace = { checkpointId, format };
      const ownStorage = this.#ownStorage;
      const environment = this.#environment;
      const target = SavepointTarget.open({ directory, transfer, environment, ownStorage });
      const sink = target.then((opened) => opened.sink);
      sink.catch(() => undefined); // Reported by `#finish`, however late the tier asks for it.
      const captured = this.#tier.beginSavepoint(format, sink, signal); // V1
      trace.pauseMs = clock.monotonicMs() - startMs;
      const plan = { directory, metadata, startMs };
      return savepointTracing.tracePromise(
        () => this.#finish(captured, target, plan, trace, signal),
        trace,
      );
    });
  }

  async #finish(
    captured: Promise<SnapshotResult>,
    target: Promise<SavepointTarget>,
    { directory, metadata, startMs }: Plan,
    trace: SavepointTrace,
    signal: AbortSignal,
  ): Promise<CompletedSavepoint> {
    const { checkpointId, format, pauseMs = 0 } = trace;
    let snapshot: SnapshotResult;
    try {
      snapshot = await captured;
      // From here on it may become durable: it is no longer abortable.
      signal.throwIfAborted();
      await (
        await target
      ).commit({
        checkpointId,
        format,
        backendKind: this.#tier.kind,
        snapshot,
        userMetadata: metadata,
      });
    } catch (cause) {
      const opened = await target.catch(() => undefined);
      await opened?.abandon();
      if (signal.aborted && cause === signal.reason) throw cause;
      throw typedFileError(`write the savepoint ${directory}`, cause);
    }
    const { base } = snapshot.handle;
    const totalBytes = base.totalBytes + base.fileList.lengthBytes;
    trace.totalBytes = totalBytes;
    return {
      checkpointId,
      format,
      durationMs: this.#environment.clock.monotonicMs() - startMs,
      pauseMs,
      totalBytes,
      fileCount: snapshot.files.length,
      location: directory,
    };
  }
}

function checked(directory: string, options: SavepointOptions) {
  if (typeof directory !== "string" || directory === "" || directory.includes("\0")) {
    throw new InvalidArgumentError("savepoint takes the path of a directory");
  }
  refuseUnknownOptions("savepoint", options, ["format", "metadata", "transfer", "signal"]);
  const { format = "canonical", transfer = "link", metadata } = options;
  if (format !== "canonical" && format !== "native") {
    throw new InvalidArgumentError(
      `savepoint: format must be "canonical" or "native", got ${JSON.stringify(format)}`,
    );
  }
  if (transfer !== "link" && transfer !== "copy") {
    throw new InvalidArgumentError(
      `savepoint: transfer must be "link" or "copy", got ${JSON.stringify(transfer)}`,
    );
  }
  checkUserMetadata(metadata);
  // Of the moment of the cut, as the state is: the caller may go on changing the object.
  const copy = metadata === undefined ? undefined : (structuredClone(metadata) as JsonValue);
  return { format, transfer, metadata: copy };
}
