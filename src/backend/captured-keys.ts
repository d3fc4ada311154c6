// The keys of a state in a captured set of tables.
import type { Environment } from "../api/environment.ts";
import type { Key } from "../api/state.ts";
import type { CapturedSet } from "../lsm/capture.ts";
import { scanCapture } from "../lsm/scan.ts";
import type { KeySource } from "./enumerations.ts";
import { keyOfRow, type stateRanges } from "./key-scan.ts";

export interface CapturedKeysRequest {
  readonly environment: Environment;
  /** To be made for the scan's own database. */
  readonly directory: string;
  readonly ranges: ReturnType<typeof stateRanges>;
  readonly namespace: Uint8Array | undefined;
  readonly captured: Promise<CapturedSet>;
  readonly throwIfRefused: () => void;
  /** Gives the capture back. Idempotent. */
  readonly release: () => Promise<void>;
}

export function capturedKeys(request: CapturedKeysRequest): KeySource {
  return { keys: scan(request), release: request.release };
}

async function* scan(request: CapturedKeysRequest): AsyncGenerator<Key, void, void> {
  const { environment, directory, ranges, namespace, throwIfRefused } = request;
  try {
    const set = await request.captured;
    const files = set.files.map((file) => ({ ...file, path: file.path ?? "" }));
    for await (const entries of scanCapture({
      environment,
      directory,
      ranges,
      set: { ...set, files },
    })) {
      throwIfRefused();
      for (const [row] of entries) {
        const key = keyOfRow(row, namespace);
        if (key !== undefined) yield key;
      }
    }
  } catch (error) {
    throwIfRefused();
    throw error;
  } finally {
    await request.release();
  }
}
