// Opens a hostile checkpoint in every way there is, and says what came of each.
import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { StateBackendError } from "../../src/errors.ts";
import { fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import type {
  CheckpointStorage,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  StateHost,
} from "../../src/index.ts";
import {
  type CheckpointSource,
  type CheckpointView,
  openCheckpoint,
  verifyCheckpoint,
} from "../../src/inspect/index.ts";
import { memoryEnvironment } from "../../src/testing/index.ts";
import type { HostileCase, Place } from "./case-files.ts";
import { declareStates } from "./make-bases.ts";

const KEYS = [1, "a"] as const;

export interface Attempt {
  /** How it was opened. */
  readonly way: string;
  readonly outcome: "rejected" | "accepted" | "untyped";
  readonly code: string | undefined;
  readonly message: string;
  /** Whether this way has to refuse the case. */
  readonly mustReject: boolean;
}

type Options = Partial<KeyedStateBackendOptions>;
type Use = (backend: KeyedStateBackend) => Promise<void>;

interface Way {
  readonly name: string;
  readonly options: Options;
  readonly use: Use;
}

/** Reads everything that the bases hold, by point and by enumeration. */
async function readAll(backend: KeyedStateBackend): Promise<void> {
  const { total, tags, by, window } = declareStates(backend);
  for (const key of KEYS) {
    backend.withKey(key, () => {
      total.value();
      tags.get();
      by.get("m");
      void [...by];
      window.setCurrentNamespace(7);
      window.value();
    });
  }
  for await (const key of total.keys()) backend.withKey(key, () => total.value());
}

/** Mode behind: reads nothing until all is verified, which a checkpoint waits for. */
async function verifyThenRead(backend: KeyedStateBackend): Promise<void> {
  declareStates(backend);
  await backend.snapshot(99).result;
  await readAll(backend);
}

function waysOf(base: HostileCase["base"], storage: string): readonly Way[] {
  const own = { restore: "latest" } as const;
  const before = {
    name: "lsm, before",
    options: { ...own, backend: "lsm" },
    use: readAll,
  } as const;
  const memory = { backend: "memory", policy: "full" } as const;
  if (base === "lsm") {
    return [
      before,
      {
        name: "lsm, behind",
        options: { restore: storage, restoreVerification: "behind" },
        use: verifyThenRead,
      },
    ];
  }
  if (base === "memory") return [{ name: "memory", options: { ...own, ...memory }, use: readAll }];
  const from = { restore: storage };
  return [
    { name: "lsm, tables", options: from, use: readAll },
    { name: "memory", options: { ...from, ...memory }, use: readAll },
    {
      name: "memory, other key groups",
      options: { ...from, ...memory, keyGroups: { max: 50 } },
      use: readAll,
    },
  ];
}

export async function attemptAll(
  one: HostileCase,
  place: Place,
  host: StateHost,
  tools: "threads" | "inline",
): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  const note = async (way: string, mustReject: boolean, work: () => Promise<void>) => {
    attempts.push({ way, mustReject, ...(await outcomeOf(work)) });
  };
  const isHostile = one.code !== undefined;
  for (const { name, options, use } of waysOf(one.base, place.storage)) {
    const isElsewhere = options.restore === place.storage;
    const storage = isElsewhere ? join(place.work, "own") : place.storage;
    await note(name, isHostile, async () => {
      const backend = await openKeyedStateBackend({
        host,
        workingDirectory: join(place.work, "backend"),
        checkpointStorage: fileSystemStorage(storage),
        ...options,
      } as KeyedStateBackendOptions);
      try {
        await use(backend);
      } finally {
        await backend.close();
      }
    });
  }
  const isOfTools = one.code !== "VARVE_INCOMPATIBLE_SERIALIZER"; // They have no states of their own.
  await note("tools, verify", isHostile && isOfTools, () => {
    const source = tools === "threads" ? place.storage : withoutPaths(place.storage);
    return withView(source, (view) => verify(view, tools));
  });
  await note("tools, scan", isHostile && !one.scanMayPass, () => withView(place.storage, scan));
  return attempts;
}

/** A storage whose files the tools cannot hand to threads by their paths, as an object store's. */
function withoutPaths(root: string): CheckpointStorage {
  const storage = fileSystemStorage(root);
  return new Proxy(storage, {
    get(target, name) {
      const value: unknown = name === "locate" ? undefined : Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

async function withView(
  path: CheckpointSource,
  use: (view: CheckpointView) => Promise<void>,
): Promise<void> {
  const view = await openCheckpoint(path);
  try {
    await use(view);
  } finally {
    await view.close();
  }
}

async function verify(view: CheckpointView, tools: "threads" | "inline"): Promise<void> {
  // In an environment that is not Node's no thread is started.
  const environment = tools === "inline" ? memoryEnvironment({ seed: 1 }) : undefined;
  const { damaged } = await verifyCheckpoint(view, { rows: true, threads: 1, environment });
  const [first] = damaged;
  if (first !== undefined) throw new ReportedDamage(first.code, first.message);
}

async function scan(view: CheckpointView): Promise<void> {
  for (const { name, namespaces } of view.states()) {
    for (const key of KEYS) await view.get(name, key, namespaces ? 7 : undefined);
    for await (const { key } of view.scan(name)) void key;
  }
}

/** What the tool reports is not thrown. */
class ReportedDamage extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

type Outcome = Pick<Attempt, "outcome" | "code" | "message">;

async function outcomeOf(work: () => Promise<void>): Promise<Outcome> {
  try {
    await work();
    return { outcome: "accepted", code: undefined, message: "" };
  } catch (error) {
    const cause = firstCause(error);
    const isTyped = cause instanceof StateBackendError || cause instanceof ReportedDamage;
    const message = cause instanceof Error ? cause.message : String(cause);
    if (!isTyped || cause.code === "VARVE_INVARIANT") {
      return { outcome: "untyped", code: undefined, message };
    }
    return { outcome: "rejected", code: cause.code, message };
  }
}

/** A backend that verifies behind is poisoned by what it finds. */
function firstCause(error: unknown): unknown {
  const code = (error as { readonly code?: string }).code;
  const isWrapped = code === "VARVE_POISONED" || code === "VARVE_CHECKPOINT_ABORTED";
  const { cause } = error as Error;
  return isWrapped && cause !== undefined ? firstCause(cause) : error;
}

/** Every name under a directory, with what it is and a hash of what it holds. */
export function listingOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const stat = lstatSync(path);
      const kind = `${name} ${stat.mode.toString(8)} ${stat.size}`;
      if (stat.isSymbolicLink()) return `${kind} ${readlinkSync(path)}`;
      if (!stat.isFile()) return kind;
      return `${kind} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
    });
}

/** What is wrong with what came of a case; nothing, if all is as it should be. */
export function faultsOf(one: HostileCase, attempts: readonly Attempt[]): string[] {
  return attempts.flatMap(({ way, outcome, code, message, mustReject }) => {
    const found = `${one.name}, ${way}: ${outcome} ${code ?? ""} ${message}`.trimEnd();
    if (outcome === "untyped") return [found];
    if (outcome === "accepted") return mustReject ? [found] : [];
    if (one.code === undefined) return [found];
    return code === one.code ? [] : [`${found} instead of ${one.code}`];
  });
}
