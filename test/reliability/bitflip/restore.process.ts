// Opens a damaged golden with a whole backend, in a process of its own: what is not verified yet may end it.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { serve } from "../../../bench/support/child.ts";
import {
  type KeyedStateBackend,
  MIB,
  type RestoreVerification,
  StateBackendError,
  type StateHost,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
} from "../../../src/index.ts";
import { quickDirectory } from "../../support/subjects.ts";
import { expectedJob, goldens, objectsOf } from "./goldens.ts";

export interface RestoreRequest {
  readonly golden: number;
  readonly names: readonly string[];
  /** Base64; null: gone. */
  readonly bytes: readonly (string | null)[];
  readonly verification: RestoreVerification;
}

export interface RestoreReply {
  /** `completed`: wrong or right, a checkpoint of it has completed. */
  readonly outcome: "refused" | "right" | "wrong" | "completed" | "untyped";
  readonly detail: string;
}

const root = quickDirectory("varve-bitflip-");
const expected = await expectedJob();
let host: StateHost | undefined;

async function restore(request: RestoreRequest): Promise<RestoreReply> {
  host ??= await openStateHost({ memoryBudgetBytes: 64 * MIB, workers: 1 });
  const golden = goldens[request.golden]!;
  const store = join(root, "golden");
  rmSync(root, { recursive: true, force: true });
  const objects = new Map<string, Buffer | undefined>(objectsOf(golden));
  for (const [index, name] of request.names.entries()) {
    const bytes = request.bytes[index]!;
    objects.set(name, bytes === null ? undefined : Buffer.from(bytes, "base64"));
  }
  for (const [name, bytes] of objects) {
    mkdirSync(dirname(join(store, name)), { recursive: true });
    if (bytes !== undefined) writeFileSync(join(store, name), bytes);
  }
  const isSavepoint = golden.savepoint !== undefined;
  const { changelog, ...options } = golden.options;
  const opening = openKeyedStateBackend({
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(isSavepoint ? join(root, "own") : store),
    restore: isSavepoint ? store : "latest",
    host,
    ...options,
    ...(changelog === undefined ? {} : { changelog }),
    restoreVerification: request.verification,
  });
  return answer(request, opening);
}

async function answer(
  { verification }: RestoreRequest,
  opening: Promise<KeyedStateBackend>,
): Promise<RestoreReply> {
  let backend: KeyedStateBackend | undefined;
  let isRight = false;
  let detail = "";
  try {
    backend = await opening;
    try {
      await expected.check(backend);
      isRight = true;
    } catch (error) {
      if (verification === "before") throw error;
      detail = String(error);
    }
    if (verification === "before") return { outcome: "right", detail };
    await backend.checkpoint();
    return { outcome: isRight ? "completed" : "wrong", detail };
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === "ERR_ASSERTION") return { outcome: "wrong", detail: String(error) };
    const isTyped = error instanceof StateBackendError && code !== "VARVE_INVARIANT";
    return { outcome: isTyped ? "refused" : "untyped", detail: `${code}: ${String(error)}` };
  } finally {
    await backend?.close().catch(() => undefined);
  }
}

serve({ restore }, async () => {
  await host?.close();
  rmSync(root, { recursive: true, force: true });
});
