// Verifies restored files while the backend already serves.
//   B1. Nothing is uploaded, and so no checkpoint completes, before every byte is verified.
//   B2. A mismatch poisons the backend: what it has read cannot be trusted.
//   B3. It reads names of its own, which LevelDB cannot remove, and takes them away at the end.
import type { FileSystem } from "../api/environment.ts";
import type { FetchedFile } from "../checkpoint/base-reader.ts";
import { runBounded } from "../checkpoint/bounded-work.ts";
import { fileName } from "../checkpoint/layout.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { BackendStatus } from "./backend-status.ts";

export interface VerificationRequest {
  readonly workers: WorkerPool;
  readonly fileSystem: FileSystem;
  readonly status: BackendStatus;
  readonly files: readonly FetchedFile[];
  /** Where the files are; removed at the end. */
  readonly directory: string;
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
    this.#settled = this.verified.then(
      () => undefined,
      () => undefined, // A mismatch has poisoned; whoever waits for `verified` hears of it too.
    );
  }

  /** Files not yet verified. */
  get remainingFiles(): number {
    return this.#remaining;
  }

  async #verify(): Promise<void> {
    const { workers, fileSystem, status, files, directory } = this.#request;
    try {
      await runBounded(files, workers.threads, status.signal, async ({ entry, path }, signal) => {
        const { lengthBytes, sha256 } = entry;
        const task = { path, lengthBytes, sha256, file: fileName(entry.id) };
        await workers.submit("verifyFile", task, { signal });
        this.#remaining--;
      });
    } catch (cause) {
      throw status.isOpen ? status.poison(cause) : cause; // B2
    } finally {
      await fileSystem.removeTree(directory);
    }
  }

  /** Waits for its end; the status must have stopped or all is verified sooner or later. */
  close(): Promise<void> {
    return this.#settled;
  }
}
