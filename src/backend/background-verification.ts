// Verifies restored files while the backend already serves.
//   B1. Nothing is uploaded before every byte is verified: so no checkpoint, snapshot or savepoint ends.
//   B2. A mismatch poisons the backend: what it has read cannot be trusted.
//   B3. It begins after what the first record waits for, which needs the same processors.
//   B4. It reads names of its own, which LevelDB cannot remove, and takes them away at the end. What
//       cannot be taken away says nothing about the files: the working directory is disposable.
import type { FileSystem } from "../api/environment.ts";
import type { FetchedFile } from "../checkpoint/base-reader.ts";
import { runBounded } from "../checkpoint/bounded-work.ts";
import { fileName } from "../checkpoint/layout.ts";
import { TaskProgress } from "../checkpoint/task-progress.ts";
import { CorruptionError } from "../errors.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { BackendStatus } from "./backend-status.ts";
import { raceAbort } from "./drain-controller.ts";

export interface VerificationRequest {
  readonly workers: WorkerPool;
  readonly fileSystem: FileSystem;
  readonly status: BackendStatus;
  readonly files: readonly FetchedFile[];
  /** Settles when the backend has all rows. Must not reject. */
  readonly restored: Promise<unknown>;
  /** Where the files are; removed at the end. */
  readonly directory: string;
  /** Told of each file that is not what it should be, before the backend is poisoned. */
  readonly onMismatch?: ((id: string, error: unknown) => Promise<void>) | undefined;
}

export class BackgroundVerification {
  /** Resolves when every byte is verified; rejects with what was wrong, or when the backend stops. */
  readonly verified: Promise<void>;
  readonly #request: VerificationRequest;
  readonly #settled: Promise<void>;
  #remaining: number;

  constructor(request: VerificationRequest) {
    this.#request = request;
    this.#remaining = request.files.length;
    this.verified = this.#verify();
    const { fileSystem, directory } = request;
    // A mismatch has poisoned; whoever waits for `verified` hears of it too.
    this.#settled = this.verified
      .catch(() => undefined)
      .then(() => fileSystem.removeTree(directory))
      .catch(() => undefined); // B4. It goes when the working directory is next opened.
  }

  /** Files not yet verified. */
  get remainingFiles(): number {
    return this.#remaining;
  }

  async #verify(): Promise<void> {
    const { workers, status, files, restored, onMismatch } = this.#request;
    try {
      await raceAbort(restored, status.signal); // B3
      const { threads } = workers;
      const progress = new TaskProgress(
        "verification",
        files.map(({ entry }) => entry),
      );
      await runBounded(files, threads, status.signal, async ({ entry, path, table }, signal) => {
        const { lengthBytes, sha256 } = entry;
        const task = { path, lengthBytes, sha256, file: fileName(entry.id), table };
        try {
          await workers.submit("verifyFile", task, { signal });
        } catch (cause) {
          if (cause instanceof CorruptionError) await onMismatch?.(entry.id, cause);
          throw cause;
        }
        this.#remaining--;
        progress.fileDone(lengthBytes);
      });
    } catch (cause) {
      throw status.isOpen ? status.poison(cause) : cause; // B2
    }
  }

  /** Waits for its end; the status must have stopped or all is verified sooner or later. */
  close(): Promise<void> {
    return this.#settled;
  }
}
