// What an open backend stands on, each with the step that undoes it.
import type { Environment } from "../api/environment.ts";
import { LocalFiles } from "../checkpoint/local-files.ts";
import { type Drainer, spawnDrainer } from "../lsm/drain-thread.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { KeyedStateBackendOptions, ResolvedOptions } from "./options.ts";
import { OpenStateHost, openHost } from "./state-host.ts";
import type { Undo } from "./undo.ts";

export async function openLocalFiles(
  { environment, workingDirectory, localRecovery }: ResolvedOptions,
  pool: WorkerPool,
  undo: Undo,
): Promise<LocalFiles | undefined> {
  if (!localRecovery) return undefined;
  const local = await LocalFiles.open(environment, workingDirectory, pool);
  undo.add(() => local.close());
  return local;
}

/** Its code loads while the rest is prepared. */
export function spawnThread(environment: Environment, undo: Undo): Promise<Drainer> {
  const thread = spawnDrainer(environment);
  const end = thread.then(
    (spawned) => () => spawned.close(), // Ending a thread that loads native code ends the process.
    () => () => Promise.resolve(), // Told by the store, which awaits it.
  );
  undo.add(async () => (await end)());
  return thread;
}

export async function obtainHost(
  options: KeyedStateBackendOptions,
  environment: Environment,
  undo: Undo,
): Promise<OpenStateHost> {
  if (options.host instanceof OpenStateHost) return options.host;
  const { memoryBudgetBytes } = options;
  const host = await openHost({ memoryBudgetBytes, environment });
  undo.add(() => host.close());
  return host;
}
